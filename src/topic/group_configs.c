/*-------------------------------------------------------------------------
 *
 * group_configs.c
 *	  Kafka's configs of consumer groups: their table of definitions, and where
 *	  values are stored.
 *
 * Values are rows of the extension's table group_configs (group_id, configs);
 * the configs are a JSON object of those that differ from the default.  Each
 * statement that writes the table, also one by hand, fires the table's
 * trigger, which invalidates the table's relcache entry.  Other processes
 * notice that (pt_group_configs_generation).
 *
 * Siblings: group_configs.h, ext_table.c (the table), config_value.c (checks).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "guc.h"
#include "topic/config_value.h"
#include "topic/ext_table.h"
#include "topic/group_configs.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(pt_group_configs_changed);

#define TABLE_NAME	"group_configs"

/* Longest group id in bytes that fits into the table's index. */
#define GROUP_NAME_MAX	2000

#define FIELD(f) offsetof(PtGroupConfig, f), NULL

/*
 * Ordered by name.  The settings for all groups are the defaults;
 * check_bounds() has the bounds.
 */
static const PtConfigDef config_defs[] = {
	{"consumer.heartbeat.interval.ms", PT_CONFIG_INT, "5000", 1, PG_INT32_MAX, 1, {NULL},
	"group.consumer.heartbeat.interval.ms", FIELD(heartbeat_interval_ms),
	"Time between two heartbeats of a member of a group with the consumer protocol."},
	{"consumer.session.timeout.ms", PT_CONFIG_INT, "45000", 1, PG_INT32_MAX, 1, {NULL},
	"group.consumer.session.timeout.ms", FIELD(session_timeout_ms),
	"Time without a heartbeat after which a member of a group with the consumer protocol is gone."},
};

static const PtConfigTable config_table = {"group", config_defs, lengthof(config_defs)};

/*
 * Increases when configs may have changed.
 */
static uint64 generation = 1;
static Oid	watched = InvalidOid;	/* OID of the table, once the generation
									 * was asked for */

/*
 * The table
 */

/*
 * Returns the pairs of a group, in the current memory context.  Somebody may
 * have written the table by hand, so a wrong value counts as not set.
 */
static List *
read_configs(const char *group, bool for_update)
{
	Oid			relid;
	char	   *table = pt_ext_table_name(TABLE_NAME, &relid);
	char	   *sql;

	Assert(group != NULL);
	if (table == NULL)
		return NIL;
	sql = psprintf("SELECT e.key, e.value FROM %s g, pg_catalog.jsonb_each_text(g.configs) e "
				   "WHERE g.group_id OPERATOR(pg_catalog.=) $1%s", table, for_update ? " FOR UPDATE OF g" : "");
	return pt_config_table_valid(&config_table, pt_ext_table_read(sql, !for_update, group));
}

/*
 * Returns the pairs as a JSON object.
 */
static char *
as_json(List *pairs)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	foreach(lc, pairs)
	{
		const PtConfigPair *pair = lfirst(lc);

		if (buf.len > 1)
			appendStringInfoString(&buf, ", ");
		escape_json(&buf, pair->name);
		appendStringInfoString(&buf, ": ");
		escape_json(&buf, pair->value);
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/*
 * Writes the row of a group; NIL deletes it.
 */
static void
write_configs(const char *group, List *pairs)
{
	char	   *table = pt_ext_table_required(TABLE_NAME);

	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (pairs == NIL)
		pt_ext_table_run(psprintf("DELETE FROM %s WHERE group_id OPERATOR(pg_catalog.=) $1", table), false, group, NULL);
	else
		pt_ext_table_run(psprintf("INSERT INTO %s (group_id, configs) VALUES ($1, $2::pg_catalog.jsonb) "
								  "ON CONFLICT (group_id) DO UPDATE SET configs = excluded.configs", table),
						 false, group, as_json(pairs));
	SPI_finish();
	PopActiveSnapshot();
}

/*
 * The trigger of the table, after each statement that may have changed it.
 */
Datum
pt_group_configs_changed(PG_FUNCTION_ARGS)
{
	return pt_ext_table_changed(fcinfo, "group_configs_changed");
}

/*
 * Relcache callback; it may only set flags.
 */
static void
relcache_changed(Datum arg, Oid relid)
{
	if (relid == watched || !OidIsValid(relid))
		generation++;
}

/*
 * Returns a number that increases whenever configs of a group may have
 * changed, here or in another process.  Copies have to be read again then.
 * Needs a transaction.
 */
uint64
pt_group_configs_generation(void)
{
	static bool registered = false;
	Oid			relid;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(relcache_changed, (Datum) 0);
		registered = true;
	}
	(void) pt_ext_table_name(TABLE_NAME, &relid);
	if (relid != watched)		/* created, dropped or created again */
	{
		watched = relid;
		generation++;
	}
	return generation;
}

/*
 * Checks
 */

/*
 * Returns the bounds of the configs; see group_configs.h.
 */
const PtGroupConfigBounds *
pt_group_config_bounds(void)
{
	static PtGroupConfigBounds bounds;

	bounds.min_session_timeout_ms = Min(45000, pt_group_consumer_session_timeout_ms);
	bounds.max_session_timeout_ms = Max(60000, pt_group_consumer_session_timeout_ms);
	bounds.min_heartbeat_interval_ms = Min(5000, pt_group_consumer_heartbeat_interval_ms);
	bounds.max_heartbeat_interval_ms = Max(15000, pt_group_consumer_heartbeat_interval_ms);
	return &bounds;
}

/*
 * Checks the bounds of one value.  Returns false with a reason, palloc'd.
 */
static bool
check_bounds(const PtConfigDef *def, int64 value, char **reason)
{
	const PtGroupConfigBounds *bounds = pt_group_config_bounds();
	bool		session = def->field == offsetof(PtGroupConfig, session_timeout_ms);
	const char *what = session ? "session.timeout.ms" : "heartbeat.interval.ms";

	Assert(session || def->field == offsetof(PtGroupConfig, heartbeat_interval_ms));
	if (value < (session ? bounds->min_session_timeout_ms : bounds->min_heartbeat_interval_ms))
		*reason = psprintf("%s must be greater than or equal to group.consumer.min.%s", def->name, what);
	else if (value > (session ? bounds->max_session_timeout_ms : bounds->max_heartbeat_interval_ms))
		*reason = psprintf("%s must be less than or equal to group.consumer.max.%s", def->name, what);
	else
		return true;
	return false;
}

/*
 * Returns the value of a group that has not set the config.
 */
static int32
default_of(const PtConfigDef *def)
{
	return def->field == offsetof(PtGroupConfig, session_timeout_ms) ?
		pt_group_consumer_session_timeout_ms : pt_group_consumer_heartbeat_interval_ms;
}

/*
 * Returns the value of a config: that of the pairs, or the default.
 */
static int64
effective(List *pairs, const PtConfigDef *def)
{
	const PtConfigPair *pair = pt_config_pair(pairs, def->name);
	PtConfigValue value;
	char	   *reason;

	if (pair == NULL || pair->value == NULL || !pt_config_check_value(def, pair->value, &value, &reason))
		return default_of(def);
	return value.number;
}

/*
 * Checks all pairs, and that they fit each other.  Returns false with a
 * reason, palloc'd.
 */
static bool
check_all(List *pairs, char **reason)
{
	int64		heartbeat = effective(pairs, &config_defs[0]);
	int64		session = effective(pairs, &config_defs[1]);
	ListCell   *lc;

	foreach(lc, pairs)
	{
		const PtConfigPair *pair = lfirst(lc);
		const PtConfigDef *def = pt_config_find(&config_table, pair->name);

		if (!pt_config_check_pair(&config_table, pair->name, pair->value, reason))
			return false;
		if (pair->value != NULL &&
			!check_bounds(def, effective(pairs, def), reason))
			return false;
	}
	if (heartbeat < session)
		return true;
	*reason = psprintf("consumer.heartbeat.interval.ms (" INT64_FORMAT ") must be less than consumer.session.timeout.ms ("
					   INT64_FORMAT ")", heartbeat, session);
	return false;
}

/*
 * Checks changes (List of PtConfigPair *; a NULL value is the default).
 * Returns false with a reason, palloc'd.
 */
bool
pt_group_check_configs(const char *group, List *changes, char **reason)
{
	ListCell   *lc;

	Assert(group != NULL && reason != NULL);
	if (group[0] == '\0')
	{
		*reason = pstrdup("Group name must not be empty");
		return false;
	}
	if (strlen(group) > GROUP_NAME_MAX)
	{
		*reason = psprintf("Group name must not have more than %d bytes to have configs", GROUP_NAME_MAX);
		return false;
	}
	foreach(lc, changes)
	{
		const PtConfigPair *pair = lfirst(lc);

		if (!pt_config_check_pair(&config_table, pair->name, pair->value, reason))
			return false;
	}
	return check_all(pt_config_table_merge(&config_table, read_configs(group, false), changes), reason);
}

/*
 * Reading and writing
 */

/*
 * Returns all configs of a group, ordered by name; NULL: the defaults.  A
 * List of PtConfigEntry *.
 */
List *
pt_group_config_list(const char *group)
{
	List	   *list = pt_config_table_list(&config_table, group ? read_configs(group, false) : NIL);
	ListCell   *lc;

	foreach(lc, list)
	{
		PtConfigEntry *entry = lfirst(lc);

		if (entry->is_default)
			entry->value = psprintf("%d", default_of(pt_config_find(&config_table, entry->name)));
	}
	return list;
}

/*
 * Returns the names of the groups that have configs of their own, in order.
 * A List of char *.
 */
List *
pt_group_config_names(void)
{
	Oid			relid;
	char	   *table = pt_ext_table_name(TABLE_NAME, &relid);
	List	   *names = NIL;
	ListCell   *lc;

	if (table == NULL)
		return NIL;
	foreach(lc, pt_ext_table_read(psprintf("SELECT group_id FROM %s ORDER BY group_id", table), true, NULL))
		names = lappend(names, unconstify(char *, ((PtConfigPair *) lfirst(lc))->name));
	return names;
}

/*
 * Makes changes.  ERROR 22023 if pt_group_check_configs() refuses them.
 */
void
pt_group_alter_configs(const char *group, List *changes)
{
	List	   *merged;
	char	   *reason;

	if (!pt_group_check_configs(group, changes, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid configs for group \"%s\"", group),
				 errdetail_internal("%s", reason)));
	merged = pt_config_table_merge(&config_table, read_configs(group, true), changes);
	write_configs(group, merged);
}

/*
 * Returns true if the configs can be read without waiting for a session that
 * has their table locked.  This stays so to the end of the transaction.
 */
bool
pt_group_configs_lock(void)
{
	Oid			relid;

	return pt_ext_table_name(TABLE_NAME, &relid) == NULL || ConditionalLockRelationOid(relid, AccessShareLock);
}

/*
 * Sets the fields for which the group has a value; others stay as they are.
 * Returns false if it has none.
 */
bool
pt_group_config_get(const char *group, PtGroupConfig *config)
{
	List	   *pairs = read_configs(group, false);
	bool		any = false;

	for (int i = 0; i < lengthof(config_defs); i++)
	{
		const PtConfigDef *def = &config_defs[i];

		if (pt_config_pair(pairs, def->name) == NULL)
			continue;
		*(int32 *) ((char *) config + def->field) = (int32) effective(pairs, def);
		Assert(def->field >= 0 && def->field < (int) sizeof(PtGroupConfig));
		any = true;
	}
	return any;
}

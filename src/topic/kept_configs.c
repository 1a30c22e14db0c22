/*-------------------------------------------------------------------------
 *
 * kept_configs.c
 *	  Configs of a Kafka broker that are stored and have no effect.
 *
 * These are configs that Kafka's administrators may change while a broker runs
 * and that tune what this server does not have: threads, buffers, the traffic
 * between brokers.  Tools and test suites set them and read them back;
 * kafka-reassign-partitions is one of them.  Configs that promise something,
 * such as security or a limit, are not among them, because accepting them
 * without an effect would be a lie.
 *
 * Values are rows of the extension's table kept_broker_configs.  So they
 * belong to the database, as topics do, and pg_dump dumps them.
 *
 * Siblings: kept_configs.h, ext_table.c, config_value.c (checks).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/snapmgr.h"

#include "topic/config_value.h"
#include "topic/ext_table.h"
#include "topic/kept_configs.h"

#define TABLE_NAME	"kept_broker_configs"

#define INT_FROM(min)	min, PG_INT32_MAX, min, {NULL}, NULL, PT_CONFIG_NO_FIELD, NULL
#define LONG_FROM(min)	min, PG_INT64_MAX, min, {NULL}, NULL, PT_CONFIG_NO_FIELD, NULL
#define PLAIN			0, 0, 0, {NULL}, NULL, PT_CONFIG_NO_FIELD, NULL
#define LONG_MAX_TEXT	"9223372036854775807"

#define NO_FOLLOWERS	"Kept, without effect: there are no followers to throttle."
#define NO_CLEANER		"Kept, without effect: there are no cleaner threads."
#define NO_TIERS		"Kept, without effect: there is no tiered storage."
#define NO_THREADS		"Kept, without effect: this server has processes, not threads."
#define NO_BATCHING		"Kept, without effect: groups are assigned without delay."
#define NO_BUFFERS		"Kept, without effect: the coordinator has no such buffer."

/*
 * Name, type, Kafka's default and bounds, and why it has no effect; ordered
 * by name.
 */
static const PtConfigDef config_defs[] = {
	{"background.threads", PT_CONFIG_INT, "10", INT_FROM(1), NO_THREADS},
	{"follower.fetch.last.tiered.offset.enable", PT_CONFIG_BOOLEAN, "false", PLAIN, NO_TIERS},
	{"follower.replication.throttled.rate", PT_CONFIG_LONG, LONG_MAX_TEXT, LONG_FROM(0), NO_FOLLOWERS},
	{"group.consumer.assignment.interval.ms", PT_CONFIG_INT, "1000", INT_FROM(0), NO_BATCHING},
	{"group.coordinator.cached.buffer.max.bytes", PT_CONFIG_INT, "1048588", INT_FROM(524288), NO_BUFFERS},
	{"group.share.assignment.interval.ms", PT_CONFIG_INT, "1000", INT_FROM(0), NO_BATCHING},
	{"group.streams.assignment.interval.ms", PT_CONFIG_INT, "1000", INT_FROM(0), NO_BATCHING},
	{"leader.replication.throttled.rate", PT_CONFIG_LONG, LONG_MAX_TEXT, LONG_FROM(0), NO_FOLLOWERS},
	{"log.cleaner.backoff.ms", PT_CONFIG_LONG, "15000", LONG_FROM(0), NO_CLEANER},
	{"log.cleaner.dedupe.buffer.size", PT_CONFIG_LONG, "134217728", LONG_FROM(0), NO_CLEANER},
	{"log.cleaner.io.buffer.load.factor", PT_CONFIG_DOUBLE, "0.9", LONG_FROM(0), NO_CLEANER},
	{"log.cleaner.io.buffer.size", PT_CONFIG_INT, "524288", INT_FROM(0), NO_CLEANER},
	{"log.cleaner.io.max.bytes.per.second", PT_CONFIG_DOUBLE, "1.7976931348623157E308", LONG_FROM(0), NO_CLEANER},
	{"log.cleaner.threads", PT_CONFIG_INT, "1", INT_FROM(0), NO_CLEANER},
	{"num.io.threads", PT_CONFIG_INT, "8", INT_FROM(1), NO_THREADS},
	{"num.recovery.threads.per.data.dir", PT_CONFIG_INT, "2", INT_FROM(1), NO_THREADS},
	{"num.replica.fetchers", PT_CONFIG_INT, "1", INT_FROM(0), NO_FOLLOWERS},
	{"remote.fetch.max.wait.ms", PT_CONFIG_INT, "500", INT_FROM(1), NO_TIERS},
	{"remote.list.offsets.request.timeout.ms", PT_CONFIG_LONG, "30000", LONG_FROM(1), NO_TIERS},
	{"remote.log.index.file.cache.total.size.bytes", PT_CONFIG_LONG, "1073741824", LONG_FROM(1), NO_TIERS},
	{"remote.log.manager.copier.thread.pool.size", PT_CONFIG_INT, "10", INT_FROM(1), NO_TIERS},
	{"remote.log.manager.copy.max.bytes.per.second", PT_CONFIG_LONG, LONG_MAX_TEXT, LONG_FROM(1), NO_TIERS},
	{"remote.log.manager.expiration.thread.pool.size", PT_CONFIG_INT, "10", INT_FROM(1), NO_TIERS},
	{"remote.log.manager.fetch.max.bytes.per.second", PT_CONFIG_LONG, LONG_MAX_TEXT, LONG_FROM(1), NO_TIERS},
	{"remote.log.manager.follower.thread.pool.size", PT_CONFIG_INT, "2", INT_FROM(1), NO_TIERS},
	{"remote.log.reader.threads", PT_CONFIG_INT, "10", INT_FROM(1), NO_TIERS},
	{"replica.alter.log.dirs.io.max.bytes.per.second", PT_CONFIG_LONG, LONG_MAX_TEXT, LONG_FROM(0),
	"Kept, without effect: data are not moved between directories."},
	{"share.coordinator.cached.buffer.max.bytes", PT_CONFIG_INT, "1048588", INT_FROM(524288), NO_BUFFERS},
	{"transaction.partition.verification.enable", PT_CONFIG_BOOLEAN, "true", PLAIN,
	"Kept, without effect: a partition is never left behind by a transaction."},
};

static const PtConfigTable config_table = {"broker", config_defs, lengthof(config_defs)};

/*
 * Returns the pairs that are set, in the current memory context.  Somebody
 * may have written the table by hand, so a wrong value counts as not set.
 */
static List *
read_pairs(void)
{
	Oid			relid;
	char	   *table = pt_ext_table_name(TABLE_NAME, &relid);

	if (table == NULL)
		return NIL;
	return pt_config_table_valid(&config_table,
								 pt_ext_table_read(psprintf("SELECT name, value FROM %s", table), true, NULL));
}

/*
 * Lists all of them, ordered by name: List of PtConfigEntry *.
 */
List *
pt_kept_config_list(void)
{
	return pt_config_table_list(&config_table, read_pairs());
}

/*
 * Returns true if the name is one of them.
 */
bool
pt_kept_config_known(const char *name)
{
	return pt_config_find(&config_table, name) != NULL;
}

/*
 * Checks a value; NULL stands for the default.  Returns false with a reason,
 * palloc'd.
 */
bool
pt_kept_config_check(const char *name, const char *value, char **reason)
{
	return pt_config_check_pair(&config_table, name, value, reason);
}

/*
 * Makes changes (List of PtConfigPair *; a NULL value is the default), which
 * have been checked.
 */
void
pt_kept_configs_alter(List *changes)
{
	char	   *table = pt_ext_table_required(TABLE_NAME);
	ListCell   *lc;

	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	foreach(lc, changes)
	{
		const PtConfigPair *pair = lfirst(lc);

		Assert(pt_kept_config_known(pair->name));
		if (pair->value == NULL)
			pt_ext_table_run(psprintf("DELETE FROM %s WHERE name OPERATOR(pg_catalog.=) $1", table),
							 false, pair->name, NULL);
		else
			pt_ext_table_run(psprintf("INSERT INTO %s (name, value) VALUES ($1, $2) "
									  "ON CONFLICT (name) DO UPDATE SET value = excluded.value", table),
							 false, pair->name, pair->value);
	}
	SPI_finish();
	PopActiveSnapshot();
}

/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  Reads PostgreSQL's settings with where they come from, and changes them
 *	  for Kafka clients.
 *
 * Changes go through the server's own ALTER SYSTEM, which checks names, values
 * and allow_alter_system, and writes the file atomically.  The file knows no
 * transactions, so all values are checked before the first is written.
 *
 * Siblings: settings.h, broker_configs.c (which config is which setting).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "compat.h"

#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#include "guc.h"
#include "kafka/settings.h"

static struct config_generic *find_setting(const char *name);

/* NULL: there is no setting of this name. */
static struct config_generic *
find_setting(const char *name)
{
#ifdef PT_NEEDS_FIND_OPTION
	struct config_generic **all = get_guc_variables();

	for (int i = 0; i < GetNumConfigOptions(); i++)
	{
		if (pg_strcasecmp(all[i]->name, name) == 0)
			return all[i];
	}
	return NULL;
#else
	return find_option(name, false, true, 0);
#endif
}

/*
 * The setting as it is in this process; ERROR when there is none of this name.
 */
void
kafka_setting_get(const char *name, KafkaSetting *setting)
{
	const struct config_generic *guc = find_setting(name);
	const char *file;

	if (guc == NULL)
		elog(ERROR, "there is no setting \"%s\"", name);
	setting->value = pstrdup(GetConfigOption(name, false, false));
	setting->reloads = guc->context != PGC_POSTMASTER && guc->context != PGC_INTERNAL;
	setting->source = KAFKA_SETTING_STATIC;
	if (guc->source == PGC_S_DEFAULT || guc->source == PGC_S_DYNAMIC_DEFAULT)
		setting->source = KAFKA_SETTING_DEFAULT;
	else if (guc->source == PGC_S_FILE && guc->sourcefile != NULL)
	{
		file = strrchr(guc->sourcefile, '/');
		if (strcmp(file ? file + 1 : guc->sourcefile, PG_AUTOCONF_FILENAME) == 0)
			setting->source = KAFKA_SETTING_ALTERED;
	}
}

/*
 * Throws when the server would not take the value, or would go on with another
 * one.
 */
static void
check_change(const KafkaSettingChange *change)
{
	Assert(change->name != NULL && find_setting(change->name) != NULL);
	if (find_setting(change->name)->source > PGC_S_FILE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("parameter \"%s\" was set when the server was started: ALTER SYSTEM has no effect on it",
						change->name)));
	if (change->value != NULL &&
		set_config_option(change->name, change->value, PGC_SIGHUP, PGC_S_FILE, GUC_ACTION_SET,
						  false, ERROR, false) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": \"%s\"", change->name, change->value)));
}

/* ALTER SYSTEM SET name = 'value', or RESET. */
static void
alter_system(const KafkaSettingChange *change)
{
	VariableSetStmt *set = makeNode(VariableSetStmt);
	AlterSystemStmt *alter = makeNode(AlterSystemStmt);

	set->kind = change->value ? VAR_SET_VALUE : VAR_RESET;
	set->name = pstrdup(change->name);
	if (change->value)
	{
		A_Const    *constant = makeNode(A_Const);

		constant->val.sval.type = T_String;
		constant->val.sval.sval = pstrdup(change->value);
		set->args = list_make1(constant);
	}
	alter->setstmt = set;
	AlterSystemSetConfigFile(alter);
}

typedef struct AlterSettings
{
	List	   *changes;
	bool		validate_only;
} AlterSettings;

static void
alter_settings(void *arg)
{
	const AlterSettings *alter = arg;
	ListCell   *lc;

	foreach(lc, alter->changes)
		check_change(lfirst(lc));
	if (alter->validate_only)
		return;
	foreach(lc, alter->changes)
		alter_system(lfirst(lc));
}

/*
 * All processes follow the postmaster; a backend waits for the end of its
 * statement, as ever.
 */
static void
reload(void)
{
	if (MyBackendType == B_BG_WORKER)
		ProcessConfigFile(PGC_SIGHUP);
	else
		ConfigReloadPending = true;
	if (kill(PostmasterPid, SIGHUP) != 0)
		ereport(WARNING,
				(errmsg("could not send signal to postmaster: %m")));
}

/*
 * Checks all changes (List of KafkaSettingChange *), then makes them, in a
 * transaction of its own, and has the server read its configuration again;
 * this process has done so on return.  false with the error.
 */
bool
kafka_settings_alter(KafkaCall *call, List *changes, bool validate_only, KafkaError *error)
{
	AlterSettings alter = {changes, validate_only};
	ListCell   *lc;

	if (changes == NIL)
		return true;
	if (!kafka_run_transaction(call, alter_settings, &alter, error))
	{
		kafka_log_error(call, error);
		return false;
	}
	if (validate_only)
		return true;
	foreach(lc, changes)
	{
		const KafkaSettingChange *change = lfirst(lc);

		ereport(LOG,
				(errmsg("Kafka client \"%s\" at %s %s \"%s\"%s%s", call->session->client_id, call->session->peer,
						change->value ? "set" : "reset", change->name, change->value ? " to " : "",
						change->value ? change->value : "")));
	}
	reload();
	return true;
}

/*
 * May clients of this connection change the server itself (settings, roles)?
 * There is no authentication on the listener yet, so this is what
 * pgtopic.kafka_admin says; when it is false, *message is for
 * CLUSTER_AUTHORIZATION_FAILED.
 */
bool
kafka_admin_allowed(const KafkaCall *call, const char **message)
{
	*message = "Changing the server's settings and roles is not allowed to Kafka clients: "
		"PostgreSQL's setting \"pgtopic.kafka_admin\" is off.";
	return pt_kafka_admin;
}

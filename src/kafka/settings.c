/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  Reads PostgreSQL's settings with their sources, and changes them for
 *	  Kafka clients.
 *
 * Changes go through the server's own ALTER SYSTEM, which checks names, values
 * and allow_alter_system, and writes the file atomically.  The file is not
 * transactional, so all values are checked before the first one is written.
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
#include "rights/rights.h"
#include "kafka/settings.h"

static struct config_generic *find_setting(const char *name);

/*
 * Returns the setting with this name, or NULL.
 */
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
 * Reads a setting as it is in this process; the value is in the current
 * memory context.  Throws if no setting has this name.
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
 * Throws if the server would not accept the value, or would keep using
 * another one, from its command line.
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

/*
 * Runs ALTER SYSTEM SET name = 'value', or RESET if there is no value.
 */
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

/* The argument of alter_settings(). */
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
 * Makes all processes read the configuration files.  A background worker
 * reads them here; a backend does it at the end of its statement.
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
 * Checks all changes (List of KafkaSettingChange *).  Then, unless
 * validate_only, makes them in a transaction of its own, as
 * kafka_run_transaction() does, and reloads the configuration.  On return
 * this process has reloaded it.  Returns false with the error.  The caller
 * checks kafka_admin_allowed().
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
 * Returns true if the client may change the server itself, its settings and
 * roles: an administrator may, if pgtopic.kafka_admin is on.  If false,
 * *message goes with CLUSTER_AUTHORIZATION_FAILED.
 */
bool
kafka_admin_allowed(const KafkaCall *call, const char **message)
{
	if (!pt_role_is_admin(call->session->role))
		*message = "Changing the server's settings and roles takes a superuser or a member of \"" PT_ADMIN_ROLE "\".";
	else
		*message = "Changing the server's settings and roles is not allowed to Kafka clients: "
			"PostgreSQL's setting \"pgtopic.kafka_admin\" is off.";
	return pt_kafka_admin && pt_role_is_admin(call->session->role);
}

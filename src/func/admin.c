/*-------------------------------------------------------------------------
 *
 * admin.c
 *	  create_topic() and the other functions that make and change topics.
 *
 * All of them are thin: the topic room does the work with the server's own
 * DDL, which checks who may do what.
 *
 * Siblings: info.c shows what there is.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "func/func.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "topic/group_configs.h"
#include "topic/json.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(pt_create_topic);
PG_FUNCTION_INFO_V1(pt_drop_topic);
PG_FUNCTION_INFO_V1(pt_alter_topic);
PG_FUNCTION_INFO_V1(pt_alter_group);
PG_FUNCTION_INFO_V1(pt_add_partitions);
PG_FUNCTION_INFO_V1(pt_create_topic_view);

/*
 * create_topic(name, partitions, config).  ERROR for the name of an internal
 * topic, which is created when it is needed.
 */
Datum
pt_create_topic(PG_FUNCTION_ARGS)
{
	int32		npartitions = PG_ARGISNULL(1) ? 1 : PG_GETARG_INT32(1);
	List	   *configs = PG_ARGISNULL(2) ? NIL : pt_json_configs(PG_GETARG_JSONB_P(2));
	char	   *name;

	pt_arg_required(fcinfo, 0, "name");
	name = pt_arg_cstring(fcinfo, 0);
	PreventCommandIfReadOnly("create_topic()");

	/*
	 * The caller would create it with settings of his own, but it belongs to
	 * the owner of the schema and decides how groups keep their offsets.
	 */
	if (pt_topic_name_is_internal(name))
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("topic name \"%s\" is reserved", name),
				 errdetail("The topic is created when it is first needed.")));
	pt_topic_check_locks(npartitions);
	(void) pt_topic_create(name, npartitions, configs, NULL);
	PG_RETURN_DATUM(pt_topic_datum(name));
}

/* drop_topic(topic) */
Datum
pt_drop_topic(PG_FUNCTION_ARGS)
{
	const PtTopic *topic = pt_arg_topic(fcinfo, 0);

	PreventCommandIfReadOnly("drop_topic()");
	pt_topic_check_locks(topic->npartitions);
	Assert(OidIsValid(topic->relid));
	pt_topic_drop(topic->relid);
	PG_RETURN_VOID();
}

/*
 * alter_topic(topic, config): a null value resets a config to its default.
 */
Datum
pt_alter_topic(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("alter_topic()");
	pt_arg_required(fcinfo, 1, "config");
	pt_topic_alter_configs(pt_arg_topic(fcinfo, 0)->relid, pt_json_configs(PG_GETARG_JSONB_P(1)));
	PG_RETURN_VOID();
}

/*
 * alter_group(group_id, config): the same for a consumer group, which need
 * not exist.
 */
Datum
pt_alter_group(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("alter_group()");
	pt_arg_required(fcinfo, 0, "group_id");
	pt_arg_required(fcinfo, 1, "config");
	pt_group_alter_configs(pt_arg_cstring(fcinfo, 0), pt_json_configs(PG_GETARG_JSONB_P(1)));
	PG_RETURN_VOID();
}

/*
 * add_partitions(topic, total): adds partitions until there are "total".
 */
Datum
pt_add_partitions(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("add_partitions()");
	pt_arg_required(fcinfo, 1, "total");
	pt_topic_check_locks(PG_GETARG_INT32(1));
	pt_topic_add_partitions(pt_arg_topic(fcinfo, 0)->relid, PG_GETARG_INT32(1));
	PG_RETURN_VOID();
}

/*
 * Returns true for the formats that create_topic_view() knows.
 */
static bool
is_view_format(const char *format)
{
	const char *base = strncmp(format, "try_", 4) == 0 ? format + 4 : format;

	return strcmp(base, "text") == 0 || strcmp(base, "jsonb") == 0;
}

/*
 * create_topic_view(topic, format): makes a view with readable keys and
 * values.
 */
Datum
pt_create_topic_view(PG_FUNCTION_ARGS)
{
	Oid			relid = pt_arg_topic(fcinfo, 0)->relid;
	const char *format = PG_ARGISNULL(1) ? "text" : pt_arg_cstring(fcinfo, 1);

	if (!is_view_format(format))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown format of a topic view: \"%s\"", format),
				 errhint("A format is \"text\", \"jsonb\", \"try_text\" or \"try_jsonb\".")));
	PreventCommandIfReadOnly("create_topic_view()");
	PG_RETURN_OID(pt_topic_create_view(relid, format));
}

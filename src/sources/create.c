/*-------------------------------------------------------------------------
 *
 * create.c
 *	  create_source() and drop_source().
 *
 * Both look at the source's server at once, over a connection of their own.
 * Publication and slot are made by the worker, as a slot can be made only
 * where no transaction of this server is in the way.
 *
 * Siblings: definition.c (the fields), slot.c (the checks), run.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_type.h"
#include "func/func.h"
#include "guard.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "sources/chunks.h"
#include "sources/internal.h"
#include "sources/sources.h"

PG_FUNCTION_INFO_V1(pt_create_source);
PG_FUNCTION_INFO_V1(pt_drop_source);

/* A slot's name has at most 63 bytes, with "pgtopic_" before the source's. */
#define NAME_MAX_BYTES	54

/* Arguments of create_source(). */
enum
{
	ARG_NAME, ARG_TABLES, ARG_PUBLICATION, ARG_TOPIC, ARG_FORMAT, ARG_SNAPSHOT, ARG_CONNECTION, ARG_PREFIX,
	ARG_MESSAGE_TOPICS, ARG_SLOT, ARG_NUMERIC, ARG_TOMBSTONES, ARG_TRUNCATE, ARG_KEY, ARG_VALUE, ARG_HEADERS, ARG_FILTER,
	ARG_TOPIC_EXPRESSION, ARG_OUTBOX, ARG_SCHEMAS, ARG_FAILOVER,
	ARG_READERS
};

static void check_definition(PtTask *task);
static void drop_leavings(const PtTask *task);

const PtTaskKind pt_source_kind = {
	.name = "source",
	.check = check_definition,
	.run = pt_source_run,
	.drop = drop_leavings,
};

/*
 * ERROR unless the name may be part of a slot's name.
 */
static void
check_slot_name(const char *what, const char *name, int max)
{
	if (name[0] != '\0' && strlen(name) <= max && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_NAME),
			 errmsg("invalid name of a %s: \"%s\"", what, name),
			 errdetail("It must have 1 to %d lower case letters, digits and underscores.", max)));
}

/*
 * ERROR for fields that do not go together.
 */
static void
check_fields(const PtSource *source)
{
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("sources need a database with encoding UTF8")));
	check_slot_name("source", source->name, NAME_MAX_BYTES);
	check_slot_name("replication slot", source->slot, NAMEDATALEN - 1);
	if (source->tables != NIL && !source->own_publication)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a source has \"tables\" or a \"publication\", not both")));
	if (source->tables == NIL && source->own_publication && source->message_prefix == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a source needs \"tables\", a \"publication\" or a \"message_prefix\"")));
	if (source->message_prefix != NULL && source->message_prefix[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"message_prefix\" must not be empty")));
	if (source->message_prefix != NULL && source->message_topics == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"message_prefix\" needs \"message_topics\""),
				 errdetail("All who may connect to the source's database can emit messages.")));
	if (source->has_exprs && source->tables == NIL && source->own_publication)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("expressions are for tables, and source \"%s\" has none", source->name)));
	if (source->topic[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"topic\" must not be empty")));
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_texts(const List *a, const List *b)
{
	if (list_length(a) != list_length(b))
		return false;
	for (int i = 0; i < list_length(a); i++)
	{
		if (strcmp(list_nth(a, i), list_nth(b, i)) != 0)
			return false;
	}
	return true;
}

/*
 * ERROR for a change of what names things at the source's server: they are
 * made once, and drop_source() must not drop those of somebody else.  The
 * server is asked only when the connection or an expression changes: it may be
 * down, and just this be the reason of another change.
 */
static void
check_change(const PtSource *source, const PtSource *old)
{
	const char *field = NULL;
	bool		moved = !same_text(source->connection, old->connection);
	bool		other = false;
	PtPeer	   *remote;

	for (int i = 0; i < PT_EXPRS; i++)
		other |= !same_text(source->exprs[i], old->exprs[i]);
	if (!same_text(source->slot, old->slot))
		field = "slot";
	else if (source->failover != old->failover)
		field = "failover";
	else if (source->own_publication != old->own_publication || !same_text(source->publication, old->publication))
		field = "publication";
	else if (!same_texts(source->tables, old->tables))
		field = "tables";
	else if (!same_text(source->server, old->server))
		field = "server";
	if (field != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"%s\" of source \"%s\" cannot be changed", field, source->name),
				 errhint("Call drop_source() and create_source().")));
	if (!moved && !other)
		return;
	remote = pt_peer_connect(source, NULL);
	pt_slot_check_server(remote, source);
	pt_slot_check_identity(remote, source);
	if (other)
		pt_columns_check(remote, source);
	pt_peer_close(remote);
}

/*
 * Adds to the definition which server and database it is for.
 */
static void
remember_server(PtTask *task, PtPeer *remote)
{
	PtDefinition server;

	pt_definition_begin(&server);
	pt_definition_text(&server, "server", pt_slot_server_identity(remote));
	task->definition = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(task->definition),
														  JsonbPGetDatum(pt_definition_end(&server))));
}

/*
 * The check function of the kind.
 */
static void
check_definition(PtTask *task)
{
	const PtSource *source = pt_source_define(task);
	const PtTask *stored = pt_task_read(task->name);
	PtPeer	   *remote;

	check_fields(source);
	pt_peer_check_connection(source);
	if (stored != NULL)
	{
		check_change(source, pt_source_define(stored));
		return;
	}
	if (source->connection == NULL && !source->own_publication)
		(void) get_publication_oid(source->publication, false);
	remote = pt_peer_connect(source, NULL);
	pt_slot_check_server(remote, source);
	pt_slot_check_new(remote, source);
	if (source->has_exprs)
		pt_columns_check(remote, source);
	if (source->connection != NULL)
		remember_server(task, remote);
	pt_peer_close(remote);
}

/*
 * Returns the name of a table of this server as it is written in statements;
 * ERROR unless the user may publish it.
 */
static char *
local_table(RangeVar *name)
{
	PtSource	here = {0};
	Oid			id = RangeVarGetRelid(name, NoLock, false);
	char		kind = get_rel_relkind(id);

	if ((kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) ||
		get_rel_persistence(id) != RELPERSISTENCE_PERMANENT || pt_table_is_ours(&here, id))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table that can be a source", get_rel_name(id)),
				 errdetail("Topics, tables of the extension, views, temporary and unlogged tables cannot.")));
	if (!pt_relation_ownercheck(id, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(id));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(id)), get_rel_name(id));
}

/*
 * Returns an argument that is an array of text as a list of char *.
 */
static List *
text_list(FunctionCallInfo fcinfo, int n)
{
	List	   *result = NIL;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(n))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("arrays of a source must not have null elements")));
		result = lappend(result, TextDatumGetCString(values[i]));
	}
	return result;
}

/*
 * Returns the tables as they are written in statements, at the source.
 */
static List *
quoted_tables(List *given, bool local)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, given)
	{
		RangeVar   *name = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(lfirst(lc))));

		if (local)
			result = lappend(result, local_table(name));
		else
			result = lappend(result, quote_qualified_identifier(name->schemaname ? name->schemaname : "public",
																name->relname));
	}
	return result;
}

static char *
text_or_null(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : pt_arg_cstring(fcinfo, n);
}

/*
 * create_source(name, tables, publication, topic, format, snapshot,
 * connection, message_prefix, message_topics, slot, numerics, tombstones,
 * truncate, key, value, headers, filter, topic_expression, outbox,
 * schemas, failover, snapshot_readers)
 */
Datum
pt_create_source(PG_FUNCTION_ARGS)
{
	static const struct
	{
		int			arg;
		const char *field;
	}			texts[] = {
		{ARG_PUBLICATION, "publication"}, {ARG_TOPIC, "topic"}, {ARG_FORMAT, "format"}, {ARG_SNAPSHOT, "snapshot"},
		{ARG_CONNECTION, "connection"}, {ARG_PREFIX, "message_prefix"}, {ARG_SLOT, "slot"}, {ARG_NUMERIC, "numerics"},
		{ARG_KEY, "key"}, {ARG_VALUE, "value"}, {ARG_HEADERS, "headers"}, {ARG_FILTER, "filter"},
		{ARG_TOPIC_EXPRESSION, "topic_expression"},
	};
	PtDefinition definition;
	char	   *name;

	PreventCommandIfReadOnly("create_source()");
	pt_arg_required(fcinfo, ARG_NAME, "name");
	name = pt_arg_cstring(fcinfo, ARG_NAME);
	pt_definition_begin(&definition);
	for (int i = 0; i < lengthof(texts); i++)
		pt_definition_text(&definition, texts[i].field, text_or_null(fcinfo, texts[i].arg));
	if (!PG_ARGISNULL(ARG_TABLES))
		pt_definition_texts(&definition, "tables",
							quoted_tables(text_list(fcinfo, ARG_TABLES), PG_ARGISNULL(ARG_CONNECTION)));
	if (!PG_ARGISNULL(ARG_MESSAGE_TOPICS))
		pt_definition_texts(&definition, "message_topics", text_list(fcinfo, ARG_MESSAGE_TOPICS));
	if (!PG_ARGISNULL(ARG_OUTBOX))
		pt_definition_jsonb(&definition, "outbox", PG_GETARG_JSONB_P(ARG_OUTBOX));
	if (!PG_ARGISNULL(ARG_READERS))
		pt_definition_int(&definition, "snapshot_readers", PG_GETARG_INT32(ARG_READERS));
	if (!PG_ARGISNULL(ARG_FAILOVER))
		pt_definition_bool(&definition, "failover", PG_GETARG_BOOL(ARG_FAILOVER));
	if (!PG_ARGISNULL(ARG_SCHEMAS))
		pt_definition_bool(&definition, "schemas", PG_GETARG_BOOL(ARG_SCHEMAS));
	if (!PG_ARGISNULL(ARG_TOMBSTONES))
		pt_definition_bool(&definition, "tombstones", PG_GETARG_BOOL(ARG_TOMBSTONES));
	if (!PG_ARGISNULL(ARG_TRUNCATE))
		pt_definition_bool(&definition, "truncate", PG_GETARG_BOOL(ARG_TRUNCATE));
	pt_task_create(name, "source", pt_definition_end(&definition));
	if (pt_origin_exists(name))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("replication origin \"%s\" exists already", pt_origin_name(name)),
				 errhint("If it is left of a source that is gone, run pg_replication_origin_drop('%s').", pt_origin_name(name))));
	PG_RETURN_VOID();
}

/* What is to be removed at the source's server. */
static void
remove_there(void *arg)
{
	const PtSource *source = arg;
	PtPeer	   *remote = pt_peer_connect(source, NULL);

	pt_slot_check_identity(remote, source);
	/* a lock that our own transaction has would never come */
	pt_peer_command(remote, "SET lock_timeout = '10s'");
	pt_slot_remove(remote, source);
	pt_slot_unpublish(remote, source);
	pt_peer_close(remote);
}

/*
 * The drop function of the kind.  A source that has never run, as one that was
 * restored from a dump, has nothing of its own there.
 */
static void
drop_leavings(const PtTask *task)
{
	PtSource   *source = pt_source_define(task);
	ErrorData  *problem;

	pt_progress_remove(task->name);
	if (!pt_origin_exists(task->name))
		return;
	pt_task_end_workers(task);
	problem = pt_guarded(remove_there, source);
	if (problem != NULL)
		ereport(WARNING,
				(errmsg("replication slot \"%s\" and its publication stay at the source's server", source->slot),
				 errdetail("%s", problem->message),
				 errhint("The slot keeps WAL there until it is dropped: run pg_drop_replication_slot('%s') and, unless it is yours, DROP PUBLICATION %s.",
						 source->slot, quote_identifier(source->publication))));
	pt_origin_drop(task->name);
}

/*
 * drop_source(name)
 */
Datum
pt_drop_source(PG_FUNCTION_ARGS)
{
	pt_refuse_in_block(fcinfo, "drop_source()");
	pt_task_drop(pt_arg_cstring(fcinfo, 0), "source");
	PG_RETURN_VOID();
}

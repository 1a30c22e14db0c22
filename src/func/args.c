/*-------------------------------------------------------------------------
 *
 * args.c
 *	  What the SQL functions do with their arguments.
 *
 * Siblings: func.h lists the files of the room.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "func/func.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/rls.h"

/* Text of the database as UTF-8; the same bytes in nearly every database. */
static const char *
as_utf8(const char *data, int32 *len)
{
	char	   *converted;

	if (GetDatabaseEncoding() == PG_UTF8)
		return data;
	converted = pg_server_to_any(data, *len, PG_UTF8);
	if (converted != data)
		*len = strlen(converted);
	return converted;
}

const char *
pt_arg_bytes(FunctionCallInfo fcinfo, int n, int32 *len)
{
	struct varlena *v;

	*len = -1;
	if (PG_ARGISNULL(n))
		return NULL;
	v = PG_GETARG_VARLENA_PP(n);
	*len = VARSIZE_ANY_EXHDR(v);
	if (GetDatabaseEncoding() != PG_UTF8 && get_fn_expr_argtype(fcinfo->flinfo, n) != BYTEAOID)
		return as_utf8(VARDATA_ANY(v), len);
	return VARDATA_ANY(v);
}

const char *
pt_arg_jsonb(FunctionCallInfo fcinfo, int n, int32 *len)
{
	Jsonb	   *jb;
	char	   *s;

	*len = -1;
	if (PG_ARGISNULL(n))
		return NULL;
	jb = PG_GETARG_JSONB_P(n);
	s = JsonbToCString(NULL, &jb->root, VARSIZE(jb));
	*len = strlen(s);
	return as_utf8(s, len);
}

/* Not null: checked before, or by STRICT. */
char *
pt_arg_cstring(FunctionCallInfo fcinfo, int n)
{
	Assert(!PG_ARGISNULL(n));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

void
pt_arg_required(FunctionCallInfo fcinfo, int n, const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
}

/* The answer lasts as the cache's do: see topic.h. */
const PtTopic *
pt_arg_topic(FunctionCallInfo fcinfo, int n)
{
	pt_arg_required(fcinfo, n, "topic");
	return pt_topic_expect_name(PG_GETARG_TOPIC(n));
}

/* Counted from now, not from the start of the transaction. */
TimestampTz
pt_arg_deadline(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		return GetCurrentTimestamp();
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(GetCurrentTimestamp()),
												   PG_GETARG_DATUM(n)));
}

/*
 * These functions read and write a log without a plan, so a policy would have
 * no place to be applied.
 */
void
pt_func_check_access(const PtTopic *topic, AclMode mode)
{
	Oid			relid = topic->relid;
	AclResult	result = pg_class_aclcheck(relid, GetUserId(), mode);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_TABLE, topic->name);
	if (check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("topic \"%s\" has row-level security for this user", topic->name),
				 errhint("Use SELECT and INSERT on its table, which apply the policies.")));
}

/*
 * Opens a partition of a topic that was just looked up.  The lock stays to the
 * end of the transaction, as that of a statement would.  NULL: the table was
 * dropped under our hands.  Getting the lock has brought us the invalidation,
 * so who looks again sees what there is instead.
 */
Relation
pt_try_partition(const PtTopic *topic, int32 number, LOCKMODE lockmode)
{
	CHECK_FOR_INTERRUPTS();
	if (number < 0 || number >= topic->npartitions || !OidIsValid(topic->leaves[number]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" has no partition %d", topic->name, number)));
	return try_relation_open(topic->leaves[number], lockmode);
}

/* The same of a topic whose name is not at hand; ERROR when it was dropped. */
Relation
pt_open_partition(Oid relid, int32 number, LOCKMODE lockmode)
{
	Relation	rel;

	while ((rel = pt_try_partition(pt_topic_expect(relid), number, lockmode)) == NULL)
		;
	return rel;
}

/* UTF-8, as the engine wants it. */
PtString
pt_arg_group(FunctionCallInfo fcinfo, int n)
{
	PtString	group_id;

	pt_arg_required(fcinfo, n, "group_id");
	group_id = pt_string_from_server(pt_arg_cstring(fcinfo, n));
	if (group_id.len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("group_id must not be empty")));
	return group_id;
}

/*
 * A topic that the user may read, in memory of its own: it stays good whatever
 * happens to the cache.
 */
PtTopic *
pt_func_topic(PtString name)
{
	const PtTopic *topic = pt_topic_expect_name(name);
	Oid			relid = topic->relid;

	pt_func_check_access(topic, ACL_SELECT);
	return pt_topic_copy(pt_topic_expect(relid));
}

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

/*
 * Converts text from the database's encoding to UTF-8; *len changes with it.
 * In a UTF-8 database the bytes are returned as they are.
 */
static const char *
as_utf8(const char *data, int32 *len)
{
	char	   *converted;

	Assert(data != NULL && *len >= 0);
	if (GetDatabaseEncoding() == PG_UTF8)
		return data;
	converted = pg_server_to_any(data, *len, PG_UTF8);
	if (converted != data)
		*len = strlen(converted);
	return converted;
}

/*
 * Returns the bytes of a bytea, text or json argument, and their number.
 * Text is converted to UTF-8.  A null argument gives NULL and -1.  The bytes
 * may be in the argument itself, so they live as long as that.
 */
const char *
pt_arg_bytes(FunctionCallInfo fcinfo, int n, int32 *len)
{
	struct varlena *v;

	Assert(n >= 0 && n < PG_NARGS());
	*len = -1;
	if (PG_ARGISNULL(n))
		return NULL;
	v = PG_GETARG_VARLENA_PP(n);
	*len = VARSIZE_ANY_EXHDR(v);
	if (GetDatabaseEncoding() != PG_UTF8 && get_fn_expr_argtype(fcinfo->flinfo, n) != BYTEAOID)
		return as_utf8(VARDATA_ANY(v), len);
	return VARDATA_ANY(v);
}

/*
 * Returns the text of a jsonb argument, in UTF-8 and palloc'd.  A null
 * argument gives NULL and -1.
 */
const char *
pt_arg_jsonb(FunctionCallInfo fcinfo, int n, int32 *len)
{
	Jsonb	   *jb;
	char	   *s;

	Assert(n >= 0 && n < PG_NARGS());
	*len = -1;
	if (PG_ARGISNULL(n))
		return NULL;
	jb = PG_GETARG_JSONB_P(n);
	s = JsonbToCString(NULL, &jb->root, VARSIZE(jb));
	*len = strlen(s);
	return as_utf8(s, len);
}

/*
 * Returns a text argument as a C string.  It must not be null: the function
 * is STRICT, or pt_arg_required() has checked that.
 */
char *
pt_arg_cstring(FunctionCallInfo fcinfo, int n)
{
	Assert(n >= 0 && n < PG_NARGS());
	Assert(!PG_ARGISNULL(n));
	return text_to_cstring(PG_GETARG_TEXT_PP(n));
}

/*
 * ERROR 22004 if the argument is null; "name" is its name for users.
 */
void
pt_arg_required(FunctionCallInfo fcinfo, int n, const char *name)
{
	Assert(n >= 0 && n < PG_NARGS());
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
}

/*
 * Returns the topic that an argument names; ERROR if it is null or if there
 * is no such topic.  The result belongs to the cache: it is valid until the
 * next look-up, see topic.h.
 */
const PtTopic *
pt_arg_topic(FunctionCallInfo fcinfo, int n)
{
	pt_arg_required(fcinfo, n, "topic");
	return pt_topic_expect_name(PG_GETARG_TOPIC(n));
}

/*
 * Returns the time when a wait has to end: now plus the interval in the
 * argument; a null interval is zero.  Now is the clock, not the start of the
 * transaction.
 */
TimestampTz
pt_arg_deadline(FunctionCallInfo fcinfo, int n)
{
	Assert(n >= 0 && n < PG_NARGS());
	if (PG_ARGISNULL(n))
		return GetCurrentTimestamp();
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(GetCurrentTimestamp()),
												   PG_GETARG_DATUM(n)));
}

/*
 * Opens a partition of a topic that was just looked up; ERROR if the topic
 * has none of that number.  The lock stays to the end of the transaction,
 * unless the caller closes the partition with it.
 *
 * Returns NULL if the table was dropped while we waited for the lock.
 * Getting the lock has processed the invalidation, so the caller can look the
 * topic up again and finds what has replaced it.
 */
Relation
pt_try_partition(const PtTopic *topic, int32 number, LOCKMODE lockmode)
{
	Assert(lockmode != NoLock);
	CHECK_FOR_INTERRUPTS();
	if (number < 0 || number >= topic->npartitions || !OidIsValid(topic->leaves[number]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" has no partition %d", topic->name, number)));
	return try_relation_open(topic->leaves[number], lockmode);
}

/*
 * Opens a partition of a topic by the OID of the topic's table; ERROR if
 * there is none of that number, or if the topic was dropped.
 */
Relation
pt_open_partition(Oid relid, int32 number, LOCKMODE lockmode)
{
	Relation	rel;

	Assert(OidIsValid(relid));
	while ((rel = pt_try_partition(pt_topic_expect(relid), number, lockmode)) == NULL)
		;
	return rel;
}

/*
 * Returns a group id in UTF-8, as Kafka clients know it; ERROR if it is null
 * or empty.
 */
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
 * Returns a copy of the topic of that name, in the current memory context; it
 * stays valid whatever happens to the cache.  ERROR if there is none, or if
 * the user may not read it.
 */
PtTopic *
pt_func_topic(PtString name)
{
	const PtTopic *topic = pt_topic_expect_name(name);
	Oid			relid = topic->relid;

	Assert(OidIsValid(relid));
	pt_topic_check_access(topic, ACL_SELECT);
	return pt_topic_copy(pt_topic_expect(relid));
}

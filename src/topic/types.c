/*-------------------------------------------------------------------------
 *
 * types.c
 *	  The types topic and partition.
 *
 * A topic is the OID of its table and reads and prints as its Kafka name, as
 * regclass does for relations.  The name is looked up in the schema of topics
 * and not along search_path, so that it means the same to everyone.  Where a
 * name consists of digits the topic of that name is meant, else it is an OID;
 * a topic that was dropped prints its OID.
 *
 * A partition is a topic and a number and reads and prints as "orders:3".
 *
 * Comparison, hashing and sorting of topics are those of OIDs; the SQL script
 * binds them to the server's own functions.
 *
 * Siblings: types.h has the layouts, headers.c the third type.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "topic/internal.h"
#include "topic/types.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(pt_topic_in);
PG_FUNCTION_INFO_V1(pt_topic_out);
PG_FUNCTION_INFO_V1(pt_topic_recv);
PG_FUNCTION_INFO_V1(pt_topic_send);
PG_FUNCTION_INFO_V1(pt_topic_from_text);
PG_FUNCTION_INFO_V1(pt_topic_from_regclass);
PG_FUNCTION_INFO_V1(pt_partition_in);
PG_FUNCTION_INFO_V1(pt_partition_out);
PG_FUNCTION_INFO_V1(pt_partition_recv);
PG_FUNCTION_INFO_V1(pt_partition_send);
PG_FUNCTION_INFO_V1(pt_partition_make);
PG_FUNCTION_INFO_V1(pt_partition_topic);
PG_FUNCTION_INFO_V1(pt_partition_number);
PG_FUNCTION_INFO_V1(pt_partition_eq);
PG_FUNCTION_INFO_V1(pt_partition_ne);
PG_FUNCTION_INFO_V1(pt_partition_lt);
PG_FUNCTION_INFO_V1(pt_partition_le);
PG_FUNCTION_INFO_V1(pt_partition_gt);
PG_FUNCTION_INFO_V1(pt_partition_ge);
PG_FUNCTION_INFO_V1(pt_partition_cmp);
PG_FUNCTION_INFO_V1(pt_partition_hash);
PG_FUNCTION_INFO_V1(pt_partition_hash_extended);

void
pt_topic_not_found(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("topic \"%s\" does not exist", name),
			 errhint("Use create_topic() to create it.")));
}

const PtTopic *
pt_topic_expect(Oid relid)
{
	const PtTopic *topic = pt_topic_by_oid(relid);

	if (topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("topic with OID %u does not exist", relid),
				 errhint("It may have been dropped since the statement was prepared.")));
	return topic;
}

/* A number that an OID could be. */
static bool
parse_oid(const char *s, Oid *oid)
{
	unsigned long value;
	char	   *end;

	if (*s == '\0' || strspn(s, "0123456789") != strlen(s))
		return false;
	errno = 0;
	value = strtoul(s, &end, 10);
	if (errno != 0 || value > PG_UINT32_MAX)
		return false;
	*oid = (Oid) value;
	return true;
}

/*
 * A name before a number, so that what topic_out prints reads back as the same
 * topic.
 */
static Oid
topic_from_name(const char *name)
{
	const PtTopic *topic = pt_topic_by_name(name);
	Oid			oid;

	if (topic)
		return topic->relid;
	if (!parse_oid(name, &oid))
		pt_topic_not_found(name);
	return oid;
}

/* Never fails: a value may outlive its topic. */
static char *
topic_to_name(Oid relid)
{
	const PtTopic *topic = pt_topic_by_oid(relid);

	return topic ? pstrdup(topic->name) : psprintf("%u", relid);
}

Datum
pt_topic_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(topic_from_name(PG_GETARG_CSTRING(0)));
}

Datum
pt_topic_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(topic_to_name(PG_GETARG_OID(0)));
}

Datum
pt_topic_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);

	PG_RETURN_OID((Oid) pq_getmsgint(buf, sizeof(Oid)));
}

Datum
pt_topic_send(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, PG_GETARG_OID(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
pt_topic_from_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(topic_from_name(text_to_cstring(PG_GETARG_TEXT_PP(0))));
}

/* A table that is no topic is refused; one that is gone stays a number. */
Datum
pt_topic_from_regclass(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	const char *relname = get_rel_name(relid);

	if (relname != NULL && pt_topic_by_oid(relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s\" is not a topic", relname)));
	PG_RETURN_OID(relid);
}

static void
bad_partition(const char *s)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"", "partition", s),
			 errhint("A partition is written as topic:number, for example orders:3.")));
}

Datum
pt_partition_in(PG_FUNCTION_ARGS)
{
	const char *s = PG_GETARG_CSTRING(0);
	const char *colon = strrchr(s, ':');
	Oid			number;

	if (colon == NULL || colon == s || !parse_oid(colon + 1, &number) || number > PG_INT32_MAX)
		bad_partition(s);
	PG_RETURN_DATUM(pt_partition_datum(topic_from_name(pnstrdup(s, colon - s)), (int32) number));
}

Datum
pt_partition_out(PG_FUNCTION_ARGS)
{
	PtPartition *p = PG_GETARG_PARTITION(0);

	PG_RETURN_CSTRING(psprintf("%s:%d", topic_to_name(p->topic), p->number));
}

Datum
pt_partition_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	Oid			topic = (Oid) pq_getmsgint(buf, 4);
	int32		number = (int32) pq_getmsgint(buf, 4);

	if (number < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid partition number: %d", number)));
	PG_RETURN_DATUM(pt_partition_datum(topic, number));
}

Datum
pt_partition_send(PG_FUNCTION_ARGS)
{
	PtPartition *p = PG_GETARG_PARTITION(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, p->topic);
	pq_sendint32(&buf, p->number);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
pt_partition_make(PG_FUNCTION_ARGS)
{
	int32		number = PG_GETARG_INT32(1);

	if (number < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid partition number: %d", number)));
	PG_RETURN_DATUM(pt_partition_datum(PG_GETARG_OID(0), number));
}

Datum
pt_partition_topic(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(PG_GETARG_PARTITION(0)->topic);
}

Datum
pt_partition_number(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_GETARG_PARTITION(0)->number);
}

/* By the topic's OID, then by number. */
static int
compare(FunctionCallInfo fcinfo)
{
	PtPartition *a = PG_GETARG_PARTITION(0);
	PtPartition *b = PG_GETARG_PARTITION(1);

	if (a->topic != b->topic)
		return a->topic < b->topic ? -1 : 1;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return 0;
}

Datum
pt_partition_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

Datum
pt_partition_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

Datum
pt_partition_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
pt_partition_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
pt_partition_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
pt_partition_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
pt_partition_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}

Datum
pt_partition_hash(PG_FUNCTION_ARGS)
{
	return hash_any((const unsigned char *) PG_GETARG_PARTITION(0), sizeof(PtPartition));
}

Datum
pt_partition_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_any_extended((const unsigned char *) PG_GETARG_PARTITION(0), sizeof(PtPartition),
							 PG_GETARG_INT64(1));
}

/*-------------------------------------------------------------------------
 *
 * types.c
 *	  The types topic and partition.
 *
 * Both contain names, so a value means the topic that has the name when the
 * value is used: in a dump that is restored elsewhere, in a statement or a
 * view that was made before the topic was dropped and made again. (A topic
 * cannot be renamed.) Input functions check the form only; functions look up
 * the topic when they run, which the cache makes cheap.
 *
 * A topic has the bytes of its name, as a text would.  A partition has the
 * name, a NUL and the number, big-endian.  No name has a NUL and no number is
 * negative, so the bytes sort by name and then by number, and the server's
 * functions for bytea compare and hash both types.
 *
 * Siblings: types.h has the accessors, headers.c the third type.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
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
PG_FUNCTION_INFO_V1(pt_topic_to_regclass);
PG_FUNCTION_INFO_V1(pt_partition_in);
PG_FUNCTION_INFO_V1(pt_partition_out);
PG_FUNCTION_INFO_V1(pt_partition_recv);
PG_FUNCTION_INFO_V1(pt_partition_send);
PG_FUNCTION_INFO_V1(pt_partition_make);
PG_FUNCTION_INFO_V1(pt_partition_topic);
PG_FUNCTION_INFO_V1(pt_partition_number);

/* Number of bytes behind the name of a partition. */
#define PARTITION_TAIL	(1 + (int) sizeof(uint32))

/*
 * Look-ups
 */

/*
 * ERROR 42P01 for a topic that does not exist.
 */
static void
topic_not_found(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("topic \"%s\" does not exist", name),
			 errhint("Use create_topic() to create it.")));
}

/*
 * Returns the topic of that name, as a value has it; ERROR 42P01 if there is
 * none.
 */
const PtTopic *
pt_topic_expect_name(PtString name)
{
	static Oid	last;			/* often the same is asked for again */
	const PtTopic *topic = pt_topic_by_oid(last);

	if (likely(topic != NULL && pt_string_equal(name, pt_string_of(topic->name))))
		return topic;
	topic = pt_topic_by_string(name);
	if (topic == NULL)
		topic_not_found(pnstrdup(name.data, name.len));
	last = topic->relid;
	return topic;
}

/*
 * Returns a topic that existed a moment ago; ERROR 42P01 if it was dropped
 * meanwhile.
 */
const PtTopic *
pt_topic_expect(Oid relid)
{
	const PtTopic *topic = pt_topic_by_oid(relid);

	if (topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("topic with OID %u does not exist", relid),
				 errdetail("It has been dropped meanwhile.")));
	return topic;
}

/*
 * Values
 */

/*
 * Makes a value of type topic.
 */
static Datum
form_topic(const char *name, size_t len)
{
	return PointerGetDatum(cstring_to_text_with_len(name, (int) len));
}

/*
 * Makes a value of type topic, in the current memory context.
 */
Datum
pt_topic_datum(const char *name)
{
	Assert(pt_topic_name_check(name) == NULL);
	return form_topic(name, strlen(name));
}

/*
 * Returns the name in a topic, which is valid as long as the value.
 */
PtString
pt_datum_topic(Datum datum)
{
	struct varlena *v = PG_DETOAST_DATUM_PACKED(datum);

	return (PtString)
	{
		VARDATA_ANY(v), (int32) VARSIZE_ANY_EXHDR(v)
	};
}

/*
 * Makes a value of type partition, in the current memory context.
 */
Datum
pt_partition_datum(PtString topic, int32 number)
{
	int			size = VARHDRSZ + topic.len + PARTITION_TAIL;
	struct varlena *v = palloc(size);
	char	   *at = VARDATA(v);
	uint32		big_endian = pg_hton32((uint32) number);

	Assert(topic.len > 0 && number >= 0);
	SET_VARSIZE(v, size);
	(void) pt_string_put(&at, topic);
	*at++ = '\0';
	memcpy(at, &big_endian, sizeof(big_endian));
	return PointerGetDatum(v);
}

/*
 * Returns name and number of a partition.  The name is valid as long as the
 * value.
 */
PtPartition
pt_datum_partition(Datum datum)
{
	struct varlena *v = PG_DETOAST_DATUM_PACKED(datum);
	int32		name_len = (int32) VARSIZE_ANY_EXHDR(v) - PARTITION_TAIL;
	PtPartition p = {{VARDATA_ANY(v), name_len}};
	uint32		big_endian;

	Assert(name_len > 0 && p.topic.data[name_len] == '\0');
	memcpy(&big_endian, p.topic.data + name_len + 1, sizeof(big_endian));
	p.number = (int32) pg_ntoh32(big_endian);
	return p;
}

/*
 * The type topic
 */

/*
 * Returns true if it could be the name of a topic.  Otherwise ERROR, or false
 * if escontext collects errors.
 */
static bool
check_name(const char *name, int sqlstate, Node *escontext)
{
	const char *problem = pt_topic_name_check(name);

	if (problem)
		ereturn(escontext, false,
				(errcode(sqlstate),
				 errmsg("invalid topic name: \"%s\"", name),
				 errdetail_internal("%s", problem)));
	return true;
}

/* Input function */
Datum
pt_topic_in(PG_FUNCTION_ARGS)
{
	const char *name = PG_GETARG_CSTRING(0);

	if (!check_name(name, ERRCODE_INVALID_TEXT_REPRESENTATION, fcinfo->context))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(pt_topic_datum(name));
}

/* Output function */
Datum
pt_topic_out(PG_FUNCTION_ARGS)
{
	PtString	name = pt_datum_topic(PG_GETARG_DATUM(0));

	PG_RETURN_CSTRING(pnstrdup(name.data, name.len));
}

/* Cast from text */
Datum
pt_topic_from_text(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	(void) check_name(name, ERRCODE_INVALID_TEXT_REPRESENTATION, NULL);
	PG_RETURN_DATUM(pt_topic_datum(name));
}

/*
 * Reads the rest of a message as a name.
 */
static char *
receive_name(StringInfo buf)
{
	int			len;
	char	   *name = pq_getmsgtext(buf, buf->len - buf->cursor, &len);

	if (strlen(name) != len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid topic name: it has a NUL in it")));
	(void) check_name(name, ERRCODE_INVALID_BINARY_REPRESENTATION, NULL);
	return name;
}

/* Receive function: the name */
Datum
pt_topic_recv(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(pt_topic_datum(receive_name((StringInfo) PG_GETARG_POINTER(0))));
}

/*
 * Appends a name to a message.
 */
static void
send_name(StringInfo buf, PtString name)
{
	pq_sendtext(buf, name.data, name.len);
}

/* Send function: the name */
Datum
pt_topic_send(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	send_name(&buf, pt_datum_topic(PG_GETARG_DATUM(0)));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * Cast from regclass: the topic whose table it is.
 */
Datum
pt_topic_from_regclass(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	const PtTopic *topic = pt_topic_by_oid(relid);
	const char *relname;

	if (topic != NULL)
		PG_RETURN_DATUM(pt_topic_datum(topic->name));
	relname = get_rel_name(relid);
	if (relname == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("relation \"%s\" is not a topic", relname)));
	pg_unreachable();
}

/*
 * Cast to regclass; ERROR if there is no such topic.
 */
Datum
pt_topic_to_regclass(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(pt_topic_expect_name(PG_GETARG_TOPIC(0))->relid);
}

/*
 * The type partition
 */

/*
 * Parses digits that fit an int32.
 */
static bool
parse_number(const char *s, int32 *number)
{
	unsigned long value;

	if (*s == '\0' || strspn(s, "0123456789") != strlen(s))
		return false;
	errno = 0;
	value = strtoul(s, NULL, 10);
	if (errno != 0 || value > PG_INT32_MAX)
		return false;
	*number = (int32) value;
	return true;
}

/* Input function: topic:number */
Datum
pt_partition_in(PG_FUNCTION_ARGS)
{
	const char *s = PG_GETARG_CSTRING(0);
	const char *colon = strrchr(s, ':');
	char	   *name = colon ? pnstrdup(s, colon - s) : NULL;
	int32		number;

	if (name == NULL || pt_topic_name_check(name) != NULL || !parse_number(colon + 1, &number))
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", "partition", s),
				 errhint("A partition is written as topic:number, for example orders:3.")));
	PG_RETURN_DATUM(pt_partition_datum(pt_string_of(name), number));
}

/* Output function */
Datum
pt_partition_out(PG_FUNCTION_ARGS)
{
	PtPartition p = PG_GETARG_PARTITION(0);

	PG_RETURN_CSTRING(psprintf("%.*s:%d", p.topic.len, p.topic.data, p.number));
}

/*
 * ERROR for a negative number.
 */
static void
check_number(int32 number, int sqlstate)
{
	if (number < 0)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("invalid partition number: %d", number)));
}

/* Receive function: the number, then the name */
Datum
pt_partition_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		number = (int32) pq_getmsgint(buf, 4);

	check_number(number, ERRCODE_INVALID_BINARY_REPRESENTATION);
	PG_RETURN_DATUM(pt_partition_datum(pt_string_of(receive_name(buf)), number));
}

/* Send function */
Datum
pt_partition_send(PG_FUNCTION_ARGS)
{
	PtPartition p = PG_GETARG_PARTITION(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, p.number);
	send_name(&buf, p.topic);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* partition(topic, number) */
Datum
pt_partition_make(PG_FUNCTION_ARGS)
{
	int32		number = PG_GETARG_INT32(1);

	check_number(number, ERRCODE_INVALID_PARAMETER_VALUE);
	PG_RETURN_DATUM(pt_partition_datum(PG_GETARG_TOPIC(0), number));
}

/* topic(partition) */
Datum
pt_partition_topic(PG_FUNCTION_ARGS)
{
	PtString	name = PG_GETARG_PARTITION(0).topic;

	PG_RETURN_DATUM(form_topic(name.data, name.len));
}

/* number(partition) */
Datum
pt_partition_number(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_GETARG_PARTITION(0).number);
}

/*-------------------------------------------------------------------------
 *
 * produce.c
 *	  produce(), which adds a record to a topic when the transaction commits,
 *	  and append(), which adds it at once and returns its offset.
 *
 * The SQL script declares both for several types of key and value.  All have
 * the same argument numbers, and only jsonb needs code of its own.
 *
 * Both bypass the executor if it would only pass the row to the access method;
 * this makes one produce() per transaction fast.  A topic with row triggers or
 * constraints gets a real INSERT.
 *
 * Siblings: args.c, choose.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "func/func.h"
#include "topic/leaf.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(pt_produce);
PG_FUNCTION_INFO_V1(pt_produce_jsonb);
PG_FUNCTION_INFO_V1(pt_append_record);
PG_FUNCTION_INFO_V1(pt_append_record_jsonb);
PG_FUNCTION_INFO_V1(pt_next_partition);

/* Reads an argument as bytes: pt_arg_bytes or pt_arg_jsonb. */
typedef const char *(*ValueReader) (FunctionCallInfo fcinfo, int n, int32 *len);

/* Argument numbers that produce() and append() have in common. */
#define ARG_VALUE		1
#define ARG_KEY			2
#define ARG_HEADERS		3

/*
 * Reads key, value and headers from the arguments.  The bytes stay where they
 * are.
 */
static void
read_row(FunctionCallInfo fcinfo, ValueReader read_value, PtRecord *row)
{
	memset(row, 0, sizeof(*row));
	row->offset = -1;
	row->value = read_value(fcinfo, ARG_VALUE, &row->value_len);
	row->key = pt_arg_bytes(fcinfo, ARG_KEY, &row->key_len);
	Assert(row->value_len >= -1 && row->key_len >= -1);
	if (!PG_ARGISNULL(ARG_HEADERS))
	{
		PtHeaders  *h = PG_GETARG_HEADERS_P(ARG_HEADERS);

		if (h->count > 0)
		{
			row->headers = h->data;
			row->headers_len = pt_headers_len(h);
			row->header_count = h->count;
		}
	}
}

/*
 * Returns the timestamp argument in ms; ERROR if the topic does not allow it.
 * A null argument means now(), which needs no check.
 */
static int64
read_timestamp(FunctionCallInfo fcinfo, int n, const PtTopicConfig *config)
{
	TimestampTz start = GetCurrentTransactionStartTimestamp();
	TimestampTz given = PG_ARGISNULL(n) ? start : PG_GETARG_TIMESTAMPTZ(n);
	int64		ms = pt_timestamptz_to_ms(given);
	int64		now_ms;

	Assert(n >= 0 && n < PG_NARGS());
	if (given == start || config->log_append_time)
		return ms;
	now_ms = pt_timestamptz_to_ms(GetCurrentTimestamp());
	if (ms < 0 ||
		(ms < now_ms && now_ms - ms > config->timestamp_before_max_ms) ||
		(ms > now_ms && ms - now_ms > config->timestamp_after_max_ms))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timestamp of a record is out of the range that the topic allows"),
				 errdetail("A timestamp may be " INT64_FORMAT " ms behind and " INT64_FORMAT " ms ahead of the clock.",
						   config->timestamp_before_max_ms, config->timestamp_after_max_ms),
				 errhint("The topic's configs message.timestamp.before.max.ms and message.timestamp.after.max.ms say so.")));
	return ms;
}

/*
 * Returns the bytes as a bytea; 0 for NULL.
 */
static Datum
bytes_datum(const char *data, int32 len)
{
	return data ? PointerGetDatum(cstring_to_text_with_len(data, len)) : (Datum) 0;
}

/*
 * Inserts the row into the topic's table by an INSERT, for topics with
 * triggers or constraints.
 */
static void
insert_row(Oid topic, int32 number, const PtRecord *row)
{
	Oid			types[PT_COLUMNS] = {INT4OID, INT8OID, TIMESTAMPTZOID, BYTEAOID, BYTEAOID, pt_type_headers()};
	Datum		values[PT_COLUMNS];
	char		nulls[PT_COLUMNS];
	const char *sql = psprintf("INSERT INTO %s (partition, \"offset\", \"timestamp\", key, value, headers) "
							   "VALUES ($1, $2, $3, $4, $5, $6)",
							   quote_qualified_identifier(get_namespace_name(get_rel_namespace(topic)),
														  get_rel_name(topic)));

	Assert(OidIsValid(topic) && number >= 0);
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int32GetDatum(number);
	values[1] = Int64GetDatum(row->offset);
	nulls[1] = row->offset < 0 ? 'n' : ' ';
	values[2] = TimestampTzGetDatum(pt_ms_to_timestamptz(row->timestamp));
	values[3] = bytes_datum(row->key, row->key_len);
	nulls[3] = row->key ? ' ' : 'n';
	values[4] = bytes_datum(row->value, row->value_len);
	nulls[4] = row->value ? ' ' : 'n';
	values[5] = row->headers ?
		PointerGetDatum(pt_headers_form(row->headers, row->headers_len, row->header_count)) : (Datum) 0;
	nulls[5] = row->headers ? ' ' : 'n';

	SPI_connect();
	if (SPI_execute_with_args(sql, PT_COLUMNS, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into topic");
	SPI_finish();
}

/*
 * ERROR on a standby, in a read-only transaction and in a parallel worker.
 */
static void
forbid_where_read_only(const char *function)
{
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
}

/* The partition to which a row goes. */
typedef struct Target
{
	PtString	name;			/* of the topic */
	bool		choose;			/* choose the partition, by the row's key */
	int32		number;			/* of the partition */
	Oid			topic;			/* OID of the topic's table */
	Relation	leaf;			/* the partition's table, open */
	bool		slow;			/* needs an INSERT, because it has triggers or
								 * constraints */
} Target;

/*
 * Opens the partition to which a row goes, and sets the row's timestamp from
 * argument n, unless there are no arguments.  The caller closes target->leaf
 * and keeps its lock, RowExclusiveLock, to the end of the transaction.
 *
 * A topic that is dropped and made again while we wait for the lock is looked
 * up again, as a table would be.
 */
static void
open_target(Target *target, FunctionCallInfo fcinfo, int n, PtRecord *row)
{
	do
	{
		/* valid until the next look-up */
		const PtTopic *topic = pt_topic_expect_name(target->name);

		pt_topic_check_access(topic, ACL_INSERT);
		if (fcinfo != NULL)
			row->timestamp = read_timestamp(fcinfo, n, &topic->config);
		if (target->choose)
			target->number = pt_choose_partition(topic, row->key, row->key_len);
		target->topic = topic->relid;
		target->leaf = pt_try_partition(topic, target->number, RowExclusiveLock);
		target->slow = topic->has_triggers;
	} while (unlikely(target->leaf == NULL));
	Assert(target->number >= 0);
	target->slow |= pt_leaf_needs_executor(target->leaf);
}

/*
 * The row waits in the transaction, or is inserted; closes the partition.
 */
static void
put_row(Target *target, const PtRecord *row)
{
	if (unlikely(target->slow))
		insert_row(target->topic, target->number, row);
	else
		pt_pending_add(target->leaf, row, NULL);
	relation_close(target->leaf, NoLock);
}

/*
 * Produces a record for a worker, in the partition that its key says.  Its
 * timestamp is that of what it tells of; one that is ahead of the clock would
 * hold up retention, and becomes now.  Returns false if there is no such
 * topic; ERROR 42501 if the user may not write to it.
 */
bool
pt_func_produce(PtString topic, PtRecord *row)
{
	Target		target = {.name = topic,.choose = true};
	int64		now_ms = pt_timestamptz_to_ms(GetCurrentTimestamp());

	if (pt_topic_by_string(topic) == NULL)
		return false;
	row->timestamp = Min(row->timestamp, now_ms);
	open_target(&target, NULL, 0, row);
	put_row(&target, row);
	return true;
}

/*
 * produce(topic, value, key, headers, partition, timestamp): the record waits
 * in the transaction and is appended when it commits.  Returns the partition.
 */
static Datum
produce(FunctionCallInfo fcinfo, ValueReader read_value)
{
	Target		target = {.choose = PG_ARGISNULL(4)};
	PtRecord	row;

	pt_arg_required(fcinfo, 0, "topic");
	forbid_where_read_only("produce()");
	target.name = PG_GETARG_TOPIC(0);
	if (!target.choose)
		target.number = PG_GETARG_INT32(4);
	read_row(fcinfo, read_value, &row);
	open_target(&target, fcinfo, 5, &row);
	put_row(&target, &row);
	PG_RETURN_DATUM(pt_partition_datum(target.name, target.number));
}

/*
 * produce() with a bytea, text or json value.
 */
Datum
pt_produce(PG_FUNCTION_ARGS)
{
	return produce(fcinfo, pt_arg_bytes);
}

/*
 * produce() with a jsonb value.
 */
Datum
pt_produce_jsonb(PG_FUNCTION_ARGS)
{
	return produce(fcinfo, pt_arg_jsonb);
}

/*
 * Appends a row by an INSERT at the next offset, and returns that.  Takes the
 * append lock, which is held to the end of the transaction.  "expected" is -1
 * or the offset that must be next; ERROR 40001 if it is not.
 */
static int64
append_slowly(Relation rel, Oid topic, int32 number, PtRecord *row, int64 expected)
{
	Oid			leaf = RelationGetRelid(rel);

	Assert(OidIsValid(leaf) && expected >= -1);
	pt_pending_append(leaf);
	(void) pt_append_lock(leaf, PT_LOCK_WAIT);
	row->offset = pt_append_next_offset(rel, pt_state_get(rel));
	if (expected >= 0 && row->offset != expected)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("next offset of \"%s\" is %lld, not %lld", RelationGetRelationName(rel),
						(long long) row->offset, (long long) expected),
				 errhint("Somebody else has appended meanwhile. Read what is new and try again.")));
	insert_row(topic, number, row);
	pt_pending_append(leaf);
	Assert(row->offset >= 0);
	return row->offset;
}

/*
 * Returns expected_offset, or -1 for null; ERROR if it is negative.
 */
static int64
read_expected(FunctionCallInfo fcinfo, int n)
{
	int64		expected = PG_ARGISNULL(n) ? -1 : PG_GETARG_INT64(n);

	if (!PG_ARGISNULL(n) && expected < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid expected_offset: %lld", (long long) expected)));
	return expected;
}

/*
 * append(partition, value, key, headers, timestamp, expected_offset): appends
 * the record at once and returns its offset.
 */
static Datum
append(FunctionCallInfo fcinfo, ValueReader read_value)
{
	Target		target = {0};
	PtPartition p;
	PtRecord	row;
	int64		expected;
	int64		offset;

	pt_arg_required(fcinfo, 0, "partition");
	forbid_where_read_only("append()");
	p = PG_GETARG_PARTITION(0);
	target.name = p.topic;
	target.number = p.number;
	read_row(fcinfo, read_value, &row);
	expected = read_expected(fcinfo, 5);
	open_target(&target, fcinfo, 4, &row);
	if (target.slow)
		offset = append_slowly(target.leaf, target.topic, target.number, &row, expected);
	else
		offset = pt_append_rows(target.leaf, &row, 1, expected);
	Assert(offset >= 0);
	relation_close(target.leaf, NoLock);
	PG_RETURN_INT64(offset);
}

/*
 * append() with a bytea, text or json value.
 */
Datum
pt_append_record(PG_FUNCTION_ARGS)
{
	return append(fcinfo, pt_arg_bytes);
}

/*
 * append() with a jsonb value.
 */
Datum
pt_append_record_jsonb(PG_FUNCTION_ARGS)
{
	return append(fcinfo, pt_arg_jsonb);
}

/*
 * next_partition(topic): the default of the column "partition".  The argument
 * is a text, because a dump writes the default before the topic exists.
 */
Datum
pt_next_partition(PG_FUNCTION_ARGS)
{
	char	   *name = pt_arg_cstring(fcinfo, 0);
	const PtTopic *topic = pt_topic_by_name(name);

	if (topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("topic \"%s\" does not exist", name),
				 errhint("A table that was moved out of the schema of topics, or renamed there, needs another default of the column \"partition\".")));
	PG_RETURN_INT32(pt_choose_partition(topic, NULL, -1));
}

/*-------------------------------------------------------------------------
 *
 * slot.c
 *	  Records into slots and out of them.
 *
 * A stored row takes one chunk of memory: key, value and headers as varlenas,
 * one behind the other.  The bytea and headers types are all we need to
 * know; headers are a count in host order, followed by Kafka's own encoding.
 *
 * The partition number is not in the record.  It is read from the leaf's partition bound,
 * so that it is right for a table that is being restored, before anything says
 * that it belongs to a topic, and follows ATTACH and DETACH.
 *
 * Siblings: rows.c (where rows come from), modify.c (where they go).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "am/slot.h"

#define EPOCH_DIFF_MS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)

/* Partition numbers by relid, until the relcache says that a table has changed. */
typedef struct PartitionEntry
{
	Oid			relid;
	int32		partition;
} PartitionEntry;

static HTAB *partitions;

static void forget_partition(Datum arg, Oid relid);
static int32 read_partition(Oid relid);

/*
 * A log may hold any timestamp that a producer made up; what a timestamptz
 * cannot hold is shown as the nearest one.
 */
TimestampTz
pt_ms_to_timestamptz(int64 ms)
{
	if (ms < MIN_TIMESTAMP / 1000 + EPOCH_DIFF_MS)
		return MIN_TIMESTAMP;
	if (ms >= END_TIMESTAMP / 1000 + EPOCH_DIFF_MS)
		return END_TIMESTAMP - 1000;
	return (ms - EPOCH_DIFF_MS) * 1000;
}

/* Rounds down, so that order is kept also before 2000. */
int64
pt_timestamptz_to_ms(TimestampTz timestamp)
{
	int64		ms = timestamp / 1000;

	Assert(!TIMESTAMP_NOT_FINITE(timestamp));
	if (timestamp % 1000 < 0)
		ms--;
	return ms + EPOCH_DIFF_MS;
}

/* Bytes of a row's varlenas, with their alignment. */
static Size
row_size(const PtRecord *row)
{
	return INTALIGN(VARHDRSZ + (Size) Max(row->key_len, 0)) +
		INTALIGN(VARHDRSZ + (Size) Max(row->value_len, 0)) +
		VARHDRSZ + sizeof(int32) + (Size) Max(row->headers_len, 0);
}

/* Writes a varlena of n bytes at *at and moves *at behind it. */
static Datum
put_varlena(char **at, const char *bytes, int32 n)
{
	char	   *result = *at;

	Assert(n >= 0 && (uintptr_t) result % ALIGNOF_INT == 0);
	SET_VARSIZE(result, VARHDRSZ + n);
	if (n > 0)
		memcpy(VARDATA(result), bytes, n);
	*at += INTALIGN(VARHDRSZ + n);
	return PointerGetDatum(result);
}

/* The last of a row, so nothing has to move behind it. */
static Datum
put_headers(char *at, const PtRecord *row)
{
	Assert(row->header_count > 0 && row->headers_len > 0);
	SET_VARSIZE(at, VARHDRSZ + sizeof(int32) + row->headers_len);
	memcpy(VARDATA(at), &row->header_count, sizeof(int32));
	if (row->headers_len > 0)
		memcpy(VARDATA(at) + sizeof(int32), row->headers, row->headers_len);
	return PointerGetDatum(at);
}

/* Makes the buffer large enough; what was in it is gone. */
static void
reserve(PtRowBuffer *buf, Size size)
{
	Assert(buf->mcxt != NULL);
	if (size <= buf->cap)
		return;
	if (buf->data)
		pfree(buf->data);
	buf->data = NULL;
	buf->cap = 0;
	size = Max(size, 1024);
	buf->data = MemoryContextAllocHuge(buf->mcxt, size + size / 2);
	buf->cap = size + size / 2;
}

/* See slot.h. */
void
pt_slot_store(TupleTableSlot *slot, Relation rel, int32 partition, const PtRecord *row, PtRowBuffer *buf)
{
	Datum	   *values = slot->tts_values - 1;	/* columns count from 1 */
	bool	   *isnull = slot->tts_isnull - 1;
	char	   *at;

	Assert(slot->tts_tupleDescriptor->natts == PT_COLUMNS);
	reserve(buf, row_size(row));
	at = buf->data;
	ExecClearTuple(slot);
	isnull[PT_COL_PARTITION] = partition < 0;
	values[PT_COL_PARTITION] = Int32GetDatum(partition);
	isnull[PT_COL_OFFSET] = row->offset < 0;
	values[PT_COL_OFFSET] = Int64GetDatum(row->offset);
	isnull[PT_COL_TIMESTAMP] = false;
	values[PT_COL_TIMESTAMP] = TimestampTzGetDatum(pt_ms_to_timestamptz(row->timestamp));
	isnull[PT_COL_KEY] = row->key == NULL;
	values[PT_COL_KEY] = row->key ? put_varlena(&at, row->key, row->key_len) : (Datum) 0;
	isnull[PT_COL_VALUE] = row->value == NULL;
	values[PT_COL_VALUE] = row->value ? put_varlena(&at, row->value, row->value_len) : (Datum) 0;
	isnull[PT_COL_HEADERS] = row->header_count == 0;
	values[PT_COL_HEADERS] = row->header_count > 0 ? put_headers(at, row) : (Datum) 0;
	slot->tts_tableOid = RelationGetRelid(rel);
	ExecStoreVirtualTuple(slot);
}

/* See slot.h. */
void
pt_slot_store_copy(TupleTableSlot *slot, Relation rel, int32 partition, const PtRecord *row)
{
	PtRowBuffer buf = {.mcxt = CurrentMemoryContext};

	pt_slot_store(slot, rel, partition, row, &buf);
	ExecMaterializeSlot(slot);
	pfree(buf.data);
}

/* The bytes of a varlena column; NULL and -1 for a null. */
static const char *
get_bytes(Datum value, bool isnull, int32 *len)
{
	struct varlena *bytes;

	if (isnull)
	{
		*len = -1;
		return NULL;
	}
	bytes = PG_DETOAST_DATUM_PACKED(value);
	*len = (int32) VARSIZE_ANY_EXHDR(bytes);
	return VARDATA_ANY(bytes);
}

/* See put_headers. */
static void
get_headers(Datum value, PtRecord *row)
{
	int32		len;
	const char *bytes = get_bytes(value, false, &len);

	Assert(len >= (int32) sizeof(int32));
	memcpy(&row->header_count, bytes, sizeof(int32));
	row->headers = bytes + sizeof(int32);
	row->headers_len = len - (int32) sizeof(int32);
}

/* Milliseconds of a finite timestamp, ERROR for an infinite one. */
static int64
get_timestamp(TimestampTz timestamp)
{
	if (TIMESTAMP_NOT_FINITE(timestamp))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp of a record cannot be infinite")));
	return pt_timestamptz_to_ms(timestamp);
}

/* See slot.h. */
void
pt_slot_read(TupleTableSlot *slot, PtRecord *row)
{
	Datum	   *values;
	bool	   *isnull;

	slot_getallattrs(slot);
	Assert(slot->tts_nvalid == PT_COLUMNS);
	values = slot->tts_values - 1;
	isnull = slot->tts_isnull - 1;
	memset(row, 0, sizeof(*row));
	row->offset = isnull[PT_COL_OFFSET] ? -1 : DatumGetInt64(values[PT_COL_OFFSET]);
	if (!isnull[PT_COL_OFFSET] && row->offset < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("offset %lld is negative", (long long) row->offset),
				 errhint("Leave the offset out (or null) to have it assigned when the transaction commits.")));
	row->timestamp = get_timestamp(isnull[PT_COL_TIMESTAMP] ? GetCurrentTransactionStartTimestamp() :
								   DatumGetTimestampTz(values[PT_COL_TIMESTAMP]));
	row->key = get_bytes(values[PT_COL_KEY], isnull[PT_COL_KEY], &row->key_len);
	row->value = get_bytes(values[PT_COL_VALUE], isnull[PT_COL_VALUE], &row->value_len);
	if (!isnull[PT_COL_HEADERS])
		get_headers(values[PT_COL_HEADERS], row);
}

/* See slot.h.  Needs a transaction. */
int32
pt_rel_partition(Relation rel)
{
	PartitionEntry *entry;
	Oid			relid = RelationGetRelid(rel);
	int32		partition;

	if (!rel->rd_rel->relispartition)
		return PT_NO_PARTITION;
	if (partitions == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(PartitionEntry)};

		partitions = hash_create("pgtopic partition numbers", 64, &ctl, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(forget_partition, (Datum) 0);
	}
	entry = hash_search(partitions, &relid, HASH_FIND, NULL);
	if (entry)
		return entry->partition;
	partition = read_partition(relid);	/* may process invalidations */
	entry = hash_search(partitions, &relid, HASH_ENTER, NULL);
	entry->partition = partition;
	return partition;
}

/* Relcache callback: forgets one table, or all (InvalidOid). */
static void
forget_partition(Datum arg, Oid relid)
{
	if (OidIsValid(relid))
		(void) hash_search(partitions, &relid, HASH_REMOVE, NULL);
	else
	{
		HASH_SEQ_STATUS scan;
		PartitionEntry *entry;

		hash_seq_init(&scan, partitions);
		while ((entry = hash_seq_search(&scan)) != NULL)
			(void) hash_search(partitions, &entry->relid, HASH_REMOVE, NULL);
	}
}

/* The one integer of a list partition's bound. */
static int32
read_partition(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int32		result = PT_NO_PARTITION;
	Datum		bound;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	bound = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &isnull);
	if (!isnull)
	{
		PartitionBoundSpec *spec = castNode(PartitionBoundSpec, stringToNode(TextDatumGetCString(bound)));

		if (spec->strategy == PARTITION_STRATEGY_LIST && list_length(spec->listdatums) == 1)
		{
			Const	   *value = linitial_node(Const, spec->listdatums);

			if (!value->constisnull && value->consttype == INT4OID)
				result = DatumGetInt32(value->constvalue);
		}
	}
	ReleaseSysCache(tuple);
	return result;
}

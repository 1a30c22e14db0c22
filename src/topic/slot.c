/*-------------------------------------------------------------------------
 *
 * slot.c
 *	  Converts records to tuple slots and back.
 *
 * A stored row takes one chunk of memory: key, value and headers as varlenas,
 * one behind the other. bytea and headers are the only types that matter; a
 * headers value is a count in host order and the headers in Kafka's encoding.
 *
 * The partition number is not in the record; leaf.c has it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "topic/slot.h"
#include "topic/timestamp.h"

/*
 * Returns the size of a row's varlenas, with alignment.
 */
static Size
row_size(const PtRecord *row)
{
	return INTALIGN(VARHDRSZ + (Size) Max(row->key_len, 0)) +
		INTALIGN(VARHDRSZ + (Size) Max(row->value_len, 0)) +
		VARHDRSZ + sizeof(int32) + (Size) Max(row->headers_len, 0);
}

/*
 * Writes a varlena of n bytes at *at, and moves *at behind it.
 */
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

/*
 * Writes the headers, which are the last part of a row.
 */
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

/*
 * Makes the buffer large enough.  Its contents are lost.
 */
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

/*
 * Stores a row in a slot.  The values point into the buffer until the next
 * store with that buffer.  A negative offset or partition number becomes
 * null.
 */
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
	values[PT_COL_TIMESTAMP] = pt_timestamp_datum(row->timestamp, &isnull[PT_COL_TIMESTAMP]);
	isnull[PT_COL_KEY] = row->key == NULL;
	values[PT_COL_KEY] = row->key ? put_varlena(&at, row->key, row->key_len) : (Datum) 0;
	isnull[PT_COL_VALUE] = row->value == NULL;
	values[PT_COL_VALUE] = row->value ? put_varlena(&at, row->value, row->value_len) : (Datum) 0;
	isnull[PT_COL_HEADERS] = row->header_count == 0;
	values[PT_COL_HEADERS] = row->header_count > 0 ? put_headers(at, row) : (Datum) 0;
	slot->tts_tableOid = RelationGetRelid(rel);
	ExecStoreVirtualTuple(slot);
}

/*
 * The same with memory that the slot owns.
 */
void
pt_slot_store_copy(TupleTableSlot *slot, Relation rel, int32 partition, const PtRecord *row)
{
	PtRowBuffer buf = {.mcxt = CurrentMemoryContext};

	pt_slot_store(slot, rel, partition, row, &buf);
	ExecMaterializeSlot(slot);
	pfree(buf.data);
}

/*
 * Returns the bytes of a varlena column; NULL and -1 for a null.
 */
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

/*
 * Reads what put_headers() has written.
 */
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

/*
 * Reads a row from a slot, to be written.  It points into the slot, or into
 * memory of the current context for values that had to be detoasted.  ERROR
 * for values that a log cannot hold.
 *
 * A null timestamp stays null, so that a dump restores it; the column's
 * default is now().
 */
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
	row->timestamp = isnull[PT_COL_TIMESTAMP] ? PT_NO_TIMESTAMP :
		pt_timestamptz_to_ms(DatumGetTimestampTz(values[PT_COL_TIMESTAMP]));
	row->key = get_bytes(values[PT_COL_KEY], isnull[PT_COL_KEY], &row->key_len);
	row->value = get_bytes(values[PT_COL_VALUE], isnull[PT_COL_VALUE], &row->value_len);
	if (!isnull[PT_COL_HEADERS])
		get_headers(values[PT_COL_HEADERS], row);
}

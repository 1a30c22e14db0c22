/*-------------------------------------------------------------------------
 *
 * tuple.c
 *	  A record of a topic as the tuple that logical decoding shows.
 *
 * Output plugins take tuples apart by the columns of the table, which are
 * fixed (PtColumn in topic/topic.h), so there is no need for a descriptor. The
 * tuple is laid out in place: a row is copied once, from the batch into the
 * change.
 *
 * Siblings: decode.c, ../topic/slot.c (the same for slots).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"

#include "fanout/internal.h"
#include "topic/leaf.h"
#include "topic/timestamp.h"
#include "topic/topic.h"

/* Where the columns begin, with and without the bitmap of nulls. */
#define TUPLE_HOFF		MAXALIGN(SizeofHeapTupleHeader + (PT_COLUMNS + BITS_PER_BYTE - 1) / BITS_PER_BYTE)

StaticAssertDecl(TUPLE_HOFF == MAXALIGN(SizeofHeapTupleHeader), "the bitmap of nulls takes no space");

/* The tuple under construction. */
typedef struct PtTupleMaker
{
	HeapTupleHeader header;
	char	   *at;				/* where the next column goes, unaligned */
} PtTupleMaker;

/*
 * Returns the most bytes that a record's columns can take.
 */
static Size
columns_size_max(const PtRecord *record)
{
	return MAXALIGN(sizeof(int32)) + 2 * sizeof(int64) +
		INTALIGN(VARHDRSZ + (Size) Max(record->key_len, 0)) +
		INTALIGN(VARHDRSZ + (Size) Max(record->value_len, 0)) +
		VARHDRSZ + sizeof(int32) + (Size) Max(record->headers_len, 0);
}

/*
 * The column is not null.
 */
static inline void
set_present(PtTupleMaker *t, PtColumn column)
{
	t->header->t_bits[0] |= 1 << (column - 1);
}

/*
 * Fills up to a boundary of n bytes, with zeros, as who reads the tuple tells
 * padding from a short varlena by them.
 */
static inline void
align_with_zeros(PtTupleMaker *t, uintptr_t n)
{
	while ((uintptr_t) t->at % n != 0)
		*t->at++ = 0;
}

/*
 * Adds a column of fixed length, aligned to it.
 */
static inline void
put_fixed(PtTupleMaker *t, PtColumn column, const void *value, Size size)
{
	align_with_zeros(t, size);
	memcpy(t->at, value, size);
	t->at += size;
	set_present(t, column);
}

/*
 * Begins a column of n bytes with a header of one byte if that can say so,
 * else of four.
 */
static inline void
begin_varlena(PtTupleMaker *t, PtColumn column, Size n)
{
	if (n + VARHDRSZ_SHORT <= VARATT_SHORT_MAX)
	{
		SET_VARSIZE_SHORT(t->at, n + VARHDRSZ_SHORT);
		t->at += VARHDRSZ_SHORT;
	}
	else
	{
		align_with_zeros(t, ALIGNOF_INT);
		SET_VARSIZE(t->at, n + VARHDRSZ);
		t->at += VARHDRSZ;
	}
	set_present(t, column);
	t->header->t_infomask |= HEAP_HASVARWIDTH;
}

static inline void
put_bytes(PtTupleMaker *t, const void *bytes, Size n)
{
	if (n > 0)
		memcpy(t->at, bytes, n);
	t->at += n;
}

/*
 * Writes all columns of a record.
 */
static void
put_columns(PtTupleMaker *t, int32 partition, const PtRecord *record)
{
	bool		isnull;
	Datum		timestamp = pt_timestamp_datum(record->timestamp, &isnull);
	TimestampTz value = isnull ? 0 : DatumGetTimestampTz(timestamp);

	if (partition != PT_NO_PARTITION)
		put_fixed(t, PT_COL_PARTITION, &partition, sizeof(partition));
	put_fixed(t, PT_COL_OFFSET, &record->offset, sizeof(record->offset));
	if (!isnull)
		put_fixed(t, PT_COL_TIMESTAMP, &value, sizeof(value));
	if (record->key != NULL)
	{
		begin_varlena(t, PT_COL_KEY, record->key_len);
		put_bytes(t, record->key, record->key_len);
	}
	if (record->value != NULL)
	{
		begin_varlena(t, PT_COL_VALUE, record->value_len);
		put_bytes(t, record->value, record->value_len);
	}
	if (record->header_count > 0)
	{
		begin_varlena(t, PT_COL_HEADERS, sizeof(int32) + record->headers_len);
		put_bytes(t, &record->header_count, sizeof(int32));
		put_bytes(t, record->headers, record->headers_len);
	}
}

/*
 * Gives the change the record as its new tuple.
 */
void
pt_change_set_record(ReorderBuffer *reorder, ReorderBufferChange *change, int32 partition,
					 const PtRecord *record)
{
	Size		size_max = TUPLE_HOFF + columns_size_max(record);
	HeapTuple	tuple = pt_change_new_tuple(reorder, change, size_max - SizeofHeapTupleHeader);
	PtTupleMaker t = {.header = tuple->t_data,.at = (char *) tuple->t_data + TUPLE_HOFF};

	Assert((uintptr_t) t.at % MAXIMUM_ALIGNOF == 0);
	memset(t.header, 0, TUPLE_HOFF);
	put_columns(&t, partition, record);
	Assert(t.at <= (char *) tuple->t_data + size_max);
	t.header->t_hoff = TUPLE_HOFF;
	HeapTupleHeaderSetNatts(t.header, PT_COLUMNS);
	if (t.header->t_bits[0] != (1 << PT_COLUMNS) - 1)
		t.header->t_infomask |= HEAP_HASNULL;
	ItemPointerSetInvalid(&tuple->t_self);
	tuple->t_tableOid = InvalidOid;
	tuple->t_len = (uint32) (t.at - (char *) tuple->t_data);
}

/*-------------------------------------------------------------------------
 *
 * records.c
 *	  The records inside a batch: one after the other, or all of them checked.
 *
 *	  A record is a varint with the length of its body, and the body:
 *	  attributes (one byte, unused), varlong timestamp delta, varint offset
 *	  delta, varint key length (negative: null), key, varint value length,
 *	  value, varint count of headers, headers.  A header is the same with a
 *	  key that is never null.
 *
 *	  Every record that comes out of here has been checked to its last byte,
 *	  so callers may walk its headers without care.  The number of records is
 *	  the batch header's claim until they have been seen: nothing is allocated
 *	  by it.
 *
 *	  Siblings: batch.c (the header), builder.c (the other direction),
 *	  compress.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/batch.h"

#include "record/compress.h"
#include "record/layout.h"
#include "record/mem.h"
#include "record/varint.h"

/*
 * Reads a length and so many bytes.  As in Kafka, any negative length is
 * null; *len is then -1.  Returns the place behind them, or NULL if they are
 * malformed.
 */
static inline const char *
record_read_bytes(const char *p, const char *end, const char **bytes, int32 *len)
{
	p = pt_varint_read(p, end, len);
	if (unlikely(p == NULL))
		return NULL;
	if (*len < 0)
	{
		*bytes = NULL;
		*len = -1;
		return p;
	}
	if (unlikely(*len > end - p))
		return NULL;
	*bytes = p;
	return p + *len;
}

/*
 * Takes the next header of a record; see batch.h.
 */
bool
pt_header_next(const char **pos, const char *end, PtHeader *header)
{
	const char *p = *pos;

	Assert(p <= end);

	if (p == end)
		return false;
	p = record_read_bytes(p, end, &header->key, &header->key_len);
	if (p == NULL || header->key == NULL)
		return false;
	p = record_read_bytes(p, end, &header->value, &header->value_len);
	if (p == NULL)
		return false;
	*pos = p;
	return true;
}

/*
 * Checks that there are exactly header_count well-formed headers.
 */
static bool
record_headers_valid(const PtRecord *record)
{
	const char *p = record->headers;
	const char *end = p + record->headers_len;
	PtHeader	header;

	/* the loop ends with the bytes, whatever the count */
	for (int32 i = 0; i < record->header_count; i++)
	{
		if (!pt_header_next(&p, end, &header))
			return false;
	}
	return p == end;
}

/*
 * Decodes the body [p, end) of a record.  Returns false if it is malformed.
 */
static inline bool
record_read_body(const char *p, const char *end, const PtBatchHeader *h, PtRecord *record,
				 int32 *offset_delta)
{
	int64		timestamp_delta;

	if (unlikely(p == end))
		return false;
	p++;						/* attributes */
	if ((p = pt_varlong_read(p, end, &timestamp_delta)) == NULL ||
		(p = pt_varint_read(p, end, offset_delta)) == NULL ||
		(p = record_read_bytes(p, end, &record->key, &record->key_len)) == NULL ||
		(p = record_read_bytes(p, end, &record->value, &record->value_len)) == NULL ||
		(p = pt_varint_read(p, end, &record->header_count)) == NULL)
		return false;

	/* numbers of a client may wrap around, but must not overflow */
	record->offset = (int64) ((uint64) h->base_offset + (uint64) (int64) *offset_delta);
	if (h->attributes & PT_BATCH_LOG_APPEND_TIME)
		record->timestamp = h->max_timestamp;
	else
		record->timestamp = (int64) ((uint64) h->base_timestamp + (uint64) timestamp_delta);

	record->headers = p;
	record->headers_len = (int32) (end - p);
	if (likely(record->header_count == 0))
		return p == end;
	return record->header_count > 0 && record_headers_valid(record);
}

/*
 * Reads the next record, without a look at how many are still to come.
 */
static inline PtBatchStatus
record_read(PtRecordIter *it, PtRecord *record, int32 *offset_delta)
{
	int32		body_len;
	const char *p = pt_varint_read(it->pos, it->end, &body_len);

	if (unlikely(p == NULL || body_len < 0 || body_len > it->end - p))
		return PT_BATCH_BAD_RECORD;
	if (unlikely(!record_read_body(p, p + body_len, &it->header, record, offset_delta)))
		return PT_BATCH_BAD_RECORD;
	it->pos = p + body_len;
	return PT_BATCH_OK;
}

/*
 * Begins to iterate; see batch.h.
 */
PtBatchStatus
pt_record_iter_begin(PtRecordIter *it, const char *data, size_t len, size_t max_decompressed)
{
	PtBatchStatus status;
	int			codec;

	memset(it, 0, sizeof(*it));
	status = pt_batch_header_read(data, len, &it->header);
	if (status != PT_BATCH_OK)
		return status;
	if (it->header.magic != PT_BATCH_MAGIC)
		return PT_BATCH_BAD_MAGIC;
	if (it->header.length > len)
		return PT_BATCH_TRUNCATED;
	if (it->header.record_count < 0)
		return PT_BATCH_BAD_COUNT;

	it->pos = data + PT_BATCH_HEADER_SIZE;
	it->end = data + it->header.length;
	codec = it->header.attributes & PT_BATCH_COMPRESSION_MASK;
	if (codec > PT_CODEC_LAST)
		status = PT_BATCH_BAD_CODEC;
	else if (codec != PT_CODEC_NONE)
	{
		size_t		raw_len;

		status = pt_decompress(codec, it->pos, it->end - it->pos, max_decompressed, &it->owned, &raw_len);
		if (status == PT_BATCH_OK)
		{
			it->pos = it->owned;
			it->end = it->owned + raw_len;
		}
	}
	if (status == PT_BATCH_OK)
		it->remaining = it->header.record_count;
	return status;
}

/*
 * Reads the next record; see batch.h.
 */
PtBatchStatus
pt_record_iter_next(PtRecordIter *it, PtRecord *record)
{
	PtBatchStatus status;
	int32		offset_delta;

	if (it->remaining == 0)
		return PT_BATCH_END;
	if (unlikely(it->pos == it->end))
		return PT_BATCH_BAD_COUNT;
	Assert(it->remaining > 0 && it->pos < it->end);

	status = record_read(it, record, &offset_delta);
	if (likely(status == PT_BATCH_OK))
		it->remaining--;
	return status;
}

/*
 * Frees the iterator's memory.  Harmless after a begin that failed, and when
 * called twice.
 */
void
pt_record_iter_end(PtRecordIter *it)
{
	if (it->owned != NULL)
		pfree(it->owned);
	it->owned = NULL;
	it->pos = it->end = NULL;
	it->remaining = 0;
}

/*
 * Checks each record, for pt_batch_verify_records().
 */
static PtBatchStatus
records_verify(PtRecordIter *it, PtRecordsInfo *info)
{
	PtRecord	record;
	int32		offset_delta;

	for (int32 i = 0; i < it->header.record_count; i++)
	{
		PtBatchStatus status;

		if (unlikely(it->pos == it->end))
			return PT_BATCH_BAD_COUNT;
		status = record_read(it, &record, &offset_delta);
		if (unlikely(status != PT_BATCH_OK))
			return status;
		if (unlikely(offset_delta != i))
			return PT_BATCH_BAD_COUNT;
		info->keyless |= record.key == NULL;
		if (i == 0)
			info->min_timestamp = info->max_timestamp = record.timestamp;
		info->min_timestamp = Min(info->min_timestamp, record.timestamp);
		info->max_timestamp = Max(info->max_timestamp, record.timestamp);
	}
	return it->pos == it->end ? PT_BATCH_OK : PT_BATCH_BAD_COUNT;
}

/*
 * Checks all records of a batch, which it decompresses: each is well-formed,
 * there are record_count of them with deltas 0 to n - 1, and nothing follows
 * the last one.  "info" may be NULL.
 */
PtBatchStatus
pt_batch_verify_records(const char *data, size_t len, size_t max_decompressed, PtRecordsInfo *info)
{
	PtRecordIter it;
	PtBatchStatus status;
	PtRecordsInfo ignored;

	if (info == NULL)
		info = &ignored;
	memset(info, 0, sizeof(*info));

	status = pt_record_iter_begin(&it, data, len, max_decompressed);
	info->min_timestamp = it.header.base_timestamp;
	info->max_timestamp = it.header.max_timestamp;
	if (status == PT_BATCH_OK)
		status = records_verify(&it, info);
	pt_record_iter_end(&it);
	return status;
}

/*-------------------------------------------------------------------------
 *
 * builder.c
 *	  Record batches from records.
 *
 *	  COPY into a topic passes here once for each row, so add makes one pass
 *	  over a record's fields to size it and one to write it, straight behind
 *	  the records before it; the header's place is left free in front and
 *	  filled by finish.
 *
 *	  Siblings: batch.c (layout and CRC), records.c (reads what this writes),
 *	  compress.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/batch.h"

#include "record/bytes.h"
#include "record/codec.h"
#include "record/layout.h"
#include "record/mem.h"
#include "record/varint.h"

#define BUILDER_CAP_MIN		4096

/* Largest size of a record without the bytes of key, value and headers. */
#define RECORD_OVERHEAD_MAX	(PT_VARINT_MAX + 1 + PT_VARLONG_MAX + 4 * PT_VARINT_MAX)

/*
 * Returns the length to be written for a key or a value; -1 for null.
 */
static inline int32
field_len(const char *bytes, int32 len)
{
	Assert(bytes == NULL || len >= 0);

	return bytes == NULL ? -1 : len;
}

/*
 * Begins a batch; see batch.h.
 */
void
pt_builder_start(PtBatchBuilder *b)
{
	if (b->buf == NULL)
	{
		b->cap = BUILDER_CAP_MIN;
		b->buf = palloc(b->cap);
		b->out = NULL;
		b->out_cap = 0;
	}
	Assert(b->cap >= PT_BATCH_HEADER_SIZE);

	b->len = PT_BATCH_HEADER_SIZE;
	b->base_timestamp = -1;
	b->max_timestamp = -1;
	b->count = 0;
	b->last_offset_delta = -1;
}

/*
 * Makes room for "needed" more bytes.  Doubling moves each byte twice at most
 * on average.
 */
static void
builder_grow(PtBatchBuilder *b, size_t needed)
{
	size_t		cap = b->cap;

	while (cap - b->len < needed)
		cap *= 2;
	b->buf = pt_mem_resize(b->buf, cap);
	b->cap = cap;
}

/*
 * Writes a length and the bytes; -1 is null.  Returns the place behind them.
 */
static inline char *
builder_put(char *p, const char *bytes, int32 len)
{
	p = pt_varint_write(p, len);
	if (len > 0)
	{
		memcpy(p, bytes, len);
		p += len;
	}
	return p;
}

/*
 * Adds a record; see batch.h.  One pass computes the size, one writes.
 */
size_t
pt_builder_add(PtBatchBuilder *b, int32 offset_delta, const PtRecord *record)
{
	int32		key_len = field_len(record->key, record->key_len);
	int32		value_len = field_len(record->value, record->value_len);
	int32		headers_len = record->header_count > 0 ? record->headers_len : 0;
	int64		timestamp_delta;
	size_t		body;
	char	   *p;

	Assert(b->buf != NULL && b->len >= PT_BATCH_HEADER_SIZE);
	Assert(offset_delta > b->last_offset_delta);
	Assert(record->header_count >= 0 && headers_len >= 0);

	if (b->count == 0)
		b->base_timestamp = b->max_timestamp = record->timestamp;
	else if (record->timestamp > b->max_timestamp)
		b->max_timestamp = record->timestamp;
	timestamp_delta = (int64) ((uint64) record->timestamp - (uint64) b->base_timestamp);

	body = 1 + pt_varlong_size(timestamp_delta) + pt_varint_size(offset_delta) +
		pt_varint_size(key_len) + Max(key_len, 0) +
		pt_varint_size(value_len) + Max(value_len, 0) +
		pt_varint_size(record->header_count) + headers_len;
	Assert(body <= PG_INT32_MAX);

	if (unlikely(b->cap - b->len < body + PT_VARINT_MAX))
		builder_grow(b, body + PT_VARINT_MAX);

	p = pt_varint_write(b->buf + b->len, (int32) body);
	*p++ = 0;					/* attributes */
	p = pt_varlong_write(p, timestamp_delta);
	p = pt_varint_write(p, offset_delta);
	p = builder_put(p, record->key, key_len);
	p = builder_put(p, record->value, value_len);
	p = pt_varint_write(p, record->header_count);
	if (headers_len > 0)
		memcpy(p, record->headers, headers_len);

	b->len = (p + headers_len) - b->buf;
	b->last_offset_delta = offset_delta;
	b->count++;
	return body;
}

/*
 * Returns the size of the batch so far, uncompressed.
 */
size_t
pt_builder_size(const PtBatchBuilder *b)
{
	return b->len;
}

/*
 * Returns the largest size that the record can have in a batch.
 */
size_t
pt_record_size_max(const PtRecord *record)
{
	return (size_t) RECORD_OVERHEAD_MAX +
		Max(field_len(record->key, record->key_len), 0) +
		Max(field_len(record->value, record->value_len), 0) +
		(record->header_count > 0 ? record->headers_len : 0);
}

/*
 * Writes a header; pt_batch_seal() sets its length and CRC.
 */
static void
builder_put_header(const PtBatchBuilder *b, char *data, int16 attributes)
{
	pt_put_int64(data + BATCH_AT_BASE_OFFSET, 0);
	pt_put_int32(data + BATCH_AT_LEADER_EPOCH, -1);
	data[BATCH_AT_MAGIC] = PT_BATCH_MAGIC;
	pt_put_int16(data + BATCH_AT_ATTRIBUTES, attributes);
	pt_put_int32(data + BATCH_AT_LAST_OFFSET_DELTA, b->last_offset_delta);
	pt_put_int64(data + BATCH_AT_BASE_TIMESTAMP, b->base_timestamp);
	pt_put_int64(data + BATCH_AT_MAX_TIMESTAMP, b->max_timestamp);
	pt_put_int64(data + BATCH_AT_PRODUCER_ID, -1);
	pt_put_int16(data + BATCH_AT_PRODUCER_EPOCH, -1);
	pt_put_int32(data + BATCH_AT_BASE_SEQUENCE, -1);
	pt_put_int32(data + BATCH_AT_RECORD_COUNT, b->count);
}

/*
 * Compresses the records into b->out, with room for the header in front.
 * Returns false if they should stay uncompressed: the result would not be
 * smaller, or there is no memory for it.
 */
static bool
builder_compress(PtBatchBuilder *b, int codec, int level, size_t *len)
{
	PtBatchStatus status;

	status = pt_compress_behind(codec, level, PT_BATCH_HEADER_SIZE, b->buf,
								b->buf + PT_BATCH_HEADER_SIZE, b->len - PT_BATCH_HEADER_SIZE,
								&b->out, &b->out_cap, len);
	if (status != PT_BATCH_OK)
		return false;
	*len += PT_BATCH_HEADER_SIZE;
	Assert(*len < b->len && *len <= b->out_cap);
	return true;
}

/*
 * Completes the batch; see batch.h.
 */
char *
pt_builder_finish(PtBatchBuilder *b, int codec, int level, size_t *len)
{
	char	   *data = b->buf;

	Assert(b->count > 0);
	Assert(b->len <= PG_INT32_MAX);
	Assert(codec >= PT_CODEC_NONE && codec <= PT_CODEC_LAST);

	if (codec != PT_CODEC_NONE && builder_compress(b, codec, level, len))
		data = b->out;
	else
	{
		codec = PT_CODEC_NONE;
		*len = b->len;
	}
	builder_put_header(b, data, (int16) codec);
	pt_batch_seal(data, *len);
	return data;
}

/*
 * Frees the memory of the builder.
 */
void
pt_builder_free(PtBatchBuilder *b)
{
	if (b->buf != NULL)
		pfree(b->buf);
	if (b->out != NULL)
		pfree(b->out);
	memset(b, 0, sizeof(*b));
}

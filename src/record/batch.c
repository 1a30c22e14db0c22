/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  The header of a record batch: read it, check it, patch it.
 *
 *	  offset  bytes  field                    covered by the CRC
 *	  0       8      base offset              no
 *	  8       4      length of what follows   no
 *	  12      4      leader epoch             no
 *	  16      1      magic (2)                no
 *	  17      4      CRC-32C                  no
 *	  21      2      attributes               yes, as all that follows
 *	  23      4      last offset delta
 *	  27      8      base timestamp
 *	  35      8      max timestamp
 *	  43      8      producer id
 *	  51      2      producer epoch
 *	  53      4      base sequence
 *	  57      4      record count
 *	  61             records, compressed as one piece if at all
 *
 *	  The server patches only what the CRC leaves out, so that batches pass
 *	  through it byte for byte; log append time is the exception.
 *
 *	  Siblings: records.c (what is inside), builder.c, crc32c.c; layout.h has
 *	  the numbers above.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/batch.h"

#include "record/bytes.h"
#include "record/compress.h"
#include "record/crc32c.h"
#include "record/layout.h"

#define BATCH_LENGTH_MIN	(PT_BATCH_HEADER_SIZE - PT_BATCH_LENGTH_OVERHEAD)
#define BATCH_LENGTH_MAX	(PG_INT32_MAX - PT_BATCH_LENGTH_OVERHEAD)

/*
 * The attributes that a producer may set.  Control batches and delete
 * horizons are a broker's.
 */
#define BATCH_PRODUCER_ATTRIBUTES \
	(PT_BATCH_COMPRESSION_MASK | PT_BATCH_LOG_APPEND_TIME | PT_BATCH_TRANSACTIONAL)

/*
 * Reads the 61 bytes of a header at "data"; "len" bytes are there.  Returns
 * PT_BATCH_TRUNCATED if there are fewer than 61 bytes, and
 * PT_BATCH_BAD_LENGTH if the length field is below 49 or above INT32_MAX -
 * 12.  Checks nothing else.
 */
PtBatchStatus
pt_batch_header_read(const char *data, size_t len, PtBatchHeader *h)
{
	int32		length;

	if (unlikely(len < PT_BATCH_HEADER_SIZE))
		return PT_BATCH_TRUNCATED;
	length = pt_get_int32(data + BATCH_AT_LENGTH);
	if (unlikely(length < BATCH_LENGTH_MIN || length > BATCH_LENGTH_MAX))
		return PT_BATCH_BAD_LENGTH;

	h->base_offset = pt_get_int64(data + BATCH_AT_BASE_OFFSET);
	h->length = length + PT_BATCH_LENGTH_OVERHEAD;
	h->leader_epoch = pt_get_int32(data + BATCH_AT_LEADER_EPOCH);
	h->magic = (int8) data[BATCH_AT_MAGIC];
	h->crc = (uint32) pt_get_int32(data + BATCH_AT_CRC);
	h->attributes = pt_get_int16(data + BATCH_AT_ATTRIBUTES);
	h->last_offset_delta = pt_get_int32(data + BATCH_AT_LAST_OFFSET_DELTA);
	h->base_timestamp = pt_get_int64(data + BATCH_AT_BASE_TIMESTAMP);
	h->max_timestamp = pt_get_int64(data + BATCH_AT_MAX_TIMESTAMP);
	h->producer_id = pt_get_int64(data + BATCH_AT_PRODUCER_ID);
	h->producer_epoch = pt_get_int16(data + BATCH_AT_PRODUCER_EPOCH);
	h->base_sequence = pt_get_int32(data + BATCH_AT_BASE_SEQUENCE);
	h->record_count = pt_get_int32(data + BATCH_AT_RECORD_COUNT);
	return PT_BATCH_OK;
}

/*
 * Checks that the counts of the header agree with each other and with the
 * length.
 */
static PtBatchStatus
batch_verify_counts(const PtBatchHeader *h)
{
	int			codec = h->attributes & PT_BATCH_COMPRESSION_MASK;
	int64		body = h->length - PT_BATCH_HEADER_SIZE;

	if (h->record_count <= 0 || h->last_offset_delta != h->record_count - 1)
		return PT_BATCH_BAD_COUNT;
	if (codec == PT_CODEC_NONE && (int64) h->record_count * PT_RECORD_SIZE_MIN > body)
		return PT_BATCH_BAD_COUNT;
	return PT_BATCH_OK;
}

/*
 * Checks a batch of a log, which may have been compacted or be a broker's own:
 * it is complete and exactly "len" bytes long, magic is 2 and the CRC is
 * right.
 */
PtBatchStatus
pt_batch_check_crc(const char *data, size_t len, PtBatchHeader *h)
{
	PtBatchStatus status = pt_batch_header_read(data, len, h);

	if (status != PT_BATCH_OK)
		return status;
	if (h->magic != PT_BATCH_MAGIC)
		return PT_BATCH_BAD_MAGIC;
	if (h->length != len)
		return h->length > len ? PT_BATCH_TRUNCATED : PT_BATCH_BAD_LENGTH;
	if (pt_crc32c(data + BATCH_AT_ATTRIBUTES, len - BATCH_AT_ATTRIBUTES) != h->crc)
		return PT_BATCH_BAD_CRC;
	return PT_BATCH_OK;
}

/*
 * Makes all checks that a broker makes on a produced batch, without
 * decompressing it: it is complete and exactly "len" bytes long, magic is 2,
 * the CRC is right, the codec is known, no attributes are set but those of a
 * producer, counts and deltas agree (last_offset_delta + 1 == record_count,
 * at least one record), and an uncompressed batch has room for its records.
 */
PtBatchStatus
pt_batch_verify(const char *data, size_t len, PtBatchHeader *h)
{
	PtBatchStatus status;

	/*
	 * An old format has another header, which is often shorter than ours, so
	 * the magic is checked first.
	 */
	if (len > BATCH_AT_MAGIC && data[BATCH_AT_MAGIC] != PT_BATCH_MAGIC)
		return PT_BATCH_BAD_MAGIC;

	status = pt_batch_header_read(data, len, h);
	if (status != PT_BATCH_OK)
		return status;
	if (h->length != len)
		return h->length > len ? PT_BATCH_TRUNCATED : PT_BATCH_BAD_LENGTH;
	if (pt_crc32c(data + BATCH_AT_ATTRIBUTES, len - BATCH_AT_ATTRIBUTES) != h->crc)
		return PT_BATCH_BAD_CRC;
	if ((h->attributes & PT_BATCH_COMPRESSION_MASK) > PT_CODEC_LAST)
		return PT_BATCH_BAD_CODEC;
	if ((h->attributes & ~BATCH_PRODUCER_ATTRIBUTES) != 0)
		return PT_BATCH_BAD_ATTRIBUTES;
	return batch_verify_counts(h);
}

/*
 * Writes a batch that has no records, and whatever else the header says.
 */
void
pt_batch_make_empty(char *data, const PtBatchHeader *h)
{
	pt_put_int64(data + BATCH_AT_BASE_OFFSET, h->base_offset);
	pt_put_int32(data + BATCH_AT_LEADER_EPOCH, h->leader_epoch);
	data[BATCH_AT_MAGIC] = PT_BATCH_MAGIC;
	pt_put_int16(data + BATCH_AT_ATTRIBUTES, h->attributes & ~PT_BATCH_COMPRESSION_MASK);
	pt_put_int32(data + BATCH_AT_LAST_OFFSET_DELTA, h->last_offset_delta);
	pt_put_int64(data + BATCH_AT_BASE_TIMESTAMP, h->base_timestamp);
	pt_put_int64(data + BATCH_AT_MAX_TIMESTAMP, h->max_timestamp);
	pt_put_int64(data + BATCH_AT_PRODUCER_ID, h->producer_id);
	pt_put_int16(data + BATCH_AT_PRODUCER_EPOCH, h->producer_epoch);
	pt_put_int32(data + BATCH_AT_BASE_SEQUENCE, h->base_sequence);
	pt_put_int32(data + BATCH_AT_RECORD_COUNT, 0);
	pt_batch_seal(data, PT_BATCH_HEADER_SIZE);
}

/*
 * Sets what the CRC does not cover, so the batch stays valid.  The data must
 * be at least a header.
 */
void
pt_batch_set_offset(char *data, int64 base_offset, int32 leader_epoch)
{
	Assert(data[BATCH_AT_MAGIC] == PT_BATCH_MAGIC);

	pt_put_int64(data + BATCH_AT_BASE_OFFSET, base_offset);
	pt_put_int32(data + BATCH_AT_LEADER_EPOCH, leader_epoch);
}

/*
 * Turns the batch to log append time (ms) and computes the CRC again.  The
 * data must be a whole batch, as its length field says.
 */
void
pt_batch_set_append_time(char *data, int64 timestamp)
{
	int32		length = pt_get_int32(data + BATCH_AT_LENGTH) + PT_BATCH_LENGTH_OVERHEAD;
	int16		attributes = pt_get_int16(data + BATCH_AT_ATTRIBUTES);

	Assert(data[BATCH_AT_MAGIC] == PT_BATCH_MAGIC);
	Assert(length >= PT_BATCH_HEADER_SIZE);

	pt_put_int16(data + BATCH_AT_ATTRIBUTES, attributes | PT_BATCH_LOG_APPEND_TIME);
	pt_put_int64(data + BATCH_AT_MAX_TIMESTAMP, timestamp);
	pt_batch_seal(data, length);
}

/*
 * Sets the largest timestamp (ms) and computes the CRC again.  The data must
 * be a whole batch.
 */
void
pt_batch_set_max_timestamp(char *data, int64 timestamp)
{
	int32		length = pt_get_int32(data + BATCH_AT_LENGTH) + PT_BATCH_LENGTH_OVERHEAD;

	Assert(length >= PT_BATCH_HEADER_SIZE);
	pt_put_int64(data + BATCH_AT_MAX_TIMESTAMP, timestamp);
	pt_batch_seal(data, length);
}

/*
 * Makes the batch one of an idempotent producer and computes the CRC again.
 * The data must be a whole batch.
 */
void
pt_batch_set_producer(char *data, const PtBatchProducer *producer)
{
	int32		length = pt_get_int32(data + BATCH_AT_LENGTH) + PT_BATCH_LENGTH_OVERHEAD;

	Assert(length >= PT_BATCH_HEADER_SIZE);
	pt_put_int64(data + BATCH_AT_PRODUCER_ID, producer->producer_id);
	pt_put_int16(data + BATCH_AT_PRODUCER_EPOCH, producer->producer_epoch);
	pt_put_int32(data + BATCH_AT_BASE_SEQUENCE, producer->base_sequence);
	pt_batch_seal(data, length);
}

/*
 * Sets the length and the CRC; the last step of each change.
 */
void
pt_batch_seal(char *data, size_t len)
{
	Assert(len >= PT_BATCH_HEADER_SIZE && len <= PG_INT32_MAX);

	pt_put_int32(data + BATCH_AT_LENGTH, (int32) (len - PT_BATCH_LENGTH_OVERHEAD));
	pt_put_int32(data + BATCH_AT_CRC,
				 (int32) pt_crc32c(data + BATCH_AT_ATTRIBUTES, len - BATCH_AT_ATTRIBUTES));
}

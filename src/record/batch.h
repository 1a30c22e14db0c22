/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  Kafka RecordBatch v2: look at one, check one, take it apart, build one.
 *
 * The format is that of the Kafka protocol guide, "Record Batch" (magic 2,
 * KIP-98).  All integers in a batch are big-endian.  Nothing here ereports,
 * needs a server or touches shared state; memory comes from palloc (the
 * frontend's in unit tests), allocations whose size an input decides are
 * bounded by the caller and reported as PT_BATCH_NO_MEMORY.
 *
 * Siblings: compress.h (the codecs), crc32c.h, partitioner.h, sequence.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_BATCH_H
#define PT_RECORD_BATCH_H

#include "record/status.h"

#define PT_BATCH_HEADER_SIZE	61	/* up to and including the record count */
#define PT_BATCH_LENGTH_OVERHEAD 12 /* base offset and the length itself */

/* attribute bits */
#define PT_BATCH_COMPRESSION_MASK	0x07
#define PT_BATCH_LOG_APPEND_TIME	0x08
#define PT_BATCH_TRANSACTIONAL		0x10
#define PT_BATCH_CONTROL			0x20
#define PT_BATCH_DELETE_HORIZON		0x40

/* The fields of a header. */
typedef struct PtBatchHeader
{
	int64		base_offset;
	int32		length;			/* of the whole batch in bytes: 12 more than
								 * the length field says */
	int32		leader_epoch;
	int8		magic;
	uint32		crc;
	int16		attributes;
	int32		last_offset_delta;	/* offset of the last record, relative to
									 * base_offset */
	int64		base_timestamp; /* ms since 1970 */
	int64		max_timestamp;	/* ms since 1970 */
	int64		producer_id;	/* -1: not idempotent */
	int16		producer_epoch;
	int32		base_sequence;
	int32		record_count;
} PtBatchHeader;

/* The offset behind a batch. */
#define pt_batch_next_offset(h) ((h)->base_offset + (h)->last_offset_delta + 1)

/* A record.  The bytes belong to the batch, or to the caller who writes it. */
typedef struct PtRecord
{
	int64		offset;			/* when written, -1: the append gives it */
	int64		timestamp;		/* ms since 1970; -1: none */
	const char *key;			/* NULL: null; then key_len is -1 */
	const char *value;
	int32		key_len;
	int32		value_len;
	const char *headers;		/* in Kafka's encoding without the count:
								 * varint key length, key, varint value length
								 * (-1: null), value, and so on */
	int32		headers_len;
	int32		header_count;
} PtRecord;

extern PtBatchStatus pt_batch_header_read(const char *data, size_t len, PtBatchHeader *h);

extern PtBatchStatus pt_batch_verify(const char *data, size_t len, PtBatchHeader *h);

extern PtBatchStatus pt_batch_check_crc(const char *data, size_t len, PtBatchHeader *h);

/*
 * What is known of all records of a batch.  The timestamps (ms) are those of
 * the header if there are no records.
 */
typedef struct PtRecordsInfo
{
	bool		keyless;		/* at least one record has no key */
	int64		min_timestamp;
	int64		max_timestamp;
} PtRecordsInfo;

extern PtBatchStatus pt_batch_verify_records(const char *data, size_t len, size_t max_decompressed,
											 PtRecordsInfo *info);

/* Sets the largest timestamp (ms) of the header; the batch gets a new CRC. */
extern void pt_batch_set_max_timestamp(char *data, int64 timestamp);

/* The producer of a batch, and the sequence number of its first record. */
typedef struct PtBatchProducer
{
	int64		producer_id;
	int16		producer_epoch;
	int32		base_sequence;
} PtBatchProducer;
extern void pt_batch_set_producer(char *data, const PtBatchProducer *producer);

/*
 * Writes the header as that of a batch without records, of
 * PT_BATCH_HEADER_SIZE bytes.
 */
extern void pt_batch_make_empty(char *data, const PtBatchHeader *h);

/* Sets the fields that the CRC does not cover. */
extern void pt_batch_set_offset(char *data, int64 base_offset, int32 leader_epoch);

/* Sets log append time (ms); the batch gets a new CRC. */
extern void pt_batch_set_append_time(char *data, int64 timestamp);

/*
 * A batch in a log can be read if its records take no more than this,
 * decompressed.  The setting pgtopic.decompress_limit, which says what is
 * accepted, is at most as large.  So lowering it makes nothing unreadable.
 */
#define PT_RECORDS_BYTES_MAX	((size_t) 1 << 30)

/*
 * Iterates over the records of a verified batch.
 *
 * begin decompresses, if necessary, into memory of the current context, at
 * most max_decompressed bytes; end frees that.  Records point into the batch
 * or into that memory.  next returns PT_BATCH_END behind the last record.
 */
typedef struct PtRecordIter
{
	PtBatchHeader header;
	const char *pos;
	const char *end;
	char	   *owned;			/* decompressed records, or NULL */
	int32		remaining;		/* number of records to come */
} PtRecordIter;

extern PtBatchStatus pt_record_iter_begin(PtRecordIter *it, const char *data, size_t len, size_t max_decompressed);
extern PtBatchStatus pt_record_iter_next(PtRecordIter *it, PtRecord *record);
extern void pt_record_iter_end(PtRecordIter *it);

/*
 * A header of a record.  pt_header_next() takes one after another from
 * PtRecord.headers and returns false at the end.
 */
typedef struct PtHeader
{
	const char *key;
	const char *value;
	int32		key_len;
	int32		value_len;		/* -1: null */
} PtHeader;
extern bool pt_header_next(const char **pos, const char *end, PtHeader *header);

/*
 * Builds batches.
 *
 * Zero the struct before its first start.  All memory is in the context that
 * is current then.  start may be called again after finish.  add returns the
 * number of bytes of the record body.  size is the largest size that finish
 * can give (uncompressed).  finish returns a complete batch with base offset
 * 0, epoch -1 and no producer, and its length in *len; it belongs to the
 * builder and is valid until the next start.  A batch that compression does
 * not make smaller stays uncompressed.  Timestamps are in ms.  offset_delta
 * must grow from record to record; in a dense batch it is the index of the
 * record.
 */
typedef struct PtBatchBuilder
{
	char	   *buf;			/* header and records */
	size_t		len;
	size_t		cap;
	char	   *out;			/* the compressed batch */
	size_t		out_cap;
	int64		base_timestamp;
	int64		max_timestamp;
	int32		count;
	int32		last_offset_delta;
} PtBatchBuilder;

extern void pt_builder_start(PtBatchBuilder *b);
extern size_t pt_builder_add(PtBatchBuilder *b, int32 offset_delta, const PtRecord *record);
extern size_t pt_builder_size(const PtBatchBuilder *b);

/* Returns an upper bound of what adding the record would add to size. */
extern size_t pt_record_size_max(const PtRecord *record);
extern char *pt_builder_finish(PtBatchBuilder *b, int codec, int level, size_t *len);
extern void pt_builder_free(PtBatchBuilder *b);

#endif							/* PT_RECORD_BATCH_H */

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

typedef struct PtBatchHeader
{
	int64		base_offset;
	int32		length;			/* of the whole batch, in bytes, 12 more than
								 * its own length field says */
	int32		leader_epoch;
	int8		magic;
	uint32		crc;
	int16		attributes;
	int32		last_offset_delta;
	int64		base_timestamp; /* ms since 1970 */
	int64		max_timestamp;	/* ms since 1970 */
	int64		producer_id;	/* -1: not idempotent */
	int16		producer_epoch;
	int32		base_sequence;
	int32		record_count;
} PtBatchHeader;

/* Next offset after a batch. */
#define pt_batch_next_offset(h) ((h)->base_offset + (h)->last_offset_delta + 1)

typedef struct PtRecord
{
	int64		offset;			/* to be written: -1 when the append gives it */
	int64		timestamp;		/* ms since 1970 */
	const char *key;			/* NULL with key_len -1: null */
	const char *value;
	int32		key_len;
	int32		value_len;
	const char *headers;		/* the headers in Kafka's own encoding,
								 * without the count: varint key length, key,
								 * varint value length (-1: null), value ... */
	int32		headers_len;
	int32		header_count;
} PtRecord;

/*
 * Reads the 61 bytes of a header at "data"; "len" is how much there is.
 * PT_BATCH_TRUNCATED when fewer than 61 bytes, PT_BATCH_BAD_LENGTH when the
 * length field is below 49 or above INT32_MAX - 12.  Checks nothing else.
 */
extern PtBatchStatus pt_batch_header_read(const char *data, size_t len, PtBatchHeader *h);

/*
 * Everything a broker checks on a produced batch, without decompressing it:
 * complete, exactly "len" long, magic 2, CRC32C, codec known, no attribute
 * bits but a producer's (no control batch, no delete horizon), counts and
 * deltas consistent (last_offset_delta + 1 == record_count, at least one
 * record), and no more records than the bytes can hold when not compressed.
 */
extern PtBatchStatus pt_batch_verify(const char *data, size_t len, PtBatchHeader *h);

/*
 * What the records of a batch have in common; the timestamps, in ms, are those
 * of the header when there are none.
 */
typedef struct PtRecordsInfo
{
	bool		keyless;		/* some record has no key */
	int64		min_timestamp;
	int64		max_timestamp;
} PtRecordsInfo;

/*
 * Full check of the records inside (decompresses): every record well-formed,
 * record_count of them with deltas 0..n-1, nothing behind the last.  "info"
 * may be NULL.
 */
extern PtBatchStatus pt_batch_verify_records(const char *data, size_t len, size_t max_decompressed,
											 PtRecordsInfo *info);

/*
 * What the header says of the largest timestamp becomes that; the batch gets a
 * new CRC.
 */
extern void pt_batch_set_max_timestamp(char *data, int64 timestamp);

/* Whose a batch is, and the sequence number of its first record. */
typedef struct PtBatchProducer
{
	int64		producer_id;
	int16		producer_epoch;
	int32		base_sequence;
} PtBatchProducer;
extern void pt_batch_set_producer(char *data, const PtBatchProducer *producer);

/* Patches what the CRC does not cover. */
extern void pt_batch_set_offset(char *data, int64 base_offset, int32 leader_epoch);

/* Turns to log append time (ms) and recomputes the CRC. */
extern void pt_batch_set_append_time(char *data, int64 timestamp);

/*
 * What is in a log is read when its records take no more than this
 * decompressed; the setting pgtopic.decompress_limit, at most as large, says
 * what is admitted.  So lowering it makes nothing unreadable.
 */
#define PT_RECORDS_BYTES_MAX	((size_t) 1 << 30)

/*
 * Iterates over the records of a verified batch.  begin decompresses when need
 * be into memory of the current context (at most max_decompressed bytes); end
 * frees it.  Records point into the batch or that memory.  next returns
 * PT_BATCH_END behind the last.
 */
typedef struct PtRecordIter
{
	PtBatchHeader header;
	const char *pos;
	const char *end;
	char	   *owned;			/* decompressed bytes, or NULL */
	int32		remaining;
} PtRecordIter;

extern PtBatchStatus pt_record_iter_begin(PtRecordIter *it, const char *data, size_t len, size_t max_decompressed);
extern PtBatchStatus pt_record_iter_next(PtRecordIter *it, PtRecord *record);
extern void pt_record_iter_end(PtRecordIter *it);

/* One header after another out of PtRecord.headers; false at the end. */
typedef struct PtHeader
{
	const char *key;
	const char *value;
	int32		key_len;
	int32		value_len;		/* -1: null */
} PtHeader;
extern bool pt_header_next(const char **pos, const char *end, PtHeader *header);

/*
 * Builds batches.  Zero the struct before its first start, whose memory
 * context all its memory belongs to; start may be called again after finish.
 * add returns the bytes of the record body it added.  size is what finish
 * would give at most (uncompressed).  finish returns a complete batch (base
 * offset 0, epoch -1, no producer) in builder-owned memory valid until the
 * next start; its length in *len.  A batch whose compressed form is not
 * smaller stays uncompressed.  Timestamps in ms.  offset_delta must grow from
 * record to record (it is the position for dense batches).
 */
typedef struct PtBatchBuilder
{
	char	   *buf;			/* header and records */
	size_t		len;
	size_t		cap;
	char	   *out;			/* compressed form */
	size_t		out_cap;
	int64		base_timestamp;
	int64		max_timestamp;
	int32		count;
	int32		last_offset_delta;
} PtBatchBuilder;

extern void pt_builder_start(PtBatchBuilder *b);
extern size_t pt_builder_add(PtBatchBuilder *b, int32 offset_delta, const PtRecord *record);
extern size_t pt_builder_size(const PtBatchBuilder *b);

/* Upper bound of what add of such a record would add to size. */
extern size_t pt_record_size_max(const PtRecord *record);
extern char *pt_builder_finish(PtBatchBuilder *b, int codec, int level, size_t *len);
extern void pt_builder_free(PtBatchBuilder *b);

#endif							/* PT_RECORD_BATCH_H */

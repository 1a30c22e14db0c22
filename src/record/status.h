/*-------------------------------------------------------------------------
 *
 * status.h
 *	  What the pure functions of the log room answer.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_STATUS_H
#define PT_RECORD_STATUS_H

#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

/* All statuses, with their texts for error messages. */
#define PT_BATCH_STATUSES(X) \
	X(PT_BATCH_OK, "ok") \
	X(PT_BATCH_END, "end of input") \
	X(PT_BATCH_TRUNCATED, "batch is truncated") \
	X(PT_BATCH_BAD_LENGTH, "batch length is invalid") \
	X(PT_BATCH_BAD_MAGIC, "record format version is not 2") \
	X(PT_BATCH_BAD_CRC, "CRC does not match") \
	X(PT_BATCH_BAD_ATTRIBUTES, "batch attributes are invalid") \
	X(PT_BATCH_BAD_CODEC, "compression codec is unknown") \
	X(PT_BATCH_BAD_COUNT, "record count and offsets do not agree") \
	X(PT_BATCH_BAD_RECORD, "a record is malformed") \
	X(PT_BATCH_BAD_COMPRESSION, "compressed data is corrupt") \
	X(PT_BATCH_TOO_LARGE, "decompressed batch exceeds the limit") \
	X(PT_BATCH_NO_MEMORY, "out of memory")

typedef enum PtBatchStatus
{
#define PT_BATCH_STATUS_ENUM(name, text) name,
	PT_BATCH_STATUSES(PT_BATCH_STATUS_ENUM)
#undef PT_BATCH_STATUS_ENUM
} PtBatchStatus;

extern const char *pt_batch_status_text(PtBatchStatus status);

#endif							/* PT_RECORD_STATUS_H */

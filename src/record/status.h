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

/* Each status with the words that go into an error message. */
#define PT_LOG_STATUSES(X) \
	X(PT_LOG_OK, "ok") \
	X(PT_LOG_END, "end of input") \
	X(PT_LOG_TRUNCATED, "batch is truncated") \
	X(PT_LOG_BAD_LENGTH, "batch length is invalid") \
	X(PT_LOG_BAD_MAGIC, "record format version is not 2") \
	X(PT_LOG_BAD_CRC, "CRC does not match") \
	X(PT_LOG_BAD_ATTRIBUTES, "batch attributes are invalid") \
	X(PT_LOG_BAD_COUNT, "record count and offsets do not agree") \
	X(PT_LOG_BAD_RECORD, "a record is malformed") \
	X(PT_LOG_BAD_COMPRESSION, "compressed data is corrupt") \
	X(PT_LOG_TOO_LARGE, "decompressed batch exceeds the limit") \
	X(PT_LOG_NO_MEMORY, "out of memory")

typedef enum PtLogStatus
{
#define PT_LOG_STATUS_ENUM(name, text) name,
	PT_LOG_STATUSES(PT_LOG_STATUS_ENUM)
#undef PT_LOG_STATUS_ENUM
} PtLogStatus;

extern const char *pt_log_status_text(PtLogStatus status);

#endif							/* PT_RECORD_STATUS_H */

/*-------------------------------------------------------------------------
 *
 * producer_snapshot.h
 *	  What a log remembers of its producers, as bytes for a frame of the log.
 *
 * All integers are big-endian, as in record batches.  A piece is a header and
 * then one entry per producer:
 *
 *		header, 64 bytes
 *			0	magic "pgPs"
 *			4	CRC-32C of all that follows
 *			8	version (1)
 *			12	number of entries
 *			16	when it was taken (ms)
 *			24	zero, for later
 *		entry, 48 bytes and 24 for each of its batches
 *			0	producer id
 *			8	timestamp of the last batch (ms)
 *			16	when that was appended (ms)
 *			24	epoch (32 bits)
 *			28	number of batches
 *			32	epoch of the transaction's coordinator, -1: none
 *			36	zero, for later
 *			40	first offset of the transaction in progress, -1: none
 *			48	batches, oldest first: base offset, timestamp (ms), base
 *				sequence, last offset delta (32 bits both)
 *
 * The header is longer than that of a record batch, as frames of a log must
 * be.
 *
 * Siblings: sequence.h (the states), producer_snapshot.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_PRODUCER_SNAPSHOT_H
#define PT_RECORD_PRODUCER_SNAPSHOT_H

#include "record/sequence.h"

#define PT_SNAPSHOT_HEADER_SIZE		64
#define PT_SNAPSHOT_ENTRY_SIZE_MAX	(48 + PT_SEQUENCE_BATCHES * 24)

/* A piece that is being made, in memory of the caller's. */
typedef struct PtSnapshotWriter
{
	char	   *data;
	size_t		size;			/* of that */
	size_t		used;
	int32		count;
} PtSnapshotWriter;

/* A piece that is being read. */
typedef struct PtSnapshotReader
{
	const char *pos;
	const char *end;
	int32		left;			/* entries */
	int64		taken_at;		/* ms */
} PtSnapshotReader;

typedef enum PtSnapshotStatus
{
	PT_SNAPSHOT_OK,
	PT_SNAPSHOT_END,			/* no more entries */
	PT_SNAPSHOT_DAMAGED,		/* CRC, length, or an impossible number */
	PT_SNAPSHOT_UNKNOWN			/* of another version, or no snapshot */
} PtSnapshotStatus;

extern void pt_snapshot_begin(PtSnapshotWriter *w, char *data, size_t size);
extern bool pt_snapshot_add(PtSnapshotWriter *w, const PtProducerState *state);
extern size_t pt_snapshot_finish(PtSnapshotWriter *w, int64 taken_at);

extern PtSnapshotStatus pt_snapshot_open(PtSnapshotReader *r, const char *data, size_t len);
extern PtSnapshotStatus pt_snapshot_next(PtSnapshotReader *r, PtProducerState *state);

#endif							/* PT_RECORD_PRODUCER_SNAPSHOT_H */

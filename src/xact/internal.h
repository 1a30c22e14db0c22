/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the engine share among themselves.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_INTERNAL_H
#define PT_XACT_INTERNAL_H

#include "record/sequence.h"

#include "xact/xact.h"
#include "xact/hooks.h"

/* The kinds of things that a transaction holds, of this room. */
extern const PtXactKind pt_xact_pending;
extern const PtXactKind pt_xact_tails;
extern const PtXactKind pt_xact_trims;
extern const PtXactKind pt_xact_locks;

/* lock.c */
extern void pt_append_locks_release(void);

/* tails.c */
extern void pt_tails_choose_release(void);

/* A waiting row in memory, followed by the bytes of key, value and headers. */
typedef struct PtPendingRow
{
	int64		offset;			/* explicit, or -1; once appended: where it went */
	int64		timestamp;		/* ms */
	int32		key_len;		/* -1: null */
	int32		value_len;		/* -1: null */
	int32		headers_len;
	uint32		header_count:31;
	uint32		explicit_offset:1;
} PtPendingRow;

extern void pt_pending_row_get(const PtPendingRow *stored, PtRecord *row);
extern void pt_row_check(Relation rel, const PtRecord *row, int32 max_message_bytes, bool compacted);

/*
 * flush.c: encodes rows and appends them.  get_row gives the i'th row, set_offset
 * (may be NULL) hears where it went.
 */
typedef struct PtRowSource
{
	void	   *arg;
	void		(*get_row) (void *arg, int64 i, PtRecord *row);
	void		(*set_offset) (void *arg, int64 i, int64 offset);
	int64		n;
} PtRowSource;

extern void pt_flush_rows(Relation rel, const PtRowSource *source);

/* Bytes that a record takes at most in a batch of its own. */
extern uint64 pt_row_batch_size(const PtRecord *row);

/* trim.c: what flush.c tells it. */
extern void pt_trim_empty(Oid relid, PtLogState *log, int64 offset);

/* gone.c */
extern void pt_gone_register(void);

#endif							/* PT_XACT_INTERNAL_H */

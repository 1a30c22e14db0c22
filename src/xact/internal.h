/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the xact room share among themselves.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_INTERNAL_H
#define PT_XACT_INTERNAL_H

#include "xact/xact.h"

/* The kinds of things that a transaction holds, of this room. */
extern const PtXactKind pt_xact_pending;
extern const PtXactKind pt_xact_tails;
extern const PtXactKind pt_xact_trims;
extern const PtXactKind pt_xact_locks;
extern const PtXactKind pt_xact_leader_epoch;

/* tails.c */
extern void pt_tails_choose_release(void);

/* row_batches.c */
typedef struct PtRowSource
{
	void	   *arg;
	void		(*get_row) (void *arg, int64 i, PtRecord *row); /* the i'th; offset -1:
																 * any */
	void		(*set_offset) (void *arg, int64 i, int64 offset);	/* where it went; may be
																	 * NULL */
	int64		n;
	PtRowProducer *producer;	/* NULL: none */
} PtRowSource;

extern void pt_row_batches_append(Relation rel, const PtRowSource *source);
extern void pt_row_check(Relation rel, const PtRecord *row, int32 max_message_bytes, bool compacted);

/* trim.c: what row_batches.c tells it. */
extern void pt_trim_empty(Oid relid, PtLogState *log, int64 offset);

/* log_drops.c */
extern void pt_log_drops_register(void);

#endif							/* PT_XACT_INTERNAL_H */

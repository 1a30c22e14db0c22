/*-------------------------------------------------------------------------
 *
 * logs.h
 *	  Logs without relations: for fetch.c, span.c and offsets.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_ENGINE_LOGS_H
#define PT_ENGINE_LOGS_H

#include "engine/internal.h"

extern PtStatus pt_log_find(Oid relid, PtLogState **log);
extern void pt_log_start(PtLogState *log, int64 *offset, PtLogPos *pos);
extern bool pt_log_is(const PtLogState *log, const RelFileLocator *locator);

/*
 * span.c: one page of a log at a time, pinned and not locked.  Only for what is below the
 * durable end, which does not change; that retention may put a page to another use
 * has to be checked afterwards (pt_span_intact).
 */
typedef struct PtPageCursor
{
	RelFileLocator locator;
	uint64		extent;			/* that phys belongs to */
	uint32		phys;
	Buffer		buf;			/* pinned, or InvalidBuffer */
	uint64		block;			/* its logical block */
} PtPageCursor;

/* Pins the page of a logical block, after letting go of the one before unless keep; false: it is no longer there. */
extern bool pt_page_cursor_go(PtPageCursor *cursor, uint64 block, bool keep);

/* Is the leader epoch that a client believes in the current one? */
extern PtStatus pt_check_leader_epoch(int32 epoch);

#endif							/* PT_ENGINE_LOGS_H */

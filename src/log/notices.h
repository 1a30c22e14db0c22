/*-------------------------------------------------------------------------
 *
 * notices.h
 *	  Logs that may have work for the housekeeper: notices.c says how.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_NOTICES_H
#define PT_LOG_NOTICES_H

#include "compat.h"

#include "storage/latch.h"

typedef enum PtNoticeKind
{
	PT_NOTICE_EXTENT,			/* an extent is complete, and durable */
	PT_NOTICE_FIRST,			/* an empty log has a record, durable */
	PT_NOTICE_PRODUCERS			/* a snapshot of producers is due */
} PtNoticeKind;

typedef struct PtNotice
{
	RelFileLocator locator;
	PtNoticeKind kind;
} PtNotice;

extern Size pt_notices_shmem_size(void);
extern void pt_notices_shmem_init(void);

/* Who appends.  Does not throw. */
extern void pt_notice_push(const RelFileLocator *locator, PtNoticeKind kind);

/* The housekeeper. */
extern void pt_notices_attach(Latch *latch);
extern bool pt_notice_pop(PtNotice *notice);
extern bool pt_notices_lost(void);

#endif							/* PT_LOG_NOTICES_H */

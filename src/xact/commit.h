/*-------------------------------------------------------------------------
 *
 * commit.h
 *	  What those who wait for WAL share with the committer process.
 *
 * The waiting side (pt_commit_request, pt_commit_flushed,
 * pt_commit_replicated) is in xact.h; this is the committer's side.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_COMMIT_H
#define PT_XACT_COMMIT_H

#include "xact/xact.h"

#include "storage/latch.h"

extern Size pt_commit_shmem_size(void);
extern void pt_commit_shmem_init(void);

extern void pt_commit_attach(Latch *latch);
extern XLogRecPtr pt_commit_requested(void);
extern uint64 pt_commit_requests(void);
extern void pt_commit_gone(XLogRecPtr lsn);
extern uint64 pt_commit_gone_count(void);
extern void pt_commit_set_wait_mode(int wait_mode);
extern bool pt_commit_wait_mode_known(void);
extern XLogRecPtr pt_commit_safe(XLogRecPtr lsn);
extern void pt_commit_publish(XLogRecPtr flushed, XLogRecPtr replicated);

#endif							/* PT_XACT_COMMIT_H */

/*-------------------------------------------------------------------------
 *
 * commit.h
 *	  What those who wait for WAL share with the committer process.
 *
 * The waiting side (pt_commit_request, pt_commit_flushed, pt_commit_replicated)
 * is in engine.h; this is the committer's side.
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

/* The committer says which latch requests shall set; NULL when it ends. */
extern void pt_commit_attach(Latch *latch);

/* The largest LSN asked for so far. */
extern XLogRecPtr pt_commit_requested(void);

/* Goes up with every request, also one for WAL that is durable already (then the log has moved without us). */
extern uint64 pt_commit_requests(void);

/* Logs were dropped by a transaction that has committed; how often that was. */
extern void pt_commit_gone(XLogRecPtr lsn);
extern uint64 pt_commit_gone_count(void);

/* WAL is flushed, and safe on synchronous standbys, up to these; neither ever goes back. */
extern void pt_commit_publish(XLogRecPtr flushed, XLogRecPtr replicated);

#endif							/* PT_XACT_COMMIT_H */

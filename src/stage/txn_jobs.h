/*-------------------------------------------------------------------------
 *
 * txn_jobs.h
 *	  Commits of transactions, on their way from the control worker to a
 *	  transaction worker, and what became of them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_STAGE_TXN_JOBS_H
#define PT_STAGE_TXN_JOBS_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "storage/latch.h"

#include "txn/txn.h"

#define PT_TXN_WORKERS_MAX	16	/* pgtopic.transaction_workers */

/* An order of kind TXN_COMMIT, and the leaf that its record belongs in. */
typedef struct PtTxnCommit
{
	uint64		order;
	int64		producer_id;
	uint64		serial;
	Oid			leaf;			/* of __transaction_state */
	PtString	transactional_id;
	PtString	key;
	PtString	value;
} PtTxnCommit;

/* How it ended: what TXN_EV_DONE is told. */
typedef struct PtTxnDone
{
	uint64		order;
	TxnError	result;
	XLogRecPtr	lsn;			/* the answer waits for its flush, as with
								 * acks=all; invalid unless TXN_NONE */
	char		message[128];	/* why it failed, or empty */
} PtTxnDone;

/*
 * The control worker's side: it is woken when there is something to collect.
 * post does not throw: false means that there is no room; the order has ended
 * with TXN_COORDINATOR_NOT_AVAILABLE then.
 */
extern bool pt_txn_job_post(const PtTxnCommit *commit);
extern bool pt_txn_job_collect(PtTxnDone *done);

/*
 * When the control worker begins: the calling process is the one to be woken.
 * Takes back what nobody has begun, and forgets what has ended.  false: a
 * commit is still under way, and its end wakes us.  Until it is true, neither
 * may the log be loaded nor pt_stage_reset() be called.
 */
extern bool pt_txn_jobs_quiet(void);

/* The transaction worker's side. */
extern void pt_txn_jobs_attach(int worker, Latch *latch);
extern bool pt_txn_job_take(int worker, PtTxnCommit *commit);
extern void pt_txn_job_finish(int worker, TxnError result, bool slow, XLogRecPtr lsn, const char *message);
extern void pt_txn_jobs_detach(int worker);

extern Size pt_txn_jobs_shmem_size(void);
extern void pt_txn_jobs_shmem_init(void);

#endif							/* PT_STAGE_TXN_JOBS_H */

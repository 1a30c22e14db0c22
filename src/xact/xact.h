/*-------------------------------------------------------------------------
 *
 * xact.h
 *	  The door of the xact room: what a transaction holds of topics.
 *
 * All functions are called inside a transaction, unless they say otherwise,
 * and may ereport, unless they say otherwise.  A partition is named by the OID
 * of its leaf table.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_XACT_H
#define PT_XACT_XACT_H

#include "compat.h"

#include "executor/tuptable.h"

#include "record/batch.h"
#include "log/log.h"
#include "xact/levels.h"
#include "xact/status.h"
#include "topic/timestamp.h"
#include "topic/topic.h"

/*
 * pending.c: records that wait in backend memory for their transaction to
 * commit.
 */
extern void pt_pending_add(Relation rel, const PtRecord *row, ItemPointer tid);
extern bool pt_pending_get(Relation rel, ItemPointer tid, PtRecord *row);
extern void pt_pending_append(Oid relid);

/* Whose rows they are, when a Kafka client has sent them. */
typedef struct PtRowProducer
{
	PtBatchProducer batch;		/* of the next batch: its sequence moves on */
	int32		sent;			/* records that it sent */
	int32		last_sequence;	/* of these */
} PtRowProducer;

extern void pt_pending_append_as(Oid relid, PtRowProducer *producer);

/* append_rows.c */
extern int64 pt_append_rows(Relation rel, const PtRecord *rows, int n, int64 expected_offset);

/* index_rows.c */
typedef enum PtIndexRows
{
	PT_INDEXES_NONE,			/* that must be told of rows */
	PT_INDEXES_PLAIN,			/* of columns only */
	PT_INDEXES_WITH_CODE		/* with expressions or predicates */
} PtIndexRows;

extern PtIndexRows pt_index_rows_kind(Relation rel);
extern void pt_index_rows(Relation rel, const PtAppendBatch *batch, const PtRecord *rows, int n);

/* lock.c: the append lock. */
typedef enum PtLockHow
{
	PT_LOCK_WAIT,				/* until it can be had */
	PT_LOCK_TRY,				/* now or not */
	PT_LOCK_CLAIM				/* now, else claim it and try again soon */
} PtLockHow;
extern bool pt_append_lock(Oid relid, PtLockHow how);
extern bool pt_append_lock_briefly(Oid relid);
extern void pt_append_locks_sort(Oid *relids, int n);
extern void pt_append_unlock(Oid relid);
extern void pt_append_locks_release(void);

/*
 * xact.c: a kind of thing that a transaction holds.  NULL: nothing to do.  At
 * the end of a subtransaction the stack is cut or lowered first, then the
 * function is called; the same at the end of the transaction.
 */
typedef struct PtXactKind
{
	const char *name;
	PtLevelStack *stack;
	void		(*prepare) (bool two_phase);	/* PRE_COMMIT or PRE_PREPARE;
												 * may ereport */
	void		(*committed) (void);	/* the append locks are held, unless
										 * tails.c has released them; must not
										 * throw */
	void		(*sub_commit) (int level);
	void		(*sub_abort) (int level);
	void		(*forget) (void);	/* after commit, prepare or abort */
} PtXactKind;

extern void pt_xact_register(const PtXactKind *const *others, int n);

/* tails.c: the logs that this transaction has appended to. */
extern void pt_tails_before_append(PtLogState *state, Oid relid);
extern void pt_tails_after_append(void);
extern void pt_prepared_resolved(void);

/* leader_epoch.c */
extern bool pt_serves_others;
extern int32 pt_leader_epoch(void);
extern bool pt_leader_epoch_ready(void);
extern int32 pt_leader_epoch_for_append(void);

/* trim.c */
#define PT_TRIM_TO_END			(-1)	/* the committed end */
extern PtStatus pt_trim(Oid leaf, int64 offset, int64 *start);
extern void pt_trim_producers(Oid relid, const PtLogState *log, PtLogPos pos);

/* retain.c: retention. */
typedef struct PtRetained
{
	RelFileLocator locator;
	PtExpired	found;
	XLogRecPtr	lsn;			/* of the start to be published; invalid:
								 * there is none */
} PtRetained;

extern PtStatus pt_retain(Oid leaf, const PtRetention *rule, PtRetained *retained);
extern void pt_retained_publish(const PtRetained *retained, int n);

/* log_drops.c */
extern void pt_log_drops_note(void);
extern void pt_log_adds_note(void);

/* commit.c; commit.h has the committer's side. */
extern void pt_commit_request(XLogRecPtr lsn);
extern XLogRecPtr pt_commit_flushed(void);
extern XLogRecPtr pt_commit_replicated(void);

#endif							/* PT_XACT_XACT_H */

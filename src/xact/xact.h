/*-------------------------------------------------------------------------
 *
 * xact.h
 *	  The door of the xact room: what a transaction holds of topics.
 *
 * All functions are called inside a transaction, unless they say otherwise, and
 * may ereport, unless they say otherwise.  A partition is named by the OID of
 * its leaf table.
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
#include "topic/topic.h"

/*
 * pending.c: records that wait in backend memory for their transaction to commit.
 *
 * Subtransaction-aware.  At PRE_COMMIT (and PRE_PREPARE) they are encoded, one
 * batch per partition (split at max.message.bytes), and appended with
 * the partitions locked in the order of their OIDs.  Past pgtopic.produce_buffer they are
 * appended early and the lock is kept.
 */

/* Takes a copy of the row.  The marker TID under which pt_pending_get finds it goes to *tid (may be NULL). */
extern void pt_pending_add(Relation rel, const PtRecord *row, ItemPointer tid);

/* A waiting row, or one that was appended early, by its marker TID; false when it was rolled back. */
extern bool pt_pending_get(Relation rel, ItemPointer tid, PtRecord *row, int64 *offset);

/* Appends now what waits for this relation (InvalidOid: for all); before DDL and by append(). */
extern void pt_pending_flush(Oid relid);

/* Appends rows at once, in the current transaction, holding the append lock to its end.  Returns the offset of the first. */
extern int64 pt_append_rows(Relation rel, const PtRecord *rows, int n, int64 expected_offset);

/* lock.c: the append lock, held to the end of the transaction.  dont_wait: false when another holds it. */
extern bool pt_append_lock(Oid relid, bool dont_wait);

/*
 * xact.c: a kind of thing that a transaction holds.  NULL: nothing to do.  At
 * the end of a subtransaction the stack is cut or lowered first, then the
 * function is called; the same at the end of the transaction.
 */
typedef struct PtXactKind
{
	const char *name;
	PtLevelStack *stack;
	void		(*prepare) (bool two_phase);	/* PRE_COMMIT or PRE_PREPARE; may
												 * ereport */
	void		(*committed) (void);	/* the append locks are held, unless
										 * tails.c has released them; must not
										 * throw */
	void		(*sub_commit) (int level);
	void		(*sub_abort) (int level);
	void		(*forget) (void);	/* after commit, prepare or abort */
} PtXactKind;

extern void pt_xact_register(const PtXactKind *const *others, int n);

/*
 * tails.c: the logs that this transaction has appended to.  before is called
 * ahead of pt_append, after when all WAL that the append causes (also of
 * indexes) is written.
 */
extern void pt_xact_before_append(PtLogState *state, Oid relid);
extern void pt_xact_after_append(void);

/* Identity of an idempotent producer to be put on what pt_flush_rows builds. */
typedef struct PtFlushProducer
{
	int64		producer_id;
	int16		producer_epoch;
	int32		base_sequence;
} PtFlushProducer;
extern void pt_batch_set_producer(char *data, size_t len, const PtFlushProducer *producer);
extern PtFlushProducer *pt_flush_producer;	/* NULL: none */

/* Has the relation indexes that must be told of rows? */
extern bool pt_wants_index_rows(Relation rel);

/* The configs that apply to a leaf; defaults for one that belongs to no topic. */
extern const PtTopicConfig *pt_leaf_config(Oid relid);
extern Oid	pt_leaf_identity(Relation rel);

/* Milliseconds since 1970. */
extern int64 pt_now_ms(void);

/*
 * trim.c: when the transaction commits, the log will start at this offset: what is before it is gone then, for
 * all snapshots.  PT_OFFSET_OUT_OF_RANGE beyond the committed end; *start is where the log will start.  Holds
 * RowExclusiveLock on the table to the end of the transaction.
 */
#define PT_TRIM_TO_END			(-1)
extern PtStatus pt_trim(Oid leaf, int64 offset, int64 *start);

/*
 * committer: shared with the server room.  Asks for WAL up to lsn to be made durable soon.
 */
extern void pt_commit_request(XLogRecPtr lsn);

/* This transaction gives a log another file or place, or none: when it has committed, all who wait for logs look again. */
extern void pt_log_gone(void);
/* WAL is durable up to here: flushed, and also on synchronous standbys. */
extern XLogRecPtr pt_commit_flushed(void);
extern XLogRecPtr pt_commit_replicated(void);

/* After COMMIT PREPARED or ROLLBACK PREPARED of any transaction. */
extern void pt_prepared_resolved(void);

#endif							/* PT_XACT_XACT_H */

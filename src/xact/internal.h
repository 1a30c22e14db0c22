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

/* lock.c */
extern void pt_append_locks_release(void);
extern void pt_append_locks_sub_commit(int level);
extern void pt_append_locks_sub_abort(int level);
extern void pt_append_locks_forget(void);

/*
 * xact.c: the logs that this transaction has appended to.  before is called
 * ahead of pt_append, after when all WAL that the append causes (also of
 * indexes) is written.
 */
extern void pt_xact_before_append(PtLogState *state, Oid relid);
extern void pt_xact_after_append(void);

/* pending.c: the ends of (sub)transactions, as xact.c sees them. */
extern void pt_pending_sub_commit(int level);
extern void pt_pending_sub_abort(int level);
extern void pt_pending_forget(void);

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

extern void pt_pending_row_get(const PtPendingRow *stored, PtRow *row);
extern void pt_row_check(Relation rel, const PtRow *row, int32 max_message_bytes, bool compacted);

/*
 * flush.c: encodes rows and appends them.  get_row gives the i'th row, set_offset
 * (may be NULL) hears where it went.
 */
typedef struct PtRowSource
{
	void	   *arg;
	void		(*get_row) (void *arg, int64 i, PtRow *row);
	void		(*set_offset) (void *arg, int64 i, int64 offset);
	int64		n;
} PtRowSource;

extern void pt_flush_rows(Relation rel, const PtRowSource *source);

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

/* Bytes that a record takes at most in a batch of its own. */
extern uint64 pt_row_batch_size(const PtRow *row);

/* The configs that apply to a leaf; defaults for one that belongs to no topic. */
extern const PtTopicConfig *pt_leaf_config(Oid relid);
extern Oid	pt_leaf_identity(Relation rel);

/* Milliseconds since 1970. */
extern int64 pt_now_ms(void);

/* convert.c: the batch with its records compressed by another codec, in memory of the current context. */
extern PtBatchStatus pt_batch_recompress(const char *data, size_t len, const PtTopicConfig *config,
									   char **out, size_t *out_len);

/* produce.c: rejects an item; a message is optional. */
extern void pt_produce_reject(PtProduce *item, PtStatus status, const char *message);

/*
 * producers.c.  The caller holds the append lock of the log throughout.
 */
extern Size pt_producers_shmem_size(void);
extern void pt_producers_shmem_init(void);
extern void pt_producers_load(Relation rel, PtLogState *log);
extern void pt_producers_get(const RelFileLocator *locator, int64 producer_id, PtProducerState *state);
extern void pt_producers_put(const RelFileLocator *locator, const PtProducerState *state);

/*
 * slow.c: appends the records of a batch through the executor, so that
 * constraints and row triggers see them.
 */
extern bool pt_produce_needs_executor(Relation rel);
extern void pt_produce_slowly(Relation rel, PtProduce *item, const PtBatchHeader *header);

/* produce.c */
extern void pt_produce_committed(void);

/* logs.c */
extern int64 pt_log_start_offset(PtLogState *log);

/* trim.c: what flush.c tells it, and the ends of (sub)transactions. */
extern void pt_trim_empty(Oid relid, PtLogState *log, int64 offset);
extern void pt_trims_prepare(bool two_phase);
extern void pt_trims_apply(void);
extern void pt_trims_sub_commit(int level);
extern void pt_trims_sub_abort(int level);
extern void pt_trims_forget(void);

/* positions.c, position_cache.c; positions.h has the rest */
extern Size pt_offsets_shmem_size(void);
extern void pt_offsets_shmem_init(void);
extern void pt_offsets_sub_commit(int level);
extern void pt_offsets_sub_abort(int level);
extern void pt_offsets_forget(void);

/* gone.c */
extern void pt_gone_register(void);

#endif							/* PT_XACT_INTERNAL_H */

/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the produce room share among themselves.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_PRODUCE_INTERNAL_H
#define PT_PRODUCE_INTERNAL_H

#include "produce/produce.h"
#include "topic/topic.h"

extern PtBatchStatus pt_batch_recompress(const char *data, size_t len, const PtTopicConfig *config,
										 char **out, size_t *out_len);

/* rules.c; in the order of what says most about a batch */
typedef enum PtRecordRule
{
	PT_RULE_NONE,
	PT_RULE_KEY,
	PT_RULE_EARLIEST,
	PT_RULE_LATEST
} PtRecordRule;

extern PtRecordRules pt_record_rules(const PtTopicConfig *config, int64 now);
extern bool pt_check_rules(PtProduce *item, const PtRecordRules *rules);

/*
 * produce.c: rejects an item; a message is optional.  The other is for an
 * ERROR, and tells the server's log of it.
 */
extern void pt_produce_reject(PtProduce *item, PtStatus status, const char *message);
extern void pt_produce_failed(PtProduce *item, const ErrorData *edata);

/* How the batches of a call are appended. */
typedef enum PtProduceMode
{
	PT_PRODUCE_TRY,				/* never waits, runs nobody's code */
	PT_PRODUCE_FLUSH,			/* the same, but the commit flushes */
	PT_PRODUCE_WAIT				/* waits for locks, runs whatever there is */
} PtProduceMode;

extern void pt_produce_in_mode(PtProduceMode mode, PtProduce *items, int n, XLogRecPtr *lsn);

/* produce.c: one partition of those that a transaction appends to. */
typedef struct PtProducePart
{
	Relation	rel;
	PtLogState *log;
	PtTopicConfig config;
	bool		staged;			/* what comes was admitted before */
	bool		slow;			/* row by row */
	PtIndexRows indexes;
	int64		next_offset;	/* of the next batch */
	int64		now;			/* ms */
	PtProducerState *producers; /* changed by this group */
	int			nproducers;
	bool		appended;
	XLogRecPtr	duplicate_lsn;	/* durable then, so are the originals of
								 * duplicates */
} PtProducePart;

extern void pt_produce_begin(PtProduceMode how);
extern void pt_produce_committing(PtProducePart *parts, int n);
extern bool pt_produce_verify(PtProduce *item, bool transactional);
extern bool pt_produce_open(PtProducePart *part, Oid relid, PtProduce **items, int n);
extern void pt_produce_producer(PtProducePart *part, int64 producer_id);
extern void pt_produce_append(PtProducePart *part, PtProduce **items, int n);
extern bool pt_produce_may(const PtProducePart *part, Oid role);
extern bool pt_produce_fits(const PtTopicConfig *config, PtProduce *item);

/* counters.c */
extern void pt_produce_count(PtProduceCounter counter, uint64 n);

/*
 * producers.c.  The caller holds the append lock of the log throughout.  "now"
 * in ms.
 */
extern bool pt_producers_at_hand(const PtLogState *log, int64 producer_id, int64 now);
extern void pt_producers_load(Relation rel, PtLogState *log, int64 now);
extern void pt_producers_get(Relation rel, PtLogState *log, int64 producer_id, int64 now, PtProducerState *state);
extern void pt_producers_seen(const RelFileLocator *locator, PtProducerState *state);
extern void pt_producers_put(const RelFileLocator *locator, const PtProducerState *state, int64 now);

/*
 * executor.c: appends the records of a batch through the executor, so that
 * constraints and row triggers see them.
 */
extern void pt_produce_slowly(Relation rel, PtProduce *item);

#endif							/* PT_PRODUCE_INTERNAL_H */

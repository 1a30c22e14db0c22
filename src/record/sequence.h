/*-------------------------------------------------------------------------
 *
 * sequence.h
 *	  The state of one idempotent producer in a partition.
 *
 * A pure state machine with Kafka's rules: the batches of one (producer id,
 * epoch) have sequence numbers without a gap.  The last five batches are
 * remembered, so that a retry of one of them is answered with its first
 * offset.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_SEQUENCE_H
#define PT_RECORD_SEQUENCE_H

#include "record/batch.h"

#define PT_SEQUENCE_BATCHES		5	/* a producer may have as many in flight */
#define PT_NO_PRODUCER_EPOCH	(-1)

/* A batch that was appended. */
typedef struct PtSequenceBatch
{
	int64		base_offset;
	int64		timestamp;		/* ms; the largest in it */
	int32		base_sequence;
	int32		last_offset_delta;
} PtSequenceBatch;

/*
 * What a partition knows of a producer.  It has a fixed size and no pointers,
 * for shared memory; to undo a change, copy it before.  The caller serializes
 * all access, by the append lock.
 */
typedef struct PtProducerState
{
	int64		producer_id;
	int64		last_timestamp; /* ms; that of the last batch */
	int64		seen_at;		/* ms; when it was appended, as far as is
								 * known: for expiry */
	int32		epoch;			/* PT_NO_PRODUCER_EPOCH: nothing is known */
	int32		n;				/* number of batches remembered */
	PtSequenceBatch batches[PT_SEQUENCE_BATCHES];	/* oldest first */
} PtProducerState;

/* What is to be done with a batch. */
typedef enum PtSequenceResult
{
	PT_SEQUENCE_OK,				/* append it */
	PT_SEQUENCE_DUPLICATE,		/* is in the log already */
	PT_SEQUENCE_OUT_OF_ORDER,	/* a gap, or a retry too old to remember */
	PT_SEQUENCE_FENCED,			/* epoch is older than one that was seen */
	PT_SEQUENCE_INVALID			/* negative sequence or epoch */
} PtSequenceResult;

extern void pt_sequence_init(PtProducerState *state, int64 producer_id);

extern PtSequenceResult pt_sequence_check(const PtProducerState *state, const PtBatchHeader *batch,
										  const PtSequenceBatch **duplicate);

extern void pt_sequence_append(PtProducerState *state, const PtBatchHeader *batch,
							   int64 base_offset, int64 seen_at);

extern bool pt_sequence_expired(const PtProducerState *state, int64 now, int64 expiration_ms);

extern int32 pt_sequence_add(int32 sequence, int32 delta);

extern int32 pt_sequence_sub(int32 sequence, int32 delta);

#endif							/* PT_RECORD_SEQUENCE_H */

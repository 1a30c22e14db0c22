/*-------------------------------------------------------------------------
 *
 * sequence.h
 *	  What a partition knows of one idempotent producer.
 *
 *	  A pure state machine with Kafka's rules: batches of one (producer id,
 *	  epoch) carry sequence numbers without a gap, the last five batches are
 *	  remembered, so that a retry of one of them is answered with the offset
 *	  of the first.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_SEQUENCE_H
#define PT_RECORD_SEQUENCE_H

#include "record/batch.h"

#define PT_SEQUENCE_BATCHES		5	/* a producer may have so many in flight */
#define PT_NO_PRODUCER_EPOCH	(-1)

typedef struct PtSequenceBatch
{
	int64		base_offset;
	int32		base_sequence;
	int32		last_offset_delta;
} PtSequenceBatch;

/*
 * Fixed size and without pointers, for shared memory; copy it to undo.  The
 * caller serialises (the append lock).
 */
typedef struct PtProducerState
{
	int64		producer_id;
	int64		last_timestamp; /* of the last append, as the caller gave it;
								 * for expiry */
	int16		epoch;			/* PT_NO_PRODUCER_EPOCH: nothing known yet */
	int16		n;				/* batches remembered */
	PtSequenceBatch batches[PT_SEQUENCE_BATCHES];	/* oldest first */
} PtProducerState;

typedef enum PtSequenceResult
{
	PT_SEQUENCE_OK,				/* append it */
	PT_SEQUENCE_DUPLICATE,		/* is in the log already */
	PT_SEQUENCE_OUT_OF_ORDER,	/* a gap, or a retry too old to remember */
	PT_SEQUENCE_FENCED,			/* epoch is older than one that was seen */
	PT_SEQUENCE_INVALID			/* negative sequence or epoch */
} PtSequenceResult;

/* The state of a producer that this partition has not heard of. */
extern void pt_sequence_init(PtProducerState *state, int64 producer_id);

/*
 * May this batch (of this producer id) be appended?  Changes nothing.  When a
 * duplicate, *base_offset is where the first one went, else -1.
 */
extern PtSequenceResult pt_sequence_check(const PtProducerState *state, const PtBatchHeader *batch,
										  int64 *base_offset);

/*
 * The batch went to base_offset.  To be called for batches that
 * pt_sequence_check found OK, and for those read from the log, in its order.
 */
extern void pt_sequence_append(PtProducerState *state, const PtBatchHeader *batch,
							   int64 base_offset, int64 timestamp);

/*
 * The sequence number "delta" records behind another: after INT32_MAX comes 0.
 */
extern int32 pt_sequence_add(int32 sequence, int32 delta);

/* The same, before it. */
extern int32 pt_sequence_sub(int32 sequence, int32 delta);

#endif							/* PT_RECORD_SEQUENCE_H */

/*-------------------------------------------------------------------------
 *
 * sequence.c
 *	  Sequence numbers of idempotent producers: duplicate, next, gap or
 *	  fenced.
 *
 *	  The rules, in the order in which they are applied:
 *	  1. A batch of the epoch we know whose first and last sequence are those
 *	  of a remembered batch is a duplicate.
 *	  2. A lower epoch is fenced.
 *	  3. A higher epoch starts at sequence 0 and forgets the batches of the
 *	  old one.
 *	  4. Of a producer of which nothing is known any sequence is taken:
 *	  retention may have removed all its batches, and it does not start again
 *	  for that.
 *	  5. Otherwise the first sequence follows the last one; 0 follows
 *	  INT32_MAX.
 *
 *	  These are the rules of Kafka's ProducerStateManager for a client's
 *	  appends, except that a negative epoch is refused, which Kafka's protocol
 *	  reserves for "none".
 *
 *	  Siblings: batch.c, which reads the headers looked at here.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/sequence.h"

StaticAssertDecl(sizeof(PtProducerState) == 32 + PT_SEQUENCE_BATCHES * sizeof(PtSequenceBatch),
				 "PtProducerState has no padding");

/*
 * Makes the state of a producer of which the partition knows nothing.
 */
void
pt_sequence_init(PtProducerState *state, int64 producer_id)
{
	Assert(producer_id >= 0);

	memset(state, 0, sizeof(*state));
	state->producer_id = producer_id;
	state->last_timestamp = state->seen_at = -1;
	state->epoch = PT_NO_PRODUCER_EPOCH;
}

/*
 * Returns the sequence number "delta" records behind another; 0 follows
 * INT32_MAX.
 */
int32
pt_sequence_add(int32 sequence, int32 delta)
{
	Assert(sequence >= 0 && delta >= 0);

	return (int32) (((uint32) sequence + (uint32) delta) & PG_INT32_MAX);
}

/*
 * Returns the sequence number "delta" records before another.
 */
int32
pt_sequence_sub(int32 sequence, int32 delta)
{
	Assert(sequence >= 0 && delta >= 0);

	return (int32) (((uint32) sequence - (uint32) delta) & PG_INT32_MAX);
}

/*
 * Returns the remembered batch with exactly these sequence numbers, or NULL.
 */
static const PtSequenceBatch *
sequence_find(const PtProducerState *state, int32 base_sequence, int32 last_offset_delta)
{
	for (int i = 0; i < state->n; i++)
	{
		const PtSequenceBatch *known = &state->batches[i];

		if (known->base_sequence == base_sequence && known->last_offset_delta == last_offset_delta)
			return known;
	}
	return NULL;
}

/*
 * Returns the sequence number with which the known epoch goes on.
 */
static int32
sequence_next(const PtProducerState *state)
{
	const PtSequenceBatch *last;

	if (state->n == 0)
		return 0;
	last = &state->batches[state->n - 1];
	return pt_sequence_add(pt_sequence_add(last->base_sequence, last->last_offset_delta), 1);
}

/*
 * Decides whether a batch of this producer may be appended.  Changes nothing.
 * If it is a duplicate, *duplicate is the first one, in the state, otherwise
 * NULL.
 */
PtSequenceResult
pt_sequence_check(const PtProducerState *state, const PtBatchHeader *batch, const PtSequenceBatch **duplicate)
{
	Assert(state->producer_id == batch->producer_id);
	Assert(state->n >= 0 && state->n <= PT_SEQUENCE_BATCHES);
	Assert(state->epoch != PT_NO_PRODUCER_EPOCH || state->n == 0);

	*duplicate = NULL;
	if (batch->base_sequence < 0 || batch->producer_epoch < 0 || batch->last_offset_delta < 0)
		return PT_SEQUENCE_INVALID;

	if (batch->producer_epoch == state->epoch)
	{
		*duplicate = sequence_find(state, batch->base_sequence, batch->last_offset_delta);
		if (*duplicate != NULL)
			return PT_SEQUENCE_DUPLICATE;
		return batch->base_sequence == sequence_next(state) ? PT_SEQUENCE_OK : PT_SEQUENCE_OUT_OF_ORDER;
	}

	if (batch->producer_epoch < state->epoch)
		return PT_SEQUENCE_FENCED;
	if (state->epoch == PT_NO_PRODUCER_EPOCH)
		return PT_SEQUENCE_OK;
	return batch->base_sequence == 0 ? PT_SEQUENCE_OK : PT_SEQUENCE_OUT_OF_ORDER;
}

/*
 * Remembers that the batch is at base_offset, and came at seen_at (ms).  To be
 * called for batches that pt_sequence_check() has accepted, and for those read
 * from the log, in its order.
 */
void
pt_sequence_append(PtProducerState *state, const PtBatchHeader *batch, int64 base_offset, int64 seen_at)
{
	PtSequenceBatch *slot;

	Assert(state->producer_id == batch->producer_id);
	Assert(batch->base_sequence >= 0 && batch->producer_epoch >= 0 && batch->last_offset_delta >= 0);
	Assert(base_offset >= 0);

	/*
	 * An epoch that was fenced stays fenced, whatever is in a log that others
	 * have written.
	 */
	if (batch->producer_epoch < state->epoch)
		return;

	if (batch->producer_epoch != state->epoch)
	{
		state->epoch = batch->producer_epoch;
		state->n = 0;
	}
	else if (state->n == PT_SEQUENCE_BATCHES)
	{
		memmove(&state->batches[0], &state->batches[1], (PT_SEQUENCE_BATCHES - 1) * sizeof(state->batches[0]));
		state->n--;
	}

	slot = &state->batches[state->n++];
	slot->base_offset = base_offset;
	slot->base_sequence = batch->base_sequence;
	slot->last_offset_delta = batch->last_offset_delta;
	slot->timestamp = state->last_timestamp = batch->max_timestamp;
	state->seen_at = Max(state->seen_at, seen_at);
}

/*
 * Has nothing come of the producer for expiration_ms?  Then it counts as one
 * of which nothing is known.  A clock that was set back keeps it.
 */
bool
pt_sequence_expired(const PtProducerState *state, int64 now, int64 expiration_ms)
{
	Assert(expiration_ms > 0);

	return state->seen_at >= 0 && now - expiration_ms >= state->seen_at;
}

/*-------------------------------------------------------------------------
 *
 * test_sequence.c
 *	  Sequences of idempotent producers: Kafka's rules, one by one.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include "record/sequence.h"

#define PRODUCER	4711

/* The timestamp of the batch that append() puts at this offset. */
static int64
timestamp_at(int64 offset)
{
	return 5000 + offset;
}

static PtBatchHeader
batch(int16 epoch, int32 base_sequence, int32 count)
{
	PtBatchHeader h = {0};

	h.producer_id = PRODUCER;
	h.producer_epoch = epoch;
	h.base_sequence = base_sequence;
	h.record_count = count;
	h.last_offset_delta = count - 1;
	return h;
}

static void
check(const PtProducerState *state, int16 epoch, int32 base_sequence, int32 count,
	  PtSequenceResult want, int64 want_offset)
{
	PtBatchHeader h = batch(epoch, base_sequence, count);
	const PtSequenceBatch *duplicate = NULL;

	SAY("epoch %d sequence %d count %d", epoch, base_sequence, count);
	CHECK_INT(pt_sequence_check(state, &h, &duplicate), want);
	CHECK_INT(duplicate ? duplicate->base_offset : -1, want_offset);
	if (duplicate)
		CHECK_INT(duplicate->timestamp, timestamp_at(duplicate->base_offset));
}

static void
append(PtProducerState *state, int16 epoch, int32 base_sequence, int32 count, int64 offset)
{
	PtBatchHeader h = batch(epoch, base_sequence, count);

	check(state, epoch, base_sequence, count, PT_SEQUENCE_OK, -1);
	h.max_timestamp = timestamp_at(offset);
	pt_sequence_append(state, &h, offset, 1000 + offset);
}

static void
test_first_batch(void)
{
	PtProducerState s;

	pt_sequence_init(&s, PRODUCER);
	check(&s, 0, 0, 10, PT_SEQUENCE_OK, -1);
	/* Of a producer that we know nothing of, anything is taken. */
	check(&s, 0, 500, 10, PT_SEQUENCE_OK, -1);
	check(&s, 9, PG_INT32_MAX, 10, PT_SEQUENCE_OK, -1);
	/* But for what is no sequence, no epoch. */
	check(&s, 0, -1, 10, PT_SEQUENCE_INVALID, -1);
	check(&s, 0, PG_INT32_MIN, 10, PT_SEQUENCE_INVALID, -1);
	check(&s, -1, 0, 10, PT_SEQUENCE_INVALID, -1);

	append(&s, 2, 500, 10, 77);
	CHECK_INT(s.epoch, 2);
	CHECK_INT(s.last_timestamp, timestamp_at(77));
	CHECK_INT(s.seen_at, 1077);
	check(&s, 2, 510, 1, PT_SEQUENCE_OK, -1);
	check(&s, 2, 500, 10, PT_SEQUENCE_DUPLICATE, 77);
}

static void
test_gaps(void)
{
	PtProducerState s;

	pt_sequence_init(&s, PRODUCER);
	append(&s, 0, 0, 10, 100);
	check(&s, 0, 11, 1, PT_SEQUENCE_OUT_OF_ORDER, -1);
	check(&s, 0, 9, 1, PT_SEQUENCE_OUT_OF_ORDER, -1);
	check(&s, 0, 0, 9, PT_SEQUENCE_OUT_OF_ORDER, -1);	/* not the same batch */
	check(&s, 0, 0, 11, PT_SEQUENCE_OUT_OF_ORDER, -1);
	check(&s, 0, 1, 9, PT_SEQUENCE_OUT_OF_ORDER, -1);
	check(&s, 0, -1, 1, PT_SEQUENCE_INVALID, -1);
	append(&s, 0, 10, 5, 110);
	check(&s, 0, 15, 1, PT_SEQUENCE_OK, -1);
}

/* Five batches are remembered, the sixth oldest is not. */
static void
test_window(void)
{
	PtProducerState s;

	pt_sequence_init(&s, PRODUCER);
	for (int i = 0; i < 20; i++)
	{
		append(&s, 0, i * 3, 3, 1000 + i * 10);
		for (int back = 0; back < 8 && back <= i; back++)
		{
			int			old = i - back;

			if (back < PT_SEQUENCE_BATCHES)
				check(&s, 0, old * 3, 3, PT_SEQUENCE_DUPLICATE, 1000 + old * 10);
			else
				check(&s, 0, old * 3, 3, PT_SEQUENCE_OUT_OF_ORDER, -1);
		}
	}
	CHECK_INT(s.n, PT_SEQUENCE_BATCHES);
}

static void
test_epochs(void)
{
	PtProducerState s;

	pt_sequence_init(&s, PRODUCER);
	append(&s, 1, 0, 10, 100);
	check(&s, 0, 10, 1, PT_SEQUENCE_FENCED, -1);
	check(&s, 0, 0, 10, PT_SEQUENCE_FENCED, -1);	/* not a duplicate either */
	check(&s, 2, 10, 1, PT_SEQUENCE_OUT_OF_ORDER, -1);
	check(&s, 2, 1, 1, PT_SEQUENCE_OUT_OF_ORDER, -1);
	check(&s, 3, 0, 10, PT_SEQUENCE_OK, -1);	/* epochs may be skipped */

	append(&s, 2, 0, 10, 200);
	check(&s, 2, 0, 10, PT_SEQUENCE_DUPLICATE, 200);
	check(&s, 2, 10, 1, PT_SEQUENCE_OK, -1);
	check(&s, 1, 10, 1, PT_SEQUENCE_FENCED, -1);
	CHECK_INT(s.n, 1);
	append(&s, PG_INT16_MAX, 0, 1, 300);
	check(&s, PG_INT16_MAX, 1, 1, PT_SEQUENCE_OK, -1);
}

/* After INT32_MAX comes 0, between batches and within one. */
static void
test_wrap(void)
{
	PtProducerState s;

	CHECK_INT(pt_sequence_add(PG_INT32_MAX, 1), 0);
	CHECK_INT(pt_sequence_add(PG_INT32_MAX, PG_INT32_MAX), PG_INT32_MAX - 1);
	CHECK_INT(pt_sequence_add(PG_INT32_MAX - 4, 4), PG_INT32_MAX);
	CHECK_INT(pt_sequence_add(0, 0), 0);
	CHECK_INT(pt_sequence_sub(0, 0), 0);
	CHECK_INT(pt_sequence_sub(0, 1), PG_INT32_MAX);
	CHECK_INT(pt_sequence_sub(pt_sequence_add(PG_INT32_MAX - 1, 7), 7), PG_INT32_MAX - 1);

	pt_sequence_init(&s, PRODUCER);
	append(&s, 0, PG_INT32_MAX - 9, 10, 100);	/* ends with INT32_MAX */
	check(&s, 0, 1, 1, PT_SEQUENCE_OUT_OF_ORDER, -1);
	append(&s, 0, 0, 1, 110);

	pt_sequence_init(&s, PRODUCER);
	append(&s, 0, PG_INT32_MAX - 1, 5, 100);	/* MAX-1, MAX, 0, 1, 2 */
	check(&s, 0, 2, 1, PT_SEQUENCE_OUT_OF_ORDER, -1);
	check(&s, 0, PG_INT32_MAX - 1, 5, PT_SEQUENCE_DUPLICATE, 100);
	append(&s, 0, 3, 1, 105);
	check(&s, 0, 4, 1, PT_SEQUENCE_OK, -1);
}

/* What the log holds is replayed without questions, but never unfences. */
static void
test_replay(void)
{
	PtProducerState s;
	PtBatchHeader h;

	pt_sequence_init(&s, PRODUCER);
	append(&s, 5, 0, 1, 10);
	h = batch(5, 100, 2);
	pt_sequence_append(&s, &h, 20, 0);	/* compaction took what was between */
	check(&s, 5, 102, 1, PT_SEQUENCE_OK, -1);
	h = batch(4, 7, 1);
	pt_sequence_append(&s, &h, 30, 0);
	CHECK_INT(s.epoch, 5);
	check(&s, 5, 102, 1, PT_SEQUENCE_OK, -1);
}

/* A copy undoes. */
static void
test_copy_is_enough(void)
{
	PtProducerState s;
	PtProducerState saved;

	pt_sequence_init(&s, PRODUCER);
	append(&s, 0, 0, 4, 10);
	saved = s;
	append(&s, 1, 0, 4, 20);
	s = saved;
	check(&s, 0, 0, 4, PT_SEQUENCE_DUPLICATE, 10);
	check(&s, 0, 4, 4, PT_SEQUENCE_OK, -1);
}

/* A producer expires when nothing has come of it for that long. */
static void
test_expiry(void)
{
	PtProducerState s;

	pt_sequence_init(&s, PRODUCER);
	CHECK(!pt_sequence_expired(&s, PG_INT64_MAX, 1));	/* nothing is known of
														 * it */
	append(&s, 0, 0, 1, 0);
	CHECK(!pt_sequence_expired(&s, 1000, 50));
	CHECK(!pt_sequence_expired(&s, 1049, 50));
	CHECK(pt_sequence_expired(&s, 1050, 50));
	CHECK(!pt_sequence_expired(&s, 0, 50));
	append(&s, 0, 1, 1, 40);
	CHECK(!pt_sequence_expired(&s, 1089, 50));
	CHECK(pt_sequence_expired(&s, 1090, 50));
}

int
main(void)
{
	RUN(test_expiry);
	RUN(test_first_batch);
	RUN(test_gaps);
	RUN(test_window);
	RUN(test_epochs);
	RUN(test_wrap);
	RUN(test_replay);
	RUN(test_copy_is_enough);
	return test_done();
}

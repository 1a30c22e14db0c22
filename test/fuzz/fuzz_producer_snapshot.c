/*-------------------------------------------------------------------------
 *
 * fuzz_producer_snapshot.c
 *	  Fuzz target: anything that claims to be a snapshot of producers.
 *
 *	  The input is read as it is, and again with magic, version and CRC made
 *	  right.  A piece that can be read to its end must come out the same when it
 *	  is written from what was read, but for what has no meaning yet.
 *
 *	  Seeds: seed_producer_snapshot.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "common/fe_memutils.h"

#include "record/bytes.h"
#include "record/crc32c.h"
#include "record/producer_snapshot.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A state that was read can be used like any other. */
static void
use_state(PtProducerState *state)
{
	PtBatchHeader h = {
		.producer_id = state->producer_id,.producer_epoch = (int16) state->epoch,.record_count = 1
	};
	const PtSequenceBatch *first;

	if (state->n > 0)
	{
		const PtSequenceBatch *last = &state->batches[state->n - 1];

		h.base_sequence = pt_sequence_add(pt_sequence_add(last->base_sequence, last->last_offset_delta), 1);
	}
	(void) pt_sequence_expired(state, 0, 1);
	if (pt_sequence_check(state, &h, &first) == PT_SEQUENCE_OUT_OF_ORDER)
		abort();
	pt_sequence_append(state, &h, 7, 8);
	if (state->n < 1 || state->n > PT_SEQUENCE_BATCHES)
		abort();
}

static void
read_piece(const char *data, size_t len)
{
	PtSnapshotReader r;
	PtSnapshotWriter w;
	PtProducerState state;
	PtSnapshotStatus status = pt_snapshot_open(&r, data, len);
	char	   *copy;

	if (status != PT_SNAPSHOT_OK)
		return;
	copy = pg_malloc(len);
	pt_snapshot_begin(&w, copy, len);
	while ((status = pt_snapshot_next(&r, &state)) == PT_SNAPSHOT_OK)
	{
		if (!pt_snapshot_add(&w, &state))
			abort();
		use_state(&state);
	}
	if (status == PT_SNAPSHOT_END && pt_snapshot_finish(&w, r.taken_at) != len)
		abort();
	pg_free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *copy = pg_malloc(size + 1);

	memcpy(copy, data, size);
	read_piece(copy, size);
	if (size >= PT_SNAPSHOT_HEADER_SIZE)
	{
		pt_put_int32(copy, 0x70675073);
		pt_put_int32(copy + 8, 1);
		pt_put_int32(copy + 4, (int32) pt_crc32c(copy + 8, size - 8));
		read_piece(copy, size);
	}
	pg_free(copy);
	return 0;
}

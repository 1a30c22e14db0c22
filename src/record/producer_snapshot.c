/*-------------------------------------------------------------------------
 *
 * producer_snapshot.c
 *	  Snapshots of producers: from states to bytes and back.
 *
 *	  Bytes that are read may be anything: no number of them is believed
 *	  before it is checked, and a state that comes out is one that
 *	  pt_sequence_append() could have made.
 *
 *	  Siblings: producer_snapshot.h (the layout), sequence.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/producer_snapshot.h"

#include "record/bytes.h"
#include "record/crc32c.h"

#define MAGIC			0x70675073	/* "pgPs" */
#define VERSION			1

/* Places in the header. */
#define AT_MAGIC		0
#define AT_CRC			4
#define AT_VERSION		8
#define AT_COUNT		12
#define AT_TAKEN_AT		16

/* Places in an entry. */
#define AT_PRODUCER_ID	0
#define AT_TIMESTAMP	8
#define AT_SEEN_AT		16
#define AT_EPOCH		24
#define AT_BATCHES		28
#define AT_COORDINATOR	32
#define AT_TXN_OFFSET	40
#define ENTRY_SIZE		48
#define BATCH_SIZE		24

StaticAssertDecl(PT_SNAPSHOT_HEADER_SIZE >= PT_BATCH_HEADER_SIZE, "a frame is at least as long as a batch header");
StaticAssertDecl(PT_SNAPSHOT_ENTRY_SIZE_MAX == ENTRY_SIZE + PT_SEQUENCE_BATCHES * BATCH_SIZE,
				 "the longest entry has all batches");

/*
 * Begins a piece in memory of the caller's, which has room for the header at
 * least.
 */
void
pt_snapshot_begin(PtSnapshotWriter *w, char *data, size_t size)
{
	Assert(size >= PT_SNAPSHOT_HEADER_SIZE);

	*w = (PtSnapshotWriter)
	{
		.data = data,.size = size,.used = PT_SNAPSHOT_HEADER_SIZE
	};
	memset(data, 0, PT_SNAPSHOT_HEADER_SIZE);
}

/*
 * Adds a producer.  Returns false, and adds nothing, when there is no room.
 */
bool
pt_snapshot_add(PtSnapshotWriter *w, const PtProducerState *state)
{
	size_t		len = ENTRY_SIZE + (size_t) state->n * BATCH_SIZE;
	char	   *entry = w->data + w->used;

	Assert(state->producer_id >= 0 && state->epoch >= 0);
	Assert(state->n >= 0 && state->n <= PT_SEQUENCE_BATCHES);
	if (len > w->size - w->used)
		return false;
	memset(entry, 0, ENTRY_SIZE);
	pt_put_int64(entry + AT_PRODUCER_ID, state->producer_id);
	pt_put_int64(entry + AT_TIMESTAMP, state->last_timestamp);
	pt_put_int64(entry + AT_SEEN_AT, state->seen_at);
	pt_put_int32(entry + AT_EPOCH, state->epoch);
	pt_put_int32(entry + AT_BATCHES, state->n);
	pt_put_int32(entry + AT_COORDINATOR, -1);
	pt_put_int64(entry + AT_TXN_OFFSET, -1);
	for (int i = 0; i < state->n; i++)
	{
		char	   *at = entry + ENTRY_SIZE + i * BATCH_SIZE;

		pt_put_int64(at, state->batches[i].base_offset);
		pt_put_int64(at + 8, state->batches[i].timestamp);
		pt_put_int32(at + 16, state->batches[i].base_sequence);
		pt_put_int32(at + 20, state->batches[i].last_offset_delta);
	}
	w->used += len;
	w->count++;
	return true;
}

/*
 * Completes the piece, which was taken at this time (ms).  Returns its length.
 */
size_t
pt_snapshot_finish(PtSnapshotWriter *w, int64 taken_at)
{
	Assert(w->used <= w->size);

	pt_put_int32(w->data + AT_MAGIC, MAGIC);
	pt_put_int32(w->data + AT_VERSION, VERSION);
	pt_put_int32(w->data + AT_COUNT, w->count);
	pt_put_int64(w->data + AT_TAKEN_AT, taken_at);
	pt_put_int32(w->data + AT_CRC, (int32) pt_crc32c(w->data + AT_VERSION, w->used - AT_VERSION));
	return w->used;
}

/*
 * Begins to read a piece: PT_SNAPSHOT_OK, or why it cannot be read.  The bytes
 * must stay where they are.
 */
PtSnapshotStatus
pt_snapshot_open(PtSnapshotReader *r, const char *data, size_t len)
{
	memset(r, 0, sizeof(*r));
	if (len < PT_SNAPSHOT_HEADER_SIZE || pt_get_int32(data + AT_MAGIC) != MAGIC)
		return PT_SNAPSHOT_UNKNOWN;
	if ((uint32) pt_get_int32(data + AT_CRC) != pt_crc32c(data + AT_VERSION, len - AT_VERSION))
		return PT_SNAPSHOT_DAMAGED;
	if (pt_get_int32(data + AT_VERSION) != VERSION)
		return PT_SNAPSHOT_UNKNOWN;
	r->pos = data + PT_SNAPSHOT_HEADER_SIZE;
	r->end = data + len;
	r->left = pt_get_int32(data + AT_COUNT);
	r->taken_at = pt_get_int64(data + AT_TAKEN_AT);
	if (r->left < 0 || (size_t) r->left > (len - PT_SNAPSHOT_HEADER_SIZE) / ENTRY_SIZE)
		return PT_SNAPSHOT_DAMAGED;
	return PT_SNAPSHOT_OK;
}

/*
 * Reads the batches of an entry, which are there.  Returns false when one is
 * impossible.
 */
static bool
read_batches(const char *at, PtProducerState *state)
{
	for (int i = 0; i < state->n; i++, at += BATCH_SIZE)
	{
		PtSequenceBatch *batch = &state->batches[i];

		batch->base_offset = pt_get_int64(at);
		batch->timestamp = pt_get_int64(at + 8);
		batch->base_sequence = pt_get_int32(at + 16);
		batch->last_offset_delta = pt_get_int32(at + 20);
		if (batch->base_offset < 0 || batch->base_sequence < 0 || batch->last_offset_delta < 0)
			return false;
	}
	return true;
}

/*
 * Reads the next producer: PT_SNAPSHOT_OK, PT_SNAPSHOT_END behind the last
 * one, or PT_SNAPSHOT_DAMAGED.
 */
PtSnapshotStatus
pt_snapshot_next(PtSnapshotReader *r, PtProducerState *state)
{
	const char *entry = r->pos;
	int32		epoch;
	int32		n;

	if (r->left == 0)
		return entry == r->end ? PT_SNAPSHOT_END : PT_SNAPSHOT_DAMAGED;
	if (r->end - entry < ENTRY_SIZE || pt_get_int64(entry + AT_PRODUCER_ID) < 0)
		return PT_SNAPSHOT_DAMAGED;
	epoch = pt_get_int32(entry + AT_EPOCH);
	n = pt_get_int32(entry + AT_BATCHES);
	if (epoch < 0 || epoch > PG_INT16_MAX || n < 0 || n > PT_SEQUENCE_BATCHES)
		return PT_SNAPSHOT_DAMAGED;
	if (r->end - entry < ENTRY_SIZE + n * BATCH_SIZE)
		return PT_SNAPSHOT_DAMAGED;
	pt_sequence_init(state, pt_get_int64(entry + AT_PRODUCER_ID));
	state->last_timestamp = pt_get_int64(entry + AT_TIMESTAMP);
	state->seen_at = pt_get_int64(entry + AT_SEEN_AT);
	state->epoch = epoch;
	state->n = n;
	if (!read_batches(entry + ENTRY_SIZE, state))
		return PT_SNAPSHOT_DAMAGED;
	r->pos = entry + ENTRY_SIZE + n * BATCH_SIZE;
	r->left--;
	return PT_SNAPSHOT_OK;
}

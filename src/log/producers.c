/*-------------------------------------------------------------------------
 *
 * producers.c
 *	  What a log itself says of its idempotent producers: the batches they have
 *	  written, and snapshots of all that was known of them at some place.
 *
 * The meta page has producers_pos: whoever reads from there to the end, frame
 * by frame, knows all there is to know.  A snapshot is the state of a producer
 * at its place and takes the place of what was read before; a batch moves the
 * state on.  So a snapshot need not hold all producers, and may be cut into
 * pieces (frames of kind PT_FRAME_KIND_PRODUCERS) as one likes: what must hold
 * is that each producer that is not expired is in one piece, or has its
 * batches, behind producers_pos.
 *
 * The order of things is this.  Under the append lock: read what there is,
 * write it all as pieces at the tail; commit; then producers_pos moves to the
 * first of these pieces.  A crash in between leaves pieces that say nothing
 * new.  Pieces of an aborted transaction are hidden like its batches.
 *
 * A log without idempotent producers has no producers_pos (0), and costs
 * nothing.  Extents from producers_pos on are not freed, also when the start
 * of the log is behind them (page.h, pt_first_kept): a producer is remembered
 * until it expires, whatever becomes of its batches.  Compaction keeps away
 * from them, too.
 *
 * When a batch was appended the log does not say, and what it says of its time
 * is the client's.  So a producer whose batch is read counts as seen now, and
 * at worst is remembered for longer.
 *
 * Siblings: ../record/producer_snapshot.c (the bytes of a piece),
 * ../record/sequence.c (the states); ../produce/producers.c keeps them in
 * shared memory, ../produce/snapshots.c decides when to write.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "record/producer_snapshot.h"

#include "log/internal.h"
#include "log/producers.h"

/* Bytes of a piece, at most: 1,500 producers, about one WAL record. */
#define PIECE_BYTES		(PT_APPEND_BLOCKS * PT_PAGE_CAPACITY - (int) sizeof(PtFrameHeader))

/* What is read: all producers, or one. */
typedef struct ProducersRead
{
	HTAB	   *all;			/* NULL: one */
	PtProducerState *one;
	int64		now;			/* ms */
} ProducersRead;

static void read_frames(Relation rel, PtLogPos from, ProducersRead *read);
static void read_batch(const PtFrame *frame, ProducersRead *read);
static void read_piece(PtReader *r, PtFrame *frame, ProducersRead *read);
static PtProducerState *state_for(ProducersRead *read, int64 producer_id);
static void append_piece(Relation rel, PtLogState *log, PtSnapshotWriter *w, int64 now, bool settled);

/*
 * All producers that the log knows of, from this place on (producers_pos; 0:
 * none): PtProducerState by id, in the current memory context.  Expired ones
 * are among them.  "now" in ms.
 */
HTAB *
pt_log_producers_read(Relation rel, PtLogPos from, int64 now)
{
	HASHCTL		ctl = {.keysize = sizeof(int64),.entrysize = sizeof(PtProducerState),.hcxt = CurrentMemoryContext};
	ProducersRead read = {.now = now};

	StaticAssertStmt(offsetof(PtProducerState, producer_id) == 0, "the id is the key");
	read.all = hash_create("pgtopic producers of a log", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	read_frames(rel, from, &read);
	return read.all;
}

/* The states of such a table, in no order, in the current memory context. */
PtProducerState *
pt_log_producers_array(HTAB *all, int *n)
{
	Size		bytes = sizeof(PtProducerState) * Max(hash_get_num_entries(all), 1);
	PtProducerState *states = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	PtProducerState *state;
	HASH_SEQ_STATUS scan;

	*n = 0;
	hash_seq_init(&scan, all);
	while ((state = hash_seq_search(&scan)) != NULL)
		states[(*n)++] = *state;
	return states;
}

/* One producer; false, and a fresh state, when the log does not know it. */
bool
pt_log_producers_find(Relation rel, PtLogPos from, int64 producer_id, int64 now, PtProducerState *state)
{
	ProducersRead read = {.one = state,.now = now};

	pt_sequence_init(state, producer_id);
	read_frames(rel, from, &read);
	return state->epoch != PT_NO_PRODUCER_EPOCH;
}

/*
 * Reads the committed frames from a place to the end.  Nobody appends
 * meanwhile, so none is in progress.
 */
static void
read_frames(Relation rel, PtLogPos from, ProducersRead *read)
{
	PtReader	r;
	PtFrame		frame;

	if (from == 0)
		return;
	pt_reader_begin(&r, rel, NULL);
	pt_reader_seek_pos(&r, from);
	while (pt_reader_next(&r, &frame))
	{
		uint32		kind = frame.head.flags & PT_FRAME_KIND_MASK;

		Assert(frame.pos >= from);
		if (kind == PT_FRAME_KIND_BATCH ? frame.batch.producer_id < 0 : kind != PT_FRAME_KIND_PRODUCERS)
			continue;
		if (!pt_frame_committed(&r, &frame))
			continue;
		if (kind == PT_FRAME_KIND_BATCH)
			read_batch(&frame, read);
		else
			read_piece(&r, &frame, read);
	}
	pt_reader_end(&r);
}

/* Where what is read of a producer goes, NULL: nobody asked. */
static PtProducerState *
state_for(ProducersRead *read, int64 producer_id)
{
	PtProducerState *state;
	bool		found;

	if (read->all == NULL)
		return read->one->producer_id == producer_id ? read->one : NULL;
	state = hash_search(read->all, &producer_id, HASH_ENTER, &found);
	if (!found)
		pt_sequence_init(state, producer_id);
	Assert(state->producer_id == producer_id);
	return state;
}

/* A batch, of whoever has written it: not all who write are clients. */
static void
read_batch(const PtFrame *frame, ProducersRead *read)
{
	const PtBatchHeader *batch = &frame->batch;
	PtProducerState *state;

	if (batch->base_sequence < 0 || batch->producer_epoch < 0 || batch->last_offset_delta < 0)
		return;
	state = state_for(read, batch->producer_id);
	if (state != NULL)
		pt_sequence_append(state, batch, batch->base_offset, read->now);
}

/*
 * A piece of a snapshot.  One that cannot be read is passed over: what it said
 * is lost, which is not worse than a producer that has expired.
 */
static void
read_piece(PtReader *r, PtFrame *frame, ProducersRead *read)
{
	PtSnapshotReader piece;
	PtProducerState entry;
	PtSnapshotStatus status = pt_snapshot_open(&piece, pt_reader_batch(r, frame), frame->head.length);

	if (status == PT_SNAPSHOT_OK)
	{
		while ((status = pt_snapshot_next(&piece, &entry)) == PT_SNAPSHOT_OK)
		{
			PtProducerState *state = state_for(read, entry.producer_id);

			if (state == NULL)
				continue;
			*state = entry;
			state->seen_at = Min(state->seen_at, read->now);
		}
	}
	if (status != PT_SNAPSHOT_END)
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("snapshot of producers at position %llu of \"%s\" cannot be read",
						(unsigned long long) frame->pos, RelationGetRelationName(r->rel)),
				 errdetail("A batch that one of these producers sends again may be appended twice.")));
}

/*
 * To be called before the first batch of an idempotent producer is appended to
 * a log: from here on there is something to know.  That is not undone by an
 * abort, and says nothing that is wrong then.
 */
void
pt_log_producers_begin(Relation rel, PtLogState *log)
{
	if (log->producers_pos != 0)
		return;
	pt_append_repair(rel, log);
	Assert(log->tail_pos > 0);
	(void) pt_meta_producers(&log->locator, log->tail_pos);
	pt_state_set_producers(&log->locator, log->tail_pos);
	Assert(log->producers_pos != 0);
}

/*
 * Appends states, in this order, as pieces of a snapshot taken now.  Returns
 * where the first piece is; with no states where it would be.  settled: not as
 * the current transaction's, see pt_append_settled.
 */
PtLogPos
pt_log_producers_write(Relation rel, PtLogState *log, const PtProducerState *states, int n, int64 now, bool settled)
{
	size_t		size = Min((size_t) PIECE_BYTES, PT_SNAPSHOT_HEADER_SIZE + (size_t) n * PT_SNAPSHOT_ENTRY_SIZE_MAX);
	char	   *data = palloc(size);
	PtSnapshotWriter w;
	PtLogPos	pos;

	pt_append_repair(rel, log);
	pos = log->tail_pos;
	pt_snapshot_begin(&w, data, size);
	for (int i = 0; i < n; i++)
	{
		if (pt_snapshot_add(&w, &states[i]))
			continue;
		append_piece(rel, log, &w, now, settled);
		pt_snapshot_begin(&w, data, size);
		if (!pt_snapshot_add(&w, &states[i]))
			pg_unreachable();
	}
	if (w.count > 0)
		append_piece(rel, log, &w, now, settled);
	pfree(data);
	Assert(pos == pt_frame_start(pos) && pos <= log->tail_pos);
	return pos;
}

static void
append_piece(Relation rel, PtLogState *log, PtSnapshotWriter *w, int64 now, bool settled)
{
	PtAppendBatch piece = {.kind = PT_FRAME_KIND_PRODUCERS,.base_offset = -1};

	Assert(w->count > 0);
	piece.length = (uint32) pt_snapshot_finish(w, now);
	piece.data = w->data;
	if (settled)
		(void) pt_append_settled(rel, log, &piece);
	else
		pt_append(rel, log, &piece, 1, PT_KEEP_EPOCH);
}

/* See producers.h. */
XLogRecPtr
pt_log_producers_move(const RelFileLocator *locator, PtLogPos pos)
{
	return pt_meta_producers(locator, pos);
}

/* Likewise. */
void
pt_log_producers_publish(const RelFileLocator *locator, PtLogPos pos)
{
	pt_state_set_producers(locator, pos);
}

/*-------------------------------------------------------------------------
 *
 * verify_batch.c
 *	  Verifying a log: what a frame says, against those before it, the
 *	  directory, and what is in it.
 *
 * Ordinals go on without a gap where nothing has been compacted, offsets never
 * go back behind a batch that is committed.  What the directory says of an
 * extent is held against the frames that start in it.
 *
 * Siblings: verify.c says who calls whom; verify_frames.c finds the frames.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/memutils.h"

#include "record/producer_snapshot.h"

#include "log/producers.h"
#include "log/verify_walk.h"

#define KNOWN_FLAGS		(PT_FRAME_ABORTED | PT_FRAME_CUT | PT_FRAME_MOVED | PT_FRAME_KIND_MASK)

/* What is known of a frame's transaction. */
typedef enum Fate
{
	COMMITTED,
	ABORTED,
	UNKNOWN						/* in progress, or forgotten meanwhile */
} Fate;

/* The last batch of a producer. */
typedef struct LastBatch
{
	int64		producer_id;	/* the key */
	int64		base_offset;
	int32		base_sequence;
	int32		epoch;
} LastBatch;

static Fate fate_of(PtVerifyWalk *w, const PtFrame *frame);
static void check_flags(PtVerifyWalk *w, const PtFrame *frame, Fate fate);
static void check_sequence(PtVerifyWalk *w, const PtFrame *frame);
static void check_entry(PtVerifyWalk *w, const PtFrame *frame);
static PtBatchStatus check_records(PtVerifyWalk *w, bool *late);

/* A finding about a frame. */
#define say_frame(w, damage, frame, ...) \
	pt_verify_say((w)->v, damage, (w)->block, (frame)->pos, (frame)->batch.base_offset, __VA_ARGS__)

/* A finding about a piece of a snapshot. */
#define say_piece(w, ...) \
	pt_verify_say((w)->v, PT_DAMAGE_PRODUCERS, (w)->frame_block, (w)->frame.pos, -1, __VA_ARGS__)

/* The flags of sealed frames count, else the transaction. */
static Fate
fate_of(PtVerifyWalk *w, const PtFrame *frame)
{
	TransactionId xid = frame->head.xid;

	if (frame->head.flags & PT_FRAME_ABORTED && frame->pos < w->v->meta->sealed_pos)
		return ABORTED;
	if (frame->pos < w->v->meta->sealed_pos)
		return COMMITTED;
	if (xid == FrozenTransactionId && !pt_frame_is_batch(frame))
		return frame->head.flags & PT_FRAME_ABORTED ? ABORTED : COMMITTED;
	if (!TransactionIdIsNormal(xid) || TransactionIdFollowsOrEquals(xid, XidFromFullTransactionId(ReadNextFullTransactionId())))
	{
		if (!RecoveryInProgress())
			say_frame(w, PT_DAMAGE_FRAME, frame, "transaction %u has never been", xid);
		return UNKNOWN;
	}
	if (TransactionIdIsInProgress(xid))
		return UNKNOWN;
	switch (pt_xid_fate(xid))
	{
		case PT_XID_COMMITTED:
			return COMMITTED;
		case PT_XID_ABORTED:
			return ABORTED;
		case PT_XID_FORGOTTEN:
			break;
	}
	/* unless VACUUM has been faster */
	if (pt_verify_reread_meta(w->v) && frame->pos >= w->v->meta->sealed_pos)
		say_frame(w, PT_DAMAGE_FRAME, frame, "transaction %u is older than any the server knows of", xid);
	return UNKNOWN;
}

static void
check_flags(PtVerifyWalk *w, const PtFrame *frame, Fate fate)
{
	uint32		flags = frame->head.flags;
	uint32		kind = flags & PT_FRAME_KIND_MASK;

	if (flags & ~KNOWN_FLAGS || (kind != PT_FRAME_KIND_BATCH && kind != PT_FRAME_KIND_PRODUCERS &&
								 kind != PT_FRAME_KIND_SKIP && kind != PT_FRAME_KIND_LOST))
		say_frame(w, PT_DAMAGE_FRAME, frame, "the frame has unknown flags: 0x%x", flags);
	if (flags & PT_FRAME_CUT && !(flags & PT_FRAME_ABORTED))
		say_frame(w, PT_DAMAGE_FRAME, frame, "the frame is cut, but not aborted");
	if (flags & PT_FRAME_CUT && kind == PT_FRAME_KIND_BATCH && frame->head.length >= (uint32) frame->batch.length)
		say_frame(w, PT_DAMAGE_FRAME, frame, "the frame is cut, and has all of its %d bytes", frame->batch.length);
	if (flags & PT_FRAME_ABORTED && fate == COMMITTED)
		say_frame(w, PT_DAMAGE_FRAME, frame, "the frame is aborted, and its transaction %u is committed", frame->head.xid);
}

/*
 * The frame against those before it.  VACUUM FULL, which writes all of a log
 * as one transaction, leaves out what was rolled back or had been compacted.
 */
static void
check_sequence(PtVerifyWalk *w, const PtFrame *frame)
{
	int64		ordinal = frame->head.base_ordinal;
	bool		exact = w->exact && frame->head.xid != w->frame.head.xid;

	if (w->ordinal >= 0 && (ordinal < w->ordinal || (exact && ordinal > w->ordinal)))
		say_frame(w, PT_DAMAGE_ORDINAL, frame, "ordinals begin at %lld, and those before end at %lld",
				  (long long) ordinal, (long long) w->ordinal);
	if (pt_frame_is_batch(frame) && w->offset >= 0 && frame->batch.base_offset < w->offset)
		say_frame(w, PT_DAMAGE_OFFSET, frame, "offsets begin at %lld, and those before end at %lld",
				  (long long) frame->batch.base_offset, (long long) w->offset);
}

/*
 * The first frame that starts in an extent against the extent's directory
 * entry.  Its base offset is where an append began that may have been aborted
 * before this frame was written; then it is above that of the frame.  What was
 * aborted before an extent may have been dropped by compaction, or, amid one
 * transaction, by VACUUM FULL.
 */
static void
check_entry(PtVerifyWalk *w, const PtFrame *frame)
{
	const PtDirEntry *entry = &w->entry;
	int64		top = Max(w->max_next, frame->batch.base_offset);
	bool		exact = entry->generation == 0 && !w->lost_in_extent &&
		(frame->head.xid != w->frame.head.xid || entry->base_ordinal != w->ordinal);

	if (entry->base_ordinal > frame->head.base_ordinal ||
		(exact && entry->base_ordinal < frame->head.base_ordinal))
		say_frame(w, PT_DAMAGE_DIRECTORY, frame, "by the directory, ordinals of extent %llu begin at %lld, and not at %lld",
				  (unsigned long long) w->extent, (long long) entry->base_ordinal, (long long) frame->head.base_ordinal);
	if (!pt_frame_is_batch(frame))
		return;
	if (entry->base_offset < w->floor || (w->max_next >= 0 && !w->lost_in_extent && !w->compacted && entry->base_offset > top))
		say_frame(w, PT_DAMAGE_DIRECTORY, frame, "by the directory, offsets of extent %llu begin at %lld, and not at %lld",
				  (unsigned long long) w->extent, (long long) entry->base_offset, (long long) frame->batch.base_offset);
}

/*
 * The frame at the start of the log against what the meta page says of it.  A
 * batch may begin behind the start, by offset and ordinal, when compaction has
 * dropped what was there; VACUUM FULL leaves no other trace of that.
 */
static void
check_start(PtVerifyWalk *w, const PtFrame *frame, Fate fate)
{
	const PtMetaPage *meta = w->v->meta;
	int64		end = frame->head.base_ordinal + frame->head.ordinals;
	bool		before = meta->start_ordinal < frame->head.base_ordinal;
	bool		batch = fate == COMMITTED && pt_frame_is_batch(frame);

	if (meta->start_pos != frame->pos)
		return;					/* it has moved meanwhile */
	if ((before && !batch && w->entry.generation == 0) || meta->start_ordinal > end)
		say_frame(w, PT_DAMAGE_META, frame, "the log starts at ordinal %lld, and its first frame has %lld to %lld",
				  (long long) meta->start_ordinal, (long long) frame->head.base_ordinal, (long long) end);
	if (!batch)
		return;
	if ((before || w->entry.generation > 0) && meta->start_offset < frame->batch.base_offset)
		return;
	if (before && w->entry.generation > 0 && meta->start_offset == frame->batch.base_offset)
		return;					/* what was rolled back there is dropped, too */
	if (meta->start_offset >= pt_batch_next_offset(&frame->batch) ||
		meta->start_ordinal != frame->head.base_ordinal + Max(0, meta->start_offset - frame->batch.base_offset))
		say_frame(w, PT_DAMAGE_META, frame, "the log starts at offset %lld and ordinal %lld, and its first batch at offset %lld and ordinal %lld",
				  (long long) meta->start_offset, (long long) meta->start_ordinal,
				  (long long) frame->batch.base_offset, (long long) frame->head.base_ordinal);
}

/* What the header of a batch says, by itself. */
static void
check_header(PtVerifyWalk *w, const PtFrame *frame)
{
	const PtBatchHeader *h = &frame->batch;

	if (h->magic != 2)
		say_frame(w, PT_DAMAGE_BATCH, frame, "the batch has format version %d", h->magic);
	if (h->leader_epoch < -1)
		say_frame(w, PT_DAMAGE_BATCH, frame, "leader epoch %d is negative", h->leader_epoch);
	if (h->record_count < 0 || h->record_count > (int64) h->last_offset_delta + 1)
		say_frame(w, PT_DAMAGE_BATCH, frame, "the batch has %d records and %lld offsets", h->record_count,
				  (long long) h->last_offset_delta + 1);
}

static void
note_timestamp(PtVerifyWalk *w, const PtFrame *frame)
{
	w->extent_max = Max(w->extent_max, frame->batch.max_timestamp);
	w->running_max = Max(w->running_max, frame->batch.max_timestamp);
}

/*
 * A frame that compaction has put into another extent: it comes once more, and
 * what it was there may be less.  Only its flags are looked at.
 */
void
pt_verify_moved(PtVerifyWalk *w, const PtFrame *frame)
{
	if (w->lost_from != 0)
		pt_verify_found_again(w, frame->pos, frame->batch.base_offset, frame->head.base_ordinal);
	check_flags(w, frame, fate_of(w, frame));
	if (frame->pos >= w->v->meta->sealed_pos)
		say_frame(w, PT_DAMAGE_FRAME, frame, "the frame is not sealed, and has been moved");
	note_timestamp(w, frame);
	w->exact = false;
}

/*
 * Somebody has given up a part of the log here.  What is known of the sequence
 * holds no more.
 */
static void
pass_lost(PtVerifyWalk *w, const PtFrame *frame)
{
	say_frame(w, PT_DAMAGE_SKIPPED, frame, "what was here is lost; the log goes on at position %llu with offset %lld",
			  (unsigned long long) frame->next, (long long) frame->batch.base_offset);
	w->skipped = true;
	w->exact = false;
	w->first_seen = true;
	w->gap_ever = true;
	w->max_next = Max(w->max_next, frame->batch.base_offset);
	w->gap_offset = frame->batch.base_offset;
}

/*
 * The walk has come to a frame, of which at least the header is there:
 * everything that the header says.
 */
void
pt_verify_frame(PtVerifyWalk *w, const PtFrame *frame)
{
	Fate		fate = fate_of(w, frame);

	if (w->lost_from != 0)
		pt_verify_found_again(w, frame->pos, frame->batch.base_offset, frame->head.base_ordinal);
	w->end_seen |= frame->pos == w->end;
	w->sealed_seen |= frame->pos == w->v->meta->sealed_pos;
	check_flags(w, frame, fate);
	if (pt_frame_is_lost(frame))
		pass_lost(w, frame);
	check_sequence(w, frame);
	if (frame->pos == w->start)
		check_start(w, frame, fate);
	if (!w->first_seen)
		check_entry(w, frame);
	w->first_seen = true;
	if (pt_frame_is_batch(frame))
		check_header(w, frame);
	note_timestamp(w, frame);
	w->ordinal = frame->head.base_ordinal + frame->head.ordinals;
	w->exact = w->entry.generation == 0 && !pt_frame_is_lost(frame);
	w->offset_before = w->offset;
	if (pt_frame_is_batch(frame))
	{
		w->max_next = Max(w->max_next, pt_batch_next_offset(&frame->batch));
		if (fate == COMMITTED)
			w->offset = Max(w->offset, pt_batch_next_offset(&frame->batch));
	}
	w->frame = *frame;
	w->frame_block = w->block;
	w->got = 0;
}

/*
 * Is what the frame holds looked at?  Batches are, and what is known of
 * producers, when deep.
 */
static bool
is_looked_into(const PtVerifyWalk *w)
{
	uint32		kind = w->frame.head.flags & PT_FRAME_KIND_MASK;

	return w->v->deep && (kind == PT_FRAME_KIND_BATCH || kind == PT_FRAME_KIND_PRODUCERS) &&
		!(w->frame.head.flags & PT_FRAME_CUT);
}

/* Bytes of the batch that the walk is in; kept when they are wanted. */
void
pt_verify_collect(PtVerifyWalk *w, const char *bytes, uint32 n)
{
	if (!is_looked_into(w))
		return;
	if (w->got + (Size) n > w->cap)
	{
		w->cap = Max(Max(w->got + (Size) n, w->cap * 2), 4 * BLCKSZ);
		w->data = w->data == NULL ? MemoryContextAllocHuge(CurrentMemoryContext, w->cap) : repalloc_huge(w->data, w->cap);
	}
	memcpy(w->data + w->got, bytes, n);
	w->got += n;
	Assert(w->got <= w->frame.head.length);
}

/*
 * Takes the batch apart: there are as many records as it says, their offsets
 * grow and are within its range, and nothing is behind the last one.  *late:
 * one has a greater timestamp than the batch says.
 */
static PtBatchStatus
check_records(PtVerifyWalk *w, bool *late)
{
	PtRecordIter it;
	PtRecord	record;
	int64		offset = w->frame.batch.base_offset;
	PtBatchStatus status = pt_record_iter_begin(&it, w->data, w->got, PT_RECORDS_BYTES_MAX);

	*late = false;
	while (status == PT_BATCH_OK && (status = pt_record_iter_next(&it, &record)) == PT_BATCH_OK)
	{
		if (record.offset < offset || record.offset >= pt_batch_next_offset(&it.header))
			status = PT_BATCH_BAD_COUNT;
		*late |= record.timestamp > it.header.max_timestamp;
		offset = record.offset + 1;
	}
	if (status == PT_BATCH_END)
		status = it.pos == it.end ? PT_BATCH_OK : PT_BATCH_BAD_COUNT;
	pt_record_iter_end(&it);
	return status;
}

/* A batch that consumers cannot read, by itself. */
static void
tell_bad_batch(PtVerifyWalk *w)
{
	PtDamagedRun run = {
		.from = w->frame.pos,.to = w->frame.next,.first_offset = w->frame.batch.base_offset,
		.next_offset = pt_batch_next_offset(&w->frame.batch),.next_ordinal = w->ordinal
	};

	if (!(w->frame.head.flags & PT_FRAME_HIDDEN) && w->v->sink->run)
		w->v->sink->run(w->v->sink->arg, &run);
}

/*
 * What a snapshot says of producers.  It is taken under the append lock, so of
 * a producer that has written since the start of the log it has the last batch
 * before its place.  Where the log has been compacted, or something is lost,
 * that batch may be missing, but there is none of the producer's behind it.
 * Of others it says something of batches that are gone: they were before its
 * place.
 *
 * Sequences are compared, as a batch that user code has rewritten may be
 * several in the log, and its producer still has sent one.
 */

/*
 * A committed batch.  Of more producers than a snapshot can have the last ones
 * are not looked at.
 */
static void
note_producer_batch(PtVerifyWalk *w)
{
	const PtBatchHeader *batch = &w->frame.batch;
	HASHCTL		ctl = {.keysize = sizeof(int64),.entrysize = sizeof(LastBatch),.hcxt = CurrentMemoryContext};
	LastBatch  *last;
	bool		found;

	if (batch->producer_id < 0 || batch->base_sequence < 0 || batch->producer_epoch < 0 || batch->last_offset_delta < 0)
		return;
	if (w->producers == NULL)
		w->producers = hash_create("pgtopic verified producers", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	last = hash_search(w->producers, &batch->producer_id,
					   hash_get_num_entries(w->producers) < PT_PRODUCERS_MAX ? HASH_ENTER : HASH_FIND, &found);
	if (last == NULL || (found && batch->producer_epoch < last->epoch))
		return;
	last->base_offset = batch->base_offset;
	last->base_sequence = batch->base_sequence;
	last->epoch = batch->producer_epoch;
}

/* A producer of the snapshot against what has been read. */
static void
check_producer(PtVerifyWalk *w, const PtProducerState *state)
{
	const PtSequenceBatch *newest = state->n > 0 ? &state->batches[state->n - 1] : NULL;
	int64		end = Max(w->max_next, w->v->meta->start_offset);
	const LastBatch *last = w->producers ? hash_search(w->producers, &state->producer_id, HASH_FIND, NULL) : NULL;
	bool		all_there = !w->compacted && !w->lost_ever && !w->gap_ever;
	int32		behind;			/* its first sequence, that of the snapshot */

	if (all_there && newest && newest->base_offset > end)
		say_piece(w, "producer %lld is said to have written at offset %lld last, and batches before end at %lld",
				  (long long) state->producer_id, (long long) newest->base_offset, (long long) end);
	if (last == NULL)
		return;
	behind = newest ? (int32) ((uint32) last->base_sequence - (uint32) newest->base_sequence) : -1;
	if (state->epoch < last->epoch || (state->epoch == last->epoch && (newest == NULL || behind > newest->last_offset_delta)))
		say_piece(w, "what is said of producer %lld is older than its batch at offset %lld",
				  (long long) state->producer_id, (long long) last->base_offset);
	else if (all_there &&
			 (state->epoch != last->epoch || behind < 0 || (behind == 0 && newest->base_offset != last->base_offset)))
		say_piece(w, "producer %lld is said to have written something else than its batch at offset %lld last",
				  (long long) state->producer_id, (long long) last->base_offset);
}

/* The walk has all of a piece of a snapshot, which is committed. */
static void
check_piece(PtVerifyWalk *w)
{
	PtSnapshotReader piece;
	PtProducerState state;
	PtSnapshotStatus status = pt_snapshot_open(&piece, w->data, w->got);

	while (status == PT_SNAPSHOT_OK && (status = pt_snapshot_next(&piece, &state)) == PT_SNAPSHOT_OK)
		check_producer(w, &state);
	if (status != PT_SNAPSHOT_END)
		say_piece(w, "a snapshot of producers cannot be read: %s",
				  status == PT_SNAPSHOT_UNKNOWN ? "its format is not known" : "it is damaged");
}

/* What has been read may come once more, or is not wanted any more. */
void
pt_verify_forget_producers(PtVerifyWalk *w)
{
	if (w->producers)
		hash_destroy(w->producers);
	w->producers = NULL;
}

/*
 * The walk has come to the end of a batch, and has all of it when deep:
 * everything that is in it.
 */
void
pt_verify_batch(PtVerifyWalk *w)
{
	PtBatchHeader header;
	PtBatchStatus status;
	bool		late = false;

	w->end_seen |= w->next == w->end;
	w->sealed_seen |= w->next == w->v->meta->sealed_pos;
	if (!is_looked_into(w))
		return;
	Assert(w->got == w->frame.head.length);
	if (!pt_frame_is_batch(&w->frame))
	{
		if (fate_of(w, &w->frame) == COMMITTED)
			check_piece(w);
		return;
	}
	status = pt_batch_check_crc(w->data, w->got, &header);
	if (status == PT_BATCH_OK)
		status = check_records(w, &late);
	if (status != PT_BATCH_OK)
	{
		say_frame(w, PT_DAMAGE_BATCH, &w->frame, "the batch cannot be read: %s", pt_batch_status_text(status));
		tell_bad_batch(w);
	}
	else if (late)
		say_frame(w, PT_DAMAGE_TIMESTAMP, &w->frame, "a record is newer than its batch says");
	if (status == PT_BATCH_OK && fate_of(w, &w->frame) == COMMITTED)
		note_producer_batch(w);
}

/*
 * The running maximum of an extent is at least its own and that of the extent
 * before, and not more than both.
 */
static void
check_running_max(PtVerifyWalk *w)
{
	int64		least = Max(w->entry.max_timestamp, w->promised_before);

	if (w->entry.running_max < least || (w->promised_known && w->entry.running_max > least))
		pt_verify_say(w->v, PT_DAMAGE_TIMESTAMP, InvalidBlockNumber, pt_extent_pos(w->extent), -1,
					  "by the directory, nothing up to extent %llu is newer than %lld ms; by its extents, that is %lld ms",
					  (unsigned long long) w->extent, (long long) w->entry.running_max, (long long) least);
	w->promised_before = w->entry.running_max;
	w->promised_known = true;
}

/* The walk leaves an extent behind which there is another. */
void
pt_verify_extent_end(PtVerifyWalk *w)
{
	int64		promised = w->entry.max_timestamp;

	if (!w->entered)
	{
		w->promised_known = false;
		return;
	}
	if (w->extent + 1 >= w->v->meta->next_extent)
		return;
	if (promised < w->extent_max)
		pt_verify_say(w->v, PT_DAMAGE_TIMESTAMP, InvalidBlockNumber, pt_extent_pos(w->extent), -1,
					  "by the directory, nothing in extent %llu is newer than %lld ms, and there is a batch of %lld ms",
					  (unsigned long long) w->extent, (long long) promised, (long long) w->extent_max);
	check_running_max(w);
	if (promised > w->running_max && !w->lost_ever && !w->gap_ever && pt_extent_pos(w->extent) >= w->start)
		pt_verify_say(w->v, PT_DAMAGE_TIMESTAMP, InvalidBlockNumber, pt_extent_pos(w->extent), -1,
					  "by the directory, there is a batch of %lld ms in extent %llu, and none is newer than %lld ms",
					  (long long) promised, (unsigned long long) w->extent, (long long) w->running_max);
	w->running_max = Max(w->running_max, promised);
}

/*
 * The last frame that was written is not all there, so it is not committed.
 * Only asked when the log cannot be loaded, so that nobody goes on with it
 * meanwhile; else the committed end says the same.
 */
static void
check_cut(PtVerifyWalk *w)
{
	if (w->left == 0 || w->v->known || RecoveryInProgress() || w->frame.head.flags & PT_FRAME_ABORTED || fate_of(w, &w->frame) != COMMITTED)
		return;
	say_frame(w, PT_DAMAGE_FRAME, &w->frame, "the batch is committed, and %u of its %u bytes are not there", w->left,
			  w->frame.head.length);
	w->lost_from = w->frame.pos;
	w->lost_offset = w->frame.batch.base_offset;
}

/* The walk has come to the end. */
void
pt_verify_end(PtVerifyWalk *w)
{
	const PtMetaPage *meta = w->v->meta;
	bool		at_start = w->end == w->start;

	check_cut(w);
	if (w->next == 0 || w->lost_ever || meta->start_pos != w->start)
		return;
	if (w->end != 0 && !w->end_seen && !at_start)
		pt_verify_say(w->v, PT_DAMAGE_END, w->block, w->end, w->end_offset, "no frame ends at the committed end");
	else if (w->end_seen && !at_start && w->next == w->end && w->offset >= 0 &&
			 Max(w->offset, w->gap_offset) != w->end_offset)
		pt_verify_say(w->v, PT_DAMAGE_END, w->block, w->end, w->end_offset,
					  "the committed end is offset %lld, and the last batch ends at %lld",
					  (long long) w->end_offset, (long long) w->offset);
	if (meta->sealed_pos > w->start && !w->sealed_seen)
		pt_verify_say(w->v, PT_DAMAGE_META, PT_META_BLOCK, meta->sealed_pos, -1, "no frame starts where sealed ones end");
}

/*-------------------------------------------------------------------------
 *
 * append.c
 *	  Writing batches at the tail of a log.
 *
 * The caller holds the append lock, so there is one writer.  A run of up to
 * PT_APPEND_BLOCKS consecutive pages is locked, filled and logged by one WAL
 * record; a run ends at the end of its extent.  Only the first page of a run
 * can have held something before, all others are new and are logged without an
 * image of what was there.
 *
 * The shared tail moves with each record, under no lock but ours: if we fail
 * between two records, tail_cut names the frame that was not finished, and the
 * next append (anybody's) repairs it before it writes.  If the server crashes
 * there, loading the state finds the same.
 *
 * Siblings: meta.c (extents), state.c (the tail), writeback.c (who writes the
 * pages out), wal.c (redo).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"

#include "io/io.h"
#include "io/writeback.h"
#include "log/internal.h"
#include "stop_point.h"

/* The bytes still to be written: frame header, batch, frame header, ... */
typedef struct PtAppendSource
{
	PtAppendBatch *batches;
	int			n;
	int			i;				/* batch we are in */
	uint32		done;			/* bytes of its frame written */
	PtLogPos	frame_pos;		/* where its frame started */
	TransactionId xid;
	bool		decodable;		/* WAL has the number of the partition */
	int32		partition;
} PtAppendSource;

/* One WAL record's worth of locked pages. */
typedef struct PtAppendRun
{
	PtLogPos	pos;			/* where its first byte goes */
	int			nblocks;
	Buffer		buffers[PT_APPEND_BLOCKS];
	uint16		lower[PT_APPEND_BLOCKS];	/* pd_lower afterwards */
	union
	{
		xl_pt_append head;
		char		space[SizeOfPtAppend(PT_APPEND_BLOCKS)];
	}			record;
} PtAppendRun;

static void repair_cut(Relation rel, PtLogState *state);
static void place_batches(PtLogState *state, PtAppendBatch *batches, int n, int32 epoch);
static uint32 batch_ordinals(const PtAppendBatch *b);
static void place_batch(PtAppendBatch *b, int64 offset, int32 epoch);
static PtLogPos end_of_source(PtAppendSource *src, PtLogPos pos);
static void lock_run(Relation rel, PtLogState *state, PtAppendRun *run, PtLogPos end);
static void fill_run(PtAppendSource *src, PtAppendRun *run, PtLogState *state);
static void log_run(Relation rel, PtAppendSource *src, PtAppendRun *run, PtLogState *state);
static void append_writeback(Relation rel, PtLogState *state, PtLogPos from);
static void write_source(Relation rel, PtLogState *state, PtAppendSource *src);

int64
pt_append_next_offset(Relation rel, PtLogState *state)
{
	pt_state_settle(state, rel);
	return state->tail_offset;
}

/* How many offsets and ordinals it takes. */
static uint32
batch_ordinals(const PtAppendBatch *b)
{
	return (uint32) b->header.last_offset_delta + 1;
}

/* Gives a batch its offset, the next one or the one it asks for. */
static void
place_batch(PtAppendBatch *b, int64 offset, int32 epoch)
{
	const PtBatchHeader *h = &b->header;

	if (h->length != b->length)
		elog(ERROR, "record batch of %u bytes is malformed", b->length);
	if (b->base_offset < 0)
		b->base_offset = offset;
	else if (b->base_offset < offset)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("offset %lld is before the end of the log, %lld",
						(long long) b->base_offset, (long long) offset),
				 IsLogicalWorker() ?
				 errhint("A topic that a subscription fills must get no other records. Skip the transaction with ALTER SUBSCRIPTION ... SKIP, or make the topic anew and have it copied with ALTER SUBSCRIPTION ... REFRESH PUBLICATION.") :
				 errhint("Records can be added at the end of a log only.")));
	if (b->base_offset > PG_INT64_MAX - batch_ordinals(b))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("offset %lld is too large", (long long) b->base_offset)));
	pt_batch_set_offset(b->data, b->base_offset, epoch == PT_KEEP_EPOCH ? h->leader_epoch : epoch);
}

/*
 * Gives each batch its offset and ordinal and patches it.  Nothing is written
 * and nothing shared is changed yet.
 */
static void
place_batches(PtLogState *state, PtAppendBatch *batches, int n, int32 epoch)
{
	int64		offset = state->tail_offset;
	int64		ordinal = state->tail_ordinal;

	for (int i = 0; i < n; i++)
	{
		PtAppendBatch *b = &batches[i];

		Assert(b->length >= PT_BATCH_HEADER_SIZE);
		if (b->kind == PT_FRAME_KIND_BATCH)
			place_batch(b, offset, epoch);
		else
		{
			b->header = pt_no_batch;
			b->base_offset = offset;
		}
		b->base_ordinal = ordinal;
		offset = b->base_offset + batch_ordinals(b);
		ordinal += batch_ordinals(b);
	}
}

/*
 * Brings the tail in order after whoever failed there.  The caller holds the
 * append lock.
 */
void
pt_append_repair(Relation rel, PtLogState *state)
{
	pt_state_settle(state, rel);
	if (state->tail_cut != 0)
		repair_cut(rel, state);
	Assert(state->tail_cut == 0);
	Assert(state->tail_pos == pt_frame_start(state->tail_pos));
}

/*
 * Is the page at hand on which the log goes on?  If not, it is being read.
 * The caller holds the append lock.
 */
bool
pt_append_at_hand(const PtLogState *state)
{
	uint32		phys = state->tail_phys;
	PtDirEntry	entry;

	if (pt_pos_byte(state->tail_pos) == PT_PAGE_FIRST)
		return true;			/* it does not exist yet */
	if (phys == PT_INVALID_EXTENT)
	{
		if (!pt_extent_at_hand(&state->locator, pt_pos_extent(state->tail_pos)))
			return false;
		if (!pt_extent_lookup(NULL, &state->locator, pt_pos_extent(state->tail_pos), &entry))
			return true;		/* nor does its extent */
		phys = entry.phys;
	}
	return pt_block_at_hand(&state->locator, pt_extent_block(phys) +
							(BlockNumber) (pt_pos_block(state->tail_pos) % PT_EXTENT_BLOCKS));
}

/*
 * Appends batches in order, all under the current transaction's xid (assigned
 * if need be), with this leader epoch or PT_KEEP_EPOCH.  ERROR 22023 when a
 * given base_offset is below the end.  Nothing is counted until the
 * transaction commits.
 */
void
pt_append(Relation rel, PtLogState *state, PtAppendBatch *batches, int n, int32 leader_epoch)
{
	PtAppendSource src = {.batches = batches,.n = n};

	if (n == 0)
		return;
	src.xid = GetCurrentTransactionId();
	src.decodable = pt_wal_partition(rel, &src.partition);
	pt_append_repair(rel, state);
	place_batches(state, batches, n, leader_epoch);
	state->tail_xid = src.xid;
	write_source(rel, state, &src);
}

/*
 * Appends something that is no batch, and is no transaction's: it counts as
 * soon as it is written.  The caller's transaction has appended nothing.
 * Returns where its WAL ends, up to which the caller flushes.
 */
XLogRecPtr
pt_append_settled(Relation rel, PtLogState *state, PtAppendBatch *frame)
{
	PtAppendSource src = {.batches = frame,.n = 1,.xid = FrozenTransactionId};

	Assert(frame->kind != PT_FRAME_KIND_BATCH);
	Assert(!TransactionIdIsValid(GetTopTransactionIdIfAny()));
	pt_append_repair(rel, state);
	Assert(!TransactionIdIsValid(state->tail_xid));
	place_batches(state, frame, 1, PT_KEEP_EPOCH);
	write_source(rel, state, &src);
	pt_state_committed(state, state->tail_lsn);
	return state->tail_lsn;
}

/*
 * Ends the extent of the tail: what is appended next goes into another one.
 * So what it holds can be compacted.  The same contract as pt_append_settled;
 * InvalidXLogRecPtr: there is nothing to end.
 */
XLogRecPtr
pt_append_skip(Relation rel, PtLogState *state)
{
	char		body[PT_BATCH_HEADER_SIZE] = {0};
	PtAppendBatch skip = {.data = body,.length = sizeof(body),.base_offset = -1,.kind = PT_FRAME_KIND_SKIP};

	pt_append_repair(rel, state);
	if (pt_pos_begins_extent(state->tail_pos))
		return InvalidXLogRecPtr;
	return pt_append_settled(rel, state, &skip);
}

/* Writes all that a source has at the tail. */
static void
write_source(Relation rel, PtLogState *state, PtAppendSource *src)
{
	XLogEnsureRecordSpace(PT_APPEND_BLOCKS, PT_APPEND_BLOCKS + 4);
	while (src->i < src->n)
	{
		PtAppendRun run;

		CHECK_FOR_INTERRUPTS();
		run.pos = state->tail_pos;
		Assert(src->done > 0 || run.pos == pt_frame_start(run.pos));
		lock_run(rel, state, &run, end_of_source(src, run.pos));
		Assert(run.nblocks > 0 && run.nblocks <= PT_APPEND_BLOCKS);
		START_CRIT_SECTION();
		fill_run(src, &run, state);
		log_run(rel, src, &run, state);
		END_CRIT_SECTION();
		for (int i = 0; i < run.nblocks; i++)
			UnlockReleaseBuffer(run.buffers[i]);
		Assert(state->tail_pos > run.pos);
		append_writeback(rel, state, run.pos);
		PT_STOP_POINT("append.run");
	}
}

/*
 * Where the last byte that is left goes, plus one, if writing goes on at pos.
 */
static PtLogPos
end_of_source(PtAppendSource *src, PtLogPos pos)
{
	PtLogPos	end = pos;

	for (int i = src->i; i < src->n; i++)
	{
		uint32		left = sizeof(PtFrameHeader) + src->batches[i].length;

		if (i == src->i && src->done > 0)
			left -= src->done;
		else
			end = pt_frame_start(end);
		end = pt_pos_advance(end, left - 1) + 1;
		/* no more than one run is wanted */
		if (pt_pos_block(end) - pt_pos_block(pos) > PT_APPEND_BLOCKS)
			break;
	}
	return end;
}

/*
 * Is what the tail's extent is mapped to a part of the file?  Before an append
 * makes the file so large.  The caller holds the append lock.
 */
static void
check_mapping(Relation rel, PtLogPos pos, const PtDirEntry *entry)
{
	PtLogInfo	info;

	pt_log_info(rel, &info);
	if (entry->phys >= info.phys_extents)
		pt_report_damage(&pt_rel_locator(rel), pos, "damaged directory entry of the extent");
}

/*
 * The physical extent in which the tail lies, taking one when it has just come
 * to a new one.
 */
static BlockNumber
tail_extent_block(Relation rel, PtLogState *state)
{
	uint64		extent = pt_pos_extent(state->tail_pos);
	PtDirEntry	entry = {.base_offset = state->tail_offset,.base_ordinal = state->tail_ordinal,.max_timestamp = -1,.running_max = -1};

	if (state->tail_phys == PT_INVALID_EXTENT)
	{
		if (pt_extent_lookup(rel, &pt_rel_locator(rel), extent, &entry))
		{
			check_mapping(rel, state->tail_pos, &entry);
			state->tail_phys = entry.phys;
		}
		else
		{
			Assert(entry.generation == 0);	/* nothing was there before */
			state->tail_phys = pt_extent_take(rel, &entry, state->tail_max_timestamp);
			PT_STOP_POINT("append.extent");
			state->tail_max_timestamp = -1;
			state->file_blocks = RelationGetNumberOfBlocks(rel);
		}
		state->tail_generation = entry.generation;
		memset(state->tail_buffers, 0, sizeof(state->tail_buffers));
	}
	return pt_extent_block(state->tail_phys);
}

/*
 * Pins and locks one page of the tail's extent; as empty memory when "fresh".
 */
static Buffer
lock_page(Relation rel, PtLogState *state, BlockNumber block, uint32 in_extent, bool fresh)
{
	Buffer		recent = state->tail_buffers[in_extent];

	if (state->file_blocks == 0)
		state->file_blocks = RelationGetNumberOfBlocks(rel);
	state->file_blocks = pt_file_extend(rel, state->file_blocks, state->tail_phys, block);
	if (fresh)
		return ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, NULL);
	if (!BufferIsValid(recent) || !ReadRecentBuffer(pt_rel_locator(rel), MAIN_FORKNUM, block, recent))
		recent = ReadBuffer(rel, block);
	LockBuffer(recent, BUFFER_LOCK_EXCLUSIVE);
	return recent;
}

/*
 * Locks the pages of one run: from run->pos to "end", the extent's end, or as
 * many as a record holds.
 */
static void
lock_run(Relation rel, PtLogState *state, PtAppendRun *run, PtLogPos end)
{
	uint64		first = pt_pos_block(run->pos);
	uint32		in_extent = first % PT_EXTENT_BLOCKS;
	BlockNumber base = tail_extent_block(rel, state);
	uint64		n = pt_pos_block(end - 1) - first + 1;

	Assert(end > run->pos);
	n = Min(n, PT_EXTENT_BLOCKS - in_extent);
	run->nblocks = (int) Min(n, PT_APPEND_BLOCKS);
	for (int i = 0; i < run->nblocks; i++)
	{
		bool		fresh = i > 0 || pt_pos_byte(run->pos) == PT_PAGE_FIRST;

		run->buffers[i] = lock_page(rel, state, base + in_extent + i, in_extent + i, fresh);
		Assert(BufferGetBlockNumber(run->buffers[i]) == base + in_extent + i);
		if (!fresh)
			pt_check_tail_page(rel, BufferGetPage(run->buffers[i]), run->pos, state->tail_generation);
		state->tail_buffers[in_extent + i] = run->buffers[i];
	}
}

/*
 * A frame begins: makes its header, and counts its ordinals as used from now
 * on.
 */
static PtFrameHeader
begin_frame(PtAppendSource *src, PtLogPos pos, PtLogState *state)
{
	PtAppendBatch *b = &src->batches[src->i];
	PtFrameHeader head;

	Assert(pos == pt_frame_start(pos));
	Assert(b->base_ordinal == state->tail_ordinal);
	Assert(b->base_offset >= state->tail_offset);
	src->frame_pos = pos;
	head = (PtFrameHeader)
	{
		.length = b->length,.xid = src->xid,.base_ordinal = b->base_ordinal,.flags = b->kind,.ordinals = batch_ordinals(b)
	};
	state->tail_ordinal = b->base_ordinal + head.ordinals;
	state->tail_max_timestamp = Max(state->tail_max_timestamp, b->header.max_timestamp);
	return head;
}

/*
 * Copies into one page from "at" on until it is full or nothing is left.
 * Returns the new pd_lower; the page's special space is brought up to date.
 */
static uint32
fill_page(PtAppendSource *src, Page page, uint64 block, uint32 at, PtLogState *state)
{
	uint32		used = at;

	while (src->i < src->n)
	{
		PtAppendBatch *b = &src->batches[src->i];
		uint32		n;

		if (src->done == 0)
		{
			PtLogPos	start = pt_frame_start(pt_pos_make(block, used));
			PtFrameHeader head;

			if (pt_pos_block(start) != block)
				break;
			at = pt_pos_byte(start);
			memset((char *) page + used, 0, at - used);
			head = begin_frame(src, start, state);
			memcpy((char *) page + at, &head, sizeof(head));
			used = at + sizeof(head);
			src->done = sizeof(head);
			if (pt_page_special(page)->first == 0)
				pt_page_special(page)->first = (uint16) at;
		}
		n = Min(PT_PAGE_END - used, b->length + sizeof(PtFrameHeader) - src->done);
		memcpy((char *) page + used, b->data + (src->done - sizeof(PtFrameHeader)), n);
		used += n;
		src->done += n;
		if (src->done < b->length + sizeof(PtFrameHeader))
			break;				/* the page is full */
		state->tail_offset = b->base_offset + batch_ordinals(b);
		src->done = 0;
		src->i++;
	}
	return used;
}

/* Fills the locked pages of a run; critical section. */
static void
fill_run(PtAppendSource *src, PtAppendRun *run, PtLogState *state)
{
	uint64		block = pt_pos_block(run->pos);
	xl_pt_append *x = &run->record.head;

	x->block = block;
	x->generation = state->tail_generation;
	x->amid_done = src->done;
	x->amid_length = src->done > 0 ? src->batches[src->i].length + sizeof(PtFrameHeader) : 0;
	x->at = (uint16) pt_pos_byte(run->pos);
	x->nblocks = (uint16) run->nblocks;
	for (int i = 0; i < run->nblocks; i++)
	{
		Page		page = BufferGetPage(run->buffers[i]);
		uint32		at = i == 0 ? x->at : PT_PAGE_FIRST;

		if (at == PT_PAGE_FIRST)
			pt_page_init(page, PT_PAGE_LOG, block + i, x->generation);
		Assert(pt_page_special(page)->block == block + i);
		run->lower[i] = (uint16) fill_page(src, page, block + i, at, state);
		Assert(run->lower[i] > at && run->lower[i] <= PT_PAGE_END);
		((PageHeader) page)->pd_lower = run->lower[i];
		x->first[i] = pt_page_special(page)->first;
		MarkBufferDirty(run->buffers[i]);
	}
	Assert(src->done == 0 || run->lower[run->nblocks - 1] == PT_PAGE_END);

	/*
	 * where the next byte goes: behind a finished frame the next frame's
	 * place
	 */
	state->tail_pos = pt_pos_advance(pt_pos_make(block + run->nblocks - 1, PT_PAGE_FIRST),
									 run->lower[run->nblocks - 1] - PT_PAGE_FIRST);
	state->tail_cut = src->done > 0 ? src->frame_pos : 0;
	if (src->done == 0)
		state->tail_pos = src->batches[src->i - 1].kind == PT_FRAME_KIND_SKIP ?
			pt_extent_pos(pt_pos_extent(src->frame_pos) + 1) : pt_frame_start(state->tail_pos);
	if (pt_pos_extent(state->tail_pos) != pt_pos_extent(run->pos))
		state->tail_phys = PT_INVALID_EXTENT;
}

/* One WAL record for a run; critical section. */
static void
log_run(Relation rel, PtAppendSource *src, PtAppendRun *run, PtLogState *state)
{
	xl_pt_append *x = &run->record.head;
	XLogRecPtr	lsn;

	XLogBeginInsert();
	XLogRegisterData((char *) x, SizeOfPtAppend(run->nblocks));
	if (src->decodable)
		XLogRegisterData((char *) &src->partition, sizeof(src->partition));
	for (int i = 0; i < run->nblocks; i++)
	{
		uint32		at = i == 0 ? x->at : PT_PAGE_FIRST;
		char	   *page = (char *) BufferGetPage(run->buffers[i]);

		XLogRegisterBuffer((uint8) i, run->buffers[i],
						   at == PT_PAGE_FIRST ? REGBUF_WILL_INIT | REGBUF_STANDARD :
						   pt_wal_page_flags(rel) | REGBUF_KEEP_DATA);
		XLogRegisterBufData((uint8) i, page + at, run->lower[i] - at);
	}
	XLogSetRecordFlags(XLOG_INCLUDE_ORIGIN);
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_APPEND);
	for (int i = 0; i < run->nblocks; i++)
		PageSetLSN(BufferGetPage(run->buffers[i]), lsn);
	state->tail_lsn = lsn;
}

/* The run at "from" may have completed its extent: tell the log writer. */
static void
append_writeback(Relation rel, PtLogState *state, PtLogPos from)
{
	uint64		extent = pt_pos_extent(from);
	PtDirEntry	entry;

	Assert(state->tail_pos >= from);
	if (pt_pos_extent(state->tail_pos) == extent)
		return;
	if (!pt_extent_lookup(rel, &pt_rel_locator(rel), extent, &entry))
		return;
	StaticAssertStmt(PT_EXTENT_BLOCKS <= PT_WRITEBACK_BLOCKS, "the log writer must take a whole extent");
	Assert(pt_pos_extent(state->tail_pos) == extent + 1 && entry.phys != PT_INVALID_EXTENT);
	pt_logwriter_push(&pt_rel_locator(rel), extent, pt_extent_block(entry.phys), PT_EXTENT_BLOCKS,
					  state->tail_buffers, state->tail_lsn);
}

/*
 * The last frame is longer than what was written of it: its length becomes
 * what is there, and it is flagged.  Its transaction has not committed, or the
 * rest would be there.
 */
static void
repair_cut(Relation rel, PtLogState *state)
{
	PtLogPos	pos = state->tail_cut;
	PtLogPos	end;
	PtReader	r;
	PtFrame		frame;
	uint64		written;

	pt_reader_begin(&r, rel, NULL);
	pt_reader_seek_pos(&r, pos);
	if (!pt_reader_next(&r, &frame))
		elog(ERROR, "frame at position %llu of \"%s\" has vanished", (unsigned long long) pos,
			 RelationGetRelationName(rel));
	end = pt_written_end(&r, pos);
	pt_reader_end(&r);
	/* pages between are full, so the distance in payload bytes follows */
	written = (pt_pos_block(end) - pt_pos_block(pos)) * PT_PAGE_CAPACITY +
		pt_pos_byte(end) - pt_pos_byte(pos);
	Assert(written > sizeof(PtFrameHeader) && written < sizeof(PtFrameHeader) + frame.head.length);
	pt_frame_set(rel, pos, (uint32) (written - sizeof(PtFrameHeader)),
				 frame.head.flags | PT_FRAME_ABORTED | PT_FRAME_CUT);
	state->tail_pos = pt_frame_next(pos, (uint32) (written - sizeof(PtFrameHeader)));
	state->tail_cut = 0;
	state->tail_phys = PT_INVALID_EXTENT;	/* look it up again */
	Assert(frame.pos == pos && state->tail_pos >= state->committed.pos);
}

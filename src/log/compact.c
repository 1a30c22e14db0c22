/*-------------------------------------------------------------------------
 *
 * compact.c
 *	  Compaction of a log: its passes, and the groups of a pass.
 *
 * A pass learns the last offset of each key in the part of the log that is new
 * since the last one (as many as memory allows, then there is another pass),
 * and goes over all closed and sealed extents from back to front.  What is
 * left of a group of extents goes into other physical extents that take the
 * last logical numbers that are free there: those of the group, and of the
 * holes behind it.  So there is one run of holes, which moves to the front,
 * and at the end of the pass the start of the log moves over it.
 *
 * A pass that was stopped leaves the run where it is.  The next one first
 * brings it to the front, and then begins at the back.
 *
 * README.md here says why this is right, and for whom.
 *
 * Siblings: group.c, copy.c, swap.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "log/internal.h"
#include "log/compact.h"
#include "stop_point.h"

/* that stay of a group */
#define GROUP_BYTES			(6 * PT_EXTENT_BLOCKS * BLCKSZ)
#define SPARE_PASSES		3	/* that get no further */

static uint64 last_start(Relation rel, uint64 extent);
static uint64 cleanable_end(Relation rel, const PtLogInfo *info, PtLogState *state, int64 young_ms, uint64 *ended);
static uint64 first_young(Relation rel, const PtLogInfo *info, uint64 end, int64 young_ms);
static uint64 blocks_written(Relation rel, const PtLogInfo *info, uint64 extent);
static void look_at_open(Relation rel, const PtLogInfo *info, PtLogPos from, int64 young_ms, PtCompactState *result);
static PtPart *closing_part(PtCompact *c);
static void begin(PtCompact *c, Relation rel, PtCompaction *job);
static bool go_on(PtCompact *c);
static uint64 records_from(PtLogState *state, int64 from);
static bool learn_keys(PtCompact *c, PtLogState *state, uint64 end, bool *full);
static void look_at_tail(PtCompact *c, PtLogState *state, uint64 end);
static bool run_down(PtCompact *c, uint64 top);
static bool group_is_full(PtCompact *c);
static void reset_group(PtCompact *c, uint64 to);
static bool flush_group(PtCompact *c);
static bool swap_group(PtCompact *c, PtPart *parts, PtLogPos moved, const char *prefix, uint64 prefix_len,
					   const PtFrame *spilling, uint64 nout);
static void publish_start(PtCompact *c);
static void begin_run(PtCompact *c, PtLogState *state, uint64 end);
static void begin_filter(PtCompact *c);
static bool run_pass(PtCompact *c, PtLogState *state, bool *more);

/*
 * The extent in which a frame starts that comes last in the extents up to this
 * one.  What is behind compacted extents must begin with a frame, or the tail
 * would not be found there.
 */
static uint64
last_start(Relation rel, uint64 extent)
{
	PtReader	r;
	PtFrame		frame;
	uint64		result = 0;

	pt_reader_begin(&r, rel, NULL);
	pt_reader_seek_extent_end(&r, extent);
	if (pt_reader_prev(&r, &frame))
		result = pt_pos_extent(frame.pos);
	pt_reader_end(&r);
	return result;
}

/* The largest timestamp of the batches that start in an extent. */
static int64
newest_in(Relation rel, uint64 extent)
{
	PtReader	r;
	PtFrame		frame;
	int64		newest = -1;

	pt_reader_begin(&r, rel, NULL);
	pt_reader_seek_extent(&r, extent);
	while (pt_reader_next(&r, &frame) && pt_pos_extent(frame.pos) <= extent)
		newest = Max(newest, frame.batch.max_timestamp);
	pt_reader_end(&r);
	return newest;
}

/* The first extent before "end" with a batch that is too young, else end. */
static uint64
first_young(Relation rel, const PtLogInfo *info, uint64 end, int64 young_ms)
{
	PtDirEntry	entries[PT_DIR_PER_PAGE];
	int			n;

	if (young_ms == PG_INT64_MAX)
		return end;
	for (uint64 extent = info->first_extent; extent < end; extent += Max(n, 1))
	{
		n = pt_extents_read(rel, &pt_rel_locator(rel), extent, entries, lengthof(entries));
		for (int i = 0; i < n && extent + i < end; i++)
		{
			if (entries[i].phys == PT_INVALID_EXTENT)
				continue;
			/* the directory knows it when the next one is taken */
			if (entries[i].max_timestamp > young_ms ||
				(extent + i + 1 == info->next_extent && newest_in(rel, extent + i) > young_ms))
				return extent + i;
		}
	}
	return end;
}

/*
 * The first extent that cannot be compacted: that of the tail, one that is not
 * sealed or not durable, one that says what is known of producers
 * (producers.h), or the first with a batch that is too young.  *ended, unless
 * NULL: which it would be if that of the tail was ended.
 */
static uint64
cleanable_end(Relation rel, const PtLogInfo *info, PtLogState *state, int64 young_ms, uint64 *ended)
{
	uint64		end = pt_pos_extent(info->sealed_pos);
	PtLogPos	durable = pt_state_durable(state).pos;
	PtLogPos	committed = pt_state_committed_end(state).pos;
	uint64		young;

	Assert(durable <= committed);
	end = Min(Min(end, pt_pos_extent(durable)), info->next_extent);
	if (info->producers_pos != 0)
		end = Min(end, pt_pos_extent(info->producers_pos));
	young = first_young(rel, info, end, young_ms);
	if (ended != NULL)
		*ended = young;
	if (end > info->first_extent && committed != pt_extent_pos(end))
		end = Min(end, last_start(rel, end));
	return Min(end, young);
}

/* What is younger than this may not be compacted; PG_INT64_MAX: all may. */
static int64
young_limit(int64 now_ms, int64 min_lag_ms)
{
	return min_lag_ms <= 0 ? PG_INT64_MAX : now_ms - min_lag_ms;
}

/*
 * How many blocks of an extent have been written?  Only the last ones before
 * what is new, and at the end, have many that have not.
 */
static uint64
blocks_written(Relation rel, const PtLogInfo *info, uint64 extent)
{
	PtReader	r;
	uint64		end;

	pt_reader_begin_info(&r, rel, info);
	end = pt_reader_written(&r, extent);
	pt_reader_end(&r);
	return r.moved ? PT_EXTENT_BLOCKS : end - extent * PT_EXTENT_BLOCKS;
}

/*
 * Is there a batch from a place on that was never compacted, is sealed, and is
 * not too young?
 */
static void
look_at_open(Relation rel, const PtLogInfo *info, PtLogPos from, int64 young_ms, PtCompactState *result)
{
	PtReader	r;
	PtFrame		frame;

	pt_reader_begin(&r, rel, NULL);
	pt_reader_seek_extent(&r, pt_pos_extent(from));
	while (pt_reader_next(&r, &frame) && frame.pos < info->sealed_pos)
	{
		if ((frame.head.flags & PT_FRAME_HIDDEN) || pt_batch_next_offset(&frame.batch) <= info->clean_offset)
			continue;
		result->open = frame.batch.max_timestamp <= young_ms;
		result->open_since = frame.batch.max_timestamp;
		result->blocks_open = pt_pos_block(info->sealed_pos) - pt_pos_block(frame.pos) + 1;
		break;
	}
	pt_reader_end(&r);
}

/*
 * What there would be to do in a log.  The caller has it locked
 * (AccessShareLock).
 */
void
pt_log_compact_state(Relation rel, int64 now_ms, int64 min_lag_ms, PtCompactState *result)
{
	PtLogState *state = pt_state_get(rel);
	PtLogInfo	info;
	PtReader	r;
	PtFrame		frame;
	int64		young_ms = young_limit(now_ms, min_lag_ms);
	PtLogPos	committed;
	uint64		end;
	uint64		ended;
	uint64		first;
	uint64		last;
	uint64		written;

	memset(result, 0, sizeof(*result));
	result->dirty_since = result->open_since = -1;
	pt_log_info(rel, &info);
	end = cleanable_end(rel, &info, state, young_ms, &ended);
	committed = pt_state_committed_end(state).pos;
	pt_state_release(state);
	/* not one more while something else is in the way */
	if (ended == pt_pos_extent(committed) && !pt_pos_begins_extent(committed))
		look_at_open(rel, &info, pt_extent_pos(end), young_ms, result);
	if (end <= info.first_extent)
		return;
	/* of two that are not full, the later one is the end */
	last = end - 1;
	written = blocks_written(rel, &info, last);
	result->blocks = (last - info.first_extent - (info.hole_to - info.hole_from)) * PT_EXTENT_BLOCKS + written;
	pt_reader_begin(&r, rel, NULL);
	pt_reader_seek_offset(&r, Max(info.clean_offset, info.start_offset));
	while (pt_reader_next(&r, &frame) && pt_pos_extent(frame.pos) < end)
	{
		if (!pt_frame_is_batch(&frame) || pt_batch_next_offset(&frame.batch) <= info.clean_offset)
			continue;
		first = pt_pos_extent(frame.pos);
		result->blocks_dirty = (last - first) * PT_EXTENT_BLOCKS + written;
		if (first > info.first_extent && first - 1 >= info.hole_to)
			result->blocks -= PT_EXTENT_BLOCKS - blocks_written(rel, &info, first - 1);
		result->dirty_since = frame.batch.max_timestamp;
		break;
	}
	pt_reader_end(&r);
}

static void
begin(PtCompact *c, Relation rel, PtCompaction *job)
{
	memset(c, 0, sizeof(*c));
	c->rel = rel;
	c->job = job;
	c->mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic compaction", ALLOCSET_DEFAULT_SIZES);
	c->group_mcxt = AllocSetContextCreate(c->mcxt, "pgtopic compaction group", ALLOCSET_DEFAULT_SIZES);
	c->reading = GetAccessStrategy(BAS_BULKREAD);
	c->writing = GetAccessStrategy(BAS_BULKWRITE);
	c->out_pages = MemoryContextAlloc(c->mcxt, PT_EXTENT_BLOCKS * BLCKSZ);
	pt_compact_forget_images(c);
}

static bool
go_on(PtCompact *c)
{
	CHECK_FOR_INTERRUPTS();
	return c->job->progress == NULL || c->job->progress(c->job);
}

/*
 * keys
 */

/* No more keys than that can be new. */
static uint64
records_from(PtLogState *state, int64 from)
{
	return (uint64) Max(pt_state_committed_end(state).offset - from, 0);
}

/*
 * Enters the keys of what is new, up to an extent, into a new map.  *full: not
 * all fitted.  False: the caller was told to stop.
 */
static bool
learn_keys(PtCompact *c, PtLogState *state, uint64 end, bool *full)
{
	int64		from = Max(c->info.clean_offset, c->info.start_offset);
	uint64		secret[2];
	uint64		extent = 0;
	PtReader	r;
	PtFrame		frame;

	if (!pg_strong_random(secret, sizeof(secret)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
	if (!pt_key_map_init(&c->map, c->job->memory, records_from(state, from), secret))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
				 errhint("Lower the setting \"pgtopic.compaction_memory\".")));
	c->map.latest_offset = from - 1;
	*full = false;
	pt_reader_begin(&r, c->rel, c->reading);
	pt_reader_seek_offset(&r, from);
	c->job->phase = PT_COMPACT_KEYS;
	c->job->extents = end - Min(end, pt_pos_extent(r.pos));
	c->job->extents_done = 0;
	while (!*full && pt_reader_next(&r, &frame) && pt_pos_extent(frame.pos) < end)
	{
		PtBatchStatus status;

		if (pt_pos_extent(frame.pos) != extent)
		{
			extent = pt_pos_extent(frame.pos);
			c->job->extents_done = c->job->extents - Min(c->job->extents, end - extent);
			if (!go_on(c))
				break;
		}
		if (frame.head.flags & PT_FRAME_HIDDEN)
			continue;
		status = pt_filter_learn(&c->map, pt_reader_batch(&r, &frame), frame.head.length, from, full);
		if (status != PT_BATCH_OK)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("batch at offset %lld of \"%s\" cannot be compacted: %s",
							(long long) frame.batch.base_offset, RelationGetRelationName(c->rel),
							pt_batch_status_text(status)),
					 errhint("The log is left as it is.  verify_topic() says what is wrong with it.")));
	}
	pt_reader_end(&r);
	return go_on(c);
}

/* What lies behind the extents that are compacted says which batches stay. */
static void
look_at_tail(PtCompact *c, PtLogState *state, uint64 end)
{
	PtLogEnd	committed = pt_state_committed_end(state);
	PtReader	r;
	PtFrame		frame;

	c->end_offset = committed.offset;
	c->closing = false;
	pt_reader_begin(&r, c->rel, c->reading);
	pt_reader_seek_tail(&r, committed.pos);
	while (pt_reader_prev(&r, &frame))
	{
		if (pt_pos_extent(frame.pos) < end)
		{
			c->closing = committed.pos == pt_extent_pos(end);
			c->end_ordinal = frame.head.base_ordinal + frame.head.ordinals;
			break;
		}
		if (pt_frame_visible(&r, &frame, NULL) == PT_VISIBLE || !pt_frame_is_batch(&frame))
			pt_compact_note_tail(c, &frame);
	}
	pt_reader_end(&r);
}

/*
 * groups
 */

static void
reset_group(PtCompact *c, uint64 to)
{
	MemoryContextReset(c->group_mcxt);
	c->parts = NULL;
	c->from = c->to = to;
	c->bytes = 0;
	c->changed = false;
	c->nmaps = 0;
}

/*
 * What ends the log when nothing lies behind the group: it says which ordinal
 * is the next, as aborted frames that had some are not kept.
 */
static PtPart *
closing_part(PtCompact *c)
{
	PtPart	   *part = MemoryContextAllocZero(c->group_mcxt, sizeof(PtPart));

	part->kept = MemoryContextAllocZero(c->group_mcxt, sizeof(PtKept));
	part->n = 1;
	part->kept->head = (PtFrameHeader)
	{
		.length = PT_BATCH_HEADER_SIZE,.xid = FrozenTransactionId,.base_ordinal = c->end_ordinal,
			.flags = PT_FRAME_KIND_SKIP
	};
	part->kept->base_offset = part->kept->next_offset = part->kept->max_timestamp = -1;
	part->kept->data = MemoryContextAllocZero(c->group_mcxt, PT_BATCH_HEADER_SIZE);
	return part;
}

/* Has the group as much as one SWAP should have, or can it take no more? */
static bool
group_is_full(PtCompact *c)
{
	PtDirEntry	entry;

	if (c->from == c->info.first_extent || c->bytes >= GROUP_BYTES || c->to - c->from >= PT_GROUP_EXTENTS)
		return true;
	if (!pt_extent_lookup(c->rel, &pt_rel_locator(c->rel), c->from - 1, &entry))
		return true;
	for (int i = 0; i < c->nmaps; i++)
	{
		if (c->maps[i] == pt_map_group(entry.phys))
			return false;
	}
	if (c->nmaps == PT_GROUP_MAPS)
		return true;
	c->maps[c->nmaps++] = pt_map_group(entry.phys);
	return false;
}

/*
 * Goes over the extents before "top", or before the holes that there are, down
 * to the start of the log.  False: stopped.
 */
static bool
run_down(PtCompact *c, uint64 top)
{
	pt_log_info(c->rel, &c->info);
	c->job->phase = PT_COMPACT_COPY;
	c->job->extents = top - Min(top, c->info.first_extent);
	c->job->extents_done = 0;
	pt_compact_forget_images(c);
	reset_group(c, top);
	if (c->closing)
		c->parts = closing_part(c);
	while (c->from > c->info.first_extent)
	{
		if (!go_on(c))
			return false;
		while (!group_is_full(c))
			pt_compact_add_extent(c, c->from - 1);
		if (c->from == c->to)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("directory entry %llu of \"%s\" is damaged", (unsigned long long) (c->from - 1),
							RelationGetRelationName(c->rel))));
		if (!flush_group(c))
			return false;
		reset_group(c, c->from);
	}
	return true;
}

/* Puts what is left of the group into its place.  False: stop. */
static bool
flush_group(PtCompact *c)
{
	bool		holes = c->info.hole_from != c->info.hole_to;
	uint64		room;
	uint64		nout;
	PtFrame		spilling;
	PtPart	   *front = NULL;
	PtLogPos	end;
	bool		spills = false;
	bool		none_starts;

	Assert(c->from < c->to && (!holes || c->to == c->info.hole_from));
	nout = pt_copy_extents(c->parts, 0, &end);
	if (!holes && !c->changed && nout >= c->to - c->from)
		return true;			/* nothing to gain */
	while (c->from > c->info.first_extent &&
		   !(spills = pt_compact_spilling(c, c->from - 1, &spilling, &none_starts)) && none_starts)
		pt_compact_add_extent(c, c->from - 1);
	room = (holes ? c->info.hole_to : c->to) - c->from;
	if (c->from == c->info.first_extent)
		spills = false;
	if (!spills)
	{
		nout = pt_copy_extents(c->parts, 0, &end);
		if (nout <= room)
			return swap_group(c, c->parts, 0, NULL, 0, NULL, nout);
	}
	else
	{
		front = pt_compact_frame(c, &spilling);
		front->next = c->parts;
		nout = pt_copy_extents(front, 0, &end);
		if (nout <= room)
			return swap_group(c, front, spilling.pos, NULL, 0, &spilling, nout);
		if (!holes)
		{
			/* no room for all of it: its rest stays where it is */
			PtLogPos	begin = pt_extent_pos(c->from);
			PtLogPos	last = pt_pos_advance(spilling.pos, sizeof(PtFrameHeader) + spilling.head.length - 1) + 1;
			uint64		len = (pt_pos_block(last - 1) - pt_pos_block(begin)) * PT_PAGE_CAPACITY +
				pt_pos_byte(last - 1) + 1 - PT_PAGE_FIRST;

			if (pt_copy_extents(c->parts, len, &end) <= room)
				return swap_group(c, c->parts, 0, pt_compact_bytes(c, begin, len), len, &spilling, room);
		}
	}
	c->incomplete = true;
	return !holes;
}

/*
 * Writes the parts into nout extents, and swaps.  "moved" is the frame that is
 * flagged where it was, as it is the first of the parts.
 */
static bool
swap_group(PtCompact *c, PtPart *parts, PtLogPos moved, const char *prefix, uint64 prefix_len,
		   const PtFrame *spilling, uint64 nout)
{
	uint64		top = c->info.hole_from != c->info.hole_to ? c->info.hole_to : c->to;
	PtSwap		swap = {.start_offset = c->info.start_offset,.moved = moved};
	PtCopy		copy = {
		.compact = c,.behind_offset = c->end_offset,.behind_ordinal = c->end_ordinal,.start_offset = c->info.start_offset
	};
	PtDirEntry *entries;
	PtDirEntry	before = {.running_max = -1};

	if (nout > PT_SWAP_EXTENTS || c->to - c->from > PT_SWAP_EXTENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a batch of \"%s\" is too large to be compacted", RelationGetRelationName(c->rel))));
	swap.record = MemoryContextAllocZero(c->group_mcxt, pt_swap_size());
	swap.record->in_from = c->from;
	swap.record->in_to = c->to;
	swap.record->out_from = top - nout;
	swap.record->nout = (uint16) nout;
	entries = pt_swap_entries(swap.record);
	if (spilling != NULL)
	{
		copy.behind_offset = pt_batch_next_offset(&spilling->batch);
		copy.behind_ordinal = spilling->head.base_ordinal + spilling->head.ordinals;
	}
	if (nout > 0)
		pt_copy_group(&copy, parts, prefix, prefix_len, top - nout, (int) nout, entries);
	PT_STOP_POINT("compact.copied");

	/*
	 * what is left of an entry before the start is of an extent that was
	 * moved
	 */
	if (c->from > c->info.first_extent &&
		!pt_extent_lookup(c->rel, &pt_rel_locator(c->rel), c->from - 1, &before))
		before.running_max = -1;
	for (uint64 i = 0; i < nout; i++)
	{
		entries[i].running_max = Max(before.running_max, entries[i].max_timestamp);
		before.running_max = entries[i].running_max;
	}
	if (c->from == c->info.first_extent)
		swap.start_pos = copy.start_pos != 0 ? copy.start_pos : pt_extent_pos(top);
	if (!pt_swap_commit(c->rel, &swap))
	{
		c->incomplete = true;	/* the start has moved: once more */
		return false;
	}
	PT_STOP_POINT("compact.swapped");
	c->job->extents_freed += c->to - c->from;
	pt_compact_forget_images(c);
	pt_log_info(c->rel, &c->info);
	c->from = Max(c->from, c->info.first_extent);
	return true;
}

/*
 * The start of the log has been put elsewhere: shows that to others, and gives
 * the holes before it back.
 */
static void
publish_start(PtCompact *c)
{
	PtLogStart	start;

	pt_log_info(c->rel, &c->info);
	start = (PtLogStart)
	{
		.offset = c->info.start_offset,.ordinal = c->info.start_ordinal,.pos = c->info.start_pos
	};
	XLogFlush(c->info.lsn);
	PT_STOP_POINT("compact.flushed");
	pt_state_moved(&pt_rel_locator(c->rel), &start);
	pt_log_free(&pt_rel_locator(c->rel));
}

/*
 * passes
 */

/* Forgets which batches have been seen: a run over the log begins. */
static void
begin_run(PtCompact *c, PtLogState *state, uint64 end)
{
	HASHCTL		ctl = {.keysize = sizeof(int64),.entrysize = sizeof(int64),.hcxt = c->mcxt};

	if (c->producers != NULL)
		hash_destroy(c->producers);
	c->producers = hash_create("pgtopic compaction producers", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	c->last_seen = c->snapshot_seen = false;
	c->spill_pos = 0;
	look_at_tail(c, state, end);
}

/* What a pass is to do, once the keys are known. */
static void
begin_filter(PtCompact *c)
{
	c->filter.map = &c->map;
	c->filter.start_offset = c->info.start_offset;
	c->filter.clean_offset = c->info.clean_offset;
	c->filter.now_ms = c->job->now_ms;
	c->filter.delete_retention_ms = c->job->delete_retention_ms;
}

/*
 * One pass.  *more: there must be another one, as keys did not fit, or the
 * start of the log has moved meanwhile.  False: stopped.
 */
static bool
run_pass(PtCompact *c, PtLogState *state, bool *more)
{
	bool		full;
	bool		good;
	uint64		end;

	pt_log_info(c->rel, &c->info);
	end = cleanable_end(c->rel, &c->info, state, young_limit(c->job->now_ms, c->job->min_lag_ms), NULL);
	*more = false;
	if (end <= c->info.first_extent)
		return true;
	c->job->passes++;
	c->incomplete = false;
	good = learn_keys(c, state, end, &full);
	begin_filter(c);
	if (good && c->info.hole_from != c->info.hole_to)
	{
		/* the last pass was stopped: what is behind the holes stays */
		begin_run(c, state, c->info.hole_to);
		good = run_down(c, c->info.hole_from);
		publish_start(c);
	}
	if (good && end > c->info.first_extent)
	{
		begin_run(c, state, end);
		good = run_down(c, end);
		publish_start(c);
	}
	if (good && !c->incomplete && c->map.latest_offset >= c->info.clean_offset)
	{
		PT_STOP_POINT("compact.run");
		pt_meta_clean(c->rel, c->map.latest_offset + 1);
	}
	pt_key_map_free(&c->map);
	*more = full || c->incomplete;
	return good || c->incomplete;
}

/*
 * Compacts a log as far as it is closed and sealed.  Returns false if it was
 * stopped, or if a part of it could not be done because the log's start moved
 * again and again.  The caller has ShareUpdateExclusiveLock, and is in a
 * transaction.  An ERROR, or a crash, leaves a log that is right, and what has
 * been done so far.
 */
bool
pt_log_compact(Relation rel, PtCompaction *job)
{
	PtLogState *state = pt_state_get(rel);
	PtCompact	c;
	bool		more = true;
	bool		good = true;
	int			hold;

	begin(&c, rel, job);
	(void) pt_swap_return(rel);
	pt_log_info(rel, &c.info);
	hold = pt_hold_begin(&pt_rel_locator(rel), c.info.first_extent);
	for (int spare = SPARE_PASSES; good && more && spare > 0;)
	{
		int64		clean = c.info.clean_offset;

		good = run_pass(&c, state, &more);
		pt_log_info(rel, &c.info);
		if (c.info.clean_offset == clean)
			spare--;
	}
	job->complete = good && !more;
	job->counts = c.filter.counts;
	job->clean_offset = c.info.clean_offset;
	pt_hold_end(hold);
	pt_filter_free(&c.filter);
	FreeAccessStrategy(c.reading);
	FreeAccessStrategy(c.writing);
	MemoryContextDelete(c.mcxt);
	pt_state_release(state);
	return job->complete;
}

/*-------------------------------------------------------------------------
 *
 * expired.c
 *	  Where a log would start if what retention does not keep was gone.
 *
 * By time a log loses batches, one by one, from its oldest on: those whose
 * largest timestamp is too old, up to the first one that is not.  By size it
 * loses whole extents.  Extents are told by the directory alone, which has the
 * largest timestamp of each that is complete; frames are read in the extent
 * in which the new start lies.
 *
 * A batch without timestamps goes with the next one that has some and is too
 * old.
 *
 * Nothing is changed here, and a log that nobody has in memory is read no
 * further than needed: mostly its meta page and its first batch.
 *
 * Siblings: trim.c moves the start.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log/internal.h"

#define EXTENT_BYTES	((int64) PT_EXTENT_BLOCKS * BLCKSZ)

/*
 * Frames are walked over in so many extents at most; beyond it is the next
 * look's.  Mostly the first one is enough: another extent has a batch in it
 * that is not too old, or none that is.
 */
#define WALK_EXTENTS	4

/* What a walk finds. */
typedef struct Walked
{
	bool		dropped;		/* some batch is too old */
	bool		found;			/* there is one that stays: */
	PtFrame		kept;			/* the first */
	bool		beyond;			/* it is where the walk ended, and may be too
								 * old */
	int64		oldest_ms;		/* largest timestamp of the first that stays
								 * and has one, -1: not known */
} Walked;

static uint64 extent_by_size(Relation rel, const PtLogInfo *info, int64 bytes);
static uint64 extent_by_time(Relation rel, const PtLogInfo *info, int64 before_ms);
static void walk(PtReader *r, const PtRetention *rule, Walked *walked);
static void choose_start(Relation rel, PtReader *r, const Walked *walked, PtExpired *found);

/* Batches of this timestamp are too old; 0 bytes: all are too many. */
static bool
is_expired(const PtRetention *rule, const PtFrame *frame)
{
	return rule->bytes == 0 || (frame->batch.max_timestamp >= 0 && frame->batch.max_timestamp < rule->before_ms);
}

/* How many of so many complete extents go. */
static uint64
too_many(uint64 complete, int64 bytes)
{
	uint64		keep = (uint64) bytes / EXTENT_BYTES + (bytes % EXTENT_BYTES > 0 ? 1 : 0);

	return complete > keep ? complete - keep : 0;
}

/*
 * The first extent that stays by size: as many complete ones go as leave at
 * least that many bytes of complete ones.  The extent of the durable end is
 * not complete.
 */
static uint64
extent_by_size(Relation rel, const PtLogInfo *info, int64 bytes)
{
	uint64		first = pt_pos_extent(info->start_pos);
	uint64		holes = info->hole_to - info->hole_from;
	uint64		last;
	PtLogView	view;

	if (bytes < 0 || info->next_extent <= first + 1 || too_many(info->next_extent - 1 - first, bytes) == 0)
		return first;
	pt_log_view(rel, &view);
	last = pt_pos_extent(view.durable.pos);
	if (last <= first + holes)
		return first;
	first += too_many(last - first - holes, bytes);
	return holes > 0 && first >= info->hole_from ? first + holes : first;
}

/*
 * The first extent that may have a batch that is not too old, by the largest
 * timestamps in the directory.
 */
static uint64
extent_by_time(Relation rel, const PtLogInfo *info, int64 before_ms)
{
	uint64		first = pt_pos_extent(info->start_pos);
	uint64		result = first;
	PtDirEntry	entries[PT_DIR_PER_PAGE];
	int			n;

	for (uint64 extent = first; extent + 1 < info->next_extent; extent += n)
	{
		n = pt_extents_read(rel, &pt_rel_locator(rel), extent, entries, lengthof(entries));
		if (n == 0)
			break;
		for (int i = 0; i < n && extent + i + 1 < info->next_extent; i++)
		{
			if (entries[i].phys == PT_INVALID_EXTENT)
				continue;
			if (entries[i].max_timestamp >= before_ms)
				return result;
			if (entries[i].max_timestamp >= 0)
				result = extent + i + 1;
		}
	}
	Assert(result >= first);
	return result;
}

/*
 * From the reader's place on: the first batch that stays.  Ends at the first
 * frame that is in progress.
 */
static void
walk(PtReader *r, const PtRetention *rule, Walked *walked)
{
	uint64		limit = pt_pos_extent(r->pos) + WALK_EXTENTS;
	PtFrame		frame;
	PtVisibility visibility;

	memset(walked, 0, sizeof(*walked));
	walked->oldest_ms = -1;
	while (pt_reader_next(r, &frame))
	{
		walked->beyond = pt_pos_extent(frame.pos) >= limit;
		visibility = pt_frame_visible(r, &frame, NULL);
		if (visibility == PT_IN_PROGRESS)
			break;
		if (visibility != PT_VISIBLE)
			continue;
		if (!walked->beyond && is_expired(rule, &frame))
		{
			walked->dropped = true;
			walked->found = false;
			continue;
		}
		if (!walked->found)
			walked->kept = frame;
		walked->found = true;
		if (walked->beyond)
			break;
		if (frame.batch.max_timestamp >= 0)
		{
			walked->oldest_ms = frame.batch.max_timestamp;
			break;
		}
	}
}

/*
 * The place of the new start: the batch that stays, but never beyond the
 * durable end, which is where a log starts that loses all.
 */
static void
choose_start(Relation rel, PtReader *r, const Walked *walked, PtExpired *found)
{
	PtLogView	view;

	pt_log_view(rel, &view);
	if (walked->found && walked->kept.pos < view.durable.pos)
	{
		found->start.offset = walked->kept.batch.base_offset;
		found->start.ordinal = walked->kept.head.base_ordinal;
		found->start.pos = walked->kept.pos;
		found->start.swapped = walked->kept.swapped;
	}
	else
	{
		found->empty = !walked->found && view.durable.offset == view.committed.offset;
		if (view.durable.offset <= found->old.offset || !pt_trim_find_end(r, &view.durable, &found->start))
			return;
		found->start.offset = view.durable.offset;
	}
	found->moves = found->start.offset > found->old.offset;
	Assert(!found->moves || (found->start.pos > found->old.pos && found->start.ordinal >= found->old.ordinal));
}

/*
 * Finds out what of a log has expired by a rule.  The caller has the relation
 * locked (AccessShareLock).  ERROR when the log is damaged where it is read.
 */
void
pt_expired_find(Relation rel, const PtRetention *rule, PtExpired *found)
{
	PtReader	r;
	PtLogInfo	info;
	Walked		walked;
	uint64		extent;

	memset(found, 0, sizeof(*found));
	pt_log_info(rel, &info);
	found->old = (PtLogStart)
	{
		.offset = info.start_offset,.ordinal = info.start_ordinal,.pos = info.start_pos
	};
	found->unfreed = info.free_extent < info.first_extent;
	found->held = info.first_extent < pt_pos_extent(info.start_pos);
	found->lsn = info.lsn;
	extent = Max(extent_by_size(rel, &info, rule->bytes), extent_by_time(rel, &info, rule->before_ms));
	pt_reader_begin_info(&r, rel, &info);
	(void) pt_state_peek(&r.view, &r.locator);
	if (extent > pt_pos_extent(info.start_pos))
		pt_reader_seek_extent(&r, extent);
	else
		pt_reader_seek_pos(&r, info.start_pos);
	walk(&r, rule, &walked);
	found->empty = !walked.found && !walked.dropped;
	if (walked.dropped || extent > pt_pos_extent(info.start_pos))
		choose_start(rel, &r, &walked, found);
	pt_reader_end(&r);
	found->more = found->moves && walked.found && walked.beyond;
	found->oldest_ms = walked.oldest_ms;
}

/*-------------------------------------------------------------------------
 *
 * list_offsets.c
 *	  Offsets by time and by leader epoch.
 *
 * Siblings: find_log.c, fetch.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "guc.h"
#include "fetch/internal.h"
#include "xact/xact.h"

static bool is_swapped(PtLogState *log, const PtLogInfo *before);
static bool next_visible(PtReader *reader, PtLogPos end, PtFrame *frame);
static void look_up(PtLogState *log, PtListOffset *list);
static void epoch_end(PtLogState *log, int32 epoch, int32 *found_epoch, int64 *end_offset);
static void find_by_time(PtLogState *log, PtListOffset *list);
static void find_max_timestamp(PtLogState *log, PtListOffset *list);
static bool record_at_time(PtReader *reader, PtFrame *frame, int64 start_offset,
						   PtListOffset *list, int64 timestamp);

/* The next committed frame before "end", which is a durable one. */
static bool
next_visible(PtReader *reader, PtLogPos end, PtFrame *frame)
{
	while (pt_reader_next(reader, frame) && frame->pos < end)
	{
		if (pt_frame_visible(reader, frame, NULL) == PT_VISIBLE)
			return true;
	}
	return false;
}

/*
 * The offset for a timestamp (ms), or for one of PT_LIST_*.  In a transaction,
 * with no relation locked; the answer for a fault is in list->status.
 */
void
pt_list_offset(PtListOffset *list)
{
	PtLogState *log = NULL;

	list->offset = list->found_timestamp = -1;
	list->leader_epoch = -1;
	list->status = pt_log_find(list->relid, true, &log);
	if (list->status != PT_OK)
		return;
	look_up(log, list);
	pt_state_release(log);
	/* batches from before an upgrade or a restore may be of a higher one */
	if (list->offset >= 0 && (list->leader_epoch < 0 || list->leader_epoch > pt_leader_epoch()))
		list->leader_epoch = pt_leader_epoch();
}

static void
look_up(PtLogState *log, PtListOffset *list)
{
	PtLogPos	start_pos;

	Assert(log != NULL && list->offset == -1);
	switch (list->timestamp)
	{
		case PT_LIST_LATEST:
			list->offset = pt_state_durable(log).offset;
			break;
		case PT_LIST_EARLIEST:
		case PT_LIST_EARLIEST_LOCAL:
			pt_log_start(log, &list->offset, &start_pos);
			break;
		case PT_LIST_MAX_TIMESTAMP:
			find_max_timestamp(log, list);
			break;
		case PT_LIST_LATEST_TIERED:
			break;				/* nothing is tiered */
		default:
			find_by_time(log, list);
	}
}

/* The first record of a batch with this timestamp or a later one. */
static bool
record_at_time(PtReader *reader, PtFrame *frame, int64 start_offset, PtListOffset *list, int64 timestamp)
{
	PtRecordIter it;
	PtRecord	record;
	bool		found = false;

	if (pt_record_iter_begin(&it, pt_reader_batch(reader, frame), frame->head.length,
							 PT_RECORDS_BYTES_MAX) != PT_BATCH_OK)
		return false;
	while (!found && pt_record_iter_next(&it, &record) == PT_BATCH_OK)
		found = record.timestamp >= timestamp && record.offset >= start_offset;
	if (found)
	{
		list->offset = record.offset;
		list->found_timestamp = record.timestamp;
	}
	pt_record_iter_end(&it);
	return found;
}

static void
find_by_time(PtLogState *log, PtListOffset *list)
{
	PtLogEnd	end = pt_state_durable(log);
	PtLogPos	start_pos;
	int64		start_offset;
	PtReader	reader;
	PtFrame		frame;
	uint64		extent;

	pt_log_start(log, &start_offset, &start_pos);
	pt_reader_begin_state(&reader, log);
	extent = pt_reader_seek_timestamp(&reader, 0, list->timestamp);
	while (next_visible(&reader, end.pos, &frame))
	{
		if (frame.batch.max_timestamp >= list->timestamp &&
			record_at_time(&reader, &frame, start_offset, list, list->timestamp))
		{
			list->leader_epoch = frame.batch.leader_epoch;
			break;
		}
		/* the extent's was aborted, or of records before the start */
		if (extent != PT_NO_EXTENT && pt_pos_extent(frame.next) > extent)
			extent = pt_reader_seek_timestamp(&reader, extent + 1, list->timestamp);
	}
	pt_reader_end(&reader);
}

/*
 * The largest timestamps of n extents, as the directory has them.
 */
static int64 *
extent_timestamps(PtLogState *log, uint64 first, uint64 n)
{
	int64	   *result = MemoryContextAllocHuge(CurrentMemoryContext, (n + 1) * sizeof(int64));
	PtDirEntry	entries[PT_DIR_PER_PAGE];
	int			got;

	for (uint64 i = 0; i < n; i += Max(got, 1))
	{
		got = pt_extents_read(NULL, &log->locator, first + i, entries, (int) Min(n - i, lengthof(entries)));
		result[i] = -1;
		for (int j = 0; j < got; j++)
			result[i + j] = entries[j].max_timestamp;
	}
	return result;
}

/*
 * The largest timestamp of a batch amid which the log starts, so that its
 * header says too much; -1: none.
 */
static int64
first_batch_max(PtReader *reader, PtFrame *frame, int64 start_offset)
{
	PtRecordIter it;
	PtRecord	record;
	int64		result = -1;

	if (pt_record_iter_begin(&it, pt_reader_batch(reader, frame), frame->head.length,
							 PT_RECORDS_BYTES_MAX) != PT_BATCH_OK)
		return result;
	while (pt_record_iter_next(&it, &record) == PT_BATCH_OK)
	{
		if (record.offset >= start_offset)
			result = Max(result, record.timestamp);
	}
	pt_record_iter_end(&it);
	return result;
}

/*
 * The first batch with the largest timestamp among those that start in an
 * extent, if it beats *best: by its timestamp, or else by its place.
 */
static void
scan_extent(PtReader *reader, uint64 extent, PtLogPos end, int64 start_offset, PtFrame *best)
{
	PtFrame		frame;

	pt_reader_seek_extent(reader, extent);
	while (next_visible(reader, Min(end, pt_extent_pos(extent + 1)), &frame))
	{
		if (frame.batch.base_offset < start_offset)
			frame.batch.max_timestamp = first_batch_max(reader, &frame, start_offset);
		if (frame.batch.max_timestamp > best->batch.max_timestamp ||
			(frame.batch.max_timestamp == best->batch.max_timestamp && frame.pos < best->pos))
			*best = frame;
	}
}

/*
 * Complete extents from "first" on are scanned in the order of what the
 * directory promises, until none can beat what was found.  For a log whose
 * running maximum is of what was removed or aborted.
 */
static void
scan_by_promise(PtLogState *log, PtReader *reader, const PtLogInfo *info, uint64 first, PtLogPos end, PtFrame *best)
{
	uint64		n = info->next_extent - 1 - first;
	int64	   *promised = extent_timestamps(log, first, n);

	for (;;)
	{
		uint64		choice = n;

		for (uint64 i = 0; i < n; i++)
		{
			int64		max = best->batch.max_timestamp;

			if ((promised[i] > max || (promised[i] == max && first + i < pt_pos_extent(best->pos))) &&
				(choice == n || promised[i] > promised[choice]))
				choice = i;
		}
		if (choice == n)
			break;
		promised[choice] = -1;
		CHECK_FOR_INTERRUPTS();
		scan_extent(reader, first + choice, end, info->start_offset, best);
	}
	pfree(promised);
}

/*
 * The first record with the largest timestamp.  It is in the extent that the
 * running maximum leads to, or in the last one, whose timestamps the directory
 * does not know yet.  False: compaction has moved frames meanwhile, and some
 * may have been missed.
 */
static bool
try_max_timestamp(PtLogState *log, PtListOffset *list)
{
	PtLogEnd	end = pt_state_durable(log);
	PtLogInfo	info;
	PtReader	reader;
	PtFrame		best;
	uint64		first;
	uint64		extent = PT_NO_EXTENT;
	int64		running_max = -1;

	memset(&best, 0, sizeof(best));
	best.batch.max_timestamp = -1;
	pt_locator_info(NULL, &log->locator, &info);
	first = pt_pos_extent(info.start_pos);
	if (first >= info.next_extent)
		return true;
	pt_reader_begin_state(&reader, log);
	if (first + 1 < info.next_extent)
		running_max = pt_reader_running_max(&reader, info.next_extent - 2);
	if (running_max >= 0)
		extent = pt_reader_seek_timestamp(&reader, first, running_max);
	if (extent != PT_NO_EXTENT)
		scan_extent(&reader, extent, end.pos, info.start_offset, &best);
	scan_extent(&reader, info.next_extent - 1, end.pos, info.start_offset, &best);
	if (best.batch.max_timestamp < running_max)
		scan_by_promise(log, &reader, &info, first, end.pos, &best);
	if (best.batch.max_timestamp >= 0 &&
		record_at_time(&reader, &best, info.start_offset, list, best.batch.max_timestamp))
		list->leader_epoch = best.batch.leader_epoch;
	pt_reader_end(&reader);
	return !is_swapped(log, &info);
}

/* Has compaction put other frames into some extents since then? */
static bool
is_swapped(PtLogState *log, const PtLogInfo *before)
{
	PtLogInfo	info;

	pt_locator_info(NULL, &log->locator, &info);
	return info.swapped != before->swapped;
}

static void
find_max_timestamp(PtLogState *log, PtListOffset *list)
{
	while (!try_max_timestamp(log, list))
	{
		CHECK_FOR_INTERRUPTS();
		list->offset = list->found_timestamp = list->leader_epoch = -1;
	}
}

/*
 * Epoch of the first committed batch that starts in an extent; false: there is
 * none.
 */
static bool
extent_epoch(PtReader *reader, uint64 extent, PtLogPos end, int32 *epoch)
{
	PtFrame		frame;

	pt_reader_seek_extent(reader, extent);
	if (!next_visible(reader, Min(end, pt_extent_pos(extent + 1)), &frame))
		return false;
	Assert(frame.pos < end);
	*epoch = frame.batch.leader_epoch;
	return true;
}

/*
 * An extent from which a walk meets the last batch of this epoch or an older
 * one before any of a newer one.  Epochs grow along the log: binary search.
 */
static uint64
find_epoch_extent(PtReader *reader, const PtLogInfo *info, PtLogPos end, int32 epoch)
{
	uint64		from = pt_pos_extent(info->start_pos);
	uint64		lo = from;
	uint64		hi = info->next_extent;

	while (hi > lo + 1)
	{
		uint64		mid = lo + (hi - lo) / 2;
		uint64		probe = mid;
		int32		first = 0;
		bool		known;

		while (!(known = extent_epoch(reader, probe, end, &first)) && probe - 1 > lo)
			probe--;
		if (known && first > epoch)
			hi = probe;
		else
		{
			if (known)
				from = probe;
			lo = mid;			/* nothing starts between probe and mid */
		}
	}
	return from;
}

/*
 * End offset of the largest epoch <= the one asked for (KIP-320); epoch -1 and
 * offset -1 when there is none.
 */
PtStatus
pt_epoch_end(Oid relid, int32 epoch, int32 *found_epoch, int64 *end_offset)
{
	PtLogState *log;
	PtStatus	status = pt_log_find(relid, true, &log);
	int32		current = pt_leader_epoch();

	*found_epoch = -1;
	*end_offset = -1;
	if (status != PT_OK)
		return status;
	if (epoch == current)
	{
		*found_epoch = epoch;
		*end_offset = pt_state_durable(log).offset;
	}
	else if (epoch >= 0 && epoch < current)
		epoch_end(log, epoch, found_epoch, end_offset);
	pt_state_release(log);
	return PT_OK;
}

/* The same for an epoch that is over. */
static void
epoch_end(PtLogState *log, int32 epoch, int32 *found_epoch, int64 *end_offset)
{
	PtLogEnd	end = pt_state_durable(log);
	PtLogInfo	info;
	PtReader	reader;
	PtFrame		frame;

	pt_reader_begin_state(&reader, log);
	do
	{
		CHECK_FOR_INTERRUPTS();
		pt_locator_info(NULL, &log->locator, &info);
		pt_reader_seek_extent(&reader, find_epoch_extent(&reader, &info, end.pos, epoch));
	} while (is_swapped(log, &info));
	*end_offset = end.offset;
	while (next_visible(&reader, end.pos, &frame))
	{
		if (frame.batch.leader_epoch > epoch)
		{
			*end_offset = frame.batch.base_offset;
			break;
		}
		*found_epoch = frame.batch.leader_epoch;
	}
	pt_reader_end(&reader);

	/*
	 * as in Kafka: nothing is as old, so nothing that old can be what the
	 * client read from here on
	 */
	if (*found_epoch < 0)
		*found_epoch = epoch;
}

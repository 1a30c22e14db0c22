/*-------------------------------------------------------------------------
 *
 * lost.c
 *	  Giving up a part of a log that cannot be read, so that readers go on
 *	  behind it.
 *
 * Where the damage begins, a frame of kind LOST says where the log goes on.
 * Pages in between that are none are made empty ones, so that searches can
 * look at them.  What was lost takes no offsets and no ordinals from what
 * comes behind.
 *
 * All pages are logged as images, so redo needs none of what was there.
 * Nothing is undone by an abort.
 *
 * Siblings: verify.c finds what is damaged, walk.c follows the frame.
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

#include "log/internal.h"

/* A run, and where its pages are. */
typedef struct Repair
{
	Relation	rel;
	const PtDamagedRun *run;
	uint64		extent;			/* whose entry this is; PT_NO_EXTENT: none */
	PtDirEntry	entry;
} Repair;

/*
 * Finds the physical extent of a logical block.  ERROR XX001 when the map does
 * not give it to that extent: then the directory is damaged, and the pages
 * there may be good ones of another.
 */
static BlockNumber
find_block(Repair *repair, uint64 block)
{
	Relation	rel = repair->rel;
	uint64		extent = block / PT_EXTENT_BLOCKS;
	Buffer		buf;
	PtMapEntry	map;

	if (extent != repair->extent)
	{
		PtLogInfo	info;

		pt_log_info(rel, &info);
		if (!pt_extent_lookup(rel, &pt_rel_locator(rel), extent, &repair->entry) ||
			repair->entry.phys >= info.phys_extents)
			pt_report_damage(&pt_rel_locator(rel), pt_extent_pos(extent), "directory entry that cannot be skipped");
		buf = pt_map_lock(rel, &pt_rel_locator(rel), pt_map_group(repair->entry.phys), false);
		map = *pt_map_entry(BufferGetPage(buf), repair->entry.phys);
		UnlockReleaseBuffer(buf);
		if (map.state != PT_MAP_DATA || map.extent != extent)
			pt_report_damage(&pt_rel_locator(rel), pt_extent_pos(extent), "directory entry that cannot be skipped");
		repair->extent = extent;
	}
	return pt_extent_block(repair->entry.phys) + (BlockNumber) (block % PT_EXTENT_BLOCKS);
}

/* Is it a page on which readers find their way? */
static bool
is_good(const Repair *repair, Page page, uint64 block)
{
	uint32		first = pt_page_special(page)->first;

	return pt_page_is(page, PT_PAGE_LOG, block) && pt_page_special(page)->generation == repair->entry.generation &&
		((PageHeader) page)->pd_lower >= PT_PAGE_FIRST && ((PageHeader) page)->pd_lower <= PT_PAGE_END &&
		(first == 0 || (first >= PT_PAGE_FIRST && first == MAXALIGN(first) && first + PT_FRAME_HEAD <= PT_PAGE_END));
}

/* Puts the frame that leads on where the run begins. */
static void
put_lost(const Repair *repair, Page page)
{
	const PtDamagedRun *run = repair->run;
	uint32		at = pt_pos_byte(run->from);
	PageHeader	header = (PageHeader) page;
	PtFrameHeader head = {
		.length = PT_BATCH_HEADER_SIZE,.xid = GetCurrentTransactionId(),.base_ordinal = run->next_ordinal,
		.flags = PT_FRAME_KIND_LOST
	};
	PtLostBody	body = {
		.next = run->to,.first_offset = run->first_offset,.next_offset = run->next_offset
	};

	Assert(at + PT_FRAME_HEAD <= PT_PAGE_END);
	memcpy((char *) page + at, &head, sizeof(head));
	memset((char *) page + at + sizeof(head), 0, PT_BATCH_HEADER_SIZE);
	memcpy((char *) page + at + sizeof(head), &body, sizeof(body));
	header->pd_lower = Max(header->pd_lower, at + PT_FRAME_HEAD);
	if (pt_page_special(page)->first == 0 || pt_page_special(page)->first > at)
		pt_page_special(page)->first = (uint16) at;
}

/*
 * Brings one page in order.  The one where the run begins gets the frame; it
 * is written last.
 */
static XLogRecPtr
repair_page(Repair *repair, uint64 block)
{
	const PtDamagedRun *run = repair->run;
	BlockNumber at = find_block(repair, block);
	bool		begins = block == pt_pos_block(run->from);
	uint32		lower = block == pt_pos_block(run->to) ? pt_pos_byte(run->to) : PT_PAGE_END;
	XLogRecPtr	lsn = InvalidXLogRecPtr;
	Buffer		buf;
	Page		page;
	bool		good;

	pt_file_reach(repair->rel, repair->entry.phys, at);
	buf = ReadBufferExtended(repair->rel, MAIN_FORKNUM, at, RBM_ZERO_ON_ERROR, NULL);
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(buf);
	good = is_good(repair, page, block);
	if (!good || begins || (block < pt_pos_block(run->to) && pt_page_special(page)->first != 0))
	{
		(void) GetCurrentTransactionId();
		START_CRIT_SECTION();
		if (!good || !begins)
		{
			pt_page_init(page, PT_PAGE_LOG, block, repair->entry.generation);
			memset((char *) page + PT_PAGE_FIRST, 0, PT_PAGE_CAPACITY);
			((PageHeader) page)->pd_lower = (uint16) lower;
		}
		if (begins)
			put_lost(repair, page);
		MarkBufferDirty(buf);
		lsn = log_newpage_buffer(buf, true);
		END_CRIT_SECTION();
	}
	UnlockReleaseBuffer(buf);
	return lsn;
}

/*
 * Gives a run up, durably.  The caller has the relation locked against VACUUM
 * and compaction (ShareUpdateExclusiveLock), and holds the append lock.  ERROR
 * XX001 when it is not the pages that are damaged, but the directory.
 */
void
pt_log_give_up(Relation rel, const PtDamagedRun *run)
{
	Repair		repair = {.rel = rel,.run = run,.extent = PT_NO_EXTENT};
	uint64		from = pt_pos_block(run->from);
	uint64		to = pt_pos_block(run->to);

	Assert(run->from < run->to && pt_frame_start(run->from) == run->from && pt_frame_start(run->to) == run->to);
	/* the page of "to" is good, unless it is the end */
	if (pt_pos_byte(run->to) == PT_PAGE_FIRST && to > from)
		to--;
	for (uint64 block = to; block > from; block--)
	{
		CHECK_FOR_INTERRUPTS();
		(void) repair_page(&repair, block);
	}
	XLogFlush(repair_page(&repair, from));
}

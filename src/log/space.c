/*-------------------------------------------------------------------------
 *
 * space.c
 *	  Which physical extents of a log's file are free.
 *
 * Each group of PT_MAP_EXTENTS physical extents has a map page that says what
 * they are used for.  Whoever needs one gets the lowest that is free, so the
 * extents in use gather at the front of the file, and what is free behind them
 * can be cut off.
 *
 * The meta page is locked exclusively by whoever changes a map, so all map
 * pages of a log are read in one piece.  Lock order: meta page, directory
 * page, map pages by number.
 *
 * Siblings: meta.c takes extents, free.c frees them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "access/transam.h"
#include "guc.h"
#include "log/internal.h"

static uint32 find_free(Relation rel, const PtMetaPage *meta, uint32 but, uint64 *reused, bool *passed);

/*
 * A map page, exclusively locked; as empty memory when it is new.  rel may be
 * NULL.
 */
Buffer
pt_map_lock(Relation rel, const RelFileLocator *locator, uint32 group, bool init)
{
	Buffer		buf;

	if (init)
	{
		Assert(rel != NULL);
		return ReadBufferExtended(rel, MAIN_FORKNUM, pt_map_block(group), RBM_ZERO_AND_LOCK, NULL);
	}
	buf = pt_read_block(rel, locator, pt_map_block(group), NULL);
	LockBuffer(buf, BUFFER_LOCK_EXCLUSIVE);
	if (!pt_page_is(BufferGetPage(buf), PT_PAGE_MAP, group))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("map page %u of the log in file %u is damaged", group,
						(unsigned) pt_locator_number(*locator))));
	return buf;
}

/* As the locked meta page has them. */
PtSpaceCounts
pt_space_counts(const PtMetaPage *meta)
{
	return (PtSpaceCounts)
	{
		.phys_extents = meta->phys_extents,.free_phys = meta->free_phys,.free_from = meta->free_from
	};
}

/*
 * Chooses a physical extent, and counts it: the lowest that is free, is read
 * by nobody, and is not "but", which has just been taken, else the next of the
 * file.  Its space is reserved here, so that a full disk is found now.
 * *reused: see xl_pt_extent.  The caller has the meta page locked exclusively.
 */
uint32
pt_space_take(Relation rel, const PtMetaPage *meta, PtSpaceCounts *counts, uint32 but, uint64 *reused)
{
	uint32		phys = PT_INVALID_EXTENT;
	bool		passed = false;

	*reused = PT_NO_EXTENT;
	if (counts->free_phys > 0)
		phys = find_free(rel, meta, but, reused, &passed);
	if (phys != PT_INVALID_EXTENT)
	{
		Assert(phys < meta->phys_extents);
		pt_file_reach(rel, phys, pt_extent_block(phys) + PT_EXTENT_BLOCKS - 1);
		counts->free_phys--;
		if (!passed)
			counts->free_from = phys + 1;
		return phys;
	}
	phys = counts->phys_extents++;
	pt_file_reach(rel, phys, pt_extent_block(phys) + (phys > 0 ? PT_EXTENT_BLOCKS - 1 : 0));
	return phys;
}

/*
 * The conflict horizon of an extent that is used again, see xl_pt_extent;
 * InvalidTransactionId when it is not (PT_NO_EXTENT).
 */
TransactionId
pt_space_horizon(uint64 reused)
{
	TransactionId horizon = InvalidTransactionId;

	if (reused != PT_NO_EXTENT)
	{
		horizon = XidFromFullTransactionId(ReadNextFullTransactionId());
		TransactionIdRetreat(horizon);
	}
	return horizon;
}

/*
 * What compaction has freed may still be on its way to consumers, so it waits
 * a while; see pt_span_intact.
 */
bool
pt_space_waits(const PtMapEntry *entry)
{
	return entry->freed_at != 0 && (uint32) time(NULL) - entry->freed_at < (uint32) pt_file_delete_delay_s;
}

/*
 * The lowest physical extent that is free, is not "but" and is read by nobody;
 * PT_INVALID_EXTENT: there is none.  *passed: lower ones are free, too.
 */
static uint32
find_free(Relation rel, const PtMetaPage *meta, uint32 but, uint64 *reused, bool *passed)
{
	uint64		held = pt_hold_oldest(&pt_rel_locator(rel));
	uint32		phys = meta->free_from;

	while (phys < meta->phys_extents)
	{
		Buffer		buf = pt_map_lock(rel, &pt_rel_locator(rel), pt_map_group(phys), false);
		uint32		end = Min(meta->phys_extents, (pt_map_group(phys) + 1) * PT_MAP_EXTENTS);

		for (; phys < end; phys++)
		{
			const PtMapEntry *entry = pt_map_entry(BufferGetPage(buf), phys);

			if (entry->state != PT_MAP_FREE || phys == but)
				continue;
			if ((entry->extent == PT_NO_EXTENT || entry->extent < held) && !pt_space_waits(entry))
			{
				if (entry->freed_at != 0)
					pt_hold_reused(entry->freed_at);
				*reused = entry->extent;
				UnlockReleaseBuffer(buf);
				return phys;
			}
			*passed = true;
		}
		UnlockReleaseBuffer(buf);
	}
	return PT_INVALID_EXTENT;
}

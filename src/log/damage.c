/*-------------------------------------------------------------------------
 *
 * damage.c
 *	  What is said of a log that is damaged.
 *
 * What is not where it must be is either gone (retention, DROP) or damaged.
 * Below the committed end, and behind the start of the log, everything must be
 * there: who finds nothing there must not take it for the end of the log, and
 * would show less than there is.
 *
 * Siblings: walk.c and reader.c find it, verify.c looks for it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "log/internal.h"

/*
 * Raises the error for a log that cannot be read at a position: ERROR XX001,
 * with the hint that leads on.
 */
void
pt_report_damage(const RelFileLocator *locator, PtLogPos pos, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("%s in logical block %llu of the log in file %u", what, (unsigned long long) pt_pos_block(pos),
					(unsigned) pt_locator_number(*locator)),
			 errdetail("It is at position %llu of the log.", (unsigned long long) pos),
			 errhint("verify_topic() tells what is damaged, and skip_damaged() leads readers past it.")));
}

/* What the reader holds has been put to another use all the same. */
void
pt_reader_gone(const PtReader *r)
{
	if (!r->holds)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("records of the log have been removed while they were read")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("records of \"%s\" were removed, and their space used again, while they were read",
					RelationGetRelationName(r->rel)),
			 errhint("Increase the setting \"pgtopic.old_scan_threshold\" or the retention of the topic, or read less at a time.")));
}

/*
 * A reader has found nothing at a position.  ERROR if something must be there:
 * the log has neither ended nor been cut off at its start up to there.  The
 * reader's view has been refreshed.
 */
void
pt_reader_check_missing(const PtReader *r, PtLogPos pos)
{
	if (pos >= r->view.start_pos && pos < r->view.committed.pos)
		pt_report_damage(&r->locator, pos, "damaged or missing page");
}

/*
 * Does the frame end where the log does, at the latest?  A frame that begins
 * before the committed end cannot reach beyond it, unless compaction has been
 * there since the reader's view was made: what it has written is sealed.  The
 * view knows the sealed position.
 */
void
pt_reader_check_length(const PtReader *r, const PtFrame *frame)
{
	if (frame->pos < r->view.committed.pos && frame->next > Max(r->view.committed.pos, r->view.sealed_pos))
		pt_report_damage(&r->locator, frame->pos, "frame that is too long");
}

/*
 * Going back, a reader has come to the frame before the one at its position.
 * Is there nothing in between?  Behind the committed end there may be a frame
 * that was cut short; between two extents, others may have been dropped.
 */
void
pt_reader_check_before(const PtReader *r, const PtFrame *frame)
{
	if (frame->next != r->pos && !pt_frame_is_lost(frame) && r->pos <= r->view.committed.pos &&
		!pt_pos_begins_extent(frame->next) &&
		pt_pos_extent(frame->next) == pt_pos_extent(r->pos))
		pt_report_damage(&r->locator, frame->next, "missing frame");
}

/*
 * Do the numbers of a meta page agree?  The page is locked.
 */
void
pt_check_meta(const RelFileLocator *locator, const PtMetaPage *meta)
{
	if (meta->first_extent > meta->next_extent || meta->next_extent - meta->first_extent > PT_DIR_ENTRIES ||
		pt_pos_extent(meta->start_pos) < meta->first_extent || pt_pos_extent(meta->start_pos) > meta->next_extent ||
		pt_frame_start(meta->start_pos) != meta->start_pos)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("meta page of the log in file %u is damaged", (unsigned) pt_locator_number(*locator)),
				 errhint("verify_topic() tells what is damaged.")));
}

/*
 * Does the page on which an append goes on end where it must?  What was
 * written last ends at pos, up to padding.
 */
void
pt_check_tail_page(Relation rel, Page page, PtLogPos pos, uint32 generation)
{
	uint32		byte = pt_pos_byte(pos);
	uint32		lower = ((PageHeader) page)->pd_lower;

	if (!pt_page_is(page, PT_PAGE_LOG, pt_pos_block(pos)) || pt_page_special(page)->generation != generation ||
		lower > byte || MAXALIGN(lower) != MAXALIGN(byte))
		pt_report_damage(&pt_rel_locator(rel), pos, "damaged page at the end of the log,");
}

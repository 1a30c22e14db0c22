/*-------------------------------------------------------------------------
 *
 * copy.c
 *	  Writes what compaction leaves of a group into other physical extents.
 *
 * The frames of a group lie one after another as if they had been appended,
 * from the beginning of an extent on.  Behind the last one a frame that says
 * so (PT_FRAME_KIND_SKIP) ends the last extent.  Pages are made in memory, an
 * extent at a time, and then put into buffers and WAL, PT_APPEND_BLOCKS with
 * each record.  Nobody reads them before the directory has them (swap.c).
 *
 * Siblings: group.c finds what stays, append.c writes the same way at the
 * tail.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xloginsert.h"
#include "miscadmin.h"

#include "log/internal.h"
#include "log/compact.h"

static PtLogPos place_frame(PtLogPos pos, uint32 length);
static void begin_extent(PtCopy *copy);
static Page page_at(PtCopy *copy, PtLogPos pos);
static void put_bytes(PtCopy *copy, const char *data, uint64 len);
static void put_frame(PtCopy *copy, const PtFrameHeader *head, const char *data);
static void put_skip(PtCopy *copy, int64 ordinal);
static void end_extent(PtCopy *copy);
static XLogRecPtr log_pages(PtCopy *copy, int from, int n);
static void settle_entries(PtDirEntry *entries, int n, int64 offset, int64 ordinal);

/* Where a frame of this length ends that comes behind pos. */
static PtLogPos
place_frame(PtLogPos pos, uint32 length)
{
	/* the last byte's place plus one: at the end of a page, not of the next */
	return pt_pos_advance(pt_frame_start(pos), sizeof(PtFrameHeader) + length - 1) + 1;
}

/*
 * How many extents a group takes that has "prefix" bytes in front, counted
 * from the beginning of an extent; *end: where it ends, if that is extent 0.
 */
uint64
pt_copy_extents(const PtPart *parts, uint64 prefix, PtLogPos *end)
{
	PtLogPos	pos = pt_extent_pos(0);
	bool		empty = prefix == 0;

	if (prefix > 0)
		pos = pt_pos_advance(pos, prefix - 1) + 1;
	for (const PtPart *part = parts; part != NULL; part = part->next)
	{
		for (int i = 0; i < part->n; i++)
		{
			pos = place_frame(pos, part->kept[i].head.length);
			empty = false;
		}
	}
	*end = pos;
	return empty ? 0 : pt_pos_extent(pos - 1) + 1;
}

/* The extent gets a physical one, and empty pages in memory. */
static void
begin_extent(PtCopy *copy)
{
	copy->phys = pt_swap_claim(copy->compact->rel, copy->extent, &copy->generation);
	*copy->entry = (PtDirEntry)
	{
		.phys = copy->phys,.generation = copy->generation,.base_offset = -1,.base_ordinal = -1,
			.max_timestamp = -1,.running_max = -1
	};
	for (int i = 0; i < PT_EXTENT_BLOCKS; i++)
		pt_page_init((Page) (copy->compact->out_pages + (Size) i * BLCKSZ), PT_PAGE_LOG,
					 copy->extent * PT_EXTENT_BLOCKS + i, copy->generation);
}

static Page
page_at(PtCopy *copy, PtLogPos pos)
{
	Assert(pt_pos_extent(pos) == copy->extent);
	return (Page) (copy->compact->out_pages + (Size) (pt_pos_block(pos) % PT_EXTENT_BLOCKS) * BLCKSZ);
}

/*
 * Puts bytes at copy->pos, which is moved behind them.  Goes to the next
 * extent when there are bytes for it.
 */
static void
put_bytes(PtCopy *copy, const char *data, uint64 len)
{
	while (len > 0)
	{
		uint32		byte = pt_pos_byte(copy->pos);
		uint32		n;
		Page		page;

		if (byte == PT_PAGE_END)
		{
			copy->pos = pt_pos_make(pt_pos_block(copy->pos) + 1, PT_PAGE_FIRST);
			byte = PT_PAGE_FIRST;
		}
		if (pt_pos_extent(copy->pos) != copy->extent)
		{
			end_extent(copy);
			copy->extent++;
			copy->entry++;
			begin_extent(copy);
		}
		page = page_at(copy, copy->pos);
		n = (uint32) Min(PT_PAGE_END - byte, len);
		memcpy((char *) page + byte, data, n);
		((PageHeader) page)->pd_lower = (uint16) (byte + n);
		copy->pos += n;
		data += n;
		len -= n;
	}
}

/* A frame, from where the next one may start on. */
static void
put_frame(PtCopy *copy, const PtFrameHeader *head, const char *data)
{
	static const char zeros[MAXIMUM_ALIGNOF] = {0};
	PtLogPos	start = pt_frame_start(copy->pos);
	Page		page;

	if (pt_pos_block(start) == pt_pos_block(copy->pos))
		put_bytes(copy, zeros, start - copy->pos);
	copy->pos = start;
	put_bytes(copy, (const char *) head, sizeof(*head));
	page = page_at(copy, start);
	if (pt_page_special(page)->first == 0)
		pt_page_special(page)->first = (uint16) pt_pos_byte(start);
	put_bytes(copy, data, head->length);
}

/*
 * The rest of the extent is empty.  There is room for the frame that says so,
 * or the log goes on in the next extent anyway.
 */
static void
put_skip(PtCopy *copy, int64 ordinal)
{
	PtFrameHeader head = {
		.length = PT_BATCH_HEADER_SIZE,.xid = FrozenTransactionId,.base_ordinal = ordinal,
		.flags = PT_FRAME_KIND_SKIP
	};
	char		body[PT_BATCH_HEADER_SIZE] = {0};

	if (!copy->skipped && pt_pos_extent(pt_frame_start(copy->pos)) == copy->extent)
		put_frame(copy, &head, body);
	copy->skipped = false;
	end_extent(copy);
}

/*
 * Writes the pages of the extent that have something.  Their WAL is flushed:
 * whoever commits meanwhile has to flush what was inserted before, and so
 * waits for an extent at most.
 */
static void
end_extent(PtCopy *copy)
{
	XLogRecPtr	lsn = InvalidXLogRecPtr;
	int			n = 0;

	while (n < PT_EXTENT_BLOCKS &&
		   ((PageHeader) (copy->compact->out_pages + (Size) n * BLCKSZ))->pd_lower > PT_PAGE_FIRST)
		n++;
	for (int from = 0; from < n; from += PT_APPEND_BLOCKS)
	{
		CHECK_FOR_INTERRUPTS();
		lsn = log_pages(copy, from, Min(n - from, PT_APPEND_BLOCKS));
	}
	XLogFlush(lsn);
	copy->compact->job->extents_written++;
}

/* Puts n pages into buffers, and into one WAL record, whose end it returns. */
static XLogRecPtr
log_pages(PtCopy *copy, int from, int n)
{
	union
	{
		xl_pt_append head;
		char		space[SizeOfPtAppend(PT_APPEND_BLOCKS)];
	}			record;
	xl_pt_append *x = &record.head;
	Buffer		buffers[PT_APPEND_BLOCKS];
	XLogRecPtr	lsn;

	memset(&record, 0, sizeof(record));
	x->block = copy->extent * PT_EXTENT_BLOCKS + from;
	x->generation = copy->generation;
	x->at = PT_PAGE_FIRST;
	x->nblocks = (uint16) n;
	XLogEnsureRecordSpace(PT_APPEND_BLOCKS, PT_APPEND_BLOCKS + 4);
	for (int i = 0; i < n; i++)
		buffers[i] = ReadBufferExtended(copy->compact->rel, MAIN_FORKNUM,
										pt_extent_block(copy->phys) + (BlockNumber) (from + i),
										RBM_ZERO_AND_LOCK, copy->compact->writing);
	START_CRIT_SECTION();
	XLogBeginInsert();
	for (int i = 0; i < n; i++)
	{
		const char *image = copy->compact->out_pages + (Size) (from + i) * BLCKSZ;
		char	   *page = (char *) BufferGetPage(buffers[i]);

		memcpy(page, image, BLCKSZ);
		MarkBufferDirty(buffers[i]);
		x->first[i] = pt_page_special((Page) page)->first;
	}
	XLogRegisterData((char *) x, SizeOfPtAppend(n));
	for (int i = 0; i < n; i++)
	{
		char	   *page = (char *) BufferGetPage(buffers[i]);

		XLogRegisterBuffer((uint8) i, buffers[i], REGBUF_WILL_INIT | REGBUF_STANDARD);
		XLogRegisterBufData((uint8) i, page + PT_PAGE_FIRST, ((PageHeader) page)->pd_lower - PT_PAGE_FIRST);
	}
	lsn = XLogInsert(PT_RMGR_ID, PT_WAL_COPY);
	for (int i = 0; i < n; i++)
		PageSetLSN(BufferGetPage(buffers[i]), lsn);
	END_CRIT_SECTION();
	for (int i = 0; i < n; i++)
		UnlockReleaseBuffer(buffers[i]);
	return lsn;
}

/*
 * Extents in which no frame starts have the base of what comes behind, at last
 * what is behind the group.
 */
static void
settle_entries(PtDirEntry *entries, int n, int64 offset, int64 ordinal)
{
	for (int i = n - 1; i >= 0; i--)
	{
		if (entries[i].base_offset < 0)
		{
			entries[i].base_offset = offset;
			entries[i].base_ordinal = ordinal;
		}
		offset = entries[i].base_offset;
		ordinal = entries[i].base_ordinal;
	}
}

/*
 * Writes a group into n extents from "first" on, and makes their directory
 * entries but for the running maximum.  prefix: bytes that go before the first
 * frame, the rest of one that starts in the extent before and stays there.
 * The caller has set compact, start_offset and behind_*.
 */
void
pt_copy_group(PtCopy *copy, const PtPart *parts, const char *prefix, uint64 prefix_len,
			  uint64 first, int n, PtDirEntry *entries)
{
	int64		offset = copy->behind_offset;
	int64		ordinal = copy->behind_ordinal;

	Assert(n > 0);
	copy->extent = first;
	copy->pos = pt_extent_pos(first);
	copy->entry = entries;
	copy->start_pos = 0;
	begin_extent(copy);
	put_bytes(copy, prefix, prefix_len);
	for (const PtPart *part = parts; part != NULL; part = part->next)
	{
		for (int i = 0; i < part->n; i++)
		{
			const PtKept *kept = &part->kept[i];
			PtLogPos	start = pt_frame_start(copy->pos);
			PtDirEntry *entry = &entries[pt_pos_extent(start) - first];

			put_frame(copy, &kept->head, kept->data);
			Assert(entry == copy->entry || pt_pos_extent(start) < copy->extent);
			Assert(!copy->skipped); /* it comes last */
			ordinal = kept->head.base_ordinal + kept->head.ordinals;
			copy->skipped = (kept->head.flags & PT_FRAME_KIND_MASK) == PT_FRAME_KIND_SKIP;
			if (kept->base_offset < 0)
				continue;		/* no batch */
			if (entry->base_offset < 0)
			{
				entry->base_offset = kept->base_offset;
				entry->base_ordinal = kept->head.base_ordinal;
			}
			entry->max_timestamp = Max(entry->max_timestamp, kept->max_timestamp);
			if (copy->start_pos == 0 && kept->next_offset > copy->start_offset)
				copy->start_pos = start;
			offset = kept->next_offset;
		}
	}
	put_skip(copy, ordinal);
	while (copy->extent + 1 < first + n)
	{
		copy->extent++;
		copy->entry++;
		copy->pos = pt_extent_pos(copy->extent);
		begin_extent(copy);
		put_skip(copy, ordinal);
	}
	settle_entries(entries, n, offset, ordinal);
}

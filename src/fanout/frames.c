/*-------------------------------------------------------------------------
 *
 * frames.c
 *	  Batches out of the APPEND records of WAL.
 *
 * A record has the bytes of some pages: whole frames, one behind the other as
 * on disk, perhaps the end of a frame before them and the beginning of one
 * behind them.  A frame that is complete on one page is taken from there.  Any
 * other is put together in memory; one that goes on in another record is kept
 * until that comes.
 *
 * At most one frame of a log is unfinished, as there is one writer.  It is
 * dropped when another one begins, because then its writer has failed, and
 * when its transaction is over.  The rest of a frame whose beginning was not
 * seen is passed over: decoding has begun in the middle of it, so its
 * transaction is none that will be shown.
 *
 * Sibling: decode.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "fanout/internal.h"

/* Memory for frames up to this size stays for the next one. */
#define SPARE_BYTES_MAX	((Size) 1024 * 1024)

static void frame_resume(PtFrames *frames, XLogReaderState *record, const RelFileLocator *locator);
static void frame_begin(PtFrames *frames, const PtFrameHeader *head);
static void frame_add(PtFrames *frames, const char *data, uint32 n);
static void frame_keep(PtFrames *frames);
static void drop_finished(PtFrames *frames);
static void release(PtFrames *frames, PtPartFrame *frame);
static void take_page(PtFrames *frames, uint64 block, uint32 at, const char *data, uint32 len);

/*
 * Hands all batches that the record completes to frames->take, in the order of
 * the log.
 */
void
pt_frames_append(PtFrames *frames, XLogReaderState *record)
{
	const xl_pt_append *x = (const xl_pt_append *) XLogRecGetData(record);
	PtPartFrame *frame = &frames->frame;
	RelFileLocator locator;

	Assert(x->nblocks > 0 && x->nblocks <= PT_APPEND_BLOCKS);
	XLogRecGetBlockTag(record, 0, &locator, NULL, NULL);
	frame_resume(frames, record, &locator);
	for (int i = 0; i < x->nblocks; i++)
	{
		Size		len;
		const char *data = XLogRecGetBlockData(record, (uint8) i, &len);

		Assert(data != NULL && len <= PT_PAGE_CAPACITY);
		take_page(frames, x->block + i, i == 0 ? x->at : PT_PAGE_FIRST, data, (uint32) len);
	}
	if (frame->batch != NULL)
		frame_keep(frames);
}

/*
 * With which frame does the record begin?  The one that was kept, one whose
 * bytes are not wanted, or none.
 */
static void
frame_resume(PtFrames *frames, XLogReaderState *record, const RelFileLocator *locator)
{
	const xl_pt_append *x = (const xl_pt_append *) XLogRecGetData(record);
	PtPartFrame *frame = &frames->frame;
	PtPartFrame *kept = NULL;

	if (frames->kept != NULL && hash_get_num_entries(frames->kept) > 0)
		kept = hash_search(frames->kept, locator, HASH_FIND, NULL);
	*frame = (PtPartFrame)
	{
		.locator = *locator,.xid = XLogRecGetXid(record),.length = x->amid_length,.done = x->amid_done
	};
	if (kept == NULL)
		return;
	if (x->amid_length > 0 && kept->xid == frame->xid && kept->length == frame->length && kept->done == frame->done)
		*frame = *kept;
	else
		release(frames, kept);
	(void) hash_search(frames->kept, locator, HASH_REMOVE, NULL);
}

/*
 * A frame begins that goes on behind its page.
 */
static void
frame_begin(PtFrames *frames, const PtFrameHeader *head)
{
	PtPartFrame *frame = &frames->frame;

	Assert(frame->length == 0 && frame->batch == NULL && head->xid == frame->xid);
	frame->length = head->length + sizeof(PtFrameHeader);
	frame->done = sizeof(PtFrameHeader);
	if ((head->flags & PT_FRAME_KIND_MASK) != PT_FRAME_KIND_BATCH)
		return;
	if (frames->spare_cap >= head->length)
	{
		frame->batch = frames->spare;
		frame->cap = frames->spare_cap;
		frames->spare = NULL;
		frames->spare_cap = 0;
	}
	else
	{
		frame->cap = Max(head->length, BLCKSZ);
		frame->batch = MemoryContextAllocHuge(frames->mcxt, frame->cap);
	}
}

/*
 * So many bytes more of the frame; hands it over when it is complete.
 */
static void
frame_add(PtFrames *frames, const char *data, uint32 n)
{
	PtPartFrame *frame = &frames->frame;

	Assert(n > 0 && n <= frame->length - frame->done);
	if (frame->batch != NULL)
		memcpy(frame->batch + (frame->done - sizeof(PtFrameHeader)), data, n);
	frame->done += n;
	if (frame->done < frame->length)
		return;
	if (frame->batch != NULL)
	{
		frames->take(frames->arg, frame->batch, frame->length - sizeof(PtFrameHeader));
		release(frames, frame);
	}
	frame->length = frame->done = 0;
}

/*
 * Frees the memory of a frame, or puts it by for the next.
 */
static void
release(PtFrames *frames, PtPartFrame *frame)
{
	if (frame->cap <= SPARE_BYTES_MAX && frame->cap > frames->spare_cap)
	{
		if (frames->spare != NULL)
			pfree(frames->spare);
		frames->spare = frame->batch;
		frames->spare_cap = frame->cap;
	}
	else
		pfree(frame->batch);
	frame->batch = NULL;
	frame->cap = 0;
}

/*
 * The frame goes on in another record.
 */
static void
frame_keep(PtFrames *frames)
{
	HASHCTL		ctl = {.keysize = sizeof(RelFileLocator),.entrysize = sizeof(PtPartFrame),.hcxt = frames->mcxt};
	PtPartFrame *kept;
	bool		found;

	if (frames->kept == NULL)
		frames->kept = hash_create("pgtopic frames in parts", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	drop_finished(frames);
	kept = hash_search(frames->kept, &frames->frame.locator, HASH_ENTER, &found);
	Assert(!found);
	*kept = frames->frame;
	frames->frame.batch = NULL;
}

/*
 * Drops what was kept for transactions that decoding no longer knows.  Their
 * writers have failed, and nothing was appended there since.
 */
static void
drop_finished(PtFrames *frames)
{
	HASH_SEQ_STATUS scan;
	PtPartFrame *kept;

	hash_seq_init(&scan, frames->kept);
	while ((kept = hash_seq_search(&scan)) != NULL)
	{
		if (ReorderBufferXidHasBaseSnapshot(frames->reorder, kept->xid))
			continue;
		release(frames, kept);
		(void) hash_search(frames->kept, &kept->locator, HASH_REMOVE, NULL);
	}
}

/*
 * Takes the bytes that a record has for one page, from byte "at" of it on.
 */
static void
take_page(PtFrames *frames, uint64 block, uint32 at, const char *data, uint32 len)
{
	PtPartFrame *frame = &frames->frame;
	uint32		used = 0;

	while (used < len)
	{
		PtFrameHeader head;
		PtLogPos	start;
		uint32		n;

		if (frame->length > 0)
		{
			n = Min(len - used, frame->length - frame->done);
			frame_add(frames, data + used, n);
			used += n;
			continue;
		}
		start = pt_frame_start(pt_pos_make(block, at + used));
		if (pt_pos_block(start) != block || pt_pos_byte(start) >= at + len)
			break;
		used = pt_pos_byte(start) - at;
		Assert(used + PT_FRAME_HEAD <= len);
		memcpy(&head, data + used, sizeof(head));
		used += sizeof(head);
		if (head.length > len - used)
			frame_begin(frames, &head);
		else
		{
			if ((head.flags & PT_FRAME_KIND_MASK) == PT_FRAME_KIND_BATCH)
				frames->take(frames->arg, data + used, head.length);
			used += head.length;
		}
	}
}

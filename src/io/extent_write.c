/*-------------------------------------------------------------------------
 *
 * extent_write.c
 *	  Writes the dirty pages of a completed extent with few, large calls.
 *
 * The buffer manager writes page by page.  For a file that is written from
 * front to back that costs three times the CPU of large writes, most of it in
 * the kernel (small pieces of page cache, each with its own bookkeeping), and
 * it is most of what a log costs once it is larger than shared_buffers.  So we
 * write runs of buffers ourselves, and mark them clean as the buffer manager
 * would.
 *
 * Why that is safe.  We hold a pin and a content lock on each page of a run
 * from before the write until it is marked clean.  So none of them can be
 * evicted or changed meanwhile.  A page becomes clean only after it is written
 * and its sync request is with the checkpointer, as in FlushBuffer.  WAL comes
 * first, because pages newer than extent->lsn, which is flushed, are left out.
 * A page whose lock is not free at once, or that somebody is writing, is left
 * out as well, as waiting for one lock while holding others could be a
 * deadlock; these few are written at the end, one at a time, by
 * FlushOneBuffer.
 *
 * The lock is another one by major, as FlushBuffer's is:
 *
 * - 15 to 18: a shared lock.  Somebody else may write the page at the same
 *   time (checkpointer, background writer, a backend in need of a buffer); it
 *   writes the same bytes, so it does not matter who is first.  Hints could be
 *   set under a shared lock, too (our pages have none): BM_JUST_DIRTIED tells,
 *   as it tells FlushBuffer.
 * - 19: an exclusive lock.  FlushBuffer asks for a share-exclusive one, which
 *   keeps away all who write or change the page, and so there is no
 *   BM_JUST_DIRTIED.  To extensions the server offers that lock only by
 *   waiting, and only the exclusive one without.  The cost: who reads the page
 *   under a lock (SQL, not a Kafka fetch) waits while the run is written, and
 *   a page that is being read so is written alone.
 *
 * Siblings: writeback.c, the queue; iovec.c, which writes.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "port/pg_iovec.h"
#include "storage/buf_internals.h"
#include "storage/bufpage.h"

#include "io/internal.h"
#include "io/writeback.h"
#include "stop_point.h"

typedef enum TakenPage
{
	PAGE_TAKEN,					/* to be written */
	PAGE_WRITTEN,				/* somebody has written it */
	PAGE_LEFT					/* somebody is at it: later, alone */
} TakenPage;

static TakenPage take_page(const PtWriteback *extent, int i);
static bool write_alone(const PtWriteback *extent, int i);
static void write_run(const PtWriteback *extent, int first, int n);
static void release_clean(Buffer buffer);
static int	run_max(BlockNumber block);

/*
 * Writes the dirty pages of an extent whose WAL is flushed.  True: all pages
 * have been written since the extent was complete, by us or by others.  False:
 * of some page that is not known.  Call in a transaction, which owns the pins
 * and locks and cleans up after an error; what was not written then is still
 * dirty.
 */
bool
pt_extent_write(const PtWriteback *extent)
{
	bool		whole = true;
	bool		left[PT_WRITEBACK_BLOCKS];
	int			first = 0;
	int			n = 0;

	for (int i = 0; i < extent->nblocks; i++)
	{
		TakenPage	taken = take_page(extent, i);

		if (n == 0)
			first = i;
		if (taken == PAGE_TAKEN)
			n++;
		Assert(n == 0 || taken != PAGE_TAKEN || first + n == i + 1);
		if (n > 0 && (taken != PAGE_TAKEN || n == run_max(extent->first + first)))
		{
			write_run(extent, first, n);
			n = 0;
		}
		left[i] = taken == PAGE_LEFT;
	}
	if (n > 0)
		write_run(extent, first, n);
	for (int i = 0; i < extent->nblocks; i++)
	{
		if (left[i] && !write_alone(extent, i))
			whole = false;
	}
	return whole;
}

/*
 * The longest run from this block on: what one call takes, within a segment
 * file, up to where the kernel's large pages begin (a fifth cheaper than
 * across them).
 */
static int
run_max(BlockNumber block)
{
	int			aligned = PG_IOV_MAX - (int) (block % PG_IOV_MAX);

	return (int) Min(aligned, RELSEG_SIZE - block % RELSEG_SIZE);
}

/*
 * Pins and locks a page, if it is still in its buffer, dirty, and may be
 * written now.  A page that has left its buffer was written before.
 */
static TakenPage
take_page(const PtWriteback *extent, int i)
{
	Buffer		buffer = extent->buffers[i];
	BufferDesc *desc;
	PtBufferState state;
	bool		clean;

	Assert(i >= 0 && i < extent->nblocks);
	if (!BufferIsValid(buffer))
		return PAGE_LEFT;
	if (!ReadRecentBuffer(extent->locator, MAIN_FORKNUM, extent->first + i, buffer))
		return PAGE_WRITTEN;
	desc = GetBufferDescriptor(buffer - 1);
	if (!pt_buffer_lock_to_write(buffer))
	{
		ReleaseBuffer(buffer);
		return PAGE_LEFT;
	}
	state = LockBufHdr(desc);
	if ((state & BM_DIRTY) == 0 || (state & BM_IO_IN_PROGRESS) != 0 ||
		PageGetLSN(BufferGetPage(buffer)) > extent->lsn)
	{
		clean = (state & (BM_DIRTY | BM_IO_IN_PROGRESS)) == 0;
		pt_header_unlock(desc, state, 0);
		UnlockReleaseBuffer(buffer);
		return clean ? PAGE_WRITTEN : PAGE_LEFT;
	}
	/* whoever dirties it from now on sets it again */
	pt_header_unlock(desc, state, BM_JUST_DIRTIED);
	return PAGE_TAKEN;
}

/*
 * Waits for whoever is at the page, and writes what is dirty then.  Hold no
 * other page.  False: it is not known where the page is.
 */
static bool
write_alone(const PtWriteback *extent, int i)
{
	Buffer		buffer = extent->buffers[i];

	if (!BufferIsValid(buffer))
		return false;
	if (!ReadRecentBuffer(extent->locator, MAIN_FORKNUM, extent->first + i, buffer))
		return true;
	LockBuffer(buffer, BUFFER_LOCK_SHARE_EXCLUSIVE);
	FlushOneBuffer(buffer);
	UnlockReleaseBuffer(buffer);
	return true;
}

/* Writes n pages that were taken, and gives them back. */
static void
write_run(const PtWriteback *extent, int first, int n)
{
	const void *pages[PG_IOV_MAX];

	Assert(n > 0 && n <= PG_IOV_MAX);
	Assert(first + n <= extent->nblocks);
	Assert(extent->lsn <= GetFlushRecPtr(NULL));
	for (int i = 0; i < n; i++)
	{
		Page		page = BufferGetPage(extent->buffers[first + i]);

		/*
		 * in place: before 19 others who write the page set that of a copy;
		 * nobody else reads it
		 */
		PageSetChecksum(page, extent->first + first + i);
		pages[i] = page;
	}
	pt_iovec_write(extent->locator, extent->first + first, pages, n);
	PT_STOP_POINT("writeback.written");
	for (int i = 0; i < n; i++)
		release_clean(extent->buffers[first + i]);
}

/*
 * Marks a page clean that was written, unless it was dirtied again, and gives
 * it back.
 */
static void
release_clean(Buffer buffer)
{
	BufferDesc *desc = GetBufferDescriptor(buffer - 1);
	PtBufferState state = LockBufHdr(desc);

	Assert(BUF_STATE_GET_REFCOUNT(state) > 0);
	Assert(pt_buffer_is_locked(buffer));
	pt_header_unlock(desc, state, (state & BM_JUST_DIRTIED) ? 0 : BM_DIRTY | BM_CHECKPOINT_NEEDED);
	UnlockReleaseBuffer(buffer);
}

/*-------------------------------------------------------------------------
 *
 * pages_read.c
 *	  Reads many pages of a log at once, past shared buffers.
 *
 * A consumer that catches up reads a log once and from front to back.  Through
 * shared buffers that costs a system call, a victim and an entry of the buffer
 * table for each page, and drives out what others need.  So pages that are in
 * no buffer are read from the file in large pieces, into memory of the caller.
 *
 * Why that is safe, on all majors.  A page that is in no buffer is in the file
 * with all its changes, since a buffer leaves the table only when it is clean
 * and nobody pins it (bufmgr.c: InvalidateVictimBuffer, before 16 BufferAlloc;
 * both look again under the partition's lock).  Another process may take the
 * page into a buffer while we read, and even change and write it; but callers
 * look only at bytes that are never changed again (a log below its durable
 * end).  A read that sees half of such a write shows in the checksum, if there
 * are any, and in no byte that callers look at.
 *
 * With "written" the caller knows that all of those bytes have been in the
 * file once.  Then the same holds for pages that are in a buffer.  Only what
 * may change later (flags of frames) may be older in the file, which matters
 * to those who walk and not to those who send.
 *
 * Siblings: iovec.c and at_hand.c, which read; extent_write.c, the other
 * direction.
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
#include "storage/checksum.h"
#include "utils/memutils.h"

#include "io/internal.h"

static bool page_is_verified(Page page, BlockNumber block);

/*
 * Memory for n pages, to be read into by pt_pages_read, for as long as the
 * process lives.  Aligned as direct I/O demands (debug_io_direct).
 */
char *
pt_pages_alloc(int n)
{
	char	   *memory = MemoryContextAllocHuge(TopMemoryContext, (Size) n * BLCKSZ + PG_IO_ALIGN_SIZE);

	return (char *) TYPEALIGN(PG_IO_ALIGN_SIZE, memory);
}

/*
 * The buffer that a block is in; it may have got another block when the caller
 * looks.  Invalid: the block is in none.
 */
Buffer
pt_buffer_of(const RelFileLocator *locator, BlockNumber block)
{
	BufferTag	tag;
	uint32		hash;
	LWLock	   *lock;
	int			id;

	pt_buffer_tag(&tag, locator, block);
	hash = BufTableHashCode(&tag);
	lock = BufMappingPartitionLock(hash);
	LWLockAcquire(lock, LW_SHARED);
	id = BufTableLookup(&tag, hash);
	LWLockRelease(lock);
	return id < 0 ? InvalidBuffer : (Buffer) (id + 1);
}

/*
 * A page that was written while we read it may have the checksum of either
 * time: then false, and the caller asks the buffer manager.
 */
static bool
page_is_verified(Page page, BlockNumber block)
{
	return !DataChecksumsEnabled() || PageIsNew(page) ||
		pg_checksum_page(page, block) == ((PageHeader) page)->pd_checksum;
}

/*
 * Reads at most n blocks from "first" on into "to" (n * BLCKSZ bytes of
 * pt_pages_alloc), up to the first one that is in a buffer, a segment's end,
 * or one whose checksum is wrong.  With "written" (see above) only the first
 * is looked for in buffers. Returns how many; 0: the first one must be had
 * from its buffer, *recent, if that is valid.  With pt_at_hand_only also up to
 * the first one that is not at hand (PT_NOT_AT_HAND: that is the first); then
 * the system has "wanted" >= n blocks in all read.  Call in a transaction;
 * takes and leaves no pin.
 */
int
pt_pages_read(const RelFileLocator *locator, BlockNumber first, char *to, int n, int wanted, bool written,
			  Buffer *recent)
{
	void	   *pages[PG_IOV_MAX];
	int			absent = 0;

	Assert(to == (char *) TYPEALIGN(PG_IO_ALIGN_SIZE, to));
	n = (int) Min((BlockNumber) Min(n, PG_IOV_MAX), RELSEG_SIZE - first % RELSEG_SIZE);
	*recent = pt_buffer_of(locator, first);
	while (absent < n && !BufferIsValid(absent == 0 ? *recent :
										written ? InvalidBuffer : pt_buffer_of(locator, first + absent)))
	{
		pages[absent] = to + (Size) absent * BLCKSZ;
		absent++;
	}
	if (absent == 0)
		return 0;
	n = pt_at_hand_only ? pt_read_at_hand(locator, first, pages, absent, Max(wanted, absent)) : -1;
	if (n == 0)
		return PT_NOT_AT_HAND;
	if (n > 0)
		absent = n;
	else
		pt_iovec_read(*locator, first, pages, absent);
	for (n = 0; n < absent && page_is_verified(pages[n], first + n); n++)
		;
	Assert(n <= absent && absent <= PG_IOV_MAX);
	return n;
}

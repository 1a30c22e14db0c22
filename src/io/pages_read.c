/*-------------------------------------------------------------------------
 *
 * pages_read.c
 *	  Reads many pages of a log at once, past shared buffers.
 *
 * A consumer that catches up reads a log once and from front to back.  Through
 * shared buffers that costs a system call, a victim and an entry of the buffer table
 * for each page, and drives out what others need.  So pages that are in no
 * buffer are read from the file in large pieces, into memory of the caller.
 *
 * Why that is safe.  A page that is in no buffer is in the file with all its
 * changes, since a buffer leaves the table only after it has been written.  Another process may
 * take the page into a buffer while we read, and even change it; but callers
 * look only at what is below the durable end, and those bytes are never changed.  Where all of an extent
 * is known to have been written once, the same holds for pages that are in a buffer; only flags of frames may be older in the
 * file, which matters to who walks and not to who sends.
 *
 * Siblings: read.c (through buffers), extent_write.c (the other direction), iovec.c.
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

#include "log/log.h"

static Buffer buffer_of(const RelFileLocator *locator, BlockNumber block);
static bool page_is_verified(Page page, BlockNumber block);

/* The buffer that a block is in, which may have got another block when the caller looks; invalid: it is in none. */
static Buffer
buffer_of(const RelFileLocator *locator, BlockNumber block)
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

/* A page that was written while we read it may have the checksum of either time: the buffer manager will know. */
static bool
page_is_verified(Page page, BlockNumber block)
{
	return !DataChecksumsEnabled() || PageIsNew(page) ||
		pg_checksum_page(page, block) == ((PageHeader) page)->pd_checksum;
}

/*
 * Reads at most n blocks from "first" on into "to", up to the first one that is
 * in a buffer, a segment's end, or one whose checksum is wrong.  Returns how many; 0: the first
 * one must be had from its buffer, *recent, if that is known.  Call in a transaction.
 */
int
pt_pages_read(const RelFileLocator *locator, BlockNumber first, char *to, int n, bool written, Buffer *recent)
{
	void	   *pages[PG_IOV_MAX];
	int			absent = 0;

	n = (int) Min((BlockNumber) Min(n, PG_IOV_MAX), RELSEG_SIZE - first % RELSEG_SIZE);
	*recent = buffer_of(locator, first);
	while (absent < n && !BufferIsValid(absent == 0 ? *recent :
										written ? InvalidBuffer : buffer_of(locator, first + absent)))
	{
		pages[absent] = to + (Size) absent * BLCKSZ;
		absent++;
	}
	if (absent == 0)
		return 0;
	pt_smgr_readv(pt_smgropen(*locator), first, pages, absent);
	for (n = 0; n < absent && page_is_verified(pages[n], first + n); n++)
		;
	Assert(n <= absent && absent <= PG_IOV_MAX);
	return n;
}

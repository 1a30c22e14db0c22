/*-------------------------------------------------------------------------
 *
 * writeback.c
 *	  The queue of completed extents, in shared memory.
 *
 * A ring under a spinlock.  It has as many places as extents fit into
 * shared_buffers: with more waiting, the oldest have been evicted already.
 * Extents come nearly in the order of their LSNs, so looking at the oldest is
 * enough.
 *
 * Siblings: extent_write.c writes what the log writer takes from here.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#include "io/writeback.h"

#define PT_WRITEBACK_MIN	64
#define PT_WRITEBACK_MAX	8192

typedef struct PtWritebackShared
{
	slock_t		mutex;
	uint32		size;			/* places in the ring */
	uint32		head;			/* the oldest */
	uint32		count;
	uint64		dropped;		/* pushed when the ring was full */
	Latch	   *volatile latch; /* of the log writer, NULL: not running */
	PtWriteback ring[FLEXIBLE_ARRAY_MEMBER];
} PtWritebackShared;

static PtWritebackShared *shared;

static uint32 ring_size(void);

static uint32
ring_size(void)
{
	return Min(Max(NBuffers / PT_WRITEBACK_BLOCKS, PT_WRITEBACK_MIN), PT_WRITEBACK_MAX);
}

Size
pt_logwriter_shmem_size(void)
{
	return add_size(offsetof(PtWritebackShared, ring), mul_size(ring_size(), sizeof(PtWriteback)));
}

/* Called with AddinShmemInitLock held. */
void
pt_logwriter_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("pgtopic write-back", pt_logwriter_shmem_size(), &found);
	if (found)
		return;
	SpinLockInit(&shared->mutex);
	shared->size = ring_size();
	shared->head = 0;
	shared->count = 0;
	shared->dropped = 0;
	shared->latch = NULL;
}

/*
 * Puts a complete extent of nblocks blocks into the queue; bufs says which
 * buffers they are in, InvalidBuffer where that is not known.  Never waits,
 * never throws; when the queue is full the extent is dropped.
 *
 * The WAL of the extent is hardly flushed yet, so the log writer is woken only
 * by the first in the queue: it then looks again by itself, and after flushes
 * of the committer.
 */
void
pt_logwriter_push(const RelFileLocator *locator, uint64 extent, BlockNumber first, int nblocks,
				  const Buffer *bufs, XLogRecPtr lsn)
{
	bool		wake = false;

	Assert(nblocks > 0 && nblocks <= PT_WRITEBACK_BLOCKS && lsn != InvalidXLogRecPtr);
	SpinLockAcquire(&shared->mutex);
	if (shared->latch == NULL || shared->count == shared->size)
		shared->dropped++;
	else
	{
		PtWriteback *item = &shared->ring[(shared->head + shared->count) % shared->size];

		item->locator = *locator;
		item->extent = extent;
		item->first = first;
		item->nblocks = nblocks;
		item->lsn = lsn;
		memcpy(item->buffers, bufs, nblocks * sizeof(Buffer));
		wake = shared->count++ == 0;
	}
	SpinLockRelease(&shared->mutex);
	if (wake)
		pt_logwriter_wake();
}

/*
 * Takes the oldest extent whose WAL is durable up to "flushed"; false: there
 * is none.
 */
bool
pt_logwriter_pop(XLogRecPtr flushed, PtWriteback *extent)
{
	bool		found = false;

	SpinLockAcquire(&shared->mutex);
	Assert(shared->count <= shared->size);
	if (shared->count > 0 && shared->ring[shared->head].lsn <= flushed)
	{
		*extent = shared->ring[shared->head];
		shared->head = (shared->head + 1) % shared->size;
		shared->count--;
		found = true;
	}
	SpinLockRelease(&shared->mutex);
	return found;
}

/* Extents in the queue. */
uint32
pt_logwriter_count(void)
{
	return *(volatile uint32 *) &shared->count;
}

/* The latch to set when there is work; NULL when the log writer ends. */
void
pt_logwriter_attach(Latch *latch)
{
	shared->latch = latch;
}

void
pt_logwriter_wake(void)
{
	Latch	   *latch = shared->latch;

	if (latch != NULL)
		SetLatch(latch);
}

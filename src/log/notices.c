/*-------------------------------------------------------------------------
 *
 * notices.c
 *	  Logs that may have work for the housekeeper.
 *
 * Retention by time has its hour: a log is due when its oldest batch is too
 * old, and the housekeeper knows when that is.  What it cannot know is told
 * here: that an extent is complete (retention by size), and that a log which
 * was empty has a record.  So nobody has to look at logs where nothing
 * happens.
 *
 * A ring under a spinlock.  When it is full a notice is lost, and the
 * housekeeper is told that some are.
 *
 * Siblings: state.c (who pushes), ../server/housekeeper.c (who
 * pops).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "storage/spin.h"

#include "log/notices.h"

/* 1,024 MB a second fill it in four seconds. */
#define NOTICES_MAX	4096

typedef struct PtNoticesShared
{
	slock_t		mutex;
	uint32		head;			/* the oldest */
	uint32		count;
	bool		lost;			/* some, since the housekeeper asked */
	Latch	   *latch;			/* of the housekeeper, NULL: not running */
	PtNotice	ring[NOTICES_MAX];
} PtNoticesShared;

static PtNoticesShared *shared;

Size
pt_notices_shmem_size(void)
{
	return sizeof(PtNoticesShared);
}

/* Called with AddinShmemInitLock held. */
void
pt_notices_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("pgtopic notices", sizeof(PtNoticesShared), &found);
	if (found)
		return;
	memset(shared, 0, sizeof(PtNoticesShared));
	SpinLockInit(&shared->mutex);
}

/*
 * Tells the housekeeper of a log, and wakes it when it has nothing to do.
 * Nothing happens while there is none: it looks at all logs when it begins.
 * Never waits, never throws.
 */
void
pt_notice_push(const RelFileLocator *locator, PtNoticeKind kind)
{
	Latch	   *latch = NULL;

	SpinLockAcquire(&shared->mutex);
	Assert(shared->count <= NOTICES_MAX && shared->head < NOTICES_MAX);
	if (shared->latch != NULL && shared->count < NOTICES_MAX)
	{
		PtNotice   *notice = &shared->ring[(shared->head + shared->count) % NOTICES_MAX];

		notice->locator = *locator;
		notice->kind = kind;
		if (shared->count++ == 0)
			latch = shared->latch;
	}
	else if (shared->latch != NULL)
		shared->lost = true;
	SpinLockRelease(&shared->mutex);
	if (latch != NULL)
		SetLatch(latch);
}

/*
 * The housekeeper is up, or ends (NULL).  What is in the ring is of another
 * life: who begins looks at all logs.
 */
void
pt_notices_attach(Latch *latch)
{
	SpinLockAcquire(&shared->mutex);
	shared->latch = latch;
	shared->count = 0;
	shared->lost = false;
	SpinLockRelease(&shared->mutex);
}

/* Takes the oldest notice; false: there is none. */
bool
pt_notice_pop(PtNotice *notice)
{
	bool		found;

	SpinLockAcquire(&shared->mutex);
	found = shared->count > 0;
	if (found)
	{
		*notice = shared->ring[shared->head];
		shared->head = (shared->head + 1) % NOTICES_MAX;
		shared->count--;
	}
	SpinLockRelease(&shared->mutex);
	return found;
}

/* Have notices been lost since this was asked last? */
bool
pt_notices_lost(void)
{
	bool		lost;

	SpinLockAcquire(&shared->mutex);
	lost = shared->lost;
	shared->lost = false;
	SpinLockRelease(&shared->mutex);
	return lost;
}

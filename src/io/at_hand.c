/*-------------------------------------------------------------------------
 *
 * at_hand.c
 *	  Reading without waiting for the disk.
 *
 * A listener has one thread, and while it waits for the disk all its clients
 * wait.  So it looks first whether a page is at hand: in a buffer, or in the
 * page cache of the operating system (preadv2, RWF_NOWAIT).  What is not, the
 * system is asked to read (posix_fadvise, WILLNEED), and whoever wanted it
 * does something else and asks again in a moment.  That moment is his own
 * affair; here is only known since when which block is awaited.  Nobody tells
 * us when reading fails, so a block that does not come within PATIENCE_MS is
 * an ERROR.
 *
 * Where a file system cannot tell (preadv2 refuses, direct I/O), or where
 * reading ahead has never brought anything within that time, the answer is
 * that nothing is known: then the caller reads, and waits.
 *
 * What remains to be waited for, even so: a victim for the buffer that a page
 * is read into, and all that the server reads by itself (catalogs, clog).
 *
 * Siblings: pages_read.c, segment.c; ../log/meta.c and ../fetch/page_cursor.c,
 * who ask.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/uio.h>

#include "port/pg_iovec.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#include "io/internal.h"

/* A block that has not come by then does not come. */
#define PATIENCE_MS		30000

/* One that nobody has asked for during that time is not awaited any more. */
#define FORGET_MS		60000

/* Blocks that are awaited; more are forgotten, the oldest first. */
#define AWAITED_MAX		64

/* What is read with a block that somebody looks for alone. */
#define AROUND_BLOCKS	32

/* A block that was not at hand, and has not been found so since. */
typedef struct Awaited
{
	RelFileLocator locator;
	BlockNumber block;
	TimestampTz since;			/* 0: the place is free */
	TimestampTz asked;			/* when somebody wanted it last */
} Awaited;

/*
 * True while this process must not wait for the disk.  Whoever sets it sees to
 * it that it becomes false again, also when an ERROR is thrown.
 */
bool		pt_at_hand_only = false;

static Awaited awaited[AWAITED_MAX];
static int	nawaited;			/* places in use */
static bool came_once;			/* something that was awaited has come */

static Awaited *find_awaited(const RelFileLocator *locator, BlockNumber block);
static void note_came(const RelFileLocator *locator, BlockNumber block);
static bool note_away(const RelFileLocator *locator, BlockNumber block);
static ssize_t read_now(PtSegment *segment, const struct iovec *iov, int n, off_t at);
static void read_ahead(const PtSegment *segment, BlockNumber first, int n);

static Awaited *
find_awaited(const RelFileLocator *locator, BlockNumber block)
{
	for (int i = 0; i < AWAITED_MAX; i++)
	{
		if (awaited[i].since != 0 && awaited[i].block == block && RelFileLocatorEquals(awaited[i].locator, *locator))
			return &awaited[i];
	}
	return NULL;
}

/* The block is at hand. */
static void
note_came(const RelFileLocator *locator, BlockNumber block)
{
	Awaited    *it = nawaited > 0 ? find_awaited(locator, block) : NULL;

	if (it == NULL)
		return;
	Assert(it->since != 0);
	it->since = 0;
	nawaited--;
	came_once = true;
}

/* The place of a block that is awaited from now on. */
static Awaited *
new_awaited(TimestampTz now)
{
	Awaited    *oldest = &awaited[0];

	for (int i = 1; i < AWAITED_MAX; i++)
	{
		if (awaited[i].asked < oldest->asked || (awaited[i].since == 0 && oldest->since != 0))
			oldest = &awaited[i];
	}
	if (oldest->since == 0)
		nawaited++;
	Assert(nawaited <= AWAITED_MAX);
	oldest->since = now;
	return oldest;
}

/*
 * The block is not at hand.  False: it may come yet.  True: nothing has ever
 * come, so that one must wait.  ERROR when it should have come long ago.
 */
static bool
note_away(const RelFileLocator *locator, BlockNumber block)
{
	TimestampTz now = GetCurrentTimestamp();
	Awaited    *it = find_awaited(locator, block);

	if (it == NULL)
	{
		it = new_awaited(now);
		it->locator = *locator;
		it->block = block;
	}
	else if (TimestampDifferenceExceeds(it->asked, now, FORGET_MS))
		it->since = now;
	it->asked = now;
	if (!TimestampDifferenceExceeds(it->since, now, PATIENCE_MS))
		return false;
	it->since = now;			/* who comes again is patient again */
	if (!came_once)
		return true;
	ereport(ERROR,
			(errcode(ERRCODE_IO_ERROR),
			 errmsg("block %u of file \"%s\" has not been read within %d s",
					block, pt_segment_path(*locator, block / RELSEG_SIZE), PATIENCE_MS / 1000),
			 errhint("The disk stands still or cannot read it; the operating system may have logged more.")));
}

/*
 * Reads what is in the page cache.  As preadv; EAGAIN: the first byte is not.
 */
static ssize_t
read_now(PtSegment *segment, const struct iovec *iov, int n, off_t at)
{
#if defined(RWF_NOWAIT) && defined(POSIX_FADV_WILLNEED)
	ssize_t		got = segment->must_wait ? -1 : preadv2(segment->fd, iov, n, at, RWF_NOWAIT);

	if (got >= 0 || (!segment->must_wait && errno == EAGAIN))
		return got;
	/* mostly it is the file system that cannot; the caller's read says more */
	segment->must_wait = true;
	errno = EOPNOTSUPP;
	return -1;
#else
	errno = EOPNOTSUPP;
	return -1;
#endif
}

/* Has the system read blocks of the segment into the page cache. */
static void
read_ahead(const PtSegment *segment, BlockNumber first, int n)
{
#ifdef POSIX_FADV_WILLNEED
	Assert(n > 0);
	(void) posix_fadvise(segment->fd, (off_t) (first % RELSEG_SIZE) * BLCKSZ, (off_t) n * BLCKSZ,
						 POSIX_FADV_WILLNEED);
#endif
}

/*
 * Reads of n <= PG_IOV_MAX blocks of one segment those that are at hand, up to
 * the first that is not.  Has up to "wanted" >= n blocks from there on read by
 * the system.  Returns how many blocks it has read; 0: the first is not at
 * hand; -1: unknown, so read it and wait.  Call in a transaction.  ERROR when
 * the first one should have come long ago.
 */
int
pt_read_at_hand(const RelFileLocator *locator, BlockNumber first, void *const *pages, int n, int wanted)
{
	PtSegment  *segment = pt_segment_open(locator, first);
	struct iovec iov[PG_IOV_MAX];
	ssize_t		got;
	int			read;

	Assert(n > 0 && n <= PG_IOV_MAX && wanted >= n && first % RELSEG_SIZE + n <= RELSEG_SIZE);
	if (pt_direct_data_io())
		return -1;
	for (int i = 0; i < n; i++)
	{
		iov[i].iov_base = pages[i];
		iov[i].iov_len = BLCKSZ;
	}
	got = read_now(segment, iov, n, (off_t) (first % RELSEG_SIZE) * BLCKSZ);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		return -1;				/* the file's end, or an error: reading tells */
	read = got < 0 ? 0 : (int) (got / BLCKSZ);
	Assert(read <= n);
	if (read < n)
		read_ahead(segment, first + read, wanted - read);
	if (read > 0)
		note_came(locator, first);
	else if (note_away(locator, first))
		return -1;
	return read;
}

/*
 * Is a block in a buffer or in the page cache, as far as that can be told?  If
 * not, it is being read.  Call in a transaction.
 */
bool
pt_block_at_hand(const RelFileLocator *locator, BlockNumber block)
{
	static char *page = NULL;
	void	   *pages[1];

	if (BufferIsValid(pt_buffer_of(locator, block)))
		return true;
	if (page == NULL)
		page = pt_pages_alloc(1);
	pages[0] = page;
	return pt_read_at_hand(locator, block, pages, 1, AROUND_BLOCKS) != 0;
}

/*
 * To be called before a block is read into a buffer: an ERROR that says "ask
 * again in a moment" (PT_ERRCODE_NOT_AT_HAND), where one must not wait for the
 * disk and would have to.
 */
void
pt_need_at_hand(const RelFileLocator *locator, BlockNumber block)
{
	if (!pt_at_hand_only || pt_block_at_hand(locator, block))
		return;
	ereport(ERROR,
			(errcode(PT_ERRCODE_NOT_AT_HAND),
			 errmsg("block %u of file %u is still to be read from the disk",
					block, (unsigned) pt_locator_number(*locator))));
}

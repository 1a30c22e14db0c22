/*-------------------------------------------------------------------------
 *
 * iovec.c
 *	  Writes and reads many blocks of a relation in one call.
 *
 * The server can do it since 17 (smgrwritev, smgrreadv).  Before, we open the
 * segment file ourselves (segment.c).
 *
 * Siblings: extent_write.c and pages_read.c, which need it; reserve.c, which
 * is here for the same reason.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pgstat.h"
#include "port/pg_iovec.h"
#include "storage/fd.h"
#include "storage/sync.h"

#include "io/internal.h"

#ifdef PT_NEEDS_IOVEC

static void make_iov(struct iovec *iov, void *const *pages, int n);
static void request_sync(RelFileLocator locator, BlockNumber segno, int fd);

static void
make_iov(struct iovec *iov, void *const *pages, int n)
{
	Assert(n > 0 && n <= PG_IOV_MAX);
	for (int i = 0; i < n; i++)
	{
		iov[i].iov_base = pages[i];
		iov[i].iov_len = BLCKSZ;
	}
}

/*
 * Reads n blocks of the main fork from "from" on, all in one segment file, at
 * most PG_IOV_MAX of them.  Call in a transaction.  ERROR when they are not
 * all there.
 */
void
pt_iovec_read(RelFileLocator locator, BlockNumber from, void **pages, int n)
{
	struct iovec iov[PG_IOV_MAX];
	ssize_t		got;
	PtSegment  *segment = pt_segment_open(&locator, from);

	Assert(from % RELSEG_SIZE + n <= RELSEG_SIZE);
	make_iov(iov, pages, n);
	pgstat_report_wait_start(WAIT_EVENT_DATA_FILE_READ);
	got = pg_preadv(segment->fd, iov, n, (off_t) (from % RELSEG_SIZE) * BLCKSZ);
	pgstat_report_wait_end();
	if (got < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read blocks %u..%u in file \"%s\": %m", from, from + n - 1,
						pt_segment_path(locator, segment->segno))));
	if (got != (ssize_t) n * BLCKSZ)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("could not read blocks %u..%u in file \"%s\": read only %zd of %zu bytes",
						from, from + n - 1, pt_segment_path(locator, segment->segno), got, (size_t) n * BLCKSZ)));
}

/*
 * Writes n blocks that the main fork has, from "from" on, all in one segment
 * file, at most PG_IOV_MAX of them.  Call in a transaction.  When it returns
 * the next checkpoint will sync them.  The kernel is asked to begin with the
 * disk at once, so that this sync finds little left to do.  Checksums are the
 * caller's.  ERROR when not all could be written.
 */
void
pt_iovec_write(RelFileLocator locator, BlockNumber from, const void **pages, int n)
{
	struct iovec iov[PG_IOV_MAX];
	ssize_t		written;
	PtSegment  *segment = pt_segment_open(&locator, from);

	Assert(from % RELSEG_SIZE + n <= RELSEG_SIZE);
	make_iov(iov, (void *const *) pages, n);
	errno = 0;
	pgstat_report_wait_start(WAIT_EVENT_DATA_FILE_WRITE);
	written = pg_pwritev(segment->fd, iov, n, (off_t) (from % RELSEG_SIZE) * BLCKSZ);
	pgstat_report_wait_end();
	if (written != (ssize_t) n * BLCKSZ)
	{
		if (errno == 0)
			errno = ENOSPC;		/* a short write of a file says so */
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write blocks %u..%u in file \"%s\": %m", from, from + n - 1,
						pt_segment_path(locator, segment->segno)),
				 errhint("Check free disk space.")));
	}
	request_sync(locator, from / RELSEG_SIZE, segment->fd);
	pg_flush_data(segment->fd, (off_t) (from % RELSEG_SIZE) * BLCKSZ, (off_t) n * BLCKSZ);
}

/*
 * Before the buffers become clean: a checkpoint that finds them clean must
 * find the request.
 */
static void
request_sync(RelFileLocator locator, BlockNumber segno, int fd)
{
	FileTag		tag;

	memset(&tag, 0, sizeof(tag));
	tag.handler = SYNC_HANDLER_MD;
	tag.forknum = MAIN_FORKNUM;
	tag.pt_filetag_locator = locator;
	tag.segno = segno;
	if (RegisterSyncRequest(&tag, SYNC_REQUEST, false /* retryOnError */ ))
		return;
	/* the checkpointer's queue is full */
	if (pg_fsync(fd) < 0)
		ereport(data_sync_elevel(ERROR),
				(errcode_for_file_access(), errmsg("could not fsync file \"%s\": %m", pt_segment_path(locator, segno))));
}

#else

void
pt_iovec_read(RelFileLocator locator, BlockNumber from, void **pages, int n)
{
	smgrreadv(pt_smgropen(locator), MAIN_FORKNUM, from, pages, (BlockNumber) n);
}

void
pt_iovec_write(RelFileLocator locator, BlockNumber from, const void **pages, int n)
{
	SMgrRelation reln = pt_smgropen(locator);

	smgrwritev(reln, MAIN_FORKNUM, from, pages, (BlockNumber) n, false);
	smgrwriteback(reln, MAIN_FORKNUM, from, (BlockNumber) n);
}

#endif							/* PT_NEEDS_IOVEC */

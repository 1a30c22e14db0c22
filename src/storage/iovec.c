/*-------------------------------------------------------------------------
 *
 * iovec.c
 *	  Writes and reads many blocks of a relation in one call, on servers that
 *	  cannot (15 and 16; smgrwritev and smgrreadv from 17 on).
 *
 * Siblings: extent_write.c and pages_read.c, which need it; reserve.c, for the same reason here.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>

#include "common/relpath.h"
#include "pgstat.h"
#include "port/pg_iovec.h"
#include "storage/fd.h"
#include "storage/sync.h"

#include "compat.h"

#ifdef PT_NEEDS_WRITEV

static int	open_segment(RelFileLocator locator, BlockNumber block, int flags, char **path);
static void make_iov(struct iovec *iov, void *const *pages, int n);
static void request_sync(RelFileLocator locator, BlockNumber segno, int fd, const char *path);

/* Opens the segment file of a block until the end of the transaction; its name goes to *path. */
static int
open_segment(RelFileLocator locator, BlockNumber block, int flags, char **path)
{
	BlockNumber segno = block / RELSEG_SIZE;
	int			fd;

	*path = pt_file_path(locator);
	if (segno > 0)
		*path = psprintf("%s.%u", *path, segno);
	fd = OpenTransientFile(*path, flags | PG_BINARY);
	if (fd < 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", *path)));
	return fd;
}

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

/* Like smgrreadv of the main fork: n blocks from "from" on, under the rules of pt_writev. */
void
pt_readv(RelFileLocator locator, BlockNumber from, void **pages, int n)
{
	struct iovec iov[PG_IOV_MAX];
	char	   *path;
	ssize_t		got;
	int			fd = open_segment(locator, from, O_RDONLY, &path);

	Assert(from % RELSEG_SIZE + n <= RELSEG_SIZE);
	make_iov(iov, pages, n);
	pgstat_report_wait_start(WAIT_EVENT_DATA_FILE_READ);
	got = pg_preadv(fd, iov, n, (off_t) (from % RELSEG_SIZE) * BLCKSZ);
	pgstat_report_wait_end();
	if (got < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read blocks %u..%u in file \"%s\": %m", from, from + n - 1, path)));
	if (got != (ssize_t) n * BLCKSZ)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("could not read blocks %u..%u in file \"%s\": read only %zd of %zu bytes",
						from, from + n - 1, path, got, (size_t) n * BLCKSZ)));
	CloseTransientFile(fd);
	pfree(path);
}

/*
 * Like smgrwritev of the main fork: n blocks from "from" on, all in one segment file, at most
 * PG_IOV_MAX of them.  The disk begins at once (see pt_smgr_writev), the next checkpoint will sync them.  Call in a transaction, which closes
 * the file after an error.
 */
void
pt_writev(RelFileLocator locator, BlockNumber from, const void **pages, int n)
{
	struct iovec iov[PG_IOV_MAX];
	char	   *path;
	ssize_t		written;
	int			fd = open_segment(locator, from, O_RDWR, &path);

	Assert(from % RELSEG_SIZE + n <= RELSEG_SIZE);
	make_iov(iov, (void *const *) pages, n);
	errno = 0;
	pgstat_report_wait_start(WAIT_EVENT_DATA_FILE_WRITE);
	written = pg_pwritev(fd, iov, n, (off_t) (from % RELSEG_SIZE) * BLCKSZ);
	pgstat_report_wait_end();
	if (written != (ssize_t) n * BLCKSZ)
	{
		if (errno == 0)
			errno = ENOSPC;		/* a short write of a file says so */
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not write blocks %u..%u in file \"%s\": %m", from, from + n - 1, path),
				 errhint("Check free disk space.")));
	}
	request_sync(locator, from / RELSEG_SIZE, fd, path);
	pg_flush_data(fd, (off_t) (from % RELSEG_SIZE) * BLCKSZ, (off_t) n * BLCKSZ);
	CloseTransientFile(fd);
	pfree(path);
}

/* Before the buffers become clean: a checkpoint that finds them clean must find the request. */
static void
request_sync(RelFileLocator locator, BlockNumber segno, int fd, const char *path)
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
				(errcode_for_file_access(), errmsg("could not fsync file \"%s\": %m", path)));
}

#endif							/* PT_NEEDS_WRITEV */

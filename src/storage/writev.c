/*-------------------------------------------------------------------------
 *
 * writev.c
 *	  Writes many blocks of a relation in one call, on servers that cannot (15
 *	  and 16; smgrwritev from 17 on).
 *
 * Siblings: extent_write.c, which needs it; reserve.c, for the same reason here.
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

static void request_sync(RelFileLocator locator, BlockNumber segno, int fd, const char *path);

/*
 * Like smgrwritev of the main fork: n blocks from "from" on, all in one segment file, at most
 * PG_IOV_MAX of them.  The disk begins at once (see pt_smgr_writev), the next checkpoint will sync them.  Call in a transaction, which closes
 * the file after an error.
 */
void
pt_writev(RelFileLocator locator, BlockNumber from, const void **pages, int n)
{
	BlockNumber segno = from / RELSEG_SIZE;
	char	   *path = relpathperm(locator, MAIN_FORKNUM);
	struct iovec iov[PG_IOV_MAX];
	ssize_t		written;
	int			fd;

	Assert(n > 0 && n <= PG_IOV_MAX);
	Assert(from % RELSEG_SIZE + n <= RELSEG_SIZE);
	if (segno > 0)
		path = psprintf("%s.%u", path, segno);
	fd = OpenTransientFile(path, O_RDWR | PG_BINARY);
	if (fd < 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", path)));
	for (int i = 0; i < n; i++)
	{
		iov[i].iov_base = unconstify(void *, pages[i]);
		iov[i].iov_len = BLCKSZ;
	}
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
	request_sync(locator, segno, fd, path);
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

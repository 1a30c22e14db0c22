/*-------------------------------------------------------------------------
 *
 * reserve.c
 *	  Makes a file longer, and reserves the disk space for it.
 *
 * The server can do it since 16 (smgrzeroextend).  Before, smgrextend leaves a
 * hole before the block it writes.  If the disk fills up, the checkpointer
 * would be the one to find out, long after the commit.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>

#include "storage/fd.h"

#include "io/internal.h"

#ifdef PT_NEEDS_RESERVE

static void reserve_in_segment(RelFileLocator locator, BlockNumber from, BlockNumber n);

/* Reserves space for n blocks, all in one segment file. */
static void
reserve_in_segment(RelFileLocator locator, BlockNumber from, BlockNumber n)
{
	BlockNumber segno = from / RELSEG_SIZE;
	char	   *segment = pt_segment_path(locator, segno);
	int			fd;
	int			rc;

	Assert(n > 0 && from % RELSEG_SIZE + n <= RELSEG_SIZE);
	/* md.c makes the next segment when it writes there, which is after us */
	fd = OpenTransientFile(segment, O_RDWR | PG_BINARY | (segno > 0 ? O_CREAT : 0));
	if (fd < 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", segment)));
	rc = posix_fallocate(fd, (off_t) (from % RELSEG_SIZE) * BLCKSZ, (off_t) n * BLCKSZ);
	CloseTransientFile(fd);
	if (rc != 0 && rc != EINVAL && rc != EOPNOTSUPP)
	{
		errno = rc;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not extend file \"%s\": %m", segment),
				 errhint("Check free disk space.")));
	}
	pfree(segment);
}

/*
 * Adds n zeroed blocks to the main fork of a permanent relation, from block
 * "from" on, which is where its file ends now.  ERROR when the disk is full.
 * A file system that cannot reserve space is left alone.
 *
 * The last block is written only when the space is reserved.  So a caller that
 * tries again after the disk was full finds no file longer than its space.
 */
void
pt_reserve(SMgrRelation reln, BlockNumber from, BlockNumber n)
{
	PGAlignedBlock zero;
	BlockNumber end = from + n;

	Assert(n > 0);
	memset(&zero, 0, sizeof(zero));
	if (n > 1)
	{
		for (BlockNumber at = from; at < end;)
		{
			BlockNumber count = Min(end - at, RELSEG_SIZE - at % RELSEG_SIZE);

			reserve_in_segment(pt_smgr_locator(reln), at, count);
			at += count;
		}
	}
	smgrextend(reln, MAIN_FORKNUM, end - 1, zero.data, false);
}

#else

void
pt_reserve(SMgrRelation reln, BlockNumber from, BlockNumber n)
{
	Assert(n > 0);
	smgrzeroextend(reln, MAIN_FORKNUM, from, (int) n, false);
}

#endif							/* PT_NEEDS_RESERVE */

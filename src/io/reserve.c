/*-------------------------------------------------------------------------
 *
 * reserve.c
 *	  Reserves the disk space of an extent, on servers that cannot do it (15).
 *
 * smgrextend leaves a hole before the block it writes.  If the disk fills up,
 * the checkpointer would be the one to find out, long after the commit.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>

#include "common/relpath.h"
#include "storage/fd.h"

#include "compat.h"

#ifdef PT_NEEDS_RESERVE

/*
 * Allocates space for n blocks from "from" on, which may lie in two segment
 * files.  ERROR when the disk is full; file systems that cannot are left alone.
 */
void
pt_reserve_space(RelFileLocator locator, BlockNumber from, BlockNumber n)
{
	while (n > 0)
	{
		BlockNumber segno = from / RELSEG_SIZE;
		BlockNumber count = Min(n, RELSEG_SIZE - from % RELSEG_SIZE);
		char	   *segment = pt_segment_path(locator, segno);
		int			fd;
		int			rc;

		/* md.c makes the next segment when it writes there, which is after us */
		fd = OpenTransientFile(segment, O_RDWR | PG_BINARY | (segno > 0 ? O_CREAT : 0));
		if (fd < 0)
			ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", segment)));
		rc = posix_fallocate(fd, (off_t) (from % RELSEG_SIZE) * BLCKSZ, (off_t) count * BLCKSZ);
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
		from += count;
		n -= count;
	}
}

#endif							/* PT_NEEDS_RESERVE */

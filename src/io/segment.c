/*-------------------------------------------------------------------------
 *
 * segment.c
 *	  Segment files of relations that we open ourselves.
 *
 * The server keeps its own files to itself, so whoever calls the system with a
 * file descriptor gets it here.  The last few stay open, as the next call is
 * mostly about one of them.  When a relation is dropped the server empties the
 * file before it removes it, so what we still hold takes no space.  That the
 * file has been removed shows in its count of links, and then the next one of
 * that name is opened.
 *
 * Siblings: iovec.c and at_hand.c, which need it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"

#include "io/internal.h"

#define SEGMENTS_MAX	8

static PtSegment segments[SEGMENTS_MAX];
static int	next_victim;

static bool is_open_at(const PtSegment *segment, const RelFileLocator *locator, BlockNumber segno);
static void close_segment(PtSegment *segment);

/* Name of a segment file of the main fork, palloc'd. */
char *
pt_segment_path(RelFileLocator locator, BlockNumber segno)
{
	char	   *path = pt_file_path(locator);

	return segno > 0 ? psprintf("%s.%u", path, segno) : path;
}

static void
close_segment(PtSegment *segment)
{
	if (!segment->open)
		return;
	close(segment->fd);
	ReleaseExternalFD();
	segment->open = false;
}

/* Is it this file, and still the one of that name? */
static bool
is_open_at(const PtSegment *segment, const RelFileLocator *locator, BlockNumber segno)
{
	struct stat st;

	return segment->open && segment->segno == segno && RelFileLocatorEquals(segment->locator, *locator) &&
		fstat(segment->fd, &st) == 0 && st.st_nlink > 0;
}

/*
 * The segment file of a block, for reading and writing.  It stays ours: good
 * until the next call.  ERROR when it cannot be opened.
 */
PtSegment *
pt_segment_open(const RelFileLocator *locator, BlockNumber block)
{
	BlockNumber segno = block / RELSEG_SIZE;
	PtSegment  *segment;
	char	   *path;

	for (int i = 0; i < SEGMENTS_MAX; i++)
	{
		if (is_open_at(&segments[i], locator, segno))
			return &segments[i];
	}
	segment = &segments[next_victim];
	next_victim = (next_victim + 1) % SEGMENTS_MAX;
	close_segment(segment);
	path = pt_segment_path(*locator, segno);
	segment->fd = BasicOpenFile(path, O_RDWR | PG_BINARY);
	if (segment->fd < 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", path)));
	ReserveExternalFD();
	segment->open = true;
	segment->locator = *locator;
	segment->segno = segno;
	segment->must_wait = false;
	pfree(path);
	Assert(segment->fd >= 0);
	return segment;
}

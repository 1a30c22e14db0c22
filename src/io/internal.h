/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What only the files of this room share.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_IO_INTERNAL_H
#define PT_IO_INTERNAL_H

#include "io/io.h"

/* iovec.c, on servers that need it */
extern char *pt_segment_path(RelFileLocator locator, BlockNumber segno);

#endif							/* PT_IO_INTERNAL_H */

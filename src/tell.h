/*-------------------------------------------------------------------------
 *
 * tell.h
 *	  Lines in the server's log, a bounded number in a second.
 *
 * For what clients can cause as often as they like.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TELL_H
#define PT_TELL_H

#include "postgres.h"

#define PT_TELL_PER_SECOND	20

/* One per kind of line and process; zeroed before its first use. */
typedef struct PtTold
{
	int64		second;
	int			told;
	int			untold;
} PtTold;

extern bool pt_may_tell(PtTold *told, int *untold);

#endif							/* PT_TELL_H */

/*-------------------------------------------------------------------------
 *
 * tell.c
 *	  Lines in the server's log, a bounded number in a second.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "tell.h"

/*
 * May another line of this kind be written?  *untold: so many were not in the
 * second that had some last; the caller says so first.
 */
bool
pt_may_tell(PtTold *told, int *untold)
{
	int64		second = GetCurrentTimestamp() / USECS_PER_SEC;

	*untold = 0;
	if (second != told->second)
	{
		*untold = told->untold;
		told->second = second;
		told->told = told->untold = 0;
	}
	if (told->told < PT_TELL_PER_SECOND)
	{
		told->told++;
		return true;
	}
	told->untold++;
	return false;
}

/*-------------------------------------------------------------------------
 *
 * stop_point.c
 *	  Where the tests' function for stop points is looked for.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "stop_point.h"

/* The server's variable, which lives as long as the process. */
PtStopPointHook *pt_stop_point_hook;

/* From _PG_init; a module that is loaded after us fills the variable. */
void
pt_stop_points_register(void)
{
	pt_stop_point_hook = (PtStopPointHook *) find_rendezvous_variable(PT_STOP_POINTS);
}

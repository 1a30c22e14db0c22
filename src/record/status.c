/*-------------------------------------------------------------------------
 *
 * status.c
 *	  The words for each status of the log room.
 *
 *	  Siblings: batch.c, records.c, builder.c, compress.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/status.h"

/* Never NULL, not even for a number that is no status. */
const char *
pt_log_status_text(PtLogStatus status)
{
	switch (status)
	{
#define PT_LOG_STATUS_CASE(name, text) case name: return text;
			PT_LOG_STATUSES(PT_LOG_STATUS_CASE)
#undef PT_LOG_STATUS_CASE
	}
	return "unknown status";
}

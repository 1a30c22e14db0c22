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
pt_batch_status_text(PtBatchStatus status)
{
	switch (status)
	{
#define PT_BATCH_STATUS_CASE(name, text) case name: return text;
			PT_BATCH_STATUSES(PT_BATCH_STATUS_CASE)
#undef PT_BATCH_STATUS_CASE
	}
	return "unknown status";
}

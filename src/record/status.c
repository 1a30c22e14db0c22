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

/*
 * Returns the text of a status, for error messages; never NULL.
 */
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

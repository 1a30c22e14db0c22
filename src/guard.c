/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  Work whose error undoes that work alone, or does not undo it at all.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "guard.h"

/*
 * ERROR 25001 where a later error, or a rollback, could undo everything but
 * what the function does to a replication slot.
 */
void
pt_refuse_in_block(const char *function)
{
	PreventCommandIfReadOnly(function);
	if (IsInTransactionBlock(true))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", function),
				 errdetail("It changes a replication slot of the other server, which a rollback cannot undo.")));
}

/*
 * Does a job in a subtransaction, in the current memory context.  Returns NULL
 * when it is done.  An ERROR rolls back what the job has done, and is
 * returned, in the current memory context: the transaction goes on.
 */
ErrorData *
pt_guarded(void (*job) (void *arg), void *arg)
{
	MemoryContext mcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	Assert(IsTransactionState());
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(mcxt);
	PG_TRY();
	{
		job(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(mcxt);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(mcxt);
	CurrentResourceOwner = owner;
	return error;
}

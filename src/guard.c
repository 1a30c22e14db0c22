/*-------------------------------------------------------------------------
 *
 * guard.c
 *	  Work whose error undoes that work alone.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "guard.h"

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

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
#include "executor/execdesc.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"

#include "guard.h"

/*
 * Returns whether a query does nothing but call this function: SELECT f(...),
 * or SELECT * FROM f(...).
 */
static bool
is_only_call(Plan * plan, Oid function)
{
	TargetEntry *column = plan->targetlist == NIL ? NULL : linitial_node(TargetEntry, plan->targetlist);
	Node	   *call = column ? (Node *) column->expr : NULL;

	if (column == NULL || list_length(plan->targetlist) != 1 || plan->qual != NIL || plan->lefttree != NULL)
		return false;
	if (IsA(plan, FunctionScan) && IsA(call, Var) && list_length(((FunctionScan *) plan)->functions) == 1)
		call = linitial_node(RangeTblFunction, ((FunctionScan *) plan)->functions)->funcexpr;
	else if (!IsA(plan, Result) || ((Result *) plan)->resconstantqual != NULL)
		return false;
	return IsA(call, FuncExpr) && ((FuncExpr *) call)->funcid == function;
}

/*
 * Returns whether a function is called by a query of the client's that does
 * nothing else.  The client's portal has no name, those of cursors and of
 * EXECUTE have one; a query within a function has no portal, or another
 * memory context than the one that runs in it.
 */
static bool
is_statement(FmgrInfo * function)
{
	QueryDesc  *query = ActivePortal ? ActivePortal->queryDesc : NULL;

	return query != NULL && ActivePortal->name[0] == '\0' && query->estate != NULL &&
		function->fn_mcxt == query->estate->es_query_cxt &&
		is_only_call(query->plannedstmt->planTree, function->fn_oid);
}

/*
 * ERROR 25001 where a later error, or a rollback, could undo everything but
 * what the function does to a replication slot.  The server's own test for
 * this does not know of functions: it is told by whoever calls it.
 */
void
pt_refuse_in_block(FunctionCallInfo fcinfo, const char *function)
{
	PreventCommandIfReadOnly(function);
	if (IsInTransactionBlock(true))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", function),
				 errdetail("It changes a replication slot of the other server, which a rollback cannot undo.")));
	if (!is_statement(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s must be a statement of its own", function),
				 errdetail("It changes a replication slot of the other server, which a later error in a function or query cannot undo."),
				 errhint("Call it by a SELECT that does nothing else, not in a function, DO or a cursor.")));
	/* the transaction ends with this statement, in a pipeline, too */
	PreventInTransactionBlock(true, function);
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

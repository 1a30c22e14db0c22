/*-------------------------------------------------------------------------
 *
 * bitmap.c
 *	  Bitmap scans of logs, as far as servers up to 17 need a word before.
 *
 * There the executor reads ahead what a bitmap names: blocks of the file, by
 * the block numbers of TIDs.  Those of a log are ordinals, which are nowhere
 * in the file, and asking for a block beyond its end may be an error.  So
 * reading ahead is switched off in each plan that begins, for scans of logs.
 *
 * One way to run a plan does not come by here: when an UPDATE, DELETE, MERGE
 * or a row lock looks again at a row that somebody has changed, subqueries are
 * begun anew within the server (EvalPlanQual).  For such commands logs are
 * planned without bitmap scans.
 *
 * From 18 on it is the table AM that reads ahead, and there is nothing to do.
 *
 * Siblings: scan.c (the scan).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"

#include "am/internal.h"

#ifdef PT_BITMAP_BY_BLOCK

static ExecutorStart_hook_type prev_executor_start;
static get_relation_info_hook_type prev_get_relation_info;

/*
 * Switches reading ahead off in the bitmap scans of logs below a node.
 */
static bool
do_not_read_ahead(PlanState *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, BitmapHeapScanState))
	{
		BitmapHeapScanState *scan = (BitmapHeapScanState *) node;

		Assert(scan->ss.ss_currentRelation != NULL);
		if (pt_rel_is_log(scan->ss.ss_currentRelation))
			scan->prefetch_maximum = 0;
	}
	return planstate_tree_walker(node, do_not_read_ahead, context);
}

/*
 * The hook: a plan begins.
 */
static void
executor_start(QueryDesc * query, int eflags)
{
	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	(void) do_not_read_ahead(query->planstate, NULL);
}

/*
 * Can a query, or one that it is part of, look again at rows?
 */
static bool
looks_again(const PlannerInfo *root)
{
	for (; root != NULL; root = root->parent_root)
	{
		CmdType		command = root->parse->commandType;

		if (command == CMD_UPDATE || command == CMD_DELETE || command == CMD_MERGE || root->parse->rowMarks != NIL)
			return true;
	}
	return false;
}

/*
 * The hook: the planner has learnt of a table.
 */
static void
limit_indexes(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	ListCell   *lc;
	Relation	table;
	bool		is_log;

	if (prev_get_relation_info)
		prev_get_relation_info(root, relid, inhparent, rel);
	if (rel->indexlist == NIL || !looks_again(root))
		return;
	table = table_open(relid, NoLock);	/* the planner has it */
	is_log = pt_rel_is_log(table);
	table_close(table, NoLock);
	foreach(lc, rel->indexlist)
	{
		if (is_log)
			((IndexOptInfo *) lfirst(lc))->amhasgetbitmap = false;
	}
}

/*
 * Installs the hooks.
 */
void
pt_bitmap_register(void)
{
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	prev_get_relation_info = get_relation_info_hook;
	get_relation_info_hook = limit_indexes;
}

#else

void
pt_bitmap_register(void)
{
}

#endif

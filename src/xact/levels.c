/*-------------------------------------------------------------------------
 *
 * levels.c
 *	  A stack of things that a transaction holds, by nesting level.
 *
 * A subtransaction pushes behind everything that its parents hold.  When it
 * aborts, what it holds is cut off; when it commits, its parent holds it.
 *
 * Sibling: xact.c does that for the stack of each kind.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "xact/levels.h"

static void grow(PtLevelStack *stack);

static int
item_level(const PtLevelStack *stack, int i)
{
	return ((const PtLevelItem *) pt_levels_at(stack, i))->level;
}

static void
grow(PtLevelStack *stack)
{
	int			cap = Max(16, stack->cap * 2);

	if (stack->items == NULL)
		stack->items = MemoryContextAlloc(TopTransactionContext, cap * stack->item_size);
	else
		stack->items = repalloc(stack->items, cap * stack->item_size);
	stack->cap = cap;
}

/*
 * Adds an item of the current (sub)transaction, zeroed but for its level.  The
 * pointer is valid until the next push.
 */
void *
pt_levels_push(PtLevelStack *stack)
{
	int			level = GetCurrentTransactionNestLevel();
	PtLevelItem *item;

	Assert(stack->item_size >= sizeof(PtLevelItem) && level > 0);
	Assert(stack->n == 0 || item_level(stack, stack->n - 1) <= level);
	if (stack->n == stack->cap)
		grow(stack);
	item = pt_levels_at(stack, stack->n++);
	memset(item, 0, stack->item_size);
	item->level = level;
	return item;
}

/* The subtransaction at this level has committed: its parent has its items. */
void
pt_levels_sub_commit(PtLevelStack *stack, int level)
{
	Assert(level > 1);
	for (int i = stack->n - 1; i >= 0 && item_level(stack, i) >= level; i--)
		((PtLevelItem *) pt_levels_at(stack, i))->level = level - 1;
}

/* The subtransaction at this level has aborted: it holds nothing any more. */
void
pt_levels_sub_abort(PtLevelStack *stack, int level)
{
	Assert(level > 1);
	while (stack->n > 0 && item_level(stack, stack->n - 1) >= level)
		stack->n--;
}

/* The transaction ends, and the server frees the memory. */
void
pt_levels_forget(PtLevelStack *stack)
{
	stack->items = NULL;
	stack->n = stack->cap = 0;
}

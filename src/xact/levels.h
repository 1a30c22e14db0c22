/*-------------------------------------------------------------------------
 *
 * levels.h
 *	  A stack of things that a transaction holds, by nesting level.
 *
 * An item is a struct of the caller whose first member is PtLevelItem.  The
 * stack is in TopTransactionContext and lasts as long as the transaction.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_LEVELS_H
#define PT_XACT_LEVELS_H

/* What every item begins with. */
typedef struct PtLevelItem
{
	int			level;			/* nesting level that holds the item */
} PtLevelItem;

typedef struct PtLevelStack
{
	Size		item_size;
	char	   *items;			/* levels never decrease along them */
	int			n;
	int			cap;
} PtLevelStack;

#define PT_LEVEL_STACK(type)	{.item_size = sizeof(type)}

extern void *pt_levels_push(PtLevelStack *stack);
extern void pt_levels_sub_commit(PtLevelStack *stack, int level);
extern void pt_levels_sub_abort(PtLevelStack *stack, int level);
extern void pt_levels_forget(PtLevelStack *stack);

/* Item number i; a pointer to it is valid until the next push. */
static inline void *
pt_levels_at(const PtLevelStack *stack, int i)
{
	Assert(i >= 0 && i < stack->n);
	return stack->items + i * stack->item_size;
}

#endif							/* PT_XACT_LEVELS_H */

/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files that compare indexes with their log share.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_INDEX_INTERNAL_H
#define PT_INDEX_INTERNAL_H

#include "compat.h"

#include "access/itup.h"
#include "access/relscan.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

#include "index/index.h"

/*
 * An entry of an index, as it is compared: the TID and a hash of what else the
 * entry has.  That is one for each row and, in a GIN index, each of its keys.
 */
typedef struct PtEntry
{
	ItemPointerData tid;
	uint64		hash;
} PtEntry;

/* Gets entries, one by one.  May read the log; no page is locked meanwhile. */
typedef void (*PtEntrySink) (void *arg, const PtEntry *entry);

struct PtEntryKind;

/* An index that is being compared. */
typedef struct PtIndexCheck
{
	Relation	rel;
	Relation	index;
	const struct PtEntryKind *kind;
	Snapshot	snapshot;
	void	   *state;			/* the kind's own */
	MemoryContext mcxt;			/* of one entry or row, reset after each */
	MemoryContext row_mcxt;		/* of a row's entries likewise */
	/* how the entries of a row are made */
	struct IndexInfo *info;
	EState	   *estate;
	ExprState  *predicate;		/* NULL: the index is not partial */
	TupleTableSlot *slot;
} PtIndexCheck;

/* What is known of an access method. */
typedef struct PtEntryKind
{
	/* once, before the others */
	void		(*begin) (PtIndexCheck *check);
	/* all entries that the index has, in any order, perhaps some twice */
	void		(*walk) (PtIndexCheck *check, PtEntrySink sink, void *arg);
	/* the entries that a row with these values must have */
	void		(*form) (PtIndexCheck *check, ItemPointer tid, Datum *values, bool *isnull, PtEntrySink sink, void *arg);
} PtEntryKind;

/* entries.c */
extern const PtEntryKind *pt_entry_kind(Relation index);
extern uint64 pt_hash_value(uint64 seed, Form_pg_attribute att, Datum value, const char *end);
pg_noreturn extern void pt_index_damaged(PtIndexCheck *check, BlockNumber block, const char *what);
extern void pt_index_copy_page(PtIndexCheck *check, Buffer buf, Size special, char *to);
extern IndexTuple pt_index_item(PtIndexCheck *check, Page page, BlockNumber block, OffsetNumber n, Size min);

/* entries_gin.c */
extern const PtEntryKind pt_entries_gin;

#endif							/* PT_INDEX_INTERNAL_H */

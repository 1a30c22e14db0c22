/*-------------------------------------------------------------------------
 *
 * hooks.h
 *	  Where rooms that the engine does not know plug themselves in.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_HOOKS_H
#define PT_XACT_HOOKS_H

#include "xact/xact.h"

/*
 * Rows have just been appended to rel (open, RowExclusiveLock) by this
 * transaction, at these offsets and ordinals: enter them into its secondary indexes.
 * Called only when there are indexes that store entries.  Offsets and ordinals are consecutive within a call.
 */
typedef void (*PtIndexRowsHook) (Relation rel, const PtRecord *rows, const int64 *offsets,
								 const int64 *ordinals, int n);
extern PtIndexRowsHook pt_index_rows_hook;

/* Stores a row in a slot of the table, with memory that the slot owns. */
typedef void (*PtStoreRowHook) (TupleTableSlot *slot, Relation rel, int32 partition, const PtRecord *row);
extern PtStoreRowHook pt_store_row_hook;

#endif							/* PT_XACT_HOOKS_H */

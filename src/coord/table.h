/*-------------------------------------------------------------------------
 *
 * table.h
 *	  Hash tables by bytes, whose nodes are part of what they hold.
 *
 * A node's key points into its owner and lives as long as it is in a table.
 * The hash is seeded, as group and member ids are made by clients.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_TABLE_H
#define COORD_TABLE_H

#include "coord/types.h"

typedef struct CoordNode
{
	struct CoordNode *next;
	CoordBytes	key;
	uint32		hash;
} CoordNode;

/* Zeroed memory is an empty table. */
typedef struct CoordTable
{
	CoordNode **buckets;
	uint32		nbuckets;		/* power of 2, or 0 */
	uint32		n;
} CoordTable;

struct CoordGroups;

extern CoordNode *coord_table_find(const struct CoordGroups *groups, const CoordTable *table, CoordBytes key);

/* node->key must be set, and not be in the table. */
extern void coord_table_add(struct CoordGroups *groups, CoordTable *table, CoordNode *node);

/* The node must be in the table. */
extern void coord_table_remove(CoordTable *table, CoordNode *node);

/* Frees the table's own memory; it must be empty. */
extern void coord_table_release(struct CoordGroups *groups, CoordTable *table);

#endif							/* COORD_TABLE_H */

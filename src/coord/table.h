/*-------------------------------------------------------------------------
 *
 * table.h
 *	  Hash tables with intrusive nodes and bytes as keys.
 *
 * A node is part of the structure that is in the table; its key points into
 * that structure.  The hash is seeded, because clients choose group and member
 * ids, and could choose ids that collide.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_TABLE_H
#define COORD_TABLE_H

#include "coord/types.h"

/* Part of what is in a table. */
typedef struct CoordNode
{
	struct CoordNode *next;		/* in the same bucket */
	CoordBytes	key;			/* points into the owner of the node */
	uint32		hash;
} CoordNode;

/* A hash table.  Zeroed memory is an empty one. */
typedef struct CoordTable
{
	CoordNode **buckets;
	uint32		nbuckets;		/* power of 2, or 0 */
	uint32		n;
} CoordTable;

struct CoordGroups;

extern CoordNode *coord_table_find(const struct CoordGroups *groups, const CoordTable *table, CoordBytes key);

extern void coord_table_add(struct CoordGroups *groups, CoordTable *table, CoordNode *node);

extern void coord_table_remove(CoordTable *table, CoordNode *node);

/* Frees the memory of an empty table. */
extern void coord_table_release(struct CoordGroups *groups, CoordTable *table);

#endif							/* COORD_TABLE_H */

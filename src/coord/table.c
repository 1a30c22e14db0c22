/*-------------------------------------------------------------------------
 *
 * table.c
 *	  Hash tables with intrusive nodes and bytes as keys.
 *
 * Nodes of a bucket are chained.  The number of buckets is a power of two; it
 * is doubled when there are as many nodes.
 *
 * Siblings: table.h, memory.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "common/hashfn.h"
#include "coord/internal.h"

#define FIRST_BUCKETS 8

/*
 * Hashes a key with the seed of the coordinator.
 */
static uint32
table_hash(const CoordGroups *groups, CoordBytes key)
{
	return (uint32) hash_bytes_extended((const unsigned char *) key.data, Max(key.len, 0), groups->hash_seed);
}

/*
 * Finds a node by its key; NULL if there is none, or if the key is null.
 */
CoordNode *
coord_table_find(const CoordGroups *groups, const CoordTable *table, CoordBytes key)
{
	uint32		hash;

	if (table->n == 0 || key.len < 0)
		return NULL;
	hash = table_hash(groups, key);
	for (CoordNode *node = table->buckets[hash & (table->nbuckets - 1)]; node != NULL; node = node->next)
	{
		if (node->hash == hash && pt_string_equal(node->key, key))
			return node;
	}
	return NULL;
}

/*
 * Doubles the number of buckets.  The order within a chain does not matter.
 */
static void
table_grow(CoordGroups *groups, CoordTable *table)
{
	uint32		nbuckets = table->nbuckets == 0 ? FIRST_BUCKETS : table->nbuckets * 2;
	CoordNode **buckets = coord_alloc(groups, nbuckets * sizeof(CoordNode *));

	for (uint32 i = 0; i < table->nbuckets; i++)
	{
		CoordNode  *next;

		for (CoordNode *node = table->buckets[i]; node != NULL; node = next)
		{
			CoordNode **bucket = &buckets[node->hash & (nbuckets - 1)];

			next = node->next;
			node->next = *bucket;
			*bucket = node;
		}
	}
	coord_free(groups, table->buckets);
	table->buckets = buckets;
	table->nbuckets = nbuckets;
}

/*
 * Adds a node.  The caller has set node->key; no node with that key may be in
 * the table.  May allocate.
 */
void
coord_table_add(CoordGroups *groups, CoordTable *table, CoordNode *node)
{
	CoordNode **bucket;

	Assert(node->key.len >= 0);
	Assert(coord_table_find(groups, table, node->key) == NULL);
	if (table->n >= table->nbuckets)
		table_grow(groups, table);
	node->hash = table_hash(groups, node->key);
	bucket = &table->buckets[node->hash & (table->nbuckets - 1)];
	node->next = *bucket;
	*bucket = node;
	table->n++;
}

/*
 * Removes a node, which must be in the table.  The buckets stay as they are.
 */
void
coord_table_remove(CoordTable *table, CoordNode *node)
{
	CoordNode **at;

	Assert(table->n > 0);
	at = &table->buckets[node->hash & (table->nbuckets - 1)];
	while (*at != node)
	{
		Assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = node->next;
	node->next = NULL;
	table->n--;
}

/*
 * Frees the buckets of an empty table, which can be used again.
 */
void
coord_table_release(CoordGroups *groups, CoordTable *table)
{
	Assert(table->n == 0);
	coord_free(groups, table->buckets);
	memset(table, 0, sizeof(*table));
}

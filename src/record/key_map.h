/*-------------------------------------------------------------------------
 *
 * key_map.h
 *	  Which offset is the last one of a key: the memory of a compaction.
 *
 * A table of fixed size that holds a 16-byte hash of each key instead of the
 * key, as Kafka's cleaner does.  Two keys with one hash would lose a record,
 * so the hash is a keyed one (SipHash-2-4 with 128 bits): who produces does
 * not know the secret, and by chance it does not happen.
 *
 * Siblings: filter.h, which asks it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_KEY_MAP_H
#define PT_RECORD_KEY_MAP_H

#include "record/status.h"

/* A key and the offset of its last record. */
typedef struct PtKeySlot
{
	uint64		hash[2];
	int64		offset;			/* -1: the slot is free */
} PtKeySlot;

typedef struct PtKeyMap
{
	PtKeySlot  *slots;
	uint64		nslots;
	uint64		used;
	uint64		used_max;		/* beyond it the map is full */
	uint64		secret[2];
	int64		latest_offset;	/* all records up to here have been looked at;
								 * -1: none */
} PtKeyMap;

extern bool pt_key_map_init(PtKeyMap *map, size_t bytes_max, uint64 keys_max, const uint64 secret[2]);
extern bool pt_key_map_put(PtKeyMap *map, const char *key, size_t len, int64 offset);
extern int64 pt_key_map_get(const PtKeyMap *map, const char *key, size_t len);
extern void pt_key_map_free(PtKeyMap *map);

extern void pt_key_hash(const uint64 secret[2], const char *key, size_t len, uint64 hash[2]);

#endif							/* PT_RECORD_KEY_MAP_H */

/*-------------------------------------------------------------------------
 *
 * key_map.c
 *	  Which offset is the last one of a key: the memory of a compaction.
 *
 *	  Open addressing with linear probing, at most four fifths full.  Nothing
 *	  is ever removed.  The place of a key is the upper half of its hash times
 *	  the number of slots, so that any number of slots will do.
 *
 *	  The hash is SipHash-2-4 with an output of 128 bits, by Aumasson and
 *	  Bernstein, "SipHash: a fast short-input PRF", and its reference
 *	  vectors.  It takes a tenth of the time of MD5 for a short key.
 *
 *	  Siblings: filter.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/key_map.h"

#include "record/mem.h"

#define KEY_SLOTS_MIN	16

#define ROTL(x, n)	(((x) << (n)) | ((x) >> (64 - (n))))

/*
 * One round of SipHash over its four words.
 */
static inline void
sip_round(uint64 v[4])
{
	v[0] += v[1];
	v[1] = ROTL(v[1], 13) ^ v[0];
	v[0] = ROTL(v[0], 32);
	v[2] += v[3];
	v[3] = ROTL(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTL(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTL(v[1], 17) ^ v[2];
	v[2] = ROTL(v[2], 32);
}

/*
 * Takes in one word of the message.
 */
static inline void
sip_word(uint64 v[4], uint64 word)
{
	v[3] ^= word;
	sip_round(v);
	sip_round(v);
	v[0] ^= word;
}

/*
 * Returns up to 8 bytes as a number, the first byte lowest.
 */
static inline uint64
sip_load(const char *p, size_t n)
{
	uint64		word = 0;

	Assert(n <= 8);
	for (size_t i = 0; i < n; i++)
		word |= (uint64) (unsigned char) p[i] << (8 * i);
	return word;
}

/*
 * Half of the result, after what has been mixed in by the caller.
 */
static inline uint64
sip_finish(uint64 v[4])
{
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/*
 * The hash of a key; the bytes of the reference, as two numbers of which each
 * has its lowest byte first.
 */
void
pt_key_hash(const uint64 secret[2], const char *key, size_t len, uint64 hash[2])
{
	uint64		v[4] = {
		secret[0] ^ UINT64CONST(0x736f6d6570736575),
		secret[1] ^ UINT64CONST(0x646f72616e646f6d) ^ 0xee,
		secret[0] ^ UINT64CONST(0x6c7967656e657261),
		secret[1] ^ UINT64CONST(0x7465646279746573)
	};
	size_t		i;

	for (i = 0; i + 8 <= len; i += 8)
		sip_word(v, sip_load(key + i, 8));
	sip_word(v, sip_load(key + i, len - i) | (uint64) (len & 0xFF) << 56);
	v[2] ^= 0xee;
	hash[0] = sip_finish(v);
	v[1] ^= 0xdd;
	hash[1] = sip_finish(v);
}

/*
 * The upper 64 of the 128 bits of hash * n: a place below n < 2^32.
 */
static inline uint64
scale(uint64 hash, uint64 n)
{
	return ((hash >> 32) * n + (((hash & PG_UINT32_MAX) * n) >> 32)) >> 32;
}

/*
 * The slot that has the key, or the free one where it belongs.
 */
static inline PtKeySlot *
find_slot(const PtKeyMap *map, const uint64 hash[2])
{
	uint64		i = scale(hash[0], map->nslots);

	Assert(i < map->nslots && map->used < map->nslots);
	while (map->slots[i].offset >= 0 &&
		   (map->slots[i].hash[0] != hash[0] || map->slots[i].hash[1] != hash[1]))
		i = i + 1 == map->nslots ? 0 : i + 1;
	return &map->slots[i];
}

/*
 * Makes an empty map that takes no more than bytes_max, and no more than
 * keys_max keys need; it has room for a few in any case.  "secret" is random.
 * Memory is of the current context.  Returns false if there is none.
 */
bool
pt_key_map_init(PtKeyMap *map, size_t bytes_max, uint64 keys_max, const uint64 secret[2])
{
	uint64		nslots = Min(bytes_max, PT_MEM_MAX) / sizeof(PtKeySlot);

	if (keys_max < nslots / 5 * 4)
		nslots = keys_max + keys_max / 4 + 1;
	nslots = Min(Max(nslots, KEY_SLOTS_MIN), PG_UINT32_MAX);
	map->slots = (PtKeySlot *) pt_mem_try_alloc(NULL, nslots * sizeof(PtKeySlot));
	map->nslots = nslots;
	map->used = 0;
	map->used_max = nslots * 4 / 5;
	map->secret[0] = secret[0];
	map->secret[1] = secret[1];
	map->latest_offset = -1;
	if (map->slots == NULL)
		return false;
	for (uint64 i = 0; i < nslots; i++)
		map->slots[i].offset = -1;
	Assert(map->used_max > 0 && map->used_max < map->nslots);
	return true;
}

/*
 * Says that a key's last record so far is at "offset".  Returns false, and
 * changes nothing, if it is a new key and the map is full.
 */
bool
pt_key_map_put(PtKeyMap *map, const char *key, size_t len, int64 offset)
{
	uint64		hash[2];
	PtKeySlot  *slot;

	Assert(offset >= 0);
	pt_key_hash(map->secret, key, len, hash);
	slot = find_slot(map, hash);
	if (slot->offset < 0)
	{
		if (map->used >= map->used_max)
			return false;
		slot->hash[0] = hash[0];
		slot->hash[1] = hash[1];
		map->used++;
	}
	slot->offset = Max(slot->offset, offset);
	return true;
}

/*
 * Returns the offset of a key's last record, -1 if the map has not seen it.
 */
int64
pt_key_map_get(const PtKeyMap *map, const char *key, size_t len)
{
	uint64		hash[2];

	pt_key_hash(map->secret, key, len, hash);
	return find_slot(map, hash)->offset;
}

/*
 * Frees the map's memory.
 */
void
pt_key_map_free(PtKeyMap *map)
{
	if (map->slots != NULL)
		pfree(map->slots);
	map->slots = NULL;
}

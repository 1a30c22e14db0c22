/*-------------------------------------------------------------------------
 *
 * partitioner.c
 *	  MurmurHash2 as Kafka's clients use it to place keys.
 *
 * Producers in SQL and producers in Java must choose the same partition for a
 * key.  So the seed, the byte order (little-endian) and the removal of the
 * sign are those of Kafka's Utils.murmur2() and DefaultPartitioner.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/partitioner.h"

#define MURMUR_SEED		0x9747B28C
#define MURMUR_M		0x5BD1E995
#define MURMUR_R		24

/*
 * Mixes in the bytes behind the last whole word; "len" is 0 to 3.
 */
static uint32
murmur_tail(uint32 hash, const unsigned char *p, size_t len)
{
	Assert(len < 4);

	if (len == 0)
		return hash;
	if (len == 3)
		hash ^= (uint32) p[2] << 16;
	if (len >= 2)
		hash ^= (uint32) p[1] << 8;
	hash ^= p[0];
	return hash * MURMUR_M;
}

/*
 * Returns Kafka's hash of a key.
 */
int32
pt_murmur2(const char *data, size_t len)
{
	const unsigned char *p = (const unsigned char *) data;
	uint32		hash = MURMUR_SEED ^ (uint32) len;

	for (; len >= 4; p += 4, len -= 4)
	{
		uint32		k = p[0] | (uint32) p[1] << 8 | (uint32) p[2] << 16 | (uint32) p[3] << 24;

		k *= MURMUR_M;
		k ^= k >> MURMUR_R;
		k *= MURMUR_M;
		hash = (hash * MURMUR_M) ^ k;
	}
	hash = murmur_tail(hash, p, len);

	hash ^= hash >> 13;
	hash *= MURMUR_M;
	hash ^= hash >> 15;
	return (int32) hash;
}

/*
 * Returns the partition, 0 to n - 1, of a key that is not null.
 */
int32
pt_partition_for_key(const char *key, size_t len, int32 n)
{
	Assert(n > 0);

	/*
	 * The Java client clears the sign bit; it does not take the absolute
	 * value.
	 */
	return (pt_murmur2(key, len) & PG_INT32_MAX) % n;
}

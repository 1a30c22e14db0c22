/*-------------------------------------------------------------------------
 *
 * test_key_map.c
 *	  The last offset of each key: hash, map, and what it does when it is full.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include "record/key_map.h"

static const uint64 secret[2] = {UINT64CONST(0x0706050403020100), UINT64CONST(0x0f0e0d0c0b0a0908)};

/* The reference's vectors: the message is 00 01 02 and so on. */
static void
check_hash(size_t len, const char *hex)
{
	char		message[64];
	uint64		hash[2];
	char		got[40];
	char	   *p = got;

	for (size_t i = 0; i < len; i++)
		message[i] = (char) i;
	pt_key_hash(secret, message, len, hash);
	for (int i = 0; i < 16; i++)
		p += sprintf(p, "%02x", (unsigned) (hash[i / 8] >> (8 * (i % 8)) & 0xFF));
	SAY("%zu bytes: %s", len, got);
	CHECK(strcmp(got, hex) == 0);
}

static void
test_hash(void)
{
	check_hash(0, "a3817f04ba25a8e66df67214c7550293");
	check_hash(1, "da87c1d86b99af44347659119b22fc45");
	check_hash(8, "3b62a9ba6258f5610f83e264f31497b4");
	check_hash(15, "5493e99933b0a8117e08ec0f97cfc3d9");
}

static void
test_put_get(void)
{
	PtKeyMap	map;

	CHECK(pt_key_map_init(&map, 1 << 20, 1000, secret));
	CHECK_INT(pt_key_map_get(&map, "", 0), -1);
	CHECK(pt_key_map_put(&map, "", 0, 0));
	CHECK(pt_key_map_put(&map, "a", 1, 7));
	CHECK(pt_key_map_put(&map, "a\0", 2, 8));
	CHECK_INT(pt_key_map_get(&map, "", 0), 0);
	CHECK_INT(pt_key_map_get(&map, "a", 1), 7);
	CHECK_INT(pt_key_map_get(&map, "a\0", 2), 8);
	CHECK(pt_key_map_put(&map, "a", 1, 9));
	CHECK(pt_key_map_put(&map, "a", 1, 3));
	CHECK_INT(pt_key_map_get(&map, "a", 1), 9);
	CHECK_INT(map.used, 3);
	pt_key_map_free(&map);
}

/* A full map refuses new keys, and goes on with those that it has. */
static void
test_full(void)
{
	PtKeyMap	map;
	uint64		n = 0;
	char		key[32];

	CHECK(pt_key_map_init(&map, 1000 * sizeof(PtKeySlot), PG_UINT64_MAX / 2, secret));
	CHECK_INT(map.nslots, 1000);
	do
		snprintf(key, sizeof(key), "key %llu", (unsigned long long) n);
	while (pt_key_map_put(&map, key, strlen(key), (int64) n) && ++n < 2000);
	CHECK_INT(n, 800);
	CHECK_INT(map.used, 800);
	for (uint64 i = 0; i < n; i++)
	{
		snprintf(key, sizeof(key), "key %llu", (unsigned long long) i);
		CHECK_INT(pt_key_map_get(&map, key, strlen(key)), i);
		CHECK(pt_key_map_put(&map, key, strlen(key), (int64) i + 5000));
		CHECK_INT(pt_key_map_get(&map, key, strlen(key)), i + 5000);
	}
	CHECK_INT(pt_key_map_get(&map, "key 800", 7), -1);
	pt_key_map_free(&map);
}

/* It has room for as many keys as it was made for, and takes no more memory than they need. */
static void
test_sizes(void)
{
	static const uint64 keys[] = {0, 1, 12, 13, 99, 100000};

	for (int i = 0; i < lengthof(keys); i++)
	{
		PtKeyMap	map;

		SAY("%llu keys", (unsigned long long) keys[i]);
		CHECK(pt_key_map_init(&map, (size_t) 1 << 30, keys[i], secret));
		CHECK(map.used_max >= keys[i]);
		CHECK(map.nslots <= Max(16, keys[i] + keys[i] / 4 + 1));
		for (uint64 k = 0; k < keys[i]; k++)
			CHECK(pt_key_map_put(&map, (char *) &k, sizeof(k), (int64) k));
		CHECK_INT(map.used, keys[i]);
		pt_key_map_free(&map);
		pt_key_map_free(&map);
	}
}

int
main(void)
{
	RUN(test_hash);
	RUN(test_put_get);
	RUN(test_full);
	RUN(test_sizes);
	return test_done();
}

/*-------------------------------------------------------------------------
 *
 * test_partitioner.c
 *	  Keys go where the Java client would put them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include "record/partitioner.h"

static void
test_murmur2(void)
{
	/* What the Java client's Utils.murmur2 gives. */
	static const struct
	{
		const char *key;
		int32		hash;
	}			known[] =
	{
		{"21", -973932308},
		{"foobar", -790332482},
		{"a-little-bit-long-string", -985981536},
		{"a-little-bit-longer-string", -1486304829},
		{"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
		{"abc", 479470107},
	};

	for (int i = 0; i < lengthof(known); i++)
	{
		size_t		len = strlen(known[i].key);
		char	   *key = test_copy(known[i].key, len);

		SAY("%s", known[i].key);
		CHECK_INT(pt_murmur2(key, len), known[i].hash);
		pg_free(key);
	}
}

static void
test_partition(void)
{
	/* The sign bit is dropped: (-973932308 & INT32_MAX) = 1173551340. */
	CHECK_INT(pt_partition_for_key("21", 2, 1000000), 551340);
	CHECK_INT(pt_partition_for_key("abc", 3, 10), 7);
	CHECK_INT(pt_partition_for_key("abc", 3, 1), 0);
	/* An empty key is a key. */
	CHECK_INT(pt_murmur2("", 0), 275646681);
	CHECK_INT(pt_partition_for_key("", 0, 100), 81);
}

int
main(void)
{
	RUN(test_murmur2);
	RUN(test_partition);
	return test_done();
}

/*-------------------------------------------------------------------------
 *
 * test_tally.c
 *	  Counts for workers that end and start again while others count.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include "server/tally.h"

static void
test_one_life(void)
{
	uint64		tally = pt_tally_next(0);
	uint16		life = pt_tally_life(tally);

	CHECK(life != 0);
	CHECK_INT(pt_tally_count(tally), 0);
	CHECK(pt_tally_add(tally, life, 3, &tally));
	CHECK(pt_tally_add(tally, life, -2, &tally));
	CHECK_INT(pt_tally_count(tally), 1);
	CHECK_INT(pt_tally_life(tally), life);
	CHECK(pt_tally_add(tally, life, (int64) 1 << 40, &tally));
	CHECK_INT(pt_tally_count(tally), ((int64) 1 << 40) + 1);
}

/* What was counted for a worker that has ended is not taken off the next one. */
static void
test_two_lives(void)
{
	uint64		tally = pt_tally_next(0);
	uint16		first = pt_tally_life(tally);
	uint16		second;

	CHECK(pt_tally_add(tally, first, 1, &tally));
	tally = pt_tally_next(tally);
	second = pt_tally_life(tally);
	CHECK(first != second);
	CHECK_INT(pt_tally_count(tally), 0);
	CHECK(!pt_tally_add(tally, first, -1, &tally));
	CHECK(!pt_tally_add(tally, first, 1, &tally));
	CHECK_INT(pt_tally_count(tally), 0);
	CHECK(pt_tally_add(tally, second, 1, &tally));
	CHECK_INT(pt_tally_count(tally), 1);
}

/* No life has the number of a worker that never was. */
static void
test_many_lives(void)
{
	uint64		tally = 0;

	for (int i = 0; i < 3 * 65536; i++)
	{
		tally = pt_tally_next(tally);
		if (pt_tally_life(tally) == 0 || pt_tally_count(tally) != 0)
			break;
	}
	CHECK(pt_tally_life(tally) != 0);
}

int
main(void)
{
	RUN(test_one_life);
	RUN(test_two_lives);
	RUN(test_many_lives);
	return test_done();
}

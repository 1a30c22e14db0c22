/*-------------------------------------------------------------------------
 *
 * test_rate.c
 *	  How much there was lately, and how long to wait for it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/quotas/rate.c */
#include "test.h"

#include "quotas/rate.h"

static uint64 samples[PT_RATE_SAMPLES];

static void
start(void)
{
	memset(samples, 0, sizeof(samples));
}

static void
add(int64 now_ms, uint64 amount)
{
	uint64	   *sample = &samples[pt_rate_slot(now_ms)];

	*sample = pt_rate_add(*sample, now_ms, amount);
}

/* What was added counts until the window has gone past it. */
static void
test_window(void)
{
	start();
	CHECK_INT(pt_rate_sum(samples, 0), 0);
	add(5000, 100);
	add(5999, 10);
	CHECK_INT(pt_rate_sum(samples, 5999), 110);
	add(6000, 1);
	CHECK_INT(pt_rate_sum(samples, 6000), 111);
	CHECK_INT(pt_rate_sum(samples, 15999), 111);	/* samples 5 to 15 */
	CHECK_INT(pt_rate_sum(samples, 16000), 1);	/* samples 6 to 16 */
	CHECK_INT(pt_rate_sum(samples, 17000), 0);
	add(16000, 7);				/* takes the word of sample 5 */
	CHECK_INT(pt_rate_sum(samples, 16000), 8);
	CHECK_INT(pt_rate_sum(samples, 1000000000), 0);
}

/* A word that is much older than the window counts for nothing. */
static void
test_old(void)
{
	start();
	for (int64 days = 1; days <= 8; days++)
	{
		add(1234, 5);
		CHECK_INT(pt_rate_sum(samples, 1234 + days * 86400000), 0);
		add(1234 + days * 86400000, 3);
		CHECK_INT(pt_rate_sum(samples, 1234 + days * 86400000), 3);
	}
	start();
	for (int64 second = 0; second < 200000; second++)
	{
		add(second * 1000, 2);
		if (pt_rate_sum(samples, second * 1000) != 2 * (uint64) Min(second + 1, PT_RATE_SAMPLES))
			break;
		CHECK(second < 199999 || pt_rate_sum(samples, second * 1000) == 2 * PT_RATE_SAMPLES);
	}
	CHECK_INT(pt_rate_sum(samples, 199999000), 2 * PT_RATE_SAMPLES);
}

/* An amount that is too large stays at the largest, and spoils nothing else. */
static void
test_large(void)
{
	start();
	add(3000, PT_RATE_AMOUNT_MAX);
	add(3000, 1);
	CHECK(pt_rate_sum(samples, 3000) == PT_RATE_AMOUNT_MAX);
	add(4000, PG_UINT64_MAX);
	CHECK(pt_rate_sum(samples, 4000) == 2 * PT_RATE_AMOUNT_MAX);
	CHECK_INT(pt_rate_sum(samples, 15000), 0);
}

/*
 * The window is ten seconds and what there is of the newest.  A client that is
 * throttled waits until its rate over the longer window is the limit.
 */
static void
test_throttle(void)
{
	CHECK_INT(pt_rate_span_ms(0), 10000);
	CHECK_INT(pt_rate_span_ms(77999), 10999);
	CHECK_INT(pt_rate_throttle_ms(0, 5000, 1), 0);
	CHECK_INT(pt_rate_throttle_ms(10000, 5000, 1000), 0);	/* the limit itself */
	CHECK_INT(pt_rate_throttle_ms(11000, 5000, 1000), 1000);
	CHECK_INT(pt_rate_throttle_ms(11000, 5999, 1000), 1);
	CHECK_INT(pt_rate_throttle_ms(100000000, 5000, 1000000), 90000);
	CHECK_INT(pt_rate_throttle_ms(10, 5000, 0.5), 10000);
	CHECK_INT(pt_rate_throttle_ms(PG_UINT64_MAX, 5000, 1e-300), PT_THROTTLE_MS_MAX);
	CHECK_INT(pt_rate_throttle_ms(PG_UINT64_MAX, 5000, 1e300), 0);
}

/*
 * Who waits when it is told to gets the limit, and what the last request of a
 * window has beyond it.
 */
static void
test_long_run(void)
{
	uint64		random = 42;
	uint64		sent = 0;
	int64		now = 7000123;
	int64		end = now + 600000;

	start();
	while (now < end)
	{
		uint64		amount = test_random(&random) % 3000000;

		add(now, amount);
		sent += amount;
		now += 1 + pt_rate_throttle_ms(pt_rate_sum(samples, now), now, 1000000);
	}
	/* 600 s at 1 MB/s; a request has 1.5 MB, a window 10 */
	CHECK(sent > UINT64CONST(600000000));
	CHECK(sent < UINT64CONST(700000000));
}

/* A bucket holds a window's tokens, may have a debt, and is paid in time. */
static void
test_tokens(void)
{
	int64		now = INT64CONST(5000000000);
	int64		paid = 0;

	CHECK_INT(pt_tokens_wait_ms(paid, now), 0);
	paid = pt_tokens_take(paid, now, 2, 22);	/* all that a full one has */
	CHECK_INT(pt_tokens_wait_ms(paid, now), 0);
	paid = pt_tokens_take(paid, now, 2, 1);
	CHECK_INT(pt_tokens_wait_ms(paid, now), 500);
	CHECK_INT(pt_tokens_wait_ms(paid, now + 499000), 1);
	CHECK_INT(pt_tokens_wait_ms(paid, now + 500000), 0);
	paid = pt_tokens_take(paid, now, 2, 1e30);
	CHECK_INT(pt_tokens_wait_ms(paid, now), PT_THROTTLE_MS_MAX);
	paid = pt_tokens_take(paid, now, 1e-300, 5);
	CHECK_INT(pt_tokens_wait_ms(paid, now), PT_THROTTLE_MS_MAX);
}

int
main(void)
{
	RUN(test_window);
	RUN(test_old);
	RUN(test_large);
	RUN(test_throttle);
	RUN(test_long_run);
	RUN(test_tokens);
	return test_done();
}

/*-------------------------------------------------------------------------
 *
 * rate.c
 *	  Rates over a window of samples, and a token bucket.
 *
 * Siblings: rate.h, which tells what the words mean.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include <math.h>

#include "quotas/rate.h"

/* Samples are numbered by time; a word has the low bits of the number. */
static inline uint16
number_of(int64 now_ms)
{
	return (uint16) (now_ms / PT_RATE_SAMPLE_MS);
}

/*
 * Returns the sample's word with an amount added.  What the word had from an
 * earlier turn of the window is gone.  Numbers repeat after 65,536 samples,
 * which come back to the same word after days.
 */
uint64
pt_rate_add(uint64 sample, int64 now_ms, uint64 amount)
{
	uint64		number = number_of(now_ms);
	uint64		before = (sample >> PT_RATE_AMOUNT_BITS) == number ? sample & PT_RATE_AMOUNT_MAX : 0;

	Assert(now_ms >= 0);
	if (amount > PT_RATE_AMOUNT_MAX - before)
		amount = PT_RATE_AMOUNT_MAX - before;
	return (number << PT_RATE_AMOUNT_BITS) | (before + amount);
}

/*
 * Returns the amount of the samples that are not over since a whole window.
 */
uint64
pt_rate_sum(const uint64 *samples, int64 now_ms)
{
	uint16		now = number_of(now_ms);
	uint64		sum = 0;

	for (int i = 0; i < PT_RATE_SAMPLES; i++)
	{
		uint16		age = now - (uint16) (samples[i] >> PT_RATE_AMOUNT_BITS);

		if (age < PT_RATE_SAMPLES)
			sum += samples[i] & PT_RATE_AMOUNT_MAX;
	}
	return sum;
}

/*
 * Returns the length of the window: all samples but one, and what there is of
 * the newest.
 */
int64
pt_rate_span_ms(int64 now_ms)
{
	Assert(now_ms >= 0);
	return (PT_RATE_SAMPLES - 1) * PT_RATE_SAMPLE_MS + now_ms % PT_RATE_SAMPLE_MS;
}

/*
 * Returns how long to wait until the sum is no more than "limit" per second:
 * the window would have to be as much longer.  0 if it is no more already.
 */
int32
pt_rate_throttle_ms(uint64 sum, int64 now_ms, double limit)
{
	double		span = (double) pt_rate_span_ms(now_ms);
	double		wait;

	Assert(limit > 0);
	wait = rint((double) sum * 1000.0 / limit - span);
	return wait <= 0 ? 0 : wait >= PT_THROTTLE_MS_MAX ? PT_THROTTLE_MS_MAX : (int32) wait;
}

/*
 * Returns the time at which all is paid for once "tokens" more are taken, at
 * "limit" of them per second.  A bucket that nobody uses is full after a
 * window, and no fuller later.
 */
int64
pt_tokens_take(int64 paid_us, int64 now_us, double limit, double tokens)
{
	int64		full = now_us - (int64) PT_RATE_SAMPLES * PT_RATE_SAMPLE_MS * 1000;
	double		cost = tokens * 1000000.0 / limit;

	Assert(limit > 0 && tokens >= 0);
	/* a debt of more than a throttle time can tell is of no use */
	cost = Min(cost, (double) PT_THROTTLE_MS_MAX * 1000.0);
	return Min(Max(paid_us, full) + (int64) cost, now_us + (int64) PT_THROTTLE_MS_MAX * 1000);
}

/*
 * Returns how long to wait until the bucket has no debt; 0: it has none.
 */
int32
pt_tokens_wait_ms(int64 paid_us, int64 now_us)
{
	if (paid_us <= now_us)
		return 0;
	return (int32) Min((paid_us - now_us + 999) / 1000, PT_THROTTLE_MS_MAX);
}

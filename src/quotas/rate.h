/*-------------------------------------------------------------------------
 *
 * rate.h
 *	  How much there was lately, and how long to wait for it.
 *
 * Two measures.  Nothing here knows the server, and all state is in words of
 * 64 bits, which the caller changes atomically: usage.c has them in shared
 * memory.
 *
 * A window of PT_RATE_SAMPLES samples of PT_RATE_SAMPLE_MS each, as that of a
 * Kafka broker (quota.window.num, quota.window.size.seconds).  A sample is one
 * word: which one it is, and the amount.  The newest is not over yet, so a
 * window is ten to eleven seconds long.
 *
 * A token bucket (KIP-599), which is one word, too: the time at which all that
 * was taken is paid for.  It is full when that time is one window ago.
 *
 * Siblings: rate.c, usage.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_QUOTAS_RATE_H
#define PT_QUOTAS_RATE_H

#include "c.h"

#define PT_RATE_SAMPLES		11
#define PT_RATE_SAMPLE_MS	1000

/* Bits of a sample that are the amount; the others say which sample it is. */
#define PT_RATE_AMOUNT_BITS	48
#define PT_RATE_AMOUNT_MAX	((UINT64CONST(1) << PT_RATE_AMOUNT_BITS) - 1)

/* The longest throttle time, as it is an int32 for clients. */
#define PT_THROTTLE_MS_MAX	PG_INT32_MAX

/* Which of the words is the sample of this time. */
static inline int
pt_rate_slot(int64 now_ms)
{
	return (int) (now_ms / PT_RATE_SAMPLE_MS % PT_RATE_SAMPLES);
}

extern uint64 pt_rate_add(uint64 sample, int64 now_ms, uint64 amount);
extern uint64 pt_rate_sum(const uint64 *samples, int64 now_ms);
extern int64 pt_rate_span_ms(int64 now_ms);
extern int32 pt_rate_throttle_ms(uint64 sum, int64 now_ms, double limit);

extern int64 pt_tokens_take(int64 paid_us, int64 now_us, double limit, double tokens);
extern int32 pt_tokens_wait_ms(int64 paid_us, int64 now_us);

#endif							/* PT_QUOTAS_RATE_H */

/*-------------------------------------------------------------------------
 *
 * cpu_limit.c
 *	  Ends a computation that takes too much CPU time.
 *
 * It is for code of the server that looks for interrupts, such as that of
 * regular expressions.  A timer looks at the CPU time of the process, and when
 * that is used up it says that a query is to be cancelled.  Time on the clock
 * would depend on what else the machine does.
 *
 * Siblings: cpu_limit.h, topic_regex.c (the user).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "miscadmin.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "kafka/cpu_limit.h"

/* How often the timer looks. */
#define LOOK_MS		10

static int64 end_us;			/* CPU time at which the job is cancelled */
static volatile sig_atomic_t cancelled;

/*
 * Returns the CPU time of this process.
 */
static int64
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/*
 * The timer's handler, in a signal handler.
 */
static void
look(void)
{
	if (cpu_us() < end_us)
		return;
	cancelled = true;
	QueryCancelPending = true;
	InterruptPending = true;
}

/*
 * Runs job(arg), and takes what it uses off the budget.  Returns false if the
 * budget is used up; then the job may have been cancelled: up to PostgreSQL 15
 * regular expressions return an error of their own, later they throw.  So the
 * job must hold nothing that an error would not free.  The current memory
 * context stays.  Not to be nested.
 */
bool
kafka_within_cpu(int64 *budget_us, void (*job) (void *arg), void *arg)
{
	static TimeoutId timer = MAX_TIMEOUTS;
	MemoryContext mcxt = CurrentMemoryContext;
	int64		start = cpu_us();

	if (*budget_us <= 0)
		return false;
	if (timer == MAX_TIMEOUTS)
		timer = RegisterTimeout(USER_TIMEOUT, look);
	cancelled = false;
	end_us = start + *budget_us;
	enable_timeout_every(timer, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOOK_MS), LOOK_MS);
	PG_TRY();
	{
		job(arg);
	}
	PG_CATCH();
	{
		disable_timeout(timer, false);
		MemoryContextSwitchTo(mcxt);
		if (!cancelled || geterrcode() != ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
	disable_timeout(timer, false);
	*budget_us -= cpu_us() - start;
	if (cancelled)
	{
		/* it must not hit what runs next */
		QueryCancelPending = false;
		*budget_us = Min(*budget_us, 0);
	}
	return *budget_us > 0;
}

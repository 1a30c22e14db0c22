/*-------------------------------------------------------------------------
 *
 * timestamp.c
 *	  Between timestamptz and the timestamps of records: ms since 1970.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "topic/timestamp.h"

#define EPOCH_DIFF_MS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)

/* The clock; needs no transaction. */
int64
pt_now_ms(void)
{
	return pt_timestamptz_to_ms(GetCurrentTimestamp());
}

/*
 * A log may hold any timestamp that a producer made up; what a timestamptz
 * cannot hold is shown as the nearest one.
 */
TimestampTz
pt_ms_to_timestamptz(int64 ms)
{
	if (ms < MIN_TIMESTAMP / 1000 + EPOCH_DIFF_MS)
		return MIN_TIMESTAMP;
	if (ms >= END_TIMESTAMP / 1000 + EPOCH_DIFF_MS)
		return END_TIMESTAMP - 1000;
	return (ms - EPOCH_DIFF_MS) * 1000;
}

/*
 * Rounds down, so that order is kept also before 2000.  ERROR for an infinite
 * timestamp.
 */
int64
pt_timestamptz_to_ms(TimestampTz timestamp)
{
	int64		ms = timestamp / 1000;

	if (TIMESTAMP_NOT_FINITE(timestamp))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp of a record cannot be infinite")));
	if (timestamp % 1000 < 0)
		ms--;
	return ms + EPOCH_DIFF_MS;
}

/*-------------------------------------------------------------------------
 *
 * timestamp.c
 *	  Converts between timestamptz and the timestamps of records: ms since
 *	  1970.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "topic/timestamp.h"

/* From 1970, where Kafka counts from, to 2000, where PostgreSQL does. */
#define EPOCH_DIFF_MS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000)

/*
 * Returns the time of the clock.  Needs no transaction.
 */
int64
pt_now_ms(void)
{
	return pt_timestamptz_to_ms(GetCurrentTimestamp());
}

/*
 * Converts a record's timestamp.  A log may have any number that a producer
 * has chosen; one that timestamptz cannot hold becomes the nearest possible.
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
 * Converts a timestamptz.  It rounds down, so that the order is kept before
 * 2000, too.  ERROR 22008 for an infinite timestamp.
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

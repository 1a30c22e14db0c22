/*-------------------------------------------------------------------------
 *
 * timestamp.h
 *	  Between timestamptz and the timestamps of records: ms since 1970.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_TIMESTAMP_H
#define PT_TOPIC_TIMESTAMP_H

#include "utils/timestamp.h"

/* The timestamp of a record that has none; null in SQL. */
#define PT_NO_TIMESTAMP		(-1)

extern int64 pt_now_ms(void);
extern TimestampTz pt_ms_to_timestamptz(int64 ms);
extern int64 pt_timestamptz_to_ms(TimestampTz timestamp);

/*
 * Returns a record's timestamp as SQL shows it.
 */
static inline Datum
pt_timestamp_datum(int64 ms, bool *isnull)
{
	*isnull = ms == PT_NO_TIMESTAMP;
	return *isnull ? (Datum) 0 : TimestampTzGetDatum(pt_ms_to_timestamptz(ms));
}

#endif							/* PT_TOPIC_TIMESTAMP_H */

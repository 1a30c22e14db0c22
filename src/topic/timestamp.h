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

extern int64 pt_now_ms(void);
extern TimestampTz pt_ms_to_timestamptz(int64 ms);
extern int64 pt_timestamptz_to_ms(TimestampTz timestamp);

#endif							/* PT_TOPIC_TIMESTAMP_H */

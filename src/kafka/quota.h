/*-------------------------------------------------------------------------
 *
 * quota.h
 *	  Quotas of clients, as requests meet them.
 *
 * Siblings: quota.c, call.c (charges every answer), api/01_fetch.c,
 * api/48, api/49; ../quotas/quotas.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_QUOTA_H
#define KAFKA_QUOTA_H

#include "kafka/api.h"
#include "quotas/quotas.h"

extern int64 kafka_quota_step_begin(KafkaCall *call);
extern void kafka_quota_step_end(KafkaCall *call, int64 since_ns);

extern uint64 kafka_quota_fetch_max(KafkaCall *call, uint64 max);
extern bool kafka_quota_fetch(KafkaCall *call, uint64 bytes);

extern void kafka_quota_charge(KafkaCall *call);
extern void kafka_quota_answered(KafkaCall *call);

extern bool kafka_quota_mutation(KafkaCall *call, int16 strict_since, uint32 partitions, int16 *code, const char **message);

#endif							/* KAFKA_QUOTA_H */

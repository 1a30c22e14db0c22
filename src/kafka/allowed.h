/*-------------------------------------------------------------------------
 *
 * allowed.h
 *	  May the client do this?  What handlers ask before they do or tell
 *	  anything.
 *
 * Siblings: allowed.c, topics.h (topics are found with the operation that is
 * to be done); ../rights/rights.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_ALLOWED_H
#define KAFKA_ALLOWED_H

#include "kafka/api.h"
#include "rights/rights.h"

extern bool kafka_may_topic(const KafkaCall *call, const PtTopic *topic, PtOperation op);
extern bool kafka_may_read(const KafkaCall *call, Oid relid);
extern bool kafka_may_create(const KafkaCall *call);
extern bool kafka_may_cluster(const KafkaCall *call, PtOperation op);
extern bool kafka_may_group(KafkaCall *call, KafkaString group_id, PtOperation op);
extern bool kafka_may_transactional_id(const KafkaCall *call, KafkaString id, PtOperation op);

extern int32 kafka_topic_operations(const KafkaCall *call, const PtTopic *topic);
extern int32 kafka_group_operations(KafkaCall *call, KafkaString group_id);
extern int32 kafka_cluster_operations(const KafkaCall *call);

/* What goes with the error codes. */
#define KAFKA_NOT_AUTHORIZED_TOPIC		"The role may not do this with the topic."
#define KAFKA_NOT_AUTHORIZED_GROUP		"The role may not do this with the group."
#define KAFKA_NOT_AUTHORIZED_TRANSACTIONAL_ID	"The role may not do this with the transactional id."
#define KAFKA_NOT_AUTHORIZED_CLUSTER	"The role may not do this with the cluster."

#endif							/* KAFKA_ALLOWED_H */

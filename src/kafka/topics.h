/*-------------------------------------------------------------------------
 *
 * topics.h
 *	  Topics and partitions as requests name them.
 *
 * Siblings: topics.c; ../topic/topic.h, which knows them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_TOPICS_H
#define KAFKA_TOPICS_H

#include "kafka/api.h"

/*
 * The topic with this name, or, when id is not NULL, with this id; NULL with the error
 * code.  Valid until the next catalog access, as in topic.h.
 */
extern const PtTopic *kafka_topic_find(KafkaString name, const KafkaUuid *id, int16 *error);

/* Its partition; InvalidOid with the error code. */
extern Oid	kafka_partition_find(const PtTopic *topic, int32 partition, int16 *error);

/*
 * Both in one, for requests that name many partitions topic by topic: remembers the
 * topic that was looked up last, by the OIDs of its partitions.
 */
typedef struct KafkaLookup
{
	bool		valid;
	KafkaString name;
	KafkaUuid	id;
	int16		error;			/* of the topic */
	bool		internal;		/* the topic is the broker's own */
	int			npartitions;
	int			cap;
	Oid		   *leaves;
} KafkaLookup;

extern Oid	kafka_lookup(KafkaLookup *lookup, KafkaString name, const KafkaUuid *id,
						 int32 partition, int16 *error);

/* The leader epoch of a request against ours; -1 is not checked. */
extern int16 kafka_leader_epoch_check(int32 epoch);

/*
 * Creates a topic in a transaction of its own.  configs: List of PtConfigPair, in the
 * call's memory.  false with the error, which has been logged if it is ours.
 */
extern bool kafka_topic_create(KafkaCall *call, const char *name, int npartitions, List *configs,
							   KafkaError *error);

/* replicas and in-sync replicas of every partition: the one broker */
extern int32 kafka_replica_nodes[1];

#endif							/* KAFKA_TOPICS_H */

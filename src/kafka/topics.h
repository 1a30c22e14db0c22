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
 * The topic with this name, or, when id is not NULL, with this id; NULL with
 * the error code.  Valid until the next catalog access, as in topic.h.
 */
extern const PtTopic *kafka_topic_find(KafkaString name, const KafkaUuid *id, int16 *error);

/* The same, where a name that no topic may have is as unknown as any other. */
extern const PtTopic *kafka_topic_known(KafkaString name, const KafkaUuid *id, int16 *error);

/* Its partition; InvalidOid with the error code. */
extern Oid	kafka_partition_find(const PtTopic *topic, int32 partition, int16 *error);

/*
 * Both in one, for requests that name many partitions topic by topic:
 * remembers the topic that was looked up last, by the OIDs of its partitions.
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
 * NULL, or why no topic can have this name beside those that exist: as in
 * Kafka, names that differ only in '.' and '_' would be one name for metrics.
 * In the call's memory.
 */
extern const char *kafka_topic_collision(const char *name);

/*
 * NULL, or what is wrong with the replicas that a client assigned to a
 * partition.
 */
extern const char *kafka_replicas_problem(const int32 *brokers, int n);

/*
 * How often each of the n names of a request is there: counted at the first of
 * its kind, 0 at the others.  "first" is the name of the first struct, and
 * "stride" the size of the structs.
 */
extern int *kafka_name_uses(KafkaCall *call, const KafkaString *first, size_t stride, int n);

/*
 * Has the call used up the time that its request gave it?  0 and less are no
 * limit.
 */
extern bool kafka_out_of_time(const KafkaCall *call, int32 timeout_ms);

/*
 * Creates a topic in a transaction of its own.  configs: List of PtConfigPair,
 * in the call's memory.  false with the error, which has been logged if it is
 * ours.
 */
extern bool kafka_topic_create(KafkaCall *call, const char *name, int npartitions, List *configs,
							   KafkaError *error);

/* replicas and in-sync replicas of every partition: the one broker */
extern int32 kafka_replica_nodes[1];

#endif							/* KAFKA_TOPICS_H */

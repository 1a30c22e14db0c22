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

#include "kafka/allowed.h"

extern const PtTopic *kafka_topic_find(const KafkaCall *call, PtOperation op, KafkaString name, const KafkaUuid *id,
									   int16 *error);

extern const PtTopic *kafka_topic_known(const KafkaCall *call, PtOperation op, KafkaString name, const KafkaUuid *id,
										int16 *error);

extern Oid	kafka_partition_find(const PtTopic *topic, int32 partition, int16 *error);

/*
 * A lookup of topic and partition in one, for requests that name many
 * partitions topic by topic.  It remembers the topic of the last lookup.
 * Starts as zeros but for call and op.
 */
typedef struct KafkaLookup
{
	const KafkaCall *call;
	PtOperation op;				/* what is to be done with them */
	bool		valid;
	Oid			topic;			/* OID of its table */
	KafkaString name;
	KafkaUuid	id;
	int16		error;			/* of the topic; KERR_NONE: it exists */
	bool		internal;		/* the topic is the broker's own */
	int			npartitions;
	int			cap;			/* size of "leaves" */
	Oid		   *leaves;			/* OIDs of the partitions */
} KafkaLookup;

extern Oid	kafka_lookup(KafkaLookup *lookup, KafkaString name, const KafkaUuid *id,
						 int32 partition, int16 *error);

extern int16 kafka_leader_epoch_check(int32 epoch);

extern const char *kafka_topic_collision(const char *name);

extern const char *kafka_replicas_problem(const int32 *brokers, int n);

/* An id as a name, for kafka_name_uses. */
static inline KafkaString
kafka_id_name(const KafkaUuid *id)
{
	return (KafkaString)
	{
		(const char *) id->data, sizeof(id->data)
	};
}

extern int *kafka_name_uses(KafkaCall *call, const KafkaString *first, size_t stride, int n);

extern bool kafka_out_of_time(const KafkaCall *call, int32 timeout_ms);

extern bool kafka_topic_create(KafkaCall *call, const char *name, int npartitions, List *configs,
							   KafkaError *error);

/* topic_pieces.c */
extern bool kafka_topic_create_in_pieces(KafkaCall *call, const char *name, int npartitions, List *configs,
										 KafkaError *error);
extern bool kafka_topic_delete(KafkaCall *call, Oid relid, int npartitions, KafkaError *error);
extern bool kafka_topic_grow(KafkaCall *call, Oid relid, int had, int npartitions, KafkaError *error);

/* replicas and in-sync replicas of all partitions: the one broker */
extern int32 kafka_replica_nodes[1];

#endif							/* KAFKA_TOPICS_H */

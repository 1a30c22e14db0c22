/*-------------------------------------------------------------------------
 *
 * 34_alter_replica_log_dirs.c
 *	  AlterReplicaLogDirs: moves a partition to another tablespace; never done
 *	  here.
 *
 * A Kafka broker copies in the background while the old log is used.  Here a
 * move is ALTER TABLE ... SET TABLESPACE, which locks the partition until all
 * of it is copied, so the database administrator should choose the time.  A
 * partition that is in the right place is answered with success, a directory
 * that is not that of a tablespace with LOG_DIR_NOT_FOUND, and a real move
 * with POLICY_VIOLATION.
 *
 * Siblings: 35_describe_log_dirs.c; ../../topic/file_sizes.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/topics.h"

/*
 * Returns the tablespace with this directory, or InvalidOid.
 */
static Oid
find_place(List *places, KafkaString path)
{
	ListCell   *lc;

	foreach(lc, places)
	{
		const PtPlace *place = lfirst(lc);

		if (pt_string_equal(kafka_string(place->path), path))
			return place->tablespace;
	}
	return InvalidOid;
}

/*
 * Returns the answer for one partition.
 */
static int16
move_partition(const KafkaCall *call, KafkaString name, int32 partition, Oid tablespace)
{
	int16		error;
	const PtTopic *topic = kafka_topic_find(call, PT_OP_DESCRIBE, name, NULL, &error);
	Oid			leaf = topic ? kafka_partition_find(topic, partition, &error) : InvalidOid;
	int64		bytes;

	if (!OidIsValid(leaf))
		return error;
	if (!OidIsValid(tablespace))
		return KERR_LOG_DIR_NOT_FOUND;
	return pt_leaf_place(leaf, &bytes) == tablespace ? KERR_NONE : KERR_POLICY_VIOLATION;
}

/*
 * Answers for all directories.  A topic that is named for several directories
 * is in the response several times.
 */
static void
walk_request(KafkaCall *call, int16 error)
{
	const AlterReplicaLogDirsRequest *in = call->request;
	AlterReplicaLogDirsResponse *out = call->response;
	List	   *places = error == KERR_NONE ? pt_places() : NIL;
	int			n = 0;

	for (int d = 0; d < in->dirs.n; d++)
		n += in->dirs.items[d].topics.n;
	KAFKA_RESIZE(call, out->results, AlterReplicaLogDirTopicResult, n);
	n = 0;
	for (int d = 0; d < in->dirs.n; d++)
	{
		Oid			tablespace = find_place(places, in->dirs.items[d].path);

		for (int t = 0; t < in->dirs.items[d].topics.n; t++)
		{
			const AlterReplicaLogDirTopic *topic = &in->dirs.items[d].topics.items[t];
			AlterReplicaLogDirTopicResult *result = &out->results.items[n++];

			result->topic_name = topic->name;
			KAFKA_RESIZE(call, result->partitions, AlterReplicaLogDirPartitionResult, topic->partitions.n);
			for (int p = 0; p < topic->partitions.n; p++)
			{
				AlterReplicaLogDirPartitionResult *row = &result->partitions.items[p];

				row->partition_index = topic->partitions.items[p];
				row->error_code = error != KERR_NONE ? error :
					move_partition(call, topic->name, topic->partitions.items[p], tablespace);
			}
		}
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
alter_replica_log_dirs_begin(KafkaCall *call)
{
	walk_request(call, kafka_may_cluster(call, PT_OP_ALTER) ? KERR_NONE : KERR_CLUSTER_AUTHORIZATION_FAILED);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
alter_replica_log_dirs_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, code);
}

const KafkaHandler kafka_handler_alter_replica_log_dirs = {
	.begin = alter_replica_log_dirs_begin,
	.fail = alter_replica_log_dirs_fail
};

/*-------------------------------------------------------------------------
 *
 * 35_describe_log_dirs.c
 *	  DescribeLogDirs: tablespaces, and the partitions in them.
 *
 * A log directory is a tablespace; that of pg_default is the data directory.
 * Sizes are those of files, including the space that a log has reserved.
 * Versions: 3 has an error of the whole request, 4 the sizes of volumes.
 *
 * Siblings: 34_alter_replica_log_dirs.c; ../../topic/file_sizes.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/statvfs.h>

#include "kafka/topics.h"

/* A partition that was asked for, and where it is. */
typedef struct Located
{
	const char *topic;
	int32		partition;
	Oid			tablespace;
	int64		bytes;			/* size of its files */
} Located;

/* A growing list of them. */
typedef struct LocatedList
{
	Located    *items;
	int			n;
	int			cap;			/* allocated length of items[] */
} LocatedList;

/*
 * Adds a partition to the list, unless it is gone.
 */
static void
locate(LocatedList *list, const char *topic, int32 partition, Oid leaf)
{
	Located		found = {.topic = topic,.partition = partition};

	found.tablespace = pt_leaf_place(leaf, &found.bytes);
	if (!OidIsValid(found.tablespace))
		return;
	if (list->n == list->cap)
	{
		list->cap = Max(64, list->cap * 2);
		list->items = list->items ? repalloc_huge(list->items, list->cap * sizeof(Located)) :
			palloc(list->cap * sizeof(Located));
	}
	Assert(list->n < list->cap);
	list->items[list->n++] = found;
}

/*
 * Adds the partitions of a topic: those in "wanted", or all if that is NULL.
 * As in Kafka, partitions that do not exist are left out.
 */
static void
locate_topic(LocatedList *list, const PtTopic *topic, const int32 *wanted, int nwanted)
{
	char	   *name = pstrdup(topic->name);
	int			npartitions = topic->npartitions;
	Oid		   *leaves = palloc(sizeof(Oid) * (npartitions + 1));
	int			n = wanted ? nwanted : npartitions;

	memcpy(leaves, topic->leaves, sizeof(Oid) * npartitions);
	for (int i = 0; i < n; i++)
	{
		int32		partition = wanted ? wanted[i] : i;

		if (partition >= 0 && partition < npartitions && OidIsValid(leaves[partition]))
			locate(list, name, partition, leaves[partition]);
	}
	pfree(leaves);
}

/*
 * Adds all partitions of all topics.
 */
static void
locate_all(LocatedList *list)
{
	ListCell   *lc;

	foreach(lc, pt_topic_oids())
	{
		const PtTopic *topic = pt_topic_by_oid(lfirst_oid(lc));

		if (topic != NULL)
			locate_topic(list, topic, NULL, 0);
	}
}

/*
 * Adds the partitions that the request asks for.
 */
static void
locate_request(const KafkaCall *call, LocatedList *list, const DescribeLogDirsRequest *in)
{
	if (in->topics.n < 0)
	{
		locate_all(list);
		return;
	}
	for (int i = 0; i < in->topics.n; i++)
	{
		static const int32 nothing[1];
		const DescribeLogDirsRequestTopic *wanted = &in->topics.items[i];
		int16		error;
		const PtTopic *topic = kafka_topic_find(call, PT_OP_DESCRIBE, wanted->topic, NULL, &error);

		if (topic != NULL)
			locate_topic(list, topic, wanted->partitions.n > 0 ? wanted->partitions.items : nothing,
						 wanted->partitions.n);
	}
}

/*
 * Gets the size of the volume.  A missing directory is an error of its own.
 */
static void
describe_volume(const char *path, DescribeLogDirsResult *out)
{
	struct statvfs volume;

	if (statvfs(path, &volume) != 0)
	{
		out->error_code = KERR_KAFKA_STORAGE_ERROR;
		return;
	}
	out->total_bytes = (int64) volume.f_blocks * volume.f_frsize;
	out->usable_bytes = (int64) volume.f_bavail * volume.f_frsize;
}

/*
 * Answers for one directory, topic by topic.  The list has the partitions of
 * a topic together.
 */
static void
describe_place(KafkaCall *call, const PtPlace *place, const LocatedList *list, DescribeLogDirsResult *out)
{
	int			ntopics = 0;
	int			n = 0;
	const char *last = NULL;
	DescribeLogDirsPartition *rows;

	for (int i = 0; i < list->n; i++)
	{
		if (list->items[i].tablespace != place->tablespace)
			continue;
		ntopics += list->items[i].topic != last;
		last = list->items[i].topic;
		n++;
	}
	out->log_dir = kafka_string(place->path);
	describe_volume(place->path, out);
	KAFKA_RESIZE(call, out->topics, DescribeLogDirsTopic, ntopics);
	rows = KAFKA_NEW(call, DescribeLogDirsPartition, n);
	last = NULL;
	ntopics = 0;
	for (int i = 0; i < list->n; i++)
	{
		const Located *found = &list->items[i];

		if (found->tablespace != place->tablespace)
			continue;
		if (found->topic != last)
		{
			out->topics.items[ntopics].name = kafka_string(found->topic);
			out->topics.items[ntopics].partitions.items = rows;
			ntopics++;
		}
		last = found->topic;
		rows->partition_index = found->partition;
		rows->partition_size = found->bytes;
		out->topics.items[ntopics - 1].partitions.n++;
		rows++;
	}
}

/*
 * KafkaHandler.fail.  Before version 3 only a directory has an error.
 */
static void
describe_log_dirs_fail(KafkaCall *call, int16 code, const char *message)
{
	DescribeLogDirsResponse *out = call->response;

	out->error_code = code;
	if (call->api_version >= 3)
		return;
	KAFKA_RESIZE(call, out->results, DescribeLogDirsResult, 1);
	out->results.items[0].error_code = code;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_log_dirs_begin(KafkaCall *call)
{
	const DescribeLogDirsRequest *in = call->request;
	DescribeLogDirsResponse *out = call->response;
	LocatedList list = {0};
	List	   *places;
	ListCell   *lc;
	int			i = 0;

	if (!kafka_may_cluster(call, PT_OP_DESCRIBE))
	{
		describe_log_dirs_fail(call, KERR_CLUSTER_AUTHORIZATION_FAILED, NULL);
		return KAFKA_REPLY;
	}
	locate_request(call, &list, in);
	places = pt_places();
	KAFKA_RESIZE(call, out->results, DescribeLogDirsResult, list_length(places));
	foreach(lc, places)
		describe_place(call, lfirst(lc), &list, &out->results.items[i++]);
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_describe_log_dirs = {
	.begin = describe_log_dirs_begin,
	.fail = describe_log_dirs_fail
};

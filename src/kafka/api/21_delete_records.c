/*-------------------------------------------------------------------------
 *
 * 21_delete_records.c
 *	  DeleteRecords: moves the start of logs.
 *
 * As in Kafka, -1 means everything up to the high watermark, an offset below
 * the start changes nothing, records of topics that are only compacted cannot
 * be deleted, and the response says where each log starts now.
 *
 * All partitions are one transaction, and so one flush.  If that fails, for
 * example because DDL has locked a partition, each partition is tried in a
 * transaction of its own.
 *
 * Siblings: ../topics.c; ../../xact/xact.h (pt_trim).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "xact/xact.h"
#include "kafka/topics.h"

/* A partition whose records are deleted. */
typedef struct Deletion
{
	Oid			leaf;
	int64		offset;			/* new start */
	PtStatus	status;			/* of pt_trim() */
	int64		start;			/* where the log starts afterwards */
	DeleteRecordsPartitionResult *out;
} Deletion;

/* All partitions of a request that are left to do. */
typedef struct Deletions
{
	Deletion   *items;
	int			n;
} Deletions;

/*
 * Deletes.  Called by kafka_run_transaction().
 */
static void
delete_records(void *arg)
{
	Deletions  *list = arg;

	for (int i = 0; i < list->n; i++)
		list->items[i].status = pt_trim(list->items[i].leaf, list->items[i].offset, &list->items[i].start);
}

/*
 * Returns an error if the topic as a whole does not allow it.
 */
static int16
topic_error(const PtTopic *topic)
{
	if (topic->internal)
		return KERR_INVALID_TOPIC_EXCEPTION;
	if (!(topic->config.cleanup_policy & PT_CLEANUP_DELETE))
		return KERR_POLICY_VIOLATION;
	return KERR_NONE;
}

/*
 * Takes the end that consumers see.  It is behind the end of the log only
 * until the log is flushed.
 */
static bool
resolve_end(Deletion *deletion, int16 *error)
{
	PtListOffset end = {.relid = deletion->leaf,.timestamp = PT_LIST_LATEST};

	pt_list_offset(&end);
	*error = kafka_error_from_status(end.status);
	deletion->offset = end.offset;
	return end.status == PT_OK;
}

/*
 * Checks one partition.  Returns true if there is something to delete.
 */
static bool
check_partition(const KafkaCall *call, KafkaString name, const DeleteRecordsPartition *in, Deletion *deletion)
{
	int16	   *error = &deletion->out->error_code;
	const PtTopic *topic = kafka_topic_known(call, PT_OP_DELETE_RECORDS, name, NULL, error);

	if (topic == NULL)
		return false;
	deletion->offset = in->offset;
	deletion->leaf = kafka_partition_find(topic, in->partition_index, error);
	if (!OidIsValid(deletion->leaf))
		return false;
	*error = in->offset < -1 ? KERR_OFFSET_OUT_OF_RANGE : topic_error(topic);
	if (*error == KERR_NONE && in->offset == -1)
		(void) resolve_end(deletion, error);
	return *error == KERR_NONE;
}

/*
 * Sets the result of a partition.
 */
static void
note_outcome(const Deletion *deletion)
{
	deletion->out->error_code = kafka_error_from_status(deletion->status);
	if (deletion->status == PT_OK)
		deletion->out->low_watermark = deletion->start;
}

/*
 * Deletes all partitions together or, if that fails, one by one.
 */
static void
carry_out(KafkaCall *call, Deletions *list)
{
	const DeleteRecordsRequest *in = call->request;
	KafkaError	error;

	Assert(list->n >= 0);
	if (list->n > 1 && kafka_run_transaction(call, delete_records, list, &error))
	{
		for (int i = 0; i < list->n; i++)
			note_outcome(&list->items[i]);
		return;
	}
	for (int i = 0; i < list->n; i++)
	{
		Deletions	one = {&list->items[i], 1};

		if (i > 0 && kafka_out_of_time(call, in->timeout_ms))
			one.items->out->error_code = KERR_REQUEST_TIMED_OUT;
		else if (kafka_run_transaction(call, delete_records, &one, &error))
			note_outcome(one.items);
		else
		{
			kafka_log_error(call, &error);
			one.items->out->error_code = error.code;
		}
	}
}

/*
 * Makes the response in the form of the request.  With an error all
 * partitions get it, and list is NULL; otherwise it collects what is to be
 * deleted.
 */
static void
walk_request(KafkaCall *call, int16 error, Deletions *list)
{
	const DeleteRecordsRequest *in = call->request;
	DeleteRecordsResponse *out = call->response;

	Assert((error != KERR_NONE) == (list == NULL));
	KAFKA_RESIZE(call, out->topics, DeleteRecordsTopicResult, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		const DeleteRecordsTopic *topic = &in->topics.items[i];
		DeleteRecordsTopicResult *result = &out->topics.items[i];

		result->name = topic->name;
		KAFKA_RESIZE(call, result->partitions, DeleteRecordsPartitionResult, topic->partitions.n);
		for (int p = 0; p < topic->partitions.n; p++)
		{
			DeleteRecordsPartitionResult *row = &result->partitions.items[p];

			row->partition_index = topic->partitions.items[p].partition_index;
			row->low_watermark = -1;
			row->error_code = error;
			if (list == NULL)
				continue;
			list->items[list->n] = (Deletion)
			{
				.out = row
			};
			if (check_partition(call, topic->name, &topic->partitions.items[p], &list->items[list->n]))
				list->n++;
		}
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
delete_records_begin(KafkaCall *call)
{
	const DeleteRecordsRequest *in = call->request;
	Deletions	list = {0};
	Size		most = 1;

	for (int i = 0; i < in->topics.n; i++)
		most += in->topics.items[i].partitions.n;
	list.items = MemoryContextAllocHuge(call->mcxt, most * sizeof(Deletion));
	walk_request(call, KERR_NONE, &list);
	carry_out(call, &list);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
delete_records_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, code, NULL);
}

const KafkaHandler kafka_handler_delete_records = {
	.begin = delete_records_begin,
	.fail = delete_records_fail
};

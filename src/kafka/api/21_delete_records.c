/*-------------------------------------------------------------------------
 *
 * 21_delete_records.c
 *	  DeleteRecords: moves the start of logs.
 *
 * Each partition is a transaction of its own.  As in Kafka: -1 means everything up to the high
 * watermark, an offset below the start changes nothing, records of topics that are
 * only compacted cannot be deleted, and the answer is where the log starts now.
 *
 * Siblings: ../topics.c; ../../engine/engine.h (pt_engine_trim).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/topics.h"

typedef struct Deletion
{
	Oid			leaf;
	int64		offset;
	PtStatus	status;
	int64		start;
} Deletion;

static void
delete_records(void *arg)
{
	Deletion   *deletion = arg;

	deletion->status = pt_engine_trim(deletion->leaf, deletion->offset, &deletion->start);
}

/* What a topic as a whole does not allow. */
static int16
topic_error(const PtTopic *topic)
{
	if (topic->internal)
		return KERR_INVALID_TOPIC_EXCEPTION;
	if (!(topic->config.cleanup_policy & PT_CLEANUP_DELETE))
		return KERR_POLICY_VIOLATION;
	return KERR_NONE;
}

/* Up to the end that consumers see, which is below that of the log for a moment only. */
static bool
resolve_end(Deletion *deletion, int16 *error)
{
	PtListOffset end = {.relid = deletion->leaf, .timestamp = PT_LIST_LATEST};

	pt_engine_list_offset(&end);
	*error = kafka_error_from_status(end.status);
	deletion->offset = end.offset;
	return end.status == PT_OK;
}

static void
handle_partition(KafkaCall *call, KafkaString name, const DeleteRecordsPartition *in,
				 DeleteRecordsPartitionResult *out)
{
	Deletion	deletion = {.offset = in->offset, .status = PT_OK};
	const PtTopic *topic = kafka_topic_find(name, NULL, &out->error_code);
	KafkaError	error;

	if (topic == NULL)
		return;
	deletion.leaf = kafka_partition_find(topic, in->partition_index, &out->error_code);
	if (!OidIsValid(deletion.leaf))
		return;
	out->error_code = topic_error(topic);
	if (out->error_code != KERR_NONE)
		return;
	if (in->offset < -1)
		out->error_code = KERR_OFFSET_OUT_OF_RANGE;
	if (in->offset == -1)
		(void) resolve_end(&deletion, &out->error_code);
	if (out->error_code != KERR_NONE)
		return;
	if (!kafka_run_transaction(call, delete_records, &deletion, &error))
	{
		kafka_log_error(call, &error);
		out->error_code = error.code;
		return;
	}
	out->error_code = kafka_error_from_status(deletion.status);
	if (deletion.status == PT_OK)
		out->low_watermark = deletion.start;
}

/* With an error: the same for all that was asked for. */
static void
walk_request(KafkaCall *call, int16 error)
{
	const DeleteRecordsRequest *in = call->request;
	DeleteRecordsResponse *out = call->response;
	bool		begun = false;

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
			if (error != KERR_NONE)
				row->error_code = error;
			else if (begun && kafka_out_of_time(call, in->timeout_ms))
				row->error_code = KERR_REQUEST_TIMED_OUT;
			else
				handle_partition(call, topic->name, &topic->partitions.items[p], row);
			begun = true;
		}
	}
}

static KafkaOutcome
delete_records_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE);
	return KAFKA_REPLY;
}

static void
delete_records_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, code);
}

const KafkaHandler kafka_handler_delete_records = {
	.begin = delete_records_begin,
	.fail = delete_records_fail
};

/*-------------------------------------------------------------------------
 *
 * 00_produce.c
 *	  Produce: takes record batches, answers with their offsets.
 *
 * This file checks what concerns the request.  What concerns the log (CRC,
 * size, sequence numbers, timestamps) is checked where the batch is appended.
 * The batches go to the server, which appends those of all requests of a turn
 * together and then resumes the calls.  Those of a transaction are staged at
 * once instead: nothing is appended before the transaction commits.
 *
 * Versions: 3 and later have batches of magic 2 only; 7 allows zstd; 8 has the
 * errors of single records; 12 brings partitions to transactions by itself
 * (KIP-890); 13 names topics by id.
 *
 * Siblings: ../call.c, ../topics.c; ../../produce/produce.h
 * (pt_produce_batches).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "record/compress.h"
#include "record/layout.h"
#include "utils/timestamp.h"

#include "kafka/topics.h"
#include "txn/txn.h"

/* Kept between begin and resume. */
typedef struct ProduceState
{
	ProducePartitionResponse **targets; /* by number of the item: where its
										 * result goes */
} ProduceState;

/*
 * Version 7 has allowed zstd (KIP-110).  An older client may get back what it
 * cannot read.
 */
#define ZSTD_FROM_VERSION	7

/* The first version of clients whose epochs are those of transactions. */
#define TRANSACTIONS_V2_FROM_VERSION	12

/*
 * Sets the error of a partition.
 */
static void
set_error(ProducePartitionResponse *out, int16 code, const char *message)
{
	Assert(code != KERR_NONE);
	out->error_code = code;
	out->base_offset = -1;
	out->error_message = kafka_string(message);
}

/*
 * Checks that the records are exactly one batch, and what does not depend on
 * the log.  Returns an error code, with its message for the client.
 */
static int16
check_batch(const KafkaRecords *records, int16 version, const char **message)
{
	PtBatchHeader h;
	PtBatchStatus status;

	Assert(message != NULL);
	if (records->len <= 0)
	{
		*message = "A produce request must have one record batch per partition.";
		return KERR_INVALID_RECORD;
	}
	/* the magic byte of the old formats is in the same place */
	if (records->len > 16 && records->data[16] != 2)
	{
		*message = "Only record batches of magic 2 are accepted.";
		return KERR_INVALID_RECORD;
	}
	status = pt_batch_header_read(records->data, records->len, &h);
	if (status == PT_BATCH_OK && h.length > records->len)
		status = PT_BATCH_TRUNCATED;
	if (status != PT_BATCH_OK)
	{
		*message = pt_batch_status_text(status);
		return kafka_error_from_status(pt_status_of_batch(status));
	}
	if (h.length < records->len)
	{
		*message = "A produce request must have exactly one record batch per partition.";
		return KERR_INVALID_RECORD;
	}
	if (h.attributes & PT_BATCH_CONTROL)
	{
		*message = "Clients are not allowed to write control batches.";
		return KERR_INVALID_RECORD;
	}
	if (h.base_offset != 0)
	{
		*message = "The base offset of a produced record batch must be 0.";
		return KERR_INVALID_RECORD;
	}
	if ((h.attributes & PT_BATCH_COMPRESSION_MASK) == PT_CODEC_ZSTD && version < ZSTD_FROM_VERSION)
	{
		*message = "zstd needs version 7 of the produce request.";
		return KERR_UNSUPPORTED_COMPRESSION_TYPE;
	}
	return KERR_NONE;
}

/*
 * Counts the partitions of the request.
 */
static int
count_partitions(const ProduceRequest *in)
{
	int			n = 0;

	for (int i = 0; i < in->topic_data.n; i++)
		n += in->topic_data.items[i].partition_data.n;
	return n;
}

/*
 * Returns true if a batch belongs to a transaction.  As in Kafka, this and
 * not the transactional id makes a request transactional.
 */
static bool
is_transactional(const ProduceRequest *in)
{
	for (int i = 0; i < in->topic_data.n; i++)
	{
		const ProduceTopic *topic = &in->topic_data.items[i];

		for (int j = 0; j < topic->partition_data.n; j++)
		{
			const KafkaRecords *records = &topic->partition_data.items[j].records;
			PtBatchHeader h;

			if (records->len > 0 && pt_batch_header_read(records->data, records->len, &h) == PT_BATCH_OK &&
				h.magic == PT_BATCH_MAGIC && (h.attributes & PT_BATCH_TRANSACTIONAL))
				return true;
		}
	}
	return false;
}

/*
 * Makes an item for a partition, or sets its error in the response.
 */
static void
add_partition(KafkaCall *call, const ProducePartition *in, Oid relid, int16 error,
			  ProducePartitionResponse *out)
{
	ProduceState *state = call->state;
	const char *message = NULL;
	PtProduce  *item;

	out->index = in->index;
	if (error == KERR_NONE)
		error = check_batch(&in->records, call->api_version, &message);
	if (error != KERR_NONE)
	{
		set_error(out, error, message);
		return;
	}
	Assert(OidIsValid(relid) && in->records.len > 0);
	state->targets[call->nproduce] = out;
	item = &call->produce[call->nproduce++];
	item->relid = relid;
	item->role = call->session->role;
	item->data = unconstify(char *, in->records.data);	/* the frame is ours to
														 * patch */
	item->length = in->records.len;
	item->base_offset = -1;
	item->append_time = -1;
	item->start_offset = -1;
}

/*
 * Makes the response in the form of the request.  If "add" is set, it makes
 * an item for each partition; otherwise all partitions get the error.
 */
static void
walk_request(KafkaCall *call, int16 error, const char *message, bool add)
{
	const ProduceRequest *in = call->request;
	ProduceResponse *out = call->response;
	bool		by_id = call->api_version >= 13;
	KafkaLookup lookup = {.call = call,.op = PT_OP_WRITE};

	Assert(add == (error == KERR_NONE));
	KAFKA_RESIZE(call, out->responses, ProduceTopicResponse, in->topic_data.n);
	for (int i = 0; i < in->topic_data.n; i++)
	{
		const ProduceTopic *topic = &in->topic_data.items[i];
		ProduceTopicResponse *result = &out->responses.items[i];

		result->name = topic->name;
		result->topic_id = topic->topic_id;
		KAFKA_RESIZE(call, result->partition_responses, ProducePartitionResponse, topic->partition_data.n);
		for (int j = 0; j < topic->partition_data.n; j++)
		{
			const ProducePartition *partition = &topic->partition_data.items[j];
			ProducePartitionResponse *target = &result->partition_responses.items[j];
			int16		code;
			Oid			relid;

			target->index = partition->index;
			if (!add)
			{
				set_error(target, error, message);
				continue;
			}
			relid = kafka_lookup(&lookup, topic->name, by_id ? &topic->topic_id : NULL,
								 partition->index, &code);
			/* clients may not write committed offsets this way */
			if (lookup.internal && code != KERR_TOPIC_AUTHORIZATION_FAILED)
				code = KERR_INVALID_TOPIC_EXCEPTION;
			add_partition(call, partition, relid, code, target);
		}
	}
}

/*
 * Answers the request.  With acks=0 there is no response; an error closes the
 * connection instead, so that the client asks for metadata again.
 */
static KafkaOutcome
finish(KafkaCall *call)
{
	ProduceResponse *out = call->response;

	if (call->acks != 0)
		return KAFKA_REPLY;
	for (int i = 0; i < out->responses.n; i++)
	{
		const ProduceTopicResponse *topic = &out->responses.items[i];

		for (int j = 0; j < topic->partition_responses.n; j++)
		{
			int16		code = topic->partition_responses.items[j].error_code;

			if (code != KERR_NONE)
			{
				call->problem = psprintf("Produce request with acks=0 failed: %s", kafka_error_name(code));
				return KAFKA_CLOSE;
			}
		}
	}
	return KAFKA_NO_REPLY;
}

/*
 * Names the records that were refused.  A client fails these and may send the
 * others again.
 */
static void
name_refused(KafkaCall *call, const PtProduce *item, ProducePartitionResponse *out)
{
	PtRefusedRecord *refused;
	int32		n = pt_refused_records(item, &refused);

	Assert(n == 0 || out->error_code != KERR_NONE);
	KAFKA_RESIZE(call, out->record_errors, ProduceRecordError, n);
	for (int32 i = 0; i < n; i++)
	{
		out->record_errors.items[i].batch_index = refused[i].index;
		out->record_errors.items[i].batch_index_error_message = kafka_string(refused[i].why);
	}
}

/*
 * Sets the result of a partition.  As in Kafka, the start of the log is told
 * unless the error says nothing about the log.
 */
static void
set_result(KafkaCall *call, const PtProduce *item, ProducePartitionResponse *out)
{
	int16		code = kafka_error_from_batch(item);

	if (item->status == PT_NOT_STAGED)
		code = (int16) txn_error_for((TxnError) code, call->api_key, call->api_version);
	if (code != KERR_NONE)
		set_error(out, code, item->message[0] ? item->message : NULL);
	else
	{
		out->base_offset = item->base_offset;
		out->log_append_time_ms = item->append_time;
	}
	if (code != KERR_MESSAGE_TOO_LARGE && code != KERR_CORRUPT_MESSAGE && code != KERR_KAFKA_STORAGE_ERROR)
		out->log_start_offset = item->start_offset;
	name_refused(call, item, out);
}

/*
 * Stages the batches of a transaction.  The answer waits for nothing.
 */
static void
stage(KafkaCall *call)
{
	const ProduceRequest *in = call->request;
	ProduceState *state = call->state;

	pt_produce_stage(call->produce, call->nproduce, in->transactional_id,
					 call->api_version >= TRANSACTIONS_V2_FROM_VERSION);
	for (int i = 0; i < call->nproduce; i++)
		set_result(call, &call->produce[i], state->targets[i]);
	call->nproduce = 0;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
produce_begin(KafkaCall *call)
{
	const ProduceRequest *in = call->request;
	int			n = count_partitions(in);
	ProduceState *state = palloc(sizeof(ProduceState));
	bool		transactional = is_transactional(in);

	call->acks = in->acks;
	call->state = state;
	if (in->acks < -1 || in->acks > 1)
	{
		walk_request(call, KERR_INVALID_REQUIRED_ACKS, NULL, false);
		return KAFKA_REPLY;
	}
	if (transactional && !(in->transactional_id.len > 0 &&
						   kafka_may_transactional_id(call, in->transactional_id, PT_OP_WRITE)))
	{
		walk_request(call, KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_TRANSACTIONAL_ID, false);
		return finish(call);
	}
	state->targets = MemoryContextAllocHuge(call->mcxt, sizeof(*state->targets) * Max(n, 1));
	call->produce = MemoryContextAllocHuge(call->mcxt, sizeof(PtProduce) * Max(n, 1));
	memset(call->produce, 0, sizeof(PtProduce) * n);
	walk_request(call, KERR_NONE, NULL, true);
	if (call->nproduce == 0)
		return finish(call);
	if (transactional)
	{
		stage(call);
		return finish(call);
	}

	/*
	 * until then the server tries again while another transaction has a
	 * partition locked
	 */
	call->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Max(in->timeout_ms, 0));
	return KAFKA_APPEND;
}

/*
 * KafkaHandler.resume: the batches have been appended.
 */
static KafkaOutcome
produce_resume(KafkaCall *call, bool timed_out)
{
	ProduceState *state = call->state;

	Assert(state != NULL && call->nproduce > 0);
	for (int i = 0; i < call->nproduce; i++)
		set_result(call, &call->produce[i], state->targets[i]);
	return finish(call);
}

/*
 * KafkaHandler.fail
 */
static void
produce_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, code, message, false);
}

const KafkaHandler kafka_handler_produce = {
	.begin = produce_begin,
	.resume = produce_resume,
	.fail = produce_fail
};

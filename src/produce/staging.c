/*-------------------------------------------------------------------------
 *
 * staging.c
 *	  Batches of Kafka transactions, when they come.
 *
 * They are verified like others, and refused by the rules of their topic.
 * Whether their transaction takes them, and where they are kept until it ends,
 * the stage room knows.  Nothing is locked, and nothing written to a log.
 *
 * Siblings: together.c (how they get to the logs), produce.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "fetch/fetch.h"
#include "record/compress.h"
#include "produce/internal.h"
#include "stage/stage.h"
#include "topic/timestamp.h"

/*
 * The end of the partition's log, from which the answer's offset counts; 0
 * where it is not at hand: the answer is a lower bound anyway.
 */
static int64
log_end(PtProduce *item)
{
	PtLogState *log;
	int64		end;

	if (pt_log_find(item->relid, true, &log) != PT_OK)
		return 0;
	end = pt_state_committed_end(log).offset;
	item->start_offset = pt_log_start_offset(log);
	pt_state_release(log);
	return end;
}

/* Does the topic take the batch?  Else the item has its answer. */
static bool
admit(PtProduce *item)
{
	int64		now = pt_now_ms();
	int32		partition;
	const PtTopic *topic = pt_topic_by_leaf(item->relid, &partition);
	PtTopicConfig config;
	PtRecordRules rules;

	if (topic == NULL)
	{
		pt_produce_reject(item, PT_UNKNOWN_PARTITION, NULL);
		return false;
	}
	config = topic->config;
	rules = pt_record_rules(&config, now);
	if (item->header.producer_id < 0 || item->header.producer_epoch < 0 || item->header.base_sequence < 0)
		pt_produce_reject(item, PT_INVALID_RECORD, "a transactional batch must have a producer, and a sequence number");
	else if (pt_produce_fits(&config, item) && pt_check_rules(item, &rules) && config.log_append_time)
		item->append_time = now;
	return item->status == PT_OK;
}

static void
stage_item(PtProduce *item, PtString transactional_id, bool v2)
{
	PtStageBatch batch = {
		.leaf = item->relid,
		.role = item->role,
		.data = item->data,
		.length = item->length,
		.header = &item->header,
		.records = &item->records,
		.log_end = log_end(item)
	};
	bool		out_of_order;
	TxnError	error = pt_stage_batch(&batch, transactional_id, v2, &item->base_offset, &out_of_order);

	if (error != TXN_NONE)
	{
		pt_produce_reject(item, PT_NOT_STAGED, NULL);
		item->txn_error = (int16) error;
	}
	else if (out_of_order)
		pt_produce_reject(item, PT_OUT_OF_ORDER_SEQUENCE, NULL);
}

void
pt_produce_stage(PtProduce *items, int n, PtString transactional_id, bool v2)
{
	Assert(IsTransactionState());
	for (int i = 0; i < n; i++)
	{
		if (pt_produce_verify(&items[i], true) && admit(&items[i]))
			stage_item(&items[i], transactional_id, v2);
		if (items[i].status != PT_OK)
			pt_produce_count(PT_BATCHES_REFUSED, 1);
	}
}

/* A batch of one record, in the current memory context. */
void
pt_produce_record(PtProduce *item, Oid leaf, PtString key, PtString value)
{
	PtRecord	record = {
		.timestamp = pt_now_ms(),
		.key = key.data,
		.key_len = key.len,
		.value = value.len >= 0 ? value.data : NULL,
		.value_len = value.len
	};
	PtBatchBuilder builder = {0};
	const char *data;
	size_t		len;

	Assert(OidIsValid(leaf) && key.len >= 0);
	pt_builder_start(&builder);
	(void) pt_builder_add(&builder, 0, &record);
	data = pt_builder_finish(&builder, PT_CODEC_NONE, 0, &len);
	memset(item, 0, sizeof(*item));
	item->relid = leaf;
	item->data = memcpy(palloc(len), data, len);
	item->length = (uint32) len;
	item->base_offset = item->append_time = item->start_offset = -1;
	pt_builder_free(&builder);
}

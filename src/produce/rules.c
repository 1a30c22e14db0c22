/*-------------------------------------------------------------------------
 *
 * rules.c
 *	  What a topic asks of each record of a batch: a key, and a timestamp
 *	  within bounds.
 *
 * What the records of a batch have in common, which is known since they were
 * verified, shows for nearly every batch that all obey.  Only where it does
 * not are the records walked through again.  A batch goes in as a whole or not
 * at all; its producer is told which records are to blame, so that it can send
 * the others again.
 *
 * Sibling: produce.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "produce/internal.h"

/* The timestamp of a record that has none. */
#define NO_TIMESTAMP	(-1)

/* What is wrong with a record; also what is told to its producer. */
static const char *const broken[] = {
	[PT_RULE_KEY] = "records of a compacted topic must have a key",
	[PT_RULE_EARLIEST] = "timestamp is beyond message.timestamp.before.max.ms",
	[PT_RULE_LATEST] = "timestamp is beyond message.timestamp.after.max.ms",
};

/* The rules of a topic, for batches that come now (ms). */
PtRecordRules
pt_record_rules(const PtTopicConfig *config, int64 now)
{
	PtRecordRules rules = {
		.keyed = (config->cleanup_policy & PT_CLEANUP_COMPACT) != 0,
		.earliest = PG_INT64_MIN,
		.latest = PG_INT64_MAX
	};

	Assert(now > 0);
	if (config->log_append_time)
		return rules;
	if (config->timestamp_before_max_ms < now)
		rules.earliest = now - config->timestamp_before_max_ms;
	if (config->timestamp_after_max_ms < PG_INT64_MAX - now)
		rules.latest = now + config->timestamp_after_max_ms;
	return rules;
}

/* The first rule that a record breaks. */
static PtRecordRule
rule_broken(const PtRecordRules *rules, const PtRecord *record)
{
	if (rules->keyed && record->key == NULL)
		return PT_RULE_KEY;
	if (record->timestamp == NO_TIMESTAMP)
		return PT_RULE_NONE;
	if (record->timestamp < rules->earliest)
		return PT_RULE_EARLIEST;
	return record->timestamp > rules->latest ? PT_RULE_LATEST : PT_RULE_NONE;
}

/* Calls back for each record that breaks a rule; returns how many do. */
static int32
walk_broken(const PtRecordRules *rules, const char *data, uint32 length,
			void (*callback) (void *arg, int32 index, PtRecordRule rule), void *arg)
{
	PtRecordIter it;
	PtRecord	record;
	int32		n = 0;
	PtBatchStatus status = pt_record_iter_begin(&it, data, length, PT_RECORDS_BYTES_MAX);

	for (int32 i = 0; status == PT_BATCH_OK && (status = pt_record_iter_next(&it, &record)) == PT_BATCH_OK; i++)
	{
		PtRecordRule rule = rule_broken(rules, &record);

		if (rule == PT_RULE_NONE)
			continue;
		callback(arg, i, rule);
		n++;
	}
	pt_record_iter_end(&it);
	return n;
}

/* As in Kafka, a wrong timestamp says more than a missing key. */
static void
keep_worst(void *arg, int32 index, PtRecordRule rule)
{
	PtRecordRule *worst = arg;

	*worst = Max(*worst, rule);
}

/*
 * Do all records of a verified batch obey the rules?  Else the item gets its
 * status and message, and keeps the rules for pt_refused_records.
 */
bool
pt_check_rules(PtProduce *item, const PtRecordRules *rules)
{
	const PtRecordsInfo *info = &item->records;
	PtRecordRule worst = PT_RULE_NONE;

	Assert(item->verified && item->nrefused == 0);
	if (!(rules->keyed && info->keyless) && info->max_timestamp <= rules->latest &&
		(info->min_timestamp >= rules->earliest || info->max_timestamp == NO_TIMESTAMP))
		return true;
	item->nrefused = walk_broken(rules, item->data, item->length, keep_worst, &worst);
	if (item->nrefused == 0)
		return true;
	item->rules = *rules;
	pt_produce_reject(item, worst == PT_RULE_KEY ? PT_INVALID_RECORD : PT_INVALID_TIMESTAMP, broken[worst]);
	return false;
}

typedef struct Refused
{
	PtRefusedRecord *records;
	int32		n;
	int32		max;
} Refused;

static void
add_refused(void *arg, int32 index, PtRecordRule rule)
{
	Refused    *refused = arg;

	if (refused->n == refused->max)
		return;
	refused->records[refused->n].index = index;
	refused->records[refused->n++].why = broken[rule];
}

/*
 * The records that are to blame for an item's status; returns how many.  The
 * list is in the current memory context.  Needs no transaction; the item's
 * batch must still be there.
 */
int32
pt_refused_records(const PtProduce *item, PtRefusedRecord **records)
{
	Refused		refused = {.max = item->nrefused};

	*records = NULL;
	if (item->nrefused == 0)
		return 0;
	Assert(item->status == PT_INVALID_RECORD || item->status == PT_INVALID_TIMESTAMP);
	refused.records = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(PtRefusedRecord) * (Size) item->nrefused);
	(void) walk_broken(&item->rules, item->data, item->length, add_refused, &refused);
	Assert(refused.n == item->nrefused);
	*records = refused.records;
	return refused.n;
}

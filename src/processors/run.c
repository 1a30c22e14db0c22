/*-------------------------------------------------------------------------
 *
 * run.c
 *	  The loop of a processor's worker: read, run the statement, commit.
 *
 * A transaction reads new records of some partitions as consume() does: it
 * locks (group, partition), and moves the group's offsets.  So what the
 * statement has done and how far the group is are committed together, and
 * workers of one processor, which are alike, never have the same partition at
 * once; whoever comes first works on it.
 *
 * While there is nothing to do the worker waits in a transaction without a
 * snapshot and without locks.
 *
 * Siblings: records.c, statement.c, divide.c (what if it fails);
 * ../groups/consume.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "processors/internal.h"
#include "processors/sink.h"
#include "stop_point.h"
#include "topic/types.h"

/* A wait is not longer than this, so that no transaction looks too old. */
#define WAIT_MS_MAX		5000

typedef struct Processor
{
	PtTask	   *task;
	PtProcessorFields fields;
	PtString	group;
	SPIPlanPtr	plan;			/* NULL: not prepared yet */
	MemoryContext mcxt;			/* lives as long as the worker */
	int			next_topic;		/* with which the next batch begins */
	PtConsumeWaits waits;
	uint64		changes;		/* pt_topic_changes() when waits was made */
} Processor;

static void begin(Processor *p, PtTask *task);
static void prepare(Processor *p);
static int	read_batch(Processor *p, PtBatch *batch);
static int	do_batch(Processor *p);
static bool wait_for(Processor *p, int more, int64 ms);
static void gather(Processor *p);
static void settings(const PtTask *task);

/* The session is as the statement was made for. */
static void
settings(const PtTask *task)
{
	const char *search_path = pt_sink_is_ours(task) ? PT_SINK_SEARCH_PATH : pt_task_text(task, "search_path");

	if (search_path != NULL)
		SetConfigOption("search_path", search_path, PGC_USERSET, PGC_S_SESSION);
	/* a transaction that keeps its snapshot would not see new records */
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
}

static void
begin(Processor *p, PtTask *task)
{
	memset(p, 0, sizeof(*p));
	p->task = task;
	p->mcxt = CurrentMemoryContext;
	pt_processor_read(task, &p->fields);
	p->group = pt_string_from_server(p->fields.group);
	pt_consume_waits_begin(&p->waits);
}

/*
 * The plan is made once; the server makes it anew when tables change.  So do
 * we with a statement that was made for a table.
 */
static void
prepare(Processor *p)
{
	SPIPlanPtr	plan;

	p->fields.statement = MemoryContextStrdup(p->mcxt, pt_processor_statement(p->task, &p->fields));
	SPI_connect();
	pt_records_register(pt_records_desc(), NULL);
	plan = pt_statement_prepare(p->fields.statement);
	SPI_keepplan(plan);
	SPI_finish();
	if (p->plan != NULL)
		SPI_freeplan(p->plan);
	p->plan = plan;
}

/*
 * Reads new records of all topics in turn, up to batch_records, and moves the
 * group's offsets.  Returns how many.
 */
static int
read_batch(Processor *p, PtBatch *batch)
{
	int			ntopics = list_length(p->fields.topics);
	int			left = p->fields.batch_records;
	int			first = p->next_topic;

	p->waits.n = 0;
	p->waits.locked_out = false;
	p->changes = pt_topic_changes();
	for (int i = 0; i < ntopics && left > 0; i++)
	{
		int			number = (first + i) % ntopics;
		const char *name = list_nth(p->fields.topics, number);
		const PtTopic *topic = pt_topic_expect_name(pt_string_from_server(name));
		int			n;

		pt_topic_check_access(topic, ACL_SELECT);
		topic = pt_topic_copy(pt_topic_expect(topic->relid));
		pt_batch_topic(batch, topic->name);
		n = pt_consume_now(topic, p->group, left, pt_batch_add, batch, &p->waits);
		if (n > 0)
			p->next_topic = (number + 1) % ntopics;
		left -= n;
	}
	return p->fields.batch_records - left;
}

/*
 * One batch in one transaction.  Returns the number of records; -1: the task
 * is to stop.
 */
static int
do_batch(Processor *p)
{
	const char *error = NULL;
	int64		skipped = 0;
	PtBatch		batch;
	int			n;

	if (!pt_task_begin(p->task))
		return -1;
	PushActiveSnapshot(GetTransactionSnapshot());
	if (p->plan == NULL)
		prepare(p);
	PT_STOP_POINT("processor.prepared");
	pt_batch_begin(&batch);
	n = read_batch(p, &batch);
	if (n > 0 && pt_sink_changed())
		prepare(p);
	PopActiveSnapshot();
	PT_STOP_POINT("processor.read");
	if (n > 0)
	{
		pgstat_report_activity(STATE_RUNNING, p->fields.statement);
		if (pt_processor_stops(&p->fields))
			pt_statement_run(p->plan, batch.desc, batch.rows);
		else
			skipped = pt_batch_divide(p->task, &p->fields, p->plan, &batch, &error);
		PT_STOP_POINT("processor.run");
	}
	if (skipped > 0)
		error = MemoryContextStrdup(p->mcxt, error);
	pt_task_commit(p->task);
	MemoryContextSwitchTo(p->mcxt);
	if (skipped > 0)
	{
		pt_task_skipped(p->task, skipped, error);
		pfree(unconstify(char *, error));
	}
	pt_task_progress(p->task, n, batch.bytes, batch.newest_timestamp_ms, 0);
	return n;
}

/*
 * Waits until a partition has "more" records that were not read yet, or topics
 * have changed, for so long at most.  false: nothing of that has happened.
 */
static bool
wait_for(Processor *p, int more, int64 ms)
{
	TimestampTz deadline;
	bool		moved;

	if (p->waits.locked_out)
		ms = Min(ms, PT_CONSUME_RETRY_MS);
	for (int i = 0; i < p->waits.n; i++)
		p->waits.offsets[i] += more - 1;
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	StartTransactionCommand();
	moved = pt_wait_for_logs(p->waits.leaves, p->waits.offsets, p->waits.n, p->changes, deadline,
							 pt_task_stop_flag(p->task));
	CommitTransactionCommand();
	MemoryContextSwitchTo(p->mcxt);
	for (int i = 0; i < p->waits.n; i++)
		p->waits.offsets[i] -= more - 1;
	return moved;
}

/* There is something: waits for a whole batch, for batch_wait at most. */
static void
gather(Processor *p)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), p->fields.batch_wait_ms);

	while (pt_task_go_on(p->task))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

		if (left <= 0 || wait_for(p, p->fields.batch_records, Min(left, WAIT_MS_MAX)))
			break;
	}
}

void
pt_processor_run(PtTask *task, int worker)
{
	Processor	p;

	settings(task);
	begin(&p, task);
	while (pt_task_go_on(task))
	{
		int			n = do_batch(&p);

		if (n < 0 || n == p.fields.batch_records)
			continue;
		if (wait_for(&p, 1, WAIT_MS_MAX) && p.fields.batch_wait_ms > 0)
			gather(&p);
	}
}

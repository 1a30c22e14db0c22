/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  The changes that come: from messages of the stream to records, and what
 *	  the source's server is told.
 *
 * A transaction of ours takes as many of the source's transactions as have
 * come when nothing more is there, within limits, and never a part of one.
 * Large ones come in pieces while they run, and wait in files (spool.c).
 *
 * What is told as flushed is what the origin has on disk here (origin.c).  The
 * server asks again and again when it shuts down, until all its WAL has been
 * told; and WAL that has nothing for us would be kept for ever in an idle
 * database.  So the origin is moved in a transaction without records when the
 * same is asked twice, or when a lot has gone by.  A standby takes over a
 * failover slot when that needs nothing which the standby does not have any
 * more, so such a slot is to move with the time, too.
 *
 * Siblings: peer.c, pgoutput.c, envelope.c, message.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "storage/latch.h"
#include "topic/timestamp.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "sources/chunks.h"
#include "sources/internal.h"
#include "sources/spool.h"
#include "stop_point.h"

/* A transaction of ours ends, between two of the source's, after so much. */
#define BATCH_RECORDS	10000
#define BATCH_BYTES		(16 * 1024 * 1024)
#define BATCH_MS		200

/* How often the server hears of us at least; at most, while changes come. */
#define TELL_MS			10000
#define TELL_BUSY_MS	1000

/*
 * A failover slot moves after this time, if there was more than so much WAL:
 * what our own moves write at a local source is less.
 */
#define FAILOVER_MS		10000
#define FAILOVER_LOCAL_BYTES	4096

static void error_context(void *arg);
static void handle_row(PtSourceRun *run, const PtPgoutput *message);
static void handle_truncate(PtSourceRun *run, const PtPgoutput *message);
static void handle_message(PtSourceRun *run, const PtPgoutput *message);
static void handle_change(PtSourceRun *run, const PtPgoutput *message);
pg_noreturn static void invalid_message(void);
static void handle_keepalive(PtSourceRun *run, const char *data, int len);
static void tell(PtSourceRun *run, bool ask);
static void start_stream(PtSourceRun *run);
static bool handle(PtSourceRun *run, const char *data, int len);

/*
 * Says which change it was.
 */
static void
error_context(void *arg)
{
	const PtSourceRun *run = arg;

	if (run->table != NULL)
		errcontext("change of table \"%s.%s\" at %X/%X of source \"%s\"", run->table->schema, run->table->name,
				   LSN_FORMAT_ARGS(run->lsn), run->source->name);
	else
		errcontext("change at %X/%X of source \"%s\"", LSN_FORMAT_ARGS(run->lsn), run->source->name);
}

/*
 * Returns the values of a row, palloc'd; NULL if there is none.
 */
static PtPgoutputValue *
row_values(const PtSourceTable *table, const PtPgoutputTuple *tuple)
{
	PtPgoutputValue *values;
	const char *p = tuple->values;

	if (tuple->kind == 0)
		return NULL;
	if (tuple->n != table->ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("row of table \"%s.%s\" has %d columns instead of %d",
						table->schema, table->name, tuple->n, table->ncolumns)));
	values = palloc(sizeof(PtPgoutputValue) * Max(tuple->n, 1));
	for (int i = 0; i < tuple->n; i++)
		p = pt_pgoutput_value(p, &values[i]);
	return values;
}

static void
handle_row(PtSourceRun *run, const PtPgoutput *message)
{
	PtSourceTable *table = pt_table_find(run, message->id);
	char		op = message->type == PT_PGOUTPUT_INSERT ? 'c' : message->type == PT_PGOUTPUT_UPDATE ? 'u' : 'd';

	const PtPgoutputValue *old = row_values(table, &message->old);
	const PtPgoutputValue *new = row_values(table, &message->new);

	/* an update that makes no record is not what comes instead of the row */
	if (op != 'u' || !run->source->updates_skipped)
		pt_chunks_change(run, message->id, table, old, new);
	pt_envelope_change(run, table, op, old, message->old.kind, new);
}

static void
handle_truncate(PtSourceRun *run, const PtPgoutput *message)
{
	const char *p = message->tables;

	for (int i = 0; i < message->ntables; i++)
	{
		uint32		id;

		p = pt_pgoutput_table(p, &id);
		pt_chunks_truncate(run, id);
		pt_envelope_truncate(run, pt_table_find(run, id));
	}
}

/*
 * A message that is in no transaction is one of its own.  What it tells as its
 * place is where its record in the WAL ends.  We go on there, and not further:
 * the next record may be the commit of a transaction.
 */
static void
handle_message(PtSourceRun *run, const PtPgoutput *message)
{
	if (!run->receiving)
	{
		run->xid = 0;
		run->committed = GetCurrentTimestamp();
		run->commit_ts = run->committed;
		run->commit_ms = pt_timestamptz_to_ms(run->committed);
		run->end_lsn = message->lsn;
	}
	pt_source_message(run, message);
}

/*
 * ERROR unless the message is where it may be.
 */
static void
check_order(const PtSourceRun *run, const PtPgoutput *message)
{
	bool		expected = true;

	switch (message->type)
	{
		case PT_PGOUTPUT_BEGIN:
		case PT_PGOUTPUT_STREAM_START:
		case PT_PGOUTPUT_STREAM_COMMIT:
		case PT_PGOUTPUT_STREAM_ABORT:
			expected = false;
			break;
		case PT_PGOUTPUT_MESSAGE:
			expected = message->transactional;
			break;
		default:
			break;
	}
	if (run->receiving != expected || message->type == PT_PGOUTPUT_STREAM_STOP)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("unexpected message \"%c\" in the stream of changes", message->type)));
}

pg_noreturn static void
invalid_message(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("invalid message in the stream of changes")));
}

/*
 * What a transaction is, and when it was committed.
 */
static void
begin_transaction(PtSourceRun *run, const PtPgoutput *message)
{
	run->receiving = true;
	run->xid = message->xid;
	run->commit_ts = message->time;
	run->commit_ms = pt_timestamptz_to_ms(message->time);
	pt_chunks_transaction(run);
}

static void
end_transaction(PtSourceRun *run, const PtPgoutput *message)
{
	run->receiving = false;
	run->end_lsn = message->end_lsn;
	run->committed = message->time;
}

/*
 * A change, or what is said of a table, in our transaction.
 */
static void
handle_change(PtSourceRun *run, const PtPgoutput *message)
{
	bool		skip = run->lsn == run->source->skip_lsn;

	run->table = NULL;
	switch (message->type)
	{
		case PT_PGOUTPUT_RELATION:
			pt_table_relation(run, message);
			break;
		case PT_PGOUTPUT_TYPE:
			pt_table_type(run, message);
			break;
		case PT_PGOUTPUT_INSERT:
		case PT_PGOUTPUT_UPDATE:
		case PT_PGOUTPUT_DELETE:
			if (!skip)
				handle_row(run, message);
			break;
		case PT_PGOUTPUT_TRUNCATE:
			if (!skip)
				handle_truncate(run, message);
			break;
		case PT_PGOUTPUT_MESSAGE:
			if (!skip)
				handle_message(run, message);
			break;
		default:				/* the origin */
			break;
	}
}

/*
 * A transaction that came in pieces has committed: all that has come of it is
 * done now, but for what was rolled back.  It may take long, so the server is
 * told that we live, and a worker that is to stop ends.
 */
static void
replay(PtSourceRun *run, const PtPgoutput *commit)
{
	bool		aborted;
	char	   *data;
	int			len;

	begin_transaction(run, commit);
	pt_spool_rewind(run, commit->xid);
	while ((data = pt_spool_next(run, commit->xid, &run->lsn, &len, &aborted)) != NULL)
	{
		PtPgoutput	message;

		CHECK_FOR_INTERRUPTS();
		if (*pt_task_stop_flag(run->task))
			pt_task_quit(run->task);
		if (!pt_pgoutput_read_streamed(data, len, &message))
			invalid_message();
		if (!aborted)
			handle_change(run, &message);
		MemoryContextReset(run->mcxt);
		if (TimestampDifferenceExceeds(run->told_at, GetCurrentTimestamp(), TELL_BUSY_MS))
			tell(run, false);
	}
	pt_spool_close(run, commit->xid);
	end_transaction(run, commit);
}

/*
 * A message that is in no piece of a transaction in progress, and needs our
 * transaction.  In the memory context that is reset after each one.
 */
static void
handle_committed(PtSourceRun *run, const char *data, int len)
{
	PtPgoutput	message;

	if (!pt_pgoutput_read(data, len, &message))
		invalid_message();
	check_order(run, &message);
	switch (message.type)
	{
		case PT_PGOUTPUT_BEGIN:
			begin_transaction(run, &message);
			break;
		case PT_PGOUTPUT_COMMIT:
			end_transaction(run, &message);
			break;
		case PT_PGOUTPUT_STREAM_COMMIT:
			replay(run, &message);
			break;
		default:
			handle_change(run, &message);
	}
}

/*
 * A message of a piece of a transaction in progress.
 */
static void
handle_piece(PtSourceRun *run, const char *data, int len)
{
	PtPgoutput	message;

	if (!pt_pgoutput_read_streamed(data, len, &message) ||
		(message.type == PT_PGOUTPUT_MESSAGE && !message.transactional))
		invalid_message();
	if (message.type == PT_PGOUTPUT_STREAM_STOP)
		run->streaming = 0;
	else if (message.type != PT_PGOUTPUT_ORIGIN)
		pt_spool_add(run, run->streaming, message.xid, run->lsn, data, len);
}

/*
 * A piece of a transaction in progress begins, or something of one is rolled
 * back.
 */
static void
handle_progress(PtSourceRun *run, const char *data, int len)
{
	PtPgoutput	message;

	if (!pt_pgoutput_read(data, len, &message))
		invalid_message();
	check_order(run, &message);
	if (message.type == PT_PGOUTPUT_STREAM_ABORT)
		pt_spool_abort(run, message.xid, message.subxid);
	else
	{
		pt_spool_open(run, message.xid);
		run->streaming = message.xid;
	}
}

/*
 * A message of pgoutput.  Returns false if the task is to stop.
 */
static bool
handle_output(PtSourceRun *run, const char *data, int len)
{
	char		type = len > 0 ? data[0] : '\0';
	MemoryContext old;

	if (run->streaming != 0)
	{
		handle_piece(run, data, len);
		return true;
	}
	if (type == PT_PGOUTPUT_STREAM_START || type == PT_PGOUTPUT_STREAM_ABORT)
	{
		handle_progress(run, data, len);
		return true;
	}
	if (!IsTransactionState() && !pt_source_begin(run))
		return false;
	old = MemoryContextSwitchTo(run->mcxt);
	handle_committed(run, data, len);
	MemoryContextSwitchTo(old);
	MemoryContextReset(run->mcxt);
	return true;
}

/*
 * Tells the server what has come and what is on disk, and may ask for an
 * answer.
 */
static void
tell(PtSourceRun *run, bool ask)
{
	StringInfoData out;

	run->received = Max(run->received, run->confirmed);
	run->told = run->received;
	run->told_at = GetCurrentTimestamp();
	initStringInfo(&out);
	pq_sendbyte(&out, 'r');
	pq_sendint64(&out, run->received);
	pq_sendint64(&out, run->confirmed);
	pq_sendint64(&out, run->confirmed);
	pq_sendint64(&out, run->told_at);
	pq_sendbyte(&out, ask);
	pt_peer_send(run->remote, out.data, out.len);
	pfree(out.data);
}

/*
 * A query takes long: the stream's server is told that we live.
 */
static void
alive(void *arg)
{
	tell(arg, false);
}

/*
 * The server tells how far it has come, and may want an answer.
 */
static void
handle_keepalive(PtSourceRun *run, const char *data, int len)
{
	StringInfoData in = {.data = unconstify(char *, data),.len = len,.maxlen = len,.cursor = 1};
	XLogRecPtr	end = pq_getmsgint64(&in);
	bool		asked;

	(void) pq_getmsgint64(&in);
	asked = pq_getmsgbyte(&in) != 0;
	run->received = Max(run->received, end);
	if (!asked)
		return;
	if (!IsTransactionState() && end > run->confirmed && end <= run->told)
		(void) pt_source_confirm(run, end);
	tell(run, false);
}

/*
 * Handles a message of the stream; false if the task is to stop.
 */
static bool
handle(PtSourceRun *run, const char *data, int len)
{
	StringInfoData in = {.data = unconstify(char *, data),.len = len,.maxlen = len,.cursor = 0};

	switch (pq_getmsgbyte(&in))
	{
		case 'w':
			run->lsn = pq_getmsgint64(&in);
			(void) pq_getmsgint64(&in);
			(void) pq_getmsgint64(&in);
			return handle_output(run, data + in.cursor, len - in.cursor);
		case 'k':
			handle_keepalive(run, data, len);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("invalid message in the stream of changes")));
	}
	return true;
}

/*
 * Returns whether our transaction has taken enough.
 */
static bool
batch_is_full(const PtSourceRun *run)
{
	return run->records >= BATCH_RECORDS || run->bytes >= BATCH_BYTES ||
		TimestampDifferenceExceeds(run->began, GetCurrentTimestamp(), BATCH_MS);
}

/*
 * Returns when something is to be done about a server that says nothing.
 */
static TimestampTz
patience(const PtSourceRun *run)
{
	if (wal_receiver_timeout <= 0)
		return DT_NOEND;
	return TimestampTzPlusMilliseconds(run->asked_at ? run->asked_at : run->heard_at, Max(wal_receiver_timeout / 2, 1));
}

/*
 * The server has said nothing for long.  One that lives says something when
 * it is asked; ERROR if it was, and has not.
 */
static void
handle_silence(PtSourceRun *run)
{
	if (run->asked_at != 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the source's server does not answer"),
				 errdetail("Nothing has come for the time of the setting \"wal_receiver_timeout\", %d ms.", wal_receiver_timeout)));
	tell(run, true);
	run->asked_at = run->told_at;
}

/*
 * Is the origin to be moved, though nothing has come for us?
 */
static bool
move_is_due(const PtSourceRun *run)
{
	XLogRecPtr	ours = run->source->connection == NULL ? FAILOVER_LOCAL_BYTES : 0;

	if (run->received >= run->confirmed + PT_SOURCE_IDLE_BYTES)
		return true;
	return run->source->failover && run->received > run->confirmed + ours &&
		TimestampDifferenceExceeds(run->moved_at, GetCurrentTimestamp(), FAILOVER_MS);
}

/*
 * Nothing is there to be read: what is complete is committed and told, then we
 * wait.
 */
static void
idle(PtSourceRun *run)
{
	TimestampTz due;
	int			happened;

	if (IsTransactionState() && !run->receiving)
		pt_source_commit(run);
	if (!IsTransactionState() && move_is_due(run))
		(void) pt_source_confirm(run, run->received);
	if (!IsTransactionState())
		pt_source_measure(run);
	due = TimestampTzPlusMilliseconds(run->told_at, TELL_MS);
	if (run->told != run->received || run->told < run->confirmed || GetCurrentTimestamp() >= due)
		tell(run, false);
	due = Min(Min(TimestampTzPlusMilliseconds(run->told_at, TELL_MS), patience(run)), pt_chunks_retry_at(run));
	due = Min(due, pt_source_measure_due(run));
	happened = pt_task_wait(run->task, WL_SOCKET_READABLE, pt_peer_socket(run->remote),
							TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due) + 1);
	/* somebody may have a table for us; he may also have woken us elsewhere */
	if (happened & (WL_LATCH_SET | WL_TIMEOUT))
		pt_chunks_look(run);
	if (happened == WL_TIMEOUT && GetCurrentTimestamp() >= patience(run))
		handle_silence(run);
	CHECK_FOR_INTERRUPTS();
}

static void
start_stream(PtSourceRun *run)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "START_REPLICATION SLOT %s LOGICAL %X/%X (proto_version %s, publication_names %s",
					 quote_identifier(run->source->slot), LSN_FORMAT_ARGS(run->confirmed),
					 pt_peer_version(run->remote) >= 140000 ? "'2', streaming 'on'" : "'1'",
					 quote_literal_cstr(quote_identifier(run->source->publication)));
	if (run->source->message_prefix != NULL)
		appendStringInfoString(&sql, ", messages 'true'");
	appendStringInfoChar(&sql, ')');
	pt_peer_stream(run->remote, sql.data);
	run->received = run->told = run->confirmed;
	tell(run, false);
	run->heard_at = run->told_at;
}

/*
 * Copies a piece of a table, if there is one to be copied.  Returns false if
 * the task is to stop.
 */
static bool
step(PtSourceRun *run)
{
	ErrorContextCallback context = {.callback = error_context,.arg = run,.previous = error_context_stack};
	bool		go_on;

	run->table = NULL;
	error_context_stack = &context;
	go_on = pt_chunks_step(run);
	error_context_stack = context.previous;
	return go_on;
}

/*
 * Reads changes from run->confirmed on, until the task is to stop.
 */
void
pt_source_stream(PtSourceRun *run)
{
	ErrorContextCallback context = {.callback = error_context,.arg = run,.previous = error_context_stack};

	run->alive = alive;
	start_stream(run);
	pt_chunks_init(run);
	pt_spools_init(run);
	pt_task_progress(run->task, 0, 0, -1, run->confirmed);
	while (IsTransactionState() ? !*pt_task_stop_flag(run->task) : pt_task_go_on(run->task))
	{
		char	   *data;
		int			len;
		bool		go_on;

		/* data may come without end, and then we never wait */
		CHECK_FOR_INTERRUPTS();
		if (!run->receiving && !step(run))
			break;
		len = pt_peer_receive(run->remote, &data);
		if (len == 0)
		{
			idle(run);
			continue;
		}
		run->heard_at = GetCurrentTimestamp();
		run->asked_at = 0;
		error_context_stack = &context;
		go_on = handle(run, data, len);
		error_context_stack = context.previous;
		pt_peer_free(data);
		if (!go_on)
			break;
		if (IsTransactionState() && !run->receiving && batch_is_full(run))
		{
			pt_source_commit(run);
			pt_source_measure(run);
		}
		if (TimestampDifferenceExceeds(run->told_at, GetCurrentTimestamp(), TELL_BUSY_MS))
			tell(run, false);
	}
	AbortOutOfAnyTransaction();
}

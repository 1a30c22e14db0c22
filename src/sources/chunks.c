/*-------------------------------------------------------------------------
 *
 * chunks.c
 *	  Copies a table in chunks while changes stream, as in "DBLog: A Watermark
 *	  Based Change-Data-Capture Framework" (Netflix, 2019).
 *
 * A chunk is the next rows by key, read over a second connection with a
 * snapshot of its own.  A watermark is written behind it into the WAL of the
 * source's server.  When the stream has come there, all that the snapshot has
 * seen has come, and the rows become records, but for those that have changed
 * in the stream since the chunk was read: what came for these is newer, or the
 * same.  The chunk's transaction moves the origin and the progress
 * (progress.c), so a crash repeats and loses nothing.
 *
 * A transaction may have come in the stream before the chunk was read, and yet
 * not be seen by its snapshot: the server tells of it when its commit is on
 * disk, and shows it a moment later, or when a synchronous standby has it.  So
 * those that came since the last chunk must not be running in the snapshot,
 * and before the first one all have ended that ran when the table's turn came.
 * Else the chunk is read again a little later.
 *
 * Siblings: progress.c; stream.c calls us; snapshot.c knows the tables.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "topic/timestamp.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"

#include "guard.h"
#include "sources/chunks.h"
#include "sources/internal.h"
#include "stop_point.h"

/* A chunk has so much, and is taken from the server in such pieces. */
#define CHUNK_ROWS		2000
#define CHUNK_BYTES		(8 * 1024 * 1024)
#define FETCH_ROWS		100

/* How long a chunk waits that could not be read. */
#define RETRY_MS		50

typedef struct ChunkRow
{
	char	   *key;			/* as JSON */
	PtPgoutputValue *values;
	bool		outdated;		/* something newer has come */
} ChunkRow;

/* All of a worker. */
struct PtChunks
{
	bool		look;			/* for a table to copy */
	PtChunkJob *job;			/* NULL: none */
	MemoryContext job_mcxt;
	TimestampTz not_before;		/* for the next try */

	/* which transactions the snapshot must have seen */
	bool		settled;
	uint32		settle_xid;		/* no older one may run; 0: not known yet */
	List	   *came;			/* xids since the last chunk */

	/* the chunk that was read; high is 0 if there is none */
	XLogRecPtr	high;			/* the watermark */
	bool		last;			/* nothing is behind it */
	MemoryContext mcxt;
	Oid			id;
	PtSourceTable *table;
	List	   *key;			/* names of its columns */
	const char *key_text;		/* and what they are */
	int			n;
	int64		bytes;
	ChunkRow  **rows;
	ChunkRow  **by_key;			/* the same, sorted */
};

static void no_chunk(PtChunks *c);
static int	compare_rows(const void *a, const void *b);

void
pt_chunks_init(PtSourceRun *run)
{
	PtChunks   *c = palloc0(sizeof(PtChunks));

	c->look = true;
	c->mcxt = AllocSetContextCreate(run->life, "pgtopic chunk of a source", ALLOCSET_DEFAULT_SIZES);
	c->job_mcxt = AllocSetContextCreate(run->life, "pgtopic table in chunks", ALLOCSET_SMALL_SIZES);
	run->chunks = c;
}

/*
 * There may be a table to copy.
 */
void
pt_chunks_look(PtSourceRun *run)
{
	run->chunks->look = true;
}

static void
no_chunk(PtChunks *c)
{
	c->high = InvalidXLogRecPtr;
	c->n = 0;
	c->bytes = 0;
	c->last = false;
	MemoryContextReset(c->mcxt);
}

/*
 * A transaction comes in the stream.
 */
void
pt_chunks_transaction(PtSourceRun *run)
{
	PtChunks   *c = run->chunks;
	MemoryContext old;

	if (c->job == NULL)
		return;
	old = MemoryContextSwitchTo(c->job_mcxt);
	c->came = lappend_oid(c->came, run->xid);
	MemoryContextSwitchTo(old);
}

/*
 * Which table is next?  Returns false if the task is to stop.
 */
static bool
look_for_job(PtSourceRun *run)
{
	PtChunks   *c = run->chunks;

	if (!pt_task_begin(run->task))
		return false;
	MemoryContextReset(c->job_mcxt);
	c->look = false;
	c->came = NIL;
	c->settled = false;
	c->settle_xid = 0;
	c->not_before = 0;
	c->job = pt_progress_next(run->source->name, c->job_mcxt);
	pt_task_commit(run->task);
	MemoryContextSwitchTo(run->life);
	return true;
}

/*
 * Returns whether the snapshot of the connection's transaction sees all that
 * has come in the stream.
 */
static bool
snapshot_is_good(PtChunks *c, PtPeer *remote)
{
	PtPeerRows *rows = pt_peer_query(remote, "SELECT pg_catalog.txid_snapshot_xmin(s), pg_catalog.txid_snapshot_xmax(s),"
									 " coalesce((SELECT pg_catalog.string_agg(x::text, ',')"
									 " FROM pg_catalog.txid_snapshot_xip(s) x), '')"
									 " FROM pg_catalog.txid_current_snapshot() s", 3);
	uint32		xmin = (uint32) strtoull(pt_peer_value(rows, 0, 0), NULL, 10);
	uint32		xmax = (uint32) strtoull(pt_peer_value(rows, 0, 1), NULL, 10);
	const char *running = pt_peer_value(rows, 0, 2);
	ListCell   *lc;

	if (!c->settled && (int32) (xmin - c->settle_xid) <= 0)
		return false;
	c->settled = true;
	foreach(lc, c->came)
	{
		if ((int32) (lfirst_oid(lc) - xmax) >= 0)
			return false;
	}
	while (*running != '\0')
	{
		char	   *end;
		uint32		xid = (uint32) strtoull(running, &end, 10);

		if (end == running || list_member_oid(c->came, xid))
			return false;
		running = *end == ',' ? end + 1 : end;
	}
	return true;
}

/*
 * Returns the query for the rows behind the last key.  What is behind it and
 * how rows are sorted must be the same order, and a type may have another one
 * in its index than in pg_catalog.
 */
static char *
chunk_query(const PtChunks *c, const PtPeerRows *tables, int i)
{
	const char *filter = pt_peer_value_or_null(tables, i, PT_TABLE_FILTER);
	StringInfoData sql;
	StringInfoData key;
	StringInfoData order;
	ListCell   *lc;

	initStringInfo(&sql);
	initStringInfo(&key);
	initStringInfo(&order);
	foreach(lc, c->key)
	{
		const char *comma = foreach_current_index(lc) > 0 ? ", " : "";
		const char *column = quote_identifier(lfirst(lc));

		appendStringInfo(&key, "%s%s", comma, column);
		appendStringInfo(&order, "%s%s USING OPERATOR(pg_catalog.<)", comma, column);
	}
	appendStringInfo(&sql, "DECLARE pgtopic_chunk NO SCROLL CURSOR FOR SELECT %s FROM %s%s WHERE %s%s%s",
					 pt_peer_value(tables, i, PT_TABLE_COLUMNS),
					 *pt_peer_value(tables, i, PT_TABLE_KIND) == 'p' ? "" : "ONLY ", pt_snapshot_table_name(tables, i),
					 filter ? "(" : "", filter ? filter : "true", filter ? ")" : "");
	if (c->job->last_key != NIL)
	{
		appendStringInfo(&sql, " AND (%s) OPERATOR(pg_catalog.>) (", key.data);
		for_each_from(lc, c->job->last_key, 1)
			appendStringInfo(&sql, "%s%s", foreach_current_index(lc) > 1 ? ", " : "", quote_literal_cstr(lfirst(lc)));
		appendStringInfoChar(&sql, ')');
	}
	appendStringInfo(&sql, " ORDER BY %s", order.data);
	return sql.data;
}

/*
 * Adds a row to the chunk; the current memory context is the chunk's.
 */
static void
add_row(PtSourceRun *run, const PtPeerRow *row)
{
	PtChunks   *c = run->chunks;
	ChunkRow   *copy = palloc0(sizeof(ChunkRow));
	StringInfoData key;

	copy->values = palloc(sizeof(PtPgoutputValue) * Max(row->n, 1));
	for (int i = 0; i < row->n; i++)
	{
		copy->values[i] = row->values[i];
		if (row->values[i].kind == PT_VALUE_TEXT)
		{
			copy->values[i].text.data = pnstrdup(row->values[i].text.data, row->values[i].text.len);
			c->bytes += row->values[i].text.len;
		}
	}
	initStringInfo(&key);
	pt_envelope_key(&key, run, c->table, copy->values);
	copy->key = key.data;
	if (c->rows == NULL)
		c->rows = palloc(sizeof(ChunkRow *) * CHUNK_ROWS);
	c->rows[c->n++] = copy;
}

/*
 * Reads the rows of a chunk through the cursor.
 */
static void
fetch_rows(PtSourceRun *run, PtPeer *remote, const PtPeerRows *tables, int i)
{
	PtChunks   *c = run->chunks;
	List	   *not_null = run->source->schemas ? pt_table_not_null(remote, c->id) : NIL;
	int			before = -1;

	c->table = NULL;
	c->rows = NULL;
	while (c->n < CHUNK_ROWS && c->bytes < CHUNK_BYTES && c->n > before)
	{
		const PtPeerRow *row;

		before = c->n;
		pt_peer_rows_begin(remote, psprintf("FETCH %d FROM pgtopic_chunk", FETCH_ROWS));
		while ((row = pt_peer_rows_next(remote)) != NULL)
		{
			if (c->table == NULL)
				c->table = pt_snapshot_describe(run, tables, i, row, c->key, not_null, false);
			if (c->n >= CHUNK_ROWS || row->n != c->table->ncolumns)
				pt_peer_unexpected(remote);
			add_row(run, row);
		}
	}
	c->last = c->n == before;
}

/*
 * Returns the value of a column in the chunk's last row; NULL if the rows do
 * not have it.
 */
static const PtPgoutputValue *
last_value(const PtChunks *c, const char *column)
{
	for (int i = 0; i < c->table->ncolumns; i++)
	{
		if (strcmp(c->table->columns[i].name, column) == 0)
			return &c->rows[c->n - 1]->values[i];
	}
	return NULL;
}

/*
 * Is all of the key in the rows that were read?
 */
static bool
key_is_there(const PtChunks *c, const PtPeer *remote)
{
	ListCell   *lc;

	foreach(lc, c->n > 0 ? c->key : NIL)
	{
		const PtPgoutputValue *value = last_value(c, lfirst(lc));

		if (value == NULL)
			return false;
		if (value->kind != PT_VALUE_TEXT)
			pt_peer_unexpected(remote);
	}
	return true;
}

/*
 * Returns the names, types and collations of the key's columns.  If they are
 * others than those of a key that is remembered, that says nothing any more.
 */
static char *
describe_key(PtPeer *remote, Oid id, List *key)
{
	StringInfoData text;
	PtPeerRows *rows = pt_peer_query(remote,
									 psprintf("SELECT attname, pg_catalog.format_type(atttypid, NULL), attcollation"
											  " FROM pg_catalog.pg_attribute WHERE attrelid = %u AND attnum > 0"
											  " AND NOT attisdropped", id), 3);
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, key)
	{
		for (int i = 0; i < rows->n; i++)
		{
			if (strcmp(pt_peer_value(rows, i, 0), lfirst(lc)) == 0)
				appendStringInfo(&text, "%s%s %s %s", text.len > 0 ? ", " : "", quote_identifier(lfirst(lc)),
								 pt_peer_value(rows, i, 1), pt_peer_value(rows, i, 2));
		}
	}
	return text.data;
}

/*
 * Remembers the key behind which the next chunk begins.
 */
static void
remember_key(PtChunks *c)
{
	MemoryContext old = MemoryContextSwitchTo(c->job_mcxt);
	ListCell   *lc;

	c->job->last_key = list_make1(pstrdup(c->key_text));
	foreach(lc, c->key)
		c->job->last_key = lappend(c->job->last_key, pstrdup(last_value(c, lfirst(lc))->text.data));
	MemoryContextSwitchTo(old);
}

static int
compare_rows(const void *a, const void *b)
{
	return strcmp((*(ChunkRow *const *) a)->key, (*(ChunkRow *const *) b)->key);
}

/*
 * Reads a chunk in a transaction of the source's server, in the chunk's memory
 * context.  Returns false if it must be tried again; *problem is why never.
 */
static bool
read_rows(PtSourceRun *run, PtPeer *remote, const char **problem)
{
	PtChunks   *c = run->chunks;
	PtPeerRows *tables;
	int			i;

	if (c->settle_xid == 0)
		c->settle_xid = (uint32) strtoull(pt_peer_value(pt_peer_query(remote, "SELECT pg_catalog.txid_current()", 1), 0, 0), NULL, 10);
	pt_peer_command(remote, "BEGIN TRANSACTION READ ONLY ISOLATION LEVEL REPEATABLE READ");
	if (!snapshot_is_good(c, remote))
		return false;
	tables = pt_snapshot_tables(remote, run->source);
	for (i = 0; i < tables->n; i++)
	{
		if (strcmp(pt_peer_value(tables, i, PT_TABLE_SCHEMA), c->job->schema) == 0 &&
			strcmp(pt_peer_value(tables, i, PT_TABLE_NAME), c->job->table) == 0)
			break;
	}
	if (i == tables->n)
	{
		*problem = "the table is not published";
		return false;
	}
	c->id = pt_peer_oid(tables, i, PT_TABLE_OID);
	pt_snapshot_lock(remote, tables, i);
	c->key = pt_table_key(remote, c->id);
	c->key_text = describe_key(remote, c->id, c->key);
	if (c->key == NIL || (c->job->last_key != NIL && (list_length(c->key) != list_length(c->job->last_key) - 1 ||
													  strcmp(c->key_text, linitial(c->job->last_key)) != 0)))
	{
		*problem = c->key == NIL ? "the table has no primary key or replica identity" : "the key of the table has changed";
		return false;
	}
	pt_peer_command(remote, chunk_query(c, tables, i));
	fetch_rows(run, remote, tables, i);
	if (!key_is_there(c, remote))
	{
		*problem = "a column of the key is not published";
		return false;
	}
	pt_peer_command(remote, "COMMIT");
	return true;
}

typedef struct ReadJob
{
	PtSourceRun *run;
	PtPeer	   *remote;
	const char *problem;
	bool		done;
}			ReadJob;

static void
read_job(void *arg)
{
	ReadJob    *job = arg;

	job->done = read_rows(job->run, job->remote, &job->problem);
}

/*
 * Is it an error that the same query would have again, whatever else the
 * source does?
 */
static bool
error_stays(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_INVALID_TRANSACTION_STATE:
			return true;
		default:
			return false;
	}
}

/*
 * The same, but an error that stays is the problem of this table alone.  The
 * connection is closed then, as it may be amid a query.
 */
static bool
try_to_read_rows(PtSourceRun *run, PtPeer *remote, const char **problem)
{
	ReadJob		job = {.run = run,.remote = remote};
	ErrorData  *error = pt_guarded(read_job, &job);

	if (error != NULL)
	{
		if (!error_stays(error))
			ReThrowError(error);
		pt_peer_close(remote);
		run->lookups = NULL;
		job.done = false;
		job.problem = MemoryContextStrdup(run->chunks->job_mcxt, error->message);
	}
	*problem = job.problem;
	return job.done;
}

/*
 * Writes the watermark.  It is in a transaction, so that it is flushed.
 */
static XLogRecPtr
watermark(PtPeer *remote)
{
	PtPeerRows *rows = pt_peer_query(remote, "SELECT pg_catalog.pg_logical_emit_message(true, 'pgtopic.watermark', '')", 1);

	return DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(pt_peer_value(rows, 0, 0))));
}

/*
 * The table cannot be copied.  Returns false if the task is to stop.
 */
static bool
give_up(PtSourceRun *run, const char *problem)
{
	PtChunks   *c = run->chunks;

	if (!pt_task_begin(run->task))
		return false;
	pt_progress_give_up(run->source->name, c->job, problem);
	pt_task_commit(run->task);
	MemoryContextSwitchTo(run->life);
	ereport(WARNING,
			(errmsg("table \"%s.%s\" of source \"%s\" is not copied: %s", c->job->schema, c->job->table, run->source->name, problem)));
	c->job = NULL;
	c->look = true;
	return true;
}

/*
 * Reads the next chunk; false if the task is to stop.  No transaction of ours
 * is open, as queries must not wait for it.
 */
static bool
read_chunk(PtSourceRun *run)
{
	PtChunks   *c = run->chunks;
	PtPeer	   *remote = pt_source_lookups(run);
	const char *problem = NULL;
	bool		done;

	no_chunk(c);
	if (!pt_task_begin(run->task))
		return false;
	/* types are looked up here */
	MemoryContextSwitchTo(c->mcxt);
	done = try_to_read_rows(run, remote, &problem);
	MemoryContextSwitchTo(run->life);
	pt_task_commit(run->task);
	MemoryContextSwitchTo(run->life);
	if (!done)
	{
		if (run->lookups != NULL)
			pt_peer_command(remote, "ROLLBACK");
		no_chunk(c);
		c->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_MS);
		return problem == NULL || give_up(run, problem);
	}
	if (c->n > 0)
	{
		remember_key(c);
		c->by_key = MemoryContextAlloc(c->mcxt, sizeof(ChunkRow *) * c->n);
		memcpy(c->by_key, c->rows, sizeof(ChunkRow *) * c->n);
		qsort(c->by_key, c->n, sizeof(ChunkRow *), compare_rows);
	}
	list_free(c->came);
	c->came = NIL;
	PT_STOP_POINT("source.chunk_read");
	c->high = watermark(remote);
	return true;
}

/*
 * Marks the row of the chunk that has this key.
 */
static void
outdate(PtSourceRun *run, const PtSourceTable *table, const PtPgoutputValue *values)
{
	PtChunks   *c = run->chunks;
	StringInfoData key;
	ChunkRow	wanted;
	ChunkRow   *wanted_p = &wanted;
	ChunkRow  **found;

	initStringInfo(&key);
	pt_envelope_key(&key, run, table, values);
	wanted.key = key.data;
	found = bsearch(&wanted_p, c->by_key, c->n, sizeof(ChunkRow *), compare_rows);
	if (found != NULL)
		(*found)->outdated = true;
	pfree(key.data);
}

/*
 * A row changes in the stream.
 */
void
pt_chunks_change(PtSourceRun *run, Oid id, const PtSourceTable *table,
				 const PtPgoutputValue *old, const PtPgoutputValue *new)
{
	const PtChunks *c = run->chunks;

	if (c->high == InvalidXLogRecPtr || c->n == 0 || id != c->id)
		return;
	if (old != NULL)
		outdate(run, table, old);
	if (new != NULL)
		outdate(run, table, new);
}

void
pt_chunks_truncate(PtSourceRun *run, Oid id)
{
	PtChunks   *c = run->chunks;

	for (int i = 0; id == c->id && i < c->n; i++)
		c->rows[i]->outdated = true;
}

/*
 * Makes records of the chunk's rows that are not outdated, and commits.
 * Returns false if the task is to stop.
 */
static bool
emit_chunk(PtSourceRun *run)
{
	PtChunks   *c = run->chunks;
	int64		rows = 0;

	if (!IsTransactionState())
	{
		if (!pt_source_begin(run))
			return false;
		run->committed = GetCurrentTimestamp();
	}
	if (run->end_lsn == InvalidXLogRecPtr)
		run->end_lsn = Max(run->received, run->confirmed);
	run->xid = 0;
	run->lsn = c->high;
	run->commit_ts = GetCurrentTimestamp();
	run->commit_ms = pt_timestamptz_to_ms(run->commit_ts);
	run->in_chunk = true;
	MemoryContextSwitchTo(run->mcxt);
	for (int i = 0; i < c->n; i++)
	{
		if (c->rows[i]->outdated)
			continue;
		pt_envelope_change(run, c->table, 'r', NULL, 0, c->rows[i]->values);
		MemoryContextReset(run->mcxt);
		rows++;
	}
	run->in_chunk = false;
	run->table = NULL;
	pt_progress_chunk(run->source->name, c->job, rows, c->last);
	MemoryContextSwitchTo(run->life);
	MemoryContextReset(run->mcxt);
	PT_STOP_POINT("source.chunk_made");
	pt_source_commit(run);
	if (c->last)
	{
		c->job = NULL;
		c->look = true;
	}
	no_chunk(c);
	return true;
}

/*
 * Returns when there is something to do though nothing comes in the stream.
 */
TimestampTz
pt_chunks_retry_at(const PtSourceRun *run)
{
	const PtChunks *c = run->chunks;

	return c->job != NULL && c->high == InvalidXLogRecPtr ? c->not_before : DT_NOEND;
}

/*
 * Does what can be done between two transactions of the source.  Returns false
 * if the task is to stop.
 */
bool
pt_chunks_step(PtSourceRun *run)
{
	PtChunks   *c = run->chunks;
	XLogRecPtr	here = IsTransactionState() ? Max(run->end_lsn, run->received) : Max(run->received, run->confirmed);

	Assert(!run->receiving);
	if (c->high != InvalidXLogRecPtr && here >= c->high && !emit_chunk(run))
		return false;
	if (IsTransactionState())
		return true;
	if (c->look && c->job == NULL && !look_for_job(run))
		return false;
	if (c->job != NULL && c->high == InvalidXLogRecPtr && GetCurrentTimestamp() >= c->not_before)
		return read_chunk(run);
	return true;
}

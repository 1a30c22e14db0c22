/*-------------------------------------------------------------------------
 *
 * snapshot.c
 *	  The rows that are in the tables when a source begins.
 *
 * The slot is made in a transaction of the source's server that sees the rows
 * just as they were where the slot's changes begin.  All of them become
 * records in one transaction of ours, which moves the origin there: whoever
 * reads the topics sees all of them or none.  After an error the slot is made
 * anew, and nothing is left of the attempt.
 *
 * With several connections, which share the snapshot, as many tables are read
 * at a time: their servers' processes work while we take rows of each in turn.
 * How many there were is in pg_stat_progress_copy.
 *
 * Where the snapshot is incremental, only tables without a key are copied so;
 * the others are written down, to be copied in chunks.
 *
 * Siblings: slot.c, envelope.c; stream.c goes on.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "topic/timestamp.h"
#include "utils/backend_progress.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "sources/chunks.h"
#include "sources/internal.h"
#include "stop_point.h"

/* So many rows of a table are taken before it is the next one's turn. */
#define TURN_ROWS	100

/*
 * Returns the tables of the publication, with the columns and the condition
 * of what it publishes.
 */
PtPeerRows *
pt_snapshot_tables(PtPeer *remote, const PtSource *source)
{
	int			version = pt_peer_version(remote);
	const char *generated = version >= 120000 && version < 180000 ? " AND a.attgenerated = ''" : "";
	const char *listed = version >= 150000 ? " AND a.attname = ANY (p.attnames)" : "";

	/*
	 * before 18 no generated column is published; lists of columns, and
	 * conditions, there are since 15
	 */
	return pt_peer_query(remote,
						 psprintf("SELECT p.schemaname, p.tablename, c.oid, c.relkind,"
								  " (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)"
								  " FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0"
								  " AND NOT a.attisdropped%s%s), %s"
								  " FROM pg_catalog.pg_publication_tables p"
								  " JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname"
								  " JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename"
								  " WHERE p.pubname = %s ORDER BY 1, 2",
								  generated, listed, version >= 150000 ? "p.rowfilter" : "NULL",
								  quote_literal_cstr(source->publication)), PT_TABLE_COLUMN_COUNT);
}

/*
 * Returns a table of the list as it is written in statements.
 */
const char *
pt_snapshot_table_name(const PtPeerRows *tables, int i)
{
	return quote_qualified_identifier(pt_peer_value(tables, i, PT_TABLE_SCHEMA), pt_peer_value(tables, i, PT_TABLE_NAME));
}

/*
 * Returns a table of the list with the columns of its first row: as one that
 * the stream knows, or for the current memory context only.
 */
PtSourceTable *
pt_snapshot_describe(PtSourceRun *run, const PtPeerRows *tables, int i, const PtPeerRow *row, List *key, List *not_null,
					 bool known)
{
	Oid			id = pt_peer_oid(tables, i, PT_TABLE_OID);
	const char *schema = pt_peer_value(tables, i, PT_TABLE_SCHEMA);
	const char *name = pt_peer_value(tables, i, PT_TABLE_NAME);
	PtSourceTable *table = known ? pt_table_new(run, id, schema, name, row->n) : palloc(sizeof(PtSourceTable));

	if (!known)
	{
		table->id = id;
		pt_table_init(table, run->source, CurrentMemoryContext, schema, name, row->n);
	}
	for (int c = 0; c < row->n; c++)
	{
		pt_table_column(table, c, row->names[c], pt_value_form(row->types[c]), pt_table_lists(key, row->names[c]));
		table->columns[c].form.typmod = row->typmods[c];
		table->columns[c].not_null = pt_table_lists(not_null, row->names[c]);
	}
	if (run->source->schemas)
		pt_schema_describe(table, run->source);
	return table;
}

/*
 * Locks a table of the list, so that it stays what it is.  ERROR unless its
 * name still stands for it: its owner could have put a view there, which runs
 * his code with our rights.  The functions that are asked see what is, and not
 * what was at the snapshot; a plain table that has become a view has no file.
 */
void
pt_snapshot_lock(PtPeer *remote, const PtPeerRows *tables, int i)
{
	const char *full = pt_snapshot_table_name(tables, i);
	Oid			id = pt_peer_oid(tables, i, PT_TABLE_OID);
	bool		parted = strcmp(pt_peer_value(tables, i, PT_TABLE_KIND), "p") == 0;
	PtPeerRows *rows;

	pt_peer_command(remote, psprintf("LOCK TABLE %s%s IN ACCESS SHARE MODE", parted ? "" : "ONLY ", full));
	rows = pt_peer_query(remote,
						 psprintf("SELECT coalesce(pg_catalog.to_regclass(%s) = %u::pg_catalog.oid"
								  " AND (%s OR pg_catalog.pg_relation_filenode(%u) IS NOT NULL), false)",
								  quote_literal_cstr(full), id, parted ? "true" : "false", id), 1);
	if ((!parted && strcmp(pt_peer_value(tables, i, PT_TABLE_KIND), "r") != 0) || !pt_peer_bool(rows, 0, 0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s is not the table any more that was published", full),
				 errdetail("It was replaced at the source's server while the snapshot was made, which is tried again.")));
}

/*
 * Says whose rows they are.
 */
static void
error_context(void *arg)
{
	const PtSourceRun *run = arg;

	if (run->table != NULL)
		errcontext("row of table \"%s.%s\" in the snapshot at %X/%X of source \"%s\"", run->table->schema, run->table->name,
				   LSN_FORMAT_ARGS(run->lsn), run->source->name);
}

/* A connection that reads a table. */
typedef struct Reader
{
	PtPeer	   *remote;
	int			table;			/* number in the list; -1: none */
	List	   *key;
	List	   *not_null;
	PtSourceTable *described;	/* NULL before the first row */
} Reader;

/*
 * Opens the connections beside the first one, which see what that one sees.
 */
static void
open_readers(PtSourceRun *run, Reader *readers, int n)
{
	const char *snapshot = NULL;

	readers[0].remote = run->remote;
	if (n > 1)
		snapshot = pt_peer_value(pt_peer_query(run->remote, "SELECT pg_catalog.pg_export_snapshot()", 1), 0, 0);
	for (int i = 0; i < n; i++)
	{
		readers[i].table = -1;
		if (i == 0)
			continue;
		readers[i].remote = pt_peer_connect(run->source, run->task);
		pt_peer_command(readers[i].remote, "BEGIN TRANSACTION READ ONLY ISOLATION LEVEL REPEATABLE READ");
		pt_peer_command(readers[i].remote, psprintf("SET TRANSACTION SNAPSHOT %s", quote_literal_cstr(snapshot)));
	}
}

/*
 * Begins to read a table.
 */
static void
begin_table(const PtSourceRun *run, Reader *reader, const PtPeerRows *tables, int i)
{
	const char *columns = pt_peer_value_or_null(tables, i, PT_TABLE_COLUMNS);
	const char *filter = pt_peer_value_or_null(tables, i, PT_TABLE_FILTER);
	Oid			id = pt_peer_oid(tables, i, PT_TABLE_OID);

	reader->table = i;
	reader->described = NULL;
	pt_snapshot_lock(reader->remote, tables, i);
	reader->key = pt_table_key(reader->remote, id);
	reader->not_null = run->source->schemas ? pt_table_not_null(reader->remote, id) : NIL;

	/*
	 * a partitioned table has its rows below it, a plain one may have
	 * children that are tables of their own
	 */
	pt_peer_rows_begin(reader->remote, psprintf("SELECT %s FROM %s%s%s%s", columns ? columns : "",
												*pt_peer_value(tables, i, PT_TABLE_KIND) == 'p' ? "" : "ONLY ",
												pt_snapshot_table_name(tables, i),
												filter ? " WHERE " : "", filter ? filter : ""));
}

/*
 * Makes records of the next rows, while the servers' other processes go on
 * with theirs.  At the end the reader has no table.
 */
static void
copy_some(PtSourceRun *run, Reader *reader, const PtPeerRows *tables)
{
	ErrorContextCallback context = {.callback = error_context,.arg = run,.previous = error_context_stack};

	run->table = NULL;
	error_context_stack = &context;
	for (int n = 0; n < TURN_ROWS && reader->table >= 0; n++)
	{
		const PtPeerRow *row = pt_peer_rows_next(reader->remote);
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		if (row == NULL)
		{
			reader->table = -1;
			break;
		}
		if (reader->described == NULL)
			reader->described = pt_snapshot_describe(run, tables, reader->table, row, reader->key, reader->not_null, true);
		/* the list may have named the table twice */
		if (row->n != reader->described->ncolumns)
			pt_peer_unexpected(reader->remote);
		old = MemoryContextSwitchTo(run->mcxt);
		pt_envelope_change(run, reader->described, 'r', NULL, 0, row->values);
		MemoryContextSwitchTo(old);
		MemoryContextReset(run->mcxt);
	}
	error_context_stack = context.previous;
	pgstat_progress_update_param(PROGRESS_COPY_TUPLES_PROCESSED, run->records);
	pgstat_progress_update_param(PROGRESS_COPY_BYTES_PROCESSED, run->bytes);
}

/*
 * Returns whether a table is to be copied here and now; else it is nobody's,
 * or is written down to be copied in chunks.
 */
static bool
copied_now(const PtSourceRun *run, const PtPeerRows *tables, int i)
{
	Oid			id = pt_peer_oid(tables, i, PT_TABLE_OID);

	if (pt_table_is_ours(run->source, id))
		return false;
	if (!run->source->incremental || pt_table_key(run->remote, id) == NIL)
		return true;
	(void) pt_progress_add(run->source->name, pt_peer_value(tables, i, PT_TABLE_SCHEMA), pt_peer_value(tables, i, PT_TABLE_NAME));
	return false;
}

/*
 * Copies the tables, as many at a time as there are connections.
 */
static void
copy_tables(PtSourceRun *run, const PtPeerRows *tables)
{
	int			n = run->source->readers;
	Reader	   *readers = palloc0(sizeof(Reader) * n);
	bool	   *copied = palloc(sizeof(bool) * Max(tables->n, 1));
	int			next = 0;
	int			busy;

	for (int i = 0; i < tables->n; i++)
		copied[i] = copied_now(run, tables, i);
	open_readers(run, readers, n);
	PT_STOP_POINT("source.copying");
	pgstat_progress_start_command(PROGRESS_COMMAND_COPY, InvalidOid);
	do
	{
		busy = 0;
		for (int i = 0; i < n; i++)
		{
			while (next < tables->n && !copied[next])
				next++;
			if (readers[i].table < 0 && next < tables->n)
				begin_table(run, &readers[i], tables, next++);
			if (readers[i].table < 0)
				continue;
			busy++;
			copy_some(run, &readers[i], tables);
		}
	} while (busy > 0);
	pgstat_progress_end_command();
	for (int i = 1; i < n; i++)
		pt_peer_close(readers[i].remote);
}

/*
 * Makes the slot, and records of all rows.  Returns false if the task is to
 * stop before anything has been done; else run->confirmed is where the changes
 * go on.
 */
bool
pt_source_snapshot(PtSourceRun *run)
{
	PtPeerRows *tables;
	XLogRecPtr	lsn;

	if (!run->source->snapshot)
		return pt_source_confirm(run, pt_slot_create(run->remote, run->source, false));

	pt_peer_command(run->remote, "BEGIN TRANSACTION READ ONLY ISOLATION LEVEL REPEATABLE READ");
	lsn = pt_slot_create(run->remote, run->source, true);
	PT_STOP_POINT("source.slot_created");
	if (!pt_source_begin(run))
		return false;
	run->xid = 0;
	run->lsn = lsn;
	run->commit_ts = GetCurrentTimestamp();
	run->commit_ms = pt_timestamptz_to_ms(run->commit_ts);
	tables = pt_snapshot_tables(run->remote, run->source);
	copy_tables(run, tables);
	pt_peer_command(run->remote, "COMMIT");
	run->end_lsn = lsn;
	run->committed = GetCurrentTimestamp();
	(void) GetCurrentTransactionId();	/* there may be no rows */
	pt_source_commit(run);
	return true;
}

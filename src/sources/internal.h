/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the room share.
 *
 *	  pgoutput.c	messages of the output plugin (pure)
 *	  definition.c	what a source is, from its task's definition
 *	  create.c		create_source(), drop_source()
 *	  peer.c		the connection: queries, and the stream of changes
 *	  slot.c		publication and slot at the source
 *	  origin.c		how far we are, moved by the producing transaction
 *	  table.c		tables of the stream, and their topics
 *	  value.c		values as JSON
 *	  schema.c		schemas of keys and values
 *	  expression.c	what a record is, by SQL expressions
 *	  columns.c		columns of the tables of a new source
 *	  outbox.c		the expressions of an outbox table
 *	  envelope.c	changes as records
 *	  message.c		logical messages as records
 *	  snapshot.c	the rows that are there
 *	  chunks.c		the same while changes come, in chunks
 *	  progress.c	how far that is
 *	  resnapshot.c	resnapshot_source()
 *	  stream.c		the changes that come
 *	  spool.c		transactions that are in progress there
 *	  measure.c		how far behind, and how much WAL the slot keeps
 *	  run.c			the life of a worker
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SOURCES_INTERNAL_H
#define PT_SOURCES_INTERNAL_H

#include "compat.h"

#include "access/xlogdefs.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "sources/expression.h"
#include "sources/pgoutput.h"
#include "sources/peer.h"
#include "sources/table.h"
#include "tasks/tasks.h"

/* What a source is. */
struct PtSource
{
	const char *name;
	const char *user;			/* its owner */
	bool		trusted;		/* who is a superuser */
	const char *connection;		/* NULL: this server */
	const char *server;			/* the identity of connection's; NULL: this
								 * one */
	const char *local_database; /* this one */
	List	   *tables;			/* of char *, quoted */
	const char *publication;
	bool		own_publication;	/* made for this source */
	const char *slot;
	bool		failover;		/* standbys of the server have the slot, too */
	const char *topic;			/* template of topics' names */
	bool		row_format;		/* else Debezium's */
	bool		outbox;			/* tables are outboxes: expressions say all */
	bool		updates_skipped;	/* of these; else a filter says it */
	const char *exprs[PT_EXPRS];	/* NULL: none */
	bool		has_exprs;
	bool		schemas;		/* beside keys and values */
	bool		snapshot;		/* copy the rows that are there */
	bool		incremental;	/* in chunks, while changes stream */
	int			readers;		/* connections that copy tables at a time */
	bool		tombstones;		/* behind a delete, in Debezium's format */
	bool		truncate;		/* make records of TRUNCATE */
	bool		numeric_as_number;
	const char *message_prefix; /* NULL: no messages */
	List	   *message_topics; /* of char *: where they may go */
	XLogRecPtr	skip_lsn;		/* change that is left out; 0: none */
};

extern PtSource *pt_source_define(const PtTask *task);

/* slot.c */
extern void pt_slot_check_server(PtPeer *remote, const PtSource *source);
extern void pt_slot_check_new(PtPeer *remote, const PtSource *source);
extern char *pt_slot_server_identity(PtPeer *remote);
extern void pt_slot_check_identity(PtPeer *remote, const PtSource *source);
extern bool pt_slot_exists(PtPeer *remote, const PtSource *source);
extern XLogRecPtr pt_slot_create(PtPeer *remote, const PtSource *source, bool use_snapshot);
extern void pt_slot_remove(PtPeer *remote, const PtSource *source);
extern void pt_slot_check_position(PtPeer *remote, const PtSource *source, XLogRecPtr position);
extern void pt_slot_publish(PtPeer *remote, const PtSource *source);
extern void pt_slot_unpublish(PtPeer *remote, const PtSource *source);

/* WAL without changes for us after which the origin is moved. */
#define PT_SOURCE_IDLE_BYTES	(1024 * 1024)

/* origin.c */

/* Where an origin is until the snapshot is done: no change is there. */
#define PT_ORIGIN_UNSTARTED ((XLogRecPtr) 1)

extern const char *pt_origin_name(const char *source);
extern bool pt_origin_exists(const char *source);
extern void pt_origin_create(const char *source, XLogRecPtr lsn);
extern void pt_origin_drop(const char *source);
extern XLogRecPtr pt_origin_begin(const char *source);
extern void pt_origin_move(XLogRecPtr lsn, TimestampTz committed);
extern void pt_origin_end(void);

/* One worker of a source. */
struct PtSourceRun
{
	PtTask	   *task;
	const PtSource *source;
	PtPeer	   *remote;
	PtPeer	   *lookups;		/* for queries while changes stream; or NULL */
	void		(*alive) (void *arg);	/* tells the stream's server so */
	struct PtChunks *chunks;	/* tables that are copied meanwhile */
	bool		in_chunk;		/* rows of one are made records */
	const char *database;		/* at the source, as JSON */
	HTAB	   *tables;			/* PtSourceTable by id */
	HTAB	   *types;			/* forms of types that are not built in */
	MemoryContext life;			/* of the worker */
	MemoryContext mcxt;			/* of a message; reset after each */

	/* the transaction of the source that comes in */
	bool		receiving;
	uint32		streaming;		/* a piece of this one, in progress, comes in;
								 * 0: none */
	HTAB	   *spools;			/* what has come of those */
	uint32		xid;			/* 0: none */
	XLogRecPtr	lsn;			/* of the change */
	int64		commit_ms;
	TimestampTz commit_ts;
	const PtSourceTable *table; /* of the change; NULL: none */

	/* our transaction, which takes several of those */
	uint64		transactions;	/* how many there were, with this one */
	int64		records;
	int64		bytes;
	int64		skipped;		/* messages, and updates of outboxes */
	char		skip_error[256];	/* of the last one */
	TimestampTz began;
	XLogRecPtr	end_lsn;		/* behind what is complete in it; 0: nothing */
	TimestampTz committed;

	/* what the source's server knows */
	XLogRecPtr	received;		/* behind all that came */
	XLogRecPtr	confirmed;		/* behind what is on disk here */
	TimestampTz moved_at;		/* confirmed, by us; 0: not yet */
	XLogRecPtr	told;			/* received, as last told */
	TimestampTz told_at;

	/* is it there? */
	TimestampTz heard_at;		/* its last message */
	TimestampTz asked_at;		/* for another one; 0: not since */

	/* measure.c */
	PtPeer	   *measures;		/* or NULL */
	MemoryContext measure_mcxt; /* has it */
	TimestampTz measured_at;	/* 0: never */
	bool		behind;			/* then */
	TimestampTz caught_up_at;	/* all that was there had been read; 0: not
								 * known */
	bool		warned;			/* of the WAL that is kept */
};

/* envelope.c */
extern void pt_envelope_key(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, const PtPgoutputValue *row);
extern void pt_envelope_change(PtSourceRun *run, PtSourceTable *table, char op,
							   const PtPgoutputValue *old, char old_kind, const PtPgoutputValue *new);
extern void pt_envelope_truncate(PtSourceRun *run, PtSourceTable *table);
extern void pt_source_produce(PtSourceRun *run, const char *topic, StringInfo key, StringInfo value,
							  const char *headers, int headers_len, int header_count);
extern void pt_source_pass_over(PtSourceRun *run, const char *what, const char *why);

/* columns.c, outbox.c */
extern void pt_columns_check(PtPeer *remote, const PtSource *source);
extern void pt_outbox_define(PtSource *source, const PtTask *task);

/* message.c */
extern void pt_source_message(PtSourceRun *run, const PtPgoutput *message);

/* snapshot.c, stream.c: the work */

/* Columns of the list of tables. */
enum
{
	PT_TABLE_SCHEMA, PT_TABLE_NAME, PT_TABLE_OID, PT_TABLE_KIND, PT_TABLE_COLUMNS, PT_TABLE_FILTER, PT_TABLE_COLUMN_COUNT
};

extern PtPeerRows *pt_snapshot_tables(PtPeer *remote, const PtSource *source);
extern const char *pt_snapshot_table_name(const PtPeerRows *tables, int i);
extern void pt_snapshot_lock(PtPeer *remote, const PtPeerRows *tables, int i);
extern PtSourceTable *pt_snapshot_describe(PtSourceRun *run, const PtPeerRows *tables, int i, const PtPeerRow *row,
										   List *key, List *not_null, bool known);
extern bool pt_source_snapshot(PtSourceRun *run);
extern void pt_source_stream(PtSourceRun *run);

/* measure.c */
extern void pt_source_measure(PtSourceRun *run);
extern TimestampTz pt_source_measure_due(const PtSourceRun *run);

/* run.c: our transactions */
extern bool pt_source_begin(PtSourceRun *run);
extern void pt_source_commit(PtSourceRun *run);
extern bool pt_source_confirm(PtSourceRun *run, XLogRecPtr lsn);
extern PtPeer *pt_source_lookups(PtSourceRun *run);
extern void pt_source_run(PtTask *task, int worker);

#endif							/* PT_SOURCES_INTERNAL_H */

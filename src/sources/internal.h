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
 *	  envelope.c	changes as records
 *	  message.c		logical messages as records
 *	  snapshot.c	the rows that are there
 *	  stream.c		the changes that come
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

#include "sources/pgoutput.h"
#include "sources/peer.h"
#include "tasks/tasks.h"

/* What a source is. */
typedef struct PtSource
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
	const char *topic;			/* template of topics' names */
	bool		row_format;		/* else Debezium's */
	bool		snapshot;		/* copy the rows that are there */
	bool		tombstones;		/* behind a delete, in Debezium's format */
	bool		truncate;		/* make records of TRUNCATE */
	bool		numeric_as_number;
	const char *message_prefix; /* NULL: no messages */
	List	   *message_topics; /* of char *: where they may go */
	XLogRecPtr	skip_lsn;		/* change that is left out; 0: none */
} PtSource;

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

/* value.c */
typedef enum PtJsonForm
{
	PT_FORM_TEXT,				/* whatever is not below */
	PT_FORM_BOOL,
	PT_FORM_NUMBER,
	PT_FORM_NUMERIC,
	PT_FORM_BYTEA,
	PT_FORM_JSON,
	PT_FORM_TIMESTAMP,
	PT_FORM_TIMESTAMPTZ,
	PT_FORM_ARRAY
} PtJsonForm;

typedef struct PtValueForm
{
	PtJsonForm	form;
	PtJsonForm	element;		/* of an array */
} PtValueForm;

extern PtValueForm pt_value_form(Oid type);
extern PtValueForm pt_value_form_named(const char *schema, const char *type);
extern void pt_value_append(StringInfo out, PtValueForm form, char *text, const PtSource *source);

/* table.c */
typedef struct PtSourceColumn
{
	const char *name;
	const char *member;			/* the name as a member of a JSON object */
	PtValueForm form;
	bool		is_key;
} PtSourceColumn;

typedef struct PtSourceTable
{
	Oid			id;				/* at the source; the hash key */
	const char *schema;
	const char *name;
	const char *topic;
	const char *block;			/* of an envelope: schema and table */
	bool		ignored;		/* what pgtopic itself writes */
	bool		has_key;
	int			ncolumns;
	PtSourceColumn *columns;
	MemoryContext mcxt;			/* of all this */
} PtSourceTable;

typedef struct PtSourceRun PtSourceRun;

extern void pt_tables_init(PtSourceRun *run);
extern PtSourceTable *pt_table_new(PtSourceRun *run, Oid id, const char *schema, const char *name, int ncolumns);
extern void pt_table_column(PtSourceTable *table, int n, const char *name, PtValueForm form, bool is_key);
extern void pt_table_relation(PtSourceRun *run, const PtPgoutput *message);
extern void pt_table_type(PtSourceRun *run, const PtPgoutput *message);
extern PtSourceTable *pt_table_find(PtSourceRun *run, Oid id);
extern bool pt_table_is_ours(const PtSource *source, Oid id);
extern List *pt_table_key(PtPeer *remote, Oid id);
extern bool pt_table_in_key(List *key, const char *column);

/* One worker of a source. */
struct PtSourceRun
{
	PtTask	   *task;
	const PtSource *source;
	PtPeer	   *remote;
	PtPeer	   *lookups;		/* for queries while changes stream; or NULL */
	const char *database;		/* at the source, as JSON */
	HTAB	   *tables;			/* PtSourceTable by id */
	HTAB	   *types;			/* forms of types that are not built in */
	MemoryContext life;			/* of the worker */
	MemoryContext mcxt;			/* of a message; reset after each */

	/* the transaction of the source that comes in */
	bool		receiving;
	uint32		xid;			/* 0: none */
	XLogRecPtr	lsn;			/* of the change */
	int64		commit_ms;

	/* our transaction, which takes several of those */
	int64		records;
	int64		bytes;
	int64		skipped;		/* messages */
	char		skip_error[256];	/* of the last one */
	TimestampTz began;
	XLogRecPtr	end_lsn;		/* behind what is complete in it; 0: nothing */
	TimestampTz committed;

	/* what the source's server knows */
	XLogRecPtr	received;		/* behind all that came */
	XLogRecPtr	confirmed;		/* behind what is on disk here */
	XLogRecPtr	told;			/* received, as last told */
	TimestampTz told_at;

	/* is it there? */
	TimestampTz heard_at;		/* its last message */
	TimestampTz asked_at;		/* for another one; 0: not since */
};

/* envelope.c */
extern void pt_envelope_change(PtSourceRun *run, const PtSourceTable *table, char op,
							   const PtPgoutputValue *old, char old_kind, const PtPgoutputValue *new);
extern void pt_envelope_truncate(PtSourceRun *run, const PtSourceTable *table);
extern void pt_source_produce(PtSourceRun *run, const char *topic, StringInfo key, StringInfo value,
							  const char *headers, int headers_len, int header_count);

/* message.c */
extern void pt_source_message(PtSourceRun *run, const PtPgoutput *message);

/* snapshot.c, stream.c: the work */
extern bool pt_source_snapshot(PtSourceRun *run);
extern void pt_source_stream(PtSourceRun *run);

/* run.c: our transactions */
extern bool pt_source_begin(PtSourceRun *run);
extern void pt_source_commit(PtSourceRun *run);
extern bool pt_source_confirm(PtSourceRun *run, XLogRecPtr lsn);
extern void pt_source_run(PtTask *task, int worker);

#endif							/* PT_SOURCES_INTERNAL_H */

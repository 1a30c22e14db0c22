/*-------------------------------------------------------------------------
 *
 * table.h
 *	  Tables of a source, their columns and values: table.c, value.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SOURCES_TABLE_H
#define PT_SOURCES_TABLE_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "sources/expression.h"
#include "sources/peer.h"
#include "sources/pgoutput.h"

typedef struct PtSource PtSource;
typedef struct PtSourceRun PtSourceRun;

/* value.c */
typedef enum PtJsonForm
{
	PT_FORM_TEXT,				/* whatever is not below */
	PT_FORM_BOOL,
	PT_FORM_NUMBER,
	PT_FORM_NUMERIC,
	PT_FORM_BYTEA,
	PT_FORM_JSON,
	PT_FORM_DATE,
	PT_FORM_TIME,
	PT_FORM_TIMETZ,
	PT_FORM_INTERVAL,
	PT_FORM_TIMESTAMP,
	PT_FORM_TIMESTAMPTZ,
	PT_FORM_ARRAY
} PtJsonForm;

typedef struct PtValueForm
{
	PtJsonForm	form;
	PtJsonForm	element;		/* of an array */
	Oid			type;			/* here, for expressions and schemas */
	Oid			element_type;	/* of an array */
	int32		typmod;
} PtValueForm;

extern PtValueForm pt_value_form(Oid type);
extern PtValueForm pt_value_form_named(const char *schema, const char *type);
extern bool pt_value_in_ms(int32 typmod);
extern void pt_value_append(StringInfo out, PtValueForm form, char *text, const PtSource *source);

/* table.c */
typedef struct PtSourceColumn
{
	const char *name;
	const char *member;			/* the name as a member of a JSON object */
	PtValueForm form;
	bool		is_key;
	bool		not_null;		/* as it is now; for schemas only */
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
	const char *key_schema;		/* before a payload; NULL: without schemas */
	const char *value_schema;
	int			ncolumns;
	PtSourceColumn *columns;
	PtExpressions *expressions; /* as read in a transaction */
	uint64		expressions_of; /* which one */
	MemoryContext mcxt;			/* of all this */
} PtSourceTable;

extern void pt_tables_init(PtSourceRun *run);
extern const char *pt_table_topic(const PtSource *source, const char *schema, const char *table, const char *route);
extern void pt_table_init(PtSourceTable *table, const PtSource *source, MemoryContext parent,
						  const char *schema, const char *name, int ncolumns);
extern PtSourceTable *pt_table_new(PtSourceRun *run, Oid id, const char *schema, const char *name, int ncolumns);
extern void pt_table_column(PtSourceTable *table, int n, const char *name, PtValueForm form, bool is_key);
extern void pt_table_relation(PtSourceRun *run, const PtPgoutput *message);
extern void pt_table_type(PtSourceRun *run, const PtPgoutput *message);
extern PtSourceTable *pt_table_find(PtSourceRun *run, Oid id);
extern bool pt_table_is_ours(const PtSource *source, Oid id);
extern List *pt_table_key(PtPeer *remote, Oid id);
extern bool pt_table_lists(List *names, const char *column);
extern List *pt_table_not_null(PtPeer *remote, Oid id);

/* schema.c */
extern void pt_schema_describe(PtSourceTable *table, const PtSource *source);
extern void pt_schema_fallback(StringInfo out, const PtSourceColumn *column, const PtSource *source);

#endif							/* PT_SOURCES_TABLE_H */

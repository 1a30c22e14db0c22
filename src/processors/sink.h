/*-------------------------------------------------------------------------
 *
 * sink.h
 *	  What the files of sinks share.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_PROCESSORS_SINK_H
#define PT_PROCESSORS_SINK_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "tasks/tasks.h"

typedef enum PtSinkMode
{
	PT_SINK_APPEND,
	PT_SINK_UPSERT,
	PT_SINK_MIRROR
} PtSinkMode;

/* A column of a table; all but generated ones are there. */
typedef struct PtSinkColumn
{
	int			number;			/* of the column in the table */
	const char *name;
	const char *quoted;
	const char *type_name;		/* qualified, without length or precision */
	Oid			base_type;		/* beneath domains */
	int32		precision;		/* of times, 0 to 6; -1: as many as there are */
	bool		is_key;			/* of the primary key */
	bool		is_identity;
	bool		filled;			/* by the statement */
	const char *equal;			/* of the primary key: its operator "=",
								 * qualified */
	const char *equal_as;		/* a cast to the type that this takes, or "" */
	const char *default_expr;	/* NULL: none */
	const char *expr;			/* of the mapping; NULL: none */
} PtSinkColumn;

/* A table that is filled. */
typedef struct PtSinkTable
{
	const char *name;			/* quoted, with its schema */
	const char *extension;		/* quoted: schema of our functions */
	bool		mapped;			/* columns are made by expressions */
	bool		has_key;
	int			ncolumns;
	PtSinkColumn *columns;
} PtSinkTable;

/* The search_path of a statement in which nothing is a user's. */
#define PT_SINK_SEARCH_PATH	"pg_catalog, pg_temp"

/* sink.c */
extern int	pt_sink_enter_path(void);
extern bool pt_sink_is_ours(const PtTask *task);
extern char *pt_sink_make(const PtTask *task);
extern bool pt_sink_changed(void);

/* sink_table.c */
extern PtSinkMode pt_sink_mode(const char *name);
extern PtSinkTable *pt_sink_table(Oid relid, PtSinkMode mode, Jsonb *mapping);

/* sink_statement.c */
extern char *pt_sink_statement(const PtSinkTable *table, PtSinkMode mode);

#endif							/* PT_PROCESSORS_SINK_H */

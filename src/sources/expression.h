/*-------------------------------------------------------------------------
 *
 * expression.h
 *	  SQL expressions of a source: expression.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SOURCES_EXPRESSION_H
#define PT_SOURCES_EXPRESSION_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "sources/pgoutput.h"

struct PtSource;
struct PtSourceRun;
struct PtSourceTable;

/* What an expression may say of a record. */
typedef enum PtSourceExpr
{
	PT_EXPR_FILTER,				/* is there one? */
	PT_EXPR_TOPIC,
	PT_EXPR_KEY,
	PT_EXPR_VALUE,
	PT_EXPR_HEADERS
} PtSourceExpr;

#define PT_EXPRS	(PT_EXPR_HEADERS + 1)

/* Fields of a definition, and arguments of create_source(). */
extern const char *const pt_expression_fields[PT_EXPRS];

/* The search_path in which expressions are read, and run. */
#define PT_EXPRESSION_PATH	"pg_catalog, pg_temp"

typedef struct PtExpressions PtExpressions;

/* A record that is being made. */
typedef struct PtSourceRecord
{
	const char *topic;
	StringInfo	key;			/* NULL: null */
	StringInfo	value;			/* NULL: null */
	bool		value_is_given; /* by an expression */
	const char *headers;
	int			headers_len;
	int			header_count;
} PtSourceRecord;

extern void pt_expressions_check(const struct PtSource *source, const struct PtSourceTable *table);
extern bool pt_expressions_apply(struct PtSourceRun *run, struct PtSourceTable *table, char op,
								 const PtPgoutputValue *old, const PtPgoutputValue *new,
								 PtSourceRecord *record);

#endif							/* PT_SOURCES_EXPRESSION_H */

/*-------------------------------------------------------------------------
 *
 * expression.c
 *	  SQL expressions that say what a record is: filter, topic, key, value,
 *	  headers.
 *
 * An expression sees a change as three relations of one row, which are only
 * names: "new" and "old" have the table's columns, and a third one, whose
 * columns are named alone, has the rest.  No query is planned and no row goes
 * through the executor: the expression's variables read three slots, which
 * have the columns that are used and no others.  So there are no subqueries.
 *
 * A source may be another server.  A column of a built-in type has that type,
 * and its value goes through the type's input function; all other types, and
 * those whose text means something to their own server only, are text.
 *
 * Expressions are read anew in each transaction of ours: what they call may
 * have changed.  They run as the owner of the task, as all in a worker does.
 *
 * Siblings: columns.c (the check of a new source), envelope.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "topic/topic.h"
#include "topic/types.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/queryenvironment.h"
#include "utils/snapmgr.h"

#include "sources/internal.h"

const char *const pt_expression_fields[PT_EXPRS] = {"filter", "topic_expression", "key", "value", "headers"};

/* The relations, in the order in which they are made known. */
enum
{
	REL_NEW = 1, REL_OLD, REL_CHANGE
};

/* Columns of the third one. */
enum
{
	C_OP = 1, C_LSN, C_XID, C_COMMIT_TS, C_SCHEMA, C_TABLE, C_UNCHANGED, C_NEW, C_OLD, C_COUNT = C_OLD
};

/* An expression that can run; state is NULL if there is none. */
typedef struct Compiled
{
	ExprState  *state;
	Oid			type;			/* its base type */
	FmgrInfo	output;			/* where the value is not bytes already */
} Compiled;

/* A row of the table, as the expressions see it. */
typedef struct RowSide
{
	TupleTableSlot *slot;
	Bitmapset  *used;			/* columns, from 0 */
	bool		whole;			/* is the row itself used? */
} RowSide;

struct PtExpressions
{
	ExprContext *context;
	RowSide		new;
	RowSide		old;
	TupleTableSlot *change;
	bool		unchanged;		/* is this column used? */
	FmgrInfo   *inputs;			/* of the columns that are used */
	Oid		   *params;
	Compiled	exprs[PT_EXPRS];
};

/* Which expression is being read or run; for errors. */
typedef struct Where
{
	PtSourceExpr which;
	const char *text;
} Where;

static void expression_context(void *arg);
static Node *fix_vars(Node *node, void *context);
static bool find_vars(Node *node, void *context);

/*
 * Says which expression it was; a place in it is not one in the statement.
 */
static void
expression_context(void *arg)
{
	const Where *where = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(where->text);
	}
	errcontext("expression \"%s\" of a source", pt_expression_fields[where->which]);
}

/*
 * Reading
 */

static TupleDesc
row_desc(const PtSourceTable *table)
{
	TupleDesc	desc = CreateTemplateTupleDesc(table->ncolumns);

	for (int i = 0; i < table->ncolumns; i++)
		TupleDescInitEntry(desc, i + 1, table->columns[i].name, table->columns[i].form.type, -1, 0);
	pt_tupdesc_finalize(desc);
	return BlessTupleDesc(desc);
}

static TupleDesc
change_desc(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(C_COUNT);

	TupleDescInitEntry(desc, C_OP, "op", TEXTOID, -1, 0);
	TupleDescInitEntry(desc, C_LSN, "lsn", PG_LSNOID, -1, 0);
	TupleDescInitEntry(desc, C_XID, "xid", INT8OID, -1, 0);
	TupleDescInitEntry(desc, C_COMMIT_TS, "commit_ts", TIMESTAMPTZOID, -1, 0);
	TupleDescInitEntry(desc, C_SCHEMA, "schema_name", TEXTOID, -1, 0);
	TupleDescInitEntry(desc, C_TABLE, "table_name", TEXTOID, -1, 0);
	TupleDescInitEntry(desc, C_UNCHANGED, "unchanged", TEXTARRAYOID, -1, 0);
	TupleDescInitEntry(desc, C_NEW, "new", RECORDOID, -1, 0);
	TupleDescInitEntry(desc, C_OLD, "old", RECORDOID, -1, 0);
	pt_tupdesc_finalize(desc);
	return desc;
}

/*
 * Makes a relation known: by its name, or by those of its columns.
 */
static void
add_relation(ParseState * pstate, char *name, TupleDesc desc, bool by_columns)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	ParseNamespaceItem *item;

	enr->md.name = name;
	enr->md.tupdesc = desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	register_ENR(pstate->p_queryEnv, enr);
	item = addRangeTableEntryForENR(pstate, makeRangeVar(NULL, name, -1), true);
	addNSItemToQuery(pstate, item, false, !by_columns, by_columns);
}

/*
 * Is it "*"?  That is no expression, and may stand in a list only.
 */
static bool
is_star(const Node *node)
{
	return IsA(node, ColumnRef) && IsA(linitial(((const ColumnRef *) node)->fields), A_Star);
}

/*
 * Returns the only expression that the text has; ERROR if it is anything else.
 */
static Node *
raw_expression(const char *text)
{
	RawStmt    *raw = linitial_node(RawStmt, raw_parser(text, RAW_PARSE_PLPGSQL_EXPR));
	SelectStmt *s = castNode(SelectStmt, raw->stmt);
	Node	   *val = s->targetList == NIL ? NULL : linitial_node(ResTarget, s->targetList)->val;

	if (list_length(s->targetList) != 1 || s->distinctClause != NIL || s->fromClause != NIL || s->whereClause != NULL ||
		s->groupClause != NIL || s->havingClause != NULL || s->windowClause != NIL || s->sortClause != NIL ||
		s->limitOffset != NULL || s->limitCount != NULL || s->lockingClause != NIL || is_star(val))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("it must be one expression, and nothing else"),
				 errposition(1)));
	return val;
}

/*
 * ERROR unless the expression has the type that is needed; may add a cast.
 */
static Node *
fit_type(ParseState * pstate, Node *node, PtSourceExpr which)
{
	Oid			type = exprType(node);
	Oid			wanted = InvalidOid;

	if (which == PT_EXPR_FILTER)
		return coerce_to_specific_type(pstate, node, BOOLOID, pt_expression_fields[which]);
	if (which == PT_EXPR_TOPIC || (type == UNKNOWNOID && which != PT_EXPR_HEADERS))
		wanted = TEXTOID;
	else if (which == PT_EXPR_HEADERS && type != pt_type_headers())
		wanted = JSONBOID;
	if (OidIsValid(wanted))
	{
		Node	   *cast = coerce_to_target_type(pstate, node, type, wanted, -1, COERCION_ASSIGNMENT,
												 COERCE_IMPLICIT_CAST, -1);

		if (cast == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("it has type %s", format_type_be(type)),
					 which == PT_EXPR_HEADERS ? errhint("Headers have type headers or jsonb.") : errhint("A topic's name has type text."),
					 parser_errposition(pstate, exprLocation(node))));
		return cast;
	}
	if (type_is_rowtype(type) || get_typtype(type) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("it has type %s", format_type_be(type)),
				 errhint("Make JSON of a row with to_jsonb()."),
				 parser_errposition(pstate, exprLocation(node))));
	return node;
}

/*
 * Returns the expression as a tree whose variables read the slots.
 */
static Node *
read_expression(const char *text, PtSourceExpr which, TupleDesc row, TupleDesc change)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *node;

	pstate->p_sourcetext = text;

	pstate->p_queryEnv = create_queryEnv();
	add_relation(pstate, "new", row, false);
	add_relation(pstate, "old", row, false);
	add_relation(pstate, "change", change, true);
	node = transformExpr(pstate, raw_expression(text), EXPR_KIND_OTHER);
	if (pstate->p_hasSubLinks || pstate->p_hasAggs || pstate->p_hasWindowFuncs || expression_returns_set(node))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("subqueries, aggregates, window functions and sets are not allowed in expressions of a source"),
				 errhint("Call a function that has them.")));
	node = fit_type(pstate, node, which);
	assign_expr_collations(pstate, node);
	free_parsestate(pstate);
	return fix_vars(node, NULL);
}

/*
 * A column of new or old is one of the outer or inner slot; a row as a whole
 * is a column of the third relation, as it may be null.
 */
static Node *
fix_vars(Node *node, void *context)
{
	Var		   *var;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, fix_vars, context);
	var = copyObject((Var *) node);
	if (var->varno == REL_CHANGE)
		return (Node *) var;
	if (var->varattno == 0)
		return (Node *) makeVar(REL_CHANGE, var->varno == REL_NEW ? C_NEW : C_OLD, RECORDOID, -1, InvalidOid, 0);
	var->varno = var->varno == REL_NEW ? OUTER_VAR : INNER_VAR;
	return (Node *) var;
}

/*
 * Notes what the expression reads.
 */
static bool
find_vars(Node *node, void *context)
{
	PtExpressions *e = context;
	const		Var *var = (const Var *) node;

	if (node == NULL)
		return false;
	if (!IsA(node, Var))
		return expression_tree_walker(node, find_vars, context);
	if (var->varno == OUTER_VAR)
		e->new.used = bms_add_member(e->new.used, var->varattno - 1);
	else if (var->varno == INNER_VAR)
		e->old.used = bms_add_member(e->old.used, var->varattno - 1);
	else if (var->varattno == C_NEW)
		e->new.whole = true;
	else if (var->varattno == C_OLD)
		e->old.whole = true;
	else if (var->varattno == C_UNCHANGED)
		e->unchanged = true;
	return false;
}

/*
 * Makes an expression ready, or only reads it.
 */
static void
compile_one(PtExpressions *e, const char *given, PtSourceExpr which, TupleDesc row, TupleDesc change, bool only_read)
{
	Compiled   *c = &e->exprs[which];
	Where		where = {which, given};
	ErrorContextCallback context = {.callback = expression_context,.arg = &where,.previous = error_context_stack};
	Node	   *node;
	Oid			output;
	bool		varlena;

	error_context_stack = &context;
	node = read_expression(given, which, row, change);
	(void) find_vars(node, e);
	c->type = getBaseType(exprType(node));
	getTypeOutputInfo(c->type, &output, &varlena);
	fmgr_info(output, &c->output);
	if (!only_read)
		c->state = ExecInitExpr(expression_planner((Expr *) node), NULL);
	error_context_stack = context.previous;
}

/*
 * Returns the source's expressions for a table, in the current memory context.
 * Needs the search_path.  ERROR for what is wrong with them.  What is only
 * read calls no function: it may be somebody else's.
 */
static PtExpressions *
compile(const PtSource *source, const PtSourceTable *table, bool only_read)
{
	PtExpressions *e = palloc0(sizeof(PtExpressions));
	TupleDesc	row = row_desc(table);
	TupleDesc	change = change_desc();

	for (int i = 0; i < PT_EXPRS; i++)
	{
		if (source->exprs[i] != NULL)
			compile_one(e, source->exprs[i], i, row, change, only_read);
	}
	e->context = CreateStandaloneExprContext();
	e->new.slot = e->context->ecxt_outertuple = MakeSingleTupleTableSlot(row, &TTSOpsVirtual);
	e->old.slot = e->context->ecxt_innertuple = MakeSingleTupleTableSlot(row, &TTSOpsVirtual);
	e->change = e->context->ecxt_scantuple = MakeSingleTupleTableSlot(change, &TTSOpsVirtual);
	e->inputs = palloc0(sizeof(FmgrInfo) * Max(table->ncolumns, 1));
	e->params = palloc0(sizeof(Oid) * Max(table->ncolumns, 1));
	return e;
}

/*
 * ERROR unless the expressions are right for a table.  Needs the search_path.
 */
void
pt_expressions_check(const PtSource *source, const PtSourceTable *table)
{
	(void) compile(source, table, true);
}

/*
 * Running
 */

/*
 * Returns a value in the type that the expressions know.
 */
static Datum
value_datum(PtExpressions *e, const PtSourceTable *table, int i, const PtPgoutputValue *value, bool *isnull)
{
	Oid			type = table->columns[i].form.type;

	*isnull = value->kind != PT_VALUE_TEXT;
	if (*isnull)
		return (Datum) 0;
	(void) pg_verify_mbstr(PG_UTF8, value->text.data, value->text.len, false);
	if (type == TEXTOID)
		return PointerGetDatum(cstring_to_text_with_len(value->text.data, value->text.len));
	if (!OidIsValid(e->inputs[i].fn_oid))
	{
		MemoryContext old = MemoryContextSwitchTo(e->new.slot->tts_mcxt);
		Oid			input;

		getTypeInputInfo(type, &input, &e->params[i]);
		fmgr_info(input, &e->inputs[i]);
		MemoryContextSwitchTo(old);
	}
	return InputFunctionCall(&e->inputs[i], pnstrdup(value->text.data, value->text.len), e->params[i], -1);
}

/*
 * Puts a row (NULL: there is none) into its slot, and as a whole into a column
 * of the third relation.
 */
static void
set_row(PtExpressions *e, RowSide *side, const PtSourceTable *table, const PtPgoutputValue *row, int column)
{
	TupleTableSlot *slot = side->slot;
	bool		whole = side->whole && row != NULL;

	ExecClearTuple(slot);
	for (int i = 0; i < table->ncolumns; i++)
	{
		slot->tts_isnull[i] = true;
		if (row != NULL && (side->whole || bms_is_member(i, side->used)))
			slot->tts_values[i] = value_datum(e, table, i, &row[i], &slot->tts_isnull[i]);
	}
	ExecStoreVirtualTuple(slot);
	e->change->tts_isnull[column - 1] = !whole;
	if (whole)
		e->change->tts_values[column - 1] =
			HeapTupleGetDatum(heap_form_tuple(slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull));
}

/*
 * Returns the names of the columns that did not change and were not sent.
 */
static Datum
unchanged_columns(const PtSourceTable *table, const PtPgoutputValue *new)
{
	Datum	   *names = palloc(sizeof(Datum) * Max(table->ncolumns, 1));
	int			n = 0;

	for (int i = 0; new != NULL && i < table->ncolumns; i++)
	{
		if (new[i].kind == PT_VALUE_UNCHANGED)
			names[n++] = CStringGetTextDatum(table->columns[i].name);
	}
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Puts a change into the slots.
 */
static void
set_change(const PtSourceRun *run, PtExpressions *e, const PtSourceTable *table, char op,
		   const PtPgoutputValue *old, const PtPgoutputValue *new)
{
	Datum	   *values = e->change->tts_values;
	bool	   *nulls = e->change->tts_isnull;
	char		name[2] = {op, '\0'};

	ExecClearTuple(e->change);
	memset(nulls, false, C_COUNT);
	values[C_OP - 1] = CStringGetTextDatum(name);
	values[C_LSN - 1] = LSNGetDatum(run->lsn);
	values[C_XID - 1] = Int64GetDatum((int64) run->xid);
	nulls[C_XID - 1] = run->xid == 0;
	values[C_COMMIT_TS - 1] = TimestampTzGetDatum(run->commit_ts);
	values[C_SCHEMA - 1] = CStringGetTextDatum(table->schema);
	values[C_TABLE - 1] = CStringGetTextDatum(table->name);
	nulls[C_UNCHANGED - 1] = !e->unchanged;
	if (e->unchanged)
		values[C_UNCHANGED - 1] = unchanged_columns(table, new);
	set_row(e, &e->new, table, new, C_NEW);
	set_row(e, &e->old, table, old, C_OLD);
	ExecStoreVirtualTuple(e->change);
}

/*
 * Runs an expression that is there; the value is the expression context's.
 */
static Datum
evaluate(PtExpressions *e, const PtSource *source, PtSourceExpr which, bool *isnull)
{
	Where		where = {which, source->exprs[which]};
	ErrorContextCallback context = {.callback = expression_context,.arg = &where,.previous = error_context_stack};
	Datum		value;

	error_context_stack = &context;
	value = ExecEvalExprSwitchContext(e->exprs[which].state, e->context, isnull);
	error_context_stack = context.previous;
	return value;
}

/*
 * Returns what a key or value is as bytes, in the current memory context; NULL
 * for null.
 */
static StringInfo
as_bytes(PtExpressions *e, const PtSource *source, PtSourceExpr which)
{
	Compiled   *c = &e->exprs[which];
	StringInfo	bytes;
	bool		isnull;
	Datum		value = evaluate(e, source, which, &isnull);
	struct varlena *detoasted;

	if (isnull)
		return NULL;
	bytes = makeStringInfo();
	switch (c->type)
	{
		case BYTEAOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID:
			detoasted = PG_DETOAST_DATUM_PACKED(value);
			appendBinaryStringInfo(bytes, VARDATA_ANY(detoasted), VARSIZE_ANY_EXHDR(detoasted));
			break;
		default:
			appendStringInfoString(bytes, OutputFunctionCall(&c->output, value));
	}
	return bytes;
}

/*
 * Puts the headers into the record, in the current memory context.
 */
static void
set_headers(PtExpressions *e, const PtSource *source, PtSourceRecord *record)
{
	bool		isnull;
	Datum		value = evaluate(e, source, PT_EXPR_HEADERS, &isnull);
	PtHeaders  *headers;

	if (isnull)
		return;
	if (e->exprs[PT_EXPR_HEADERS].type == JSONBOID)
		value = DirectFunctionCall1(pt_headers_from_jsonb, value);
	headers = DatumGetHeadersP(value);
	if (headers->count == 0)
		return;
	record->headers_len = pt_headers_len(headers);
	record->headers = memcpy(palloc(record->headers_len), headers->data, record->headers_len);
	record->header_count = headers->count;
}

/*
 * Sets the topic, where the expression names one.  That of an outbox names a
 * part of it, and must do so.
 */
static void
set_topic(const PtSourceRun *run, PtExpressions *e, const PtSourceTable *table, PtSourceRecord *record)
{
	StringInfo	name = as_bytes(e, run->source, PT_EXPR_TOPIC);

	if (name != NULL)
		record->topic = run->source->outbox ? pt_table_topic(run->source, table->schema, table->name, name->data) : name->data;
	else if (run->source->outbox)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("a row of an outbox table names no topic: it is null")));
}

/*
 * The expressions of the table, read in this transaction.
 */
static PtExpressions *
current(PtSourceRun *run, PtSourceTable *table)
{
	if (table->expressions_of != run->transactions)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		table->expressions = compile(run->source, table, false);
		table->expressions_of = run->transactions;
		MemoryContextSwitchTo(old);
	}
	return table->expressions;
}

/*
 * Sets what the source's expressions say of a record of a change.  Returns
 * false if there is to be none.  Needs a transaction.
 */
bool
pt_expressions_apply(PtSourceRun *run, PtSourceTable *table, char op,
					 const PtPgoutputValue *old, const PtPgoutputValue *new, PtSourceRecord *record)
{
	const PtSource *source = run->source;
	PtExpressions *e;
	bool		isnull = false;
	bool		wanted = true;

	PushActiveSnapshot(GetTransactionSnapshot());
	e = current(run, table);
	ResetExprContext(e->context);
	set_change(run, e, table, op, old, new);
	if (source->exprs[PT_EXPR_FILTER] != NULL)
		wanted = DatumGetBool(evaluate(e, source, PT_EXPR_FILTER, &isnull)) && !isnull;
	if (wanted && source->exprs[PT_EXPR_TOPIC] != NULL)
		set_topic(run, e, table, record);
	if (wanted && source->exprs[PT_EXPR_KEY] != NULL)
		record->key = as_bytes(e, source, PT_EXPR_KEY);
	record->value_is_given = source->exprs[PT_EXPR_VALUE] != NULL;
	if (wanted && record->value_is_given)
		record->value = as_bytes(e, source, PT_EXPR_VALUE);
	if (wanted && source->exprs[PT_EXPR_HEADERS] != NULL)
		set_headers(e, source, record);
	PopActiveSnapshot();
	return wanted;
}

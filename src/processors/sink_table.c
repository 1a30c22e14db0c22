/*-------------------------------------------------------------------------
 *
 * sink_table.c
 *	  What the statement of a sink has to know of its table, and whether the
 *	  table, the mode and the mapping go together.
 *
 * Siblings: sink_statement.c, sink.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "processors/internal.h"
#include "processors/sink.h"
#include "topic/json.h"
#include "topic/topic.h"

PG_FUNCTION_INFO_V1(pt_func_sink_statement);

static void check_kind(Relation rel, PtSinkMode mode);
static void check_privileges(Relation rel, PtSinkMode mode);
static void fill_column(PtSinkColumn *c, Relation rel, Form_pg_attribute att, PtSinkMode mode);
static void key_equality(PtSinkColumn *c, Oid type);
static void check_mirrored(const PtSinkColumn *c);
static void map_columns(PtSinkTable *t, Jsonb *mapping);
static void check_key(const PtSinkTable *t, Relation rel, PtSinkMode mode);
static void check_expression(const char *column, const char *expr);

/* ERROR for a name of a mode that there is not. */
PtSinkMode
pt_sink_mode(const char *name)
{
	if (strcmp(name, "append") == 0)
		return PT_SINK_APPEND;
	if (strcmp(name, "upsert") == 0)
		return PT_SINK_UPSERT;
	if (strcmp(name, "mirror") == 0)
		return PT_SINK_MIRROR;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown mode of a sink: \"%s\"", name),
			 errhint("A mode is \"append\", \"upsert\" or \"mirror\".")));
	pg_unreachable();
}

/*
 * Returns what is to be known of a table, in the current memory context; locks
 * it with AccessShareLock to the end of the transaction.  ERROR if the current
 * user cannot fill it in this way.  The mapping may be NULL.
 */
PtSinkTable *
pt_sink_table(Oid relid, PtSinkMode mode, Jsonb *mapping)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	Bitmapset  *key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	PtSinkTable *t = palloc0_object(PtSinkTable);
	int			level = pt_sink_enter_path();	/* defaults are written for it */

	check_kind(rel, mode);
	check_privileges(rel, mode);
	t->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel));
	t->extension = quote_identifier(get_namespace_name(pt_extension_schema()));
	t->mapped = mapping != NULL;
	t->has_key = !bms_is_empty(key);
	t->columns = palloc0_array(PtSinkColumn, desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		PtSinkColumn *c = &t->columns[t->ncolumns];

		if (att->attisdropped || att->attgenerated != '\0')
			continue;
		c->is_key = bms_is_member(att->attnum - FirstLowInvalidHeapAttributeNumber, key);
		fill_column(c, rel, att, mode);
		t->ncolumns++;
	}
	if (mapping != NULL)
		map_columns(t, mapping);
	check_key(t, rel, mode);
	AtEOXact_GUC(false, level);
	relation_close(rel, NoLock);
	return t;
}

static void
check_kind(Relation rel, PtSinkMode mode)
{
	char		kind = rel->rd_rel->relkind;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("a sink cannot fill \"%s\", which is not a table", RelationGetRelationName(rel))));
	if (kind == RELKIND_FOREIGN_TABLE && mode != PT_SINK_APPEND)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a sink can only append to foreign table \"%s\"", RelationGetRelationName(rel)),
				 errhint("Foreign tables have no primary key here. Have the sink on the server of the table.")));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("a sink cannot fill temporary table \"%s\"", RelationGetRelationName(rel))));
}

/*
 * What the statement will ask for, told before it runs.  Privileges on columns
 * may be enough, or not: that it says itself.
 */
static void
check_privileges(Relation rel, PtSinkMode mode)
{
	static const AclMode needed[] = {ACL_INSERT, ACL_SELECT, ACL_UPDATE, ACL_DELETE};
	Oid			relid = RelationGetRelid(rel);

	for (int i = 0; i < (mode == PT_SINK_APPEND ? 1 : lengthof(needed)); i++)
	{
		AclResult	result = pg_class_aclcheck(relid, GetUserId(), needed[i]);

		if (result != ACLCHECK_OK && needed[i] != ACL_DELETE)
			result = pg_attribute_aclcheck_all(relid, GetUserId(), needed[i], ACLMASK_ANY);
		if (result != ACLCHECK_OK)
			aclcheck_error(result, get_relkind_objtype(rel->rd_rel->relkind), RelationGetRelationName(rel));
	}
}

static void
fill_column(PtSinkColumn *c, Relation rel, Form_pg_attribute att, PtSinkMode mode)
{
	Oid			base;
	int32		typmod = att->atttypmod;
	Node	   *expr;

	base = getBaseTypeAndTypmod(att->atttypid, &typmod);
	c->number = att->attnum;
	c->name = pstrdup(NameStr(att->attname));
	c->quoted = quote_identifier(c->name);
	c->type_name = format_type_extended(att->atttypid, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
	c->base_type = base;
	c->precision = base == TIMEOID || base == TIMESTAMPOID ? typmod : -1;
	c->is_identity = att->attidentity != '\0';
	c->filled = !c->is_identity || mode == PT_SINK_MIRROR || (mode == PT_SINK_UPSERT && c->is_key);
	if (c->is_key && mode != PT_SINK_APPEND)
		key_equality(c, att->atttypid);
	if (mode == PT_SINK_MIRROR)
		check_mirrored(c);
	if (c->is_identity || (c->is_key && mode != PT_SINK_APPEND))
		return;
	expr = build_column_default(rel, att->attnum);
	if (expr != NULL)
		c->default_expr = deparse_expression(expr, NIL, false, false);
}

/*
 * How values of a key are compared: by the operator of its index, which has
 * the type's default operator class.  Where the operator takes another type,
 * values are cast to that, so that its schema has nothing nearer.
 */
static void
key_equality(PtSinkColumn *c, Oid type)
{
	Oid			oid = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oid));
	Form_pg_operator op;
	Oid			takes;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no equality operator for type %u of a primary key", type);
	op = (Form_pg_operator) GETSTRUCT(tuple);
	takes = get_typtype(op->oprleft) == TYPTYPE_PSEUDO ? c->base_type : op->oprleft;
	c->equal = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(op->oprnamespace)), NameStr(op->oprname));
	c->equal_as = takes == type ? "" :
		psprintf("::%s", format_type_extended(takes, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	ReleaseSysCache(tuple);
}

/*
 * Elements of an array are written in forms of Debezium's, too, which would be
 * read as something else.
 */
static void
check_mirrored(const PtSinkColumn *c)
{
	Oid			element = get_element_type(c->base_type);

	if (element == BYTEAOID || element == JSONOID || element == JSONBOID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a sink cannot mirror column \"%s\" of type %s", c->name, format_type_be(c->base_type))));
}

static PtSinkColumn *
find_column(PtSinkTable *t, const char *name)
{
	for (int i = 0; i < t->ncolumns; i++)
		if (strcmp(t->columns[i].name, name) == 0)
			return &t->columns[i];
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("table %s has no column \"%s\" that a mapping can fill", t->name, name)));
	pg_unreachable();
}

/* With a mapping, the statement fills the columns that are in it. */
static void
map_columns(PtSinkTable *t, Jsonb *mapping)
{
	PtJsonWalk	walk;

	if (!JB_ROOT_IS_OBJECT(mapping) || JB_ROOT_COUNT(mapping) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a mapping must be a JSON object of columns and expressions"),
				 errhint("For example {\"id\": \"(value->>'id')::int\", \"at\": \"\\\"timestamp\\\"\"}.")));
	for (int i = 0; i < t->ncolumns; i++)
		t->columns[i].filled = false;
	pt_json_walk_begin(&walk, &mapping->root);
	while (pt_json_walk_next(&walk))
	{
		PtSinkColumn *c = find_column(t, walk.key);

		if (walk.value.type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("mapping of column \"%s\" must be a string with an SQL expression", walk.key)));
		c->expr = pt_json_scalar(&walk.value, walk.key);
		check_expression(walk.key, c->expr);
		/* a comment must not hide what comes behind it */
		if (strstr(c->expr, "--") != NULL)
			c->expr = psprintf("%s\n", c->expr);
		c->filled = true;
	}
}

/* Rows are found by the primary key. */
static void
check_key(const PtSinkTable *t, Relation rel, PtSinkMode mode)
{
	if (mode == PT_SINK_APPEND)
		return;
	if (!t->has_key)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key", RelationGetRelationName(rel)),
				 errhint("By the primary key a sink finds the row that a record is about; without one it can only append.")));
	if (mode == PT_SINK_MIRROR && t->mapped)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a sink with mode \"mirror\" takes no mapping")));
	for (int i = 0; i < t->ncolumns; i++)
		if (t->columns[i].is_key && !t->columns[i].filled)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("the mapping lacks column \"%s\" of the primary key", t->columns[i].name)));
}

/* An error in an expression is one of the mapping, not of the query. */
static void
in_mapping(void *arg)
{
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(((const char **) arg)[1]);
	}
	errcontext("mapping of column \"%s\"", ((const char **) arg)[0]);
}

static bool
is_star(const ResTarget * target)
{
	return IsA(target->val, ColumnRef) && IsA(llast(castNode(ColumnRef, target->val)->fields), A_Star);
}

/* ERROR unless it is one expression, and nothing around it. */
static void
check_expression(const char *column, const char *expr)
{
	const char *what[2] = {column, expr};
	ErrorContextCallback context = {error_context_stack, in_mapping, what};
	List	   *parsed;
	SelectStmt *select;
	SelectStmt *bare = makeNode(SelectStmt);

	error_context_stack = &context;
	parsed = raw_parser(expr, RAW_PARSE_PLPGSQL_EXPR);
	error_context_stack = context.previous;
	select = castNode(SelectStmt, linitial_node(RawStmt, parsed)->stmt);
	bare->targetList = select->targetList;
	if (list_length(select->targetList) != 1 || linitial_node(ResTarget, select->targetList)->name != NULL ||
		is_star(linitial_node(ResTarget, select->targetList)) || !equal(select, bare))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("mapping of column \"%s\" is not one expression", column)));
}

/*
 * sink_statement(table, mode, mapping): the statement that such a sink runs.
 */
Datum
pt_func_sink_statement(PG_FUNCTION_ARGS)
{
	Jsonb	   *mapping = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	PtSinkMode	mode;

	if (PG_ARGISNULL(0))
		(void) pt_task_arg(fcinfo, 0, "table");
	mode = pt_sink_mode(pt_task_arg(fcinfo, 1, "mode"));
	PG_RETURN_TEXT_P(cstring_to_text(pt_sink_statement(pt_sink_table(PG_GETARG_OID(0), mode, mapping), mode)));
}

/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  The usual outbox table as a source: a row that is inserted is an event,
 *	  whose columns say topic, key, value and headers.
 *
 * The columns are those of Debezium's event router, unless the field "outbox"
 * of the definition names others:
 *
 *		{"route": "aggregatetype", "key": "aggregateid", "value": "payload",
 *		 "headers": {"id": "id", "type": "type"}}
 *
 * They become expressions, as a user could write them; the topic is the
 * template of the source with what the route says.  Rows that are deleted make
 * no records, nor do those that are updated: an event has happened.  As with
 * Debezium's router ("warn") that is told, since it was not meant to be; with
 * a filter of their own users say themselves what is an event.
 *
 * Siblings: expression.c runs them, table.c has the template.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "topic/json.h"
#include "utils/builtins.h"

#include "sources/internal.h"

/* Members of the field. */
enum
{
	O_ROUTE, O_KEY, O_VALUE, O_HEADERS
};

static const char *const members[] = {"route", "key", "value", "headers"};
static const char *const default_columns[] = {"aggregatetype", "aggregateid", "payload"};

pg_noreturn static void bad_member(const PtTask *task, const char *name);

static void
bad_member(const PtTask *task, const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid \"outbox\" of source \"%s\": \"%s\"", task->name, name),
			 errhint("It is like {\"route\": \"aggregatetype\", \"key\": \"aggregateid\", \"value\": \"payload\", \"headers\": {\"id\": \"id\", \"type\": \"type\"}}, with names of columns.")));
}

static char *
string_of(const PtTask *task, const JsonbValue *v, const char *name)
{
	if (v->type != jbvString || v->val.string.len == 0)
		bad_member(task, name);
	return pnstrdup(v->val.string.val, v->val.string.len);
}

/*
 * ERROR for members that are not known.
 */
static void
check_members(const PtTask *task, Jsonb *given)
{
	PtJsonWalk	walk;

	if (!JB_ROOT_IS_OBJECT(given))
		bad_member(task, "not an object");
	pt_json_walk_begin(&walk, &given->root);
	while (pt_json_walk_next(&walk))
	{
		bool		known = false;

		for (int i = 0; i < lengthof(members); i++)
			known |= strcmp(walk.key, members[i]) == 0;
		if (!known)
			bad_member(task, walk.key);
	}
}

/*
 * Returns the expression of a column: the default one, unless the field names
 * another.
 */
static const char *
column_expression(const PtTask *task, Jsonb *given, int member)
{
	const char *column = default_columns[member];
	JsonbValue	v;

	if (given != NULL && getKeyJsonValueFromContainer(&given->root, members[member], strlen(members[member]), &v) != NULL)
		column = string_of(task, &v, members[member]);
	return psprintf("new.%s", quote_identifier(column));
}

static void
add_header(StringInfo out, const char *name, const char *column)
{
	appendStringInfo(out, "%s%s::pg_catalog.text, new.%s::pg_catalog.text", out->data[out->len - 1] == '(' ? "" : ", ",
					 quote_literal_cstr(name), quote_identifier(column));
}

/*
 * Returns the expression of the headers; NULL for none.
 */
static const char *
headers_expression(const PtTask *task, Jsonb *given)
{
	StringInfoData out;
	JsonbValue	v;
	PtJsonWalk	walk;

	initStringInfo(&out);
	appendStringInfoString(&out, "pg_catalog.jsonb_build_object(");
	if (given == NULL || getKeyJsonValueFromContainer(&given->root, members[O_HEADERS], strlen(members[O_HEADERS]), &v) == NULL)
	{
		add_header(&out, "id", "id");
		add_header(&out, "type", "type");
	}
	else if (v.type == jbvBinary && JsonContainerIsObject(v.val.binary.data))
	{
		pt_json_walk_begin(&walk, v.val.binary.data);
		while (pt_json_walk_next(&walk))
			add_header(&out, walk.key, string_of(task, &walk.value, members[O_HEADERS]));
	}
	else
		bad_member(task, members[O_HEADERS]);
	appendStringInfoChar(&out, ')');
	return out.data;
}

/*
 * Sets the expressions of a source whose tables are outboxes.
 */
void
pt_outbox_define(PtSource *source, const PtTask *task)
{
	Jsonb	   *given = pt_task_jsonb(task, "outbox");

	if (given != NULL)
		check_members(task, given);
	source->exprs[PT_EXPR_FILTER] = "op IN ('c', 'r')";
	source->exprs[PT_EXPR_TOPIC] = psprintf("(%s)::pg_catalog.text", column_expression(task, given, O_ROUTE));
	source->exprs[PT_EXPR_KEY] = column_expression(task, given, O_KEY);
	source->exprs[PT_EXPR_VALUE] = column_expression(task, given, O_VALUE);
	source->exprs[PT_EXPR_HEADERS] = headers_expression(task, given);
}

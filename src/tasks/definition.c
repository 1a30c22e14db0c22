/*-------------------------------------------------------------------------
 *
 * definition.c
 *	  Definitions of tasks: objects of JSON with plain fields.
 *
 * What a definition holds was checked when it was made, but the table can be
 * written by hand, so a field of the wrong type is an ERROR that names it.
 *
 * Siblings: tasks.h, catalog.c (where they are stored).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "tasks/internal.h"
#include "topic/json.h"

static JsonbValue *find(const PtTask *task, const char *field);
pg_noreturn static void bad_field(const PtTask *task, const char *field, const char *expected);
static void key(PtDefinition *d, const char *field);

/* A field; NULL: there is none, or it is null. */
static JsonbValue *
find(const PtTask *task, const char *field)
{
	JsonbValue *v;

	if (!JB_ROOT_IS_OBJECT(task->definition))
		bad_field(task, field, "a field of an object");
	v = getKeyJsonValueFromContainer(&task->definition->root, field, (int) strlen(field), NULL);
	return v == NULL || v->type == jbvNull ? NULL : v;
}

static void
bad_field(const PtTask *task, const char *field, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid definition of task \"%s\"", task->name),
			 errdetail("\"%s\" must be %s.", field, expected)));
}

/* A text field, palloc'd; NULL: there is none. */
const char *
pt_task_text(const PtTask *task, const char *field)
{
	JsonbValue *v = find(task, field);

	if (v == NULL)
		return NULL;
	if (v->type != jbvString)
		bad_field(task, field, "a string");
	return pnstrdup(v->val.string.val, v->val.string.len);
}

/* A field that is a whole number. */
int64
pt_task_int(const PtTask *task, const char *field, int64 otherwise)
{
	JsonbValue *v = find(task, field);
	int64		result;

	if (v == NULL)
		return otherwise;
	if (!pt_json_int64(v, &result))
		bad_field(task, field, "a whole number");
	return result;
}

bool
pt_task_bool(const PtTask *task, const char *field, bool otherwise)
{
	JsonbValue *v = find(task, field);

	if (v == NULL)
		return otherwise;
	if (v->type != jbvBool)
		bad_field(task, field, "true or false");
	return v->val.boolean;
}

/* A field that is an array of strings: List of char *, palloc'd. */
List *
pt_task_texts(const PtTask *task, const char *field)
{
	JsonbValue *v = find(task, field);
	List	   *result = NIL;
	PtJsonWalk	walk;

	if (v == NULL)
		return NIL;
	if (v->type != jbvBinary || !JsonContainerIsArray(v->val.binary.data))
		bad_field(task, field, "an array of strings");
	pt_json_walk_begin(&walk, v->val.binary.data);
	while (pt_json_walk_next(&walk))
	{
		if (walk.value.type != jbvString)
			bad_field(task, field, "an array of strings");
		result = lappend(result, pnstrdup(walk.value.val.string.val, walk.value.val.string.len));
	}
	return result;
}

/* A field of any type, palloc'd; NULL: there is none. */
Jsonb *
pt_task_jsonb(const PtTask *task, const char *field)
{
	JsonbValue *v = find(task, field);

	return v == NULL ? NULL : JsonbValueToJsonb(v);
}

/*
 * Making one
 */

static void
key(PtDefinition *d, const char *field)
{
	appendStringInfoString(&d->json, d->json.len > 1 ? ", " : "");
	escape_json(&d->json, field);
	appendStringInfoString(&d->json, ": ");
}

void
pt_definition_begin(PtDefinition *d)
{
	initStringInfo(&d->json);
	appendStringInfoChar(&d->json, '{');
}

void
pt_definition_text(PtDefinition *d, const char *field, const char *value)
{
	if (value == NULL)
		return;
	key(d, field);
	escape_json(&d->json, value);
}

void
pt_definition_int(PtDefinition *d, const char *field, int64 value)
{
	key(d, field);
	appendStringInfo(&d->json, INT64_FORMAT, value);
}

void
pt_definition_bool(PtDefinition *d, const char *field, bool value)
{
	key(d, field);
	appendStringInfoString(&d->json, value ? "true" : "false");
}

/* values: List of char * */
void
pt_definition_texts(PtDefinition *d, const char *field, List *values)
{
	ListCell   *lc;

	key(d, field);
	appendStringInfoChar(&d->json, '[');
	foreach(lc, values)
	{
		if (lc != list_head(values))
			appendStringInfoString(&d->json, ", ");
		escape_json(&d->json, lfirst(lc));
	}
	appendStringInfoChar(&d->json, ']');
}

void
pt_definition_jsonb(PtDefinition *d, const char *field, Jsonb *value)
{
	if (value == NULL)
		return;
	key(d, field);
	(void) JsonbToCString(&d->json, &value->root, VARSIZE(value));
}

Jsonb *
pt_definition_end(PtDefinition *d)
{
	appendStringInfoChar(&d->json, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(d->json.data)));
}

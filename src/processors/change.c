/*-------------------------------------------------------------------------
 *
 * change.c
 *	  Functions that the statements of sinks call: what a record says of a
 *	  row.
 *
 * A record of Debezium's is an envelope, {"op", "before", "after"}, alone or
 * as the "payload" beside its "schema".  sink_change() checks it and gives the
 * statement what it needs of it, so that nothing of that is repeated in SQL:
 *
 *		op				as it is
 *		before			a row that is no more: of a delete, and of an update
 *						that has changed the key; its key columns only
 *		after			the row, without the values that Debezium did not
 *						have (see "unavailable")
 *		unavailable		the names of such values
 *
 * Siblings: sink_statement.c makes the statements.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "topic/json.h"
#include "topic/types.h"

PG_FUNCTION_INFO_V1(pt_sink_key);
PG_FUNCTION_INFO_V1(pt_sink_change);
PG_FUNCTION_INFO_V1(pt_sink_unavailable);

/*
 * What Debezium writes for a value that did not change and was not sent, and
 * the same as the bytes of a bytea.
 */
static const char *const unavailable[] = {
	"__debezium_unavailable_value",
	"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
};

/* Names of the columns of a primary key. */
typedef struct KeyColumns
{
	int			n;
	Datum	   *names;			/* of type text */
} KeyColumns;

/* The argument "columns"; ERROR if it, or one of them, is null. */
static KeyColumns
key_columns(FunctionCallInfo fcinfo, int n)
{
	KeyColumns	result;

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "columns")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &result.names, NULL, &result.n);
	return result;
}

/* A member of an object; NULL: there is none. */
static JsonbValue *
member(JsonbContainer *object, const char *name)
{
	return getKeyJsonValueFromContainer(object, name, strlen(name), NULL);
}

static JsonbValue *
key_member(JsonbContainer *object, const KeyColumns *key, int n)
{
	return getKeyJsonValueFromContainer(object, VARDATA_ANY(DatumGetPointer(key->names[n])),
										VARSIZE_ANY_EXHDR(DatumGetPointer(key->names[n])), NULL);
}

/* A value as an object; NULL if it is none. */
static JsonbContainer *
object_of(const JsonbValue *v)
{
	if (v == NULL || v->type != jbvBinary || !JsonContainerIsObject(v->val.binary.data))
		return NULL;
	return v->val.binary.data;
}

/*
 * Takes what Kafka Connect's converter has put around: an object that has
 * "schema" and "payload" is its payload.  NULL if that is no object.
 */
static JsonbContainer *
unwrap(JsonbContainer *object)
{
	JsonbValue *payload = member(object, "payload");

	return payload != NULL && member(object, "schema") != NULL ? object_of(payload) : object;
}

/*
 * Bytes as JSON; NULL if they are none, where that is not an error.
 */
static Jsonb *
json_of(Datum bytes, bool must)
{
	LOCAL_FCINFO(call, 1);
	Datum		result;

	InitFunctionCallInfoData(*call, NULL, 1, InvalidOid, NULL, NULL);
	call->args[0].value = bytes;
	call->args[0].isnull = false;
	result = must ? pt_bytea_as_jsonb(call) : pt_bytea_try_jsonb(call);
	return call->isnull ? NULL : DatumGetJsonbP(result);
}

static void
push_name(PtJsonOut *out, const char *name)
{
	JsonbValue	v = {.type = jbvString,.val.string = {.len = strlen(name),.val = unconstify(char *, name)}};

	pt_json_push(out, WJB_KEY, &v);
}

static void
push_key_name(PtJsonOut *out, const KeyColumns *key, int n)
{
	push_name(out, TextDatumGetCString(key->names[n]));
}

/* Are the key columns all there, and not null? */
static bool
has_key(JsonbContainer *object, const KeyColumns *key)
{
	for (int i = 0; i < key->n; i++)
	{
		JsonbValue *v = object != NULL ? key_member(object, key, i) : NULL;

		if (v == NULL || v->type == jbvNull)
			return false;
	}
	return true;
}

/* The key columns of an object as an object, those that it has. */
static void
push_key(PtJsonOut *out, JsonbContainer *object, const KeyColumns *key)
{
	pt_json_push(out, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; object != NULL && i < key->n; i++)
	{
		JsonbValue *v = key_member(object, key, i);

		if (v == NULL)
			continue;
		push_key_name(out, key, i);
		pt_json_push(out, WJB_VALUE, v);
	}
	pt_json_push(out, WJB_END_OBJECT, NULL);
}

static Jsonb *
key_jsonb(JsonbContainer *object, const KeyColumns *key)
{
	PtJsonOut	out = {0};

	push_key(&out, object, key);
	return JsonbValueToJsonb(out.result);
}

/*
 * sink_key(key, columns): the columns of a primary key that the key of a
 * record has.  It is an object with them, or the value itself if there is one
 * column: JSON's string, else as text.
 */
Datum
pt_sink_key(PG_FUNCTION_ARGS)
{
	KeyColumns	key = key_columns(fcinfo, 1);
	Jsonb	   *json = PG_ARGISNULL(0) ? NULL : json_of(PG_GETARG_DATUM(0), false);
	PtJsonOut	out = {0};
	JsonbValue	v;

	if (json != NULL && JB_ROOT_IS_OBJECT(json))
		PG_RETURN_JSONB_P(key_jsonb(unwrap(&json->root), &key));
	pt_json_push(&out, WJB_BEGIN_OBJECT, NULL);
	if (!PG_ARGISNULL(0) && key.n == 1)
	{
		bytea	   *bytes = PG_GETARG_BYTEA_PP(0);

		if (json == NULL || !JsonbExtractScalar(&json->root, &v) || v.type != jbvString)
		{
			v.type = jbvString;
			v.val.string.val = pt_bytes_to_text(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
			v.val.string.len = strlen(v.val.string.val);
		}
		push_key_name(&out, &key, 0);
		pt_json_push(&out, WJB_VALUE, &v);
	}
	pt_json_push(&out, WJB_END_OBJECT, NULL);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(out.result));
}

/*
 * Envelopes
 */

/* ERROR for a value that a mirror can do nothing with. */
static void
refuse(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("value is not an envelope of a change"),
			 errdetail_internal("%s", detail),
			 errhint("A sink with mode \"mirror\" takes Debezium's JSON envelopes; for plain objects use \"upsert\".")));
}

static bool
is_unavailable(const JsonbValue *v)
{
	for (int i = 0; i < lengthof(unavailable); i++)
		if (v->type == jbvString && v->val.string.len == strlen(unavailable[i]) &&
			memcmp(v->val.string.val, unavailable[i], v->val.string.len) == 0)
			return true;
	return false;
}

/* The names of values that were not sent, as an array "unavailable". */
static void
push_unavailable(PtJsonOut *out, JsonbContainer *after)
{
	PtJsonWalk	walk;

	push_name(out, "unavailable");
	pt_json_push(out, WJB_BEGIN_ARRAY, NULL);
	pt_json_walk_begin(&walk, after);
	while (pt_json_walk_next(&walk))
	{
		JsonbValue	name = {.type = jbvString,.val.string = {.len = strlen(walk.key),.val = walk.key}};

		if (is_unavailable(&walk.value))
			pt_json_push(out, WJB_ELEM, &name);
	}
	pt_json_push(out, WJB_END_ARRAY, NULL);
}

/* Adds "after", and "unavailable" if there are such values. */
static void
push_after(PtJsonOut *out, JsonbContainer *after)
{
	bool		lacks = false;
	PtJsonWalk	walk;

	push_name(out, "after");
	pt_json_push(out, WJB_BEGIN_OBJECT, NULL);
	pt_json_walk_begin(&walk, after);
	while (pt_json_walk_next(&walk))
	{
		if (is_unavailable(&walk.value))
		{
			lacks = true;
			continue;
		}
		push_name(out, walk.key);
		pt_json_push(out, WJB_VALUE, &walk.value);
	}
	pt_json_push(out, WJB_END_OBJECT, NULL);
	if (lacks)
		push_unavailable(out, after);
}

/* The row that a change removes; NULL: none. */
static JsonbContainer *
removed(char op, JsonbContainer *before, JsonbContainer *after, Datum record_key, const KeyColumns *key)
{
	Jsonb	   *json;

	if (op == 'u' && has_key(before, key) &&
		compareJsonbContainers(&key_jsonb(before, key)->root, &key_jsonb(after, key)->root) != 0)
		return before;
	if (op != 'd')
		return NULL;
	if (has_key(before, key))
		return before;
	json = record_key != (Datum) 0 ? json_of(record_key, false) : NULL;
	if (json != NULL && JB_ROOT_IS_OBJECT(json))
	{
		JsonbContainer *object = unwrap(&json->root);

		if (has_key(object, key))
			return object;
	}
	refuse("It deletes a row, and neither \"before\" nor the record's key has the columns of the primary key.");
	return NULL;
}

/*
 * What is to be done, as the head of the file says.
 */
static Jsonb *
change_of(JsonbContainer *envelope, Datum record_key, const KeyColumns *key)
{
	JsonbValue *op = member(envelope, "op");
	JsonbContainer *before = object_of(member(envelope, "before"));
	JsonbContainer *after = object_of(member(envelope, "after"));
	JsonbContainer *gone;
	PtJsonOut	out = {0};

	if (op == NULL || op->type != jbvString || op->val.string.len != 1 || strchr("crudtm", op->val.string.val[0]) == NULL)
		refuse("It has no \"op\" that is c, r, u, d, t or m.");
	if (strchr("cru", op->val.string.val[0]) == NULL)
		after = NULL;
	else if (after == NULL)
		refuse("It has no object \"after\".");
	gone = removed(op->val.string.val[0], before, after, record_key, key);
	pt_json_push(&out, WJB_BEGIN_OBJECT, NULL);
	push_name(&out, "op");
	pt_json_push(&out, WJB_VALUE, op);
	if (gone != NULL)
	{
		push_name(&out, "before");
		push_key(&out, gone, key);
	}
	if (after != NULL)
		push_after(&out, after);
	pt_json_push(&out, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(out.result);
}

/*
 * sink_change(key, value, columns): what an envelope says of a row whose
 * primary key has these columns; null if there is nothing in the value.
 */
Datum
pt_sink_change(PG_FUNCTION_ARGS)
{
	KeyColumns	key = key_columns(fcinfo, 2);
	JsonbContainer *envelope;
	Jsonb	   *json;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	json = json_of(PG_GETARG_DATUM(1), true);
	if (!JB_ROOT_IS_OBJECT(json))
		refuse("It is no JSON object.");
	envelope = unwrap(&json->root);
	if (envelope == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(change_of(envelope, PG_ARGISNULL(0) ? (Datum) 0 : PG_GETARG_DATUM(0), &key));
}

/*
 * sink_unavailable(key): ERROR for a row of which values are neither in the
 * record nor in the table.
 */
Datum
pt_sink_unavailable(PG_FUNCTION_ARGS)
{
	char	   *key = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));

	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("values of a changed row were not sent, and the table does not have the row"),
			 errdetail("Key: %s", key),
			 errhint("Where the change comes from, REPLICA IDENTITY FULL makes it whole, or a new snapshot of the table.")));
	PG_RETURN_NULL();
}

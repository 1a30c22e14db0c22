/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Small helpers to read jsonb.
 *
 * Siblings: label.c, headers.c and the func room use them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "topic/internal.h"
#include "topic/json.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/*
 * Begins to go over an array or object; the container belongs to the caller.
 */
void
pt_json_walk_begin(PtJsonWalk *walk, JsonbContainer *container)
{
	JsonbValue	v;
	JsonbIteratorToken token PG_USED_FOR_ASSERTS_ONLY;

	walk->it = JsonbIteratorInit(container);
	walk->key = NULL;
	token = JsonbIteratorNext(&walk->it, &v, true);
	Assert(token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY);
}

/*
 * Moves to the next element or member; false at the end.
 */
bool
pt_json_walk_next(PtJsonWalk *walk)
{
	JsonbIteratorToken token = JsonbIteratorNext(&walk->it, &walk->value, true);

	if (token == WJB_ELEM)
		return true;
	if (token != WJB_KEY)
		return false;
	walk->key = pnstrdup(walk->value.val.string.val, walk->value.val.string.len);
	token = JsonbIteratorNext(&walk->it, &walk->value, true);
	Assert(token == WJB_VALUE);
	return true;
}

/*
 * Returns a scalar as text, as ->> does; NULL for null.  ERROR for an array
 * or object; "what" is its name in the message.
 */
char *
pt_json_scalar(const JsonbValue *v, const char *what)
{
	switch (v->type)
	{
		case jbvNull:
			return NULL;
		case jbvString:
			return pnstrdup(v->val.string.val, v->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(v->val.numeric)));
		case jbvBool:
			return pstrdup(v->val.boolean ? "true" : "false");
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s must be a string, a number, a boolean or null", what)));
	}
	pg_unreachable();
}

/*
 * Returns true and the number if it is whole and fits; false for anything
 * else.
 */
bool
pt_json_int64(const JsonbValue *v, int64 *result)
{
	char	   *end;
	char	   *digits;

	if (v->type != jbvNumeric)
		return false;
	/* 15.0 is 15 */
	digits = DatumGetCString(DirectFunctionCall1(numeric_out,
												 DirectFunctionCall1(numeric_trim_scale,
																	 NumericGetDatum(v->val.numeric))));
	errno = 0;
	*result = strtoi64(digits, &end, 10);
	return errno == 0 && *end == '\0';
}

/*
 * Joins the elements of an array with commas.
 */
static char *
joined(JsonbContainer *array, const char *what)
{
	StringInfoData buf;
	PtJsonWalk	walk;

	initStringInfo(&buf);
	pt_json_walk_begin(&walk, array);
	while (pt_json_walk_next(&walk))
	{
		const char *item = pt_json_scalar(&walk.value, what);

		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "," : "", item ? item : "");
	}
	return buf.data;
}

/*
 * Returns {"retention.ms": 1000, "cleanup.policy": ["compact", "delete"],
 * "segment.ms": null} as a list of PtConfigPair.  An array is joined with
 * commas.  Names and values are not checked.
 */
List *
pt_json_configs(Jsonb *jb)
{
	List	   *pairs = NIL;
	PtJsonWalk	walk;

	if (!JB_ROOT_IS_OBJECT(jb))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("configs must be a JSON object"),
				 errhint("For example {\"retention.ms\": 86400000}.")));

	pt_json_walk_begin(&walk, &jb->root);
	while (pt_json_walk_next(&walk))
	{
		PtConfigPair *pair = palloc(sizeof(PtConfigPair));
		char	   *what = psprintf("config \"%s\"", walk.key);

		pair->name = walk.key;
		if (walk.value.type == jbvBinary && JsonContainerIsArray(walk.value.val.binary.data))
			pair->value = joined(walk.value.val.binary.data, what);
		else
			pair->value = pt_json_scalar(&walk.value, what);
		pairs = lappend(pairs, pair);
	}
	return pairs;
}

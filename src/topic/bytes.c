/*-------------------------------------------------------------------------
 *
 * bytes.c
 *	  Keys and values of records, which are bytes, read as text or as JSON.
 *
 * What other systems put into a record is UTF-8, so that is how bytes are
 * read, whatever the encoding of the database.  The operators ->, ->> and #>>
 * do to bytes what they do to jsonb.  All of them fail for bytes that are no
 * text or no JSON; try_text() and try_jsonb() are null for those, so that one
 * record need not spoil a query.
 *
 * Siblings: headers.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "topic/types.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(pt_bytea_as_text);
PG_FUNCTION_INFO_V1(pt_bytea_as_jsonb);
PG_FUNCTION_INFO_V1(pt_bytea_try_text);
PG_FUNCTION_INFO_V1(pt_bytea_try_jsonb);
PG_FUNCTION_INFO_V1(pt_bytea_json_field);
PG_FUNCTION_INFO_V1(pt_bytea_json_field_text);
PG_FUNCTION_INFO_V1(pt_bytea_json_element);
PG_FUNCTION_INFO_V1(pt_bytea_json_element_text);
PG_FUNCTION_INFO_V1(pt_bytea_json_path_text);

char *
pt_bytes_to_text(const char *data, int len)
{
	char	   *copy;
	char	   *converted;

	(void) pg_verify_mbstr(PG_UTF8, data, len, false);
	copy = pnstrdup(data, len);
	converted = pg_any_to_server(copy, len, PG_UTF8);
	if (converted != copy)
		pfree(copy);
	return converted;
}

static char *
text_of(Datum datum)
{
	bytea	   *bytes = DatumGetByteaPP(datum);

	return pt_bytes_to_text(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

static Datum
text_datum_of(Datum datum)
{
	return CStringGetTextDatum(text_of(datum));
}

static Datum
jsonb_of(Datum datum)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text_of(datum)));
}

/*
 * Calls a function of jsonb on the first argument read as such; its result may
 * be NULL.
 */
static Datum
call_jsonb(PGFunction function, FunctionCallInfo fcinfo)
{
	LOCAL_FCINFO(call, 2);
	Datum		result;

	InitFunctionCallInfoData(*call, fcinfo->flinfo, 2, fcinfo->fncollation, NULL, NULL);
	call->args[0].value = jsonb_of(PG_GETARG_DATUM(0));
	call->args[0].isnull = false;
	call->args[1].value = PG_GETARG_DATUM(1);
	call->args[1].isnull = false;
	result = function(call);
	fcinfo->isnull = call->isnull;
	return result;
}

Datum
pt_bytea_as_text(PG_FUNCTION_ARGS)
{
	return text_datum_of(PG_GETARG_DATUM(0));
}

Datum
pt_bytea_as_jsonb(PG_FUNCTION_ARGS)
{
	return jsonb_of(PG_GETARG_DATUM(0));
}

/*
 * Reads the argument, or returns null where it is not what it should be.  To
 * catch an error without a subtransaction is right here only because the
 * readers take nothing but memory.  What tells of the data is caught (JSON
 * that is nested too deep is a limit of the program); anything else, such as
 * the cancel of a query, is thrown on.
 */
static Datum
try_reader(Datum (*read) (Datum), FunctionCallInfo fcinfo)
{
	MemoryContext mcxt = CurrentMemoryContext;
	volatile Datum result = (Datum) 0;

	PG_TRY();
	{
		result = read(PG_GETARG_DATUM(0));
	}
	PG_CATCH();
	{
		int			category = ERRCODE_TO_CATEGORY(geterrcode());

		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(mcxt);
		FlushErrorState();
		fcinfo->isnull = true;
	}
	PG_END_TRY();
	return result;
}

Datum
pt_bytea_try_text(PG_FUNCTION_ARGS)
{
	return try_reader(text_datum_of, fcinfo);
}

Datum
pt_bytea_try_jsonb(PG_FUNCTION_ARGS)
{
	return try_reader(jsonb_of, fcinfo);
}

Datum
pt_bytea_json_field(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_object_field, fcinfo);
}

Datum
pt_bytea_json_field_text(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_object_field_text, fcinfo);
}

Datum
pt_bytea_json_element(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_array_element, fcinfo);
}

Datum
pt_bytea_json_element_text(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_array_element_text, fcinfo);
}

Datum
pt_bytea_json_path_text(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_extract_path_text, fcinfo);
}

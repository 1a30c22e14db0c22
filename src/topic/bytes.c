/*-------------------------------------------------------------------------
 *
 * bytes.c
 *	  Keys and values of records, which are bytes, read as text or as JSON.
 *
 * Other systems put UTF-8 into records, so bytes are read as UTF-8, whatever
 * the encoding of the database.  The operators ->, ->> and #>> do to bytes
 * what they do to jsonb.  All of these fail for bytes that are not text or not
 * JSON; try_text() and try_jsonb() return null for them, so that one record
 * does not make a query fail.
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

/*
 * Returns UTF-8 bytes as a string in the encoding of the database, palloc'd.
 * ERROR 22021 if they are not valid, or cannot be converted.
 */
char *
pt_bytes_to_text(const char *data, int len)
{
	char	   *copy;
	char	   *converted;

	Assert(len >= 0 && (data != NULL || len == 0));
	(void) pg_verify_mbstr(PG_UTF8, data, len, false);
	copy = pnstrdup(data, len);
	converted = pg_any_to_server(copy, len, PG_UTF8);
	if (converted != copy)
		pfree(copy);
	return converted;
}

/*
 * Returns a bytea as a string.
 */
static char *
text_of(Datum datum)
{
	bytea	   *bytes = DatumGetByteaPP(datum);

	return pt_bytes_to_text(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/*
 * Returns a bytea as text.
 */
static Datum
text_datum_of(Datum datum)
{
	return CStringGetTextDatum(text_of(datum));
}

/*
 * Returns a bytea as jsonb.
 */
static Datum
jsonb_of(Datum datum)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text_of(datum)));
}

/*
 * Calls a function of jsonb with the first argument, a bytea, read as jsonb.
 * Its result may be null.
 */
static Datum
call_jsonb(PGFunction function, FunctionCallInfo fcinfo)
{
	LOCAL_FCINFO(call, 2);
	Datum		result;

	Assert(PG_NARGS() == 2);
	InitFunctionCallInfoData(*call, fcinfo->flinfo, 2, fcinfo->fncollation, NULL, NULL);
	call->args[0].value = jsonb_of(PG_GETARG_DATUM(0));
	call->args[0].isnull = false;
	call->args[1].value = PG_GETARG_DATUM(1);
	call->args[1].isnull = false;
	result = function(call);
	fcinfo->isnull = call->isnull;
	return result;
}

/* as_text(bytea) */
Datum
pt_bytea_as_text(PG_FUNCTION_ARGS)
{
	return text_datum_of(PG_GETARG_DATUM(0));
}

/* as_jsonb(bytea) */
Datum
pt_bytea_as_jsonb(PG_FUNCTION_ARGS)
{
	return jsonb_of(PG_GETARG_DATUM(0));
}

/*
 * Reads the argument, or returns null if it cannot be read.
 *
 * Catching an error without a subtransaction is right here because the
 * readers only allocate memory.  Errors about the data are caught (JSON that
 * is nested too deeply is a program limit); all others, such as a cancelled
 * query, are thrown on.
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

/* try_text(bytea) */
Datum
pt_bytea_try_text(PG_FUNCTION_ARGS)
{
	return try_reader(text_datum_of, fcinfo);
}

/* try_jsonb(bytea) */
Datum
pt_bytea_try_jsonb(PG_FUNCTION_ARGS)
{
	return try_reader(jsonb_of, fcinfo);
}

/* bytea -> text */
Datum
pt_bytea_json_field(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_object_field, fcinfo);
}

/* bytea ->> text */
Datum
pt_bytea_json_field_text(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_object_field_text, fcinfo);
}

/* bytea -> integer */
Datum
pt_bytea_json_element(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_array_element, fcinfo);
}

/* bytea ->> integer */
Datum
pt_bytea_json_element_text(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_array_element_text, fcinfo);
}

/* bytea #>> text[] */
Datum
pt_bytea_json_path_text(PG_FUNCTION_ARGS)
{
	return call_jsonb(jsonb_extract_path_text, fcinfo);
}

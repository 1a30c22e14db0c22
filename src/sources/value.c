/*-------------------------------------------------------------------------
 *
 * value.c
 *	  A value in PostgreSQL's text form as JSON.
 *
 * The source may be a server of another major, so nothing is known of a type
 * but its OID and, if it is not built in, its name.  Built-in types have the
 * same OIDs everywhere.
 *
 *		boolean						true, false
 *		smallint .. bigint, oid		number
 *		real, double precision		number; NaN and infinities are strings
 *		numeric						string, or number if asked for
 *		bytea						string, base64
 *		timestamp, timestamptz		string, ISO 8601, UTC
 *		json, jsonb					string; JSON as it is in rows
 *		arrays of built-in types	array
 *		all others					string, as PostgreSQL writes them
 *
 * With schemas, times and the like are numbers, as their schemas say:
 *
 *		date						days since 1970
 *		time, timestamp				microseconds of the day, or since 1970;
 *									milliseconds if it has no more digits
 *		interval					microseconds
 *		timetz, timestamptz			string, ISO 8601, UTC with a Z
 *
 * Siblings: table.c knows the forms of a table's columns.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "common/base64.h"
#include "common/jsonapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "sources/internal.h"

static PtJsonForm scalar_form(Oid type);
static Oid	type_here(Oid type);
static void append_scalar(StringInfo out, PtJsonForm form, int32 typmod, char *text, const PtSource *source);
static void append_array(StringInfo out, PtValueForm form, char *input, const PtSource *source);

static PtJsonForm
scalar_form(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return PT_FORM_BOOL;
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case FLOAT4OID:
		case FLOAT8OID:
			return PT_FORM_NUMBER;
		case NUMERICOID:
			return PT_FORM_NUMERIC;
		case BYTEAOID:
			return PT_FORM_BYTEA;
		case JSONOID:
		case JSONBOID:
			return PT_FORM_JSON;
		case DATEOID:
			return PT_FORM_DATE;
		case TIMEOID:
			return PT_FORM_TIME;
		case TIMETZOID:
			return PT_FORM_TIMETZ;
		case INTERVALOID:
			return PT_FORM_INTERVAL;
		case TIMESTAMPOID:
			return PT_FORM_TIMESTAMP;
		case TIMESTAMPTZOID:
			return PT_FORM_TIMESTAMPTZ;
		default:
			return PT_FORM_TEXT;
	}
}

/*
 * Returns the type that values of a built-in type have in expressions.  It is
 * text where the text form means something to its own server only (names of
 * tables and roles, money), or is not read by anybody.
 */
static Oid
type_here(Oid type)
{
	Oid			element = get_element_type(type);
	Oid			checked = OidIsValid(element) ? element : type;
	char		kind = get_typtype(checked);
	char		category;
	bool		preferred;

	if (kind != TYPTYPE_BASE && kind != TYPTYPE_RANGE && kind != TYPTYPE_MULTIRANGE)
		return TEXTOID;
	get_type_category_preferred(checked, &category, &preferred);
	switch (category)
	{
		case TYPCATEGORY_NUMERIC:
			return scalar_form(checked) == PT_FORM_TEXT ? TEXTOID : type;
		case TYPCATEGORY_INTERNAL:
			return checked == CHAROID ? type : TEXTOID;
		default:
			return checked == ACLITEMOID ? TEXTOID : type;
	}
}

/*
 * Returns how values of a type are written, and what they are in expressions.
 * Needs a transaction.
 */
PtValueForm
pt_value_form(Oid type)
{
	PtValueForm result = {.form = scalar_form(type),.type = type < FirstGenbkiObjectId ? type_here(type) : TEXTOID,.typmod = -1};
	Oid			element;

	if (result.form != PT_FORM_TEXT || type >= FirstGenbkiObjectId)
		return result;
	element = get_element_type(type);
	/* that of box has another delimiter than all others */
	if (OidIsValid(element) && element != BOXOID)
	{
		result.form = PT_FORM_ARRAY;
		result.element = scalar_form(element);
		result.element_type = type_here(element);
	}
	return result;
}

/*
 * The same for a type of the source that has no OID of its own everywhere.
 * That of a domain comes with the name of the type beneath.
 */
PtValueForm
pt_value_form_named(const char *schema, const char *type)
{
	PtValueForm text = {.type = TEXTOID,.typmod = -1};
	Oid			oid;

	if (*schema != '\0' && strcmp(schema, "pg_catalog") != 0)
		return text;

	oid = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(type), ObjectIdGetDatum(PG_CATALOG_NAMESPACE));
	return OidIsValid(oid) && oid < FirstGenbkiObjectId ? pt_value_form(oid) : text;
}

/*
 * Bytes are written by the server as \x and hexadecimal digits.
 */
static void
append_bytea(StringInfo out, const char *text)
{
	int			len = strlen(text);
	char	   *bytes;
	int			n;
	int			room;
	int			written;

	if (strncmp(text, "\\x", 2) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("bytea value of the source is not in hexadecimal format")));
	bytes = palloc(len / 2 + 1);
	n = hex_decode(text +2, len - 2, bytes);
	room = pg_b64_enc_len(n);
	appendStringInfoChar(out, '"');
	enlargeStringInfo(out, room + 1);
	written = pg_b64_encode((const void *) bytes, n, out->data + out->len, room + 1);
	if (written < 0)
		elog(ERROR, "could not encode bytes");
	out->len += written;
	out->data[out->len] = '\0';
	appendStringInfoChar(out, '"');
	pfree(bytes);
}

/*
 * PostgreSQL writes "2026-01-31 12:00:00+00", with " BC" behind it if need be.
 * JSON has a T between date and time, and minutes in the zone, as to_json()
 * writes it.
 */
static void
append_timestamp(StringInfo out, const char *text, bool zone)
{
	const char *space = strchr(text, ' ');
	const char *plus = zone ? strrchr(text, '+') : NULL;

	if (space == NULL || (zone && (plus == NULL || strlen(plus) < 3 || plus < space)))
	{
		escape_json(out, text); /* infinity */
		return;
	}
	escape_json(out, psprintf("%.*sT%.*s%s%s", (int) (space - text), text,
							  (int) (zone ? plus + 3 - space - 1 : (int) strlen(space + 1)), space + 1,
							  zone ? ":00" : "", zone ? plus + 3 : ""));
}

/*
 * A number, as far as JSON has it.
 */
static void
append_number(StringInfo out, const char *text)
{
	if (IsValidJsonNumber(text, strlen(text)))
		appendStringInfoString(out, text);
	else
		escape_json(out, text);
}

/*
 * Does a time of this type modifier have milliseconds, and no more?
 */
bool
pt_value_in_ms(int32 typmod)
{
	return typmod >= 0 && typmod <= 3;
}

/*
 * Returns a text form as microseconds of the day, or since 1970, or of an
 * interval, in which a month is a twelfth of 365.25 days.  What is infinite is
 * as Debezium has it.
 */
static int64
microseconds(PtJsonForm form, char *text)
{
	Interval   *interval;

	if (strcmp(text, "infinity") == 0)
		return INT64CONST(9223372036825200000);
	if (strcmp(text, "-infinity") == 0)
		return -INT64CONST(9223372036832400000);
	switch (form)
	{
		case PT_FORM_TIME:
			return DatumGetTimeADT(DirectFunctionCall3(time_in, CStringGetDatum(text), InvalidOid, Int32GetDatum(-1)));
		case PT_FORM_INTERVAL:
			interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text), InvalidOid, Int32GetDatum(-1)));
			return interval->time + interval->day * USECS_PER_DAY + interval->month * (USECS_PER_DAY / 32 * 974);
		default:
			return DatumGetTimestamp(DirectFunctionCall3(timestamp_in, CStringGetDatum(text), InvalidOid, Int32GetDatum(-1))) +
				(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	}
}

/*
 * A date as days since 1970; what is infinite is the first or last day.
 */
static int32
date_days(char *text)
{
	DateADT		date = DatumGetDateADT(DirectFunctionCall1(date_in, CStringGetDatum(text)));

	return DATE_NOT_FINITE(date) ? date : date + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE);
}

/*
 * A time of the day in a zone, as that of UTC.
 */
static void
append_timetz(StringInfo out, char *text)
{
	TimeTzADT  *time = DatumGetTimeTzADTP(DirectFunctionCall3(timetz_in, CStringGetDatum(text), InvalidOid, Int32GetDatum(-1)));
	int64		utc = (time->time + time->zone * USECS_PER_SEC + USECS_PER_DAY) % USECS_PER_DAY;

	appendStringInfo(out, "\"%sZ\"", DatumGetCString(DirectFunctionCall1(time_out, TimeADTGetDatum(utc))));
}

/*
 * A time in UTC, as "2026-01-31T12:00:00Z".
 */
static void
append_zoned(StringInfo out, const char *text)
{
	const char *space = strchr(text, ' ');
	const char *zone = strstr(text, "+00");

	if (space == NULL || zone == NULL || zone < space)
		escape_json(out, text);
	else
		escape_json(out, psprintf("%.*sT%.*sZ%s", (int) (space - text), text, (int) (zone - space - 1), space + 1, zone + 3));
}

/*
 * A value of a time's type as its schema says.
 */
static void
append_connect_time(StringInfo out, PtJsonForm form, int32 typmod, char *text)
{
	int64		us;

	switch (form)
	{
		case PT_FORM_DATE:
			appendStringInfo(out, "%d", date_days(text));
			break;
		case PT_FORM_TIMETZ:
			append_timetz(out, text);
			break;
		case PT_FORM_TIMESTAMPTZ:
			append_zoned(out, text);
			break;
		default:
			us = microseconds(form, text);
			if (form != PT_FORM_INTERVAL && pt_value_in_ms(typmod) && strstr(text, "infinity") == NULL)
				us = us / 1000 - (us % 1000 < 0 ? 1 : 0);
			appendStringInfo(out, INT64_FORMAT, us);
	}
}

static void
append_scalar(StringInfo out, PtJsonForm form, int32 typmod, char *text, const PtSource *source)
{
	switch (form)
	{
		case PT_FORM_BOOL:
			appendStringInfoString(out, *text == 't' ? "true" : "false");
			break;
		case PT_FORM_NUMBER:
			append_number(out, text);
			break;
		case PT_FORM_NUMERIC:
			if (source->numeric_as_number)
				append_number(out, text);
			else
				escape_json(out, text);
			break;
		case PT_FORM_BYTEA:
			append_bytea(out, text);
			break;
		case PT_FORM_JSON:
			if (source->row_format && !source->schemas)
				appendStringInfoString(out, text);
			else
				escape_json(out, text);
			break;
		case PT_FORM_TIMESTAMP:
		case PT_FORM_TIMESTAMPTZ:
			if (source->schemas)
				append_connect_time(out, form, typmod, text);
			else
				append_timestamp(out, text, form == PT_FORM_TIMESTAMPTZ);
			break;
		case PT_FORM_DATE:
		case PT_FORM_TIME:
		case PT_FORM_TIMETZ:
		case PT_FORM_INTERVAL:
			if (source->schemas)
				append_connect_time(out, form, typmod, text);
			else
				escape_json(out, text);
			break;
		case PT_FORM_TEXT:
		case PT_FORM_ARRAY:
			escape_json(out, text);
			break;
	}
}

/*
 * The elements are taken out of the text form by the server's own input
 * function, as text[].  Lower bounds are not told.
 */
static void
append_array(StringInfo out, PtValueForm form, char *input, const PtSource *source)
{
	Datum		datum = OidInputFunctionCall(F_ARRAY_IN, input, TEXTOID, -1);
	ArrayType  *array = DatumGetArrayTypeP(datum);
	int			ndim = ARR_NDIM(array);
	int		   *dims = ARR_DIMS(array);
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	if (n == 0)
		appendStringInfoString(out, "[]");
	for (int i = 0; i < n; i++)
	{
		int			run = 1;	/* elements of the innermost arrays */

		if (i > 0)
			appendStringInfoChar(out, ',');
		for (int d = ndim - 1; d >= 0 && i % (run *= dims[d]) == 0; d--)
			appendStringInfoChar(out, '[');
		if (nulls[i])
			appendStringInfoString(out, "null");
		else
			append_scalar(out, form.element, form.typmod, TextDatumGetCString(values[i]), source);
		run = 1;
		for (int d = ndim - 1; d >= 0 && (i + 1) % (run *= dims[d]) == 0; d--)
			appendStringInfoChar(out, ']');
	}
}

/*
 * Appends a value that is not null.
 */
void
pt_value_append(StringInfo out, PtValueForm form, char *text, const PtSource *source)
{
	if (form.form == PT_FORM_ARRAY)
		append_array(out, form, text, source);
	else
		append_scalar(out, form.form, form.typmod, text, source);
}

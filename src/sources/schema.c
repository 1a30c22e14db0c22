/*-------------------------------------------------------------------------
 *
 * schema.c
 *	  Schemas of keys and values, as Kafka Connect's JSON converter writes them
 *	  beside the payload.
 *
 * Names and types are those of Debezium's connector, and with schemas values
 * are what they say (value.c): days, microseconds, and so on.  The precision
 * of a column says whether a time has milliseconds or microseconds.
 *
 * Siblings: table.c (columns), envelope.c (puts it before the payload).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "sources/internal.h"

/* A type of Connect, and the name of what it means; NULL: nothing else. */
typedef struct ConnectType
{
	const char *type;
	const char *name;
} ConnectType;

static const ConnectType connect_types[] = {
	[PT_FORM_TEXT] = {"string", NULL},
	[PT_FORM_BOOL] = {"boolean", NULL},
	[PT_FORM_NUMBER] = {"int64", NULL},
	[PT_FORM_NUMERIC] = {"string", NULL},
	[PT_FORM_BYTEA] = {"bytes", NULL},
	[PT_FORM_JSON] = {"string", "io.debezium.data.Json"},
	[PT_FORM_DATE] = {"int32", "io.debezium.time.Date"},
	[PT_FORM_TIME] = {"int64", "io.debezium.time.MicroTime"},
	[PT_FORM_TIMETZ] = {"string", "io.debezium.time.ZonedTime"},
	[PT_FORM_INTERVAL] = {"int64", "io.debezium.time.MicroDuration"},
	[PT_FORM_TIMESTAMP] = {"int64", "io.debezium.time.MicroTimestamp"},
	[PT_FORM_TIMESTAMPTZ] = {"string", "io.debezium.time.ZonedTimestamp"},
	[PT_FORM_ARRAY] = {"array", NULL},
};

/* The parts of "source" in an envelope, as envelope.c writes them. */
static const char *const source_fields =
"[{\"type\":\"string\",\"optional\":false,\"field\":\"connector\"},"
"{\"type\":\"string\",\"optional\":false,\"field\":\"name\"},"
"{\"type\":\"int64\",\"optional\":false,\"field\":\"ts_ms\"},"
"{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"version\":1,"
"\"parameters\":{\"allowed\":\"true,last,false,incremental\"},\"default\":\"false\",\"field\":\"snapshot\"},"
"{\"type\":\"string\",\"optional\":false,\"field\":\"db\"},"
"{\"type\":\"string\",\"optional\":false,\"field\":\"schema\"},"
"{\"type\":\"string\",\"optional\":false,\"field\":\"table\"},"
"{\"type\":\"int64\",\"optional\":true,\"field\":\"txId\"},"
"{\"type\":\"int64\",\"optional\":true,\"field\":\"lsn\"}]";

static const char *const transaction_fields =
"[{\"type\":\"string\",\"optional\":false,\"field\":\"id\"},"
"{\"type\":\"int64\",\"optional\":false,\"field\":\"total_order\"},"
"{\"type\":\"int64\",\"optional\":false,\"field\":\"data_collection_order\"}]";

/*
 * Returns what a value is that is no array.
 */
static ConnectType
scalar_type(const PtSource *source, PtJsonForm form, Oid type, int32 typmod)
{
	ConnectType result = connect_types[form];

	switch (type)
	{
		case INT2OID:
			return (ConnectType)
			{
				"int16", NULL
			};
		case INT4OID:
			return (ConnectType)
			{
				"int32", NULL
			};
		case FLOAT4OID:
			return (ConnectType)
			{
				"float", NULL
			};
		case FLOAT8OID:
			return (ConnectType)
			{
				"double", NULL
			};
		case UUIDOID:
			return (ConnectType)
			{
				"string", "io.debezium.data.Uuid"
			};
		case XMLOID:
			return (ConnectType)
			{
				"string", "io.debezium.data.Xml"
			};
		default:
			break;
	}
	if (form == PT_FORM_NUMERIC && source->numeric_as_number)
		return (ConnectType)
	{
		"double", NULL
	};
	if (form == PT_FORM_TIME && pt_value_in_ms(typmod))
		return (ConnectType)
	{
		"int32", "io.debezium.time.Time"
	};
	if (form == PT_FORM_TIMESTAMP && pt_value_in_ms(typmod))
		return (ConnectType)
	{
		"int64", "io.debezium.time.Timestamp"
	};
	return result;
}

static void
append_type(StringInfo out, ConnectType type, bool optional)
{
	appendStringInfo(out, "\"type\":\"%s\",\"optional\":%s", type.type, optional ? "true" : "false");
	if (type.name != NULL)
		appendStringInfo(out, ",\"name\":\"%s\",\"version\":1", type.name);
}

static void
append_column(StringInfo out, const PtSource *source, const PtSourceColumn *column)
{
	const PtValueForm *form = &column->form;
	bool		optional = !column->is_key && !column->not_null;

	appendStringInfoChar(out, '{');
	if (form->form == PT_FORM_ARRAY)
	{
		appendStringInfoString(out, "\"type\":\"array\",\"items\":{");
		append_type(out, scalar_type(source, form->element, form->element_type, form->typmod), true);
		appendStringInfo(out, "},\"optional\":%s", optional ? "true" : "false");
	}
	else
		append_type(out, scalar_type(source, form->form, form->type, form->typmod), optional);
	appendStringInfoString(out, ",\"field\":");
	escape_json(out, column->name);
	appendStringInfoChar(out, '}');
}

/*
 * Appends the name of a schema: source, schema and table.
 */
static void
append_name(StringInfo out, const PtSource *source, const PtSourceTable *table, const char *what)
{
	StringInfoData name;

	initStringInfo(&name);
	appendStringInfo(&name, "%s.%s.%s.%s", source->name, table->schema, table->name, what);
	escape_json(out, name.data);
	pfree(name.data);
}

/*
 * Appends the schema of a row, or of its key; "field" says where it is in
 * another one, NULL: nowhere.
 */
static void
append_row(StringInfo out, const PtSource *source, const PtSourceTable *table, bool key, const char *field)
{
	bool		first = true;

	appendStringInfoString(out, "{\"type\":\"struct\",\"fields\":[");
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (key && !table->columns[i].is_key)
			continue;
		if (!first)
			appendStringInfoChar(out, ',');
		first = false;
		append_column(out, source, &table->columns[i]);
	}
	appendStringInfo(out, "],\"optional\":%s,\"name\":", field != NULL ? "true" : "false");
	append_name(out, source, table, key ? "Key" : "Value");
	if (field != NULL)
		appendStringInfo(out, ",\"field\":\"%s\"", field);
	appendStringInfoChar(out, '}');
}

static void
append_envelope(StringInfo out, const PtSource *source, const PtSourceTable *table)
{
	appendStringInfoString(out, "{\"type\":\"struct\",\"fields\":[");
	append_row(out, source, table, false, "before");
	appendStringInfoChar(out, ',');
	append_row(out, source, table, false, "after");
	appendStringInfo(out, ",{\"type\":\"struct\",\"fields\":%s,\"optional\":false,"
					 "\"name\":\"io.debezium.connector.postgresql.Source\",\"field\":\"source\"}", source_fields);
	appendStringInfoString(out, ",{\"type\":\"string\",\"optional\":false,\"field\":\"op\"},"
						   "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"}");
	appendStringInfo(out, ",{\"type\":\"struct\",\"fields\":%s,\"optional\":true,"
					 "\"name\":\"event.block\",\"version\":1,\"field\":\"transaction\"}", transaction_fields);
	appendStringInfoString(out, "],\"optional\":false,\"name\":");
	append_name(out, source, table, "Envelope");
	appendStringInfoString(out, ",\"version\":1}");
}

/*
 * Makes the schemas of a table whose columns are known, as what stands before
 * the payload.
 */
void
pt_schema_describe(PtSourceTable *table, const PtSource *source)
{
	MemoryContext old = MemoryContextSwitchTo(table->mcxt);
	StringInfoData key;
	StringInfoData value;

	initStringInfo(&key);
	initStringInfo(&value);
	appendStringInfoString(&key, "{\"schema\":");
	append_row(&key, source, table, true, NULL);
	appendStringInfoString(&key, ",\"payload\":");
	appendStringInfoString(&value, "{\"schema\":");
	if (source->row_format)
		append_row(&value, source, table, false, NULL);
	else
		append_envelope(&value, source, table);
	appendStringInfoString(&value, ",\"payload\":");
	table->key_schema = key.data;
	table->value_schema = value.data;
	MemoryContextSwitchTo(old);
}

/*
 * Appends what stands for a value that is not known, and may not be null: all
 * but the key of a row of which only the key was sent.
 */
void
pt_schema_fallback(StringInfo out, const PtSourceColumn *column, const PtSource *source)
{
	ConnectType type = scalar_type(source, column->form.form, column->form.type, column->form.typmod);

	if (strcmp(type.type, "boolean") == 0)
		appendStringInfoString(out, "false");
	else if (strcmp(type.type, "array") == 0)
		appendStringInfoString(out, "[]");
	else if (column->form.form == PT_FORM_TIMESTAMPTZ)
		appendStringInfoString(out, "\"1970-01-01T00:00:00Z\"");
	else if (column->form.form == PT_FORM_TIMETZ)
		appendStringInfoString(out, "\"00:00:00Z\"");
	else if (strcmp(type.type, "string") == 0 || strcmp(type.type, "bytes") == 0)
		appendStringInfoString(out, "\"\"");
	else
		appendStringInfoChar(out, '0');
}

/*-------------------------------------------------------------------------
 *
 * envelope.c
 *	  A change of a row as records.
 *
 * In Debezium's format a record's value is an envelope, {"before", "after",
 * "source", "op", "ts_ms"}, and a delete is followed by a tombstone.  In the
 * row format it is the row, and a delete is a tombstone; the header "op" says
 * what it was.  Expressions of the source come instead of any of that.
 *
 * A row whose key changes is another row: the old one is deleted and the new
 * one created, so that each record has the key of the row that it is about.
 * A row of an outbox is an event, whose record has another key.  To update it
 * is a mistake, and makes no other event (outbox.c).
 *
 * Siblings: table.c (columns), value.c; snapshot.c and stream.c have the rows.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "func/func.h"
#include "guc.h"
#include "mb/pg_wchar.h"
#include "utils/json.h"
#include "utils/snapmgr.h"

#include "sources/internal.h"
#include "tell.h"

/* What stands for a value that did not change and was not sent, as Debezium
 * has it; the second is the same as bytes. */
#define UNAVAILABLE			"\"__debezium_unavailable_value\""
#define UNAVAILABLE_BYTES	"\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""

/* Headers with "op" and one letter, in Kafka's encoding. */
#define OP_HEADER_LEN	5

static void write_key(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, const PtPgoutputValue *row);
static void write_row(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, const PtPgoutputValue *row,
					  bool key_only);
static void write_source(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, char op);
static void emit(PtSourceRun *run, PtSourceTable *table, char op, const PtPgoutputValue *old,
				 bool old_is_key, const PtPgoutputValue *new, StringInfo key);

/*
 * Adds a record to a topic, which is made if it does not exist.  A NULL key or
 * value is null.
 */
void
pt_source_produce(PtSourceRun *run, const char *topic, StringInfo key, StringInfo value,
				  const char *headers, int headers_len, int header_count)
{
	PtRecord	record = {.offset = -1,.timestamp = run->commit_ms,.key_len = -1,.value_len = -1};

	if (key != NULL)
	{
		record.key = key->data;
		record.key_len = key->len;
	}
	if (value != NULL)
	{
		record.value = value->data;
		record.value_len = value->len;
	}
	record.headers = headers;
	record.headers_len = headers_len;
	record.header_count = header_count;
	if (!pt_func_produce(pt_string_of(topic), &record))
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		(void) pt_topic_create(topic, pt_default_partitions, NIL, NULL);
		PopActiveSnapshot();
		if (!pt_func_produce(pt_string_of(topic), &record))
			elog(ERROR, "topic \"%s\" is gone", topic);
	}
	run->records++;
	run->bytes += Max(record.key_len, 0) + Max(record.value_len, 0) + headers_len;
}

/*
 * Passes over something that comes in our transaction, and tells it;
 * pt_source_commit() counts it.
 */
void
pt_source_pass_over(PtSourceRun *run, const char *what, const char *why)
{
	static PtTold told;
	int			untold;

	run->skipped++;
	strlcpy(run->skip_error, why, pg_mbcliplen(why, strlen(why), sizeof(run->skip_error) - 1) + 1);
	if (!pt_may_tell(&told, &untold))
		return;
	if (untold > 0)
		ereport(WARNING,
				(errmsg("source \"%s\" passed over %d more", run->source->name, untold)));
	ereport(WARNING,
			(errmsg("source \"%s\" passes over %s: %s", run->source->name, what, why)));
}

/*
 * Appends one column of a row.
 */
static void
write_value(StringInfo out, const PtSourceRun *run, const PtSourceColumn *column, const PtPgoutputValue *value)
{
	char	   *text;

	appendStringInfoString(out, column->member);
	switch (value->kind)
	{
		case PT_VALUE_NULL:
			appendStringInfoString(out, "null");
			break;
		case PT_VALUE_UNCHANGED:
			appendStringInfoString(out, column->form.form == PT_FORM_BYTEA ? UNAVAILABLE_BYTES : UNAVAILABLE);
			break;
		case PT_VALUE_TEXT:
			text = pnstrdup(value->text.data, value->text.len);

			pt_value_append(out, column->form, text, run->source);
			pfree(text);
			break;
	}
}

/*
 * Appends a row as an object, or of its key columns only.
 */
static void
write_row(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, const PtPgoutputValue *row, bool key_only)
{
	bool		first = true;

	appendStringInfoChar(out, '{');
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (key_only && !table->columns[i].is_key)
			continue;
		if (!first)
			appendStringInfoChar(out, ',');
		first = false;
		write_value(out, run, &table->columns[i], &row[i]);
	}
	appendStringInfoChar(out, '}');
}

/*
 * Appends a row of which only the key was sent, with all its columns.
 */
static void
write_known(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, const PtPgoutputValue *row)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		const PtSourceColumn *column = &table->columns[i];

		appendStringInfoChar(out, i == 0 ? '{' : ',');
		if (column->is_key)
			write_value(out, run, column, &row[i]);
		else if (column->not_null)
		{
			appendStringInfoString(out, column->member);
			pt_schema_fallback(out, column, run->source);
		}
		else
			appendStringInfo(out, "%snull", column->member);
	}
	appendStringInfoString(out, table->ncolumns == 0 ? "{}" : "}");
}

/*
 * Appends what makes a row known among those of its table.
 */
void
pt_envelope_key(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, const PtPgoutputValue *row)
{
	write_row(out, run, table, row, true);
}

static void
write_key(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, const PtPgoutputValue *row)
{
	initStringInfo(out);
	if (table->key_schema != NULL)
		appendStringInfoString(out, table->key_schema);
	write_row(out, run, table, row, true);
	if (table->key_schema != NULL)
		appendStringInfoChar(out, '}');
	(void) pg_verify_mbstr(PG_UTF8, out->data, out->len, false);
}

/*
 * Appends where a change comes from, as Debezium's connector tells it.
 */
static void
write_source(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, char op)
{
	appendStringInfoString(out, "{\"connector\":\"postgresql\",\"name\":");
	escape_json(out, run->source->name);
	appendStringInfo(out, ",\"ts_ms\":" INT64_FORMAT ",\"snapshot\":\"%s\",\"db\":%s,%s,",
					 run->commit_ms, op != 'r' ? "false" : run->in_chunk ? "incremental" : "true", run->database, table->block);
	if (run->xid != 0)
		appendStringInfo(out, "\"txId\":%u,", run->xid);
	else
		appendStringInfoString(out, "\"txId\":null,");
	appendStringInfo(out, "\"lsn\":" UINT64_FORMAT "}", (uint64) run->lsn);
}

/*
 * Writes an envelope.  "before" and "after" may be NULL.
 */
static void
write_envelope(StringInfo out, const PtSourceRun *run, const PtSourceTable *table, char op,
			   const PtPgoutputValue *before, bool before_is_key, const PtPgoutputValue *after)
{
	appendStringInfoString(out, "{\"before\":");
	if (before != NULL)
	{
		if (before_is_key && table->value_schema != NULL)
			write_known(out, run, table, before);
		else
			write_row(out, run, table, before, before_is_key);
	}
	else
		appendStringInfoString(out, "null");
	appendStringInfoString(out, ",\"after\":");
	if (after != NULL)
		write_row(out, run, table, after, false);
	else
		appendStringInfoString(out, "null");
	appendStringInfoString(out, ",\"source\":");
	write_source(out, run, table, op);
	appendStringInfo(out, ",\"op\":\"%c\",\"ts_ms\":" INT64_FORMAT ",\"transaction\":null}",
					 op, pt_timestamptz_to_ms(GetCurrentTimestamp()));
}

/*
 * Returns the value that the format has for an operation; NULL for null.
 */
static StringInfo
format_value(const PtSourceRun *run, const PtSourceTable *table, char op, const PtPgoutputValue *old, bool old_is_key,
			 const PtPgoutputValue *new)
{
	StringInfo	value;

	if (run->source->row_format && new == NULL)
		return NULL;
	value = makeStringInfo();
	if (table->value_schema != NULL)
		appendStringInfoString(value, table->value_schema);
	if (run->source->row_format)
		write_row(value, run, table, new, false);
	else
		write_envelope(value, run, table, op, old, old_is_key, new);
	if (table->value_schema != NULL)
		appendStringInfoChar(value, '}');
	(void) pg_verify_mbstr(PG_UTF8, value->data, value->len, false);
	return value;
}

/*
 * Produces what one operation is: an envelope or a row, and tombstones, or
 * what expressions say.  A NULL key is null.
 */
static void
emit(PtSourceRun *run, PtSourceTable *table, char op, const PtPgoutputValue *old, bool old_is_key,
	 const PtPgoutputValue *new, StringInfo key)
{
	const PtSource *source = run->source;
	char		header[OP_HEADER_LEN] = {4, 'o', 'p', 2, op};
	PtSourceRecord record = {.topic = table->topic,.key = key};

	if (source->row_format)
	{
		record.headers = header;
		record.headers_len = OP_HEADER_LEN;
		record.header_count = 1;
	}
	if (source->has_exprs && !pt_expressions_apply(run, table, op, old, new, &record))
		return;
	if (!record.value_is_given)
		record.value = format_value(run, table, op, old, old_is_key, new);
	pt_source_produce(run, record.topic, record.key, record.value, record.headers, record.headers_len, record.header_count);
	if (op == 'd' && !source->row_format && !record.value_is_given && record.key != NULL && source->tombstones)
		pt_source_produce(run, record.topic, record.key, NULL, record.headers, record.headers_len, record.header_count);
}

/*
 * What an update did not send because it did not change is in the old row, if
 * that is there.  One of which only the key was sent has no more than that.
 */
static const PtPgoutputValue *
complete_row(const PtSourceTable *table, const PtPgoutputValue *old, const PtPgoutputValue *new)
{
	PtPgoutputValue *row = palloc(sizeof(PtPgoutputValue) * Max(table->ncolumns, 1));

	for (int i = 0; i < table->ncolumns; i++)
		row[i] = new[i].kind == PT_VALUE_UNCHANGED && old[i].kind == PT_VALUE_TEXT ? old[i] : new[i];
	return row;
}

/*
 * Produces the records of a change: op is c, u, d or r.  old_kind is 'O' for a
 * whole old row, 'K' for one of which only the key was sent, 0 for none.
 */
void
pt_envelope_change(PtSourceRun *run, PtSourceTable *table, char op,
				   const PtPgoutputValue *old, char old_kind, const PtPgoutputValue *new)
{
	StringInfoData new_key;
	StringInfoData old_key;
	bool		keyed = table->has_key;

	Assert((new != NULL) == (op != 'd') && (old != NULL) == (old_kind != 0));
	if (table->ignored)
		return;
	run->table = table;
	if (op == 'u' && run->source->updates_skipped)
	{
		pt_source_pass_over(run, "an update of an outbox table",
							psprintf("row of \"%s.%s\" was updated, which is no event", table->schema, table->name));
		return;
	}
	if (new != NULL && old != NULL)
		new = complete_row(table, old, new);
	if (keyed && new != NULL)
		write_key(&new_key, run, table, new);
	if (keyed && old != NULL)
		write_key(&old_key, run, table, old);

	if (op == 'u' && keyed && old != NULL && !run->source->outbox && strcmp(old_key.data, new_key.data) != 0)
	{
		emit(run, table, 'd', old, old_kind == 'K', NULL, &old_key);
		emit(run, table, 'c', NULL, false, new, &new_key);
	}
	else if (op == 'd')
		emit(run, table, op, old, old_kind == 'K', NULL, keyed ? &old_key : NULL);
	else
		emit(run, table, op, old_kind == 'O' ? old : NULL, false, new, keyed ? &new_key : NULL);
}

/*
 * Produces the record of a TRUNCATE, which has no key.
 */
void
pt_envelope_truncate(PtSourceRun *run, PtSourceTable *table)
{
	run->table = table;
	if (!table->ignored && run->source->truncate)
		emit(run, table, 't', NULL, false, NULL, NULL);
}

/*-------------------------------------------------------------------------
 *
 * sink_statement.c
 *	  The statements of sinks: from the relation "records" into a table.
 *
 * One statement does a whole batch.  A row is written once by it, however many
 * records are about the row: the last one counts (ON CONFLICT could not take a
 * row twice), and rows that are deleted are others than those that are
 * written, as parts of one statement do not see what the others do.
 *
 *		append	INSERT of each record
 *		upsert	read -> row (columns) -> last (one per key) -> delete, insert
 *		mirror	read -> image (before, after) -> row (key) -> last -> delete;
 *				last -> whole (with what earlier records of the batch have) ->
 *				based (with what the table has) -> insert
 *
 * Columns are c1, c2, ... within the statement, so that no name of the table's
 * can mean two things.  Operators, functions and types are qualified, and all
 * literals have a type, so that no search_path makes others of them.
 *
 * Siblings: sink.c (definitions), change.c (functions that are called).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "processors/sink.h"

#define OP(name) "OPERATOR(pg_catalog." name ")"
#define TEXT(value) "'" value "'::pg_catalog.text"
#define EMPTY "'{}'::pg_catalog.jsonb"

typedef bool (*PtSinkWhich) (const PtSinkColumn *column);
typedef void (*PtSinkItem) (StringInfo out, const PtSinkColumn *column);

static char *append(const PtSinkTable *t);
static char *upsert(const PtSinkTable *t);
static char *mirror(const PtSinkTable *t);

char *
pt_sink_statement(const PtSinkTable *table, PtSinkMode mode)
{
	switch (mode)
	{
		case PT_SINK_APPEND:
			return append(table);
		case PT_SINK_UPSERT:
			return upsert(table);
		case PT_SINK_MIRROR:
			return mirror(table);
	}
	pg_unreachable();
}

/*
 * Lists of columns
 */

static bool
is_key(const PtSinkColumn *c)
{
	return c->is_key;
}

/* Does the statement fill it? */
static bool
is_filled(const PtSinkColumn *c)
{
	return c->filled;
}

/* Does ON CONFLICT set it?  An identity column keeps its value. */
static bool
is_set(const PtSinkColumn *c)
{
	return c->filled && !c->is_key && !c->is_identity;
}

static bool
has_default(const PtSinkColumn *c)
{
	return c->filled && c->default_expr != NULL;
}

/* Items for these columns, with something in between. */
static char *
list(const PtSinkTable *t, PtSinkWhich which, PtSinkItem item, const char *between)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < t->ncolumns; i++)
	{
		if (!which(&t->columns[i]))
			continue;
		if (out.len > 0)
			appendStringInfoString(&out, between);
		item(&out, &t->columns[i]);
	}
	return out.data;
}

static void
item_name(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfoString(out, c->quoted);
}

/* The name of a column as a text. */
static char *
name_literal(const PtSinkColumn *c)
{
	return psprintf("%s::pg_catalog.text", quote_literal_cstr(c->name));
}

static void
item_literal(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfoString(out, name_literal(c));
}

static void
item_alias(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "c%d", c->number);
}

static void
item_of_row(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "p.%s", c->quoted);
}

static void
item_of_row_as(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "p.%s AS c%d", c->quoted, c->number);
}

static void
item_of_last(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "l.c%d", c->number);
}

static void
item_definition(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "%s %s", c->quoted, c->type_name);
}

static void
item_key_as(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "k.%s AS c%d", c->quoted, c->number);
}

static void
item_match(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "target.%s%s %s l.c%d%s", c->quoted, c->equal_as, c->equal, c->number, c->equal_as);
}

static void
item_key(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "k.%s", c->quoted);
}

static void
item_known(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "c%d IS NOT NULL", c->number);
}

static void
item_set(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "%s = excluded.%s", c->quoted, c->quoted);
}

static void
item_default(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "%s, %s", name_literal(c), c->default_expr);
}

static void
item_mapped(StringInfo out, const PtSinkColumn *c)
{
	appendStringInfo(out, "CAST((%s) AS %s)", c->expr, c->type_name);
}

/* A record without a value has a key, and nothing else to make columns of. */
static void
item_mapped_as(StringInfo out, const PtSinkColumn *c)
{
	if (c->is_key)
		appendStringInfo(out, "CAST((%s) AS %s) AS c%d", c->expr, c->type_name, c->number);
	else
		appendStringInfo(out, "CASE WHEN value IS NOT NULL THEN CAST((%s) AS %s) END AS c%d",
						 c->expr, c->type_name, c->number);
}

/*
 * Parts of statements
 */

/* Names of columns as an array of text. */
static char *
names(const PtSinkTable *t, PtSinkWhich which)
{
	return psprintf("ARRAY[%s]", list(t, which, item_literal, ", "));
}

/* The columns' defaults as an object before "||"; empty if there are none. */
static char *
defaults(const PtSinkTable *t)
{
	char	   *pairs = list(t, has_default, item_default, ", ");

	return *pairs == '\0' ? pairs : psprintf("pg_catalog.jsonb_build_object(%s) " OP("||") " ", pairs);
}

static char *
on_conflict(const PtSinkTable *t)
{
	char	   *set = list(t, is_set, item_set, ", ");

	return psprintf("ON CONFLICT (%s) DO %s%s", list(t, is_key, item_name, ", "),
					*set == '\0' ? "NOTHING" : "UPDATE SET ", set);
}

static char *
insert_into(const PtSinkTable *t)
{
	return psprintf("INSERT INTO %s AS target (%s) OVERRIDING SYSTEM VALUE", t->name, list(t, is_filled, item_name, ", "));
}

/*
 * Statements
 */

static char *
append(const PtSinkTable *t)
{
	if (t->mapped)
		return psprintf("%s\nSELECT %s\nFROM records", insert_into(t), list(t, is_filled, item_mapped, ", "));
	return psprintf("%s\nSELECT %s\nFROM records r, LATERAL pg_catalog.jsonb_populate_record(NULL::%s, %s%s.as_jsonb(r.value)) p\n"
					"WHERE r.value IS NOT NULL",
					insert_into(t), list(t, is_filled, item_of_row, ", "), t->name, defaults(t), t->extension);
}

/* sink_row of an upsert: the columns of each record. */
static char *
upsert_rows(const PtSinkTable *t)
{
	char	   *key = names(t, is_key);

	if (t->mapped)
		return psprintf("sink_row AS MATERIALIZED (\n"
						"  SELECT pg_catalog.row_number() OVER () AS n, value IS NULL AS gone, %s\n  FROM records\n)",
						list(t, is_filled, item_mapped_as, ", "));
	return psprintf("sink_read AS MATERIALIZED (\n"
					"  SELECT pg_catalog.row_number() OVER () AS n, r.key, r.value IS NULL AS gone, %s.as_jsonb(r.value) AS object\n"
					"  FROM records r\n"
					"), sink_row AS MATERIALIZED (\n"
					"  SELECT r.n, r.gone, %s\n"
					"  FROM sink_read r, LATERAL pg_catalog.jsonb_populate_record(NULL::%s, %s\n"
					"    CASE WHEN r.object " OP("?&") " %s THEN r.object\n"
					"      ELSE %s.sink_key(r.key, %s) " OP("||") " coalesce(r.object, " EMPTY ") END) p\n)",
					t->extension, list(t, is_filled, item_of_row_as, ", "), t->name, defaults(t), key, t->extension, key);
}

static char *
upsert(const PtSinkTable *t)
{
	char	   *key = list(t, is_key, item_alias, ", ");

	return psprintf("WITH %s, sink_last AS MATERIALIZED (\n"
					"  SELECT DISTINCT ON (%s) * FROM sink_row WHERE NOT gone OR (%s) ORDER BY %s, n DESC\n"
					"), sink_deleted AS (\n"
					"  DELETE FROM %s AS target USING sink_last l WHERE l.gone AND %s\n"
					")\n%s\nSELECT %s FROM sink_last l WHERE NOT l.gone\n%s",
					upsert_rows(t), key, list(t, is_key, item_known, " AND "), key,
					t->name, list(t, is_key, item_match, " AND "),
					insert_into(t), list(t, is_filled, item_of_last, ", "), on_conflict(t));
}

/*
 * What Debezium writes otherwise than PostgreSQL reads it: adds to an object
 * "image" the column as it is to be read.
 */
static void
append_conversion(StringInfo out, const PtSinkColumn *c)
{
	char	   *member = psprintf("(image " OP("->>") " %s)", name_literal(c));
	const char *unit = c->precision >= 0 && c->precision <= 3 ? "millisecond" : "microsecond";
	const char *from = "number";
	char	   *to;

	switch (c->base_type)
	{
		case DATEOID:
			to = psprintf("pg_catalog.date '1970-01-01' " OP("+") " %s::int", member);
			break;
		case TIMEOID:
			to = psprintf("time '00:00' " OP("+") " (%s::bigint " OP("*") " interval '1 %s')", member, unit);
			break;
		case TIMESTAMPOID:
			to = psprintf("timestamp '1970-01-01' " OP("+") " (%s::bigint " OP("*") " interval '1 %s')", member, unit);
			break;
		case INTERVALOID:
			to = psprintf("%s::bigint " OP("*") " interval '1 microsecond'", member);
			break;
		case BYTEAOID:
			from = "string";
			to = psprintf(TEXT("\\x") " " OP("||") " pg_catalog.encode(pg_catalog.decode(%s, " TEXT("base64") "), " TEXT("hex") ")", member);
			break;
		case JSONOID:
		case JSONBOID:
			from = "string";
			to = psprintf("%s::pg_catalog.jsonb", member);
			break;
		default:
			return;
	}
	appendStringInfo(out, "\n      " OP("||") " CASE WHEN pg_catalog.jsonb_typeof(image " OP("->") " %s) " OP("=") " '%s'::pg_catalog.text\n"
					 "        THEN pg_catalog.jsonb_build_object(%s, %s) ELSE " EMPTY " END",
					 name_literal(c), from, name_literal(c), to);
}

static char *
conversions(const PtSinkTable *t)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < t->ncolumns; i++)
		append_conversion(&out, &t->columns[i]);
	return out.data;
}

/*
 * Up to sink_last: the last thing that a batch says of each row.  For those
 * that lack values: "start" is the last record of the batch that has deleted
 * the row, and "several" tells whether there are other records to look at.
 */
static char *
mirror_rows(const PtSinkTable *t)
{
	char	   *key = list(t, is_key, item_alias, ", ");

	return psprintf("sink_read AS MATERIALIZED (\n"
					"  SELECT pg_catalog.row_number() OVER () AS n, %s.sink_change(r.key, r.value, %s) AS change\n"
					"  FROM records r WHERE r.value IS NOT NULL\n"
					"), sink_start AS MATERIALIZED (\n"
					"  SELECT pg_catalog.max(n) AS n FROM sink_read WHERE (change " OP("->>") " " TEXT("op") ") " OP("=") " " TEXT("t") "\n"
					"), sink_image AS MATERIALIZED (\n"
					"  SELECT n, 0 AS step, true AS gone, NULL::pg_catalog.jsonb AS unavailable, change " OP("->") " " TEXT("before") " AS image\n"
					"  FROM sink_read WHERE change " OP("?") " " TEXT("before") "\n"
					"  UNION ALL\n"
					"  SELECT n, 1, false, change " OP("->") " " TEXT("unavailable") ", change " OP("->") " " TEXT("after") "\n"
					"  FROM sink_read WHERE change " OP("?") " " TEXT("after") "\n"
					"), sink_row AS MATERIALIZED (\n"
					"  SELECT i.n, i.step, i.gone, i.unavailable, i.image, %s,\n"
					"    pg_catalog.max(i.n) FILTER (WHERE i.gone) OVER one AS start,\n"
					"    (pg_catalog.count(*) OVER one) " OP(">") " 1\n"
					"      AND pg_catalog.bool_or(NOT i.gone AND NOT i.image " OP("?&") " %s) OVER one AS several\n"
					"  FROM (SELECT n, step, gone, unavailable, image%s AS image\n"
					"      FROM sink_image WHERE n " OP(">") " coalesce((SELECT n FROM sink_start), 0) OFFSET 0) i,\n"
					"    LATERAL pg_catalog.jsonb_to_record(i.image) AS k(%s)\n"
					"  WINDOW one AS (PARTITION BY %s)\n"
					"), sink_last AS MATERIALIZED (\n"
					"  SELECT DISTINCT ON (%s) * FROM sink_row ORDER BY %s, n DESC, step DESC\n)",
					t->extension, names(t, is_key), list(t, is_key, item_key_as, ", "), names(t, is_filled), conversions(t),
					list(t, is_key, item_definition, ", "), list(t, is_key, item_key, ", "), key, key);
}

/*
 * From sink_last to sink_based: rows of which values are missing get these
 * from earlier records of the batch, then from the table, if the row has not
 * been another one in between.
 */
static char *
mirror_bases(const PtSinkTable *t)
{
	return psprintf("sink_merged AS MATERIALIZED (\n"
					"  SELECT pg_catalog.max(e.n) AS n, pg_catalog.jsonb_object_agg(f.key, f.value ORDER BY e.n) AS image\n"
					"  FROM sink_row e, pg_catalog.jsonb_each(e.image) f\n"
					"  WHERE e.several AND NOT e.gone AND e.n " OP(">") " coalesce(e.start, 0) GROUP BY %s\n"
					"), sink_whole AS MATERIALIZED (\n"
					"  SELECT %s, l.unavailable, l.start, coalesce(m.image, l.image) AS image\n"
					"  FROM sink_last l LEFT JOIN sink_merged m ON m.n " OP("=") " l.n WHERE NOT l.gone\n"
					"), sink_based AS MATERIALIZED (\n"
					"  SELECT l.*, CASE WHEN NOT l.image " OP("?&") " %s AND l.start IS NULL AND (SELECT n FROM sink_start) IS NULL\n"
					"    THEN (SELECT target.*::%s FROM %s AS target WHERE %s) END AS base\n"
					"  FROM sink_whole l\n)",
					list(t, is_key, item_alias, ", "), list(t, is_key, item_of_last, ", "), names(t, is_filled),
					t->name, t->name, list(t, is_key, item_match, " AND "));
}

static char *
mirror(const PtSinkTable *t)
{
	char	   *match = list(t, is_key, item_match, " AND ");

	return psprintf("WITH %s, sink_deleted AS (\n"
					"  DELETE FROM %s AS target USING sink_last l WHERE l.gone AND %s\n"
					"), sink_truncated AS (\n"
					"  DELETE FROM %s AS target WHERE (SELECT n FROM sink_start) IS NOT NULL\n"
					"    AND NOT EXISTS (SELECT FROM sink_last l WHERE %s)\n"
					"), %s\n%s\nSELECT %s\n"
					"FROM sink_based l, LATERAL pg_catalog.jsonb_populate_record(l.base,\n"
					"  CASE WHEN l.image " OP("?&") " %s OR NOT (l.base IS NULL) THEN l.image\n"
					"    WHEN NOT l.image " OP("?&") " ARRAY(SELECT pg_catalog.jsonb_array_elements_text(l.unavailable))\n"
					"    THEN %s.sink_unavailable(pg_catalog.concat_ws(" TEXT(", ") ", %s)) ELSE %sl.image END) p\n%s",
					mirror_rows(t), t->name, match, t->name, match, mirror_bases(t), insert_into(t),
					list(t, is_filled, item_of_row, ", "), names(t, is_filled), t->extension,
					list(t, is_key, item_of_last, ", "), defaults(t), on_conflict(t));
}

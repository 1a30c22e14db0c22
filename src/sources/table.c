/*-------------------------------------------------------------------------
 *
 * table.c
 *	  The tables of a source: their columns as changes come, and their topics.
 *
 * pgoutput describes a table before its first change, and again when it has
 * changed, in the place of the stream where that counts.  So the cache needs
 * no invalidation of its own.
 *
 * Siblings: value.c, envelope.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "mb/pg_wchar.h"
#include "topic/topic.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "sources/internal.h"

/*
 * So many tables, and types, are remembered.  A server that tells of more does
 * so to fill our memory.
 */
#define REMEMBERED_MAX	100000

/* How values of a type of the source are written. */
typedef struct TypeEntry
{
	Oid			type;			/* at the source; the hash key */
	PtValueForm form;
} TypeEntry;

void
pt_tables_init(PtSourceRun *run)
{
	HASHCTL		tables = {.keysize = sizeof(Oid),.entrysize = sizeof(PtSourceTable),.hcxt = CurrentMemoryContext};
	HASHCTL		types = {.keysize = sizeof(Oid),.entrysize = sizeof(TypeEntry),.hcxt = CurrentMemoryContext};

	run->tables = hash_create("pgtopic tables of a source", 64, &tables, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	run->types = hash_create("pgtopic types of a source", 16, &types, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Returns the name of a table's topic: the template with the names put in, and
 * what a row of an outbox table says, unless that is NULL.  What the name of a
 * topic may not have becomes an underscore.
 */
const char *
pt_table_topic(const PtSource *source, const char *schema, const char *table, const char *route)
{
	const char *const marks[][2] = {{"{schema}", schema}, {"{table}", table}, {"{route}", route}};
	StringInfoData name;

	initStringInfo(&name);
	for (const char *p = source->topic; *p;)
	{
		const char *const *mark = NULL;

		for (int i = 0; i < lengthof(marks) && mark == NULL; i++)
		{
			if (marks[i][1] != NULL && strncmp(p, marks[i][0], strlen(marks[i][0])) == 0)
				mark = marks[i];
		}
		if (mark != NULL)
			appendStringInfoString(&name, mark[1]);
		else
			appendStringInfoChar(&name, *p);
		p += mark != NULL ? strlen(mark[0]) : 1;
	}
	for (char *c = name.data; *c; c++)
	{
		if (!isalnum((unsigned char) *c) && strchr("._-", *c) == NULL)
			*c = '_';
	}
	if (name.len > PT_TOPIC_NAME_MAX)
		name.data[PT_TOPIC_NAME_MAX] = '\0';
	return name.data;
}

/*
 * Returns whether a table of this very server is one that pgtopic writes:
 * a topic, or a table of the extension.  To make records of those would never
 * end.
 */
bool
pt_table_is_ours(const PtSource *source, Oid id)
{
	int32		partition;

	if (source->connection != NULL)
		return false;
	return pt_topic_by_oid(id) != NULL || pt_topic_by_leaf(id, &partition) != NULL ||
		getExtensionOfObject(RelationRelationId, id) == get_extension_oid("pgtopic", true);
}

/*
 * Returns the entry of a table or type, which is made if it is not there.
 * ERROR 54000 for too many.
 */
static void *
remember(HTAB *known, Oid id, bool *found)
{
	if (hash_get_num_entries(known) >= REMEMBERED_MAX && hash_search(known, &id, HASH_FIND, NULL) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the source's server has told of more than %d tables or types", REMEMBERED_MAX),
				 errhint("Publish fewer tables to one source.")));
	return hash_search(known, &id, HASH_ENTER, found);
}

/*
 * Sets up a table, with memory of its own below the parent.  Its columns are
 * to be set next.
 */
void
pt_table_init(PtSourceTable *table, const PtSource *source, MemoryContext parent,
			  const char *schema, const char *name, int ncolumns)
{
	StringInfoData block;
	MemoryContext old;

	memset((char *) table + sizeof(Oid), 0, sizeof(*table) - sizeof(Oid));
	table->mcxt = AllocSetContextCreate(parent, "pgtopic table of a source", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(table->mcxt);
	table->schema = pstrdup(schema);
	table->name = pstrdup(name);
	table->topic = pt_table_topic(source, schema, name, NULL);
	initStringInfo(&block);
	appendStringInfoString(&block, "\"schema\":");
	escape_json(&block, schema);
	appendStringInfoString(&block, ",\"table\":");
	escape_json(&block, name);
	table->block = block.data;
	table->ncolumns = ncolumns;
	table->columns = palloc0(sizeof(PtSourceColumn) * Max(ncolumns, 1));
	MemoryContextSwitchTo(old);
}

/*
 * Makes a table known, or makes it new, as pt_table_init() says.
 */
PtSourceTable *
pt_table_new(PtSourceRun *run, Oid id, const char *schema, const char *name, int ncolumns)
{
	bool		found;
	PtSourceTable *table = remember(run->tables, id, &found);

	if (found)
		MemoryContextDelete(table->mcxt);
	pt_table_init(table, run->source, run->life, schema, name, ncolumns);
	table->ignored = pt_table_is_ours(run->source, id);
	return table;
}

void
pt_table_column(PtSourceTable *table, int n, const char *name, PtValueForm form, bool is_key)
{
	MemoryContext old = MemoryContextSwitchTo(table->mcxt);
	PtSourceColumn *column = &table->columns[n];
	StringInfoData member;

	Assert(n >= 0 && n < table->ncolumns);
	initStringInfo(&member);
	escape_json(&member, name);
	appendStringInfoChar(&member, ':');
	column->name = pstrdup(name);
	column->member = member.data;
	column->form = form;
	column->is_key = is_key;
	table->has_key |= is_key;
	MemoryContextSwitchTo(old);
}

/*
 * Returns the names of the columns that are the key of a table's records, as
 * it is now and in the order of the index: the one that is the replica
 * identity, else the primary key.
 */
List *
pt_table_key(PtPeer *remote, Oid id)
{
	List	   *names = NIL;
	const char *place = "pg_catalog.array_position(i.indkey::pg_catalog.int2[], a.attnum)";
	const char *included = pt_peer_version(remote) >= 110000 ? psprintf(" AND %s < i.indnkeyatts", place) : "";
	char	   *sql = psprintf("SELECT a.attname FROM pg_catalog.pg_class c"
							   " JOIN pg_catalog.pg_index i ON i.indrelid = c.oid"
							   " AND CASE c.relreplident WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END"
							   " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)%s"
							   " WHERE c.oid = %u ORDER BY %s", included, id, place);
	PtPeerRows *rows = pt_peer_query(remote, sql, 1);

	for (int i = 0; i < rows->n; i++)
		names = lappend(names, unconstify(char *, pt_peer_value(rows, i, 0)));
	return names;
}

/*
 * Returns the names of the columns that cannot be null, as they are now.
 */
List *
pt_table_not_null(PtPeer *remote, Oid id)
{
	List	   *names = NIL;
	PtPeerRows *rows = pt_peer_query(remote, psprintf("SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %u"
													  " AND attnum > 0 AND attnotnull AND NOT attisdropped", id), 1);

	for (int i = 0; i < rows->n; i++)
		names = lappend(names, unconstify(char *, pt_peer_value(rows, i, 0)));
	return names;
}

bool
pt_table_lists(List *names, const char *column)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), column) == 0)
			return true;
	}
	return false;
}

/*
 * Returns a connection for queries: that of the stream takes none.
 */
PtPeer *
pt_source_lookups(PtSourceRun *run)
{
	if (run->lookups == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(run->life);

		run->lookups = pt_peer_connect(run->source, run->task);
		pt_peer_meanwhile(run->lookups, run->alive, run);
		MemoryContextSwitchTo(old);
	}
	return run->lookups;
}

/*
 * Takes in what the stream says of a table.  The key of its records is the
 * replica identity; one that has all columns, or none, is replaced by the
 * primary key, as it is now.
 */
void
pt_table_relation(PtSourceRun *run, const PtPgoutput *message)
{
	const char *schema = *message->schema ? message->schema : "pg_catalog";
	PtSourceTable *table = pt_table_new(run, message->id, schema, message->name, message->ncolumns);
	bool		by_identity = message->identity == 'd' || message->identity == 'i';
	List	   *key = by_identity || table->ignored ? NIL : pt_table_key(pt_source_lookups(run), message->id);
	List	   *not_null = run->source->schemas ? pt_table_not_null(pt_source_lookups(run), message->id) : NIL;
	const char *p = message->columns;

	for (int i = 0; i < message->ncolumns; i++)
	{
		PtPgoutputColumn column;
		TypeEntry  *type;

		p = pt_pgoutput_column(p, &column);
		type = hash_search(run->types, &column.type, HASH_FIND, NULL);
		pt_table_column(table, i, column.name, type ? type->form : pt_value_form(column.type),
						by_identity ? column.is_key : pt_table_lists(key, column.name));
		/* a column whose type is a domain has none of its own */
		if (column.typmod >= 0)
			table->columns[i].form.typmod = column.typmod;
		table->columns[i].not_null = pt_table_lists(not_null, column.name);
	}
	if (run->source->schemas)
		pt_schema_describe(table, run->source);
}

/*
 * Does the precision of a type say how its values are written?
 */
static bool
has_precision(PtValueForm form)
{
	PtJsonForm	scalar = form.form == PT_FORM_ARRAY ? form.element : form.form;

	return scalar == PT_FORM_TIME || scalar == PT_FORM_TIMESTAMP;
}

/*
 * Returns the type modifier that columns of a domain have in the rows of a
 * query; -1: none, or it is gone.  A domain cannot get another one.
 */
static int32
domain_typmod(PtPeer *remote, Oid id)
{
	PtPeerRows *rows = pt_peer_query(remote,
									 psprintf("WITH RECURSIVE d (base, modifier) AS (SELECT typbasetype, typtypmod"
											  " FROM pg_catalog.pg_type WHERE oid = %u UNION ALL"
											  " SELECT t.typbasetype, t.typtypmod FROM d JOIN pg_catalog.pg_type t ON t.oid = d.base)"
											  " SELECT coalesce(max(modifier), -1) FROM d", id), 1);

	return pg_strtoint32(pt_peer_value(rows, 0, 0));
}

/*
 * Takes in what the stream says of a type.  It has the name of the type that
 * is beneath a domain, but not the precision.
 */
void
pt_table_type(PtSourceRun *run, const PtPgoutput *message)
{
	bool		found;
	TypeEntry  *type = remember(run->types, message->id, &found);

	type->form = pt_value_form_named(message->schema, message->name);
	if (run->source->schemas && has_precision(type->form))
		type->form.typmod = domain_typmod(pt_source_lookups(run), message->id);
}

/*
 * Returns the table; ERROR if the stream has not told of it.
 */
PtSourceTable *
pt_table_find(PtSourceRun *run, Oid id)
{
	PtSourceTable *table = hash_search(run->tables, &id, HASH_FIND, NULL);

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the source's server sent a change of an unknown table")));
	return table;
}

/*-------------------------------------------------------------------------
 *
 * there.c
 *	  The other server: what groups have committed there.
 *
 * It is a plain connection, to the database with the topics; its role needs
 * there what it takes to see groups.  What comes is not trusted: it may come
 * from anybody.
 *
 * Siblings: run.c asks; ../sources/peer.c has the connection.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "replication/walreceiver.h"
#include "utils/builtins.h"

#include "followers/internal.h"

#define COLUMNS		7

/* Lengths in the records of committed offsets have 16 bits. */
#define NAME_MAX_BYTES	PG_INT16_MAX

pg_noreturn static void
unexpected(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("unexpected answer of the followed server"),
			 errhint("Is it a PostgreSQL server with pgtopic that the connection leads to?")));
}

/*
 * Connects, in the current memory context, for the worker of a task, or for a
 * session (NULL).
 */
PtPeer *
pt_there_connect(const PtGroupFollower *follower, const PtTask *task)
{
	PtPeerTarget target = {.what = "the followed server"};
	PtPeer	   *there;

	target.application = psprintf("pgtopic groups %s", follower->name);
	target.connection = follower->connection;
	target.trusted = follower->trusted;
	there = pt_peer_connect_to(&target, task);
	pt_peer_be_patient(there, wal_receiver_timeout);
	return there;
}

/*
 * Returns the schema of pgtopic there, quoted; ERROR if groups cannot be
 * followed there.
 */
const char *
pt_there_extension(PtPeer *there)
{
	PtPeerRows *rows = pt_peer_query(there,
									 "SELECT n.nspname, EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid AND p.proname = 'list_group_offsets')"
									 " FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
									 " WHERE e.extname = 'pgtopic'", 2);

	if (rows->n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the database of the followed server has no extension pgtopic"),
				 errhint("Name the database in the connection, as in \"dbname=app\".")));
	if (!pt_peer_bool(rows, 0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("pgtopic of the followed server is too old for this")));
	return quote_identifier(pt_peer_value(rows, 0, 0));
}

/*
 * Returns the slots of the database there, as a list of const char *: by
 * these it is known which topics here follow topics there.
 */
List *
pt_there_slots(PtPeer *there)
{
	PtPeerRows *rows = pt_peer_query(there, "SELECT slot_name FROM pg_catalog.pg_replication_slots"
									 " WHERE database = pg_catalog.current_database()", 1);
	List	   *slots = NIL;

	for (int i = 0; i < rows->n; i++)
		slots = lappend(slots, unconstify(char *, pt_peer_value(rows, i, 0)));
	return slots;
}

/*
 * Appends an array of texts.
 */
static void
append_array(StringInfo sql, List *texts)
{
	ListCell   *lc;

	appendStringInfoString(sql, "(ARRAY[");
	foreach(lc, texts)
		appendStringInfo(sql, "%s%s", lc == list_head(texts) ? "" : ", ", quote_literal_cstr(lfirst(lc)));
	appendStringInfoString(sql, "]::pg_catalog.text[])");
}

/*
 * Asks for the committed offsets in these topics; pt_there_next() gets them.
 */
void
pt_there_ask(PtPeer *there, const char *extension, const PtGroupFollower *follower, List *topics)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT group_id, topic::pg_catalog.text, partition, \"offset\", metadata, committed_ms, used_ms"
					 " FROM %s.list_group_offsets() WHERE group_id OPERATOR(pg_catalog.~~) ANY ", extension);
	append_array(&sql, follower->groups);
	appendStringInfoString(&sql, " AND topic::pg_catalog.text OPERATOR(pg_catalog.=) ANY ");
	append_array(&sql, topics);
	appendStringInfoString(&sql, " ORDER BY 1");
	pt_peer_rows_begin(there, sql.data);
	pfree(sql.data);
}

/*
 * Returns a text of the row; ERROR unless it is valid, and not too long.
 */
static PtString
text_of(const PtPeerRow *row, int column, int max)
{
	const PtPgoutputValue *value = &row->values[column];
	const char *data = value->text.data;
	int			len = value->text.len;
	PtString	result = {data, len};

	if (value->kind != PT_VALUE_TEXT || len > max)
		unexpected();
	(void) pg_verify_mbstr(PG_UTF8, data, len, false);
	return result;
}

static int64
number_of(const PtPeerRow *row, int column)
{
	if (row->values[column].kind != PT_VALUE_TEXT)
		unexpected();
	return pg_strtoint64(row->values[column].text.data);
}

/*
 * Adds a row to its group.
 */
static void
add_offset(PtGroupThere *group, const PtPeerRow *row)
{
	int64		partition = number_of(row, 2);
	int64		offset = number_of(row, 3);
	PtCommittedOffset *committed;

	if (partition < 0 || partition > PG_INT32_MAX || offset < 0)
		unexpected();
	if (group->n == group->room)
	{
		group->room *= 2;
		group->offsets = repalloc(group->offsets, sizeof(PtCommittedOffset) * group->room);
	}
	committed = &group->offsets[group->n++];
	memset(committed, 0, sizeof(*committed));
	committed->topic = pt_string_copy(text_of(row, 1, NAME_MAX_BYTES));
	committed->partition = (int32) partition;
	committed->offset = offset;
	committed->metadata = pt_string_copy(text_of(row, 4, PG_INT32_MAX));
	committed->commit_time = number_of(row, 5);
	group->used_ms = number_of(row, 6);
}

/*
 * Takes the next row.  *group is the group that comes in, NULL before the
 * first row; *complete the one that this row has completed, or NULL.  Returns
 * false behind the last row.  Groups come in the current memory context.
 */
bool
pt_there_next(PtPeer *there, PtGroupThere **group, PtGroupThere **complete)
{
	const PtPeerRow *row = pt_peer_rows_next(there);
	PtString	group_id;

	*complete = NULL;
	if (row == NULL)
	{
		*complete = *group;
		*group = NULL;
		return false;
	}
	if (row->n != COLUMNS)
		unexpected();
	group_id = text_of(row, 0, NAME_MAX_BYTES);
	if (group_id.len == 0)
		unexpected();
	if (*group == NULL || !pt_string_equal((*group)->group_id, group_id))
	{
		*complete = *group;
		*group = palloc0(sizeof(PtGroupThere));
		(*group)->group_id = pt_string_copy(group_id);
		(*group)->room = 8;
		(*group)->offsets = palloc(sizeof(PtCommittedOffset) * (*group)->room);
	}
	add_offset(*group, row);
	return true;
}

void
pt_there_free(PtGroupThere *group)
{
	for (int i = 0; i < group->n; i++)
	{
		pfree(unconstify(char *, group->offsets[i].topic.data));
		pfree(unconstify(char *, group->offsets[i].metadata.data));
	}
	pfree(unconstify(char *, group->group_id.data));
	pfree(group->offsets);
	pfree(group);
}

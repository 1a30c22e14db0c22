/*-------------------------------------------------------------------------
 *
 * slot.c
 *	  Publication and slot of a source, at its server.
 *
 * A slot must be where we left it.  One that is gone, has lost WAL, or is
 * further than we have told it to be would leave changes out, so each is an
 * error that says so, and what to do.
 *
 * Siblings: peer.c; run.c says when.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/pg_lsn.h"

#include "sources/internal.h"

#define START_ANEW_HINT \
	"To start anew, call drop_source() and create_source(): with \"snapshot\" initial all rows come again."

/*
 * Returns a value that is not null as an LSN.
 */
static XLogRecPtr
as_lsn(const char *text)
{
	return DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(text)));
}

/*
 * ERROR unless the other server logs what is needed and lets us read it.
 */
void
pt_slot_check_server(PtPeer *remote, const PtSource *source)
{
	PtPeerRows *rows;

	if (pt_peer_version(remote) < 100000)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the source's server is older than PostgreSQL 10")));
	if (source->message_prefix != NULL && pt_peer_version(remote) < 140000)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the source's server cannot send logical messages"),
				 errhint("They need PostgreSQL 14. Leave \"message_prefix\" out.")));
	if (source->failover && pt_peer_version(remote) < 170000)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the source's server has no failover slots"),
				 errhint("They need PostgreSQL 17. Leave \"failover\" out.")));
	rows = pt_peer_query(remote,
						 "SELECT current_setting('wal_level'), rolsuper OR rolreplication, current_user,"
						 " pg_catalog.pg_encoding_to_char(encoding), pg_catalog.has_database_privilege(d.oid, 'CREATE'),"
						 " pg_catalog.current_database()"
						 " FROM pg_catalog.pg_roles, pg_catalog.pg_database d"
						 " WHERE rolname = current_user AND datname = pg_catalog.current_database()", 6);
	if (strcmp(pt_peer_value(rows, 0, 0), "logical") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the source's server does not write WAL for logical decoding"),
				 errhint("Set \"wal_level\" to \"logical\" there, and restart it.")));
	if (!pt_peer_bool(rows, 0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not replicate from the source's server", pt_peer_value(rows, 0, 2)),
				 errhint("Run ALTER ROLE ... REPLICATION there.")));
	if (source->own_publication && !pt_peer_bool(rows, 0, 4))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\" may not create a publication in database \"%s\" of the source's server",
						pt_peer_value(rows, 0, 2), pt_peer_value(rows, 0, 5)),
				 errhint("Grant CREATE on the database, or name a publication that exists.")));
}

/*
 * Returns which server and database the connection leads to, by numbers that
 * no other has.
 */
char *
pt_slot_server_identity(PtPeer *remote)
{
	PtPeerRows *server = pt_peer_query(remote, "IDENTIFY_SYSTEM", 4);
	PtPeerRows *database = pt_peer_query(remote,
										 "SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()", 1);

	if (server->n != 1 || pt_peer_value(server, 0, 0) == NULL ||
		database->n != 1 || pt_peer_value(database, 0, 0) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("unexpected answer of the source's server")));
	return psprintf("%s.%s", pt_peer_value(server, 0, 0), pt_peer_value(database, 0, 0));
}

/*
 * ERROR unless the connection leads to the server and database for which the
 * source was made: elsewhere its slot and its place in WAL mean nothing.
 */
void
pt_slot_check_identity(PtPeer *remote, const PtSource *source)
{
	char	   *here = psprintf(UINT64_FORMAT ".%u", GetSystemIdentifier(), MyDatabaseId);
	char	   *found = pt_slot_server_identity(remote);

	if (strcmp(found, source->server ? source->server : here) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the connection of source \"%s\" leads to another server or database than the one that it was made for", source->name),
				 errhint(START_ANEW_HINT)));
}

/*
 * ERROR unless each table is there, readable, and may be published by us.
 */
static void
check_tables(PtPeer *remote, const PtSource *source)
{
	ListCell   *lc;

	foreach(lc, source->tables)
	{
		const char *table = lfirst(lc);
		char	   *sql = psprintf("SELECT relkind IN ('r', 'p') AND relpersistence = 'p',"
								   " pg_catalog.pg_has_role(relowner, 'USAGE'),"
								   " pg_catalog.has_table_privilege(oid, 'SELECT')"
								   " FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass(%s)",
								   quote_literal_cstr(table));
		PtPeerRows *rows = pt_peer_query(remote, sql, 3);

		if (rows->n != 1)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("table %s does not exist at the source's server", table)));
		if (!pt_peer_bool(rows, 0, 0))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("%s is not a table that can be published", table)));
		if (!pt_peer_bool(rows, 0, 1))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("must be owner of table %s", table),
					 errhint("Or let its owner create a publication, and name that.")));
		if (source->snapshot && !pt_peer_bool(rows, 0, 2))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for table %s", table)));
	}
}

static bool
publication_exists(PtPeer *remote, const PtSource *source)
{
	return pt_peer_query(remote, psprintf("SELECT 1 FROM pg_catalog.pg_publication WHERE pubname = %s",
										  quote_literal_cstr(source->publication)), 1)->n > 0;
}

/*
 * ERROR where it can be known that a new source will not work.  The tables of
 * this server may be new in a transaction that is not over, and are checked by
 * whoever has it.
 */
void
pt_slot_check_new(PtPeer *remote, const PtSource *source)
{
	bool		published = publication_exists(remote, source);

	if (source->connection != NULL)
		check_tables(remote, source);
	if (!source->own_publication && !published && source->connection != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("publication \"%s\" does not exist at the source's server", source->publication)));
	if (source->own_publication && published)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("publication \"%s\" exists already at the source's server", source->publication),
				 errhint("Drop it there, give the source another name, or name the publication instead of tables.")));
	if (pt_slot_exists(remote, source))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("replication slot \"%s\" exists already at the source's server", source->slot),
				 errhint("If nobody uses it, run pg_drop_replication_slot() there; or give the source another name or \"slot\".")));
}

bool
pt_slot_exists(PtPeer *remote, const PtSource *source)
{
	return pt_peer_query(remote, psprintf("SELECT 1 FROM pg_catalog.pg_replication_slots WHERE slot_name = %s",
										  quote_literal_cstr(source->slot)), 1)->n > 0;
}

/*
 * Creates the slot, and returns the place from which on it has changes.  With
 * use_snapshot the connection's transaction, which has just begun, then sees
 * the rows as they were there.
 *
 * The other server waits for all transactions that are running, so we must
 * have no xid.
 */
XLogRecPtr
pt_slot_create(PtPeer *remote, const PtSource *source, bool use_snapshot)
{
	const char *options = use_snapshot ? "USE_SNAPSHOT" : "NOEXPORT_SNAPSHOT";
	PtPeerRows *rows;

	if (source->failover)
		options = use_snapshot ? "(SNAPSHOT 'use', FAILOVER true)" : "(SNAPSHOT 'nothing', FAILOVER true)";
	rows = pt_peer_query(remote, psprintf("CREATE_REPLICATION_SLOT %s LOGICAL pgoutput %s",
										  quote_identifier(source->slot), options), 4);

	return as_lsn(pt_peer_value(rows, 0, 1));
}

/*
 * Drops the slot if it is there, and before that ends whoever uses it.
 */
void
pt_slot_remove(PtPeer *remote, const PtSource *source)
{
	const char *slot = quote_literal_cstr(source->slot);
	char	   *end = psprintf("SELECT pg_catalog.pg_terminate_backend(active_pid) FROM pg_catalog.pg_replication_slots"
							   " WHERE slot_name = %s AND active_pid IS NOT NULL", slot);

	/* it lets the slot go in a moment; dropping waits for that */
	(void) pt_peer_query(remote, end, 1);
	if (pt_slot_exists(remote, source))
		pt_peer_command(remote, psprintf("DROP_REPLICATION_SLOT %s WAIT", quote_identifier(source->slot)));
}

/*
 * ERROR unless the publication is there, the slot has all changes from the
 * position on, and nobody but us has moved it.
 */
void
pt_slot_check_position(PtPeer *remote, const PtSource *source, XLogRecPtr position)
{
	int			version = pt_peer_version(remote);
	char	   *sql;
	PtPeerRows *rows;

	/* from 18 on the server would pass over what commits without it */
	if (!publication_exists(remote, source))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("publication \"%s\" does not exist at the source's server", source->publication),
				 errhint("Create it there again, or drop the source and create it anew.")));
	sql = psprintf("SELECT confirmed_flush_lsn, %s, pg_catalog.pg_is_in_recovery()"
				   " OR pg_catalog.pg_current_wal_lsn() >= '%X/%X'"
				   " FROM pg_catalog.pg_replication_slots WHERE slot_name = %s",
				   version >= 130000 ? "wal_status = 'lost'" : "false", LSN_FORMAT_ARGS(position),
				   quote_literal_cstr(source->slot));
	rows = pt_peer_query(remote, sql, 3);
	if (rows->n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("replication slot \"%s\" is gone from the source's server", source->slot),
				 errdetail("What was changed there behind %X/%X cannot be had any more.", LSN_FORMAT_ARGS(position)),
				 errhint(START_ANEW_HINT)));
	if (pt_peer_value_or_null(rows, 0, 1) != NULL && pt_peer_bool(rows, 0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("replication slot \"%s\" has lost WAL that was still needed", source->slot),
				 errdetail("What was changed behind %X/%X cannot be had any more, as \"max_slot_wal_keep_size\" of the source's server was exceeded.",
						   LSN_FORMAT_ARGS(position)),
				 errhint(START_ANEW_HINT)));
	if (!pt_peer_bool(rows, 0, 2))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the source's server is behind %X/%X, which was read from it before", LSN_FORMAT_ARGS(position)),
				 errdetail("It was restored from an older state, or is another one."),
				 errhint(START_ANEW_HINT)));
	if (pt_peer_value_or_null(rows, 0, 0) != NULL && as_lsn(pt_peer_value(rows, 0, 0)) > position)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("replication slot \"%s\" has passed over changes", source->slot),
				 errdetail("It is at %s, and was read up to %X/%X. It was moved or made anew by somebody else.",
						   pt_peer_value(rows, 0, 0), LSN_FORMAT_ARGS(position)),
				 errhint(START_ANEW_HINT)));
}

/*
 * Creates the publication of the source's tables (none, if it is for messages
 * only), unless it is somebody else's, or there from an attempt before.
 */
void
pt_slot_publish(PtPeer *remote, const PtSource *source)
{
	StringInfoData sql;
	ListCell   *lc;

	if (!source->own_publication || publication_exists(remote, source))
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE PUBLICATION %s", quote_identifier(source->publication));
	foreach(lc, source->tables)
		appendStringInfo(&sql, "%s%s", foreach_current_index(lc) > 0 ? ", " : " FOR TABLE ", (const char *) lfirst(lc));
	/* changes of partitions are those of the table that was named */
	if (pt_peer_version(remote) >= 130000)
		appendStringInfoString(&sql, " WITH (publish_via_partition_root = true)");
	pt_peer_command(remote, sql.data);
}

/*
 * Drops the publication, if it is ours.
 */
void
pt_slot_unpublish(PtPeer *remote, const PtSource *source)
{
	if (source->own_publication)
		pt_peer_command(remote, psprintf("DROP PUBLICATION IF EXISTS %s", quote_identifier(source->publication)));
}

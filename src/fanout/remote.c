/*-------------------------------------------------------------------------
 *
 * remote.c
 *	  Questions to another server, over the connection that a subscription to
 *	  it would make.
 *
 * It is the server's own client for replication (libpqwalreceiver), which also
 * takes SQL.  It waits with the latch, so that a query can be cancelled
 * meanwhile, and sets an empty search path.
 *
 * Siblings: follow.c asks.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "fanout/internal.h"

/*
 * Connects, with the rights that CREATE SUBSCRIPTION asks for.  The caller
 * ends it with walrcv_disconnect(), after an error, too.
 */
WalReceiverConn *
pt_remote_connect(const char *conninfo)
{
	WalReceiverConn *conn;
	char	   *problem;

	if (!pt_may_subscribe(GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to follow a topic of another server"),
				 errhint("Who may create subscriptions may follow topics.")));
	load_file("libpqwalreceiver", false);
	pt_walrcv_check(conninfo, !superuser());
	conn = pt_walrcv_connect(conninfo, !superuser(), "pgtopic", &problem);
	if (conn == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not connect to the server of the topic: %s", problem),
				 errhint("The connection is one for logical replication: its role needs REPLICATION, and pg_hba.conf there has to let it in.")));
	return conn;
}

/*
 * ERROR with what the other server said, unless its answer is of this kind.
 */
static void
expect(WalRcvExecResult * result, WalRcvExecStatus status, const char *what)
{
	if (result->status != status)
		ereport(ERROR,
				(errcode(result->sqlstate != 0 ? result->sqlstate : ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not %s on the server of the topic: %s", what,
						result->err != NULL ? result->err : _("unexpected answer"))));
}

/*
 * Runs a command there; "what" completes "could not".
 */
void
pt_remote_run(WalReceiverConn * conn, const char *command, const char *what)
{
	WalRcvExecResult *result = walrcv_exec(conn, command, 0, NULL);

	expect(result, WALRCV_OK_COMMAND, what);
	walrcv_clear_result(result);
}

/*
 * ERROR for an answer that no PostgreSQL server with pgtopic gives.
 */
void
pt_remote_answer_error(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("unexpected answer of the server of the topic"),
			 errhint("Is it a PostgreSQL server with pgtopic that the connection leads to?")));
}

/*
 * Gets the first row of a query as n strings, palloc'd and valid in this
 * database.  Returns false, and no values, when there is no row.  ERROR 08P01
 * for a null, but in column "nullable", where it is NULL.
 */
bool
pt_remote_row(WalReceiverConn * conn, const char *query, int n, int nullable, char **values)
{
	Oid			types[PT_REMOTE_COLUMNS_MAX] = {0};
	WalRcvExecResult *result;
	TupleTableSlot *slot;
	bool		found;

	Assert(n > 0 && n <= PT_REMOTE_COLUMNS_MAX);
	for (int i = 0; i < n; i++)
		types[i] = TEXTOID;
	result = walrcv_exec(conn, query, n, types);
	expect(result, WALRCV_OK_TUPLES, "look at the topic");
	slot = MakeSingleTupleTableSlot(result->tupledesc, &TTSOpsMinimalTuple);
	found = tuplestore_gettupleslot(result->tuplestore, true, false, slot);
	for (int i = 0; found && i < n; i++)
	{
		bool		isnull;
		Datum		value = slot_getattr(slot, i + 1, &isnull);

		values[i] = isnull ? NULL : TextDatumGetCString(value);
	}
	ExecDropSingleTupleTableSlot(slot);
	walrcv_clear_result(result);
	for (int i = 0; found && i < n; i++)
	{
		if (values[i] != NULL)
			(void) pg_verifymbstr(values[i], strlen(values[i]), false);
		else if (i != nullable)
			pt_remote_answer_error();
	}
	return found;
}

/*-------------------------------------------------------------------------
 *
 * peer.c
 *	  The connection to a source: libpq, with waits that can be interrupted.
 *
 * It is a replication connection to a database, which takes SQL as well.  A
 * connection belongs to the memory context in which it was made, and is closed
 * with it, so an error leaves none behind.
 *
 * What the other server says is text in UTF-8, as are the databases in which
 * sources run (create.c).
 *
 * Siblings: slot.c, snapshot.c and stream.c speak through it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq-fe.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "sources/internal.h"

/* Longest that making a connection may take. */
#define CONNECT_MS	30000

struct PtPeer
{
	PGconn	   *conn;			/* NULL: closed */
	const char *what;			/* whose server it is, for messages */
	int			patience_ms;	/* how long it may say nothing when it is
								 * asked; 0: for ever */
	void		(*meanwhile) (void *arg);	/* what is to be done while an
											 * answer is waited for; or NULL */
	void	   *meanwhile_arg;
	TimestampTz meanwhile_at;	/* when it was done last */
	const PtTask *task;			/* whose worker has it; NULL: a session */
	bool		counted;		/* as an external file descriptor */
	MemoryContextCallback callback;
	PtPeerRow	row;			/* that came last */
	PGresult   *result;			/* has its bytes; or NULL */
};

/* How often something is done while an answer is waited for. */
#define MEANWHILE_MS	10000

/* Settings on which the text of values depends, and our safety. */
static const char *const session_settings =
"SET client_encoding = 'UTF8'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres';"
"SET timezone = 'UTC'; SET bytea_output = 'hex'; SET extra_float_digits = 3; SET search_path = '';"
"SET row_security = off; SET statement_timeout = 0; SET lock_timeout = 0;"
"SET idle_in_transaction_session_timeout = 0; SET standard_conforming_strings = on";

/*
 * What a table's name stands for may change before we read it, and a view runs
 * code of its owner as us.  Older servers do not have the setting.
 */
static const char *const restrict_views =
"SELECT pg_catalog.set_config(name, 'view, foreign-table', false) FROM pg_catalog.pg_settings"
" WHERE name = 'restrict_nonsystem_relation_kind'";

static void close_callback(void *arg);
static void wait_for(PtPeer *remote, int events, TimestampTz deadline);
static void wait_for_answer(PtPeer *remote, int events, TimestampTz asked);
pg_noreturn static void connect_error(PtPeer *remote);
pg_noreturn static void query_error(PtPeer *remote, PGresult *result);
pg_noreturn static void answer_error(const char *what);
static PGresult *next_result(PtPeer *remote);
static void drain(PtPeer *remote);
static void send_query(PtPeer *remote, const char *sql);

/*
 * Closes the connection; may be called again.  Never throws.
 */
void
pt_peer_close(PtPeer *remote)
{
	if (remote->result != NULL)
		PQclear(remote->result);
	remote->result = NULL;
	if (remote->conn != NULL)
		PQfinish(remote->conn);
	remote->conn = NULL;
	if (remote->counted)
		ReleaseExternalFD();
	remote->counted = false;
}

static void
close_callback(void *arg)
{
	pt_peer_close(arg);
}

/*
 * Waits until the socket is ready, and no longer than the deadline (0: none).
 * A worker that is to stop ends here: the other server may never answer.
 */
static void
wait_for(PtPeer *remote, int events, TimestampTz deadline)
{
	long		ms = deadline ? TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline) : -1;
	int			rc;

	if (remote->task != NULL && *pt_task_stop_flag(remote->task))
		pt_task_quit(remote->task);
	rc = WaitLatchOrSocket(MyLatch, events | WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (deadline ? WL_TIMEOUT : 0),
						   PQsocket(remote->conn), ms, PG_WAIT_EXTENSION);
	if (rc & WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
do_meanwhile(PtPeer *remote)
{
	TimestampTz now;

	if (remote->meanwhile == NULL)
		return;
	now = GetCurrentTimestamp();
	if (!TimestampDifferenceExceeds(remote->meanwhile_at, now, MEANWHILE_MS))
		return;
	remote->meanwhile_at = now;
	remote->meanwhile(remote->meanwhile_arg);
}

/*
 * The same for an answer to what was asked then; ERROR if the other server has
 * said nothing for longer than it may.
 */
static void
wait_for_answer(PtPeer *remote, int events, TimestampTz asked)
{
	TimestampTz deadline = remote->patience_ms > 0 ? TimestampTzPlusMilliseconds(asked, remote->patience_ms) : 0;
	TimestampTz until = deadline;

	if (remote->meanwhile != NULL)
	{
		until = TimestampTzPlusMilliseconds(remote->meanwhile_at, MEANWHILE_MS);
		until = deadline != 0 ? Min(deadline, until) : until;
	}
	wait_for(remote, events, until);
	do_meanwhile(remote);
	if (deadline != 0 && GetCurrentTimestamp() >= deadline)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("%s does not answer", remote->what),
				 errdetail("Nothing has come for the time of the setting \"wal_receiver_timeout\", %d ms.", remote->patience_ms)));
}

/*
 * A copy of what the other server has said.  It may be in an encoding that it
 * does not name, or in none.
 */
static char *
foreign_text(const char *text)
{
	char	   *copy = pchomp(text);

	if (pg_verifymbstr(copy, (int) strlen(copy), true))
		return copy;
	for (char *c = copy; *c != '\0'; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
	return copy;
}

/*
 * ERROR for a connection that is not there, or is gone.
 */
static void
connect_error(PtPeer *remote)
{
	char	   *message = foreign_text(PQerrorMessage(remote->conn));

	pt_peer_close(remote);
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("connection to %s failed: %s", remote->what, message)));
}

/*
 * ERROR for an answer that is not of the form that was asked for.  Whoever
 * sends it may be no PostgreSQL server at all.
 */
static void
answer_error(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("unexpected answer of %s", what),
			 errhint("Is it a PostgreSQL server that the connection string leads to?")));
}

void
pt_peer_unexpected(const PtPeer *remote)
{
	answer_error(remote->what);
}

/*
 * ERROR with what the other server has said; takes the result.
 */
static void
query_error(PtPeer *remote, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result); /* NULL: a fatal error */
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	int			code = ERRCODE_CONNECTION_FAILURE;

	if (status != PGRES_FATAL_ERROR && status != PGRES_BAD_RESPONSE)
	{
		PQclear(result);
		answer_error(remote->what);
	}
	if (primary == NULL)
	{
		PQclear(result);
		connect_error(remote);
	}
	if (state != NULL && strlen(state) == 5)
		code = MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
	primary = foreign_text(primary);
	detail = detail ? foreign_text(detail) : NULL;
	hint = hint ? foreign_text(hint) : NULL;
	PQclear(result);
	ereport(ERROR,
			(errcode(code),
			 errmsg("%s says: %s", remote->what, primary),
			 detail ? errdetail_internal("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0));
}

/*
 * ERROR unless a plain user's connection string has his own password in it:
 * files and services of the server are not his.
 */
void
pt_peer_check_target(const PtPeerTarget *target)
{
	char	   *problem = NULL;
	PQconninfoOption *options;
	bool		has_password = false;

	if (target->connection == NULL)
		return;
	options = PQconninfoParse(target->connection, &problem);
	if (options == NULL)
	{
		char	   *copy = pstrdup(problem ? problem : "out of memory");

		PQfreemem(problem);
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("invalid connection string: %s", copy)));
	}
	for (PQconninfoOption *o = options; o->keyword; o++)
		has_password |= strcmp(o->keyword, "password") == 0 && o->val != NULL && o->val[0] != '\0';
	PQconninfoFree(options);
	if (!has_password && !target->trusted)
		ereport(ERROR,
				(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
				 errmsg("password is required"),
				 errdetail("Who is no superuser must give a password in the connection string.")));
}

/*
 * Begins to connect.  What a connection string leaves out comes from the
 * environment of the server, as for subscriptions.  Without one it is this
 * server, as the owner.
 */
static PGconn *
start_connection(const PtPeerTarget *target)
{
	const char *keys[8] = {0};
	const char *values[8] = {0};
	int			n = 0;

	if (target->connection != NULL)
	{
		keys[n] = "dbname";		/* is expanded */
		values[n++] = target->connection;
	}
	else
	{
		char	   *directories = pstrdup(Unix_socket_directories);
		List	   *list;

		if (!SplitDirectoriesString(directories, ',', &list) || list == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("this server has no Unix socket by which a source could connect"),
					 errhint("Set \"unix_socket_directories\", or give the source a connection string.")));
		keys[n] = "host";
		values[n++] = linitial(list);
		keys[n] = "port";
		values[n++] = psprintf("%d", PostPortNumber);
		keys[n] = "user";
		values[n++] = target->user;
		keys[n] = "dbname";
		values[n++] = target->local_database;
	}
	if (target->replication)
	{
		keys[n] = "replication";
		values[n++] = "database";
	}
	keys[n] = "fallback_application_name";
	values[n++] = target->application;
	return PQconnectStartParams(keys, values, target->connection != NULL);
}

/*
 * Whose password it is matters: without one, the other server may let this
 * server in whoever asks for it.
 */
static void
check_password(PtPeer *remote, const PtPeerTarget *target)
{
	if (target->connection == NULL || target->trusted || PQconnectionUsedPassword(remote->conn))
		return;
	pt_peer_close(remote);
	ereport(ERROR,
			(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
			 errmsg("%s asked for no password", remote->what),
			 errdetail("The owner of a task with a connection string is a superuser, or must have given a password there that is asked for."),
			 errhint("Change the authentication at that server.")));
}

/*
 * Connects, in the current memory context, for the worker of a task, or for a
 * session (NULL).  ERROR 08006 if that is not possible.
 */
PtPeer *
pt_peer_connect_to(const PtPeerTarget *target, const PtTask *task)
{
	PtPeer	   *remote = palloc0(sizeof(PtPeer));
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), CONNECT_MS);
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	/* the owner may be another now, or no superuser any more */
	pt_peer_check_target(target);
	remote->task = task;
	remote->what = target->what;
	remote->callback.func = close_callback;
	remote->callback.arg = remote;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &remote->callback);
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not connect to %s: %m", remote->what)));
	remote->counted = true;
	remote->conn = start_connection(target);
	if (remote->conn == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	while (PQstatus(remote->conn) != CONNECTION_BAD &&
		   state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED)
	{
		wait_for(remote, state == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE, deadline);
		if (GetCurrentTimestamp() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("connection to %s failed: no answer within %d s", remote->what, CONNECT_MS / 1000)));
		state = PQconnectPoll(remote->conn);
	}
	if (PQstatus(remote->conn) != CONNECTION_OK)
		connect_error(remote);
	check_password(remote, target);
	if (PQsetnonblocking(remote->conn, 1) != 0)
		connect_error(remote);
	pt_peer_command(remote, session_settings);
	pt_peer_command(remote, restrict_views);
	return remote;
}

/*
 * The target of a source.
 */
static PtPeerTarget
target_of(const PtSource *source)
{
	PtPeerTarget target = {.what = "the source's server",.replication = true};

	target.application = psprintf("pgtopic source %s", source->name);
	target.connection = source->connection;
	target.user = source->user;
	target.local_database = source->local_database;
	target.trusted = source->trusted;
	return target;
}

void
pt_peer_check_connection(const PtSource *source)
{
	PtPeerTarget target = target_of(source);

	pt_peer_check_target(&target);
}

PtPeer *
pt_peer_connect(const PtSource *source, const PtTask *task)
{
	PtPeerTarget target = target_of(source);

	return pt_peer_connect_to(&target, task);
}

/*
 * The same for queries alone: it takes no walsender.
 */
PtPeer *
pt_peer_connect_plain(const PtSource *source, const PtTask *task)
{
	PtPeerTarget target = target_of(source);

	target.replication = false;
	return pt_peer_connect_to(&target, task);
}

/*
 * From now on it is an error when the other server says nothing for so long
 * after a query, in ms; 0: it may take its time.
 */
void
pt_peer_be_patient(PtPeer *remote, int ms)
{
	remote->patience_ms = ms;
}

/*
 * From now on this is done every ten seconds while an answer is waited for,
 * and while rows come.
 */
void
pt_peer_meanwhile(PtPeer *remote, void (*meanwhile) (void *arg), void *arg)
{
	remote->meanwhile = meanwhile;
	remote->meanwhile_arg = arg;
}

/*
 * Returns the other server's version, such as 150004.
 */
int
pt_peer_version(PtPeer *remote)
{
	return PQserverVersion(remote->conn);
}

const char *
pt_peer_database(PtPeer *remote)
{
	return PQdb(remote->conn);
}

pgsocket
pt_peer_socket(PtPeer *remote)
{
	return PQsocket(remote->conn);
}

/*
 * Sends what libpq has buffered.
 */
static void
flush_output(PtPeer *remote)
{
	TimestampTz began = GetCurrentTimestamp();
	int			rc;

	while ((rc = PQflush(remote->conn)) > 0)
	{
		wait_for_answer(remote, WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE, began);
		if (!PQconsumeInput(remote->conn))
			connect_error(remote);
	}
	if (rc < 0)
		connect_error(remote);
}

static void
send_query(PtPeer *remote, const char *sql)
{
	if (!PQsendQuery(remote->conn, sql))
		connect_error(remote);
	flush_output(remote);
}

/*
 * Waits for the next result of a query; NULL at its end.
 */
static PGresult *
next_result(PtPeer *remote)
{
	TimestampTz began = GetCurrentTimestamp();

	do_meanwhile(remote);
	while (PQisBusy(remote->conn))
	{
		wait_for_answer(remote, WL_SOCKET_READABLE, began);
		if (!PQconsumeInput(remote->conn))
			connect_error(remote);
	}
	return PQgetResult(remote->conn);
}

/*
 * Takes the results that are left; ERROR if one of them is an error.
 */
static void
drain(PtPeer *remote)
{
	PGresult   *result;

	while ((result = next_result(remote)) != NULL)
	{
		ExecStatusType status = PQresultStatus(result);

		if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
			query_error(remote, result);
		PQclear(result);
	}
}

/*
 * Copies the rows of a result into the current memory context.
 */
static PtPeerRows *
copy_rows(PGresult *result, const char *what)
{
	PtPeerRows *rows = palloc(sizeof(PtPeerRows));

	rows->what = what;
	rows->n = PQntuples(result);
	rows->columns = PQnfields(result);
	rows->values = palloc0(sizeof(char *) * Max(rows->n * rows->columns, 1));
	for (int i = 0; i < rows->n * rows->columns; i++)
	{
		int			row = i / rows->columns;
		int			column = i % rows->columns;

		if (!PQgetisnull(result, row, column))
			rows->values[i] = pstrdup(PQgetvalue(result, row, column));
	}
	return rows;
}

/*
 * Runs a query that returns rows of so many columns, which come in the current
 * memory context.  ERROR 08P01 for rows with other columns.
 */
PtPeerRows *
pt_peer_query(PtPeer *remote, const char *sql, int columns)
{
	PGresult   *result;
	PtPeerRows *rows;

	send_query(remote, sql);
	result = next_result(remote);
	if (result == NULL || PQresultStatus(result) != PGRES_TUPLES_OK)
		query_error(remote, result);
	if (PQnfields(result) != columns)
	{
		PQclear(result);
		answer_error(remote->what);
	}
	rows = copy_rows(result, remote->what);
	PQclear(result);
	drain(remote);
	for (int i = 0; i < rows->n * columns; i++)
	{
		if (rows->values[i] != NULL)
			(void) pg_verify_mbstr(PG_UTF8, rows->values[i], strlen(rows->values[i]), false);
	}
	return rows;
}

/*
 * Returns a value, or NULL for null; ERROR unless it is there.
 */
const char *
pt_peer_value_or_null(const PtPeerRows *rows, int row, int column)
{
	if (row < 0 || row >= rows->n || column < 0 || column >= rows->columns)
		answer_error(rows->what);
	return rows->values[row * rows->columns + column];
}

/*
 * Returns a value; ERROR if it is null, too.
 */
const char *
pt_peer_value(const PtPeerRows *rows, int row, int column)
{
	const char *value = pt_peer_value_or_null(rows, row, column);

	if (value == NULL)
		answer_error(rows->what);
	return value;
}

/*
 * Returns a boolean value; ERROR for anything else.
 */
bool
pt_peer_bool(const PtPeerRows *rows, int row, int column)
{
	const char *value = pt_peer_value(rows, row, column);

	if (strcmp(value, "t") != 0 && strcmp(value, "f") != 0)
		answer_error(rows->what);
	return value[0] == 't';
}

/*
 * Returns a value that is an OID; ERROR for anything else.
 */
Oid
pt_peer_oid(const PtPeerRows *rows, int row, int column)
{
	return DatumGetObjectId(DirectFunctionCall1(oidin, CStringGetDatum(pt_peer_value(rows, row, column))));
}

/*
 * Runs a command, or several, whose results do not matter.
 */
void
pt_peer_command(PtPeer *remote, const char *sql)
{
	send_query(remote, sql);
	drain(remote);
}

/*
 * Begins a query whose rows are taken one by one.
 */
void
pt_peer_rows_begin(PtPeer *remote, const char *sql)
{
	Assert(remote->result == NULL);
	remote->row.n = -1;
	send_query(remote, sql);
	if (!PQsetSingleRowMode(remote->conn))
		elog(ERROR, "could not ask for single rows");
}

/*
 * Takes in the columns of the rows that come.
 */
static void
describe_rows(PtPeerRow *row, PGresult *result)
{
	row->n = PQnfields(result);
	row->names = palloc(sizeof(char *) * Max(row->n, 1));
	row->types = palloc(sizeof(Oid) * Max(row->n, 1));
	row->typmods = palloc(sizeof(int) * Max(row->n, 1));
	row->values = palloc(sizeof(PtPgoutputValue) * Max(row->n, 1));
	for (int i = 0; i < row->n; i++)
	{
		row->names[i] = pstrdup(PQfname(result, i));
		row->types[i] = PQftype(result, i);
		row->typmods[i] = PQfmod(result, i);
	}
}

/*
 * Returns the next row, or NULL behind the last one.  Its values are valid
 * until the next call; its columns come into the memory context of the first
 * one.
 */
const PtPeerRow *
pt_peer_rows_next(PtPeer *remote)
{
	PGresult   *result;
	PtPeerRow  *row = &remote->row;

	if (remote->result != NULL)
		PQclear(remote->result);
	remote->result = NULL;
	result = next_result(remote);
	if (result == NULL || (PQresultStatus(result) != PGRES_SINGLE_TUPLE && PQresultStatus(result) != PGRES_TUPLES_OK))
		query_error(remote, result);
	if (PQresultStatus(result) == PGRES_TUPLES_OK)
	{
		PQclear(result);
		drain(remote);
		return NULL;
	}
	remote->result = result;
	if (row->n < 0)
		describe_rows(row, result);
	if (PQnfields(result) != row->n)
		answer_error(remote->what);
	for (int i = 0; i < row->n; i++)
	{
		PtPgoutputValue *value = &row->values[i];
		bool		null = PQgetisnull(result, 0, i);

		value->kind = null ? PT_VALUE_NULL : PT_VALUE_TEXT;
		value->text.data = null ? NULL : PQgetvalue(result, 0, i);
		value->text.len = null ? -1 : PQgetlength(result, 0, i);
	}
	return row;
}

/*
 * Begins a stream by a replication command.
 */
void
pt_peer_stream(PtPeer *remote, const char *sql)
{
	PGresult   *result;

	send_query(remote, sql);
	result = next_result(remote);
	if (result == NULL || PQresultStatus(result) != PGRES_COPY_BOTH)
		query_error(remote, result);
	PQclear(result);
}

/*
 * Takes a message of the stream, without waiting.  Returns its length, or 0 if
 * none is there; ERROR at the end of the stream, for which the other server
 * has a reason.  *data is terminated, and is to be given back by
 * pt_peer_free().
 */
int
pt_peer_receive(PtPeer *remote, char **data)
{
	int			len = PQgetCopyData(remote->conn, data, 1);

	if (len == 0)
	{
		if (!PQconsumeInput(remote->conn))
			connect_error(remote);
		len = PQgetCopyData(remote->conn, data, 1);
	}
	if (len == -1)
	{
		PGresult   *result = next_result(remote);

		if (result != NULL && PQresultStatus(result) == PGRES_FATAL_ERROR)
			query_error(remote, result);
		if (result != NULL)
			PQclear(result);
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the source's server has ended the stream of changes")));
	}
	if (len < -1)
		connect_error(remote);
	return len;
}

void
pt_peer_free(char *data)
{
	PQfreemem(data);
}

/*
 * Sends a message into the stream.
 */
void
pt_peer_send(PtPeer *remote, const char *data, int len)
{
	if (PQputCopyData(remote->conn, data, len) <= 0)
		connect_error(remote);
	flush_output(remote);
}

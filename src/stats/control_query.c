/*-------------------------------------------------------------------------
 *
 * control_query.c
 *	  Asks the control worker from SQL.
 *
 * The state of groups is in the memory of one process, the control worker.  A
 * session asks for it as a Kafka client.  It makes a pair of sockets, hands
 * one end to the control worker in the way in which listeners do for their
 * clients, writes the request to the other end and reads the answer from it.
 * So no second protocol and no shared memory are needed.
 *
 * Siblings: ../server/inbox.c, ../kafka/frame.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "commands/dbcommands.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_bswap.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "kafka/frame.h"
#include "kafka/kafka.h"
#include "kafka/listeners.h"
#include "kafka/memory.h"
#include "server/inbox.h"
#include "server/shared.h"
#include "stats/control_query.h"

/* Size of the length in front of a frame; largest answer, in bytes. */
#define LENGTH_WORD		4
#define ANSWER_MAX		(256 * 1024 * 1024)

/*
 * How long to wait for a control worker that is not up or busy, how long for
 * its answer, and how often to try.
 */
#define PATIENCE_MS		5000
#define ANSWER_MS		30000
#define RETRY_MS		20

PG_FUNCTION_INFO_V1(pt_kafka_ask);

static void check_database(void);
static int	open_socket(void);
static void hand_over(int sender, int theirs);
static Size send_some(int ours, const char *bytes, Size len);
static bool receive_some(int ours, StringInfo answer);
static void exchange(int ours, const char *bytes, Size len, int frames, StringInfo answer);
static void wait_for(int sock, uint32 events, long ms);
static int	count_frames(const char *bytes, Size len);

/*
 * Returns true if this server should have a control worker: a listener is
 * configured and we are not in recovery.
 */
bool
pt_control_expected(void)
{
	return kafka_listeners()->n > 0 && !RecoveryInProgress();
}

/*
 * Returns true if there is a control worker that serves our database.
 */
bool
pt_control_serves(void)
{
	const char *database = get_database_name(MyDatabaseId);

	return pt_control_expected() && database != NULL && strcmp(database, pt_database) == 0;
}

/*
 * ERROR if there is no control worker to ask, or if it serves another
 * database.
 */
static void
check_database(void)
{
	const char *database = get_database_name(MyDatabaseId);

	if (database == NULL || strcmp(database, pt_database) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("Kafka clients are served from database \"%s\" only", pt_database),
				 errhint("Connect to that database, or change the setting \"pgtopic.database\".")));
	if (!pt_control_expected())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no control worker in this server"),
				 RecoveryInProgress() ?
				 errhint("A standby serves Kafka clients after it has been promoted.") :
				 errhint("Set \"pgtopic.listeners\", and restart the server.")));
}

/*
 * Makes an unnamed socket from which datagrams are sent.
 */
static int
open_socket(void)
{
	int			fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create a socket to the control worker: %m")));
	return fd;
}

/*
 * Waits for an event of the socket, or for ms milliseconds.  Can be
 * cancelled.
 */
static void
wait_for(int sock, uint32 events, long ms)
{
	static uint32 wait_event = 0;

	Assert(ms > 0);
	if (wait_event == 0)
		wait_event = pt_wait_event_new("PgtopicControlCall");
	(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | events,
							 sock, ms, wait_event);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Sends the other end of our connection to the control worker.  Tries again
 * for PATIENCE_MS, then ERROR.
 */
static void
hand_over(int sender, int theirs)
{
	TimestampTz give_up_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PATIENCE_MS);
	PtMoved		moved = {.origin = PT_ORIGIN_SESSION};
	PtInboxResult result;

	Assert(sender >= 0 && theirs >= 0);
	strlcpy(moved.session.client_id, "sql", sizeof(moved.session.client_id));
	strlcpy(moved.session.mechanism, KAFKA_MECHANISM_SQL, sizeof(moved.session.mechanism));
	moved.session.role = GetUserId();
	snprintf(moved.session.peer, sizeof(moved.session.peer), "session %d", MyProcPid);
	while ((result = pt_inbox_send(sender, pt_server_control(), theirs, &moved)) != PT_INBOX_DONE)
	{
		if (GetCurrentTimestamp() >= give_up_at)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 result == PT_INBOX_DOWN ?
					 errmsg("the control worker is not up") : errmsg("the control worker is busy"),
					 errhint("It starts again by itself; the server log says what is wrong if it does not.")));
		wait_for(PGINVALID_SOCKET, 0, RETRY_MS);
	}
}

/*
 * Writes what the socket takes of the bytes; returns how many.  That the
 * control worker has ended is seen when its answer is read.
 */
static Size
send_some(int ours, const char *bytes, Size len)
{
	ssize_t		n = len == 0 ? 0 : send(ours, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return Max(n, 0);
}

/*
 * Adds what there is to read to the answer; false: there is nothing.  ERROR
 * at the end.
 */
static bool
receive_some(int ours, StringInfo answer)
{
	ssize_t		n;

	enlargeStringInfo(answer, 8192);
	n = recv(ours, answer->data + answer->len, answer->maxlen - answer->len - 1, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the control worker did not answer"),
				 errhint("The server log says why.")));
	if (n < 0)
		return false;
	answer->len += n;
	if (answer->len > ANSWER_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the answer of the control worker is too large")));
	return true;
}

/*
 * Writes the bytes, and reads until there are as many frames.  ERROR after
 * ANSWER_MS.
 */
static void
exchange(int ours, const char *bytes, Size len, int frames, StringInfo answer)
{
	TimestampTz give_up_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ANSWER_MS);
	Size		sent = 0;

	Assert(ours >= 0 && frames > 0);
	while (count_frames(answer->data, answer->len) < frames)
	{
		sent += send_some(ours, bytes + sent, len - sent);
		if (receive_some(ours, answer))
			continue;
		if (GetCurrentTimestamp() >= give_up_at)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("the control worker did not answer within %d seconds", ANSWER_MS / 1000)));
		wait_for(ours, WL_SOCKET_READABLE | (sent < len ? WL_SOCKET_WRITEABLE : 0), 1000);
	}
}

/*
 * Counts the whole frames in the bytes; -1 if a length makes no sense.
 */
static int
count_frames(const char *bytes, Size len)
{
	int			n = 0;

	while (len >= LENGTH_WORD)
	{
		uint32		word;

		memcpy(&word, bytes, LENGTH_WORD);
		word = pg_ntoh32(word);
		if (word > PG_INT32_MAX)
			return -1;
		if (len - LENGTH_WORD < word)
			break;
		bytes += LENGTH_WORD + word;
		len -= LENGTH_WORD + word;
		n++;
	}
	return n;
}

/* The sockets of one question; -1 where there is none. */
typedef struct Sockets
{
	int			ours;			/* our end of the connection */
	int			theirs;			/* the end that the control worker gets */
	int			sender;			/* to send it with */
} Sockets;

/*
 * Closes a socket, if there is one.
 */
static void
close_socket(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/*
 * Sends the request and reads the answer.  The caller closes the sockets,
 * also after an error.
 */
static void
ask(Sockets *sockets, const char *bytes, Size len, StringInfo answer)
{
	int			nframes = count_frames(bytes, len);
	int			pair[2];

	if (nframes <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("these bytes are no Kafka request")));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create a socket to the control worker: %m")));
	sockets->ours = pair[0];
	sockets->theirs = pair[1];
	sockets->sender = open_socket();
	hand_over(sockets->sender, sockets->theirs);

	/* Only the control worker has this end now, so we notice when it ends. */
	close_socket(&sockets->theirs);
	exchange(sockets->ours, bytes, len, nframes, answer);
}

/*
 * Asks with bytes: one or more frames, with their lengths, and as many
 * answers.  See control_query.h.
 */
char *
pt_control_ask(const char *frames, Size len, Size *answer_len)
{
	Sockets		sockets = {-1, -1, -1};
	StringInfoData answer;

	check_database();
	initStringInfo(&answer);
	PG_TRY();
	{
		ask(&sockets, frames, len, &answer);
	}
	PG_FINALLY();
	{
		close_socket(&sockets.ours);
		close_socket(&sockets.theirs);
		close_socket(&sockets.sender);
	}
	PG_END_TRY();
	*answer_len = answer.len;
	return answer.data;
}

/*
 * Asks with the structs of an API.  See control_query.h.
 */
void
pt_control_call(KafkaApiKey key, int16 version, const void *request, void *response)
{
	const KafkaApi *api = kafka_api_by_key(key);
	KafkaWriter w = kafka_writer_in(CurrentMemoryContext);
	KafkaArena	arena = kafka_arena_in(CurrentMemoryContext, ANSWER_MAX);
	const char *problem;
	char	   *answer;
	Size		len;

	Assert(api != NULL && version >= api->min_version && version <= api->max_version);
	if (!kafka_request_write(&w, api, version, 1, "sql", request))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the request to the control worker is too large")));
	answer = pt_control_ask(w.buf, w.len, &len);
	Assert(len >= LENGTH_WORD);
	pfree(w.buf);
	problem = kafka_response_read(api, version, answer + LENGTH_WORD, len - LENGTH_WORD, &arena, NULL, response);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("the answer of the control worker to %s makes no sense: %s", api->name, problem)));
}

/*
 * For tests: kafka_ask(request bytea) returns bytea.
 */
Datum
pt_kafka_ask(PG_FUNCTION_ARGS)
{
	bytea	   *request = PG_GETARG_BYTEA_PP(0);
	Size		len;
	char	   *answer = pt_control_ask(VARDATA_ANY(request), VARSIZE_ANY_EXHDR(request), &len);
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), answer, len);
	PG_RETURN_BYTEA_P(result);
}

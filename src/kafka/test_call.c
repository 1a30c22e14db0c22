/*-------------------------------------------------------------------------
 *
 * test_call.c
 *	  The dispatcher without sockets: kafka_call(request bytea) returns bytea.
 *
 * For tests.  The request is what a client would send over a connection: one
 * or more frames, each with its length word; the result is what it would
 * receive.  Handlers commit transactions of their own, which a function cannot
 * do, so the frames are handled by a background worker, started for this one
 * call, that is a listener in miniature: appends are done at once and flushed,
 * fetches that wait are tried again until their deadline.
 *
 * The worker gets the request in a shared memory segment and answers through a
 * queue behind it: one message, a byte that says what it is, and the bytes or
 * the text of the problem.
 *
 * Siblings: call.c; ../server/ has the real listener.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <netinet/in.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "auth/auth.h"
#include "kafka/api.h"
#include "xact/claims.h"

/* bytes of the queue of answers */
#define QUEUE_SIZE		65536
#define RETRY_MS		10
/* for requests without a deadline */
#define PATIENCE_MS		30000	/* of what has no deadline of its own */

/* first byte of the message: what the rest is */
#define MESSAGE_BYTES	'B'
#define MESSAGE_PROBLEM 'P'

/* What is in the segment.  The queue comes after the request. */
typedef struct Mailbox
{
	Oid			database;
	Oid			user;			/* whose rights the worker has */
	int			security;		/* KafkaSecurity of a listener, -1: none */
	uint32		len;
	uint32		queue_at;		/* offset in the segment, in bytes */
	char		request[FLEXIBLE_ARRAY_MEMBER];
} Mailbox;

PG_FUNCTION_INFO_V1(pt_kafka_call);
extern PGDLLEXPORT void pt_kafka_call_main(Datum arg);

/*
 * The session's side
 */

/*
 * Makes the segment with the request and the queue.
 */
static dsm_segment *
make_mailbox(bytea *request, int security, shm_mq **queue)
{
	uint32		len = VARSIZE_ANY_EXHDR(request);
	Size		queue_at = MAXALIGN(offsetof(Mailbox, request) + len);
	dsm_segment *segment = dsm_create(queue_at + QUEUE_SIZE, 0);
	Mailbox    *box = dsm_segment_address(segment);

	box->database = MyDatabaseId;
	box->user = GetUserId();
	box->security = security;
	box->len = len;
	box->queue_at = queue_at;
	memcpy(box->request, VARDATA_ANY(request), len);
	*queue = shm_mq_create((char *) box + queue_at, QUEUE_SIZE);
	shm_mq_set_receiver(*queue, MyProc);
	return segment;
}

/*
 * Starts the worker.  Throws if there is no free slot.
 */
static BackgroundWorkerHandle *
start_worker(dsm_segment *segment)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_name, "pgtopic kafka_call", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgtopic kafka_call", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "pgtopic", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pt_kafka_call_main", sizeof(worker.bgw_function_name));
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a background worker for the Kafka request"),
				 errhint("Consider increasing the configuration parameter \"max_worker_processes\".")));
	return handle;
}

/*
 * Returns the KafkaSecurity with that name, or -1 for an empty one.
 */
static int
security_by_name(const char *name)
{
	for (int i = KAFKA_SECURITY_PLAINTEXT; i <= KAFKA_SECURITY_SASL_SSL; i++)
	{
		if (strcmp(name, kafka_security_name(i)) == 0)
			return i;
	}
	if (name[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown security protocol: \"%s\"", name)));
	return -1;
}

/*
 * The SQL function kafka_call(request bytea, security text).  With security,
 * the name of a listener's protocol, the request is that of a client which
 * came by such a listener from 127.0.0.1; without, that of the caller.  Only a
 * superuser may call it.
 */
Datum
pt_kafka_call(PG_FUNCTION_ARGS)
{
	shm_mq	   *queue;
	dsm_segment *segment;
	shm_mq_handle *receiver;
	Size		len;
	void	   *message;
	bytea	   *result;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to send requests to the Kafka dispatcher")));

	segment = make_mailbox(PG_GETARG_BYTEA_PP(0), security_by_name(text_to_cstring(PG_GETARG_TEXT_PP(1))), &queue);
	receiver = shm_mq_attach(queue, segment, start_worker(segment));
	if (shm_mq_receive(receiver, &len, &message, false) != SHM_MQ_SUCCESS || len < 1)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("lost connection to the background worker of the Kafka request"),
				 errhint("The server log says why.")));
	if (*(char *) message == MESSAGE_PROBLEM)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the Kafka connection would be closed"),
				 errdetail_internal("%s", pnstrdup((char *) message + 1, len - 1))));

	result = palloc(VARHDRSZ + len - 1);
	SET_VARSIZE(result, VARHDRSZ + len - 1);
	memcpy(VARDATA(result), (char *) message + 1, len - 1);
	dsm_detach(segment);
	PG_RETURN_BYTEA_P(result);
}

/*
 * The worker's side
 */

/*
 * Waits for the time between two attempts.
 */
static void
nap(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, RETRY_MS,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Appends the bytes of a span of a log.
 */
static void
copy_span(StringInfo out, PtSpan *span, uint32 len)
{
	int			end = out->len + len;

	while (out->len < end)
	{
		PtSpanMap	map;

		pt_span_map(span, &map, PT_SPAN_PIECES, NULL);
		for (int i = 0; i < map.npieces; i++)
			appendBinaryStringInfo(out, map.iov[i].iov_base, map.iov[i].iov_len);
		for (int i = 0; i < map.npins; i++)
			ReleaseBuffer(map.pins[i]);
		if (map.npieces <= 0)
			elog(ERROR, "span of a log ends early");
	}
	Assert(out->len == end);
}

/*
 * Appends the pieces of a response.
 */
static void
copy_response(StringInfo out, KafkaCall *call)
{
	for (int i = 0; i < call->npieces; i++)
	{
		KafkaPiece *piece = &call->pieces[i];

		if (piece->data != NULL)
			appendBinaryStringInfo(out, piece->data, piece->len);
		else
			copy_span(out, &piece->span, piece->len);
	}
}

/*
 * Appends the items.  It may wait, because no other request is served here.
 */
static KafkaOutcome
append(KafkaCall *call)
{
	TimestampTz deadline = call->deadline != 0 ? call->deadline :
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PATIENCE_MS);

	CommitTransactionCommand();
	for (int i = 0; i < call->nproduce; i++)
	{
		XLogRecPtr	lsn = 0;

		pt_produce_execute(&call->produce[i], deadline, &lsn);
		call->lsn = Max(call->lsn, lsn);
	}
	pt_claims_give_up();
	if (call->lsn != 0)
	{
		XLogFlush(call->lsn);
		pt_state_advance_all(call->lsn);
	}
	StartTransactionCommand();
	return kafka_call_resume(call, false);
}

/*
 * Waits a little and tries again.
 */
static KafkaOutcome
await(KafkaCall *call)
{
	bool		timed_out;

	CommitTransactionCommand();
	nap();
	StartTransactionCommand();
	timed_out = GetCurrentTimestamp() >= call->deadline;
	return kafka_call_resume(call, timed_out);
}

/*
 * Like the control worker's turns, until the group has an answer.
 */
static KafkaOutcome
await_group(KafkaCall *call)
{
	CommitTransactionCommand();
	nap();
	StartTransactionCommand();
	if (kafka_control_wait() == 0)
		kafka_control_turn();
	return kafka_call_resume(call, GetCurrentTimestamp() >= call->deadline);
}

/*
 * Handles one request.  Returns false if its connection must be closed; then
 * "out" has the reason.
 */
static bool
handle_frame(KafkaSession *session, const char *frame, uint32 len, StringInfo out)
{
	KafkaCall  *call;
	KafkaOutcome outcome;

	StartTransactionCommand();
	outcome = kafka_call_begin(session, frame, len, &call);
	while (outcome == KAFKA_APPEND || outcome == KAFKA_WAIT || outcome == KAFKA_PARK)
		outcome = outcome == KAFKA_APPEND ? append(call) :
			outcome == KAFKA_PARK ? await_group(call) : await(call);

	MemoryContextSwitchTo(session->mcxt);
	if (outcome == KAFKA_REPLY)
	{
		copy_response(out, call);
		if (call->goodbye != NULL)
			outcome = KAFKA_CLOSE;
	}
	else if (outcome == KAFKA_CLOSE)
	{
		resetStringInfo(out);
		appendStringInfo(out, "%c%s", MESSAGE_PROBLEM, call->problem);
	}
	kafka_call_end(call);
	CommitTransactionCommand();
	if (XactLastCommitEnd != InvalidXLogRecPtr)
		XLogFlush(XactLastCommitEnd);
	MemoryContextSwitchTo(session->mcxt);
	return outcome != KAFKA_CLOSE;
}

/*
 * Handles frames until the bytes end.
 */
static void
handle_stream(KafkaSession *session, const char *bytes, uint32 len, StringInfo out)
{
	appendStringInfoChar(out, MESSAGE_BYTES);
	while (len > 0)
	{
		uint32		frame_len = 0;

		if (len >= sizeof(frame_len))
		{
			memcpy(&frame_len, bytes, sizeof(frame_len));
			frame_len = pg_ntoh32(frame_len);
		}
		if (len < sizeof(frame_len) || frame_len > len - sizeof(frame_len))
		{
			resetStringInfo(out);
			appendStringInfo(out, "%crequest is truncated", MESSAGE_PROBLEM);
			return;
		}
		bytes += sizeof(frame_len);
		len -= sizeof(frame_len);
		if (!handle_frame(session, bytes, frame_len, out))
			return;
		bytes += frame_len;
		len -= frame_len;
	}
}

/*
 * The main function of the worker.  The argument is the handle of the
 * segment.
 */
void
pt_kafka_call_main(Datum arg)
{
	KafkaSession session = {.peer = "127.0.0.1:0"};
	StringInfoData out;
	dsm_segment *segment;
	Mailbox    *box;
	shm_mq	   *queue;
	shm_mq_handle *sender;
	char	   *request;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "kafka_call");
	segment = dsm_attach(DatumGetUInt32(arg));
	if (segment == NULL)
		proc_exit(0);			/* the session has gone */
	dsm_pin_mapping(segment);
	box = dsm_segment_address(segment);
	queue = (shm_mq *) ((char *) box + box->queue_at);
	shm_mq_set_sender(queue, MyProc);
	sender = shm_mq_attach(queue, segment, NULL);
	BackgroundWorkerInitializeConnectionByOid(box->database, box->user, 0);

	if (box->security < 0)
	{
		strlcpy(session.mechanism, KAFKA_MECHANISM_SQL, sizeof(session.mechanism));
		session.role = box->user;
	}
	else
	{
		session.security = (KafkaSecurity) box->security;
		((struct sockaddr_in *) &session.address)->sin_family = AF_INET;
		((struct sockaddr_in *) &session.address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		pt_auth_load(true);
	}
	session.mcxt = AllocSetContextCreate(TopMemoryContext, "Kafka session", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(session.mcxt);
	initStringInfo(&out);
	request = palloc(box->len + 1);
	memcpy(request, box->request, box->len);	/* batches are patched in
												 * place */
	handle_stream(&session, request, box->len, &out);
	kafka_session_end(&session);
	(void) shm_mq_send(sender, out.len, out.data, false, true);
	proc_exit(0);
}

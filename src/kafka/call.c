/*-------------------------------------------------------------------------
 *
 * call.c
 *	  The life of one request: decode, handler, encode; and errors on the way.
 *
 * There is one PG_TRY around each run of a handler.  A thrown error aborts the
 * caller's transaction and starts it again, and the handler's "fail" function
 * makes it an answer that the client understands.  Only bytes that make no
 * sense close a connection.
 *
 * Siblings: kafka.h (the contract), frame.c and codec.c (bytes), api.c and
 * api/ (handlers).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_bswap.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "tell.h"
#include "kafka/api.h"
#include "kafka/frame.h"
#include "kafka/groups.h"
#include "kafka/memory.h"

/*
 * How long a transaction of a handler may wait for a lock, and take in all:
 * other requests to the administration worker wait with it.  It may run code
 * of users (event triggers), which shall not have that worker for ever.
 */
#define LOCK_PATIENCE "500ms"
#define TRANSACTION_PATIENCE_MS 30000

void		(*kafka_ready_hook) (KafkaCall *call);

/* What runs under guard(). */
typedef struct Step
{
	KafkaCall  *call;
	enum
	{
		STEP_BEGIN,
		STEP_RESUME,
		STEP_FAIL
	}			what;
	bool		timed_out;
	int16		code;
	const char *message;
	KafkaOutcome outcome;
} Step;

static KafkaOutcome
close_connection(KafkaCall *call, const char *problem)
{
	call->problem = problem;
	return KAFKA_CLOSE;
}

/*
 * Transactions
 */

/*
 * Where the caller goes back to: its context may have gone with a transaction.
 */
static MemoryContext
enter_context(MemoryContext mcxt, bool *transactional)
{
	MemoryContext old = MemoryContextSwitchTo(mcxt);

	*transactional = old == TopTransactionContext || old == CurTransactionContext;
	return old;
}

static void
leave_context(MemoryContext old, bool transactional)
{
	MemoryContextSwitchTo(transactional ? CurTransactionContext : old);
}

/*
 * What was thrown, in the current memory context.  What depends on a topic is
 * only in the detail.
 */
static void
take_error(KafkaError *error)
{
	ErrorData  *edata = CopyErrorData();

	FlushErrorState();
	error->sqlstate = edata->sqlerrcode;
	error->code = kafka_error_from_sqlstate(edata->sqlerrcode, pt_ddl_running);
	pt_ddl_running = false;
	error->message = edata->message ? edata->message : "";
	if (edata->detail != NULL)
		error->message = psprintf("%s: %s", error->message, edata->detail);
}

/*
 * Runs fn; when it throws, returns false with the error copied to mcxt,
 * nothing held, and a fresh transaction if there was one before.
 */
static bool
guard(MemoryContext mcxt, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	bool		in_transaction = IsTransactionState();
	volatile bool ok = true;

	pt_ddl_running = false;
	PG_TRY();
	{
		fn(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(mcxt);
		take_error(error);
		ok = false;
	}
	PG_END_TRY();

	if (!ok)
	{
		if (in_transaction)
		{
			AbortCurrentTransaction();
			StartTransactionCommand();
		}
		else
			LWLockReleaseAll();
	}
	MemoryContextSwitchTo(mcxt);
	return ok;
}

typedef struct OwnTransaction
{
	void		(*fn) (void *arg);
	void	   *arg;
} OwnTransaction;

static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * The commit is asynchronous: the caller does not let the answer out before
 * the WAL up to XactLastCommitEnd is flushed, and replicated where that is
 * demanded.  So a request of many such transactions waits for the disk once.
 * (One that drops files is flushed by the server all the same.)
 */
static void
run_and_commit(void *arg)
{
	OwnTransaction *own = arg;

	set_local("synchronous_commit", "off");
	set_local("lock_timeout", LOCK_PATIENCE);
	PushActiveSnapshot(GetTransactionSnapshot());
	own->fn(own->arg);
	PopActiveSnapshot();
	CommitTransactionCommand();
	StartTransactionCommand();
}

/*
 * Runs fn in a transaction of its own: the current one is committed before,
 * and a new one is open when it returns.  fn has an active snapshot and leaves
 * what it has to say in arg.  When it throws, false is returned and the error
 * is in *error; what fn did is undone.  Waits for locks end soon with an
 * error, and so does what takes very long.
 */
bool
kafka_run_transaction(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	return kafka_run_in(call->mcxt, fn, arg, error);
}

/* The same without a call: the error is copied to mcxt, where we return. */
bool
kafka_run_in(MemoryContext mcxt, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	OwnTransaction own = {fn, arg};
	struct sigaction usual;
	bool		ok;

	Assert(IsTransactionState());
	CommitTransactionCommand();
	StartTransactionCommand();

	/*
	 * A process ends what takes too long by sending itself a SIGINT.  A
	 * worker ignores those, since it has no query to cancel, except here.
	 */
	sigaction(SIGINT, NULL, &usual);
	pqsignal(SIGINT, StatementCancelHandler);
	enable_timeout_after(STATEMENT_TIMEOUT, TRANSACTION_PATIENCE_MS);
	ok = guard(mcxt, run_and_commit, &own, error);
	disable_timeout(STATEMENT_TIMEOUT, false);
	sigaction(SIGINT, &usual, NULL);

	/* One that came too late must not hit what runs next. */
	(void) get_timeout_indicator(LOCK_TIMEOUT, true);
	QueryCancelPending = false;
	return ok;
}

/*
 * May the handler run commands here?  Only the administration worker does,
 * where they may wait; a handler that finds itself elsewhere has the request
 * move there.
 */
bool
kafka_administrates(const KafkaCall *call)
{
	return call->session->plane == KAFKA_PLANE_ADMIN || call->session->plane == KAFKA_PLANE_ANY;
}

/* The handler's verdict that the request belongs to another worker. */
KafkaOutcome
kafka_move(KafkaCall *call, KafkaPlane plane)
{
	Assert(call->session->plane != KAFKA_PLANE_ANY && call->session->plane != plane);
	call->move_to = plane;
	return KAFKA_MOVE;
}

/* Logs an error that is ours, not the client's; so many a second. */
void
kafka_log_error(const KafkaCall *call, const KafkaError *error)
{
	static PtTold told;
	int			untold;

	/* What a client did wrong is told to the client only. */
	if (!kafka_error_is_ours(error->sqlstate, error->code))
		return;
	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errcode(error->sqlstate),
				 errmsg("%s request of Kafka client \"%s\" at %s failed: %s",
						call->api->name, call->session->client_id, call->session->peer, error->message),
				 errdetail("The SQLSTATE is %s.", unpack_sql_state(error->sqlstate))));
	if (untold > 0)
		ereport(LOG,
				(errmsg("%d more requests of Kafka clients failed", untold)));
}

/*
 * Runs fn, which reads one part of what a request asks for, such as one
 * partition.  When it throws, false is returned with the error, which has been
 * logged if it is ours; the other parts can still be answered.  As with a
 * handler's own errors the caller's transaction has been aborted then and
 * another one started, so nothing that belongs to it may be held.
 */
bool
kafka_try(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	Assert(CurrentMemoryContext == call->mcxt);
	if (guard(call->mcxt, fn, arg, error))
		return true;
	Assert(error->code != KERR_NONE);
	kafka_log_error(call, error);
	error->code = kafka_read_error(error->code);
	return false;
}

/*
 * Answers
 */

/* Cuts what was written at the splices. */
static void
make_pieces(KafkaCall *call, const KafkaWriter *w)
{
	KafkaPiece *piece;
	size_t		at = 0;

	call->pieces = palloc0(sizeof(KafkaPiece) * (2 * (Size) w->nsplices + 1));
	piece = call->pieces;
	for (int i = 0; i < w->nsplices; i++)
	{
		const KafkaSplice *splice = &w->splices[i];

		Assert(splice->at >= at && splice->at <= w->len);
		if (splice->at > at)
		{
			piece->data = w->buf + at;
			piece->len = (uint32) (splice->at - at);
			at = splice->at;
			piece++;
		}
		piece->len = splice->len;
		piece->span = *(const PtSpan *) splice->source;
		piece++;
	}
	if (w->len > at)
	{
		piece->data = w->buf + at;
		piece->len = (uint32) (w->len - at);
		piece++;
	}
	call->npieces = piece - call->pieces;
	Assert(call->npieces > 0 && call->npieces <= 2 * w->nsplices + 1);
	Assert(call->pieces[0].data == w->buf); /* the frame's length */
	call->response_bytes = w->len + w->spliced;
	call->error = w->error;
}

static KafkaOutcome
encode_reply(KafkaCall *call)
{
	KafkaWriter w = kafka_writer_in(call->mcxt);

	if (!kafka_response_write(&w, call->api, call->api_version, call->correlation_id, call->response))
		return close_connection(call, "response is too large");
	make_pieces(call, &w);
	return KAFKA_REPLY;
}

static void
run_step(void *arg)
{
	Step	   *step = arg;
	KafkaCall  *call = step->call;
	const KafkaHandler *handler = kafka_handler_of(call->api);

	Assert(CurrentMemoryContext == call->mcxt);
	switch (step->what)
	{
		case STEP_BEGIN:
			step->outcome = handler->begin(call);
			break;
		case STEP_RESUME:
			step->outcome = handler->resume(call, step->timed_out);
			break;
		case STEP_FAIL:
			kafka_defaults(call->api->response(), call->response, 1);
			handler->fail(call, step->code, step->message);
			step->outcome = KAFKA_REPLY;
			break;
	}
	Assert(step->outcome != KAFKA_APPEND || call->nproduce > 0);
	Assert(step->outcome != KAFKA_MOVE || (step->what == STEP_BEGIN && call->move_to != KAFKA_PLANE_ANY));
	Assert(step->outcome != KAFKA_CLOSE || call->problem != NULL);
	if (step->outcome == KAFKA_REPLY)
		step->outcome = encode_reply(call);
}

/*
 * A producer that wants no answer learns of an error by the end of its
 * connection.
 */
static bool
wants_no_answer(const KafkaCall *call)
{
	return call->api->key == KAFKA_KEY_Produce && ((ProduceRequest *) call->request)->acks == 0;
}

static KafkaOutcome
run(Step *step)
{
	KafkaCall  *call = step->call;
	KafkaError	error = {0};

	Assert(step->what != STEP_FAIL || step->code != KERR_NONE);
	if (guard(call->mcxt, run_step, step, &error))
		return step->outcome;

	Assert(error.code != KERR_NONE);
	kafka_log_error(call, &error);
	call->npieces = 0;
	if (step->what == STEP_FAIL || wants_no_answer(call))
		return close_connection(call, error.message);
	return run(&(Step) {.call = call, .what = STEP_FAIL, .code = error.code, .message = error.message});
}

/*
 * Requests
 */

static KafkaCall *
new_call(KafkaSession *session, const char *frame, uint32 len)
{
	MemoryContext mcxt = AllocSetContextCreate(session->mcxt, "Kafka call", ALLOCSET_DEFAULT_SIZES);
	KafkaCall  *call = MemoryContextAllocZero(mcxt, sizeof(KafkaCall));

	call->mcxt = mcxt;
	call->session = session;
	call->frame = frame;
	call->frame_len = len;
	INSTR_TIME_SET_CURRENT(call->started);
	return call;
}

/* For log lines: what is not printable is replaced. */
static void
copy_client_id(KafkaSession *session, KafkaString id)
{
	size_t		len = Min(Max(id.len, 0), (int32) sizeof(session->client_id) - 1);

	for (size_t i = 0; i < len; i++)
	{
		char		c = id.data[i];

		session->client_id[i] = c >= 0x20 && c < 0x7f ? c : '?';
	}
	session->client_id[len] = '\0';
}

/*
 * A client that is newer than we are asks which versions there are: it gets
 * the list all the same.
 */
static KafkaOutcome
reject_version(KafkaCall *call)
{
	if (call->api->key != KAFKA_KEY_ApiVersions)
		return close_connection(call, psprintf("version %d of %s is not supported",
											   call->api_version, call->api->name));
	call->api_version = 0;
	return run(&(Step) {.call = call, .what = STEP_FAIL, .code = KERR_UNSUPPORTED_VERSION});
}

/*
 * Shows the request in pg_stat_activity.  A listener's requests are over too
 * soon for that, so this is for the control worker only.  What a client wrote
 * is shown as ASCII.
 */
static void
report_activity(const KafkaCall *call)
{
	char		text[NAMEDATALEN * 3];
	int			n;

	if (call->session->plane == KAFKA_PLANE_DATA)
		return;
	n = snprintf(text, sizeof(text), "%s of %s", call->api->name, call->session->client_id);
	if (call->api->group_id_at != 0 && n < sizeof(text))
	{
		const KafkaString *group = (const KafkaString *) ((char *) call->request + call->api->group_id_at - 1);

		n += snprintf(text + n, sizeof(text) - n, " for group %.*s", Min(Max(group->len, 0), 128), group->data);
	}
	for (int i = 0; i < n && i < sizeof(text) && text[i] != '\0'; i++)
	{
		if (text[i] < 0x20 || text[i] >= 0x7f)
			text[i] = '?';
	}
	pgstat_report_activity(STATE_RUNNING, text);
}

/* refuse: the answer is an error, whatever is asked. */
static KafkaOutcome
begin(KafkaCall *call, bool refuse)
{
	KafkaRequestHeader header;
	KafkaArena	arena = kafka_arena_in(call->mcxt, KAFKA_DECODE_BUDGET);
	const char *problem = kafka_request_header_read(call->frame, call->frame_len, &header);

	if (problem != NULL)
		return close_connection(call, problem);
	call->api_key = header.api_key;
	call->api_version = header.api_version;
	call->correlation_id = header.correlation_id;
	call->api = header.api;
	if (call->api == NULL)
		return close_connection(call, psprintf("API key %d is not supported", header.api_key));

	call->request = palloc(call->api->request()->size);
	kafka_defaults(call->api->request(), call->request, 1);
	call->response = palloc(call->api->response()->size);
	kafka_defaults(call->api->response(), call->response, 1);
	if (!header.known_version)
		return reject_version(call);

	copy_client_id(call->session, header.client_id);
	problem = kafka_request_body_read(&header, &arena, call->request);
	if (problem != NULL)
		return close_connection(call, psprintf("%s request, version %d: %s",
											   call->api->name, call->api_version, problem));
	if (call->api_version < call->api->min_served && wants_no_answer(call))
		return close_connection(call, psprintf("version %d of %s is not supported",
											   call->api_version, call->api->name));
	if (call->api_version < call->api->min_served)
		return run(&(Step) {.call = call, .what = STEP_FAIL, .code = KERR_UNSUPPORTED_VERSION});
	report_activity(call);
	if (!refuse)
		return run(&(Step) {.call = call, .what = STEP_BEGIN});
	if (wants_no_answer(call))
		return close_connection(call, "there is no worker to serve it");
	return run(&(Step) {.call = call, .what = STEP_FAIL, .code = call->api->unavailable,
					   .message = "the worker that serves this is not up"});
}

static KafkaOutcome
call_begin(KafkaSession *session, const char *frame, uint32 len, bool refuse, KafkaCall **call)
{
	KafkaOutcome outcome;
	MemoryContext old;
	bool		transactional;

	Assert(IsTransactionState());
	*call = new_call(session, frame, len);
	old = enter_context((*call)->mcxt, &transactional);
	outcome = begin(*call, refuse);
	leave_context(old, transactional);
	return outcome;
}

KafkaOutcome
kafka_call_begin(KafkaSession *session, const char *frame, uint32 len, KafkaCall **call)
{
	return call_begin(session, frame, len, false, call);
}

KafkaOutcome
kafka_call_refuse(KafkaSession *session, const char *frame, uint32 len, KafkaCall **call)
{
	return call_begin(session, frame, len, true, call);
}

KafkaOutcome
kafka_call_resume(KafkaCall *call, bool timed_out)
{
	KafkaOutcome outcome;
	MemoryContext old;
	bool		transactional;

	Assert(kafka_handler_of(call->api)->resume != NULL);
	old = enter_context(call->mcxt, &transactional);
	outcome = run(&(Step) {.call = call, .what = STEP_RESUME, .timed_out = timed_out});
	leave_context(old, transactional);
	return outcome;
}

void
kafka_call_ready(KafkaCall *call)
{
	if (call->ready)
		return;
	call->ready = true;
	if (kafka_ready_hook != NULL)
		kafka_ready_hook(call);
}

const KafkaApi *
kafka_frame_api(const char *frame, uint32 len)
{
	uint16		key;

	if (len < sizeof(key))
		return NULL;
	memcpy(&key, frame, sizeof(key));
	return kafka_api_by_key((int16) pg_ntoh16(key));
}

void
kafka_call_end(KafkaCall *call)
{
	kafka_group_forget(call);
	MemoryContextDelete(call->mcxt);
}

/* All that a session has is in its memory context, which its owner deletes. */
void
kafka_session_end(KafkaSession *session)
{
	session->fetch = NULL;
}

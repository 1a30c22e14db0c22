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
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "safe_path.h"
#include "tell.h"
#include "rights/rights.h"
#include "kafka/api.h"
#include "kafka/frame.h"
#include "kafka/groups.h"
#include "kafka/txns.h"
#include "kafka/memory.h"
#include "kafka/quota.h"
#include "kafka/session.h"

/*
 * The longest time that a handler's transaction waits for one lock, and that
 * it takes in all.  Other requests to the administration worker wait for it.
 * The transaction may run code of users (event triggers), which must not hold
 * up that worker forever.
 */
#define LOCK_PATIENCE "500ms"
#define TRANSACTION_PATIENCE_MS 30000

/* Between two attempts to read what is not at hand. */
#define RETRY_MIN_US	1000
#define RETRY_MAX_US	50000

void		(*kafka_ready_hook) (KafkaCall *call);

/* What guard() runs: one call of a function of the handler. */
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

/*
 * Sets the reason, which must live as long as the call.
 */
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
 * Switches to mcxt and returns the caller's context, for leave_context().
 * The handler may end the transaction; then the caller's context is gone if
 * it belonged to the transaction, and leave_context() takes the new one.
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
 * Moves the error that was thrown into *error, with its text in the current
 * memory context.  The message alone may be the same for all topics, so the
 * detail goes with it.
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
 * Runs fn.  If it throws, returns false with the error copied to mcxt.  Then
 * all locks and pins are released, and a new transaction is open if one was
 * open before.  In both cases the current memory context is mcxt.
 */
static bool
guard(MemoryContext mcxt, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	bool		in_transaction = IsTransactionState();
	ResourceOwner owner = CurrentResourceOwner;
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
		{
			LWLockReleaseAll();
			CurrentResourceOwner = owner;
		}
	}
	MemoryContextSwitchTo(mcxt);
	return ok;
}

typedef struct OwnTransaction
{
	Oid			user;			/* InvalidOid: this process' own */
	void		(*fn) (void *arg);
	void	   *arg;
} OwnTransaction;

/*
 * Sets a setting until the end of the transaction.
 */
static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * Runs the function in a transaction and commits.
 *
 * The commit is asynchronous.  The caller holds the answer back until the WAL
 * up to XactLastCommitEnd is flushed, and replicated if that is demanded.  So
 * a request with many such transactions waits for the disk once. (The server
 * itself flushes a commit that drops files.)
 */
static void
run_and_commit(void *arg)
{
	OwnTransaction *own = arg;
	Oid			save_user;
	int			save_context;
	int			guc_level = 0;

	set_local("synchronous_commit", "off");
	set_local("lock_timeout", LOCK_PATIENCE);
	PushActiveSnapshot(GetTransactionSnapshot());
	GetUserIdAndSecContext(&save_user, &save_context);
	if (OidIsValid(own->user))
	{
		guc_level = pt_safe_path_enter(own->user);
		SetUserIdAndSecContext(own->user, save_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	}
	own->fn(own->arg);
	if (guc_level > 0)
		AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(save_user, save_context);
	PopActiveSnapshot();
	CommitTransactionCommand();
	StartTransactionCommand();
}

/*
 * Runs fn in a transaction of its own.  The current transaction is committed
 * before; a new one is open on return, so the caller must hold nothing of the
 * old one. fn has an active snapshot and returns its results in arg.  If fn
 * throws, its work is undone, and the function returns false with the error
 * in *error.  It is for the caller to log it.  A wait for a lock ends with an
 * error after LOCK_PATIENCE, the whole after TRANSACTION_PATIENCE_MS.
 */
bool
kafka_run_transaction(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	return kafka_run_in(call->mcxt, InvalidOid, fn, arg, error);
}

/*
 * Like kafka_run_transaction(), with the rights of a role: a command that a
 * client asks for, and code of users that it runs, must not have those of this
 * process, a superuser's.  The code cannot change its role
 * (SECURITY_RESTRICTED_OPERATION).
 */
bool
kafka_run_as(KafkaCall *call, Oid user, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	Assert(OidIsValid(user));
	return kafka_run_in(call->mcxt, user, fn, arg, error);
}

/*
 * Like kafka_run_as(), without a call; InvalidOid is this process' own user.
 * The error is copied to mcxt, which is the current memory context on return.
 */
bool
kafka_run_in(MemoryContext mcxt, Oid user, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	OwnTransaction own = {user, fn, arg};
	struct sigaction usual;
	bool		ok;

	Assert(IsTransactionState());
	CommitTransactionCommand();
	StartTransactionCommand();

	/*
	 * STATEMENT_TIMEOUT makes a process send itself a SIGINT. A worker has no
	 * query to cancel and ignores SIGINT, except here.
	 */
	sigaction(SIGINT, NULL, &usual);
	pqsignal(SIGINT, StatementCancelHandler);
	enable_timeout_after(STATEMENT_TIMEOUT, TRANSACTION_PATIENCE_MS);
	ok = guard(mcxt, run_and_commit, &own, error);
	disable_timeout(STATEMENT_TIMEOUT, false);
	sigaction(SIGINT, &usual, NULL);

	/* A signal that came too late must not hit what runs next. */
	(void) get_timeout_indicator(LOCK_TIMEOUT, true);
	QueryCancelPending = false;
	return ok;
}

/*
 * Returns true if the handler may run commands here.  Only the administration
 * worker runs them, because there they may wait.  In other workers the
 * handler returns kafka_move().
 */
bool
kafka_administrates(const KafkaCall *call)
{
	return call->session->plane == KAFKA_PLANE_ADMIN || call->session->plane == KAFKA_PLANE_ANY;
}

/*
 * The outcome of a handler whose request belongs to the worker of another
 * plane.
 */
KafkaOutcome
kafka_move(KafkaCall *call, KafkaPlane plane)
{
	Assert(call->session->plane != KAFKA_PLANE_ANY && call->session->plane != plane);
	call->move_to = plane;
	return KAFKA_MOVE;
}

/*
 * Logs an error if it is the server's and not the client's.  At most a few
 * lines per second are logged, then a count.
 */
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
 * Logs the error of something that was read.  Returns false.
 */
static bool
log_failure(KafkaCall *call, KafkaError *error)
{
	Assert(error->code != KERR_NONE);
	kafka_log_error(call, error);
	error->code = kafka_read_error(error->code);
	return false;
}

/*
 * Runs fn, which reads one part of what a request asks for, such as one
 * partition.  If fn throws, returns false with the error.  It has been logged
 * if it is the server's.  The other parts can still be answered.  The
 * caller's transaction has been aborted then and another one started, so the
 * caller must hold nothing that belongs to it.
 */
bool
kafka_try(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	Assert(CurrentMemoryContext == call->mcxt);
	return guard(call->mcxt, fn, arg, error) || log_failure(call, error);
}

/*
 * The same, where a listener must not wait for the disk.  Returns false with
 * KERR_NONE if what fn needs is still to be read; it is being read then, and
 * fn must be called again in a moment.
 */
bool
kafka_try_at_hand(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	bool		ok;

	Assert(CurrentMemoryContext == call->mcxt);
	if (call->session->plane == KAFKA_PLANE_ANY)
		return kafka_try(call, fn, arg, error);
	pt_at_hand_begin();
	ok = guard(call->mcxt, fn, arg, error);
	pt_at_hand_end();
	if (ok)
		return true;
	if (!pt_at_hand_failed(error->sqlstate))
		return log_failure(call, error);
	error->code = KERR_NONE;
	return false;
}

/*
 * Returns when to try again what was not to be had: soon at first, and the
 * longer it takes, the less often.  *since is when it was tried first; 0: now.
 */
TimestampTz
kafka_retry_at(TimestampTz *since)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		pause_us;

	if (*since == 0)
		*since = now;
	pause_us = (now - *since) / 2;
	return now + Min(Max(pause_us, RETRY_MIN_US), RETRY_MAX_US);
}

/*
 * Answers
 */

/*
 * Cuts the bytes of the writer at its splices into the pieces of the
 * response.
 */
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

/*
 * Encodes call->response.
 */
static KafkaOutcome
encode_reply(KafkaCall *call)
{
	KafkaWriter w = kafka_writer_in(call->mcxt);

	kafka_quota_charge(call);
	if (!kafka_response_write(&w, call->api, call->api_version, call->correlation_id, call->response))
		return close_connection(call, "response is too large");
	make_pieces(call, &w);
	kafka_quota_answered(call);
	return KAFKA_REPLY;
}

/*
 * Runs one function of the handler, and encodes the response if there is one.
 * Runs under guard().
 */
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
	else if (step->outcome == KAFKA_NO_REPLY)
		kafka_quota_charge(call);
}

/*
 * Returns true for a producer with acks=0.  It learns of an error only when
 * its connection is closed.
 */
static bool
wants_no_answer(const KafkaCall *call)
{
	return call->api->key == KAFKA_KEY_Produce && ((ProduceRequest *) call->request)->acks == 0;
}

/*
 * Runs a step.  If it throws, runs the handler's "fail" instead.  If that
 * throws too, the connection is closed.
 */
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

/*
 * Makes a call in a memory context of its own, below the session's.  The
 * frame is not copied.
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

/*
 * Copies the client id for log lines.  Bytes that are not printable ASCII
 * become "?".
 */
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
 * Answers a request in a version that cannot be decoded.  Only ApiVersions
 * gets a response, in version 0 with the list of versions, so that a newer
 * client can choose one (KIP-35).  Other connections are closed.
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
 * Shows the request in pg_stat_activity.  A listener's requests are too short
 * for that, so only the other workers do it.  Bytes of the client that are
 * not ASCII become "?".
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

/* What guard() runs to find out who asks. */
typedef struct Resolve
{
	KafkaSession *session;
	const char *problem;
} Resolve;

static void
resolve_role(void *arg)
{
	Resolve    *resolve = arg;

	resolve->problem = kafka_session_resolve(resolve->session);
}

/*
 * Sees to it that the session's role is known and has not changed.  Returns
 * NULL, or why the connection must be closed, in mcxt, which is the current
 * memory context.
 */
static const char *
check_role(KafkaSession *session, MemoryContext mcxt, const KafkaApi *api)
{
	Resolve		resolve = {session, NULL};
	KafkaError	error = {0};

	Assert(CurrentMemoryContext == mcxt);
	if (!kafka_session_settled(session))
	{
		if (!guard(mcxt, resolve_role, &resolve, &error))
			return error.message;
		if (resolve.problem != NULL)
			return resolve.problem;
	}
	return kafka_session_problem(session, api);
}

/*
 * Decodes a request and starts its handler.  With "refuse", the answer is an
 * error, whatever is asked.
 */
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

	problem = check_role(call->session, call->mcxt, call->api);
	if (problem != NULL)
		return close_connection(call, problem);

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

/*
 * What kafka_call_begin() and kafka_call_refuse() share.  On return the
 * caller's memory context is current again, or the new transaction's if it
 * was the old transaction's.
 */
static KafkaOutcome
call_begin(KafkaSession *session, const char *frame, uint32 len, bool refuse, KafkaCall **call)
{
	KafkaOutcome outcome;
	MemoryContext old;
	bool		transactional;
	int64		since_ns;

	Assert(IsTransactionState());
	*call = new_call(session, frame, len);
	since_ns = kafka_quota_step_begin(*call);
	old = enter_context((*call)->mcxt, &transactional);
	outcome = begin(*call, refuse);
	leave_context(old, transactional);
	kafka_quota_step_end(*call, since_ns);
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
	int64		since_ns;

	Assert(kafka_handler_of(call->api)->resume != NULL);
	since_ns = kafka_quota_step_begin(call);
	old = enter_context(call->mcxt, &transactional);
	outcome = run(&(Step) {.call = call, .what = STEP_RESUME, .timed_out = timed_out});
	leave_context(old, transactional);
	kafka_quota_step_end(call, since_ns);
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

/*
 * See kafka.h.  The frame may have any bytes.
 */
const KafkaApi *
kafka_frame_api(const char *frame, uint32 len)
{
	uint16		key;

	if (len < sizeof(key))
		return NULL;
	memcpy(&key, frame, sizeof(key));
	return kafka_api_by_key((int16) pg_ntoh16(key));
}

/*
 * See kafka.h.  What is wrong with a version is for that process to say.
 */
const char *
kafka_session_heard(KafkaSession *session, const char *frame, uint32 len)
{
	KafkaRequestHeader header;
	const char *problem = kafka_request_header_read(frame, len, &header);

	Assert(kafka_session_settled(session) || IsTransactionState());
	if (problem != NULL)
		return problem;
	Assert(header.api != NULL);
	if (header.known_version)
		copy_client_id(session, header.client_id);
	return check_role(session, CurrentMemoryContext, header.api);
}

void
kafka_call_end(KafkaCall *call)
{
	kafka_group_forget(call);
	kafka_txn_forget(call);
	MemoryContextDelete(call->mcxt);
}

/*
 * Ends a session.  All that it has is in its memory context, which the server
 * deletes.
 */
void
kafka_session_end(KafkaSession *session)
{
	session->fetch = NULL;
	session->sasl = NULL;
}

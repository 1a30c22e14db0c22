/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  One turn of a listener: everything that is ready, a phase at a time.
 *
 *	1 begin		requests that arrived are decoded and handled, in one
 *	transaction
 *	2 append	all Produce requests of all clients, as one group
 *			(in the control worker: records of transactional ids, and groups
 *			and transactions whose time has come)
 *	3 resume	what the append has finished, and waits that are over, in one
 *	transaction
 *	4 answer	what is durable goes to its connection
 *	5 forward	what belongs to another worker goes there
 *	6 flush		connections are written
 *
 * An answer leaves its request's hands only when the transaction in which it
 * was made has committed (until then it is on "uncommitted"), and leaves the
 * worker only when that transaction's WAL, and that of the append, is durable.
 *
 * Errors of handlers end in the kafka room.  What comes through nevertheless
 * is caught in listener.c and cleaned up here (pt_turn_recover); the phases
 * keep the lists so that they can be abandoned anywhere.
 *
 * Siblings: listener.c (the loop), client.c, log_waits.c, forward.c,
 * span_source.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "xact/xact.h"
#include "server/forward.h"

/* How long a batch is tried when its request does not say. */
#define PT_BUSY_PATIENCE_MS	30000

static bool note_commits(PtListener *l);
static void transaction_end(PtListener *l);
static void begin_phase(PtListener *l);
static void begin_client(PtListener *l, PtClient *client);
static void begin_request(PtListener *l, PtRequest *request, KafkaPlane plane);
static void forward_request(PtRequest *request, KafkaPlane plane);
static void control_phase(PtListener *l);
static void admin_phase(PtListener *l);
static void tick_due(NetTimer *timer);
static void resume_phase(PtListener *l);
static void resume_request(PtListener *l, PtRequest *request);
static void apply_outcome(PtListener *l, PtRequest *request, KafkaOutcome outcome);
static void move_request(PtListener *l, PtRequest *request, KafkaPlane plane);
static void close_client(PtRequest *request);
static void start_waiting(PtListener *l, PtRequest *request);
static void call_ready(KafkaCall *call);
static void stop_waiting(PtRequest *request);
static void wait_due(NetTimer *timer);
static void answer_phase(PtListener *l);
static void answer_client(PtListener *l, PtClient *client);

void
pt_turn_init(PtListener *l)
{
	pt_append_init(l);
	pt_client_roles_init(l);
	dlist_init(&l->clients);
	pt_throttle_init(l);
	dlist_init(&l->runnable);
	dlist_init(&l->due);
	dlist_init(&l->uncommitted);
	dlist_init(&l->answerable);
	dlist_init(&l->parked);
	l->tick.due = tick_due;
	l->tick.arg = l;
	kafka_ready_hook = call_ready;
}

void
pt_turn(PtListener *l)
{
	if (pt_plane_of(l) == KAFKA_PLANE_CONTROL)
		kafka_control_heard();
	begin_phase(l);
	pt_append_phase(l);
	if (pt_plane_of(l) == KAFKA_PLANE_CONTROL)
		control_phase(l);
	if (pt_plane_of(l) == KAFKA_PLANE_ADMIN)
		admin_phase(l);
	pt_client_roles_turn(l);
	transaction_end(l);			/* in which it looked */
	pt_log_waits_check();
	resume_phase(l);
	answer_phase(l);
	pt_forward_phase(l);
	net_group_flush(l->group);
	transaction_end(l);			/* spans that were sent have started one */
	Assert(!IsTransactionState() && l->current == NULL);
	Assert(dlist_is_empty(&l->uncommitted) && dlist_is_empty(&l->answerable));
}

/*
 * Is there anything to do in a turn that no descriptor, timer or latch will
 * tell of?
 */
bool
pt_turn_pending(const PtListener *l)
{
	PtListener *m = unconstify(PtListener *, l);

	return !dlist_is_empty(&m->runnable) || l->append == PT_APPEND_NOW || !dlist_is_empty(&m->due) ||
		!dlist_is_empty(&m->answerable) || net_group_busy(l->group) || net_group_busy(l->fars) ||
		pt_log_waits_pending() ||
		(!dlist_is_empty(&m->parked) &&
		 (l->seen_flushed != pt_commit_flushed() || l->seen_replicated != pt_commit_replicated()));
}

/* Of what the worker must be told when it sleeps now. */
uint32
pt_turn_sleeps_for(const PtListener *l)
{
	return (dlist_is_empty(unconstify(dlist_head *, &l->parked)) ? 0 : PT_SLEEPS_FOR_WAL) |
		(pt_log_waits_any() ? PT_SLEEPS_FOR_LOGS : 0);
}

/*
 * Has anything been committed since the last time?  It may not be durable yet.
 */
static bool
note_commits(PtListener *l)
{
	Assert(!IsTransactionState());
	if (XactLastCommitEnd == l->commit_end_before)
		return false;
	Assert(XactLastCommitEnd > l->wrote_until);
	l->commit_end_before = l->wrote_until = XactLastCommitEnd;
	pt_commit_request(l->wrote_until);
	return true;
}

/*
 * Commits what is open.  Answers made in it may leave once its WAL is durable,
 * and that of handlers before it: they may have seen what was written there
 * ("topic exists already").  A transaction that wrote nothing adds nothing.
 */
static void
transaction_end(PtListener *l)
{
	bool		wrote;

	if (!IsTransactionState())
		return;
	CommitTransactionCommand();
	Assert(!IsTransactionState());
	MemoryContextSwitchTo(l->turn_mcxt);
	wrote = note_commits(l);
	while (!dlist_is_empty(&l->uncommitted))
	{
		PtRequest  *request = dlist_head_element(PtRequest, state_node, &l->uncommitted);

		request->lsn = Max(request->lsn, l->wrote_until);
		if (wrote)
			request->durability = PT_DURABLE_ON_STANDBYS;
		pt_request_set_state(request, PT_REQUEST_ANSWERED);
		pt_client_answerable(request->client);
	}
}

/*
 * 1. Begin
 */

static void
begin_phase(PtListener *l)
{
	if (dlist_is_empty(&l->runnable))
		return;
	if (l->activity == PT_ACTIVITY_IDLE && pt_plane_of(l) == KAFKA_PLANE_DATA)
		pgstat_report_activity(STATE_RUNNING, NULL);
	l->activity = PT_ACTIVITY_WORKING;
	Assert(!IsTransactionState() && dlist_is_empty(&l->uncommitted));
	while (!dlist_is_empty(&l->runnable))
	{
		PtClient   *client = dlist_head_element(PtClient, state_node, &l->runnable);

		pt_client_set_state(client, PT_CLIENT_IDLE);
		begin_client(l, client);
	}
	transaction_end(l);
}

/*
 * Begins the requests that arrived, up to one that waits or belongs to another
 * worker.  Who does not take the answers that there are gets no more from
 * other workers: they are in our memory.
 */
static void
begin_client(PtListener *l, PtClient *client)
{
	Assert(l->current == NULL && client->listener == l);
	l->current = client;
	while (client->state == PT_CLIENT_IDLE && !dlist_is_empty(&client->arrived) &&
		   !pt_client_throttled(client) && !net_conn_closing(client->conn))
	{
		PtRequest  *request = dlist_head_element(PtRequest, node, &client->arrived);
		KafkaPlane	plane = pt_forward_plane(l, request);

		if (plane != pt_plane_of(l) && net_conn_output_full(client->conn))
			break;
		begin_request(l, request, plane);
	}
	l->current = NULL;
}

/* Begins the first request that arrived, which belongs to that plane. */
static void
begin_request(PtListener *l, PtRequest *request, KafkaPlane plane)
{
	PtClient   *client = request->client;
	KafkaOutcome outcome;

	Assert(request->call == NULL);
	pt_request_set_state(request, PT_REQUEST_RUNNING);
	dlist_delete(&request->node);
	dlist_push_tail(&client->begun, &request->node);
	if (plane != pt_plane_of(l))
	{
		forward_request(request, plane);
		return;
	}
	pt_turn_transaction();
	pt_quotas_turn(l);
	kafka_quota_spent(&client->session, net_conn_take_spent(client->conn));
	outcome = kafka_call_begin(&client->session, request->frame.data, request->frame.len, &request->call);
	request->api_key = request->call->api_key;
	pt_request_begun(request);
	MemoryContextSwitchTo(l->turn_mcxt);
	apply_outcome(l, request, outcome);
}

/* The same, where the request is begun in another worker. */
static void
forward_request(PtRequest *request, KafkaPlane plane)
{
	PtClient   *client = request->client;
	const char *problem;

	if (!kafka_session_settled(&client->session))
		pt_turn_transaction();
	problem = kafka_session_heard(&client->session, request->frame.data, request->frame.len);
	MemoryContextSwitchTo(client->listener->turn_mcxt);
	if (problem != NULL)
	{
		pt_client_finish(client, problem);
		pt_request_forget(request, true);
		return;
	}
	request->api_key = kafka_frame_api(request->frame.data, request->frame.len)->key;
	pt_request_begun(request);
	pt_forward_start(request, plane);
}

/* What a handler's verdict means for the request. */
static void
apply_outcome(PtListener *l, PtRequest *request, KafkaOutcome outcome)
{
	KafkaCall  *call = request->call;

	Assert(call != NULL && request->state == PT_REQUEST_RUNNING);
	if (call->throttle_ms > 0)
		pt_client_throttle(request->client, call->throttle_ms);
	if (request->client->waiting == request && outcome != KAFKA_WAIT && outcome != KAFKA_PARK)
		stop_waiting(request);
	switch (outcome)
	{
		case KAFKA_REPLY:
			net_frame_release(&request->frame);
			request->lsn = call->lsn;
			request->durability = call->acks < 0 ? PT_DURABLE_ON_STANDBYS : PT_DURABLE_HERE;
			pt_request_set_state(request, PT_REQUEST_UNCOMMITTED);
			if (call->api_key == KAFKA_KEY_SaslAuthenticate && OidIsValid(call->session->role))
				net_conn_limit_frames(request->client->conn, PG_UINT32_MAX);
			if (call->goodbye != NULL)
				pt_client_finish(request->client, call->goodbye);
			break;
		case KAFKA_APPEND:
			for (int i = 0; i < call->nproduce; i++)
				call->produce[i].status = PT_BUSY;	/* yet to be tried */
			request->give_up_at = call->deadline != 0 ? call->deadline :
				TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PT_BUSY_PATIENCE_MS);
			pt_request_set_state(request, PT_REQUEST_APPENDING);
			pt_append_now(l);
			break;
		case KAFKA_WAIT:
		case KAFKA_PARK:
			start_waiting(l, request);
			break;
		case KAFKA_MOVE:
			move_request(l, request, call->move_to);
			break;
		case KAFKA_NO_REPLY:
			pt_request_forget(request, false);
			break;
		case KAFKA_CLOSE:
			close_client(request);
			break;
	}
}

/* The handler has found that the request must run in another worker. */
static void
move_request(PtListener *l, PtRequest *request, KafkaPlane plane)
{
	PtClient   *client = request->client;

	Assert(request->waits == NULL && !request->timer.armed && client->waiting == NULL);
	switch (client->origin)
	{
		case PT_ORIGIN_CLIENT:
			pt_request_call_end(request);
			pt_forward_start(request, plane);
			break;
		case PT_ORIGIN_LISTENER:
			pt_forward_redirect(request, plane);
			break;
		case PT_ORIGIN_SESSION:
			pt_client_finish(client, "its request belongs to another worker");
			pt_request_forget(request, true);
			break;
	}
}

/*
 * What the client sends makes no sense.  Its own connection is the listener's
 * to end.
 */
static void
close_client(PtRequest *request)
{
	PtClient   *client = request->client;

	if (client->origin != PT_ORIGIN_LISTENER)
	{
		pt_client_finish(client, request->call->problem);
		pt_request_forget(request, true);
		return;
	}
	net_conn_finish(client->conn, "%s", request->call->problem);
	pt_forward_redirect(request, KAFKA_PLANE_ANY);
}

/*
 * 2. Append: append.c; and of the control worker
 */

/*
 * The control worker's own: what is to be stored of transactions, and what is
 * due there and in groups.  What that finishes is resumed in this turn.
 */
static void
control_phase(PtListener *l)
{
	XLogRecPtr	lsn = kafka_control_append();
	int64		wait_ms = kafka_control_wait();

	if (!XLogRecPtrIsInvalid(lsn))
	{
		pt_commit_request(lsn);
		l->commit_end_before = XactLastCommitEnd;
	}
	if (wait_ms == 0)			/* most turns are about a heartbeat or two,
								 * and nothing is due */
	{
		pt_turn_transaction();
		kafka_control_turn();
		MemoryContextSwitchTo(l->turn_mcxt);
		transaction_end(l);
		wait_ms = kafka_control_wait();
	}
	if (wait_ms < 0)
		net_timer_stop(l->loop, &l->tick);
	else
		net_timer_start(l->loop, &l->tick, net_now() + wait_ms * 1000);
}

/*
 * The administration worker's own: a piece of what is to be removed of topics,
 * between requests.
 */
static void
admin_phase(PtListener *l)
{
	int64		wait_ms = kafka_admin_wait();

	if (wait_ms == 0)
	{
		pt_turn_transaction();
		kafka_admin_turn(l->turn_mcxt);
		MemoryContextSwitchTo(l->turn_mcxt);
		transaction_end(l);
		wait_ms = kafka_admin_wait();
	}
	net_timer_start(l->loop, &l->tick, net_now() + wait_ms * 1000);
}

/* Only wakes the worker: every turn looks. */
static void
tick_due(NetTimer *timer)
{
}

/*
 * 3. Resume
 */

/* A request that becomes due again in here has its turn in the next one. */
static void
resume_phase(PtListener *l)
{
	dlist_node *last;
	dlist_node *node;

	if (dlist_is_empty(&l->due))
		return;
	pt_turn_transaction();
	last = dlist_tail_node(&l->due);
	do
	{
		node = dlist_head_node(&l->due);
		resume_request(l, dlist_container(PtRequest, state_node, node));
	} while (node != last && !dlist_is_empty(&l->due));
	transaction_end(l);
}

static void
resume_request(PtListener *l, PtRequest *request)
{
	PtRequestState why = request->state;
	PtClient   *client = request->client;
	KafkaOutcome outcome;

	Assert(why == PT_REQUEST_DUE || why == PT_REQUEST_EXPIRED || why == PT_REQUEST_REFUSED);
	pt_request_set_state(request, PT_REQUEST_RUNNING);
	if (net_conn_closing(client->conn))
		return;					/* the end of the turn frees it */
	l->current = client;
	if (why == PT_REQUEST_REFUSED)
		outcome = kafka_call_refuse(&client->session, request->frame.data, request->frame.len, &request->call);
	else
	{
		request->call->ready = false;
		outcome = kafka_call_resume(request->call, why == PT_REQUEST_EXPIRED);
	}
	MemoryContextSwitchTo(l->turn_mcxt);
	apply_outcome(l, request, outcome);
	l->current = NULL;
}

static void
start_waiting(PtListener *l, PtRequest *request)
{
	KafkaCall  *call = request->call;
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz until = call->deadline;
	bool		first = request->client->waiting != request;

	if (call->retry_at != 0 && (until <= now || call->retry_at < until))
		until = call->retry_at;
	Assert(call->deadline != 0);
	pt_log_waits_unregister(request);
	pt_request_set_state(request, PT_REQUEST_WAITING);
	pt_client_wait(request);
	request->timer.due = wait_due;
	request->timer.arg = request;
	net_timer_start(l->loop, &request->timer, net_now() + Max(until - now, 0));
	pt_log_waits_register(request);
	call->owner = request;
	if (call->ready)
		pt_request_make_due(request);
	/* the peer has gone before; one that waits on has been told already */
	if (first && request->client->half_closed)
		pt_request_expire(request);
}

/* The kafka room has what a parked call waits for. */
static void
call_ready(KafkaCall *call)
{
	PtRequest  *request = call->owner;

	if (request != NULL)
		pt_request_make_due(request);
}

static void
stop_waiting(PtRequest *request)
{
	pt_log_waits_unregister(request);
	net_timer_stop(request->client->listener->loop, &request->timer);
	pt_client_go_on(request);
}

static void
wait_due(NetTimer *timer)
{
	PtRequest  *request = timer->arg;

	if (request->state != PT_REQUEST_WAITING && request->state != PT_REQUEST_DUE)
		return;
	if (request->call->retry_at != 0 && GetCurrentTimestamp() < request->call->deadline)
		pt_request_make_due(request);
	else
		pt_request_expire(request);
}

/*
 * 4. Answer
 */

static void
answer_phase(PtListener *l)
{
	XLogRecPtr	flushed = pt_commit_flushed();
	XLogRecPtr	replicated = pt_commit_replicated();

	if (flushed != l->seen_flushed || replicated != l->seen_replicated)
	{
		l->seen_flushed = flushed;
		l->seen_replicated = replicated;
		while (!dlist_is_empty(&l->parked))
			pt_client_set_answers(dlist_head_element(PtClient, answers_node, &l->parked), PT_ANSWERS_READY);
	}
	while (!dlist_is_empty(&l->answerable))
	{
		PtClient   *client = dlist_head_element(PtClient, answers_node, &l->answerable);

		pt_client_set_answers(client, PT_ANSWERS_NONE);
		answer_client(l, client);
	}
}

/* Lets the answers go that are next in order and durable. */
static void
answer_client(PtListener *l, PtClient *client)
{
	Assert(client->answers == PT_ANSWERS_NONE && !IsTransactionState());
	while (!dlist_is_empty(&client->begun) && !net_conn_closing(client->conn))
	{
		PtRequest  *request = dlist_head_element(PtRequest, node, &client->begun);

		Assert(request->client == client);

		if (request->state != PT_REQUEST_ANSWERED)
			return;
		if (request->lsn > (request->durability == PT_DURABLE_ON_STANDBYS ? l->seen_replicated : l->seen_flushed))
		{
			pt_client_set_answers(client, PT_ANSWERS_PARKED);
			return;
		}
		dlist_delete(&request->node);
		pt_request_send(request);
	}
}

/*
 * After an ERROR in pt_turn: cleans up, and closes the connection that it came
 * from.  Answers of the transaction that is lost now must not leave.
 */
void
pt_turn_recover(PtListener *l)
{
	NetConn    *culprit = l->current != NULL ? l->current->conn : net_group_current(l->group);

	AbortCurrentTransaction();
	LWLockReleaseAll();
	UnlockBuffers();
	MemoryContextSwitchTo(l->turn_mcxt);
	pt_span_source_reset();
	(void) note_commits(l);		/* of handlers, before the error */
	if (culprit != NULL)
		net_conn_close(culprit, l->current != NULL ? "an internal error" : "an error while sending");
	l->current = NULL;
	while (!dlist_is_empty(&l->uncommitted))
	{
		PtRequest  *request = dlist_head_element(PtRequest, state_node, &l->uncommitted);

		pt_request_set_state(request, PT_REQUEST_OVER);
		net_conn_close(request->client->conn, "the transaction of its request was lost");
	}
	pt_append_recover(l);
}

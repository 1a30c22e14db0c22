/*-------------------------------------------------------------------------
 *
 * turn.c
 *	  One turn of a listener: everything that is ready, a phase at a time.
 *
 *	1 begin		requests that arrived are decoded and handled, in one
 *	transaction
 *	2 append	all Produce requests of all clients, as one group
 *			(in the control worker: groups whose time has come)
 *	3 resume	what the append has finished, and waits that are over, in one
 *	transaction
 *	4 answer	what is durable goes to its connection
 *	5 flush		connections are written
 *
 * An answer leaves its request's hands only when the transaction in which it
 * was made has committed (until then it is on "uncommitted"), and leaves the
 * worker only when that transaction's WAL, and that of the append, is durable.
 *
 * Errors of handlers end in the kafka room.  What comes through nevertheless
 * is caught in listener.c and cleaned up here (pt_turn_recover); the phases
 * keep the lists so that they can be abandoned anywhere.
 *
 * Siblings: listener.c (the loop), client.c, log_waits.c, span_source.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "pgstat.h"
#include "replication/syncrep.h"
#include "storage/bufmgr.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "groups/groups.h"
#include "produce/produce.h"
#include "xact/claims.h"
#include "xact/xact.h"
#include "server/client_move.h"

/*
 * When to try again to append to partitions that others have locked.  Mostly
 * the one who releases a lock says so, and we need not wait for that long; it
 * does not when its transaction is rolled back, or was prepared, or when all
 * of a table was locked.
 */
#define PT_BUSY_SOON		20
#define PT_BUSY_SOON_US		1000
#define PT_BUSY_LATER_US	5000

/* How long they are waited for when the request does not say. */
#define PT_BUSY_PATIENCE_MS	30000

/*
 * What is flushed at once (append_alone): requests up to this size, on a disk
 * that takes no longer.
 */
#define PT_ALONE_BYTES_MAX		(16 * 1024)
#define PT_ALONE_FLUSH_US_MAX	300

static bool note_commits(PtListener *l);
static void transaction_end(PtListener *l);
static void begin_phase(PtListener *l);
static void begin_client(PtListener *l, PtClient *client, bool refuse);
static void begin_request(PtListener *l, PtRequest *request, bool refuse);
static void append_phase(PtListener *l);
static PtProduce *append_gather(PtListener *l, int *n);
static void append_scatter(PtListener *l, const PtProduce *items, XLogRecPtr lsn);
static bool append_take_back(PtRequest *request, const PtProduce **item, XLogRecPtr lsn);
static bool append_alone(const PtListener *l);
static void append_at_once(PtProduce *items, int n);
static void append_again(PtListener *l);
static void retry_due(NetTimer *timer);
static int64 control_wait(void);
static void control_phase(PtListener *l);
static void tick_due(NetTimer *timer);
static void resume_phase(PtListener *l);
static void resume_request(PtListener *l, PtRequest *request);
static void apply_outcome(PtListener *l, PtRequest *request, KafkaOutcome outcome);
static void take_back(PtRequest *request);
static void forget_request(PtRequest *request, bool error);
static void start_waiting(PtListener *l, PtRequest *request);
static void call_ready(KafkaCall *call);
static void stop_waiting(PtRequest *request);
static void wait_due(NetTimer *timer);
static void answer_phase(PtListener *l);
static void answer_client(PtListener *l, PtClient *client);

void
pt_turn_init(PtListener *l)
{
	dlist_init(&l->runnable);
	dlist_init(&l->moving);
	dlist_init(&l->appending);
	dlist_init(&l->due);
	dlist_init(&l->uncommitted);
	dlist_init(&l->answerable);
	dlist_init(&l->parked);
	l->retry.due = retry_due;
	l->retry.arg = l;
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
	append_phase(l);
	if (pt_plane_of(l) == KAFKA_PLANE_CONTROL)
		control_phase(l);
	pt_log_waits_check(l);
	resume_phase(l);
	answer_phase(l);
	net_group_flush(l->group);
	transaction_end(l);			/* spans that were sent have started one */
}

/*
 * Is there anything to do in a turn that no descriptor, timer or latch will
 * tell of?
 */
bool
pt_turn_pending(const PtListener *l)
{
	PtListener *m = unconstify(PtListener *, l);

	return !dlist_is_empty(&m->runnable) || l->append_now || !dlist_is_empty(&m->due) ||
		!dlist_is_empty(&m->answerable) || net_group_busy(l->group) ||
		l->seen_moves != pt_server_moves() ||
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
	if (XactLastCommitEnd == l->commit_end_before)
		return false;
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
	pt_turn_transaction();
	while (!dlist_is_empty(&l->runnable))
	{
		PtClient   *client = dlist_head_element(PtClient, state_node, &l->runnable);
		bool		refuse = client->state == PT_CLIENT_REFUSED;

		pt_client_set_state(client, PT_CLIENT_IDLE);
		begin_client(l, client, refuse);
	}
	transaction_end(l);
}

/*
 * Begins the requests that arrived, up to one that waits or belongs to another
 * worker.  refuse: the first is turned down instead, wherever it belongs.
 * Nobody stays with the administration worker: what a client asks next shall
 * not wait for what that one does for another.
 */
static void
begin_client(PtListener *l, PtClient *client, bool refuse)
{
	l->current = client;
	while (client->state == PT_CLIENT_IDLE && !dlist_is_empty(&client->arrived) && !net_conn_closing(client->conn))
	{
		PtRequest  *request = dlist_head_element(PtRequest, node, &client->arrived);
		KafkaPlane	to = refuse || client->sent_here ? pt_plane_of(l) : pt_client_move_target(l, request);

		if (to != pt_plane_of(l))
		{
			pt_client_move_start(client, to);
			break;
		}
		client->sent_here = false;
		begin_request(l, request, refuse);
		refuse = false;
	}
	if (pt_plane_of(l) == KAFKA_PLANE_ADMIN && client->state == PT_CLIENT_IDLE && !net_conn_closing(client->conn))
		pt_client_move_start(client, KAFKA_PLANE_DATA);
	l->current = NULL;
}

/* Begins the first request that arrived. */
static void
begin_request(PtListener *l, PtRequest *request, bool refuse)
{
	PtClient   *client = request->client;
	KafkaOutcome outcome;

	Assert(request->call == NULL);
	pt_request_set_state(request, PT_REQUEST_RUNNING);
	dlist_delete(&request->node);
	dlist_push_tail(&client->begun, &request->node);
	if (refuse)
		outcome = kafka_call_refuse(&client->session, request->frame.data, request->frame.len,
									&request->call);
	else
		outcome = kafka_call_begin(&client->session, request->frame.data, request->frame.len,
								   &request->call);
	if (outcome != KAFKA_MOVE)
		pt_request_begun(request);
	MemoryContextSwitchTo(l->turn_mcxt);
	apply_outcome(l, request, outcome);
}

/* What a handler's verdict means for the request. */
static void
apply_outcome(PtListener *l, PtRequest *request, KafkaOutcome outcome)
{
	PtClient   *client = request->client;
	KafkaCall  *call = request->call;
	KafkaPlane	to = call->move_to;

	Assert(call != NULL && request->state == PT_REQUEST_RUNNING);
	if (client->waiting == request && outcome != KAFKA_WAIT && outcome != KAFKA_PARK)
		stop_waiting(request);
	switch (outcome)
	{
		case KAFKA_REPLY:
			net_frame_release(&request->frame);
			request->lsn = call->lsn;
			request->durability = call->acks < 0 ? PT_DURABLE_ON_STANDBYS : PT_DURABLE_HERE;
			pt_request_set_state(request, PT_REQUEST_UNCOMMITTED);
			break;
		case KAFKA_APPEND:
			request->tried = false;
			request->give_up_at = call->deadline != 0 ? call->deadline :
				TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PT_BUSY_PATIENCE_MS);
			l->append_now = true;
			pt_request_set_state(request, PT_REQUEST_APPENDING);
			break;
		case KAFKA_WAIT:
		case KAFKA_PARK:
			start_waiting(l, request);
			break;
		case KAFKA_MOVE:
			take_back(request);
			pt_client_move_start(client, to);
			break;
		case KAFKA_NO_REPLY:
			forget_request(request, false);
			break;
		case KAFKA_CLOSE:
			/* what came before it still gets its answers */
			net_conn_finish(client->conn, "%s", call->problem);
			forget_request(request, true);
			while (!dlist_is_empty(&client->arrived))
				forget_request(dlist_head_element(PtRequest, node, &client->arrived), false);
			break;
	}
}

/* As if it had not been begun. */
static void
take_back(PtRequest *request)
{
	PtClient   *client = request->client;

	kafka_call_end(request->call);
	request->call = NULL;
	pt_request_set_state(request, PT_REQUEST_ARRIVED);
	dlist_delete(&request->node);
	dlist_push_head(&client->arrived, &request->node);
}

/* The request gets no answer. */
static void
forget_request(PtRequest *request, bool error)
{
	PtClient   *client = request->client;

	dlist_delete(&request->node);
	pt_request_forget(request, error);
	net_conn_answered(client->conn);
	/* it may have stood before one that is answered */
	pt_client_answerable(client);
}

/*
 * 2. Append
 */

static void
append_phase(PtListener *l)
{
	PtProduce  *items;
	XLogRecPtr	lsn = InvalidXLogRecPtr;
	int			n;

	if (pt_claims_offered())
		l->append_now = true;
	if (!l->append_now)
		return;
	l->append_now = false;
	items = append_gather(l, &n);
	if (n > 0)
	{
		Assert(!IsTransactionState());
		if (append_alone(l))
			append_at_once(items, n);
		else
		{
			pt_produce_batches(items, n, &lsn);
			if (lsn != InvalidXLogRecPtr)
				pt_commit_request(lsn);
		}
		MemoryContextSwitchTo(l->turn_mcxt);
		l->commit_end_before = XactLastCommitEnd;
	}
	append_scatter(l, items, lsn);
	append_again(l);
}

/*
 * Is there one small request to append whose answer waits for the flush,
 * nothing else in work here, and the disk quick?  Then waiting for it here
 * costs nobody anything, and saves the way to the committer and back.
 * Requests that come meanwhile are appended together, and go that way.
 */
static bool
append_alone(const PtListener *l)
{
	PtListener *m = unconstify(PtListener *, l);
	PtRequest  *request = dlist_head_element(PtRequest, state_node, &m->appending);

	return !dlist_has_next(&m->appending, &request->state_node) && !request->tried &&
		request->call->acks != 0 && request->frame.len <= PT_ALONE_BYTES_MAX &&
		dlist_is_empty(&m->due) && dlist_is_empty(&m->uncommitted) &&
		dlist_is_empty(&m->answerable) && dlist_is_empty(&m->parked) &&
		pt_server_flush_us() > 0 && pt_server_flush_us() <= PT_ALONE_FLUSH_US_MAX &&
		(SyncRepStandbyNames == NULL || SyncRepStandbyNames[0] == '\0');
}

/*
 * Durable when it returns: the answer need not wait for anything, and those
 * who wait for the log are told.  The LSN is not published: the committer does
 * that, when it has moved the ends of all logs.
 */
static void
append_at_once(PtProduce *items, int n)
{
	int64		started = net_now();
	XLogRecPtr	lsn;

	pt_produce_batches_at_once(items, n, &lsn);
	if (lsn == InvalidXLogRecPtr)
		return;
	pt_server_flush_took(net_now() - started);
	pt_server_moved();
	pt_server_wake(PT_SLEEPS_FOR_LOGS);
}

/* When those that are left are tried again. */
static void
append_again(PtListener *l)
{
	if (dlist_is_empty(&l->appending))
	{
		l->busy_rounds = 0;
		pt_claims_give_up();
		return;
	}
	net_timer_start(l->loop, &l->retry, net_now() +
					(++l->busy_rounds <= PT_BUSY_SOON ? PT_BUSY_SOON_US : PT_BUSY_LATER_US));
}

/* Is the item still to be appended? */
static inline bool
item_pending(const PtRequest *request, const PtProduce *item)
{
	return !request->tried || item->status == PT_BUSY;
}

/* The items of all requests, side by side and in their order. */
static PtProduce *
append_gather(PtListener *l, int *n)
{
	PtProduce  *items;
	dlist_iter	iter;
	int			total = 0;

	dlist_foreach(iter, &l->appending)
		total += dlist_container(PtRequest, state_node, iter.cur)->call->nproduce;
	items = MemoryContextAllocHuge(l->turn_mcxt, Max(total, 1) * sizeof(PtProduce));
	*n = 0;
	dlist_foreach(iter, &l->appending)
	{
		PtRequest  *request = dlist_container(PtRequest, state_node, iter.cur);

		for (int i = 0; i < request->call->nproduce; i++)
		{
			if (item_pending(request, &request->call->produce[i]))
				items[(*n)++] = request->call->produce[i];
		}
	}
	return items;
}

/*
 * Gives the results to the requests; those that are complete are due to be
 * resumed.
 */
static void
append_scatter(PtListener *l, const PtProduce *items, XLogRecPtr lsn)
{
	TimestampTz now = GetCurrentTimestamp();
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &l->appending)
	{
		PtRequest  *request = dlist_container(PtRequest, state_node, iter.cur);
		bool		busy = append_take_back(request, &items, lsn);

		Assert(request->state == PT_REQUEST_APPENDING);
		if (!busy)
			pt_request_set_state(request, PT_REQUEST_DUE);
		else if (now >= request->give_up_at)
			pt_request_expire(request);
	}
}

/*
 * Takes the request's items off *item; true when some are still busy.  A
 * duplicate was appended by somebody, at an LSN that we do not know: all WAL
 * that there is now will do.
 */
static bool
append_take_back(PtRequest *request, const PtProduce **item, XLogRecPtr lsn)
{
	KafkaCall  *call = request->call;
	bool		busy = false;

	for (int i = 0; i < call->nproduce; i++)
	{
		if (!item_pending(request, &call->produce[i]))
			continue;
		call->produce[i] = *(*item)++;
		if (call->produce[i].status == PT_BUSY)
			busy = true;
		else if (call->produce[i].status == PT_OK)
			call->lsn = Max(call->lsn, lsn);
		else if (call->produce[i].status == PT_DUPLICATE_SEQUENCE)
		{
			call->lsn = Max(call->lsn, pt_wal_insert_end());
			pt_commit_request(call->lsn);
		}
	}
	request->tried = true;
	return busy;
}

static void
retry_due(NetTimer *timer)
{
	((PtListener *) timer->arg)->append_now = true;
}

/* ms until groups or expiry want their turn. */
static int64
control_wait(void)
{
	int64		offsets_ms = pt_offsets_wait();
	int64		groups_ms = kafka_control_wait();

	return groups_ms < 0 ? offsets_ms : Min(groups_ms, offsets_ms);
}

/*
 * The control worker's own: what is due in groups, and offsets that have
 * expired.  What that finishes is resumed in this turn.
 */
static void
control_phase(PtListener *l)
{
	int64		wait_ms = control_wait();

	if (wait_ms == 0)			/* most turns are about a heartbeat or two,
								 * and nothing is due */
	{
		pt_turn_transaction();
		if (kafka_control_wait() == 0)
			kafka_control_turn();
		pt_offsets_tick();
		MemoryContextSwitchTo(l->turn_mcxt);
		transaction_end(l);
		wait_ms = control_wait();
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
	bool		expired = request->state == PT_REQUEST_EXPIRED;
	KafkaOutcome outcome;

	Assert(request->state == PT_REQUEST_DUE || expired);
	pt_request_set_state(request, PT_REQUEST_RUNNING);
	if (net_conn_closing(request->client->conn))
		return;					/* the end of the turn frees it */
	l->current = request->client;
	request->call->ready = false;
	outcome = kafka_call_resume(request->call, expired);
	MemoryContextSwitchTo(l->turn_mcxt);
	apply_outcome(l, request, outcome);
	l->current = NULL;
}

/* The connection is held: what is behind a long poll waits, as in Kafka. */
static void
start_waiting(PtListener *l, PtRequest *request)
{
	KafkaCall  *call = request->call;
	PtClient   *client = request->client;
	int64		delay = Max(call->deadline - GetCurrentTimestamp(), 0);

	Assert(client->waiting == NULL || client->waiting == request);
	pt_log_waits_unregister(request);
	pt_request_set_state(request, PT_REQUEST_WAITING);
	client->waiting = request;
	pt_client_set_state(client, PT_CLIENT_WAITING);
	net_conn_hold(client->conn);
	request->timer.due = wait_due;
	request->timer.arg = request;
	net_timer_start(l->loop, &request->timer, net_now() + delay);
	pt_log_waits_register(request);
	call->owner = request;
	if (call->ready)
		pt_request_make_due(request);
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
	PtClient   *client = request->client;

	pt_log_waits_unregister(request);
	net_timer_stop(client->listener->loop, &request->timer);
	client->waiting = NULL;
	pt_client_set_state(client, PT_CLIENT_IDLE);
	net_conn_unhold(client->conn);
	pt_client_runnable(client);
}

static void
wait_due(NetTimer *timer)
{
	PtRequest  *request = timer->arg;

	if (request->state == PT_REQUEST_WAITING || request->state == PT_REQUEST_DUE)
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
	while (!dlist_is_empty(&client->begun) && !net_conn_closing(client->conn))
	{
		PtRequest  *request = dlist_head_element(PtRequest, node, &client->begun);

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

	/*
	 * not at once: an error that stays would be met again and again at full
	 * speed
	 */
	pt_claims_give_up();
	if (!dlist_is_empty(&l->appending))
		net_timer_start(l->loop, &l->retry, net_now() + PT_BUSY_LATER_US);
}

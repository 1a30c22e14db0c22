/*-------------------------------------------------------------------------
 *
 * client_move.c
 *	  Clients whose next request belongs to another worker.
 *
 * Produce and Fetch are the listeners', groups the control worker's, and
 * administration the administration worker's (column "plane" of
 * kafka/messages/apis.h).  When the next request of a client is not ours, its
 * connection moves whole: no further request is begun, what was asked before
 * is answered, and when the last byte of the answers has left this process the
 * socket goes to the other one together with the requests that have arrived
 * and the bytes behind them.  So the order of requests and answers holds over
 * any number of moves, and nothing of the client stays behind.
 *
 * The administration worker may be at one request for seconds, so clients do
 * not stay there: each goes back to a listener as soon as it is answered.
 *
 * A worker that cannot take it now (its inbox is full, or it is short of
 * memory) is asked again soon, for as long as it takes.  One that is not up is
 * waited for PT_PATIENCE_US; from then on requests get an error that clients
 * try again after (kafka_call_refuse), until it is back.  Each plane is a
 * route of its own: one that is closed does not close the others.
 *
 * Siblings: turn.c (notices that a request is not ours), inbox.c (the way).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "server/client_move.h"

#define PT_RETRY_MIN_US		500
#define PT_RETRY_MAX_US		50000
#define PT_PATIENCE_US		((int64) 5 * 1000000)

/* The way to the workers of a plane. */
typedef struct Route
{
	int64		again_at;		/* net_now(): no attempt before */
	int64		delay_us;
	int64		down_since;		/* 0: a worker is up, as far as we know */
} Route;

static Route routes[KAFKA_PLANE_ADMIN + 1];
static NetTimer retry;

static void retry_due(NetTimer *timer);
static bool ready_to_go(const PtClient *client);
static void try_move(PtListener *l, PtClient *client, int64 now);
static void wake_for_routes(PtListener *l, int64 now);
static PtInboxResult hand_over(PtListener *l, PtClient *client);
static int	worker_of(KafkaPlane plane);
static int	collect_bytes(PtClient *client, struct iovec *iov, uint32 *words);
static void refuse(PtClient *client);

void
pt_client_move_init(PtListener *l)
{
	retry.due = retry_due;
	retry.arg = l;
}

/* The timer is only there to wake the worker; the turn does the rest. */
static void
retry_due(NetTimer *timer)
{
}

/* The plane in whose worker this request must run: ours, when it may. */
KafkaPlane
pt_client_move_target(const PtListener *l, const PtRequest *request)
{
	const KafkaApi *api = kafka_frame_api(request->frame.data, request->frame.len);
	KafkaPlane	ours = pt_plane_of(l);

	if (api == NULL)
		return ours;
	if (api->plane == KAFKA_PLANE_ANY)
		return ours == KAFKA_PLANE_ADMIN ? KAFKA_PLANE_DATA : ours;
	return api->plane;
}

/*
 * No request of the client is begun any more; the first of those that arrived,
 * if there is one, is why it moves.
 */
void
pt_client_move_start(PtClient *client, KafkaPlane to)
{
	Assert(to != KAFKA_PLANE_ANY && to != pt_plane_of(client->listener));
	client->move_to = to;
	pt_client_set_state(client, PT_CLIENT_MOVING);
	net_conn_hold(client->conn);
}

/* Is all that was asked before answered, and the answers out of our hands? */
static bool
ready_to_go(const PtClient *client)
{
	return dlist_is_empty(unconstify(dlist_head *, &client->begun)) &&
		net_conn_output_empty(client->conn);
}

/* At the end of every turn, when the answers have been written. */
void
pt_client_move_turn(PtListener *l)
{
	dlist_mutable_iter iter;
	int64		now;

	if (dlist_is_empty(&l->moving))
		return;
	now = net_now();
	dlist_foreach_modify(iter, &l->moving)
	{
		PtClient   *client = dlist_container(PtClient, state_node, iter.cur);

		if (net_conn_closing(client->conn) || !ready_to_go(client))
			continue;

		/*
		 * the bytes behind its requests are gone: it cannot be itself
		 * elsewhere
		 */
		if (net_conn_finishing(client->conn))
			refuse(client);
		else if (now >= routes[client->move_to].again_at)
			try_move(l, client, now);
	}
	wake_for_routes(l, now);
}

static void
try_move(PtListener *l, PtClient *client, int64 now)
{
	Route	   *route = &routes[client->move_to];
	PtInboxResult result = hand_over(l, client);

	if (result == PT_INBOX_DONE)
	{
		route->down_since = 0;
		route->delay_us = 0;
		/* ours is not the last descriptor: the connection lives on */
		net_conn_close(client->conn, NULL);
		return;
	}
	if (result == PT_INBOX_FULL)
		route->down_since = 0;
	else if (route->down_since == 0)
		route->down_since = now;
	else if (now - route->down_since >= PT_PATIENCE_US)
	{
		refuse(client);
		return;
	}
	route->delay_us = Min(Max(route->delay_us * 2, PT_RETRY_MIN_US), PT_RETRY_MAX_US);
	route->again_at = now + route->delay_us;
}

/* The first route that is to be tried again. */
static void
wake_for_routes(PtListener *l, int64 now)
{
	int64		first = PG_INT64_MAX;

	for (int i = 0; i < lengthof(routes); i++)
	{
		if (routes[i].again_at > now)
			first = Min(first, routes[i].again_at);
	}
	if (first != PG_INT64_MAX)
		net_timer_start(l->loop, &retry, first);
}

/*
 * Its first request is answered with an error here, in the next turn.  Who has
 * none was only on its way back, and stays until it has one.
 */
static void
refuse(PtClient *client)
{
	pt_client_set_state(client, dlist_is_empty(&client->arrived) ? PT_CLIENT_IDLE : PT_CLIENT_REFUSED);
	net_conn_unhold(client->conn);
}

/* -1: none is up. */
static int
worker_of(KafkaPlane plane)
{
	switch (plane)
	{
		case KAFKA_PLANE_CONTROL:
			return pt_server_control();
		case KAFKA_PLANE_ADMIN:
			return pt_server_admin();
		default:
			return pt_server_least_loaded(-1);
	}
}

static PtInboxResult
hand_over(PtListener *l, PtClient *client)
{
	int			worker = worker_of(client->move_to);
	struct iovec iov[PT_INBOX_IOVECS];
	uint32		words[PT_INBOX_IOVECS];
	PtMoved		moved = {0};
	PtInboxResult result;
	int			n;

	if (worker < 0)
		return PT_INBOX_DOWN;
	Assert(worker != l->number);
	strlcpy(moved.session.client_id, client->session.client_id, sizeof(moved.session.client_id));
	strlcpy(moved.session.software_name, client->session.software_name, sizeof(moved.session.software_name));
	strlcpy(moved.session.software_version, client->session.software_version,
			sizeof(moved.session.software_version));
	strlcpy(moved.session.peer, client->session.peer, sizeof(moved.session.peer));
	moved.session.listener = client->session.listener;
	moved.session.security = client->session.security;
	strlcpy(moved.session.mechanism, client->session.mechanism, sizeof(moved.session.mechanism));
	strlcpy(moved.session.role_name, client->session.role_name, sizeof(moved.session.role_name));
	moved.session.role = client->session.role;
	moved.begin = !dlist_is_empty(&client->arrived);
	n = collect_bytes(client, iov, words);
	moved.slot = pt_client_slot_offer(client->slot, worker, &moved.slot_serial);
	result = pt_inbox_send(pt_inbox_socket(), worker, net_conn_fd(client->conn), &moved, iov, n);
	/* what has been given is no longer ours to free */
	client->slot = result == PT_INBOX_DONE ? pt_client_slot_take(PT_SLOT_UNSEEN, 0, l->number) :
		pt_client_slot_take(moved.slot, moved.slot_serial, l->number);
	return result;
}

/*
 * The requests that have arrived, as they came, and what was received behind
 * them.
 */
static int
collect_bytes(PtClient *client, struct iovec *iov, uint32 *words)
{
	dlist_iter	iter;
	const char *unread;
	int			n = 0;

	StaticAssertStmt(2 * PT_INFLIGHT_MAX + 1 <= PT_INBOX_IOVECS, "all requests of a client must fit");
	dlist_foreach(iter, &client->arrived)
	{
		PtRequest  *request = dlist_container(PtRequest, node, iter.cur);

		Assert(request->call == NULL && n + 3 <= PT_INBOX_IOVECS);
		words[n] = pg_hton32(request->frame.len);
		iov[n].iov_base = &words[n];
		iov[n].iov_len = sizeof(words[n]);
		iov[n + 1].iov_base = request->frame.data;
		iov[n + 1].iov_len = request->frame.len;
		n += 2;
	}
	iov[n].iov_len = net_conn_unread(client->conn, &unread);
	iov[n].iov_base = unconstify(char *, unread);
	return iov[n].iov_len > 0 ? n + 1 : n;
}

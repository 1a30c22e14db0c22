/*-------------------------------------------------------------------------
 *
 * forward.c
 *	  Requests that belong to another worker than their client's.
 *
 * Produce and Fetch are the listeners', groups the control worker's, and
 * administration the administration worker's (column "plane" of
 * kafka/messages/apis.h).  A client stays with its listener.  For a request of
 * another plane the listener makes a pair of sockets, once per client and
 * plane, and gives one end to the worker of the plane, with what is known of
 * the client (inbox.c).  From then on such requests are written to the other
 * end as they came, and the answers that are read from it are sent to the
 * client as they are.  For the worker it is a client's connection like any
 * other; here it is called far.
 *
 * One request of a client is away at a time: it leaves when all before it are
 * answered, and what is behind it waits.  So order holds as if there was one
 * process.
 *
 * A worker may find out late that a request is not its own (KAFKA_MOVE), or
 * that its bytes make no sense.  It says so with a frame of one byte, which no
 * answer of Kafka has: the plane to which the request must go, or ANY, when
 * the client's connection must end.  That is why a request is kept until it
 * has its answer; and so that it can be turned down in its own terms
 * (kafka_call_refuse) when the worker ends amid it.
 *
 * A worker that cannot take a connection now, as its inbox is full, is asked
 * again soon, for as long as it takes.  One that is not up is waited for
 * PT_PATIENCE_US; from then on requests are refused until it is back.  Each
 * plane is a route of its own.
 *
 * Siblings: turn.c (notices that a request is not ours), inbox.c (the way),
 * client.h (the states).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>
#include <unistd.h>

#include "tell.h"
#include "server/forward.h"

#define PT_RETRY_MIN_US		500
#define PT_RETRY_MAX_US		50000
#define PT_PATIENCE_US		((int64) 5 * 1000000)

/*
 * Memory for answers of other workers that clients have not taken yet, beside
 * one as large as may be.
 */
#define PT_ANSWER_BYTES		((uint64) 64 * 1024 * 1024)

/* A connection to the worker of a plane, for one client. */
struct PtFar
{
	PtClient   *client;			/* NULL: it needs this no more */
	KafkaPlane	plane;
	NetConn    *conn;
	PtRequest  *asked;			/* whose answer is to come; NULL: none */
	bool		sent;			/* all of "asked" has left this process */
	bool		last;			/* nothing is sent behind "asked" */
	NetMessage	message;
	NetPiece	piece;
	char		told[KAFKA_SESSION_KNOWN];	/* what the worker knows of the
											 * client */
};

/* The way to the worker of a plane. */
typedef struct Route
{
	int64		again_at;		/* net_now(): no attempt before */
	int64		delay_us;
	int64		down_since;		/* 0: the worker is up, as far as we know */
} Route;

/* What came of an attempt to open a far connection. */
typedef enum Attempt
{
	FAR_OPEN,
	FAR_FULL,					/* the worker cannot take it now */
	FAR_DOWN,					/* it is not up */
	FAR_FAILED					/* we have no descriptor or memory for it */
} Attempt;

static Route routes[KAFKA_PLANE_ADMIN + 1];
static NetTimer retry;

static void retry_due(NetTimer *timer);
static bool is_first(const PtRequest *request);
static void try_to_leave(PtListener *l, PtRequest *request, int64 now);
static void wake_for_routes(PtListener *l, int64 now);
static PtFar *usable_far(PtRequest *request);
static Attempt open_far(PtListener *l, PtRequest *request);
static void tell_failed(const PtClient *client);
static void let_go(PtFar *far);
static void ask(PtFar *far, PtRequest *request);
static void on_asked(NetMessage *message, bool ok);
static void on_answer(NetConn *conn, const NetFrame *frame);
static void take_answer(PtRequest *request, NetFrame *answer);
static void take_redirection(PtRequest *request, KafkaPlane plane);
static void on_half_closed(NetConn *conn);
static void on_closed(NetConn *conn, const char *reason);

static const NetHandler far_handler = {
	.frame = on_answer,
	.half_closed = on_half_closed,
	.closed = on_closed
};

/*
 * Far connections are a group of their own.  They end with their client or
 * their worker, never by themselves, however long they are silent.
 */
void
pt_forward_init(PtListener *l)
{
	NetLimits	limits = {
		.frame_bytes_max = PG_INT32_MAX,
		.input_bytes_max = PT_ANSWER_BYTES,
		.output_bytes_max = PG_UINT64_MAX,
		.inflight_max = 1
	};

	l->fars = net_group_create(l->loop, &far_handler, &limits, l);
	if (l->fars == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	dlist_init(&l->leaving);
	retry.due = retry_due;
	retry.arg = l;
}

/* The timer is only there to wake the worker; the turn does the rest. */
static void
retry_due(NetTimer *timer)
{
}

/*
 * The plane in whose worker this request must run: ours, when it may.  Who
 * asks another worker than a listener has asked the right one.
 */
KafkaPlane
pt_forward_plane(const PtListener *l, const PtRequest *request)
{
	const KafkaApi *api = kafka_frame_api(request->frame.data, request->frame.len);
	KafkaPlane	ours = pt_plane_of(l);

	return ours != KAFKA_PLANE_DATA || api == NULL || api->plane == KAFKA_PLANE_ANY ? ours : api->plane;
}

/*
 * The request, which has been begun and has no call any more, is to go to the
 * worker of the plane.  What is behind it waits.
 */
void
pt_forward_start(PtRequest *request, KafkaPlane plane)
{
	Assert(plane == KAFKA_PLANE_CONTROL || plane == KAFKA_PLANE_ADMIN);
	Assert(request->state == PT_REQUEST_RUNNING && request->call == NULL);
	net_frame_compact(&request->frame); /* it may be away for long */
	request->plane = plane;
	pt_request_set_state(request, PT_REQUEST_LEAVING);
	pt_client_wait(request);
}

/* Is all that was asked before answered? */
static bool
is_first(const PtRequest *request)
{
	return dlist_head_node(&request->client->begun) == &request->node;
}

/* In every turn, when answers have gone to their connections. */
void
pt_forward_phase(PtListener *l)
{
	dlist_mutable_iter iter;
	int64		now;

	if (!dlist_is_empty(&l->leaving))
	{
		now = net_now();
		dlist_foreach_modify(iter, &l->leaving)
		{
			PtRequest  *request = dlist_container(PtRequest, state_node, iter.cur);

			if (net_conn_closing(request->client->conn) || !is_first(request))
				continue;
			l->current = request->client;
			try_to_leave(l, request, now);
			l->current = NULL;
		}
		wake_for_routes(l, now);
	}
	net_group_flush(l->fars);
}

static void
try_to_leave(PtListener *l, PtRequest *request, int64 now)
{
	Route	   *route = &routes[request->plane];
	PtFar	   *far = usable_far(request);

	if (far == NULL && now < route->again_at)
		return;
	switch (far != NULL ? FAR_OPEN : open_far(l, request))
	{
		case FAR_OPEN:
			ask(request->client->fars[request->plane], request);
			if (far == NULL)
				memset(route, 0, sizeof(*route));
			return;
		case FAR_FAILED:
			tell_failed(request->client);
			pt_request_set_state(request, PT_REQUEST_REFUSED);
			return;
		case FAR_FULL:
			route->down_since = 0;
			break;
		case FAR_DOWN:
			if (route->down_since == 0)
				route->down_since = now;
			else if (now - route->down_since >= PT_PATIENCE_US)
			{
				pt_request_set_state(request, PT_REQUEST_REFUSED);
				return;
			}
			break;
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
 * The client's connection to the request's worker, if the worker knows by it
 * what we know of the client now; else NULL, and there is none any more.
 */
static PtFar *
usable_far(PtRequest *request)
{
	PtClient   *client = request->client;
	PtFar	   *far = client->fars[request->plane];

	if (far == NULL)
		return NULL;
	Assert(far->client == client && far->asked == NULL);
	if (!net_conn_closing(far->conn) && memcmp(far->told, &client->session, sizeof(far->told)) == 0)
		return far;
	let_go(far);
	return NULL;
}

/* Gives the request's client a connection to the request's worker. */
static Attempt
open_far(PtListener *l, PtRequest *request)
{
	PtClient   *client = request->client;
	PtMoved		moved = {.origin = PT_ORIGIN_LISTENER};
	PtInboxResult result;
	PtFar	   *far;
	int			fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return FAR_FAILED;
	memcpy(&moved.session, &client->session, KAFKA_SESSION_KNOWN);
	result = pt_inbox_send(pt_inbox_socket(),
						   request->plane == KAFKA_PLANE_CONTROL ? pt_server_control() : pt_server_admin(),
						   fds[1], &moved);
	close(fds[1]);
	if (result != PT_INBOX_DONE)
	{
		close(fds[0]);
		return result == PT_INBOX_DOWN ? FAR_DOWN : FAR_FULL;
	}
	far = MemoryContextAllocExtended(l->mcxt, sizeof(PtFar), MCXT_ALLOC_ZERO | MCXT_ALLOC_NO_OOM);
	if (far == NULL)
	{
		close(fds[0]);
		errno = ENOMEM;
		return FAR_FAILED;
	}
	far->conn = net_conn_open(l->fars, fds[0], far);
	if (far->conn == NULL)
	{
		pfree(far);
		return FAR_FAILED;
	}
	far->client = client;
	far->plane = request->plane;
	memcpy(far->told, &client->session, sizeof(far->told));
	client->fars[far->plane] = far;
	return FAR_OPEN;
}

/* With errno. */
static void
tell_failed(const PtClient *client)
{
	static PtTold told;
	int			save_errno = errno;
	int			untold;

	if (!pt_may_tell(&told, &untold))
		return;
	errno = save_errno;
	ereport(LOG,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not forward a request of Kafka client \"%s\" at %s: %m",
					client->session.client_id, client->session.peer),
			 errhint("Raise the limit of open files of the server, or lower \"pgtopic.max_connections\".")));
}

/* The connection ends, and nobody hears of it; net frees it later. */
static void
let_go(PtFar *far)
{
	Assert(far->client->fars[far->plane] == far);
	far->client->fars[far->plane] = NULL;
	far->client = NULL;
	far->asked = NULL;
	net_conn_close(far->conn, NULL);
}

void
pt_forward_client_gone(PtClient *client)
{
	for (int i = 0; i < lengthof(client->fars); i++)
	{
		if (client->fars[i] != NULL)
			let_go(client->fars[i]);
	}
}

/* Writes the request to its worker, as it came. */
static void
ask(PtFar *far, PtRequest *request)
{
	Assert(far->asked == NULL && !net_conn_closing(far->conn));
	far->asked = request;
	far->sent = false;
	far->last = request->client->half_closed;
	far->piece = net_frame_piece(&request->frame);
	far->message.pieces = &far->piece;
	far->message.npieces = 1;
	far->message.sent = on_asked;
	far->message.arg = far;
	pt_request_set_state(request, PT_REQUEST_FORWARDED);
	net_conn_ask(far->conn, &far->message);
}

static void
on_asked(NetMessage *message, bool ok)
{
	PtFar	   *far = message->arg;

	far->sent = ok;
	if (ok && far->last)
		net_conn_shut(far->conn);
}

/*
 * The client sends no more, while its request is away: the worker is told, so
 * that it answers with what there is.
 */
void
pt_forward_half_closed(PtRequest *request)
{
	PtFar	   *far = request->client->fars[request->plane];

	Assert(request->state == PT_REQUEST_FORWARDED && far->asked == request);
	if (far->last)
		return;
	far->last = true;
	if (far->sent)
		net_conn_shut(far->conn);
}

/* The worker's answer, or what it says instead. */
static void
on_answer(NetConn *conn, const NetFrame *frame)
{
	PtFar	   *far = net_conn_data(conn);
	PtRequest  *request = far->asked;
	NetFrame	answer = *frame;
	bool		expected = request != NULL && far->sent && (answer.len == 1 || answer.len >= sizeof(int32));

	net_conn_answered(conn);
	if (!expected)
	{
		net_frame_release(&answer);
		net_conn_close(conn, "an answer that nobody has asked for");
		return;
	}
	far->asked = NULL;
	if (far->last)
		let_go(far);
	if (answer.len > 1)
		take_answer(request, &answer);
	else
	{
		KafkaPlane	plane = (KafkaPlane) (unsigned char) answer.data[0];

		net_frame_release(&answer);
		take_redirection(request, plane);
	}
}

/*
 * The answer goes to the client in its turn.  It is durable, what is behind
 * the request may be begun, and nobody will ask for its bytes again.
 */
static void
take_answer(PtRequest *request, NetFrame *answer)
{
	/* the correlation id */
	Assert(request->frame.len < 8 || memcmp(answer->data, request->frame.data + 4, 4) == 0);
	net_frame_release(&request->frame);
	net_frame_compact(answer);	/* the client may be slow */
	request->answer = *answer;
	request->piece = net_frame_piece(answer);
	pt_request_set_state(request, PT_REQUEST_ANSWERED);
	pt_client_go_on(request);
	pt_client_answerable(request->client);
}

/* It must run elsewhere, or makes no sense; the worker's log says why. */
static void
take_redirection(PtRequest *request, KafkaPlane plane)
{
	if (plane == KAFKA_PLANE_CONTROL || plane == KAFKA_PLANE_ADMIN)
	{
		request->plane = plane;
		pt_request_set_state(request, PT_REQUEST_LEAVING);
		return;
	}
	pt_client_go_on(request);
	pt_client_finish(request->client, NULL);
	pt_request_forget(request, true);
}

/* What it sends is taken at once, so its end is seen where it is read. */
static void
on_half_closed(NetConn *conn)
{
}

/*
 * The worker has ended, or the connection with it.  A request that did not
 * reach it whole goes to the next one.  What became of one that did is not
 * known: the client is told to try again.
 */
static void
on_closed(NetConn *conn, const char *reason)
{
	PtFar	   *far = net_conn_data(conn);
	PtRequest  *request = far->asked;

	if (far->client != NULL)
	{
		if (reason != NULL)
			ereport(LOG,
					(errmsg("lost a connection to another worker for Kafka client \"%s\" at %s: %s",
							far->client->session.client_id, far->client->session.peer, reason)));
		far->client->fars[far->plane] = NULL;
	}
	if (request != NULL)
	{
		PtListener *l = request->client->listener;
		bool		again = !far->sent && !request->tried;

		request->tried = true;
		pt_request_set_state(request, again ? PT_REQUEST_LEAVING : PT_REQUEST_REFUSED);
		net_timer_start(l->loop, &retry, net_now());
	}
	pfree(far);
}

/*
 * In the worker that is asked: an answer that says where the request must go,
 * ANY: nowhere, and the client's connection must end.
 */
void
pt_forward_redirect(PtRequest *request, KafkaPlane plane)
{
	uint32		len = pg_hton32(1);

	Assert(request->client->origin == PT_ORIGIN_LISTENER && request->state == PT_REQUEST_RUNNING);
	memcpy(request->redirection, &len, sizeof(len));
	request->redirection[sizeof(len)] = (char) plane;
	request->piece.data = request->redirection;
	request->piece.len = sizeof(request->redirection);
	net_frame_release(&request->frame);
	pt_request_call_end(request);
	request->lsn = InvalidXLogRecPtr;
	pt_request_set_state(request, PT_REQUEST_ANSWERED);
	pt_client_answerable(request->client);
}

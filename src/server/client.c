/*-------------------------------------------------------------------------
 *
 * client.c
 *	  Clients and their requests: where net's callbacks meet Kafka sessions.
 *
 * The callbacks only put things on lists; the work is done once per turn
 * (turn.c).  A client is freed in the "closed" callback and nowhere else, and
 * net calls that only between turns, so a pointer to a client is good for a
 * turn.
 *
 * Siblings: turn.c (what a turn does with requests), log_waits.c, forward.c,
 * span_source.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "auth/auth.h"
#include "tell.h"
#include "net/listen.h"
#include "server/certificates.h"
#include "server/forward.h"

/*
 * Largest request of a client that has not authenticated itself yet; as in
 * Kafka.
 */
#define PT_STRANGER_BYTES	524288

static void secure(PtClient *client);
static void get_known(PtClient *client);
static void on_frame(NetConn *conn, const NetFrame *frame);
static void on_half_closed(NetConn *conn);
static void on_closed(NetConn *conn, const char *reason);
static void on_sent(NetMessage *message, bool ok);
static void request_done(PtRequest *request, bool error, uint64 bytes_out);
static void call_pieces(PtRequest *request);
static void drop_requests(dlist_head *list);

const NetHandler pt_client_handler = {
	.frame = on_frame,
	.half_closed = on_half_closed,
	.closed = on_closed
};

/*
 * Takes over the socket of a connection: of a client, or of another process
 * that asks for one.  It counts for this worker already.
 */
void
pt_client_open(PtListener *l, int fd, const PtMoved *moved)
{
	MemoryContext mcxt = AllocSetContextCreate(l->mcxt, "Kafka client", ALLOCSET_SMALL_SIZES);
	PtClient   *client = MemoryContextAllocZero(mcxt, sizeof(PtClient));
	bool		too_many;

	client->listener = l;
	memcpy(&client->session, &moved->session, KAFKA_SESSION_KNOWN);
	client->session.mcxt = mcxt;
	client->session.plane = pt_plane_of(l);
	client->origin = moved->origin;
	if (client->origin != PT_ORIGIN_LISTENER)
	{
		client->session.connected_at = GetCurrentTimestamp();
		net_peer_address(fd, &client->session.address);
	}
	if (client->session.peer[0] == '\0')
		net_peer_name(fd, client->session.peer, sizeof(client->session.peer));
	client->slot = pt_client_slot_new(l->number, client->origin == PT_ORIGIN_CLIENT ? client->session.peer : NULL);
	dlist_init(&client->arrived);
	dlist_init(&client->begun);
	too_many = client->origin == PT_ORIGIN_CLIENT && pt_too_many_of_address(client, fd);
	client->conn = net_conn_open(l->group, fd, client);
	if (client->origin == PT_ORIGIN_CLIENT && moved->session.role == InvalidOid)
		pt_auth_tell_received(client->session.peer);
	if (client->conn != NULL)
	{
		if (kafka_session_is_nobody(&client->session))
			net_conn_limit_frames(client->conn, PT_STRANGER_BYTES);
		dlist_push_tail(&l->clients, &client->node);
		if (too_many)
			net_conn_close(client->conn, "there are too many connections from its address");
		else if (client->origin == PT_ORIGIN_CLIENT)
			secure(client);
		return;
	}
	ereport(LOG,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not take a connection from %s: %m", client->session.peer)));
	pt_client_slot_free(client->slot);
	(void) pt_server_connections_add(l->number, l->life, -1);
	MemoryContextDelete(mcxt);
}

/*
 * A connection that has just been accepted: what its listener speaks, is
 * spoken.
 */
static void
secure(PtClient *client)
{
	KafkaSecurity security = client->session.security;
	NetTls	   *context = pt_certificates_context();
	const char *hint;

	pt_client_slot_secure(client->slot, kafka_security_name(security), "", "");
	if (!kafka_security_has_tls(security))
		return;
	if (context == NULL)
		net_conn_close(client->conn, "this worker has no certificate: %s", pt_certificates_problem(&hint));
	else if (!net_conn_start_tls(client->conn, context, pt_certificates_ask(security)))
		net_conn_close(client->conn, "out of memory for TLS");
}

/* With the first frame a handshake is done, if there was one. */
static void
get_known(PtClient *client)
{
	const NetTlsPeer *peer = net_conn_tls(client->conn);

	client->known = true;
	if (peer == NULL)
		return;
	client->session.cert_cn = peer->common_name;
	client->session.cert_dn = peer->subject;
	pt_client_slot_secure(client->slot, kafka_security_name(client->session.security), peer->version, peer->cipher);
}

static void
on_frame(NetConn *conn, const NetFrame *frame)
{
	PtClient   *client = net_conn_data(conn);
	PtRequest  *request = MemoryContextAllocZero(client->listener->mcxt, sizeof(PtRequest));

	request->client = client;
	request->frame = *frame;
	Assert(request->state == PT_REQUEST_ARRIVED);
	Assert(client->conn == conn && client->state != PT_CLIENT_GONE);
	if (!client->known)
		get_known(client);
	dlist_push_tail(&client->arrived, &request->node);
	pt_client_runnable(client);
}

/*
 * Nobody reads what a long poll might still bring: it is answered with what
 * there is.
 */
static void
on_half_closed(NetConn *conn)
{
	PtClient   *client = net_conn_data(conn);

	Assert(client->conn == conn && client->state != PT_CLIENT_GONE);
	client->half_closed = true;
	if (client->state != PT_CLIENT_WAITING)
		return;
	if (client->waiting->state == PT_REQUEST_WAITING)
		pt_request_expire(client->waiting);
	else if (client->waiting->state == PT_REQUEST_FORWARDED)
		pt_forward_half_closed(client->waiting);
}

/*
 * Whoever makes thousands of bad connections shall not fill the disk with the
 * lines about them.
 */
static void
tell_closed(const KafkaSession *session, const char *reason)
{
	static PtTold told;
	int			untold;
	bool		tell = pt_may_tell(&told, &untold);

	if (untold > 0)
		ereport(LOG,
				(errmsg("closed %d more connections of Kafka clients", untold)));
	if (tell)
		ereport(LOG,
				(errmsg("closed the connection of Kafka client \"%s\" at %s: %s",
						session->client_id, session->peer, reason)));
}

static void
on_closed(NetConn *conn, const char *reason)
{
	PtClient   *client = net_conn_data(conn);
	PtListener *l = client->listener;

	if (reason != NULL)
		tell_closed(&client->session, reason);
	Assert(client->conn == conn);
	if (client->origin == PT_ORIGIN_CLIENT && OidIsValid(client->session.role))
		pt_auth_tell_disconnected(client->session.peer, client->session.role_name, client->session.connected_at);
	dlist_delete(&client->node);
	pt_forward_client_gone(client);
	client->waiting = NULL;
	pt_client_throttle_forget(client);
	pt_client_set_state(client, PT_CLIENT_GONE);
	pt_client_set_answers(client, PT_ANSWERS_NONE);
	drop_requests(&client->arrived);
	drop_requests(&client->begun);
	if (l->current == client)
		l->current = NULL;
	kafka_session_end(&client->session);
	pt_client_slot_free(client->slot);
	(void) pt_server_connections_add(l->number, l->life, -1);
	MemoryContextDelete(client->session.mcxt);
}

static void
drop_requests(dlist_head *list)
{
	while (!dlist_is_empty(list))
	{
		PtRequest  *request = dlist_container(PtRequest, node, dlist_pop_head_node(list));

		pt_request_end(request);
	}
}

/*
 * Its requests that have arrived are begun, unless they wait for something or
 * the client is throttled.
 */
void
pt_client_runnable(PtClient *client)
{
	if (client->state == PT_CLIENT_IDLE && !dlist_is_empty(&client->arrived) && !pt_client_throttled(client))
		pt_client_set_state(client, PT_CLIENT_RUNNABLE);
}

/*
 * When the client's oldest answer is there, this turn looks whether it may
 * leave.
 */
void
pt_client_answerable(PtClient *client)
{
	if (client->answers == PT_ANSWERS_NONE && !dlist_is_empty(&client->begun) &&
		dlist_head_element(PtRequest, node, &client->begun)->state == PT_REQUEST_ANSWERED)
		pt_client_set_answers(client, PT_ANSWERS_READY);
}

/*
 * What is behind this request waits until it has its answer, as in Kafka: the
 * connection is held.
 */
void
pt_client_wait(PtRequest *request)
{
	PtClient   *client = request->client;

	Assert(client->waiting == NULL || client->waiting == request);
	client->waiting = request;
	pt_client_set_state(client, PT_CLIENT_WAITING);
	net_conn_hold(client->conn);
}

/* What waits behind this request does so no more. */
void
pt_client_go_on(PtRequest *request)
{
	PtClient   *client = request->client;

	Assert(client->state == PT_CLIENT_WAITING && client->waiting == request);
	client->waiting = NULL;
	pt_client_set_state(client, PT_CLIENT_IDLE);
	net_conn_unhold(client->conn);
	pt_client_runnable(client);
}

/*
 * The connection ends, for that reason (net_conn_finish), when those of its
 * requests that have begun are answered.
 */
void
pt_client_finish(PtClient *client, const char *reason)
{
	if (reason != NULL)
		net_conn_finish(client->conn, "%s", reason);
	else
		net_conn_finish(client->conn, NULL);
	while (!dlist_is_empty(&client->arrived))
		pt_request_forget(dlist_head_element(PtRequest, node, &client->arrived), false);
}

/*
 * For views: a request has been begun, here or elsewhere.  The slot gets the
 * names that the client gives itself with its first request, and anew when
 * ApiVersions tells more or it acts as another role.
 */
void
pt_request_begun(PtRequest *request)
{
	PtClient   *client = request->client;
	PtClientSlot *slot = client->slot;
	bool		first = slot->requests++ == 0;

	Assert(request->state == PT_REQUEST_RUNNING);
	slot->bytes_in += sizeof(uint32) + request->frame.len;
	slot->last_request_at = client->listener->now;
	slot->api = request->api_key;
	if (first || slot->api == KAFKA_KEY_ApiVersions || strcmp(slot->text.role, client->session.role_name) != 0)
		pt_client_slot_name(slot, client->session.client_id, client->session.software_name,
							client->session.software_version, client->session.role_name, client->session.mechanism);
}

/*
 * The same when it has its answer, or gets none; it is off its client's list.
 * Requests are counted by the worker that has run them.
 */
static void
request_done(PtRequest *request, bool error, uint64 bytes_out)
{
	PtClient   *client = request->client;
	KafkaCall  *call = request->call;
	instr_time	took;

	Assert(client->slot != NULL);
	client->slot->bytes_out += bytes_out;
	client->slot->api = dlist_is_empty(&client->begun) ? -1 :
		dlist_head_element(PtRequest, node, &client->begun)->api_key;
	if (call == NULL || call->api == NULL)
		return;
	INSTR_TIME_SET_CURRENT(took);
	INSTR_TIME_SUBTRACT(took, call->started);
	pt_count_request(client->listener->number, call->api, error, sizeof(uint32) + call->frame_len, bytes_out,
					 INSTR_TIME_GET_MICROSEC(took));
}

/* The request gets no answer: it wants none, or its connection ends for it. */
void
pt_request_forget(PtRequest *request, bool error)
{
	PtClient   *client = request->client;
	bool		begun = request->state != PT_REQUEST_ARRIVED;

	dlist_delete(&request->node);
	if (begun)
		request_done(request, error, 0);
	pt_request_end(request);
	net_conn_answered(client->conn);
	/* it may have stood before one that is answered */
	pt_client_answerable(client);
}

/*
 * Hands the answer to the connection; the request is off its client's list.
 * The answer is that of its call, or that of another worker.
 */
void
pt_request_send(PtRequest *request)
{
	Assert(request->frame.data == NULL);
	pt_request_set_state(request, PT_REQUEST_SENT);
	if (request->call != NULL)
		call_pieces(request);
	else
	{
		request->message.pieces = &request->piece;
		request->message.npieces = 1;
	}
	request->message.sent = on_sent;
	request->message.arg = request;
	request_done(request, request->call != NULL && request->call->error,
				 request->call != NULL ? request->call->response_bytes : request->piece.len);
	net_conn_send(request->client->conn, &request->message);
}

/* The pieces of a call's answer for net. */
static void
call_pieces(PtRequest *request)
{
	KafkaCall  *call = request->call;
	MemoryContext old = MemoryContextSwitchTo(call->mcxt);
	NetPiece   *pieces = palloc0(call->npieces * sizeof(NetPiece));

	Assert(call->npieces > 0);
	for (int i = 0; i < call->npieces; i++)
	{
		const KafkaPiece *piece = &call->pieces[i];

		pieces[i].data = piece->data;
		pieces[i].len = piece->len;
		if (piece->data == NULL && piece->len > 0)
			pieces[i].source = pt_span_source(&piece->span);
	}
	MemoryContextSwitchTo(old);
	request->message.pieces = pieces;
	request->message.npieces = call->npieces;
}

static void
on_sent(NetMessage *message, bool ok)
{
	PtRequest  *request = message->arg;
	PtClient   *client = request->client;

	pt_request_end(request);
	pt_client_runnable(client); /* it may have waited for the client to take
								 * answers */
}

/* The request is off its client's list; everything else of it goes here. */
void
pt_request_end(PtRequest *request)
{
	Assert(request->client->waiting != request);
	pt_request_set_state(request, PT_REQUEST_OVER);
	pt_posted_forget(request);
	pt_log_waits_unregister(request);
	net_timer_stop(request->client->listener->loop, &request->timer);
	Assert(request->waits == NULL && !request->timer.armed);
	net_frame_release(&request->frame);
	net_frame_release(&request->answer);
	pt_request_call_end(request);
	pfree(request);
}

/* The request goes on elsewhere, or nowhere. */
void
pt_request_call_end(PtRequest *request)
{
	if (request->call != NULL)
		kafka_call_end(request->call);
	request->call = NULL;
}

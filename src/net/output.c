/*-------------------------------------------------------------------------
 *
 * output.c
 *	  From queued messages to as few system calls as possible.
 *
 * A gather collects the next bytes of a connection's messages into one
 * sendmsg: memory as it is, sources by asking them to map their next bytes,
 * and small pieces of either kind copied side by side, because a piece costs
 * the kernel more than some hundred bytes of copying.
 *
 * A source may have nothing yet.  What comes before it is sent, and then the
 * connection pauses: first for a millisecond, and the longer the source keeps
 * it waiting, the longer, so that many that wait cost little.
 *
 * With TLS the same bytes are sealed first (tls.c), and these copies are what
 * is sent.
 *
 * Siblings: conn.c, input.c, tls.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "net/port.h"

#include <sys/socket.h>

#include "net/conn_internal.h"
#include "net/tls_internal.h"

#define NET_IOVECS			512 /* IOV_MAX is 1024 */
#define NET_MAP_IOVECS		32	/* asked of a source at a time */
#define NET_ENTRIES			256
#define NET_SCRATCH_BYTES	(64 * 1024)
#define NET_COPY_BYTES		512 /* pieces below this are copied */
#define NET_SEND_MIN		((size_t) 64 * 1024)
#define NET_SEND_LIMIT		((size_t) 512 * 1024)	/* what a source reads for
													 * a send is still in the
													 * CPU's cache then */
#define NET_TURN_BYTES		((size_t) 8 * 1024 * 1024)	/* a connection's share
														 * of a turn */
#define NET_PAUSE_MIN_US	1000
#define NET_PAUSE_MAX_US	50000

/* What a gather took from one piece. */
typedef struct NetEntry
{
	NetMessage *message;
	NetSource  *source;			/* NULL: memory */
	size_t		bytes;
} NetEntry;

struct NetGather
{
	int			niov;
	int			nentries;
	size_t		bytes;
	size_t		scratch_used;
	bool		paused;			/* a source had nothing yet: nothing behind it
								 * was taken */
	struct iovec iov[NET_IOVECS];
	NetEntry	entries[NET_ENTRIES];
	char		scratch[NET_SCRATCH_BYTES];
};

/* What one send has done. */
typedef enum NetSent
{
	NET_SENT_ALL,				/* of what was offered */
	NET_SENT_SOME,				/* the socket takes no more, or is closed */
	NET_SENT_NOTHING			/* nor is there anything to wait for here */
} NetSent;

static NetSent check_sent(NetConn *conn, ssize_t n, int error);
static NetSent note_sent(NetConn *conn, size_t n, size_t offered);
static NetSent send_messages(NetConn *conn, size_t *total);
static NetSent seal_messages(NetConn *conn);
static NetSent send_sealed(NetConn *conn, size_t *total);
static void queue_message(NetConn *conn, NetMessage *message);
static void pause_output(NetConn *conn);
static void pause_due(NetTimer *timer);
static bool gather_fill(NetGather *g, NetConn *conn);
static bool gather_message(NetGather *g, NetMessage *message, size_t max);
static bool gather_source(NetGather *g, NetEntry *entry, uint64 left, size_t max);
static bool gather_full(const NetGather *g, size_t max);
static void gather_add(NetGather *g, const char *data, size_t len);
static bool gather_done(NetGather *g, NetConn *conn, size_t sent);
static void message_advance(NetConn *conn, NetMessage *message, size_t n);

NetGather *
net_gather_create(void)
{
	return calloc(1, sizeof(NetGather));
}

void
net_output_init(NetConn *conn)
{
	dlist_init(&conn->out);
	conn->pause.due = pause_due;
	conn->pause.arg = conn;
}

/* The next bytes are a source's that has nothing yet. */
static void
pause_output(NetConn *conn)
{
	int64		now = net_now();
	int64		pause;

	if (conn->paused_since == 0)
		conn->paused_since = now;
	pause = (now - conn->paused_since) / 2;
	pause = Min(Max(pause, NET_PAUSE_MIN_US), NET_PAUSE_MAX_US);
	net_conn_set_output(conn, NET_OUTPUT_PAUSED);
	net_timer_start(conn->group->loop, &conn->pause, now + pause);
}

/*
 * Until now it has waited for us, and so was not idle: both timers may be due
 * at once.
 */
static void
pause_due(NetTimer *timer)
{
	NetConn    *conn = timer->arg;

	Assert(conn->output == NET_OUTPUT_PAUSED);
	conn->active_at = net_now();
	net_conn_set_output(conn, NET_OUTPUT_DIRTY);
}

/*
 * Queues the answer to one frame; nothing is written before net_group_flush.
 * The message and the bytes of its pieces are net's until its "sent" is
 * called, which is at once when the connection is closed already.
 */
void
net_conn_send(NetConn *conn, NetMessage *message)
{
	Assert(conn->inflight > 0);
	message->asks = false;
	queue_message(conn, message);
}

/* The same for what answers no frame. */
void
net_conn_ask(NetConn *conn, NetMessage *message)
{
	message->asks = true;
	queue_message(conn, message);
}

static void
queue_message(NetConn *conn, NetMessage *message)
{
	Assert(message->npieces > 0 && message->sent != NULL);
	message->at = 0;
	message->done = 0;
	message->bytes = 0;
	for (int i = 0; i < message->npieces; i++)
		message->bytes += message->pieces[i].len;
	Assert(message->bytes > 0);
	if (conn->life == NET_CLOSED)
	{
		conn->inflight -= !message->asks;
		message->sent(message, false);
		return;
	}
	/* an answer that found nothing to wait for starts the idle clock anew */
	if (dlist_is_empty(&conn->out))
		conn->active_at = net_now();
	dlist_push_tail(&conn->out, &message->node);
	conn->out_bytes += message->bytes;
	net_conn_mark_dirty(conn);
}

/* Is there something to send? */
bool
net_output_pending(const NetConn *conn)
{
	return !dlist_is_empty(unconstify(dlist_head *, &conn->out)) || net_tls_unsent(conn);
}

/*
 * Sends until the socket takes no more, the next source has nothing yet, or
 * the connection's share of this turn is used up.
 */
void
net_output_flush(NetConn *conn)
{
	size_t		total = 0;

	while (conn->life != NET_CLOSED && net_output_pending(conn))
	{
		NetSent		sent;

		if (total >= NET_TURN_BYTES)
		{
			net_conn_mark_dirty(conn);
			return;
		}
		sent = net_tls_unsent(conn) ? send_sealed(conn, &total) : send_messages(conn, &total);
		if (sent == NET_SENT_NOTHING)
			return;
		if (sent == NET_SENT_SOME)
			break;
	}
	if (conn->life != NET_CLOSED && net_output_pending(conn))
	{
		net_conn_set_output(conn, NET_OUTPUT_BLOCKED);
		net_watch_set(conn->group->loop, &conn->watch, conn->watch.events | NET_WRITABLE);
	}
}

/* What send(2) returned: an error may be the connection's end. */
static NetSent
check_sent(NetConn *conn, ssize_t n, int error)
{
	if (n >= 0)
		return NET_SENT_ALL;
	if (error == EPIPE || error == ECONNRESET)
		net_conn_close(conn, NULL);
	else if (error != EAGAIN && error != EWOULDBLOCK && error != EINTR)
		net_conn_close(conn, "could not send: %s", strerror(error));
	return NET_SENT_SOME;
}

/*
 * Bytes have left, n of those that were offered.  The next offer is as large
 * as what the socket takes.
 */
static NetSent
note_sent(NetConn *conn, size_t n, size_t offered)
{
	if (n > 0)
	{
		conn->active_at = net_now();
		conn->paused_since = 0;
	}
	if (n < offered)
	{
		conn->send_max = Min(Max(NET_SEND_MIN, n * 2), NET_SEND_LIMIT);
		return NET_SENT_SOME;
	}
	conn->send_max = Min(conn->send_max * 2, NET_SEND_LIMIT);
	return NET_SENT_ALL;
}

/* One send of the next bytes of the connection's messages. */
static NetSent
send_messages(NetConn *conn, size_t *total)
{
	NetGather  *g = conn->group->gather;
	struct msghdr msg = {0};
	ssize_t		n;

	if (!gather_fill(g, conn))
	{
		gather_done(g, conn, 0);
		net_conn_close(conn, "what it asked for could not be read");
		return NET_SENT_NOTHING;
	}
	if (g->bytes == 0)
	{
		gather_done(g, conn, 0);
		pause_output(conn);
		return NET_SENT_NOTHING;
	}
	if (conn->tls != NULL)
		return seal_messages(conn);
	msg.msg_iov = g->iov;
	msg.msg_iovlen = g->niov;
	n = sendmsg(conn->watch.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
	{
		int			save_errno = errno;

		gather_done(g, conn, 0);
		(void) check_sent(conn, n, save_errno);
		n = 0;
	}
	else if (!gather_done(g, conn, n))
	{
		net_conn_close(conn, "what it was being sent has been removed meanwhile");
		return NET_SENT_NOTHING;
	}
	*total += n;
	return note_sent(conn, n, g->bytes);
}

/*
 * The same with TLS: they are sealed now and sent by the next call.  To their
 * owners they are sent.
 */
static NetSent
seal_messages(NetConn *conn)
{
	NetGather  *g = conn->group->gather;
	size_t		n = net_tls_seal(conn, g->iov, g->niov);

	if (!gather_done(g, conn, n))
		net_conn_close(conn, "what it was being sent has been removed meanwhile");
	else if (n == 0)
		net_conn_close(conn, "%s", net_tls_problem(conn));
	else
		return NET_SENT_ALL;
	return NET_SENT_NOTHING;
}

/* One send of sealed bytes. */
static NetSent
send_sealed(NetConn *conn, size_t *total)
{
	size_t		offered = net_tls_unsent_bytes(conn);
	ssize_t		n = net_tls_send(conn);

	if (check_sent(conn, n, errno) == NET_SENT_ALL)
		*total += n;
	if (conn->life == NET_CLOSED)
		return NET_SENT_NOTHING;
	return note_sent(conn, Max(n, 0), offered);
}

/*
 * false: a source failed.  Whatever was mapped must go through gather_done.
 * No bytes: the first source has nothing yet.
 */
static bool
gather_fill(NetGather *g, NetConn *conn)
{
	size_t		max = conn->tls != NULL ? Min(conn->send_max, NET_SEAL_BYTES) : conn->send_max;
	dlist_iter	iter;

	g->niov = g->nentries = 0;
	g->bytes = g->scratch_used = 0;
	g->paused = false;
	dlist_foreach(iter, &conn->out)
	{
		if (!gather_message(g, dlist_container(NetMessage, node, iter.cur), max))
			return false;
		if (gather_full(g, max))
			break;
	}
	Assert(g->bytes > 0 || g->paused);
	return true;
}

/*
 * Nothing more is taken?  Room is left for one piece of memory, or one map, at
 * any time that this says no.
 */
static bool
gather_full(const NetGather *g, size_t max)
{
	return g->paused || g->bytes >= max || g->nentries >= NET_ENTRIES ||
		g->niov + NET_MAP_IOVECS > NET_IOVECS;
}

static bool
gather_message(NetGather *g, NetMessage *message, size_t max)
{
	uint64		done = message->done;

	for (int i = message->at; i < message->npieces && !gather_full(g, max); i++, done = 0)
	{
		NetPiece   *piece = &message->pieces[i];
		uint64		left = piece->len - done;
		NetEntry   *entry = &g->entries[g->nentries];

		if (left == 0)
			continue;
		g->nentries++;
		entry->message = message;
		entry->source = piece->source;
		entry->bytes = 0;
		if (piece->source != NULL)
		{
			if (!gather_source(g, entry, left, max))
				return false;
			if (entry->bytes < left)
				break;			/* nothing may overtake its rest */
		}
		else
		{
			gather_add(g, piece->data + done, left);
			entry->bytes = left;
		}
	}
	return true;
}

/*
 * Maps as much of a source as fits; the caller has seen that one map does,
 * though the entry itself may be the last.
 */
static bool
gather_source(NetGather *g, NetEntry *entry, uint64 left, size_t max)
{
	do
	{
		struct iovec iov[NET_MAP_IOVECS];
		size_t		bytes = 0;
		int			n = entry->source->map(entry->source, iov, NET_MAP_IOVECS, &bytes);

		if (n == 0)
		{
			g->paused = true;
			return true;
		}
		if (n < 0 || bytes > left - entry->bytes)
			return false;
		Assert(n <= NET_MAP_IOVECS);
		for (int i = 0; i < n; i++)
			gather_add(g, iov[i].iov_base, iov[i].iov_len);
		entry->bytes += bytes;
	} while (entry->bytes < left && !gather_full(g, max));
	return true;
}

/*
 * A small piece goes to the scratch memory; side by side there, such pieces
 * are one.
 */
static void
gather_add(NetGather *g, const char *data, size_t len)
{
	struct iovec *last = g->niov > 0 ? &g->iov[g->niov - 1] : NULL;

	Assert(g->niov < NET_IOVECS);
	g->bytes += len;
	if (len < NET_COPY_BYTES && len <= NET_SCRATCH_BYTES - g->scratch_used)
	{
		char	   *to = g->scratch + g->scratch_used;

		memcpy(to, data, len);
		g->scratch_used += len;
		if (last != NULL && (char *) last->iov_base + last->iov_len == to)
		{
			last->iov_len += len;
			return;
		}
		data = to;
	}
	g->iov[g->niov].iov_base = unconstify(char *, data);
	g->iov[g->niov].iov_len = len;
	g->niov++;
}

/*
 * "sent" bytes have left.  Tells every source that was mapped, and takes what
 * is complete off the queue.  false: a source says that its bytes were not
 * right.
 */
static bool
gather_done(NetGather *g, NetConn *conn, size_t sent)
{
	bool		right = true;

	for (int i = 0; i < g->nentries; i++)
	{
		NetEntry   *entry = &g->entries[i];
		size_t		n = Min(sent, entry->bytes);

		sent -= n;
		if (entry->source != NULL && !entry->source->used(entry->source, n))
			right = false;

		/*
		 * a message is complete with its last entry, so the others are safe
		 * to look at
		 */
		if (n > 0)
			message_advance(conn, entry->message, n);
	}
	g->nentries = 0;
	return right;
}

/* All n bytes are of the piece that the message is at, behind empty ones. */
static void
message_advance(NetConn *conn, NetMessage *message, size_t n)
{
	bool		asked;

	Assert(n <= message->bytes && n <= conn->out_bytes);
	message->bytes -= n;
	conn->out_bytes -= n;
	while (message->pieces[message->at].len == message->done)
	{
		message->at++;
		message->done = 0;
	}
	message->done += n;
	Assert(message->done <= message->pieces[message->at].len);
	if (message->bytes > 0)
		return;
	asked = message->asks;		/* the message is the owner's now */
	dlist_delete(&message->node);
	message->sent(message, true);
	if (asked)
		net_conn_unblock(conn);
	else
		net_conn_answered(conn);
}

/* The connection has ended: its messages go back. */
void
net_output_drop(NetConn *conn)
{
	while (!dlist_is_empty(&conn->out))
	{
		NetMessage *message = dlist_container(NetMessage, node, dlist_pop_head_node(&conn->out));

		Assert(message->asks || conn->inflight > 0);
		conn->inflight -= !message->asks;
		message->sent(message, false);
	}
	conn->out_bytes = 0;
}

/*-------------------------------------------------------------------------
 *
 * conn.c
 *	  The life of connections and of the group they belong to.
 *
 * epoll is told late.  A socket stays registered as readable when its
 * connection stops being read; only an event that comes meanwhile takes it off
 * (conn_read_event).  Most pauses end before that, so a long poll or a full
 * pipeline costs no system call.
 *
 * Siblings: conn_state.c (the states, drawn in conn_internal.h), input.c
 * (bytes to frames), output.c (messages to bytes), tls.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "net/port.h"

#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn_internal.h"
#include "net/tls_internal.h"

#define NET_SEND_START	(256 * 1024)

/*
 * A request that stands still for this long while input memory is short loses
 * its connection.
 */
#define NET_STALL_US	((int64) 30 * 1000000)
#define NET_TICK_US		((int64) 1000000)

/*
 * Of TLS, in one turn: a signature takes a good part of a millisecond, and so
 * many of them hold up those who are served.
 */
#define NET_HANDSHAKES_PER_TURN	16

static void start_timer(NetConn *conn);
static int	list_length(const dlist_head *list);
static void conn_ready(NetWatch *watch, uint32 events);
static void conn_due(NetTimer *timer);
static void conn_read_event(NetConn *conn);
static inline int64 measure_begin(const NetGroup *group);
static inline void measure_end(NetConn *conn, int64 since);
static void unfavour(NetConn *conn);
static void set_reason(NetConn *conn, const char *reason, va_list args) pg_attribute_printf(2, 0);

NetGroup *
net_group_create(NetLoop *loop, const NetHandler *handler, const NetLimits *limits, void *arg)
{
	NetGroup   *group = calloc(1, sizeof(NetGroup));

	if (group == NULL)
		return NULL;
	group->gather = net_gather_create();
	if (group->gather == NULL)
	{
		free(group);
		return NULL;
	}
	group->loop = loop;
	group->handler = *handler;
	group->arg = arg;
	dlist_init(&group->conns);
	dlist_init(&group->closed);
	dlist_init(&group->ready);
	dlist_init(&group->starved);
	dlist_init(&group->dirty);
	net_group_set_limits(group, limits);
	return group;
}

void
net_group_destroy(NetGroup *group)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &group->conns)
		net_conn_close(dlist_container(NetConn, node, iter.cur), NULL);
	net_group_reap(group);
	Assert(group->count == 0 && group->input_bytes == 0 && group->inuse_bytes == 0);
	Assert(dlist_is_empty(&group->conns) && !net_group_busy(group));
	Assert(dlist_is_empty(&group->starved) && group->favourite == NULL);
	net_input_free_spares(group);
	net_tls_free_spare(group);
	free(group->gather);
	free(group);
}

void
net_group_set_limits(NetGroup *group, const NetLimits *limits)
{
	Assert(limits->inflight_max > 0);
	group->limits = *limits;
}

void *
net_group_arg(const NetGroup *group)
{
	return group->arg;
}

int
net_group_count(const NetGroup *group)
{
	return group->count;
}

uint64
net_group_input_bytes(const NetGroup *group)
{
	return group->input_bytes;
}

NetConn *
net_group_current(const NetGroup *group)
{
	return group->current;
}

bool
net_group_busy(const NetGroup *group)
{
	return !dlist_is_empty(unconstify(dlist_head *, &group->ready)) ||
		!dlist_is_empty(unconstify(dlist_head *, &group->dirty)) ||
		!dlist_is_empty(unconstify(dlist_head *, &group->closed));
}

static int
list_length(const dlist_head *list)
{
	dlist_iter	iter;
	int			n = 0;

	dlist_foreach(iter, unconstify(dlist_head *, list))
		n++;
	return n;
}

/*
 * Delivers frames that were held back in earlier turns.  A connection that
 * becomes ready once more while its frames are handled waits for the next
 * turn: hence the count.
 */
void
net_group_deliver(NetGroup *group)
{
	for (int n = list_length(&group->ready); n > 0 && !dlist_is_empty(&group->ready); n--)
	{
		NetConn    *conn = dlist_head_element(NetConn, input_node, &group->ready);
		int64		since = measure_begin(group);

		Assert(conn->input == NET_INPUT_READY);
		net_input_resume(conn);
		measure_end(conn, since);
		net_conn_settle(conn);
	}
}

/*
 * Writes what can be written, each connection once.  One that has more to
 * write than its share goes to the end of the list.  A source's map may throw
 * an ERROR: the connection is off the list by then, and the list is intact.
 */
void
net_group_flush(NetGroup *group)
{
	for (int n = list_length(&group->dirty); n > 0 && !dlist_is_empty(&group->dirty); n--)
	{
		NetConn    *conn = dlist_head_element(NetConn, output_node, &group->dirty);
		int64		since;

		net_conn_set_output(conn, NET_OUTPUT_IDLE);
		since = measure_begin(group);
		group->current = conn;
		net_output_flush(conn);
		group->current = NULL;
		measure_end(conn, since);
		net_conn_settle(conn);
	}
}

/*
 * Frees what was closed, and lets those read on that waited for memory.  Where
 * the owner has kept frames, the last of them frees the connection.
 */
void
net_group_reap(NetGroup *group)
{
	while (!dlist_is_empty(&group->closed))
	{
		NetConn    *conn = dlist_head_element(NetConn, node, &group->closed);

		dlist_delete(&conn->node);
		net_conn_check(conn);
		net_output_drop(conn);
		group->handler.closed(conn, conn->reason[0] != '\0' ? conn->reason : NULL);
		net_input_drop(conn);
		conn->reaped = true;
		if (conn->input_bytes == 0)
			net_conn_free(conn);
	}
	if (!dlist_is_empty(&group->starved))
		net_input_relieve(group);
	group->handshakes = 0;
}

/*
 * Takes over a connected, non-blocking socket; "data" is what net_conn_data
 * gives back.  Returns NULL, with the socket closed and errno set, when the
 * system refuses.
 */
NetConn *
net_conn_open(NetGroup *group, int fd, void *data)
{
	NetConn    *conn = calloc(1, sizeof(NetConn));

	if (conn != NULL)
	{
		conn->watch.ready = conn_ready;
		conn->watch.arg = conn;
		if (!net_watch_add(group->loop, &conn->watch, fd, NET_READABLE))
		{
			free(conn);
			conn = NULL;
		}
	}
	if (conn == NULL)
	{
		close(fd);
		return NULL;
	}
	net_fd_reserve();
	conn->group = group;
	conn->data = data;
	conn->send_max = NET_SEND_START;
	net_output_init(conn);
	conn->opened_at = conn->active_at = net_now();
	conn->timer.due = conn_due;
	conn->timer.arg = conn;
	dlist_push_tail(&group->conns, &conn->node);
	group->count++;
	conn->frame_bytes_max = PG_UINT32_MAX;
	start_timer(conn);
	return conn;
}

/*
 * Right after net_conn_open: what comes is a handshake, by which the other
 * side sees the certificate of "context".  It has a deadline.  false: no
 * memory.
 */
bool
net_conn_start_tls(NetConn *conn, NetTls *context, NetTlsAsk ask)
{
	if (!net_tls_begin(conn, context, ask))
		return false;
	start_timer(conn);
	return true;
}

void
net_conn_limit_frames(NetConn *conn, uint32 bytes_max)
{
	conn->frame_bytes_max = bytes_max;
}

static void
set_reason(NetConn *conn, const char *reason, va_list args)
{
	vsnprintf(conn->reason, sizeof(conn->reason), reason, args);
	Assert(conn->reason[0] != '\0');
}

/*
 * Reads no more and drops what is not delivered.  The connection ends, for
 * that reason, when the frames that were delivered are answered and the
 * answers are sent.  Whoever finishes it twice changes the reason only.
 */
void
net_conn_finish(NetConn *conn, const char *reason,...)
{
	if (conn->life == NET_CLOSED)
		return;
	if (reason != NULL)
	{
		va_list		args;

		va_start(args, reason);
		set_reason(conn, reason, args);
		va_end(args);
	}
	if (conn->life == NET_FINISHING)
		return;
	net_conn_set_life(conn, NET_FINISHING);
	net_conn_set_input(conn, NET_INPUT_OFF);
	net_input_drop(conn);
	net_watch_set(conn->group->loop, &conn->watch, conn->watch.events & ~NET_READABLE);
	net_conn_mark_dirty(conn);	/* this turn's flush settles it */
}

/*
 * Closes the socket at once; net_group_reap does the rest.  With reason NULL
 * the connection keeps the reason that it was finished for.
 */
void
net_conn_close(NetConn *conn, const char *reason,...)
{
	NetGroup   *group = conn->group;
	int			fd = conn->watch.fd;

	if (conn->life == NET_CLOSED)
		return;
	if (reason != NULL)
	{
		va_list		args;

		va_start(args, reason);
		set_reason(conn, reason, args);
		va_end(args);
	}
	if (conn->tls != NULL)
		net_tls_say_goodbye(conn);
	net_conn_set_life(conn, NET_CLOSED);
	net_conn_set_input(conn, NET_INPUT_OFF);
	net_conn_set_output(conn, NET_OUTPUT_OFF);
	net_watch_remove(group->loop, &conn->watch);
	net_timer_stop(group->loop, &conn->timer);
	net_timer_stop(group->loop, &conn->pause);
	close(fd);
	net_fd_release();
	unfavour(conn);
	if (group->current == conn)
		group->current = NULL;
	net_conn_check(conn);
}

/* Nobody knows it any more, and no frame of it is in use. */
void
net_conn_free(NetConn *conn)
{
	Assert(conn->life == NET_CLOSED && conn->watch.fd < 0 && conn->reaped);
	Assert(conn->chunk == NULL && conn->input_bytes == 0 && dlist_is_empty(&conn->out));
	net_tls_drop(conn);
	free(conn);
}

void *
net_conn_data(const NetConn *conn)
{
	return conn->data;
}

bool
net_conn_closing(const NetConn *conn)
{
	return conn->life == NET_CLOSED;
}

bool
net_conn_output_full(const NetConn *conn)
{
	return conn->out_bytes >= conn->group->limits.output_bytes_max;
}

/*
 * The peer finds the end behind what was sent, and may go on sending.  When it
 * has gone already there is nobody to tell.
 */
void
net_conn_shut(NetConn *conn)
{
	if (conn->life == NET_CLOSED)
		return;
	Assert(dlist_is_empty(&conn->out) && conn->tls == NULL);
	(void) shutdown(conn->watch.fd, SHUT_WR);
}

static void
conn_ready(NetWatch *watch, uint32 events)
{
	NetConn    *conn = watch->arg;
	int64		since = measure_begin(conn->group);

	if (events & NET_WRITABLE)
	{
		Assert(conn->output == NET_OUTPUT_BLOCKED);
		net_conn_set_output(conn, NET_OUTPUT_DIRTY);
		net_watch_set(conn->group->loop, watch, watch->events & ~NET_WRITABLE);
	}
	if (events & NET_READABLE)
		conn_read_event(conn);
	else if (events & NET_BROKEN)
		net_conn_close(conn, NULL);
	measure_end(conn, since);
}

/*
 * The socket is readable.  What lies here already comes first.  When the
 * connection is not read now, the socket is taken off, and we find out the one
 * thing worth knowing: whether the peer has gone, so that nobody waits on its
 * behalf.
 */
static void
conn_read_event(NetConn *conn)
{
	char		byte;
	bool		ended;

	/* the others have their turn; we are told again in the next one */
	if (net_tls_shaking(conn) && conn->group->handshakes++ >= NET_HANDSHAKES_PER_TURN)
		return;
	if (net_input_pending(conn) || conn->input == NET_INPUT_READY)
		net_input_deliver(conn);
	if (conn->life == NET_CLOSED)
		return;
	if (conn->life == NET_OPEN && net_conn_may_deliver(conn))
	{
		net_input_read(conn);
		net_conn_settle(conn);
		return;
	}
	net_watch_set(conn->group->loop, &conn->watch, conn->watch.events & ~NET_READABLE);
	if (conn->life != NET_OPEN)
		return;
	ended = conn->tls != NULL ? net_tls_ended(conn) : recv(conn->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
	if (conn->tls != NULL && net_tls_unsent(conn))
		net_conn_mark_dirty(conn);	/* looking may have had something to say */
	if (ended)
	{
		net_conn_set_life(conn, NET_DRAINING);
		conn->group->handler.half_closed(conn);
		net_conn_settle(conn);
	}
}

/* May the owner get another frame of this connection? */
bool
net_conn_may_deliver(const NetConn *conn)
{
	const NetLimits *limits = &conn->group->limits;

	return (conn->input == NET_INPUT_FLOWING || conn->input == NET_INPUT_READY) && !conn->muted &&
		conn->inflight < limits->inflight_max && !net_conn_output_full(conn);
}

/*
 * Call it when something that kept the connection from being read may have
 * ended.
 */
void
net_conn_unblock(NetConn *conn)
{
	if (!net_conn_may_deliver(conn))
		return;
	if (net_input_pending(conn) || (conn->life == NET_OPEN && net_tls_pending(conn)))
		net_conn_set_input(conn, NET_INPUT_READY);
	if (conn->life == NET_OPEN)
		net_watch_set(conn->group->loop, &conn->watch, conn->watch.events | NET_READABLE);
}

/*
 * After the last byte that comes in: closes the connection when nothing is
 * left to do for it.
 */
void
net_conn_settle(NetConn *conn)
{
	net_conn_check(conn);
	if ((conn->life == NET_DRAINING || conn->life == NET_FINISHING) && conn->inflight == 0 &&
		!net_output_pending(conn) && !net_input_pending(conn))
		net_conn_close(conn, NULL);
}

/* Has this turn's flush look at the connection, unless the socket is full. */
void
net_conn_mark_dirty(NetConn *conn)
{
	if (conn->output == NET_OUTPUT_IDLE)
		net_conn_set_output(conn, NET_OUTPUT_DIRTY);
}

/* It will not be read: another may be the favourite meanwhile. */
static void
unfavour(NetConn *conn)
{
	if (conn->group->favourite == conn)
		conn->group->favourite = NULL;
}

/* Delivers no further frame until net_conn_unhold; holds do not count up. */
void
net_conn_hold(NetConn *conn)
{
	unfavour(conn);
	if (conn->input != NET_INPUT_OFF)
		net_conn_set_input(conn, NET_INPUT_HELD);
}

void
net_conn_unhold(NetConn *conn)
{
	if (conn->input != NET_INPUT_HELD)
		return;
	net_conn_set_input(conn, NET_INPUT_FLOWING);
	net_conn_unblock(conn);
}

/* Delivers and reads nothing until net_conn_unmute. */
void
net_conn_mute(NetConn *conn)
{
	unfavour(conn);
	conn->muted = true;
}

void
net_conn_unmute(NetConn *conn)
{
	if (!conn->muted)
		return;
	conn->muted = false;
	conn->active_at = net_now();
	if (conn->life != NET_CLOSED)
		net_conn_unblock(conn);
}

/* 0: nobody wants to know. */
static inline int64
measure_begin(const NetGroup *group)
{
	return group->measures ? net_now_ns() : 0;
}

static inline void
measure_end(NetConn *conn, int64 since)
{
	if (since != 0)
		conn->spent_ns += net_now_ns() - since;
}

void
net_group_measure(NetGroup *group, bool on)
{
	group->measures = on;
}

int64
net_conn_take_spent(NetConn *conn)
{
	int64		spent = conn->spent_ns;

	conn->spent_ns = 0;
	return spent;
}

/*
 * The owner is done with one frame: its answer has left, or it gets none.  May
 * make the connection readable again; ends nothing.
 */
void
net_conn_answered(NetConn *conn)
{
	Assert(conn->inflight > 0);
	conn->inflight--;
	if (conn->life == NET_CLOSED)
		return;
	net_conn_unblock(conn);
	/* settling waits for the flush: the caller is in the middle of its turn */
	if (conn->life != NET_OPEN)
		net_conn_mark_dirty(conn);
}

/*
 * One timer per connection looks from time to time when bytes moved last,
 * rather than being moved with every byte.
 */
static void
start_timer(NetConn *conn)
{
	int64		idle = conn->group->limits.idle_us;
	int64		now = net_now();
	int64		at = conn->active_at + NET_STALL_US;

	/* one that has been quiet for longer than that is looked at as often */
	if (at <= now)
		at = now + NET_STALL_US;
	if (idle > 0)
		at = Min(at, conn->active_at + idle);
	if (conn->group->limits.handshake_us > 0 && net_tls_shaking(conn))
		at = Min(at, conn->opened_at + conn->group->limits.handshake_us);
	at = Max(at, now + 100000);

	/*
	 * whole seconds, where that makes no difference: thousands of idle
	 * connections wake us together
	 */
	if (at - now >= 10 * NET_TICK_US)
		at = (at / NET_TICK_US + 1) * NET_TICK_US;
	net_timer_start(conn->group->loop, &conn->timer, at);
}

/*
 * A connection whose requests are being worked on, or whose answers we do not
 * have yet, is not idle, unless it does not take the answers.  Nor is one that
 * is muted: it may not send.
 */
static void
conn_due(NetTimer *timer)
{
	NetConn    *conn = timer->arg;
	NetGroup   *group = conn->group;
	int64		quiet = net_now() - conn->active_at;
	int64		age = net_now() - conn->opened_at;
	bool		waits_for_us = conn->output == NET_OUTPUT_PAUSED || conn->muted ||
		(conn->inflight > 0 && !net_output_pending(conn));

	if (net_tls_shaking(conn) && group->limits.handshake_us > 0 && age >= group->limits.handshake_us)
		net_conn_close(conn, "its TLS handshake took longer than %d s", (int) (age / 1000000));
	else if (group->limits.idle_us > 0 && quiet >= group->limits.idle_us && !waits_for_us)
		net_conn_close(conn, "idle for %d s", (int) (quiet / 1000000));
	else if (conn->chunk != NULL && quiet >= NET_STALL_US && !waits_for_us &&
			 net_input_over_budget(group))
		net_conn_close(conn, "its request stands still while memory for requests is short");
	else
		start_timer(conn);
}

/*-------------------------------------------------------------------------
 *
 * conn.c
 *	  The life of connections and of the group they belong to.
 *
 * What a connection waits for is kept lazily: a socket stays registered as
 * readable when its connection stops being read, and only an event that comes
 * meanwhile takes it off (conn_ready).  Most pauses end before that, so a
 * long poll or a full pipeline costs no system call.
 *
 * Siblings: input.c (bytes to frames), output.c (messages to bytes).
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
#include "net/conn_transfer.h"

#define NET_SEND_START	(256 * 1024)

/*
 * A request that stands still for this long while input memory is short loses
 * its connection.
 */
#define NET_STALL_US	((int64) 30 * 1000000)
#define NET_TICK_US		((int64) 1000000)

static int	list_length(const dlist_head *list);
static void conn_ready(NetWatch *watch, uint32 events);
static void conn_due(NetTimer *timer);
static void conn_start_timer(NetConn *conn);
static void conn_read_event(NetConn *conn);
static void conn_free(NetConn *conn);
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
	dlist_init(&group->closing);
	dlist_init(&group->ready);
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
	Assert(group->count == 0 && group->input_bytes == 0);
	net_input_free_spares(group);
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

bool
net_group_over_budget(const NetGroup *group)
{
	return net_input_over_budget(group);
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
		!dlist_is_empty(unconstify(dlist_head *, &group->closing));
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
 * Frames held back in earlier turns.  A connection that becomes ready once
 * more while its frames are handled waits for the next turn: hence the count.
 */
void
net_group_deliver(NetGroup *group)
{
	for (int n = list_length(&group->ready); n > 0 && !dlist_is_empty(&group->ready); n--)
	{
		NetConn    *conn = dlist_container(NetConn, ready_node, dlist_pop_head_node(&group->ready));

		conn->ready = false;
		net_input_deliver(conn);
		net_conn_settle(conn);
	}
}

/*
 * Writes what can be written, each connection once; one that has more to write
 * than its share goes to the end of the list.  An ERROR out of a source's map
 * leaves the list intact, as a connection is taken off before it is worked on.
 */
void
net_group_flush(NetGroup *group)
{
	for (int n = list_length(&group->dirty); n > 0 && !dlist_is_empty(&group->dirty); n--)
	{
		NetConn    *conn = dlist_container(NetConn, dirty_node, dlist_pop_head_node(&group->dirty));

		conn->dirty = false;
		group->current = conn;
		net_output_flush(conn);
		group->current = NULL;
		net_conn_settle(conn);
	}
}

/* Ends what was closed, and lets those read on that waited for memory. */
void
net_group_reap(NetGroup *group)
{
	while (!dlist_is_empty(&group->closing))
	{
		NetConn    *conn = dlist_container(NetConn, node, dlist_pop_head_node(&group->closing));

		net_output_drop(conn);
		group->handler.closed(conn, conn->has_reason ? conn->reason : NULL);
		net_input_drop(conn);
		Assert(conn->input_bytes == 0); /* else the owner has kept a frame */
		conn_free(conn);
	}
	if (group->nstarved > 0)
		net_input_relieve(group);
}

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
	conn->active_at = net_now();
	conn->timer.due = conn_due;
	conn->timer.arg = conn;
	dlist_init(&conn->out);
	dlist_push_tail(&group->conns, &conn->node);
	group->count++;
	conn_start_timer(conn);
	return conn;
}

static void
set_reason(NetConn *conn, const char *reason, va_list args)
{
	vsnprintf(conn->reason, sizeof(conn->reason), reason, args);
	conn->has_reason = true;
}

void
net_conn_finish(NetConn *conn, const char *reason,...)
{
	va_list		args;

	if (conn->closing)
		return;
	va_start(args, reason);
	set_reason(conn, reason, args);
	va_end(args);
	conn->eof = true;
	net_input_drop(conn);
	net_watch_set(conn->group->loop, &conn->watch, conn->watch.events & ~NET_READABLE);
	net_conn_mark_dirty(conn);	/* so that it is settled in this turn's flush */
}

/*
 * The socket is closed at once; the rest follows in net_group_reap.  Without a
 * reason of its own this ends a connection for the one it was finished for.
 */
void
net_conn_close(NetConn *conn, const char *reason,...)
{
	NetGroup   *group = conn->group;
	int			fd = conn->watch.fd;

	if (conn->closing)
		return;
	conn->closing = true;
	if (reason != NULL)
	{
		va_list		args;

		va_start(args, reason);
		set_reason(conn, reason, args);
		va_end(args);
	}
	net_watch_remove(group->loop, &conn->watch);
	net_timer_stop(group->loop, &conn->timer);
	close(fd);
	net_fd_release();
	if (conn->ready)
		dlist_delete(&conn->ready_node);
	if (conn->dirty)
		dlist_delete(&conn->dirty_node);
	conn->ready = conn->dirty = false;
	if (conn->starved)
		group->nstarved--;
	if (group->favourite == conn)
		group->favourite = NULL;
	if (group->current == conn)
		group->current = NULL;
	dlist_delete(&conn->node);
	dlist_push_tail(&group->closing, &conn->node);
	group->count--;
}

static void
conn_free(NetConn *conn)
{
	Assert(conn->closing && conn->watch.fd < 0);
	Assert(conn->chunk == NULL && dlist_is_empty(&conn->out));
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
	return conn->closing;
}

bool
net_conn_finishing(const NetConn *conn)
{
	return conn->has_reason;
}

int
net_conn_fd(const NetConn *conn)
{
	Assert(!conn->closing);
	return conn->watch.fd;
}

bool
net_conn_output_empty(const NetConn *conn)
{
	return dlist_is_empty(unconstify(dlist_head *, &conn->out));
}

static void
conn_ready(NetWatch *watch, uint32 events)
{
	NetConn    *conn = watch->arg;

	if (events & NET_WRITABLE)
	{
		conn->blocked = false;
		net_watch_set(conn->group->loop, watch, watch->events & ~NET_WRITABLE);
		net_conn_mark_dirty(conn);
	}
	if (events & NET_READABLE)
		conn_read_event(conn);
	else if (events & NET_BROKEN)
		net_conn_close(conn, NULL);
}

/*
 * Readable.  When the connection is not read now it is taken off, and the one
 * thing worth knowing is found out: whether the peer has gone, so that nobody
 * waits on its behalf.
 */
static void
conn_read_event(NetConn *conn)
{
	char		byte;

	if (net_conn_may_deliver(conn) && !conn->eof)
	{
		net_input_read(conn);
		net_conn_settle(conn);
		return;
	}
	net_watch_set(conn->group->loop, &conn->watch, conn->watch.events & ~NET_READABLE);
	if (!conn->eof && recv(conn->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
	{
		conn->eof = true;
		conn->group->handler.half_closed(conn);
		net_conn_settle(conn);
	}
}

/* May the owner get another frame of this connection? */
bool
net_conn_may_deliver(const NetConn *conn)
{
	const NetLimits *limits = &conn->group->limits;

	return !conn->closing && !conn->held &&
		conn->inflight < limits->inflight_max &&
		conn->out_bytes < limits->output_bytes_max;
}

/* Something that kept the connection from being read may have ended. */
void
net_conn_unblock(NetConn *conn)
{
	if (!net_conn_may_deliver(conn))
		return;
	if (net_input_pending(conn) && !conn->ready)
	{
		conn->ready = true;
		dlist_push_tail(&conn->group->ready, &conn->ready_node);
	}
	if (!conn->eof && !conn->starved)
		net_watch_set(conn->group->loop, &conn->watch, conn->watch.events | NET_READABLE);
}

/*
 * After the peer's last byte: ends the connection when nothing is left to do
 * for it.
 */
void
net_conn_settle(NetConn *conn)
{
	if (conn->eof && !conn->closing && conn->inflight == 0 &&
		dlist_is_empty(&conn->out) && !net_input_pending(conn))
		net_conn_close(conn, NULL);
}

void
net_conn_mark_dirty(NetConn *conn)
{
	if (conn->dirty || conn->blocked || conn->closing)
		return;
	conn->dirty = true;
	dlist_push_tail(&conn->group->dirty, &conn->dirty_node);
}

void
net_conn_hold(NetConn *conn)
{
	conn->held = true;
}

void
net_conn_unhold(NetConn *conn)
{
	if (!conn->held)
		return;
	conn->held = false;
	net_conn_unblock(conn);
}

void
net_conn_answered(NetConn *conn)
{
	Assert(conn->inflight > 0);
	conn->inflight--;
	if (conn->closing)
		return;
	net_conn_unblock(conn);
	/* settling waits for the flush: the caller is in the middle of its turn */
	if (conn->eof)
		net_conn_mark_dirty(conn);
}

/*
 * One timer per connection looks from time to time when bytes moved last,
 * rather than being moved with every byte.
 */
static void
conn_start_timer(NetConn *conn)
{
	int64		idle = conn->group->limits.idle_us;
	int64		now = net_now();
	int64		at = conn->active_at + NET_STALL_US;

	/* one that has been quiet for longer than that is looked at as often */
	if (at <= now)
		at = now + NET_STALL_US;
	if (idle > 0)
		at = Min(at, conn->active_at + idle);
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
 * A connection whose requests are being worked on is not idle, unless it does
 * not take the answers.
 */
static void
conn_due(NetTimer *timer)
{
	NetConn    *conn = timer->arg;
	NetGroup   *group = conn->group;
	int64		quiet = net_now() - conn->active_at;
	bool		waits_for_us = conn->inflight > 0 && dlist_is_empty(&conn->out);

	if (group->limits.idle_us > 0 && quiet >= group->limits.idle_us && !waits_for_us)
		net_conn_close(conn, "idle for %d s", (int) (quiet / 1000000));
	else if (conn->chunk != NULL && quiet >= NET_STALL_US && !waits_for_us &&
			 net_input_over_budget(group))
		net_conn_close(conn, "its request stands still while memory for requests is short");
	else
		conn_start_timer(conn);
}

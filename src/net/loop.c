/*-------------------------------------------------------------------------
 *
 * loop.c
 *	  The event loop over epoll, and its timers in a pairing heap.
 *
 * Siblings: conn.c (connections), listen.c (listening sockets).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "net/port.h"

#include <limits.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "net/loop.h"

#define NET_BATCH	256			/* descriptors taken from epoll at a time */

struct NetLoop
{
	int			epoll_fd;
	pairingheap timers;			/* the earliest on top */

	/* what the running poll has yet to call back for: [batch_at, batch_n) */
	int			batch_at;
	int			batch_n;
	struct epoll_event batch[NET_BATCH];
};

static int	timer_compare(const pairingheap_node *a, const pairingheap_node *b, void *arg);
static uint32 epoll_events(uint32 events);

NetLoop *
net_loop_create(void)
{
	NetLoop    *loop = calloc(1, sizeof(NetLoop));

	if (loop == NULL)
		return NULL;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
	{
		free(loop);
		return NULL;
	}
	net_fd_reserve();
	loop->timers.ph_compare = timer_compare;
	return loop;
}

/* Watches and timers belong to others, who have removed them. */
void
net_loop_destroy(NetLoop *loop)
{
	Assert(loop->timers.ph_root == NULL);
	close(loop->epoll_fd);
	net_fd_release();
	free(loop);
}

int
net_loop_fd(const NetLoop *loop)
{
	return loop->epoll_fd;
}

int64
net_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64
net_now(void)
{
	return net_now_ns() / 1000;
}

/*
 * The batch lives in the loop rather than on the stack because a callback may
 * remove any watch, also one that comes later in the same batch: see
 * net_watch_remove.
 */
int
net_loop_poll(NetLoop *loop, int timeout_ms)
{
	int			n = epoll_wait(loop->epoll_fd, loop->batch, NET_BATCH, timeout_ms);

	if (n <= 0)
		return 0;				/* EINTR is as good as a timeout */
	loop->batch_n = n;
	for (loop->batch_at = 0; loop->batch_at < loop->batch_n;)
	{
		struct epoll_event *ev = &loop->batch[loop->batch_at++];
		NetWatch   *watch = ev->data.ptr;
		uint32		events = 0;

		if (watch == NULL)
			continue;			/* removed meanwhile */
		if (ev->events & EPOLLIN)
			events |= NET_READABLE;
		if (ev->events & EPOLLOUT)
			events |= NET_WRITABLE;
		if (ev->events & (EPOLLERR | EPOLLHUP))
			events |= NET_BROKEN;
		watch->ready(watch, events);
	}
	loop->batch_at = loop->batch_n = 0;
	return n;
}

static uint32
epoll_events(uint32 events)
{
	return ((events & NET_READABLE) ? EPOLLIN : 0) |
		((events & NET_WRITABLE) ? EPOLLOUT : 0);
}

bool
net_watch_add(NetLoop *loop, NetWatch *watch, int fd, uint32 events)
{
	struct epoll_event ev = {0};

	Assert(watch->ready != NULL);
	ev.events = epoll_events(events);
	ev.data.ptr = watch;
	watch->fd = -1;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		return false;
	watch->fd = fd;
	watch->events = events;
	return true;
}

/* Changing what is asked for of a descriptor that epoll knows cannot fail. */
void
net_watch_set(NetLoop *loop, NetWatch *watch, uint32 events)
{
	struct epoll_event ev = {0};
	int			rc;

	Assert(watch->fd >= 0);
	if (watch->events == events)
		return;
	ev.events = epoll_events(events);
	ev.data.ptr = watch;
	rc = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &ev);
	Assert(rc == 0);
	(void) rc;
	watch->events = events;
}

void
net_watch_remove(NetLoop *loop, NetWatch *watch)
{
	if (watch->fd < 0)
		return;
	(void) epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch->fd = -1;
	for (int i = loop->batch_at; i < loop->batch_n; i++)
	{
		if (loop->batch[i].data.ptr == watch)
			loop->batch[i].data.ptr = NULL;
	}
}

/*
 * The heap's top is its largest: the earliest deadline must compare as such.
 */
static int
timer_compare(const pairingheap_node *a, const pairingheap_node *b, void *arg)
{
	int64		at_a = pairingheap_const_container(NetTimer, node, a)->at;
	int64		at_b = pairingheap_const_container(NetTimer, node, b)->at;

	return at_a < at_b ? 1 : at_a > at_b ? -1 : 0;
}

void
net_timer_start(NetLoop *loop, NetTimer *timer, int64 at)
{
	Assert(timer->due != NULL);
	if (timer->armed)
		pairingheap_remove(&loop->timers, &timer->node);
	timer->at = at;
	timer->armed = true;
	pairingheap_add(&loop->timers, &timer->node);
}

void
net_timer_stop(NetLoop *loop, NetTimer *timer)
{
	if (!timer->armed)
		return;
	pairingheap_remove(&loop->timers, &timer->node);
	timer->armed = false;
}

/*
 * "now" is read once: a timer that starts itself again with no delay waits for
 * the next turn and does not keep this one from ending.
 */
void
net_loop_run_timers(NetLoop *loop)
{
	int64		now;

	if (pairingheap_is_empty(&loop->timers))
		return;
	now = net_now();
	while (!pairingheap_is_empty(&loop->timers))
	{
		NetTimer   *timer = pairingheap_container(NetTimer, node, pairingheap_first(&loop->timers));

		if (timer->at > now)
			break;
		pairingheap_remove_first(&loop->timers);
		timer->armed = false;
		timer->due(timer);
	}
}

int
net_loop_timeout_ms(const NetLoop *loop)
{
	pairingheap *timers = unconstify(pairingheap *, &loop->timers);
	const NetTimer *timer;
	int64		left;

	if (pairingheap_is_empty(timers))
		return -1;
	timer = pairingheap_container(NetTimer, node, pairingheap_first(timers));
	left = timer->at - net_now();
	if (left <= 0)
		return 0;
	return (int) Min((left + 999) / 1000, INT_MAX);
}

/*-------------------------------------------------------------------------
 *
 * loop.h
 *	  An event loop: file descriptors that become ready, and deadlines.
 *
 * A watch calls back when its descriptor is readable or writable, a timer when
 * its time has come.  Both are embedded in what they belong to.  The loop has
 * one epoll descriptor (net_loop_fd), so that the server can wait for it
 * together with its latch.  One turn is
 *
 *		net_loop_poll(loop, timeout)	calls back for what is ready
 *		net_loop_run_timers(loop)		calls back for what is due
 *
 * and whatever the owner does with what these brought, all at once.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "net/port.h"

#define NET_READABLE	0x01
#define NET_WRITABLE	0x02
#define NET_BROKEN		0x04	/* error or hang-up; always reported */

typedef struct NetLoop NetLoop;

typedef struct NetWatch
{
	int			fd;				/* -1: not watched */
	uint32		events;			/* NET_READABLE, NET_WRITABLE asked for */
	void		(*ready) (struct NetWatch *watch, uint32 events);
	void	   *arg;			/* the owner's */
} NetWatch;

typedef struct NetTimer
{
	pairingheap_node node;
	int64		at;				/* us, on the clock of net_now() */
	bool		armed;
	void		(*due) (struct NetTimer *timer);
	void	   *arg;			/* the owner's */
} NetTimer;

/* NULL with errno set when the system refuses. */
extern NetLoop *net_loop_create(void);
extern void net_loop_destroy(NetLoop *loop);
extern int	net_loop_fd(const NetLoop *loop);

/* us since some start; never goes back.  The other is the same in ns. */
extern int64 net_now(void);
extern int64 net_now_ns(void);

/*
 * Waits at most timeout_ms (-1: for ever) and calls back; returns how many
 * descriptors were ready.
 */
extern int	net_loop_poll(NetLoop *loop, int timeout_ms);
extern void net_loop_run_timers(NetLoop *loop);

/* ms until the next timer, rounded up; 0: due, -1: there is none. */
extern int	net_loop_timeout_ms(const NetLoop *loop);

/*
 * ready and arg must be set.  After net_watch_remove no callback comes any
 * more, not even for what this turn's poll has already found.
 */
extern bool net_watch_add(NetLoop *loop, NetWatch *watch, int fd, uint32 events);
extern void net_watch_set(NetLoop *loop, NetWatch *watch, uint32 events);
extern void net_watch_remove(NetLoop *loop, NetWatch *watch);

/*
 * due and arg must be set.  Starting an armed timer moves it; a timer that
 * calls back is not armed any more.
 */
extern void net_timer_start(NetLoop *loop, NetTimer *timer, int64 at);
extern void net_timer_stop(NetLoop *loop, NetTimer *timer);

#endif							/* NET_LOOP_H */

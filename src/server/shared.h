/*-------------------------------------------------------------------------
 *
 * shared.h
 *	  What the workers know of each other.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_SHARED_H
#define PT_SERVER_SHARED_H

#include "compat.h"

#include "storage/latch.h"

#define PT_LISTENERS_MAX	16	/* pgtopic.listener_workers */
#define PT_WORKERS_MAX		(PT_LISTENERS_MAX + 2)	/* with the control and
													 * the administration
													 * worker */

/* Their numbers: the first ones behind those of the listeners. */
extern int	pt_server_control(void);
extern int	pt_server_admin(void);

/* How many workers serve clients. */
extern int	pt_server_workers(void);

/*
 * A listener worker is up (latch) or ends (NULL).  A life of it begins, and
 * its number is returned, which is not 0.  What is counted for the worker
 * begins at 0; counting for an earlier life does nothing (tally.h).
 */
extern uint16 pt_server_attach(int worker, Latch *latch);

/* The number of the worker's life; 0: it is not up. */
extern uint16 pt_server_up(int worker);

/*
 * Has the worker a certificate?  Without one, which is so when its life
 * begins, connections with TLS are not given to it.
 */
extern void pt_server_set_certified(int worker, bool certified);
extern bool pt_server_certified(int worker);

/*
 * What a listener worker is about to sleep for.  It says so before it looks
 * for the last time whether there is something to do, so that no wake-up is
 * lost.
 */
#define PT_SLEEPS_FOR_WAL	0x01	/* answers wait for it */
#define PT_SLEEPS_FOR_LOGS	0x02	/* requests wait for a log to move */
extern void pt_server_sleeps_for(int worker, uint32 what);

/*
 * WAL is durable further than it was, or logs have moved: wakes the workers
 * that sleep for it.  Of those that sleep for logs the ones that wait for
 * these (log/watch.h).
 */
extern void pt_server_wake(uint32 what);

/* The same for one worker, whatever it sleeps for. */
extern void pt_server_wake_worker(int worker);

/*
 * Connections of a worker: counted where a connection is given to it.  false:
 * that life of the worker is over, and nothing is counted.
 */
extern bool pt_server_connections_add(int worker, uint16 life, int n);
extern int	pt_server_connections(int worker);

/* Clients of all listeners. */
extern int	pt_server_clients(void);

/*
 * The listener, of those that are up, with the fewest connections; "self" when
 * it is as good as any.  self -1: whoever asks is none; -1 when none is up.
 */
extern int	pt_server_least_loaded(int self);

/*
 * How long flushing WAL took lately, in us: a running average; 0: not known.
 */
extern void pt_server_flush_took(uint64 us);
extern uint32 pt_server_flush_us(void);

#endif							/* PT_SERVER_SHARED_H */

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

/* A listener worker is up (latch) or ends (NULL); resets its count of connections. */
extern void pt_server_attach(int worker, Latch *latch);

/*
 * What a listener worker is about to sleep for.  It says so before it looks for
 * the last time whether there is something to do, so that no wake-up is lost.
 */
#define PT_SLEEPS_FOR_WAL	0x01	/* answers wait for it */
#define PT_SLEEPS_FOR_LOGS	0x02	/* requests wait for a log to move */
extern void pt_server_sleeps_for(int worker, uint32 what);

/* WAL is durable further than it was, or a log has moved: wakes the workers that sleep for it. */
extern void pt_server_wake(uint32 what);

/*
 * A log has moved for which a listener waits.  pt_server_moves goes up with
 * each; who sees it unchanged need not look at the logs.
 */
extern void pt_server_moved(void);
extern uint64 pt_server_moves(void);

/* Connections of a worker: counted where a connection is given to it. */
extern void pt_server_connections_add(int worker, int n);
extern int	pt_server_connections(int worker);

/* The worker, of those that are up, with the fewest connections; "self" when it is as good as any. */
extern int	pt_server_least_loaded(int self);

/* What all workers do first: signals, connection to "database" (NULL: none). */
extern void pt_worker_start(const char *database);

/* To be called in every turn of a worker's loop; true when settings may have changed. */
extern bool pt_worker_interrupts(void);

#endif							/* PT_SERVER_SHARED_H */

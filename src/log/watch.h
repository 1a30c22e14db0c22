/*-------------------------------------------------------------------------
 *
 * watch.h
 *	  Who waits for a log to move, and is told: watch.c says how.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_WATCH_H
#define PT_LOG_WATCH_H

#include "compat.h"

/* Logs are told apart by a hash of their locators. */
#define PT_WATCH_BUCKETS	4096

extern Size pt_watch_shmem_size(void);
extern void pt_watch_shmem_init(void);

/* Who moves durable ends, or drops logs.  These do not throw. */
extern void pt_watch_moved(const RelFileLocator *locator);
extern void pt_watch_all_moved(void);
extern void pt_watch_all_sessions(void);

/* Workers, which have numbers. */
#define PT_WATCH_WORKERS_MAX	32
extern uint32 pt_watch_bucket(const RelFileLocator *locator);
extern void pt_watch_start(int worker);
extern void pt_watch_add(int worker, uint32 bucket);
extern void pt_watch_remove(int worker, uint32 bucket);
extern bool pt_watch_ready(int worker);
extern bool pt_watch_next(int worker, uint32 *bucket);
extern uint32 pt_watch_moves(uint32 bucket);

/* Does a worker wait for this log, or for one like it? */
extern bool pt_watch_awaited(const RelFileLocator *locator);

/* Sessions. */
extern void pt_watch_session_begin(const RelFileLocator *logs, int n);
extern void pt_watch_session_renew(void);
extern void pt_watch_session_end(void);

#endif							/* PT_LOG_WATCH_H */

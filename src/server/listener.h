/*-------------------------------------------------------------------------
 *
 * listener.h
 *	  What the files of a listener worker share; nobody else includes it.
 *
 * Siblings: client.h (clients and requests, and their states).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_LISTENER_H
#define PT_SERVER_LISTENER_H

#include "compat.h"

#include "server/client.h"
#include "server/shared.h"

/*
 * When the requests on l->appending are tried again.
 *
 *            pt_append_now                   retry_due, pt_append_now
 *   REST --------------------> NOW <----------------------------- LATER
 *    |  ^                       | |                                ^ ^
 *    |  '--- pt_append_phase ---' '------ pt_append_recover -------' |
 *    '------------------------- append_later ------------------------'
 */
typedef enum PtAppendState
{
	PT_APPEND_REST,				/* when something happens */
	PT_APPEND_LATER,			/* when the timer "retry" is due */
	PT_APPEND_NOW				/* in the next append phase */
} PtAppendState;

/* What the worker has done since it told pg_stat_activity that it is idle. */
typedef enum PtActivity
{
	PT_ACTIVITY_IDLE,
	PT_ACTIVITY_WORKING
} PtActivity;

struct PtListener
{
	int			number;
	uint16		life;			/* pt_server_attach */
	PtActivity	activity;
	TimestampTz now;			/* when this turn began */
	MemoryContext mcxt;			/* lives as long as the worker */
	MemoryContext turn_mcxt;	/* reset in every turn */
	NetLoop    *loop;
	NetGroup   *group;
	NetGroup   *fars;			/* connections to other workers (forward.c) */

	dlist_head	clients;		/* all of them */

	/* clients and requests by state (client.h) */
	dlist_head	runnable;
	dlist_head	leaving;
	dlist_head	appending;
	dlist_head	due;
	dlist_head	uncommitted;
	dlist_head	answerable;
	dlist_head	parked;

	PtAppendState append;		/* append.c alone changes it */
	NetTimer	retry;			/* of those that were busy, or at a deadline */
	int			busy_rounds;	/* attempts that left some busy, in a row */
	XLogRecPtr	seen_flushed;	/* when parked was looked at last */
	XLogRecPtr	seen_replicated;
	NetTimer	tick;			/* of the control worker's groups */
	XLogRecPtr	commit_end_before;	/* XactLastCommitEnd when the open
									 * transaction began */
	XLogRecPtr	wrote_until;	/* end of the last commit of a handler's
								 * transaction; perhaps not durable yet */
	PtClient   *current;		/* in whose call we are; to blame for an ERROR */
	dlist_head	throttled;		/* clients, by throttle_node */
};

/*
 * Whose requests the worker serves: DATA is a listener proper, which accepts
 * clients, CONTROL and ADMIN the two others.
 */
static inline KafkaPlane
pt_plane_of(const PtListener *l)
{
	if (l->number == pt_server_admin())
		return KAFKA_PLANE_ADMIN;
	return l->number == pt_server_control() ? KAFKA_PLANE_CONTROL : KAFKA_PLANE_DATA;
}

/* turn.c */
extern void pt_turn_init(PtListener *l);
extern void pt_turn(PtListener *l);
extern bool pt_turn_pending(const PtListener *l);
extern uint32 pt_turn_sleeps_for(const PtListener *l);
extern void pt_turn_recover(PtListener *l);

/* throttle.c */
extern void pt_throttle_init(PtListener *l);
extern void pt_quotas_turn(PtListener *l);
extern bool pt_connection_refused(PtListener *l, int fd);
extern bool pt_too_many_of_address(PtClient *client, int fd);

/* append.c */
extern void pt_append_init(PtListener *l);
extern void pt_append_now(PtListener *l);
extern void pt_append_phase(PtListener *l);
extern void pt_append_recover(PtListener *l);

/* client_roles.c */
extern void pt_client_roles_init(PtListener *l);
extern void pt_client_roles_turn(PtListener *l);

/* posted.c: batches that executors have */
extern bool pt_posted_collect(PtListener *l, PtRequest **request, PtProduce **item, XLogRecPtr *lsn);
extern int	pt_posted_partitions(Oid *relids);
extern bool pt_posted_add(PtListener *l, PtRequest *request, PtProduce *item);
extern bool pt_posted_give_up(PtListener *l, PtRequest *request, bool now);
extern void pt_posted_forget(PtRequest *request);

/* log_waits.c */
extern void pt_log_waits_init(PtListener *l);
extern void pt_log_waits_register(PtRequest *request);
extern void pt_log_waits_unregister(PtRequest *request);
extern void pt_log_waits_check(void);
extern bool pt_log_waits_any(void);
extern bool pt_log_waits_pending(void);
extern void pt_log_waits_forget_all(void);

/*
 * span_source.c: a span of a log as a source of bytes for a connection, in
 * memory of the current context
 */
extern NetSource *pt_span_source(const PtSpan *span);
extern void pt_turn_transaction(void);
extern void pt_span_source_reset(void);

#endif							/* PT_SERVER_LISTENER_H */

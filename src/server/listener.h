/*-------------------------------------------------------------------------
 *
 * listener.h
 *	  What the files of a listener worker share; nobody else includes it.
 *
 * A client is a connection with its Kafka session; a request is one frame of
 * it on its way through
 *
 *		ARRIVED		-> begin (in a transaction) ->
 *		APPENDING	-> the turn's append group, perhaps of several turns ->
 *					resume ->
 *		WAITING		-> a log moved, or the deadline -> resume ->
 *		ANSWERED	-> its WAL is durable, and all requests before it are
 *					answered ->
 *		sent
 *
 * A request is on the lists that its state names (PtListener), and always on
 * its client's list until its answer goes to the connection.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_LISTENER_H
#define PT_SERVER_LISTENER_H

#include "compat.h"

#include "lib/ilist.h"

#include "kafka/kafka.h"
#include "net/conn.h"
#include "net/loop.h"
#include "server/counters.h"
#include "server/inbox.h"
#include "server/shared.h"

typedef enum PtRequestState
{
	PT_REQUEST_ARRIVED,
	PT_REQUEST_APPENDING,
	PT_REQUEST_WAITING,
	PT_REQUEST_ANSWERED
} PtRequestState;

typedef struct PtListener PtListener;
typedef struct PtWait PtWait;

typedef struct PtClient
{
	PtListener *listener;
	NetConn    *conn;
	KafkaSession session;
	dlist_head	arrived;		/* requests not begun, by node */
	dlist_head	begun;			/* requests begun, by node; both in order */
	PtClientSlot *slot;			/* for views */
	struct PtRequest *waiting;	/* its requests behind this one are not begun */
	dlist_node	runnable_node;	/* on listener->runnable if runnable */
	dlist_node	answer_node;	/* on listener->answerable or ->parked if
								 * answering */
	dlist_node	move_node;		/* on the list of client_move.c if moving */
	bool		runnable;
	bool		answering;
	bool		moving;			/* to another worker: no request is begun */
	bool		named;			/* its slot has what it calls itself */
	bool		refuse;			/* the next request is turned down: the other
								 * worker is not up */
} PtClient;

typedef struct PtRequest
{
	dlist_node	node;
	dlist_node	work_node;		/* on one of the listener's lists of requests
								 * if listed */
	bool		listed;
	PtRequestState state;
	PtClient   *client;
	NetFrame	frame;
	KafkaCall  *call;			/* NULL: not begun */
	/* APPENDING */
	bool		tried;			/* only items with PT_BUSY are left */
	TimestampTz give_up_at;		/* when busy partitions are waited for no
								 * longer */
	/* WAITING */
	PtWait	   *waits;			/* call->nwaits of them; NULL: none registered */
	int			nwaits;
	NetTimer	timer;
	bool		timed_out;
	/* ANSWERED */
	XLogRecPtr	lsn;			/* must be durable before the answer leaves */
	bool		replicated;		/* on synchronous standbys, too */
	NetMessage	message;
} PtRequest;

struct PtListener
{
	int			number;
	bool		control;		/* the control worker; else a listener proper */
	bool		active;			/* pg_stat_activity says so */
	TimestampTz now;			/* when this turn began */
	MemoryContext mcxt;			/* lives as long as the worker */
	MemoryContext turn_mcxt;	/* reset in every turn */
	NetLoop    *loop;
	NetGroup   *group;

	dlist_head	runnable;		/* clients with requests to begin */
	dlist_head	appending;		/* requests for the append group, in order */
	bool		append_now;		/* some of them are to be tried this turn */
	NetTimer	retry;			/* of those that were busy */
	int			busy_rounds;	/* attempts that left some busy, in a row */
	dlist_head	due;			/* requests to resume */
	dlist_head	uncommitted;	/* answered in the open transaction */
	dlist_head	answerable;		/* clients whose oldest answer may be ready to
								 * leave */
	dlist_head	parked;			/* clients whose oldest answer waits for WAL */
	XLogRecPtr	seen_flushed;	/* when parked was looked at last */
	XLogRecPtr	seen_replicated;
	uint64		seen_moves;		/* when the waits were looked at last */
	NetTimer	tick;			/* of the control worker's groups */
	XLogRecPtr	commit_end_before;	/* XactLastCommitEnd when the open
									 * transaction began */
	XLogRecPtr	wrote_until;	/* end of the last commit of a handler's
								 * transaction; perhaps not durable yet */
	PtClient   *current;		/* in whose call we are; to blame for an ERROR */
};

/* client.c */
extern const NetHandler pt_client_handler;
extern void pt_client_open(PtListener *l, int fd, const PtMoved *moved, const char *bytes);
extern void pt_client_runnable(PtClient *client);
extern void pt_request_begun(PtRequest *request);
extern void pt_request_list(PtRequest *request, dlist_head *list);
extern void pt_request_unlist(PtRequest *request);
extern void pt_request_answered(PtRequest *request);
extern void pt_request_send(PtRequest *request);
extern void pt_request_forget(PtRequest *request, bool error);
extern void pt_request_end(PtRequest *request);

/* turn.c */
extern void pt_turn_init(PtListener *l);
extern void pt_turn(PtListener *l);
extern bool pt_turn_pending(const PtListener *l);
extern uint32 pt_turn_sleeps_for(const PtListener *l);
extern void pt_turn_recover(PtListener *l);

/* log_waits.c */
extern void pt_log_waits_init(PtListener *l);
extern void pt_log_waits_register(PtRequest *request);
extern void pt_log_waits_unregister(PtRequest *request);
extern void pt_log_waits_check(PtListener *l);
extern bool pt_log_waits_any(void);
extern void pt_log_waits_forget_all(void);

/*
 * span_source.c: a span of a log as a source of bytes for a connection, in
 * memory of the current context
 */
extern NetSource *pt_span_source(const PtSpan *span);
extern void pt_turn_transaction(void);
extern void pt_span_source_reset(void);

#endif							/* PT_SERVER_LISTENER_H */

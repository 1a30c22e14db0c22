/*-------------------------------------------------------------------------
 *
 * client.h
 *	  Clients and their requests, in one listener worker.
 *
 * A client is a connection with its Kafka session, a request one frame of it.
 * client_state.c alone changes their states, and the lists that belong to one.
 *
 * A request: what comes next for it?
 *
 *                               resume_phase
 *   ARRIVED -- begin_client --> RUNNING <--------- DUE, EXPIRED, REFUSED
 *                               | | | |                     ^  ^  ^
 *          KAFKA_APPEND         | | | |    settle_request   |  |  |
 *       APPENDING <-------------' | | | --------------------'  |  |
 *                                 | | |                        |  |
 *          KAFKA_WAIT, KAFKA_PARK | | |    moved, ready,       |  |
 *       WAITING <-----------------' | |    timer, peer         |  |
 *          '------------------------+-+------------------------'  |
 *                                   | |                           |
 *          pt_forward_start         | |                           |
 *       LEAVING <-------------------' |                           |
 *        | | ^                        |   its worker is not up,   |
 *        | '-+--------------------------- or has ended -----------'
 *        |   | take_answer            |                           |
 *        V   |                        | KAFKA_REPLY               |
 *       FORWARDED --------------------+---------------------------'
 *            |                        V
 *            | take_answer       UNCOMMITTED
 *            |                        | transaction_end
 *            |                        V
 *            '------------------> ANSWERED --- pt_request_send ---> SENT
 *
 *   ARRIVED      not begun
 *   RUNNING      in its handler; on no list of the listener
 *   APPENDING    its batches wait for the turn's append: on l->appending
 *   WAITING      for a log to move or for the kafka room, at most to a
 *                deadline
 *   LEAVING      for its worker to be had, and for the answers before it: on
 *                l->leaving
 *   FORWARDED    with the worker that it belongs to (forward.c)
 *   DUE          to be resumed: on l->due
 *   EXPIRED      to be resumed because its time is over, or nobody listens any
 *                more: on l->due
 *   REFUSED      to be turned down, because its worker is not there: on l->due
 *   UNCOMMITTED  answered in the open transaction: on l->uncommitted
 *   ANSWERED     waits for its WAL, and for the answers before it; from
 *                RUNNING at once when it is for another worker
 *   SENT         its answer is the connection's
 *   OVER         it gets no answer, or has it; from every state, by
 *                pt_request_end and pt_turn_recover
 *
 * A client: what do its requests wait for that have arrived?
 *
 *             pt_client_runnable        pt_client_wait
 *   RUNNABLE <------------------- IDLE ----------------> WAITING
 *             ------------------>      <----------------
 *                begin_phase            pt_client_go_on
 *
 *   IDLE         for nothing: there are none, or they are being begun; or for
 *                the client to take answers
 *   RUNNABLE     for the next turn: on l->runnable
 *   WAITING      for the one before them, "waiting"
 *   GONE         the connection is closed; from every state, by on_closed
 *
 * and what does its oldest answer wait for?
 *
 *   NONE ---- pt_client_answerable ---> READY ---- answer_phase ---> NONE
 *   NONE ---- answer_client ----------> PARKED --- answer_phase ---> READY
 *
 *   NONE         there is none yet
 *   READY        for this turn's answer phase: on l->answerable
 *   PARKED       for WAL to become durable: on l->parked
 *
 * Siblings: client.c, client_state.c, forward.c, listener.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_CLIENT_H
#define PT_SERVER_CLIENT_H

#include "compat.h"

#include "lib/ilist.h"

#include "kafka/kafka.h"
#include "net/conn.h"
#include "net/loop.h"
#include "server/counters.h"
#include "server/inbox.h"

typedef struct PtListener PtListener;
typedef struct PtWait PtWait;
typedef struct PtFar PtFar;

typedef enum PtRequestState
{
	PT_REQUEST_ARRIVED,
	PT_REQUEST_RUNNING,
	PT_REQUEST_APPENDING,
	PT_REQUEST_WAITING,
	PT_REQUEST_LEAVING,
	PT_REQUEST_FORWARDED,
	PT_REQUEST_DUE,
	PT_REQUEST_EXPIRED,
	PT_REQUEST_REFUSED,
	PT_REQUEST_UNCOMMITTED,
	PT_REQUEST_ANSWERED,
	PT_REQUEST_SENT,
	PT_REQUEST_OVER
} PtRequestState;

typedef enum PtClientState
{
	PT_CLIENT_IDLE,
	PT_CLIENT_RUNNABLE,
	PT_CLIENT_WAITING,
	PT_CLIENT_GONE
} PtClientState;

typedef enum PtAnswersState
{
	PT_ANSWERS_NONE,
	PT_ANSWERS_READY,
	PT_ANSWERS_PARKED
} PtAnswersState;

/* How safe WAL must be before an answer leaves. */
typedef enum PtDurability
{
	PT_DURABLE_HERE,			/* flushed */
	PT_DURABLE_ON_STANDBYS		/* on synchronous standbys, too */
} PtDurability;

typedef struct PtClient
{
	PtListener *listener;
	dlist_node	node;			/* on l->clients */
	NetConn    *conn;
	KafkaSession session;
	PtOrigin	origin;
	PtClientState state;
	PtAnswersState answers;
	dlist_head	arrived;		/* requests not begun, by node */
	dlist_head	begun;			/* requests begun and not sent, by node; both
								 * in order */
	struct PtRequest *waiting;	/* PT_CLIENT_WAITING; else NULL */
	bool		half_closed;	/* it sends no more */
	bool		known;			/* how its connection is secured */
	PtFar	   *fars[KAFKA_PLANE_ADMIN + 1];	/* its connections to the
												 * workers of other planes;
												 * NULL: none */
	dlist_node	state_node;		/* on the listener's list for the state */
	dlist_node	answers_node;	/* the same for answers */
	PtClientSlot *slot;			/* for views */
	int64		throttled_until;	/* net_now(): no request is begun before;
									 * 0: not throttled */
	dlist_node	throttle_node;	/* on l->throttled while throttled */
	NetTimer	throttle;
} PtClient;

typedef struct PtRequest
{
	PtClient   *client;
	PtRequestState state;
	dlist_node	node;			/* on client->arrived or ->begun; on none when
								 * SENT or OVER */
	dlist_node	state_node;		/* on the listener's list for the state */
	NetFrame	frame;
	int16		api_key;		/* when it has been begun */
	KafkaCall  *call;			/* NULL: not begun, or elsewhere */
	/* APPENDING */
	TimestampTz give_up_at;		/* when busy partitions are waited for no
								 * longer */
	/* WAITING */
	PtWait	   *waits;			/* call->nwaits of them; NULL: none registered */
	int			nwaits;
	NetTimer	timer;
	/* LEAVING and FORWARDED */
	KafkaPlane	plane;			/* where it must run */
	bool		tried;			/* it did not reach a worker that has ended */
	NetFrame	answer;			/* from there, until it has been sent */
	char		redirection[5]; /* to there, in place of an answer */
	/* UNCOMMITTED and ANSWERED */
	XLogRecPtr	lsn;			/* must be durable before the answer leaves */
	PtDurability durability;
	NetPiece	piece;			/* the answer, where there is no call */
	NetMessage	message;
} PtRequest;

/* client.c */
extern const NetHandler pt_client_handler;
extern void pt_client_open(PtListener *l, int fd, const PtMoved *moved);
extern void pt_client_runnable(PtClient *client);
extern void pt_client_answerable(PtClient *client);
extern void pt_client_wait(PtRequest *request);
extern void pt_client_go_on(PtRequest *request);
extern void pt_client_finish(PtClient *client, const char *reason);
extern void pt_request_begun(PtRequest *request);
extern void pt_request_send(PtRequest *request);
extern void pt_request_forget(PtRequest *request, bool error);
extern void pt_request_end(PtRequest *request);
extern void pt_request_call_end(PtRequest *request);

/* throttle.c */
extern void pt_client_throttle(PtClient *client, int32 ms);
extern void pt_client_throttle_forget(PtClient *client);

static inline bool
pt_client_throttled(const PtClient *client)
{
	return client->throttled_until != 0;
}

/* client_state.c */
extern void pt_client_set_state(PtClient *client, PtClientState to);
extern void pt_client_set_answers(PtClient *client, PtAnswersState to);
extern void pt_request_set_state(PtRequest *request, PtRequestState to);
extern void pt_request_make_due(PtRequest *request);
extern void pt_request_expire(PtRequest *request);

#endif							/* PT_SERVER_CLIENT_H */

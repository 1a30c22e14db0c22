/*-------------------------------------------------------------------------
 *
 * kafka.h
 *	  The door of the kafka room: request frames in, responses out.
 *
 * The server room reads frames from sockets and hands each to
 * kafka_call_begin.  A handler gets a decoded request and fills a response; it
 * never waits.
 *
 * The life of a call:
 *
 *	begin		decodes header and body into a memory context of its own, finds
 *				the handler, runs it.  Outcome says what is next.
 *	REPLY		response is encoded: take it with kafka_call_response.
 *	APPEND		(Produce) call->produce holds items for pt_produce_batches.
 *				The server gathers the items of all calls of this turn, appends
 *				them as one group, and calls resume; before that, items with
 *				PT_BUSY are tried again, and those with PT_NEEDS_EXECUTOR go to
 *				an executor process, until call->deadline.  After resume the
 *				response waits until call->lsn is durable (acks 1) or
 *				replicated (acks all).
 *	WAIT		(Fetch) nothing to say yet: resume when data has arrived (any
 *				of the states in call->waits moved) or at call->deadline.
 *	PARK		(JoinGroup) resume when the kafka room says kafka_call_ready,
 *				or at call->deadline.  Until then later requests of the
 *				connection wait, as in Kafka.
 *	MOVE		this must run in the worker of the plane call->move_to: the
 *				connection goes there, and the request is begun anew.  begin
 *				has done nothing that the other one's does not expect.  Only
 *				where session->plane is another one, and not ANY.
 *	NO_REPLY	acks=0.
 *	CLOSE		the bytes make no sense: call->problem says why; close the
 *				connection.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_KAFKA_H
#define PT_KAFKA_H

#include "portability/instr_time.h"

#include "fetch/fetch.h"
#include "produce/produce.h"
#include "topic/topic.h"
#include "kafka/errors.h"
#include "kafka/messages/apis.h"

typedef enum KafkaOutcome
{
	KAFKA_REPLY,
	KAFKA_APPEND,
	KAFKA_WAIT,
	KAFKA_PARK,
	KAFKA_MOVE,
	KAFKA_NO_REPLY,
	KAFKA_CLOSE
} KafkaOutcome;

/*
 * What lives as long as a connection.  Owned by the server, filled by
 * handlers.
 */
typedef struct KafkaSession
{
	MemoryContext mcxt;			/* lives as long as the connection */
	char		client_id[256];
	char		software_name[64];
	char		software_version[64];
	char		peer[64];		/* address of the client, for log lines */
	int			listener;		/* by which it came: its place in
								 * pgtopic.listen_addresses */
	KafkaPlane	plane;			/* of the worker that has it; ANY: of a
								 * process that does everything itself */
	struct KafkaFetchState *fetch;	/* fetch sessions (KIP-227) and cursors of
									 * this connection */
} KafkaSession;

/*
 * A response: pieces in order; the first has the frame length and the header.
 */
typedef struct KafkaPiece
{
	const char *data;			/* NULL: a span of a log */
	uint32		len;
	PtSpan		span;
} KafkaPiece;

typedef struct KafkaCall
{
	MemoryContext mcxt;			/* everything of this call; deleted by
								 * kafka_call_end */
	KafkaSession *session;
	int16		api_key;
	int16		api_version;
	int32		correlation_id;
	const struct KafkaApi *api;
	void	   *request;
	void	   *response;
	void	   *state;			/* the handler's own, between begin and resume */
	void	   *owner;			/* the server's own */
	const char *frame;			/* request bytes; stay valid until KAFKA_REPLY
								 * or NO_REPLY */
	uint32		frame_len;
	/* APPEND */
	PtProduce  *produce;
	int			nproduce;
	int16		acks;
	XLogRecPtr	lsn;			/* set by the server before resume */
	/* PARK */
	bool		ready;			/* kafka_call_ready was called */
	uint64		token;			/* the coordinator of groups has yet to
								 * answer; 0: it has not been asked */
	bool		answered;		/* it has, and the response is filled */

	/*
	 * WAIT and PARK; and APPEND, until when items with PT_BUSY are tried
	 * again
	 */
	TimestampTz deadline;
	PtLogRef   *waits;
	int			nwaits;
	/* REPLY */
	KafkaPiece *pieces;
	int			npieces;
	uint64		response_bytes;
	bool		error;			/* there is an error code in it */
	/* MOVE */
	KafkaPlane	move_to;
	/* CLOSE */
	const char *problem;
	instr_time	started;
} KafkaCall;

/*
 * Largest request frame accepted, from the setting pgtopic.max_request_size.
 */

/*
 * frame: the request without its length word.  Called in a transaction (the
 * server starts one per turn).  Errors thrown by handlers are caught here (in
 * a subtransaction-free way: the caller's transaction is aborted and started
 * again) and become the error code of the response or CLOSE.  Handlers that
 * change the catalog commit the caller's transaction and start another, so
 * nothing of it may be held across this call.
 */
extern KafkaOutcome kafka_call_begin(KafkaSession *session, const char *frame, uint32 len, KafkaCall **call);

/*
 * Instead of begin, for a request that must run in another worker which is not
 * there: an answer with an error after which clients try again.
 */
extern KafkaOutcome kafka_call_refuse(KafkaSession *session, const char *frame, uint32 len, KafkaCall **call);
extern KafkaOutcome kafka_call_resume(KafkaCall *call, bool timed_out);
extern void kafka_call_end(KafkaCall *call);
extern void kafka_session_end(KafkaSession *session);

/*
 * A parked call can be resumed; may come at any time, also before begin has
 * returned PARK.  The server's hook is told.
 */
extern void kafka_call_ready(KafkaCall *call);
extern void (*kafka_ready_hook) (KafkaCall *call);

/*
 * For the control worker.  kafka_control_heard: a turn begins, with all that
 * has arrived received; only this moves the clock of groups.
 * kafka_control_turn: does what is due in groups, in a transaction, with the
 * caller's memory context being reset after the turn.  kafka_control_wait
 * says, in a transaction or not, after how many ms it may be; 0: it is now,
 * -1: never.
 */
extern void kafka_control_heard(void);
extern void kafka_control_turn(void);
extern int64 kafka_control_wait(void);

/* For the administration worker, likewise. */
extern void kafka_admin_turn(MemoryContext mcxt);
extern int64 kafka_admin_wait(void);

/* Set by the control worker: its groups are those that count. */
extern bool kafka_control_worker;

/* The API of a request, by its header; NULL: none that is known. */
extern const KafkaApi *kafka_frame_api(const char *frame, uint32 len);

#endif							/* PT_KAFKA_H */

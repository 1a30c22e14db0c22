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
 *	WAIT		(Fetch, ListOffsets) nothing to say yet: resume when data has
 *				arrived (any of the states in call->waits moved), at
 *				call->retry_at, or at call->deadline.
 *	PARK		(JoinGroup) resume when the kafka room says kafka_call_ready,
 *				or at call->deadline.  Until then later requests of the
 *				connection wait, as in Kafka.
 *	MOVE		this must run in the worker of the plane call->move_to: the
 *				request goes there, and is begun anew.  begin has done nothing
 *				that the other one's does not expect.  Only where
 *				session->plane is another one, and not ANY.
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

#include <sys/socket.h>

#include "portability/instr_time.h"

#include "fetch/fetch.h"
#include "produce/produce.h"
#include "topic/topic.h"
#include "kafka/errors.h"
#include "kafka/listeners.h"
#include "kafka/messages/apis.h"

/* What comes next; see above. */
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

/* The mechanism of a client that has shown a certificate and said no name. */
#define KAFKA_MECHANISM_SSL		"SSL"

/* The mechanism of an SQL session that asks as a client. */
#define KAFKA_MECHANISM_SQL		"SQL"

/*
 * The state of a connection.  The server owns it, handlers fill it.
 *
 * The first part is what is known of the client.  It is copied as it is to the
 * worker of another plane that gets requests of the client
 * (KAFKA_SESSION_KNOWN), so it has no pointers.
 */
typedef struct KafkaSession
{
	char		client_id[256]; /* ASCII; what else was sent is "?" */
	char		software_name[64];
	char		software_version[64];
	char		peer[64];		/* address of the client, for log lines */
	struct sockaddr_storage address;	/* the same; AF_UNSPEC: not known */
	int			listener;		/* place in pgtopic.listeners of the listener
								 * by which it came */
	KafkaSecurity security;		/* what is spoken there */
	char		mechanism[32];	/* how it has authenticated itself, by the
								 * name of its SASL mechanism, "SSL", or
								 * KAFKA_MECHANISM_SQL; empty: not */
	char		role_name[NAMEDATALEN]; /* with a mechanism: who it is */
	Oid			role;			/* as which it acts; InvalidOid: not known */
	TimestampTz connected_at;

	/* The second part is this process' own. */
	MemoryContext mcxt;			/* the server deletes it with the connection */
	KafkaPlane	plane;			/* of the worker that has it; ANY: of a
								 * process that does everything */
	TimestampTz role_until;		/* when it is to be looked at again, whatever
								 * happens */
	uint64		roles_seen;		/* pt_roles_changes() when that was found out;
								 * 0: not yet */
	const char *cert_cn;		/* of the client's certificate; NULL: there is
								 * none that was verified */
	const char *cert_dn;		/* its subject, as RFC 2253 writes it; as
								 * long-lived as the connection */
	TimestampTz expires_at;		/* when it must have authenticated itself
								 * again; 0: never */
	struct KafkaSasl *sasl;		/* an exchange that goes on; NULL: none */
	struct KafkaFetchState *fetch;	/* fetch sessions (KIP-227) and cursors of
									 * this connection */
	struct PtQuotaClient *quotas;	/* NULL: not asked for yet */
} KafkaSession;

/* Bytes of the first part. */
#define KAFKA_SESSION_KNOWN		offsetof(KafkaSession, mcxt)

/*
 * A piece of a response.  The pieces are sent in order.  The first one has
 * the frame's length and the header.
 */
typedef struct KafkaPiece
{
	const char *data;			/* NULL: the bytes are a span of a log */
	uint32		len;
	PtSpan		span;
} KafkaPiece;

/* A request, from its frame to its response. */
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
	void	   *state;			/* the handler's own, kept between begin and
								 * resume */
	void	   *owner;			/* the server's own */
	const char *frame;			/* bytes of the request; stay valid until
								 * KAFKA_REPLY or NO_REPLY */
	uint32		frame_len;
	/* APPEND */
	PtProduce  *produce;
	int			nproduce;
	int16		acks;			/* as in ProduceRequest: 0, 1, or -1 (all) */
	XLogRecPtr	lsn;			/* end of what was appended; the server sets
								 * it before resume */
	/* PARK */
	bool		ready;			/* kafka_call_ready was called */
	uint64		token;			/* of the coordinator's reply that is still to
								 * come; 0: none */
	bool		answered;		/* the reply came, and the response is filled */
	int			asked_txns;		/* answers of the coordinator of transactions
								 * that are still to come; -1: they will not */

	/*
	 * WAIT, PARK: until then. APPEND: until then items with PT_BUSY are tried
	 * again. 0: no limit.
	 */
	TimestampTz deadline;
	PtLogRef   *waits;			/* WAIT: logs that wake the call */
	int			nwaits;
	TimestampTz retry_at;		/* WAIT: resume then, too, though the time is
								 * not over; 0: no */
	/* REPLY */
	KafkaPiece *pieces;
	int			npieces;
	uint64		response_bytes; /* of the whole response, with its length word */
	bool		error;			/* the response has an error code */
	const char *goodbye;		/* the connection ends with this response, for
								 * that reason; NULL: it does not */
	int32		throttle_ms;	/* the connection is not to be read for so
								 * long; also with NO_REPLY */
	bool		charged;		/* against the quota of time */
	int64		step_ns;		/* since when time is not charged; 0: nobody
								 * asks */
	/* MOVE */
	KafkaPlane	move_to;
	/* CLOSE */
	const char *problem;
	instr_time	started;
} KafkaCall;

/*
 * Starts a request.  frame is the request without its length word.  Must be
 * called in a transaction (the server starts one per turn).  Errors of
 * handlers are caught here without a subtransaction: the caller's transaction
 * is aborted and started again, and the error becomes an error code of the
 * response, or CLOSE.  Handlers that change the catalog commit the caller's
 * transaction and start another.  So the caller must hold nothing of its
 * transaction across this call.
 */
extern KafkaOutcome kafka_call_begin(KafkaSession *session, const char *frame, uint32 len, KafkaCall **call);

/*
 * Instead of begin, for a request that must run in a worker that is not
 * there.  The answer is an error after which clients try again.
 */
extern KafkaOutcome kafka_call_refuse(KafkaSession *session, const char *frame, uint32 len, KafkaCall **call);
extern KafkaOutcome kafka_call_resume(KafkaCall *call, bool timed_out);
extern void kafka_call_end(KafkaCall *call);
extern void kafka_session_end(KafkaSession *session);

/*
 * Finds out as which role the session acts, in a transaction.  A call does so
 * when roles have changed since the last time; the server does so for sessions
 * that are silent.
 */
extern char *kafka_session_resolve(KafkaSession *session);

/* Returns true if the session must authenticate itself and has not yet. */
extern bool kafka_session_is_nobody(const KafkaSession *session);

/* Is the session's role known, and have roles not changed since then? */
extern bool kafka_session_settled(const KafkaSession *session);

/*
 * Says that a parked call can be resumed.  May come at any time, also before
 * begin has returned PARK.  It calls the server's hook.
 */
extern void kafka_call_ready(KafkaCall *call);
extern void (*kafka_ready_hook) (KafkaCall *call);

/*
 * For the control worker. kafka_control_heard: a turn begins, and all that
 * has arrived has been received; only this moves the clock of groups.
 * kafka_control_append: outside of a transaction, appends what coordinators
 * have to store; returns the end of its commit, or an invalid LSN.
 * kafka_control_turn: does what is due in groups and transactions, in a
 * transaction; the caller resets its memory context afterwards.
 * kafka_control_wait: returns the ms until there is something to do; 0: now,
 * -1: never.  It needs no transaction.
 */
extern void kafka_control_heard(void);
extern XLogRecPtr kafka_control_append(void);
extern void kafka_control_turn(void);
extern int64 kafka_control_wait(void);

/* The same for the administration worker. */
extern void kafka_admin_turn(MemoryContext mcxt);
extern int64 kafka_admin_wait(void);

/*
 * Tells the server that the session is about to become the role's (InvalidOid:
 * it does not).  Returns how many connections the role has then, in all
 * workers; -1: nobody knows.
 */
extern int	(*kafka_connections_hook) (KafkaSession *session, Oid role);

/* For quotas: the server has spent time for a client outside of its calls. */
extern void kafka_quota_spent(KafkaSession *session, int64 ns);

/* Set by the control worker, whose groups are those that count. */
extern bool kafka_control_worker;

/* Returns the API of a request by its header, or NULL if it is unknown. */
extern const KafkaApi *kafka_frame_api(const char *frame, uint32 len);

/*
 * Instead of begin, for a request of a known API that another process begins:
 * takes note of what its header says of the client, and sees to it that the
 * session's role is known, in a transaction if it is not settled.  Returns
 * NULL, or why the connection must be closed.
 */
extern const char *kafka_session_heard(KafkaSession *session, const char *frame, uint32 len);

#endif							/* PT_KAFKA_H */

/*-------------------------------------------------------------------------
 *
 * conn.h
 *	  Connections: length-prefixed frames in, messages out.
 *
 * The connections of a group share a loop, limits and a handler.  What happens
 * in one turn of the owner's loop:
 *
 *		net_loop_poll		reads; handler->frame gets every complete frame
 *		net_group_deliver	frames that were read earlier and held back
 *		(the owner works, and queues answers with net_conn_send)
 *		net_group_flush		writes, many messages in one system call
 *		net_group_reap		handler->closed for what ended in this turn
 *
 * A connection never disappears between two reaps, so the owner may keep
 * pointers to it until handler->closed.
 *
 * Backpressure: a connection is not read while inflight_max of its frames are
 * unanswered, output_bytes_max wait to be written, or it is held or muted.
 * Input memory grows with the bytes that arrived, not with what was announced;
 * beyond input_bytes_max only small requests and one large one at a time are
 * read on.
 *
 * Either end may be the one that asks.  Who serves gets frames and sends an
 * answer to each (net_conn_send); who asks sends what it wants (net_conn_ask),
 * and the frames that it gets are the answers.
 *
 * Siblings: loop.h (readiness and timers), listen.h (new connections), tls.h
 * (certificates).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "net/port.h"

#include <sys/uio.h>

#include "net/loop.h"
#include "net/tls.h"

typedef struct NetConn NetConn;
typedef struct NetGroup NetGroup;

/*
 * A frame without its length word, which stands before it.  The bytes are the
 * owner's to change until net_frame_release, also when the connection has
 * ended; any number of frames of a connection may be in use.
 */
typedef struct NetFrame
{
	char	   *data;
	uint32		len;
	struct NetChunk *chunk;		/* what the bytes live in */
} NetFrame;

/*
 * Bytes that are not in memory until they are sent.  map gives the next bytes
 * in at most n pieces; it may be called several times, each time going on
 * behind what it gave before, until used says how many of all these bytes have
 * been sent: the next map starts there.  map returns the number of pieces, 0
 * when they cannot be had yet (it is asked again in a moment), or -1 when they
 * cannot be had; used returns false when what was sent was not right.  These
 * two failures end the connection.  map may not return here at all (an ERROR):
 * see net_group_current.
 */
typedef struct NetSource
{
	int			(*map) (struct NetSource *source, struct iovec *iov, int n, size_t *bytes);
	bool		(*used) (struct NetSource *source, size_t sent);
} NetSource;

typedef struct NetPiece
{
	const char *data;			/* when source is NULL */
	NetSource  *source;
	uint64		len;
} NetPiece;

/*
 * What is sent: an answer, or a question.  Its bytes stay the owner's and must
 * live until sent is called.
 */
typedef struct NetMessage
{
	dlist_node	node;
	NetPiece   *pieces;
	int			npieces;
	int			at;				/* piece being sent */
	uint64		done;			/* bytes of it that are sent */
	uint64		bytes;			/* left in all */
	bool		asks;			/* it answers no frame */

	/*
	 * The message is the owner's again: all sent, or (ok false) the
	 * connection has ended.
	 */
	void		(*sent) (struct NetMessage *message, bool ok);
	void	   *arg;			/* the owner's */
} NetMessage;

typedef struct NetHandler
{
	/*
	 * Takes the frame over: release it, and answer with net_conn_send or
	 * net_conn_answered.
	 */
	void		(*frame) (NetConn *conn, const NetFrame *frame);
	/* The peer sends no more, while its frames are still being worked on. */
	void		(*half_closed) (NetConn *conn);

	/*
	 * From net_group_reap.  reason: NULL when it was the peer who ended it.
	 */
	void		(*closed) (NetConn *conn, const char *reason);
} NetHandler;

typedef struct NetLimits
{
	uint32		frame_bytes_max;
	uint64		input_bytes_max;	/* of all connections */
	uint64		output_bytes_max;	/* of one */
	int			inflight_max;	/* unanswered frames of one */
	int64		idle_us;		/* 0: never too long */
	int64		handshake_us;	/* of TLS, from its beginning; 0: never too
								 * long */
} NetLimits;

/* Who is at the other end of a connection with TLS, and how it is spoken. */
typedef struct NetTlsPeer
{
	char		version[16];	/* "TLSv1.3" */
	char		cipher[64];
	char	   *common_name;	/* of its certificate, UTF-8; NULL: it has
								 * none */
	char	   *subject;		/* the certificate's, as RFC 2253 writes it;
								 * NULL: no certificate */
} NetTlsPeer;

extern NetGroup *net_group_create(NetLoop *loop, const NetHandler *handler, const NetLimits *limits, void *arg);
extern void net_group_destroy(NetGroup *group); /* ends all connections */
extern void net_group_set_limits(NetGroup *group, const NetLimits *limits);
extern void *net_group_arg(const NetGroup *group);
extern int	net_group_count(const NetGroup *group); /* connections */

/* Memory of requests */
extern uint64 net_group_input_bytes(const NetGroup *group);

extern void net_group_deliver(NetGroup *group);
extern void net_group_flush(NetGroup *group);
extern void net_group_reap(NetGroup *group);

/* Something is left to do without waiting. */
extern bool net_group_busy(const NetGroup *group);

/*
 * The connection that net_group_flush is working on, NULL outside of it; for
 * who catches an ERROR.
 */
extern NetConn *net_group_current(const NetGroup *group);

/*
 * Takes over a connected, non-blocking socket.  NULL, and the socket closed,
 * when the system refuses.
 */
extern NetConn *net_conn_open(NetGroup *group, int fd, void *data);

/*
 * Right after net_conn_open: TLS is spoken, with the certificate of "context"
 * (tls.h).  Frames come when the handshake is done.  false: no memory.
 */
extern bool net_conn_start_tls(NetConn *conn, NetTls *context, NetTlsAsk ask);

/*
 * NULL: no TLS, or the handshake is not done; else it lives as long as the
 * connection.  What a certificate says has been verified.
 */
extern const NetTlsPeer *net_conn_tls(const NetConn *conn);
extern void *net_conn_data(const NetConn *conn);
extern bool net_conn_closing(const NetConn *conn);

/* Ends the connection; reason NULL: nothing worth telling. */
extern void net_conn_close(NetConn *conn, const char *reason,...) pg_attribute_printf(2, 3);

/*
 * No more is read; the connection ends, for that reason (NULL: nothing worth
 * telling), when the frames that were delivered are answered and the answers
 * are sent.
 */
extern void net_conn_finish(NetConn *conn, const char *reason,...) pg_attribute_printf(2, 3);

/* From now on no longer frame is accepted; the group's limit holds, too. */
extern void net_conn_limit_frames(NetConn *conn, uint32 bytes_max);

/* While held no further frame is delivered. */
extern void net_conn_hold(NetConn *conn);
extern void net_conn_unhold(NetConn *conn);

/*
 * While muted no further frame is delivered and no byte is read, and the
 * connection is not idle.  Holds do not matter for it, nor it for them.
 */
extern void net_conn_mute(NetConn *conn);
extern void net_conn_unmute(NetConn *conn);

/*
 * What reading and writing have taken since the last call, in ns.  0 unless
 * the group measures it.
 */
extern int64 net_conn_take_spent(NetConn *conn);
extern void net_group_measure(NetGroup *group, bool on);

/* Queues the answer to one frame; messages leave in the order of the calls. */
extern void net_conn_send(NetConn *conn, NetMessage *message);

/* The same for what is no answer. */
extern void net_conn_ask(NetConn *conn, NetMessage *message);

/* No more is sent, which the peer is told; all that was queued has left. */
extern void net_conn_shut(NetConn *conn);

/* output_bytes_max wait to be written. */
extern bool net_conn_output_full(const NetConn *conn);

/* One frame has been dealt with and gets no answer. */
extern void net_conn_answered(NetConn *conn);

/* The owner needs the bytes no more. */
extern void net_frame_release(NetFrame *frame);

/*
 * The frame will be kept for a while: one that is small moves to memory of its
 * own, so that it does not keep that of a whole read.  Its data changes.
 */
extern void net_frame_compact(NetFrame *frame);

/* A frame as it came, to be sent on as it is. */
static inline NetPiece
net_frame_piece(const NetFrame *frame)
{
	NetPiece	piece = {.data = frame->data - sizeof(uint32),.len = sizeof(uint32) + frame->len};

	return piece;
}

#endif							/* NET_CONN_H */

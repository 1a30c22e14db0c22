/*-------------------------------------------------------------------------
 *
 * conn_internal.h
 *	  What conn.c, conn_state.c, input.c and output.c share; nobody else
 *	  includes it.
 *
 * A connection has three states.  conn_state.c alone changes them, and keeps
 * the group's lists in step.
 *
 * life: how it ends.
 *
 *          end of input             net_conn_finish
 *   OPEN ----------------> DRAINING ----------------> FINISHING
 *    |  |                      |                       ^    |
 *    |  '---------------- net_conn_finish -------------'    |
 *    |                         |                            |
 *    '-------------------------+----- net_conn_close -------'---> CLOSED
 *
 *   OPEN       bytes come
 *   DRAINING   the peer sends no more; what it sent is delivered and answered
 *   FINISHING  what is not delivered is gone; what was delivered is answered
 *   CLOSED     the socket is closed; net_group_reap frees the rest
 *
 *   net_conn_settle closes who is DRAINING or FINISHING and has nothing left
 *   to do.
 *
 * input: is it read, and are its frames delivered?
 *
 *            net_conn_unblock             net_conn_hold
 *   READY <-------------------- FLOWING ----------------> HELD
 *     |   -------------------->   | ^   <----------------   ^
 *     |     net_input_deliver     | |    net_conn_unhold    |
 *     |                           | |                       |
 *     |            net_input_read | | net_input_relieve     |
 *     |                           V |                       |
 *     |                        STARVED ---- net_conn_hold --+
 *     |                                                     |
 *     '-------------------------------- net_conn_hold ------'
 *
 *   FLOWING    read when bytes come, unless its limits are reached
 *   READY      whole frames lie here, or bytes in TLS of which no event will
 *              tell: on group->ready
 *   HELD       the owner wants no frame now
 *   STARVED    not read for want of memory: on group->starved
 *   OFF        nothing is read or delivered any more: from each of the others,
 *              by net_conn_finish and net_conn_close
 *
 * output: what do its messages wait for?
 *
 *           net_conn_mark_dirty
 *   IDLE ------------------------> DIRTY <-----------------,
 *    |   <------------------------ |  | ^                  |
 *    |       net_group_flush       |  | | conn_ready       |
 *    |                             |  V | (writable)       |
 *    |----- net_output_flush ------|-> BLOCKED             |
 *    |                             V                       |
 *    '----- net_output_flush ---> PAUSED ---- pause_due ---'
 *
 *   Within net_output_flush an answer that has left may make an IDLE one
 *   DIRTY: from there it becomes BLOCKED or PAUSED as well.
 *
 *   IDLE       for nothing, as there are none
 *   DIRTY      for this turn's flush: on group->dirty
 *   BLOCKED    for the socket, which takes no more: NET_WRITABLE is asked for
 *   PAUSED     for a source that has nothing yet: the timer "pause" runs
 *   OFF        nothing is sent any more: from each of the others, by
 *              net_conn_close
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef NET_CONN_INTERNAL_H
#define NET_CONN_INTERNAL_H

#include "net/conn.h"

/*
 * Memory into which a socket is read.  Every frame in it that is in use has a
 * reference, and so has the connection as long as it reads into it.
 */
typedef struct NetChunk
{
	NetConn    *conn;			/* whose input_bytes it counts for */
	struct NetChunk *next_spare;
	uint32		refs;
	uint32		cap;
	uint32		used;			/* bytes received */
	uint32		charged;		/* bytes it counts in input_bytes */
	char		data[FLEXIBLE_ARRAY_MEMBER];
} NetChunk;

typedef struct NetGather NetGather;

typedef enum NetLife
{
	NET_OPEN,
	NET_DRAINING,
	NET_FINISHING,
	NET_CLOSED
} NetLife;

typedef enum NetInput
{
	NET_INPUT_FLOWING,
	NET_INPUT_READY,
	NET_INPUT_HELD,
	NET_INPUT_STARVED,
	NET_INPUT_OFF
} NetInput;

typedef enum NetOutput
{
	NET_OUTPUT_IDLE,
	NET_OUTPUT_DIRTY,
	NET_OUTPUT_BLOCKED,
	NET_OUTPUT_PAUSED,
	NET_OUTPUT_OFF
} NetOutput;

struct NetGroup
{
	NetLoop    *loop;
	NetHandler	handler;
	NetLimits	limits;
	void	   *arg;
	int			count;
	dlist_head	conns;			/* all that are not closed */
	dlist_head	closed;			/* NET_CLOSED, to be reaped */
	dlist_head	ready;			/* NET_INPUT_READY */
	dlist_head	starved;		/* NET_INPUT_STARVED */
	dlist_head	dirty;			/* NET_OUTPUT_DIRTY */
	NetConn    *current;		/* being flushed */
	bool		measures;		/* the time that connections take */

	/* input memory */
	uint64		input_bytes;	/* memory of all chunks in use */
	uint64		inuse_bytes;	/* of frames that the owner has */
	NetConn    *favourite;		/* the one large request that is read on
								 * nevertheless */
	NetChunk   *spare;			/* chunks of NET_READ_BYTES to use again */
	int			nspare;

	NetGather  *gather;

	/* TLS */
	char	   *spare_out;		/* memory for sealed bytes, to use again */
	size_t		spare_out_cap;
	int			handshakes;		/* steps of handshakes in this turn */
};

struct NetConn
{
	NetGroup   *group;
	void	   *data;			/* the owner's */
	NetLife		life;
	NetInput	input;
	NetOutput	output;
	dlist_node	node;			/* on group->conns or ->closed */
	dlist_node	input_node;		/* on group->ready or ->starved */
	dlist_node	output_node;	/* on group->dirty */
	NetWatch	watch;			/* fd -1: closed */
	NetTimer	timer;
	int64		active_at;		/* when bytes moved last */
	char		reason[128];	/* why it ends; "": nothing worth telling */
	int64		spent_ns;		/* by group->measures */
	bool		reaped;			/* only frames that are in use keep it */
	struct NetSecure *tls;		/* tls.c; NULL: none */
	int64		opened_at;

	/* input */
	NetChunk   *chunk;			/* bytes [rpos, used) are not delivered yet;
								 * NULL: there are none */
	uint32		rpos;
	uint32		last_frame;		/* length of the last frame delivered */
	uint32		frame_bytes_max;	/* beside the group's */
	bool		greeted;		/* there was a frame */
	uint64		input_bytes;
	int			inflight;
	bool		muted;			/* beside the states of input */

	/* output */
	dlist_head	out;
	uint64		out_bytes;
	size_t		send_max;		/* bytes worth offering to the socket at once */
	NetTimer	pause;			/* NET_OUTPUT_PAUSED: when it is tried again */
	int64		paused_since;	/* when a source had nothing first; 0: bytes
								 * have been sent since */
};

/* conn_state.c */
extern void net_conn_set_life(NetConn *conn, NetLife to);
extern void net_conn_set_input(NetConn *conn, NetInput to);
extern void net_conn_set_output(NetConn *conn, NetOutput to);
extern void net_conn_check(const NetConn *conn);

/* conn.c */
extern bool net_conn_may_deliver(const NetConn *conn);
extern void net_conn_unblock(NetConn *conn);
extern void net_conn_settle(NetConn *conn);
extern void net_conn_free(NetConn *conn);
extern void net_conn_mark_dirty(NetConn *conn);

/* input.c */
extern void net_input_read(NetConn *conn);
extern void net_input_deliver(NetConn *conn);
extern void net_input_resume(NetConn *conn);
extern bool net_input_pending(const NetConn *conn);
extern void net_input_drop(NetConn *conn);
extern bool net_input_over_budget(const NetGroup *group);
extern void net_input_relieve(NetGroup *group);
extern void net_input_free_spares(NetGroup *group);

/* output.c */
extern NetGather *net_gather_create(void);
extern void net_output_init(NetConn *conn);
extern void net_output_flush(NetConn *conn);
extern bool net_output_pending(const NetConn *conn);
extern void net_output_drop(NetConn *conn);

#endif							/* NET_CONN_INTERNAL_H */

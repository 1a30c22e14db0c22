/*-------------------------------------------------------------------------
 *
 * conn_internal.h
 *	  What conn.c, input.c and output.c share; nobody else includes it.
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

struct NetGroup
{
	NetLoop    *loop;
	NetHandler	handler;
	NetLimits	limits;
	void	   *arg;
	int			count;
	dlist_head	conns;			/* all that are open */
	dlist_head	closing;		/* ended, to be reaped */
	dlist_head	ready;			/* have whole frames to deliver */
	dlist_head	dirty;			/* have messages that can be written */
	NetConn    *current;		/* being flushed */

	/* input memory */
	uint64		input_bytes;	/* memory of all chunks in use */
	uint64		inuse_bytes;	/* of frames that the owner has */
	int			nstarved;		/* connections not read for want of it */
	NetConn    *favourite;		/* the one large request that is read on
								 * nevertheless */
	NetChunk   *spare;			/* chunks of NET_READ_BYTES to use again */
	int			nspare;

	NetGather  *gather;
};

struct NetConn
{
	NetGroup   *group;
	void	   *data;			/* the owner's */
	dlist_node	node;			/* on group->conns or ->closing */
	dlist_node	ready_node;
	dlist_node	dirty_node;
	NetWatch	watch;
	NetTimer	timer;
	int64		active_at;		/* when bytes moved last */

	bool		eof;			/* the peer sends no more, or nobody listens */
	bool		held;
	bool		closing;
	bool		starved;		/* not read: input memory */
	bool		ready;			/* on group->ready */
	bool		dirty;			/* on group->dirty */
	bool		blocked;		/* the socket takes no more: NET_WRITABLE is
								 * asked for */
	bool		has_reason;
	char		reason[128];

	/* input */
	NetChunk   *chunk;			/* bytes [rpos, used) are not delivered yet;
								 * NULL: there are none */
	uint32		rpos;
	uint32		last_frame;		/* length of the last frame delivered */
	uint64		input_bytes;
	int			inflight;

	/* output */
	dlist_head	out;
	uint64		out_bytes;
	size_t		send_max;		/* bytes worth offering to the socket at once */
};

/* conn.c */
extern bool net_conn_may_deliver(const NetConn *conn);
extern void net_conn_unblock(NetConn *conn);
extern void net_conn_settle(NetConn *conn);
extern void net_conn_mark_dirty(NetConn *conn);

/* input.c */
extern void net_input_read(NetConn *conn);
extern void net_input_deliver(NetConn *conn);
extern bool net_input_pending(const NetConn *conn);
extern void net_input_drop(NetConn *conn);
extern bool net_input_over_budget(const NetGroup *group);
extern void net_input_relieve(NetGroup *group);
extern void net_input_free_spares(NetGroup *group);

/* output.c */
extern NetGather *net_gather_create(void);
extern void net_output_flush(NetConn *conn);
extern void net_output_drop(NetConn *conn);

#endif							/* NET_CONN_INTERNAL_H */

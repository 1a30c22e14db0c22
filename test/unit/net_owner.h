/*-------------------------------------------------------------------------
 *
 * net_owner.h
 *	  Whoever owns connections, for tests of the net room: it echoes frames, or
 *	  keeps them to echo them later.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef NET_OWNER_H
#define NET_OWNER_H

#include "test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/conn.h"
#include "net/loop.h"

/*
 * The server's pairing heap is not in the frontend libraries; here a sorted list does.
 */
void
pairingheap_add(pairingheap *heap, pairingheap_node *node)
{
	pairingheap_node **at = &heap->ph_root;

	while (*at != NULL && heap->ph_compare(*at, node, heap->ph_arg) >= 0)
		at = &(*at)->next_sibling;
	node->next_sibling = *at;
	*at = node;
}

pairingheap_node *
pairingheap_first(pairingheap *heap)
{
	return heap->ph_root;
}

pairingheap_node *
pairingheap_remove_first(pairingheap *heap)
{
	pairingheap_node *first = heap->ph_root;

	heap->ph_root = first->next_sibling;
	return first;
}

void
pairingheap_remove(pairingheap *heap, pairingheap_node *node)
{
	pairingheap_node **at = &heap->ph_root;

	while (*at != node)
		at = &(*at)->next_sibling;
	*at = node->next_sibling;
}

/*
 * The owner of the connections.
 */

#define FRAMES_MAX	4096

typedef struct Answer
{
	NetMessage	message;
	NetPiece	pieces[3];
	char		head[4];
	NetFrame	frame;
	NetConn    *conn;
} Answer;

typedef struct Owner
{
	int			number;
	NetConn    *conn;			/* NULL: closed */
	int			peer;			/* the other end */
	char		reason[128];
	bool		half_closed;
} Owner;

static NetLoop *loop;
static NetGroup *group;
static bool keep_frames;		/* else they are echoed at once */
static Answer *kept[FRAMES_MAX];
static int	nkept;
static int	nframes;
static int	nclosed;
static Owner *close_on_frame;	/* another connection to close from the
								 * callback */

static void
on_sent(NetMessage *message, bool ok)
{
	Answer	   *answer = message->arg;

	net_frame_release(&answer->frame);
	free(answer);
}

static void
echo(Answer *answer)
{
	uint32		len = pg_hton32(answer->frame.len);

	memcpy(answer->head, &len, 4);
	answer->pieces[0].data = answer->head;
	answer->pieces[0].len = 4;
	answer->pieces[1].data = answer->frame.data;
	answer->pieces[1].len = answer->frame.len;
	answer->message.pieces = answer->pieces;
	answer->message.npieces = 2;
	answer->message.sent = on_sent;
	answer->message.arg = answer;
	net_conn_send(answer->conn, &answer->message);
}

static void
on_frame(NetConn *conn, const NetFrame *frame)
{
	Answer	   *answer = calloc(1, sizeof(Answer));

	nframes++;
	answer->frame = *frame;
	answer->conn = conn;
	if (close_on_frame != NULL && close_on_frame->conn != conn && close_on_frame->conn != NULL)
		net_conn_close(close_on_frame->conn, "another said so");
	if (keep_frames)
		kept[nkept++] = answer;
	else
		echo(answer);
}

static void
on_half_closed(NetConn *conn)
{
	((Owner *) net_conn_data(conn))->half_closed = true;
}

static void
on_closed(NetConn *conn, const char *reason)
{
	Owner	   *owner = net_conn_data(conn);

	for (int i = 0; i < nkept; i++)
	{
		if (kept[i]->conn != conn)
			continue;
		net_frame_release(&kept[i]->frame);
		free(kept[i]);
		kept[i--] = kept[--nkept];
	}
	snprintf(owner->reason, sizeof(owner->reason), "%s", reason ? reason : "");
	owner->conn = NULL;
	nclosed++;
}

static const NetHandler handler = {on_frame, on_half_closed, on_closed};
static const NetLimits usual = {
	.frame_bytes_max = 100 * 1024 * 1024,
	.input_bytes_max = 64 * 1024 * 1024,
	.output_bytes_max = 1024 * 1024,
	.inflight_max = 64,
	.idle_us = 0
};

static void
start(const NetLimits *limits)
{
	keep_frames = false;
	nkept = nframes = nclosed = 0;
	close_on_frame = NULL;
	loop = net_loop_create();
	group = net_group_create(loop, &handler, limits, NULL);
}

static void
stop(void)
{
	net_group_destroy(group);
	net_loop_destroy(loop);
}

static void
open_pair(Owner *owner)
{
	int			fds[2];

	memset(owner, 0, sizeof(*owner));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	owner->peer = fds[1];
	owner->conn = net_conn_open(group, fds[0], owner);
	CHECK(owner->conn != NULL);
}

/* One turn, as the server has it. */
static void
turn(void)
{
	(void) net_loop_poll(loop, 0);
	net_loop_run_timers(loop);
	net_group_deliver(group);
	net_group_flush(group);
	net_group_reap(group);
}

static void
turns(int n)
{
	while (n-- > 0)
		turn();
}

static void
answer_kept(void)
{
	int			n = nkept;
	Answer	   *all[FRAMES_MAX];

	memcpy(all, kept, n * sizeof(Answer *));
	nkept = 0;
	for (int i = 0; i < n; i++)
		echo(all[i]);
}

#endif							/* NET_OWNER_H */

/*-------------------------------------------------------------------------
 *
 * conn_state.c
 *	  The states of a connection: every change of one is made here.
 *
 * conn_internal.h has the drawing.  A change that is not in the drawing fails
 * an Assert.  Setting the state that is there already does nothing.
 *
 * Siblings: conn.c, input.c, output.c (who decides on the changes).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "net/port.h"

#include "net/conn_internal.h"

/* From each state, a bit for each state that may follow. */
#define TO(state)	(1 << (state))

#ifdef USE_ASSERT_CHECKING
static const uint8 after_life[] = {
	[NET_OPEN] = TO(NET_DRAINING) | TO(NET_FINISHING) | TO(NET_CLOSED),
	[NET_DRAINING] = TO(NET_FINISHING) | TO(NET_CLOSED),
	[NET_FINISHING] = TO(NET_CLOSED),
	[NET_CLOSED] = 0
};

static const uint8 after_input[] = {
	[NET_INPUT_FLOWING] = TO(NET_INPUT_READY) | TO(NET_INPUT_HELD) | TO(NET_INPUT_STARVED) | TO(NET_INPUT_OFF),
	[NET_INPUT_READY] = TO(NET_INPUT_FLOWING) | TO(NET_INPUT_HELD) | TO(NET_INPUT_OFF),
	[NET_INPUT_HELD] = TO(NET_INPUT_FLOWING) | TO(NET_INPUT_OFF),
	[NET_INPUT_STARVED] = TO(NET_INPUT_FLOWING) | TO(NET_INPUT_HELD) | TO(NET_INPUT_OFF),
	[NET_INPUT_OFF] = 0
};

static const uint8 after_output[] = {
	[NET_OUTPUT_IDLE] = TO(NET_OUTPUT_DIRTY) | TO(NET_OUTPUT_BLOCKED) | TO(NET_OUTPUT_PAUSED) |
	TO(NET_OUTPUT_OFF),
	[NET_OUTPUT_DIRTY] = TO(NET_OUTPUT_IDLE) | TO(NET_OUTPUT_BLOCKED) | TO(NET_OUTPUT_PAUSED) |
	TO(NET_OUTPUT_OFF),
	[NET_OUTPUT_BLOCKED] = TO(NET_OUTPUT_DIRTY) | TO(NET_OUTPUT_OFF),
	[NET_OUTPUT_PAUSED] = TO(NET_OUTPUT_DIRTY) | TO(NET_OUTPUT_OFF),
	[NET_OUTPUT_OFF] = 0
};
#endif

void
net_conn_set_life(NetConn *conn, NetLife to)
{
	NetGroup   *group = conn->group;

	if (conn->life == to)
		return;
	Assert(after_life[conn->life] & TO(to));
	conn->life = to;
	if (to == NET_CLOSED)
	{
		dlist_delete(&conn->node);
		dlist_push_tail(&group->closed, &conn->node);
		Assert(group->count > 0);
		group->count--;
	}
}

void
net_conn_set_input(NetConn *conn, NetInput to)
{
	NetGroup   *group = conn->group;

	if (conn->input == to)
		return;
	Assert(after_input[conn->input] & TO(to));
	if (conn->input == NET_INPUT_READY || conn->input == NET_INPUT_STARVED)
		dlist_delete(&conn->input_node);
	conn->input = to;
	if (to == NET_INPUT_READY)
		dlist_push_tail(&group->ready, &conn->input_node);
	else if (to == NET_INPUT_STARVED)
		dlist_push_tail(&group->starved, &conn->input_node);
}

void
net_conn_set_output(NetConn *conn, NetOutput to)
{
	NetGroup   *group = conn->group;

	if (conn->output == to)
		return;
	Assert(after_output[conn->output] & TO(to));
	if (conn->output == NET_OUTPUT_DIRTY)
		dlist_delete(&conn->output_node);
	conn->output = to;
	if (to == NET_OUTPUT_DIRTY)
		dlist_push_tail(&group->dirty, &conn->output_node);
}

/* What holds whenever none of the room's functions works on the connection. */
void
net_conn_check(const NetConn *conn)
{
#ifdef USE_ASSERT_CHECKING
	const NetChunk *chunk = conn->chunk;
	uint32		asked = conn->watch.events;

	Assert((conn->life == NET_CLOSED) == (conn->watch.fd < 0));
	Assert((conn->life == NET_CLOSED) == (conn->output == NET_OUTPUT_OFF));
	Assert((conn->life >= NET_FINISHING) == (conn->input == NET_INPUT_OFF));
	Assert(conn->inflight >= 0);
	Assert(chunk == NULL || (conn->rpos <= chunk->used && chunk->used <= chunk->cap && chunk->refs > 0));
	if (conn->life == NET_CLOSED)
		return;
	Assert(conn->timer.armed);
	Assert(conn->input != NET_INPUT_OFF || chunk == NULL);
	Assert(conn->life == NET_OPEN || !(asked & NET_READABLE));
	Assert(conn->input != NET_INPUT_STARVED || (conn->life == NET_OPEN && !(asked & NET_READABLE)));
	Assert((conn->output == NET_OUTPUT_BLOCKED) == ((asked & NET_WRITABLE) != 0));
	Assert((conn->output == NET_OUTPUT_PAUSED) == conn->pause.armed);
	Assert(conn->output != NET_OUTPUT_PAUSED || conn->out_bytes > 0);
	Assert((conn->out_bytes == 0) == dlist_is_empty(unconstify(dlist_head *, &conn->out)));
	Assert(conn->output != NET_OUTPUT_IDLE || !net_output_pending(conn));
#endif
}

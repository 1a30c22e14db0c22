/*-------------------------------------------------------------------------
 *
 * input.c
 *	  From a socket's bytes to frames, without copying large ones.
 *
 * A connection reads into a chunk.  Small frames come many at a time and are
 * delivered where they lie; only the beginning of a frame that did not arrive
 * whole is moved to the next chunk.  A large frame gets a chunk of its own
 * size and the rest of it is received into its final place; after one, the
 * next length word is read alone, so that the next large frame is not
 * copied at all.
 *
 * A chunk grows only with what has arrived: to NET_TRUST_BYTES once some of
 * the frame is there or the connection has sent a large one before, then
 * fourfold.  So announcing a huge frame costs us nothing.  Small chunks count
 * in the budget as they are, large ones with what has been received into them,
 * as the rest of their memory has not been touched.  A connection without a
 * begun frame has no chunk at all.
 *
 * Siblings: conn.c, output.c, tls.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "net/port.h"

#include <sys/socket.h>

#include "net/conn_internal.h"
#include "net/tls_internal.h"

#define NET_READ_BYTES		(256 * 1024)	/* one read of small frames */
#define NET_SCARCE_BYTES	(4 * 1024)	/* the same when memory is short */
#define NET_FAIR_MIN		(16 * 1024)
#define NET_TRUST_FROM		(16 * 1024)
#define NET_TRUST_BYTES		(2 * 1024 * 1024)
#define NET_READS_PER_TURN	4
#define NET_SPARES			8
#define NET_LENGTH_WORD		4

static NetChunk *chunk_new(NetConn *conn, uint32 cap);
static void chunk_charge(NetChunk *chunk, uint32 bytes);
static void chunk_release(NetChunk *chunk);
static bool chunk_move(NetConn *conn, uint32 cap);
static uint32 bytes_pending(const NetConn *conn);
static int64 frame_announced(const NetConn *conn);
static bool may_be_favourite(const NetConn *conn);
static bool input_starved(NetConn *conn);
static uint32 capacity_wanted(const NetConn *conn, bool scarce);
static bool input_room(NetConn *conn);
static size_t input_receive_max(const NetConn *conn);
static ssize_t input_receive(NetConn *conn, char *to, size_t max);
static bool greets_with_tls(const NetConn *conn);
static void input_trim(NetConn *conn);

/*
 * Chunks of the usual size are kept for the next reader, because most live for
 * one turn only.
 */
static NetChunk *
chunk_new(NetConn *conn, uint32 cap)
{
	NetGroup   *group = conn->group;
	NetChunk   *chunk;

	if (cap == NET_READ_BYTES && group->spare != NULL)
	{
		chunk = group->spare;
		group->spare = chunk->next_spare;
		group->nspare--;
	}
	else
		chunk = malloc(offsetof(NetChunk, data) + cap);
	if (chunk == NULL)
		return NULL;
	chunk->conn = conn;
	chunk->next_spare = NULL;
	chunk->refs = 1;
	chunk->cap = cap;
	chunk->used = 0;
	chunk->charged = 0;
	if (cap <= NET_READ_BYTES)
		chunk_charge(chunk, cap);
	return chunk;
}

static void
chunk_charge(NetChunk *chunk, uint32 bytes)
{
	Assert(bytes <= chunk->cap);
	if (bytes <= chunk->charged)
		return;
	chunk->conn->input_bytes += bytes - chunk->charged;
	chunk->conn->group->input_bytes += bytes - chunk->charged;
	chunk->charged = bytes;
}

static void
chunk_release(NetChunk *chunk)
{
	NetConn    *conn = chunk->conn;
	NetGroup   *group = conn->group;

	Assert(chunk->refs > 0);
	if (--chunk->refs > 0)
		return;
	Assert(conn->input_bytes >= chunk->charged && group->input_bytes >= chunk->charged);
	conn->input_bytes -= chunk->charged;
	group->input_bytes -= chunk->charged;
	if (chunk->cap == NET_READ_BYTES && group->nspare < NET_SPARES)
	{
		chunk->next_spare = group->spare;
		group->spare = chunk;
		group->nspare++;
	}
	else
		free(chunk);
	if (conn->reaped && conn->input_bytes == 0)
		net_conn_free(conn);
}

void
net_input_free_spares(NetGroup *group)
{
	while (group->spare != NULL)
	{
		NetChunk   *chunk = group->spare;

		group->spare = chunk->next_spare;
		free(chunk);
	}
	group->nspare = 0;
}

/*
 * Lets the connection read into a chunk of "cap" bytes, with its pending bytes
 * in front.
 */
static bool
chunk_move(NetConn *conn, uint32 cap)
{
	uint32		have = bytes_pending(conn);
	NetChunk   *chunk;

	Assert(cap >= have && cap > 0);
	chunk = chunk_new(conn, cap);
	if (chunk == NULL)
		return false;
	if (conn->chunk != NULL)
	{
		memcpy(chunk->data, conn->chunk->data + conn->rpos, have);
		chunk->used = have;
		chunk_charge(chunk, have);
		chunk_release(conn->chunk);
	}
	conn->chunk = chunk;
	conn->rpos = 0;
	return true;
}

static uint32
bytes_pending(const NetConn *conn)
{
	return conn->chunk == NULL ? 0 : conn->chunk->used - conn->rpos;
}

/*
 * Length of the frame whose length word has arrived, else -1.  May be any
 * 32-bit number.
 */
static int64
frame_announced(const NetConn *conn)
{
	uint32		word;

	if (bytes_pending(conn) < NET_LENGTH_WORD)
		return -1;
	memcpy(&word, conn->chunk->data + conn->rpos, sizeof(word));
	return pg_ntoh32(word);
}

static uint32
frame_bytes_max(const NetConn *conn)
{
	return Min(conn->frame_bytes_max, conn->group->limits.frame_bytes_max);
}

/* Is there a whole frame, or one that is an error, to deliver? */
bool
net_input_pending(const NetConn *conn)
{
	int64		len = frame_announced(conn);

	return len >= 0 &&
		(len > frame_bytes_max(conn) || bytes_pending(conn) - NET_LENGTH_WORD >= len);
}

bool
net_input_over_budget(const NetGroup *group)
{
	return group->input_bytes >= group->limits.input_bytes_max;
}

/* Who is muted would finish nothing; who is held is not starved. */
static bool
may_be_favourite(const NetConn *conn)
{
	const NetGroup *group = conn->group;

	return group->favourite == NULL && !conn->muted && bytes_pending(conn) > 0 &&
		group->inuse_bytes < group->limits.input_bytes_max;
}

/*
 * Over the budget a connection may go on up to its fair share, which lets
 * ordinary small requests through.  One that has begun a request and needs
 * more must be the favourite: there is always one that can finish, so that
 * memory comes free again.  When frames that are being worked on are what
 * fills the memory, they are waited for.
 */
static bool
input_starved(NetConn *conn)
{
	NetGroup   *group = conn->group;
	uint64		fair;

	if (!net_input_over_budget(group) || group->favourite == conn)
		return false;
	fair = group->limits.input_bytes_max / (2 * (uint64) Max(group->count, 1));
	if (conn->input_bytes < Max(fair, NET_FAIR_MIN))
		return false;
	if (may_be_favourite(conn))
	{
		group->favourite = conn;
		return false;
	}
	return true;
}

/*
 * Lets those who were starved try again, the one that waits longest first: all
 * of them when there is memory, else a new favourite.
 */
void
net_input_relieve(NetGroup *group)
{
	bool		enough = group->input_bytes < group->limits.input_bytes_max / 4 * 3;
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &group->starved)
	{
		NetConn    *conn = dlist_container(NetConn, input_node, iter.cur);

		Assert(conn->input == NET_INPUT_STARVED);
		if (!enough && !may_be_favourite(conn))
			continue;
		if (!enough)
			group->favourite = conn;
		net_conn_set_input(conn, NET_INPUT_FLOWING);
		net_conn_unblock(conn);
	}
}

/* Bytes that the chunk should hold from the begun frame's first byte on. */
static uint32
capacity_wanted(const NetConn *conn, bool scarce)
{
	uint32		have = bytes_pending(conn);
	int64		len = frame_announced(conn);
	int64		base = scarce ? NET_SCARCE_BYTES : NET_READ_BYTES;
	int64		need;

	if (have == 0 && conn->last_frame > NET_READ_BYTES)
		return NET_LENGTH_WORD;
	if (len < 0)
		return base;
	need = len + NET_LENGTH_WORD;
	if (need <= base)
		return base;
	if (!scarce)
		base = have >= NET_TRUST_FROM || conn->last_frame > NET_READ_BYTES ?
			NET_TRUST_BYTES : NET_READ_BYTES;
	return (uint32) Min(need, Max(base, (int64) have * 4));
}

/* Makes room to receive into; false when there is no memory. */
static bool
input_room(NetConn *conn)
{
	NetGroup   *group = conn->group;
	NetChunk   *chunk = conn->chunk;
	bool		scarce = net_input_over_budget(group) && group->favourite != conn;
	uint32		want = capacity_wanted(conn, scarce);

	if (chunk != NULL)
	{
		if (bytes_pending(conn) == 0 && chunk->refs == 1)
			conn->rpos = chunk->used = 0;
		if (chunk->cap - conn->rpos >= want && chunk->used < chunk->cap)
			return true;
	}
	return chunk_move(conn, Max(want, bytes_pending(conn)));
}

/* What to ask the socket for: not beyond the end of a large frame. */
static size_t
input_receive_max(const NetConn *conn)
{
	size_t		space = conn->chunk->cap - conn->chunk->used;
	int64		len = frame_announced(conn);

	if (len > NET_READ_BYTES)
		return Min(space, len + NET_LENGTH_WORD - bytes_pending(conn));
	return space;
}

/*
 * Called when the socket is readable.  Stops when the socket is empty, when
 * the connection may not be read any more, or after a fair number of reads.
 */
void
net_input_read(NetConn *conn)
{
	for (int i = 0; i < NET_READS_PER_TURN && conn->life == NET_OPEN && net_conn_may_deliver(conn); i++)
	{
		size_t		max;
		ssize_t		n;

		if (input_starved(conn))
		{
			Assert(!net_input_pending(conn));
			net_conn_set_input(conn, NET_INPUT_STARVED);
			net_watch_set(conn->group->loop, &conn->watch, conn->watch.events & ~NET_READABLE);
			break;
		}
		if (!input_room(conn))
		{
			net_conn_close(conn, "out of memory for a request");
			return;
		}
		max = input_receive_max(conn);
		Assert(max > 0);
		n = input_receive(conn, conn->chunk->data + conn->chunk->used, max);
		if (n <= 0)
			break;
		conn->chunk->used += n;
		chunk_charge(conn->chunk, conn->chunk->used);
		conn->active_at = net_now();
		net_input_deliver(conn);
		if (n < max)
			break;
	}
	if (conn->life == NET_DRAINING)
		net_watch_set(conn->group->loop, &conn->watch, conn->watch.events & ~NET_READABLE);
	input_trim(conn);
	/* what TLS has taken from the socket already gets a turn of its own */
	if (conn->life == NET_OPEN && net_tls_pending(conn) && net_conn_may_deliver(conn))
		net_conn_set_input(conn, NET_INPUT_READY);
}

/*
 * As recv(2); what it says of the connection's end is done.
 */
static ssize_t
input_receive(NetConn *conn, char *to, size_t max)
{
	ssize_t		n = conn->tls != NULL ? net_tls_receive(conn, to, max) :
		recv(conn->watch.fd, to, max, MSG_DONTWAIT);

	/* what TLS has to say by itself goes out with this turn's flush */
	if (net_tls_unsent(conn))
		net_conn_mark_dirty(conn);
	if (n > 0)
		return n;
	if (n == 0 && net_tls_shaking(conn))
		net_conn_close(conn, NULL);
	else if (n == 0)
	{
		net_conn_set_life(conn, NET_DRAINING);
		if (conn->inflight > 0)
			conn->group->handler.half_closed(conn);
	}
	else if (errno == ECONNRESET)
		net_conn_close(conn, NULL);
	else if (errno == EPROTO && conn->tls != NULL)
		net_conn_close(conn, "%s", net_tls_problem(conn));
	else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
		net_conn_close(conn, "could not receive: %s", strerror(errno));
	return n;
}

/*
 * The connection was READY: its frames are delivered, and then what TLS has is
 * read.
 */
void
net_input_resume(NetConn *conn)
{
	net_input_deliver(conn);
	if (conn->life == NET_OPEN && net_tls_pending(conn) && net_conn_may_deliver(conn))
		net_input_read(conn);
}

/*
 * Are the first bytes a record of TLS rather than the length of a frame?  It
 * would be one of 350 MB.
 */
static bool
greets_with_tls(const NetConn *conn)
{
	const char *bytes = conn->chunk->data + conn->rpos;

	return bytes[0] == 0x16 && bytes[1] == 0x03 && (unsigned char) bytes[2] <= 0x04;
}

/*
 * Hands over all whole frames that the connection may have in work.  Callbacks
 * may hold, finish and close the connection meanwhile.
 */
void
net_input_deliver(NetConn *conn)
{
	NetGroup   *group = conn->group;

	if (conn->input == NET_INPUT_READY)
		net_conn_set_input(conn, NET_INPUT_FLOWING);
	while (conn->life != NET_CLOSED)
	{
		int64		len = frame_announced(conn);
		NetFrame	frame;

		if (len < 0)
			break;
		if (!conn->greeted && greets_with_tls(conn))
		{
			net_conn_finish(conn, "it speaks TLS, which is not spoken by this listener");
			break;
		}
		if (len > frame_bytes_max(conn))
		{
			net_conn_finish(conn, "it announces a request of %d bytes, the limit is %u",
							(int) (int32) len, frame_bytes_max(conn));
			break;
		}
		if (bytes_pending(conn) - NET_LENGTH_WORD < len || !net_conn_may_deliver(conn))
			break;
		frame.data = conn->chunk->data + conn->rpos + NET_LENGTH_WORD;
		frame.len = (uint32) len;
		frame.chunk = conn->chunk;
		conn->chunk->refs++;
		group->inuse_bytes += frame.len;
		conn->rpos += NET_LENGTH_WORD + frame.len;
		Assert(conn->rpos <= conn->chunk->used);
		conn->last_frame = frame.len;
		conn->greeted = true;
		conn->inflight++;
		Assert(conn->inflight <= group->limits.inflight_max);
		if (group->favourite == conn)
			group->favourite = NULL;
		group->handler.frame(conn, &frame);
	}
	if (conn->life != NET_CLOSED && bytes_pending(conn) == 0)
		net_input_drop(conn);
}

/*
 * Between reads nobody sits on much more memory than it has bytes in: the
 * begin of a frame moves to where it just fits.  In a large chunk the rest is
 * untouched.
 */
static void
input_trim(NetConn *conn)
{
	uint32		have = bytes_pending(conn);

	if (conn->life == NET_CLOSED || conn->chunk == NULL)
		return;
	if (have == 0)
		net_input_drop(conn);
	else if (conn->chunk->cap <= NET_READ_BYTES && conn->chunk->cap / 4 > have)
		(void) chunk_move(conn, (have + 63) & ~63U);
}

/* Gives the chunk up, with what is in it. */
void
net_input_drop(NetConn *conn)
{
	if (conn->group->favourite == conn)
		conn->group->favourite = NULL;
	if (conn->chunk == NULL)
		return;
	chunk_release(conn->chunk);
	conn->chunk = NULL;
	conn->rpos = 0;
}

/*
 * Gives the frame's bytes back; a second call does nothing.  The last frame of
 * a connection that was reaped frees that, too.
 */
void
net_frame_release(NetFrame *frame)
{
	if (frame->chunk == NULL)
		return;
	Assert(frame->chunk->conn->group->inuse_bytes >= frame->len);
	frame->chunk->conn->group->inuse_bytes -= frame->len;
	chunk_release(frame->chunk);
	frame->chunk = NULL;
	frame->data = NULL;
}

/*
 * See conn.h.  Without memory the frame stays where it is.
 */
void
net_frame_compact(NetFrame *frame)
{
	NetChunk   *old = frame->chunk;
	uint32		bytes = NET_LENGTH_WORD + frame->len;
	NetChunk   *chunk;

	Assert(old != NULL);
	if (old->cap / 4 <= bytes)
		return;
	chunk = chunk_new(old->conn, bytes);
	if (chunk == NULL)
		return;
	memcpy(chunk->data, frame->data - NET_LENGTH_WORD, bytes);
	chunk->used = bytes;
	frame->data = chunk->data + NET_LENGTH_WORD;
	frame->chunk = chunk;
	chunk_release(old);
}

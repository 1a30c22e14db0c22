/*-------------------------------------------------------------------------
 *
 * span_source.c
 *	  A span of a log as a source of bytes: from shared buffers to the socket.
 *
 * Nothing is copied (but pieces too small to be worth it, by net), and nothing
 * stays pinned between two sends: what the socket did not take is mapped again
 * when it is writable.  Of each map a step remembers where it began and how
 * long its pieces are; after the send, the span goes to the step in which the
 * sent bytes end, and from there over the whole pieces that were sent; the
 * rest is "skip".
 *
 * Pages that are still to be read from the disk are not waited for: the map
 * ends before them, or says that there is nothing yet.
 *
 * Retention may recycle pages that are being sent.  pt_span_intact tells
 * after the fact, and then the connection ends, as the client has bytes
 * that are none of its own.
 *
 * All of this runs in a transaction (pt_turn_transaction), whose resource
 * owner has the pins; an ERROR drops them with it.
 *
 * Siblings: client.c (who makes sources), ../net/output.c (who asks them).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"

#include "io/io.h"
#include "server/listener.h"

/*
 * Makes sure of a transaction; it ends at the end of the phase.  The memory
 * context stays as it is.
 */
void
pt_turn_transaction(void)
{
	MemoryContext old = CurrentMemoryContext;

	if (IsTransactionState())
		return;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(old);
}

#define PT_STEPS_MAX	512		/* in one send, over all sources */

/*
 * Pages that are read past shared buffers for one send: more than net takes
 * (NET_SEND_LIMIT and one map).
 */
#define PT_SCRATCH_PAGES	(1024 * 1024 / BLCKSZ)

typedef struct PtSpanSource
{
	NetSource	base;
	PtSpan		span;			/* what is not sent yet, but for ... */
	uint32		skip;			/* ... the first bytes of it, which are */
	PtSpan		ahead;			/* what is not mapped yet */
	bool		mapped;			/* ahead is valid: there are steps */
} PtSpanSource;

/* One call of pt_span_map. */
typedef struct PtStep
{
	PtSpanSource *source;
	PtSpan		before;
	PtSpanMap	map;			/* skipped bytes included */
} PtStep;

/* Of the send that is being put together. */
static PtStep steps[PT_STEPS_MAX];
static int	nsteps;
static PtScratch scratch;

static int	source_map(NetSource *base, struct iovec *iov, int n, size_t *bytes);
static bool source_used(NetSource *base, size_t sent);
static void source_advance(PtSpanSource *source, const PtStep *step, size_t sent);
static int	skip_bytes(struct iovec *iov, int n, uint32 skip);

NetSource *
pt_span_source(const PtSpan *span)
{
	PtSpanSource *source = palloc0(sizeof(PtSpanSource));

	source->base.map = source_map;
	source->base.used = source_used;
	source->span = *span;
	return &source->base;
}

/* After an ERROR: the pins have gone with the transaction. */
void
pt_span_source_reset(void)
{
	nsteps = 0;
	scratch.used = 0;
	pt_at_hand_end();
	pt_span_failed();
}

/* Only a worker with consumers that catch up needs it. */
static void
get_scratch(void)
{
	if (scratch.pages != NULL)
		return;
	scratch.pages = pt_pages_alloc(PT_SCRATCH_PAGES);
	scratch.npages = PT_SCRATCH_PAGES;
}

static int
source_map(NetSource *base, struct iovec *iov, int n, size_t *bytes)
{
	PtSpanSource *source = (PtSpanSource *) base;
	PtStep	   *step = &steps[nsteps];
	uint32		skip = 0;

	pt_turn_transaction();
	if (!source->mapped)
	{
		source->ahead = source->span;
		source->mapped = true;
		skip = source->skip;
	}
	Assert(IsTransactionState() && nsteps <= PT_STEPS_MAX);
	if (nsteps == PT_STEPS_MAX)
		return -1;
	get_scratch();
	step->source = source;
	step->before = source->ahead;
	pt_at_hand_begin();
	pt_span_map(&source->ahead, &step->map, Min(n, PT_SPAN_PIECES), &scratch);
	pt_at_hand_end();
	if (step->map.npieces == 0)
	{
		/* there is no step to find the place by, unless one came before */
		source->mapped = nsteps > 0 && steps[nsteps - 1].source == source;
		return 0;
	}
	nsteps++;
	if (step->map.npieces < 0 || step->map.bytes <= skip)
		return -1;				/* recycled already */
	Assert(step->map.npieces <= n);
	memcpy(iov, step->map.iov, step->map.npieces * sizeof(struct iovec));
	*bytes = step->map.bytes - skip;
	return skip_bytes(iov, step->map.npieces, skip);
}

/*
 * Takes "skip" bytes off the front of the pieces; returns how many pieces are
 * left.
 */
static int
skip_bytes(struct iovec *iov, int n, uint32 skip)
{
	int			drop = 0;

	while (skip > 0 && skip >= iov[drop].iov_len)
		skip -= iov[drop++].iov_len;
	Assert(drop < n);
	if (drop > 0)
		memmove(iov, iov + drop, (n - drop) * sizeof(struct iovec));
	iov[0].iov_base = (char *) iov[0].iov_base + skip;
	iov[0].iov_len -= skip;
	return n - drop;
}

/*
 * Steps of other sources may lie around ours: sources are mapped one after
 * the other and asked here in the same order, so ours are the first left.
 */
static bool
source_used(NetSource *base, size_t sent)
{
	PtSpanSource *source = (PtSpanSource *) base;
	bool		intact = true;
	bool		placed = false;
	int			i;

	if (!source->mapped)
		return true;			/* its map failed, or that of one before it */
	sent += source->skip;		/* count from the first step's beginning */
	for (i = 0; i < nsteps && steps[i].source != source; i++)
		;
	for (; i < nsteps && steps[i].source == source; i++)
	{
		PtStep	   *step = &steps[i];

		if (intact && step->map.npieces > 0)
			intact = pt_span_intact(&step->before);
		for (int p = 0; p < step->map.npins; p++)
			ReleaseBuffer(step->map.pins[p]);
		step->map.npins = 0;
		if (!intact || placed)
			continue;
		if (step->map.npieces <= 0)
		{
			/* nothing of it could be mapped: it is asked for again */
			source->span = step->before;
			source->skip = (uint32) sent;
			placed = true;
		}
		else if (sent < step->map.bytes)
		{
			source_advance(source, step, sent);
			placed = true;
		}
		else
			sent -= step->map.bytes;
	}
	if (intact && !placed)
	{
		source->span = source->ahead;
		source->skip = 0;
	}
	source->mapped = false;
	if (i == nsteps)
	{
		nsteps = 0;				/* that was the last source of the send */
		scratch.used = 0;
	}
	return intact;
}

/*
 * "sent" bytes of the step have left: moves the span over the whole pieces
 * among them.
 */
static void
source_advance(PtSpanSource *source, const PtStep *step, size_t sent)
{
	int			whole = 0;

	while (whole < step->map.npieces && sent >= step->map.iov[whole].iov_len)
		sent -= step->map.iov[whole++].iov_len;
	Assert(whole < step->map.npieces && sent < step->map.iov[whole].iov_len);
	source->span = step->before;
	source->skip = (uint32) sent;
	pt_span_skip(&source->span, &step->map, whole);
}

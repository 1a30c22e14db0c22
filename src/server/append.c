/*-------------------------------------------------------------------------
 *
 * append.c
 *	  The append phase of a turn: the batches of all Produce requests.
 *
 * A batch whose partition can be had at once is appended here, together with
 * all others.  One whose partition another transaction holds is tried again
 * when that says so (xact/claims.c), and from time to time.  One that would
 * run code of users is posted to an executor process (jobs.c), which may take
 * its time; this worker goes on.
 *
 * Batches of a partition keep the order in which they came: of each partition
 * one is posted at a time, and as long as it is out, or another waits to be
 * posted, those behind it go the same way, whatever they need.
 *
 * A request is on l->appending until all its batches have a result, or its
 * time is up.  Then a batch that no executor has begun is taken back.  One
 * that is being worked on has the same deadline there: its result is waited
 * for a little longer, because it says for certain what became of the batch.
 *
 * Siblings: turn.c (the other phases), posted.c (what executors have), jobs.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "replication/syncrep.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "produce/produce.h"
#include "xact/claims.h"
#include "xact/xact.h"
#include "server/jobs.h"
#include "quotas/quotas.h"
#include "server/listener.h"

/*
 * When to try again to append to partitions that others have locked.  Mostly
 * the one who releases a lock says so, and we need not wait for that long; it
 * does not when its transaction is rolled back, or was prepared, or when all
 * of a table was locked.
 */
#define PT_BUSY_SOON		20
#define PT_BUSY_SOON_US		1000
#define PT_BUSY_LATER_US	5000

/*
 * How long an executor may take, beyond a request's deadline, to say what
 * became of a batch that it has begun.
 */
#define PT_EXECUTOR_GRACE_MS	1000

/*
 * What is flushed at once (append_alone): requests up to this size, on a disk
 * that takes no longer.
 */
#define PT_ALONE_BYTES_MAX		(16 * 1024)
#define PT_ALONE_FLUSH_US_MAX	300

/* An item of the turn's group, and where it belongs. */
typedef struct Gathered
{
	PtRequest  *request;
	PtProduce  *origin;
} Gathered;

/*
 * Partitions whose batches must wait behind another one, in the turn's memory;
 * NULL: none.
 */
static HTAB *held;

static void collect_results(PtListener *l);
static PtProduce *gather(PtListener *l, Gathered **from, int *n);
static void append_group(PtListener *l, PtProduce *items, const Gathered *from, int n);
static void share_time(const Gathered *from, const PtProduce *items, int n, int64 ns);
static void item_done(PtRequest *request, const PtProduce *item, XLogRecPtr lsn);
static void append_later(PtListener *l, int64 delay_us);
static bool append_alone(const PtListener *l);
static void append_at_once(PtProduce *items, int n);
static void post_item(PtListener *l, PtRequest *request, PtProduce *item);
static void settle_requests(PtListener *l);
static bool settle_request(PtListener *l, PtRequest *request, TimestampTz now);
static void try_again(PtListener *l, bool busy, TimestampTz now, TimestampTz next);
static void retry_due(NetTimer *timer);

void
pt_append_init(PtListener *l)
{
	dlist_init(&l->appending);
	l->retry.due = retry_due;
	l->retry.arg = l;
}

/* Something has happened for which requests may have waited. */
void
pt_append_now(PtListener *l)
{
	net_timer_stop(l->loop, &l->retry);
	l->append = PT_APPEND_NOW;
}

/* Unless they are tried before that anyway. */
static void
append_later(PtListener *l, int64 delay_us)
{
	if (l->append == PT_APPEND_NOW)
		return;
	Assert(!dlist_is_empty(&l->appending));
	net_timer_start(l->loop, &l->retry, net_now() + delay_us);
	l->append = PT_APPEND_LATER;
}

void
pt_append_phase(PtListener *l)
{
	PtProduce  *items;
	Gathered   *from;
	int			n;

	Assert(!IsTransactionState());
	collect_results(l);
	if (pt_claims_offered())
		pt_append_now(l);
	Assert((l->append == PT_APPEND_LATER) == l->retry.armed);
	if (l->append != PT_APPEND_NOW)
		return;
	l->append = PT_APPEND_REST;
	items = gather(l, &from, &n);
	if (n > 0)
		append_group(l, items, from, n);
	settle_requests(l);
	held = NULL;
}

/* Takes the results that executors have brought. */
static void
collect_results(PtListener *l)
{
	PtRequest  *request;
	PtProduce  *item;
	XLogRecPtr	lsn;

	while (pt_posted_collect(l, &request, &item, &lsn))
	{
		if (item != NULL)
			item_done(request, item, lsn);
		pt_append_now(l);
	}
}

/* The batches of this partition must wait from here on. */
static void
hold(PtListener *l, Oid relid)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(Oid),.hcxt = l->turn_mcxt};

	if (held == NULL)
		held = hash_create("pgtopic held partitions", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	(void) hash_search(held, &relid, HASH_ENTER, NULL);
}

static inline bool
is_held(Oid relid)
{
	return held != NULL && hash_search(held, &relid, HASH_FIND, NULL) != NULL;
}

static void
hold_posted(PtListener *l)
{
	Oid			relids[PT_JOBS_PER_WORKER];
	int			n = pt_posted_partitions(relids);

	held = NULL;
	for (int i = 0; i < n; i++)
		hold(l, relids[i]);
}

static inline bool
is_pending(const PtProduce *item)
{
	return item->status == PT_BUSY || item->status == PT_NEEDS_EXECUTOR;
}

/*
 * The items that can be tried here, of all requests, side by side and in their
 * order.  What is behind one that an executor has, or will get, goes there,
 * too.
 */
static PtProduce *
gather(PtListener *l, Gathered **from, int *n)
{
	PtProduce  *items;
	dlist_iter	iter;
	int			total = 0;

	hold_posted(l);
	dlist_foreach(iter, &l->appending)
		total += dlist_container(PtRequest, state_node, iter.cur)->call->nproduce;
	items = MemoryContextAllocHuge(l->turn_mcxt, Max(total, 1) * sizeof(PtProduce));
	*from = MemoryContextAllocHuge(l->turn_mcxt, Max(total, 1) * sizeof(Gathered));
	*n = 0;
	dlist_foreach(iter, &l->appending)
	{
		PtRequest  *request = dlist_container(PtRequest, state_node, iter.cur);

		for (int i = 0; i < request->call->nproduce; i++)
		{
			PtProduce  *item = &request->call->produce[i];

			if (!is_pending(item))
				continue;
			if (is_held(item->relid))
				item->status = PT_NEEDS_EXECUTOR;
			if (item->status == PT_NEEDS_EXECUTOR)
				hold(l, item->relid);
			else
			{
				(*from)[*n].request = request;
				(*from)[*n].origin = item;
				items[(*n)++] = *item;
			}
		}
	}
	return items;
}

static void
append_group(PtListener *l, PtProduce *items, const Gathered *from, int n)
{
	XLogRecPtr	lsn = InvalidXLogRecPtr;
	bool		measures = pt_quota_is_set(PT_QUOTA_REQUEST);
	int64		since = measures ? net_now_ns() : 0;

	if (append_alone(l))
		append_at_once(items, n);
	else
	{
		pt_produce_batches(items, n, &lsn);
		if (lsn != InvalidXLogRecPtr)
			pt_commit_request(lsn);
	}
	MemoryContextSwitchTo(l->turn_mcxt);
	l->commit_end_before = XactLastCommitEnd;
	for (int i = 0; i < n; i++)
	{
		*from[i].origin = items[i];
		item_done(from[i].request, &items[i], lsn);
	}
	if (measures)
		share_time(from, items, n, net_now_ns() - since);
}

/* For quotas: each request has its share, by bytes, of what all took. */
static void
share_time(const Gathered *from, const PtProduce *items, int n, int64 ns)
{
	double		bytes = 0;

	for (int i = 0; i < n; i++)
		bytes += items[i].length;
	for (int i = 0; i < n; i++)
		kafka_quota_spent(&from[i].request->client->session, (int64) (ns * (items[i].length / bytes)));
}

/*
 * Is there one small request to append whose answer waits for the flush,
 * nothing else in work here, and the disk quick?  Then waiting for it here
 * costs nobody anything, and saves the way to the committer and back.
 * Requests that come meanwhile are appended together, and go that way.
 */
static bool
append_alone(const PtListener *l)
{
	PtListener *m = unconstify(PtListener *, l);
	PtRequest  *request = dlist_head_element(PtRequest, state_node, &m->appending);

	return !dlist_has_next(&m->appending, &request->state_node) && l->busy_rounds == 0 &&
		request->call->acks != 0 && request->frame.len <= PT_ALONE_BYTES_MAX &&
		dlist_is_empty(&m->due) && dlist_is_empty(&m->uncommitted) &&
		dlist_is_empty(&m->answerable) && dlist_is_empty(&m->parked) &&
		pt_server_flush_us() > 0 && pt_server_flush_us() <= PT_ALONE_FLUSH_US_MAX &&
		(SyncRepStandbyNames == NULL || SyncRepStandbyNames[0] == '\0');
}

/*
 * Durable when it returns: the answer need not wait for anything, and those
 * who wait for the log are told.  The LSN is not published: the committer does
 * that, when it has moved the ends of all logs.
 */
static void
append_at_once(PtProduce *items, int n)
{
	int64		started = net_now();
	XLogRecPtr	lsn;

	pt_produce_batches_at_once(items, n, &lsn);
	if (lsn == InvalidXLogRecPtr)
		return;
	pt_server_flush_took(net_now() - started);
	pt_server_wake(PT_SLEEPS_FOR_LOGS);
}

/*
 * What the answer must wait for.  A duplicate was appended by somebody, at an
 * LSN that we do not know: all WAL that there is now will do.
 */
static void
item_done(PtRequest *request, const PtProduce *item, XLogRecPtr lsn)
{
	KafkaCall  *call = request->call;

	if (item->status == PT_OK)
		call->lsn = Max(call->lsn, lsn);
	else if (item->status == PT_DUPLICATE_SEQUENCE)
	{
		call->lsn = Max(call->lsn, pt_wal_insert_end());
		pt_commit_request(call->lsn);
	}
}

/*
 * Gives an item to the executors, if no other batch of its partition is there
 * and there is room; else it stays.
 */
static void
post_item(PtListener *l, PtRequest *request, PtProduce *item)
{
	if (is_held(item->relid))
		return;
	hold(l, item->relid);
	if (!pt_posted_add(l, request, item))
		item->status = PT_STORAGE_ERROR;
}

/*
 * Requests that are complete, or whose time is up, are due to be resumed; for
 * the others, sees to it that they have another turn.
 */
static void
settle_requests(PtListener *l)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz next = DT_NOEND;
	bool		busy = false;
	dlist_mutable_iter iter;

	hold_posted(l);
	dlist_foreach_modify(iter, &l->appending)
	{
		PtRequest  *request = dlist_container(PtRequest, state_node, iter.cur);
		TimestampTz until = request->give_up_at;

		Assert(request->state == PT_REQUEST_APPENDING);
		busy |= settle_request(l, request, now);
		if (request->state != PT_REQUEST_APPENDING)
			continue;
		if (until <= now)
			until = TimestampTzPlusMilliseconds(until, PT_EXECUTOR_GRACE_MS);
		next = Min(next, until);
	}
	try_again(l, busy, now, next);
}

/*
 * Takes the request off the list when there is nothing more to be done for it;
 * true when an item is to be tried again soon.
 */
static bool
settle_request(PtListener *l, PtRequest *request, TimestampTz now)
{
	KafkaCall  *call = request->call;
	bool		in_time = now < request->give_up_at;
	bool		pending = false;
	bool		busy = false;

	for (int i = 0; i < call->nproduce; i++)
	{
		PtProduce  *item = &call->produce[i];

		if (item->status == PT_NEEDS_EXECUTOR && in_time)
			post_item(l, request, item);
		pending |= is_pending(item);
		busy |= item->status == PT_BUSY;
	}
	if (!pending)
		pt_request_set_state(request, PT_REQUEST_DUE);
	else if (!in_time &&
			 pt_posted_give_up(l, request, now >= TimestampTzPlusMilliseconds(request->give_up_at, PT_EXECUTOR_GRACE_MS)))
		pt_request_expire(request);
	return busy && in_time;
}

/*
 * When those that are left are tried again: busy ones soon, others when an
 * executor has something for us, or at the next deadline.
 */
static void
try_again(PtListener *l, bool busy, TimestampTz now, TimestampTz next)
{
	if (!busy)
	{
		l->busy_rounds = 0;
		pt_claims_give_up();
		if (next != DT_NOEND)
			append_later(l, next - now);
	}
	else
		append_later(l, ++l->busy_rounds <= PT_BUSY_SOON ? PT_BUSY_SOON_US : PT_BUSY_LATER_US);
}

static void
retry_due(NetTimer *timer)
{
	pt_append_now(timer->arg);
}

/*
 * After an ERROR in a turn: not at once, as an error that stays would be met
 * again and again at full speed.
 */
void
pt_append_recover(PtListener *l)
{
	held = NULL;
	pt_claims_give_up();
	if (dlist_is_empty(&l->appending))
		return;
	l->append = PT_APPEND_REST;
	append_later(l, PT_BUSY_LATER_US);
}

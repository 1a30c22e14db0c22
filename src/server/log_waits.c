/*-------------------------------------------------------------------------
 *
 * log_waits.c
 *	  Requests that wait for a log to move (Fetch at the end of a log).
 *
 * A log for which somebody waits is "watched": the worker remembers where its
 * durable end was, and is told by whoever moves the end, through the bucket of
 * the log (../log/watch.c).  A turn then looks at the watched logs of the
 * buckets that were named to it, and at nothing else, however many wait.  A
 * log may be watched that has no state in memory.
 *
 * A wake-up must not be lost between the handler's look at the log and the
 * registration of its wait.  For a log that is watched already nothing can be:
 * the end that we remember is older than what the handler saw.  For one that
 * is not, the request is resumed once at once, after the log has become
 * watched; as watching ends only some time after the last wait, this is rare.
 *
 * Siblings: turn.c (when this is called), ../log/watch.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "log/watch.h"
#include "xact/commit.h"
#include "server/listener.h"

/* How long a log stays watched with nobody waiting, in us. */
#define PT_WATCH_LINGER_US	((int64) 10 * 1000000)

typedef struct PtWatchedLog
{
	RelFileLocator locator;		/* hash key */
	PtLogState *state;			/* the log's, when we heard of it last */
	dlist_node	node;			/* on the list of its bucket */
	uint32		bucket;
	uint32		seen_moves;		/* pt_watch_moves() when we looked last */
	PtLogPos	seen_pos;		/* durable end then, if it was known */
	int64		seen_offset;
	dlist_head	waits;
	int64		idle_since;		/* when the last wait left; net_now() */
} PtWatchedLog;

struct PtWait
{
	dlist_node	node;			/* on log->waits */
	PtWatchedLog *log;
	PtRequest  *request;
};

static HTAB *watched;
static dlist_head *buckets;		/* watched logs of each */
static int	self;				/* this worker's number */
static int64 looked_for_idle;
static uint64 seen_gone;		/* pt_commit_gone_count() */

static PtWatchedLog *watch_log(const PtLogRef *ref, bool *fresh);
static void unwatch_log(PtWatchedLog *log);
static bool log_moved(PtWatchedLog *log);
static void unwatch_idle(void);

void
pt_log_waits_init(PtListener *l)
{
	HASHCTL		ctl = {.keysize = sizeof(RelFileLocator),.entrysize = sizeof(PtWatchedLog),.hcxt = l->mcxt};

	StaticAssertStmt(PT_WORKERS_MAX <= PT_WATCH_WORKERS_MAX, "each worker must have a bit");
	self = l->number;
	buckets = MemoryContextAlloc(l->mcxt, PT_WATCH_BUCKETS * sizeof(dlist_head));
	for (int i = 0; i < PT_WATCH_BUCKETS; i++)
		dlist_init(&buckets[i]);
	seen_gone = pt_commit_gone_count();
	pt_watch_start(self);
	watched = hash_create("pgtopic watched logs", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * The request waits for the logs in call->waits.  Its client's other requests
 * wait behind it.
 */
void
pt_log_waits_register(PtRequest *request)
{
	KafkaCall  *call = request->call;
	bool		check = false;

	Assert(request->waits == NULL && request->state == PT_REQUEST_WAITING);
	request->nwaits = call->nwaits;
	request->waits = MemoryContextAlloc(request->client->listener->mcxt,
										Max(call->nwaits, 1) * sizeof(PtWait));
	for (int i = 0; i < call->nwaits; i++)
	{
		PtWait	   *wait = &request->waits[i];
		bool		fresh;

		wait->request = request;
		wait->log = watch_log(&call->waits[i], &fresh);
		dlist_push_tail(&wait->log->waits, &wait->node);
		check |= fresh;
	}
	if (check)
		pt_request_make_due(request);
}

void
pt_log_waits_unregister(PtRequest *request)
{
	if (request->waits == NULL)
		return;
	for (int i = 0; i < request->nwaits; i++)
	{
		PtWait	   *wait = &request->waits[i];

		Assert(wait->request == request);
		dlist_delete(&wait->node);
		if (dlist_is_empty(&wait->log->waits))
			wait->log->idle_since = net_now();
	}
	pfree(request->waits);
	request->waits = NULL;
	request->nwaits = 0;
}

/* fresh: nobody has promised to wake us for this log before. */
static PtWatchedLog *
watch_log(const PtLogRef *ref, bool *fresh)
{
	bool		found;
	PtWatchedLog *log = hash_search(watched, &ref->locator, HASH_ENTER, &found);

	*fresh = !found;
	log->state = ref->state;
	if (!found)
	{
		log->bucket = pt_watch_bucket(&log->locator);
		if (dlist_is_empty(&buckets[log->bucket]))
			pt_watch_add(self, log->bucket);
		dlist_push_tail(&buckets[log->bucket], &log->node);
		log->seen_moves = pt_watch_moves(log->bucket);
		log->seen_pos = 0;
		log->seen_offset = -1;
		log->idle_since = 0;
		dlist_init(&log->waits);
	}
	return log;
}

static void
unwatch_log(PtWatchedLog *log)
{
	Assert(dlist_is_empty(&log->waits));
	dlist_delete(&log->node);
	if (dlist_is_empty(&buckets[log->bucket]))
		pt_watch_remove(self, log->bucket);
	hash_search(watched, &log->locator, HASH_REMOVE, NULL);
}

/*
 * A log that is no longer where we knew it may have moved, and so those who
 * wait for it look themselves.
 */
static bool
log_moved(PtWatchedLog *log)
{
	uint32		moves = pt_watch_moves(log->bucket);
	PtLogView	view;

	if (moves == log->seen_moves)
		return false;
	log->seen_moves = moves;
	if (!pt_view_of(&view, log->state, &log->locator))
		return true;
	if (view.durable.pos == log->seen_pos && view.durable.offset == log->seen_offset)
		return false;
	log->seen_pos = view.durable.pos;
	log->seen_offset = view.durable.offset;
	return true;
}

/* Is any log watched, be it that nobody waits for it just now? */
bool
pt_log_waits_any(void)
{
	return hash_get_num_entries(watched) > 0;
}

/* Has something been said that pt_log_waits_check would look at? */
bool
pt_log_waits_pending(void)
{
	return pt_watch_ready(self) || pt_commit_gone_count() != seen_gone;
}

static void
make_all_due(PtWatchedLog *log)
{
	dlist_iter	iter;

	dlist_foreach(iter, &log->waits)
		pt_request_make_due(dlist_container(PtWait, node, iter.cur)->request);
}

/* A log that was dropped does not move, and nobody says which it was. */
static void
check_gone(void)
{
	uint64		gone = pt_commit_gone_count();
	HASH_SEQ_STATUS scan;
	PtWatchedLog *log;

	if (gone == seen_gone)
		return;
	seen_gone = gone;
	hash_seq_init(&scan, watched);
	while ((log = hash_seq_search(&scan)) != NULL)
		make_all_due(log);
}

/* Finds those who wait for logs that have moved. */
void
pt_log_waits_check(void)
{
	uint32		bucket;

	if (!pt_log_waits_pending())
		return;
	check_gone();
	while (pt_watch_next(self, &bucket))
	{
		dlist_iter	iter;

		dlist_foreach(iter, &buckets[bucket])
		{
			PtWatchedLog *log = dlist_container(PtWatchedLog, node, iter.cur);

			Assert(log->bucket == bucket);
			if (log_moved(log))
				make_all_due(log);
		}
	}
	unwatch_idle();
}

static void
unwatch_idle(void)
{
	int64		now = net_now();
	HASH_SEQ_STATUS scan;
	PtWatchedLog *log;

	if (now - looked_for_idle < PT_WATCH_LINGER_US)
		return;
	looked_for_idle = now;
	hash_seq_init(&scan, watched);
	while ((log = hash_seq_search(&scan)) != NULL)
	{
		/* the entry that the scan is at may be removed */
		if (dlist_is_empty(&log->waits) && now - log->idle_since >= PT_WATCH_LINGER_US)
			unwatch_log(log);
	}
}

/* The worker ends without a crash: others need not wake it any more. */
void
pt_log_waits_forget_all(void)
{
	HASH_SEQ_STATUS scan;
	PtWatchedLog *log;

	if (watched == NULL)
		return;
	hash_seq_init(&scan, watched);
	while ((log = hash_seq_search(&scan)) != NULL)
	{
		dlist_init(&log->waits);
		unwatch_log(log);
	}
}

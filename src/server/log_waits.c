/*-------------------------------------------------------------------------
 *
 * log_waits.c
 *	  Requests that wait for a log to move (Fetch at the end of a log).
 *
 * A log for which somebody waits is "watched": the worker remembers where its
 * durable end was, and the log's shared state counts the worker among its
 * waiters, so that whoever moves the end sees to it that the worker is woken.
 * A turn then looks at the watched logs, not at every waiting request.
 *
 * A wake-up must not be lost between the handler's look at the log and the
 * registration of its wait.  For a log that is watched already nothing can be:
 * the end that we remember is older than what the handler saw.  For one that
 * is not, the request is resumed once at once, after the log has become
 * watched; as watching ends only some time after the last wait, this is rare.
 *
 * Siblings: turn.c (when this is called), ../log/state.c (the ends).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "xact/commit.h"
#include "server/listener.h"

/* How long a log stays watched with nobody waiting, in us. */
#define PT_WATCH_LINGER_US	((int64) 10 * 1000000)

typedef struct PtWatchedLog
{
	PtLogState *state;			/* hash key */
	RelFileLocator locator;		/* of the log that the state was then */
	PtLogPos	seen_pos;		/* durable end when we looked last */
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
static int64 looked_for_idle;
static uint64 seen_gone;		/* pt_commit_gone_count() */

static PtWatchedLog *watch_log(PtLogState *state, bool *fresh);
static void unwatch_log(PtWatchedLog *log);
static bool log_moved(PtWatchedLog *log);
static void unwatch_idle(void);

void
pt_log_waits_init(PtListener *l)
{
	HASHCTL		ctl = {.keysize = sizeof(PtLogState *),.entrysize = sizeof(PtWatchedLog),.hcxt = l->mcxt};

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

	Assert(request->waits == NULL);
	request->nwaits = call->nwaits;
	request->waits = MemoryContextAlloc(request->client->listener->mcxt,
										Max(call->nwaits, 1) * sizeof(PtWait));
	for (int i = 0; i < call->nwaits; i++)
	{
		PtWait	   *wait = &request->waits[i];
		bool		fresh;

		wait->request = request;
		wait->log = watch_log(call->waits[i], &fresh);
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
watch_log(PtLogState *state, bool *fresh)
{
	bool		found;
	PtWatchedLog *log = hash_search(watched, &state, HASH_ENTER, &found);

	/*
	 * the state may have become another log's; those who wait for the old one
	 * are told that it is gone
	 */
	*fresh = !found || !RelFileLocatorEquals(log->locator, state->locator);
	if (*fresh)
	{
		PtLogEnd	end;

		/* the increment is a full barrier: from here on we are woken */
		pg_atomic_fetch_add_u32(&state->waiters, 1);
		end = pt_state_durable(state);
		log->locator = state->locator;
		log->seen_pos = end.pos;
		log->seen_offset = end.offset;
		log->idle_since = 0;
		if (!found)
			dlist_init(&log->waits);
	}
	return log;
}

static void
unwatch_log(PtWatchedLog *log)
{
	PtLogState *state = log->state;

	Assert(dlist_is_empty(&log->waits));
	/* the state may have been given to another log, with a count of its own */
	if (RelFileLocatorEquals(state->locator, log->locator))
		pg_atomic_fetch_sub_u32(&state->waiters, 1);
	hash_search(watched, &state, HASH_REMOVE, NULL);
}

static bool
log_moved(PtWatchedLog *log)
{
	PtLogEnd	end = pt_state_durable(log->state);

	if (end.pos == log->seen_pos && end.offset == log->seen_offset &&
		RelFileLocatorEquals(log->state->locator, log->locator))
		return false;
	log->seen_pos = end.pos;
	log->seen_offset = end.offset;
	return true;
}

/* Is any log watched, be it that nobody waits for it just now? */
bool
pt_log_waits_any(void)
{
	return hash_get_num_entries(watched) > 0;
}

/*
 * Somebody said that a log has moved: finds those who wait for one that did.
 */
void
pt_log_waits_check(PtListener *l)
{
	uint64		moves = pt_server_moves();
	uint64		gone;
	HASH_SEQ_STATUS scan;
	PtWatchedLog *log;

	if (moves == l->seen_moves)
		return;
	l->seen_moves = moves;
	gone = pt_commit_gone_count();
	hash_seq_init(&scan, watched);
	while ((log = hash_seq_search(&scan)) != NULL)
	{
		dlist_iter	iter;

		/* a log that was dropped does not move */
		if (!log_moved(log) && gone == seen_gone)
			continue;
		dlist_foreach(iter, &log->waits)
			pt_request_make_due(dlist_container(PtWait, node, iter.cur)->request);
	}
	seen_gone = gone;
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

/*-------------------------------------------------------------------------
 *
 * topic_pieces.c
 *	  Large topics, made, grown and deleted in several transactions.
 *
 * No transaction could lock all the tables of a topic with thousands of
 * partitions.  ../topic/pieces.c has the steps, and what keeps clients and
 * sessions from seeing a topic that is half there; here they are run one
 * after another.  What an error leaves of it is removed by the administration
 * worker, later (kafka_admin_turn).
 *
 * Siblings: topics.h, topics.c, call.c (kafka_run_transaction).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "kafka/topics.h"

/* Until what could not be removed is tried again. */
#define REMOVE_AGAIN_MS		30000

/* Until it is looked for what others have left, as a restore of a dump may. */
#define LOOK_AGAIN_MS		(3600 * 1000)

/* When it is looked for what is to be removed: at once after the start. */
static int64 remove_at = 0;

typedef struct Pieces
{
	const char *name;
	int			npartitions;
	List	   *configs;
	Oid			relid;
	bool		claimed;		/* also when the transaction failed then */
	int			from;			/* of the next piece, */
	int			to;				/* and its end */
	bool		done;			/* nothing is left to remove */
} Pieces;

static int64
now_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

static void
remove_later(int64 ms)
{
	remove_at = Min(remove_at, now_ms() + ms);
}

static void
begin(void *arg)
{
	Pieces	   *pieces = arg;

	pieces->relid = pt_topic_begin(pieces->name, pieces->npartitions, pieces->configs);
	pieces->claimed = true;
}

static void
fill(void *arg)
{
	const Pieces *pieces = arg;

	pt_topic_fill(pieces->relid, pieces->name, pieces->from, pieces->to);
}

static void
finish(void *arg)
{
	const Pieces *pieces = arg;

	pt_topic_finish(pieces->relid, pieces->name);
}

static void
drop(void *arg)
{
	pt_topic_drop(((const Pieces *) arg)->relid);
}

static void
hide(void *arg)
{
	Pieces	   *pieces = arg;

	pt_topic_hide(pieces->relid);
	pieces->claimed = true;
}

static void
remove_piece(void *arg)
{
	Pieces	   *pieces = arg;

	pieces->done = pt_topic_remove_piece(pieces->relid);
}

static void
grow(void *arg)
{
	const Pieces *pieces = arg;

	pt_topic_add_partitions(pieces->relid, pieces->to);
}

/* Runs fn for [from, to), piece by piece. */
static bool
run_pieces(KafkaCall *call, Pieces *pieces, void (*fn) (void *arg), KafkaError *error)
{
	while (pieces->from < pieces->npartitions)
	{
		pieces->to = Min(pieces->from + pt_topic_piece(), pieces->npartitions);
		if (!kafka_run_transaction(call, fn, pieces, error))
			return false;
		pieces->from = pieces->to;
	}
	return true;
}

/*
 * Removes what is hidden, as far as that can be done now.  Whoever asked for
 * it has what he wants: there is no such topic.
 */
static void
remove_all(KafkaCall *call, Pieces *pieces)
{
	KafkaError	error;

	while (!pieces->done)
	{
		if (kafka_run_transaction(call, remove_piece, pieces, &error))
			continue;
		ereport(LOG,
				(errcode(error.sqlstate),
				 errmsg("could not remove tables of a topic that was deleted or not made: %s", error.message),
				 errdetail("It is tried again.")));
		remove_later(REMOVE_AGAIN_MS);
		return;
	}
}

/* As kafka_topic_create. */
bool
kafka_topic_create_in_pieces(KafkaCall *call, const char *name, int npartitions, List *configs, KafkaError *error)
{
	Pieces		pieces = {.name = name,.npartitions = npartitions,.configs = configs};
	bool		ok;

	ok = kafka_run_transaction(call, begin, &pieces, error);
	if (ok)
	{
		ok = run_pieces(call, &pieces, fill, error) && kafka_run_transaction(call, finish, &pieces, error);
		if (!ok)
			remove_all(call, &pieces);
	}
	if (pieces.claimed)
		pt_topic_unclaim(pieces.relid);
	return ok;
}

/*
 * Deletes a topic: in one transaction when it is small.  false with the error,
 * which has been logged if it is ours.
 */
bool
kafka_topic_delete(KafkaCall *call, Oid relid, int npartitions, KafkaError *error)
{
	Pieces		pieces = {.relid = relid};
	bool		ok;

	if (npartitions <= pt_topic_piece())
		ok = kafka_run_transaction(call, drop, &pieces, error);
	else
	{
		ok = kafka_run_transaction(call, hide, &pieces, error);
		if (ok)
			remove_all(call, &pieces);
		if (pieces.claimed)
			pt_topic_unclaim(relid);
	}
	if (!ok)
		kafka_log_error(call, error);
	return ok;
}

/*
 * Adds partitions up to this many.  When it fails on the way, those of the
 * pieces before are there, and the message says so.
 */
bool
kafka_topic_grow(KafkaCall *call, Oid relid, int had, int npartitions, KafkaError *error)
{
	Pieces		pieces = {.relid = relid,.from = had,.npartitions = npartitions};

	if (run_pieces(call, &pieces, grow, error))
		return true;
	kafka_log_error(call, error);
	if (pieces.from > had)
		error->message = psprintf("%s. The topic has %d partitions now.", error->message, pieces.from);
	return false;
}

/*
 * For the administration worker: after how many ms kafka_admin_turn has
 * something to do.  Needs no transaction.
 */
int64
kafka_admin_wait(void)
{
	return Max(remove_at - now_ms(), 0);
}

/*
 * For the administration worker: removes a piece of what is unfinished and
 * nobody is at, in transactions of its own; the caller's is committed before.
 * What others are at is looked at again, as they may fail.
 */
void
kafka_admin_turn(MemoryContext mcxt)
{
	MemoryContext old = MemoryContextSwitchTo(mcxt);
	List	   *unfinished;
	ListCell   *lc;
	KafkaError	error;

	remove_at = now_ms() + LOOK_AGAIN_MS;
	unfinished = pt_topic_unfinished();
	foreach(lc, unfinished)
	{
		Pieces		pieces = {.relid = lfirst_oid(lc)};

		remove_later(REMOVE_AGAIN_MS);
		if (!pt_topic_claim(pieces.relid))
			continue;
		if (kafka_run_in(mcxt, remove_piece, &pieces, &error))
			remove_later(0);
		else
			ereport(LOG,
					(errcode(error.sqlstate),
					 errmsg("could not remove tables of a topic that was deleted or not made: %s", error.message),
					 errdetail("It is tried again.")));
		pt_topic_unclaim(pieces.relid);
	}
	MemoryContextSwitchTo(old);
}

/*-------------------------------------------------------------------------
 *
 * topic_pieces.c
 *	  Creates, grows and deletes large topics in several transactions.
 *
 * One transaction cannot lock all the tables of a topic with thousands of
 * partitions. ../topic/pieces.c has the steps, and keeps clients and sessions
 * from seeing a topic that is half there.  This file runs the steps one after
 * another.  The administration worker later removes what an error leaves
 * (kafka_admin_turn).
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

/* ms until a removal that failed is tried again. */
#define REMOVE_AGAIN_MS		30000

/*
 * ms between two searches for tables that others have left, such as a restore
 * of a dump.
 */
#define LOOK_AGAIN_MS		(3600 * 1000)

/*
 * When the administration worker looks for something to remove, in ms of
 * now_ms(): at once after the start.
 */
static int64 remove_at = 0;

/*
 * The state of one operation on a large topic.  The functions below get it
 * from kafka_run_transaction(), each for one step.
 */
typedef struct Pieces
{
	Oid			user;			/* as whom */
	const char *name;
	int			npartitions;
	List	   *configs;
	Oid			relid;
	bool		claimed;		/* by this process; set even if the
								 * transaction failed later */
	int			from;			/* first partition of the next piece */
	int			to;				/* partition after its last one */
	bool		done;			/* nothing is left to remove */
} Pieces;

static int64
now_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

/*
 * Makes the administration worker look after this many ms, if not before.
 */
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

/*
 * Runs fn for the partitions from pieces->from to pieces->npartitions, piece
 * by piece.  Returns false with the error; pieces->from is then the number of
 * partitions that are done.
 */
static bool
run_pieces(KafkaCall *call, Pieces *pieces, void (*fn) (void *arg), KafkaError *error)
{
	while (pieces->from < pieces->npartitions)
	{
		pieces->to = Min(pieces->from + pt_topic_piece(), pieces->npartitions);
		if (!kafka_run_as(call, pieces->user, fn, pieces, error))
			return false;
		pieces->from = pieces->to;
	}
	return true;
}

/*
 * Removes the hidden tables as far as possible now.  A failure is logged, not
 * returned: the topic is hidden, so the client has what it asked for.
 */
static void
remove_all(KafkaCall *call, Pieces *pieces)
{
	KafkaError	error;

	while (!pieces->done)
	{
		if (kafka_run_as(call, pieces->user, remove_piece, pieces, &error))
			continue;
		ereport(LOG,
				(errcode(error.sqlstate),
				 errmsg("could not remove tables of a topic that was deleted or not made: %s", error.message),
				 errdetail("It is tried again.")));
		remove_later(REMOVE_AGAIN_MS);
		return;
	}
}

/*
 * Does what kafka_topic_create() does.  If it fails on the way, it removes
 * what it made.
 */
bool
kafka_topic_create_in_pieces(KafkaCall *call, const char *name, int npartitions, List *configs, KafkaError *error)
{
	Pieces		pieces = {.user = pt_rights_creates_as(call->session->role),.name = name,.npartitions = npartitions,.configs = configs};
	bool		ok;

	ok = kafka_run_as(call, pieces.user, begin, &pieces, error);
	if (ok)
	{
		ok = run_pieces(call, &pieces, fill, error) && kafka_run_as(call, pieces.user, finish, &pieces, error);
		if (!ok)
			remove_all(call, &pieces);
	}
	if (pieces.claimed)
		pt_topic_unclaim(pieces.relid);
	return ok;
}

/*
 * Deletes a topic; in one transaction if it is small.  Returns false with the
 * error, which has been logged if it is the server's.
 */
bool
kafka_topic_delete(KafkaCall *call, Oid relid, int npartitions, KafkaError *error)
{
	Pieces		pieces = {.user = pt_rights_acts_as(call->session->role, relid),.relid = relid};
	bool		ok;

	if (npartitions <= pt_topic_piece())
		ok = kafka_run_as(call, pieces.user, drop, &pieces, error);
	else
	{
		ok = kafka_run_as(call, pieces.user, hide, &pieces, error);
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
 * Adds partitions up to npartitions; "had" is the number of now.  If it fails
 * on the way, the partitions of earlier pieces stay, and the message says so.
 * Returns false with the error, which has been logged if it is the server's.
 */
bool
kafka_topic_grow(KafkaCall *call, Oid relid, int had, int npartitions, KafkaError *error)
{
	Pieces		pieces = {.user = pt_rights_acts_as(call->session->role, relid),.relid = relid,.from = had,.npartitions = npartitions};

	Assert(had > 0 && had < npartitions);
	if (run_pieces(call, &pieces, grow, error))
		return true;
	kafka_log_error(call, error);
	if (pieces.from > had)
		error->message = psprintf("%s. The topic has %d partitions now.", error->message, pieces.from);
	return false;
}

/*
 * For the administration worker: returns the ms until kafka_admin_turn() has
 * something to do.  Needs no transaction.
 */
int64
kafka_admin_wait(void)
{
	return Max(remove_at - now_ms(), 0);
}

/*
 * For the administration worker: removes a piece of each unfinished topic
 * that no process works on, in transactions of its own.  The caller's
 * transaction is committed before.  It looks again later at topics that
 * others work on, because they may fail.  Lists are in mcxt, which the caller
 * resets.
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
		if (kafka_run_in(mcxt, InvalidOid, remove_piece, &pieces, &error))
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

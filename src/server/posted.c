/*-------------------------------------------------------------------------
 *
 * posted.c
 *	  The batches of this worker that executors have.
 *
 * Each is a job (jobs.c) and an item of a request here.  Of a partition there
 * is at most one.  A request may end while its batch is out; the partition
 * counts as out until the executor has finished all the same.
 *
 * Siblings: append.c (who posts), client.c (where requests end).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "server/jobs.h"
#include "server/listener.h"

/* By the number of the job. */
typedef struct Posted
{
	Oid			relid;			/* InvalidOid: there is none */
	PtRequest  *request;		/* NULL: it has ended */
	PtProduce  *item;
} Posted;

static Posted posted[PT_JOBS_PER_WORKER];
static int	nposted;

static void
clear(Posted *p)
{
	Assert(OidIsValid(p->relid) && nposted > 0);
	memset(p, 0, sizeof(*p));
	nposted--;
}

/*
 * Takes one that has come back: true.  The result is in *item, with the end of
 * its commit; *item is NULL when its request has ended.
 */
bool
pt_posted_collect(PtListener *l, PtRequest **request, PtProduce **item, XLogRecPtr *lsn)
{
	for (int i = 0; nposted > 0 && i < PT_JOBS_PER_WORKER; i++)
	{
		Posted	   *p = &posted[i];
		PtJobState	state = pt_job_state(l->number, i);

		if (!OidIsValid(p->relid) || state == PT_JOB_QUEUED || state == PT_JOB_RUNNING)
			continue;
		Assert((p->request != NULL) == (state == PT_JOB_DONE));
		*request = p->request;
		*item = p->item;
		if (p->request != NULL)
			pt_job_collect(l->number, i, p->item, lsn);
		clear(p);
		return true;
	}
	return false;
}

/* The partitions of which something is out; returns how many. */
int
pt_posted_partitions(Oid *relids)
{
	int			n = 0;

	for (int i = 0; nposted > 0 && i < PT_JOBS_PER_WORKER; i++)
	{
		if (OidIsValid(posted[i].relid))
			relids[n++] = posted[i].relid;
	}
	Assert(n == nposted);
	return n;
}

/*
 * Posts an item of a partition of which nothing is out, until its request's
 * deadline.  When this worker has as many out as it may, nothing happens.
 * false: there is no memory.
 */
bool
pt_posted_add(PtListener *l, PtRequest *request, PtProduce *item)
{
	int			number = 0;

	while (number < PT_JOBS_PER_WORKER &&
		   (OidIsValid(posted[number].relid) || pt_job_state(l->number, number) != PT_JOB_FREE))
		number++;
	if (number == PT_JOBS_PER_WORKER)
		return true;
	if (!pt_job_post(l->number, number, item, request->give_up_at))
		return false;
	posted[number].relid = item->relid;
	posted[number].request = request;
	posted[number].item = item;
	nposted++;
	return true;
}

/*
 * The request's time is up: takes back what no executor has begun.  What is
 * being worked on is left alone, and the answer is false; with "now" it is
 * given up, too.
 */
bool
pt_posted_give_up(PtListener *l, PtRequest *request, bool now)
{
	bool		done = true;

	for (int i = 0; nposted > 0 && i < PT_JOBS_PER_WORKER; i++)
	{
		Posted	   *p = &posted[i];

		if (p->request != request)
			continue;
		if (pt_job_withdraw(l->number, i))
		{
			clear(p);
			pt_append_now(l);	/* for those behind it */
		}
		else if (now)
			pt_posted_forget(request);
		else
			done = false;
	}
	return done;
}

/* The request ends before its batches have all come back. */
void
pt_posted_forget(PtRequest *request)
{
	PtListener *l = request->client->listener;

	for (int i = 0; nposted > 0 && i < PT_JOBS_PER_WORKER; i++)
	{
		if (posted[i].request != request)
			continue;
		pt_job_abandon(l->number, i);
		posted[i].request = NULL;
		posted[i].item = NULL;
		pt_append_now(l);
	}
}

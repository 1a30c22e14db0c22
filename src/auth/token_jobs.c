/*-------------------------------------------------------------------------
 *
 * token_jobs.c
 *	  Tokens of OAuth are checked by processes of their own: the side of the
 *	  process that serves clients.
 *
 * A validator is a module that is written for a server process with one
 * client: it may ask somebody over the network and wait for the answer, and
 * leaves behind what it likes.  So each token gets a background worker, which
 * ends with its answer (token_worker.c).  What is asked and answered is in a
 * segment of dynamic shared memory that both have.
 *
 * A process that serves clients has pgtopic.oauth_workers such workers at
 * most; who comes later asks again.  A client that leaves has its worker told
 * to end; it counts until it has done so.
 *
 * Siblings: sasl.c (the caller), token_worker.c, token.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "postmaster/bgworker.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "tell.h"
#include "auth/token.h"

/* How long to wait until a job is looked at again. */
#define LOOK_MIN_US		1000
#define LOOK_MAX_US		50000

struct PtTokenJob
{
	BackgroundWorkerHandle *handle; /* NULL: the place is free */
	dsm_segment *segment;		/* NULL: nobody waits for the answer */
	TimestampTz started_at;
};

static PtTokenJob jobs[PT_OAUTH_WORKERS_MAX];

static bool
has_ended(const PtTokenJob *job)
{
	pid_t		pid;
	BgwHandleStatus status = GetBackgroundWorkerPid(job->handle, &pid);

	return status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED;
}

/*
 * Returns a place for a job, or NULL if there is none.  Places of workers that
 * have ended, for which nobody waits, are given back.
 */
static PtTokenJob *
find_place(void)
{
	PtTokenJob *place = NULL;
	int			n = 0;

	for (int i = 0; i < PT_OAUTH_WORKERS_MAX; i++)
	{
		PtTokenJob *job = &jobs[i];

		if (job->handle != NULL && job->segment == NULL && has_ended(job))
		{
			pfree(job->handle);
			job->handle = NULL;
		}
		if (job->handle != NULL)
			n++;
		else if (place == NULL)
			place = job;
	}
	return n < pt_oauth_workers ? place : NULL;
}

/*
 * Nobody waits for the answer any more.  Callback of a memory context.
 */
static void
abandon(void *arg)
{
	PtTokenJob *job = arg;
	PtTokenShared *shared = dsm_segment_address(job->segment);
	pid_t		pid;

	explicit_bzero(shared->data, shared->token_len);
	if (pg_atomic_read_u32(&shared->done) == 0 && GetBackgroundWorkerPid(job->handle, &pid) == BGWH_STARTED)
		kill(pid, SIGINT);
	dsm_detach(job->segment);
	job->segment = NULL;
}

/*
 * Writes a text behind the others.  Returns its length, -1 for NULL.
 */
static int
put_text(char **at, const char *text, int len)
{
	if (text == NULL)
		return -1;
	memcpy(*at, text, len);
	(*at)[len] = '\0';
	*at += len + 1;
	return len;
}

static void
fill(PtTokenShared *shared, const PtAuthPeer *peer, const char *role, const char *token, int token_len)
{
	char	   *at = shared->data;

	pg_atomic_init_u32(&shared->done, 0);
	shared->valid = false;
	shared->detail[0] = '\0';
	shared->address = peer->address;
	shared->tls = peer->tls;
	strlcpy(shared->name, peer->name, sizeof(shared->name));
	strlcpy(shared->role, role, sizeof(shared->role));
	shared->token_len = put_text(&at, token, token_len);
	shared->cn_len = put_text(&at, peer->cert_cn, peer->cert_cn ? strlen(peer->cert_cn) : 0);
	shared->dn_len = put_text(&at, peer->cert_dn, peer->cert_dn ? strlen(peer->cert_dn) : 0);
}

/*
 * Starts a worker for the segment, and puts its handle into memory that lasts.
 */
static BackgroundWorkerHandle *
start_worker(dsm_segment *segment)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle = NULL;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_name, "pgtopic token", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgtopic token", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "pgtopic", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pt_token_worker_main", sizeof(worker.bgw_function_name));
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(segment));
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		handle = NULL;
	MemoryContextSwitchTo(old);
	return handle;
}

static void
tell_no_worker(void)
{
	static PtTold told;
	int			untold;

	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("out of background worker slots to check the token of a Kafka client"),
				 errhint("You might need to increase \"%s\".", "max_worker_processes")));
}

/*
 * Has the token checked: may its bearer be the role?  The role and the line of
 * pg_hba.conf are right so far.  Returns NULL if that cannot begin now.  The
 * job ends with mcxt.  Must run in a transaction.
 */
PtTokenJob *
pt_token_job_start(MemoryContext mcxt, const PtAuthPeer *peer, const char *role, const char *token, int token_len)
{
	PtTokenJob *job = find_place();
	Size		size = offsetof(PtTokenShared, data) + token_len + 3 +
		(peer->cert_cn ? strlen(peer->cert_cn) : 0) + (peer->cert_dn ? strlen(peer->cert_dn) : 0);
	dsm_segment *segment;
	BackgroundWorkerHandle *handle;
	MemoryContextCallback *callback;

	Assert(token_len > 0);
	if (job == NULL)
		return NULL;
	callback = MemoryContextAlloc(mcxt, sizeof(MemoryContextCallback));
	segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (segment == NULL)
		return NULL;
	fill(dsm_segment_address(segment), peer, role, token, token_len);
	handle = start_worker(segment);
	if (handle == NULL)
	{
		dsm_detach(segment);
		tell_no_worker();
		return NULL;
	}
	dsm_pin_mapping(segment);
	*job = (PtTokenJob)
	{
		.handle = handle,.segment = segment,.started_at = GetCurrentTimestamp()
	};
	callback->func = abandon;
	callback->arg = job;
	MemoryContextRegisterResetCallback(mcxt, callback);
	return job;
}

/*
 * Returns PT_AUTH_DONE if the token is right, PT_AUTH_FAILED if not, with a
 * reason for the log in *detail if there is one (as long-lived as the job), or
 * PT_AUTH_LATER: *again_at is when to ask again.
 */
PtAuthOutcome
pt_token_job_poll(const PtTokenJob *job, const char **detail, TimestampTz *again_at)
{
	const PtTokenShared *shared = dsm_segment_address(job->segment);
	TimestampTz now = GetCurrentTimestamp();
	bool		ended = has_ended(job);

	Assert(job->handle != NULL && job->segment != NULL);
	if (pg_atomic_read_u32(&unconstify(PtTokenShared *, shared)->done) != 0)
	{
		pg_read_barrier();
		if (shared->detail[0] != '\0')
			*detail = shared->detail;
		return shared->valid ? PT_AUTH_DONE : PT_AUTH_FAILED;
	}
	if (ended)
	{
		*detail = "The process that checked the token has ended without an answer.";
		return PT_AUTH_FAILED;
	}
	*again_at = now + Min(Max((now - job->started_at) / 4, LOOK_MIN_US), LOOK_MAX_US);
	return PT_AUTH_LATER;
}

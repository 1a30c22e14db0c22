/*-------------------------------------------------------------------------
 *
 * init.c
 *	  _PG_init: wiring only.  Every hook, worker and resource manager of the
 *	  extension is seen here.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "am/am.h"
#include "fanout/fanout.h"
#include "fetch/fetch.h"
#include "followers/followers.h"
#include "groups/groups.h"
#include "produce/produce.h"
#include "xact/claims.h"
#include "xact/commit.h"
#include "xact/xact.h"
#include "guc.h"
#include "sources/sources.h"
#include "stage/stage.h"
#include "stage/txn_jobs.h"
#include "stop_point.h"
#include "server/server.h"
#include "log/log.h"
#include "log/notices.h"
#include "log/watch.h"
#include "io/writeback.h"
#include "processors/processors.h"
#include "quotas/quotas.h"
#include "rights/rights.h"
#include "tasks/tasks.h"
#include "topic/topic.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

static shmem_request_hook_type prev_shmem_request;
static shmem_startup_hook_type prev_shmem_startup;

/* Who needs shared memory: how much, and how it is set up. */
static const struct
{
	Size		(*size) (void);
	void		(*init) (void);
}			shmem_users[] =

{
	{pt_state_shmem_size, pt_state_shmem_init},
	{pt_watch_shmem_size, pt_watch_shmem_init},
	{pt_holds_shmem_size, pt_holds_shmem_init},
	{pt_notices_shmem_size, pt_notices_shmem_init},
	{pt_logwriter_shmem_size, pt_logwriter_shmem_init},
	{pt_claims_shmem_size, pt_claims_shmem_init},
	{pt_commit_shmem_size, pt_commit_shmem_init},
	{pt_producers_shmem_size, pt_producers_shmem_init},
	{pt_produce_counters_shmem_size, pt_produce_counters_shmem_init},
	{pt_offsets_shmem_size, pt_offsets_shmem_init},
	{pt_stage_shmem_size, pt_stage_shmem_init},
	{pt_txn_jobs_shmem_size, pt_txn_jobs_shmem_init},
	{pt_server_shmem_size, pt_server_shmem_init},
	{pt_tasks_shmem_size, pt_tasks_shmem_init},
	{pt_quotas_shmem_size, pt_quotas_shmem_init},
};

/* What a transaction holds that the xact room does not know. */
static const PtXactKind *const xact_kinds[] = {
	&pt_xact_producers,
	&pt_xact_offsets,
	&pt_xact_log_waits,
	&pt_xact_tasks,
};

/* What tasks there are. */
static const PtTaskKind *const task_kinds[] = {
	&pt_processor_kind,
	&pt_sink_kind,
	&pt_source_kind,
	&pt_group_follower_kind,
};

static void
shmem_request(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	for (int i = 0; i < lengthof(shmem_users); i++)
		RequestAddinShmemSpace(shmem_users[i].size());
}

static void
shmem_startup(void)
{
	if (prev_shmem_startup)
		prev_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < lengthof(shmem_users); i++)
		shmem_users[i].init();
	LWLockRelease(AddinShmemInitLock);
}

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pgtopic must be loaded when the server starts"),
				 errhint("Add \"pgtopic\" to the setting \"shared_preload_libraries\" and restart the server.")));

	pt_stop_points_register();
	pt_guc_register();
	pt_wal_register(&pt_decoding);
	pt_topic_cache_register();
	pt_roles_register();
	pt_acls_register();
	pt_label_register(pt_log_start_at);
	pt_xact_register(xact_kinds, lengthof(xact_kinds));
	pt_utility_register();
	pt_bitmap_register();
	pt_tasks_register(task_kinds, lengthof(task_kinds));
	pt_workers_register();

	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

/*-------------------------------------------------------------------------
 *
 * workers.c
 *	  The list of background workers.
 *
 * All start when the server accepts writes (on a standby: after promotion),
 * and again a second after they ended for whatever reason.
 *
 * Siblings: listener.c, executor.c, txn_worker.c, committer.c, logwriter.c,
 * housekeeper.c, compactor.c; ../worker.c, what all of them do alike.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "utils/guc.h"

#include "guc.h"
#include "kafka/listeners.h"
#include "server/server.h"
#include "server/shared.h"

#define PT_RESTART_S	1

/* Default of max_worker_processes with pgtopic. */
#define PT_WORKER_PROCESSES	"32"

static int	nwanted;			/* workers that we want to have */

static void raise_default(void);
static void register_worker(const char *name, const char *function, Datum arg);
static void register_all(void);

static void
register_worker(const char *name, const char *function, Datum arg)
{
	BackgroundWorker worker = {0};

	Assert(strlen(name) < BGW_MAXLEN && strlen(function) < BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = PT_RESTART_S;
	strlcpy(worker.bgw_name, name, BGW_MAXLEN);
	strlcpy(worker.bgw_type, name, BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "pgtopic", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, function, sizeof(worker.bgw_function_name));
	worker.bgw_main_arg = arg;
	RegisterBackgroundWorker(&worker);
	nwanted++;
}

/*
 * PostgreSQL's default of max_worker_processes, 8, is less than our workers
 * and its own take.  Libraries that are preloaded may change it: where nobody
 * has set it, it is larger, so that parallel queries and other extensions have
 * as many as without us.  It depends on none of our settings, because a
 * standby must have as many as its primary.
 */
static void
raise_default(void)
{
	if (IsPostmasterEnvironment && !IsUnderPostmaster)
		SetConfigOption("max_worker_processes", PT_WORKER_PROCESSES, PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
}

/*
 * From _PG_init.  None under pg_upgrade, which drops the database that they
 * would be connected to.
 *
 * The server takes no more workers than max_worker_processes allows, those of
 * others included, and goes on without the rest; then nothing may serve.
 */
void
pt_workers_register(void)
{
	int			before = pt_bgworkers_registered();
	int			got;

	if (IsBinaryUpgrade)
		return;
	raise_default();
	register_all();
	got = pt_bgworkers_registered() - before;
	if (got < nwanted && IsPostmasterEnvironment && !IsUnderPostmaster)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("pgtopic has %d of the %d background workers that it needs, and does not work without the others",
						got, nwanted),
				 errhint("Set \"max_worker_processes\" to %d or more, and restart the server.", before + nwanted)));
}

static void
register_all(void)
{
	/* also without a listener: SQL sessions append asynchronously, too */
	register_worker("pgtopic committer", "pt_committer_main", (Datum) 0);
	register_worker("pgtopic log writer", "pt_logwriter_main", (Datum) 0);
	register_worker("pgtopic housekeeper", "pt_housekeeper_main", (Datum) 0);
	register_worker("pgtopic compactor", "pt_compactor_main", (Datum) 0);
	register_worker("pgtopic task launcher", "pt_task_launcher_main", (Datum) 0);
	if (kafka_listeners()->n == 0)
		return;
	StaticAssertStmt(PT_LISTENERS_MAX < 100, "the number must fit into a name");
	for (int i = 0; i < pt_listener_workers; i++)
	{
		char		name[BGW_MAXLEN];

		snprintf(name, sizeof(name), "pgtopic listener %d", i);
		register_worker(name, "pt_listener_main", Int32GetDatum(i));
	}
	for (int i = 0; i < pt_executor_workers; i++)
	{
		char		name[BGW_MAXLEN];

		snprintf(name, sizeof(name), "pgtopic executor %d", i);
		register_worker(name, "pt_executor_main", Int32GetDatum(i));
	}
	for (int i = 0; i < pt_transaction_workers; i++)
	{
		char		name[BGW_MAXLEN];

		snprintf(name, sizeof(name), "pgtopic transaction worker %d", i);
		register_worker(name, "pt_txn_worker_main", Int32GetDatum(i));
	}
	register_worker("pgtopic control", "pt_listener_main", Int32GetDatum(pt_server_control()));
	register_worker("pgtopic admin", "pt_listener_main", Int32GetDatum(pt_server_admin()));
}

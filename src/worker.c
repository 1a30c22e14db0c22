/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  What background workers do alike.
 *
 * Workers of tasks, in which queries of users run, start in another way
 * (tasks/worker.c).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/sinval.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "compat.h"
#include "worker.h"

/*
 * What a worker does first: signals, connection to "database" (NULL: none).
 */
void
pt_worker_start(const char *database)
{
	Assert(MyBgworkerEntry != NULL);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, PG_SIG_IGN);	/* there is no query to cancel */
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(database, NULL, 0);
}

/*
 * Ends the process when it was told so, reads the configuration again, and
 * catches up with invalidations when others wait for that.  true: settings may
 * have changed.
 */
bool
pt_worker_interrupts(void)
{
	bool		reloaded = false;

	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		reloaded = true;
	}
	if (catchupInterruptPending)
		ProcessCatchupInterrupt();
	return reloaded;
}

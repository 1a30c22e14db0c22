/*-------------------------------------------------------------------------
 *
 * measure.c
 *	  How far a source is behind its server, and how much WAL its slot keeps
 *	  there.
 *
 * The stream does not say that, so a second connection asks every few seconds:
 * a plain one, which takes no walsender.  What it finds is for the view
 * tasks_status.  If it cannot ask, the source goes on.
 *
 * Siblings: stream.c, run.c say when; ../tasks/functions.c shows it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "replication/walreceiver.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"

#include "guc.h"
#include "sources/internal.h"

PG_FUNCTION_INFO_V1(pt_retained_wal_warning);

/* How often it is asked. */
#define MEASURE_MS		2000

/* Less than one part in so many of what a slot may keep is left. */
#define NEARLY_ALL		5

/*
 * Returns what is wrong with a slot that keeps so many bytes of WAL, when so
 * many more may be written until it loses some (-1: there is no limit);
 * NULL: nothing.
 */
static char *
warning_of(int64 retained, int64 safe)
{
	int64		limit = (int64) pt_retained_wal_warning_mb * 1024 * 1024;

	if (retained < 0)
		return NULL;
	if (safe >= 0 && safe < (retained + safe) / NEARLY_ALL)
		return psprintf("The replication slot loses WAL, and the source its place, after %lld MB more: see max_slot_wal_keep_size.",
						(long long) (safe / (1024 * 1024)));
	if (limit >= 0 && retained > limit)
		return psprintf("The replication slot keeps %lld MB of WAL, more than pgtopic.retained_wal_warning.",
						(long long) (retained / (1024 * 1024)));
	return NULL;
}

/* list_wal_warning(retained_wal, safe_wal), of the view tasks_status */
Datum
pt_retained_wal_warning(PG_FUNCTION_ARGS)
{
	char	   *warning = warning_of(PG_ARGISNULL(0) ? -1 : PG_GETARG_INT64(0), PG_ARGISNULL(1) ? -1 : Max(PG_GETARG_INT64(1), 0));

	if (warning == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(warning));
}

static int64
number_or_unknown(const PtPeerRows *rows, int column)
{
	const char *value = pt_peer_value_or_null(rows, 0, column);

	return value ? Max(pg_strtoint64(value), 0) : -1;
}

/*
 * Asks, and tells; a warning goes to the log when there is none before it.
 */
static void
ask(PtSourceRun *run)
{
	PtTaskLag	lag = PT_TASK_LAG_UNKNOWN;
	XLogRecPtr	read = Max(run->received, run->confirmed);
	TimestampTz now = GetCurrentTimestamp();
	XLogRecPtr	end;
	PtPeerRows *rows;
	char	   *warning;

	if (run->measures == NULL)
	{
		MemoryContextSwitchTo(run->measure_mcxt);
		run->measures = pt_peer_connect_plain(run->source, run->task);
		pt_peer_be_patient(run->measures, wal_receiver_timeout);
		MemoryContextSwitchTo(run->mcxt);
	}
	rows = pt_peer_query(run->measures,
						 psprintf("SELECT w.lsn, pg_catalog.pg_wal_lsn_diff(w.lsn, s.restart_lsn)::pg_catalog.int8, %s"
								  " FROM pg_catalog.pg_replication_slots s, (SELECT CASE WHEN pg_catalog.pg_is_in_recovery()"
								  " THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END AS lsn) w"
								  " WHERE s.slot_name = %s", pt_peer_version(run->measures) >= 130000 ? "s.safe_wal_size" : "NULL",
								  quote_literal_cstr(run->source->slot)), 3);
	if (rows->n != 1)
		return;					/* whoever needs the slot says so */
	end = DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(pt_peer_value(rows, 0, 0))));
	lag.retained = number_or_unknown(rows, 1);
	lag.safe = number_or_unknown(rows, 2);
	lag.behind = read < end;
	if (read > PT_ORIGIN_UNSTARTED)
		lag.bytes = lag.behind ? end - read : 0;
	run->behind = lag.behind;
	if (!lag.behind)
		run->caught_up_at = now;
	lag.caught_up_at = run->caught_up_at;
	pt_task_lag(run->task, &lag);
	warning = warning_of(lag.retained, lag.safe);
	if (warning != NULL && !run->warned)
		ereport(WARNING,
				(errmsg("source \"%s\": %s", run->source->name, warning)));
	run->warned = warning != NULL;
}

/*
 * Returns when to look again at the latest: soon, if all that was there had
 * not been read, as it may be now.
 */
TimestampTz
pt_source_measure_due(const PtSourceRun *run)
{
	return run->behind ? TimestampTzPlusMilliseconds(run->measured_at, MEASURE_MS) : DT_NOEND;
}

/*
 * Looks if it is time to.  No transaction is open, and no message is worked
 * on.
 */
void
pt_source_measure(PtSourceRun *run)
{
	MemoryContext old = CurrentMemoryContext;

	Assert(!IsTransactionState());
	if (run->measured_at != 0 && !TimestampDifferenceExceeds(run->measured_at, GetCurrentTimestamp(), MEASURE_MS))
		return;
	if (run->measure_mcxt == NULL)
		run->measure_mcxt = AllocSetContextCreate(run->life, "pgtopic lag of a source", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(run->mcxt);
	PG_TRY();
	{
		ask(run);
	}
	PG_CATCH();
	{
		/* the connection is closed with the memory */
		MemoryContextSwitchTo(old);
		FlushErrorState();
		run->measures = NULL;
		MemoryContextReset(run->measure_mcxt);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextReset(run->mcxt);
	run->measured_at = GetCurrentTimestamp();
}

/*-------------------------------------------------------------------------
 *
 * kept_logs.h
 *	  What the housekeeper knows of the partitions: kept_logs.c says how.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_KEPT_LOGS_H
#define PT_SERVER_KEPT_LOGS_H

#include "compat.h"

#include "lib/pairingheap.h"

#include "log/log.h"
#include "log/notices.h"

/* A partition. */
typedef struct PtKeptLog
{
	Oid			leaf;			/* hash key */
	Oid			topic;
	uint64		seen;			/* the last pass over topics that found it */
	bool		queued;			/* it has an hour: */
	int64		due_ms;			/* since 1970 */
	pairingheap_node node;
	int64		backoff_ms;		/* after failures; 0: there was none */
	uint32		told;			/* hash of the error that is in the log */
} PtKeptLog;

extern void pt_kept_logs_sync(void);
extern void pt_kept_logs_notice(const PtNotice *notice, int64 now);
extern void pt_kept_logs_all_due(int64 now);
extern PtKeptLog *pt_kept_logs_take(int64 now);
extern int64 pt_kept_logs_next(void);
extern bool pt_kept_log_rule(const PtKeptLog *log, int64 now, PtRetention *rule, int64 *retention_ms);
extern void pt_kept_log_due(PtKeptLog *log, int64 due_ms);
extern void pt_kept_log_forget(PtKeptLog *log);

#endif							/* PT_SERVER_KEPT_LOGS_H */

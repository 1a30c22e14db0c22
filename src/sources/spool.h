/*-------------------------------------------------------------------------
 *
 * spool.h
 *	  Transactions in progress at a source's server: spool.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SOURCES_SPOOL_H
#define PT_SOURCES_SPOOL_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "sources/table.h"

extern void pt_spools_init(PtSourceRun *run);
extern void pt_spool_open(PtSourceRun *run, uint32 xid);
extern void pt_spool_add(PtSourceRun *run, uint32 xid, uint32 subxid, XLogRecPtr lsn, const char *data, int len);
extern void pt_spool_close(PtSourceRun *run, uint32 xid);
extern void pt_spool_abort(PtSourceRun *run, uint32 xid, uint32 subxid);
extern void pt_spool_rewind(PtSourceRun *run, uint32 xid);
extern char *pt_spool_next(PtSourceRun *run, uint32 xid, XLogRecPtr *lsn, int *len, bool *aborted);

#endif							/* PT_SOURCES_SPOOL_H */

/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  All differences between the PostgreSQL majors we run on (15 to 18).
 *
 * The only file with PG_VERSION_NUM.  Where an interface changed, the newest
 * form is offered to the older servers as an inline wrapper or a macro.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_COMPAT_H
#define PT_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "pgtopic needs PostgreSQL 15 to 18"
#endif

#include "storage/bufmgr.h"
#include "storage/smgr.h"
#include "utils/rel.h"

/* 16 renamed RelFileNode to RelFileLocator. */
#if PG_VERSION_NUM < 160000
#include "storage/relfilenode.h"
typedef RelFileNode RelFileLocator;
#define RelFileLocatorEquals(a, b) RelFileNodeEquals(a, b)
#define pt_locator_db(l) ((l).dbNode)
#define pt_locator_number(l) ((l).relNode)
#define pt_locator_spc(l) ((l).spcNode)
#define pt_rel_locator(rel) ((rel)->rd_node)
#define pt_smgr_locator(reln) ((reln)->smgr_rnode.node)
#else
#include "storage/relfilelocator.h"
#define pt_locator_db(l) ((l).dbOid)
#define pt_locator_number(l) ((l).relNumber)
#define pt_locator_spc(l) ((l).spcOid)
#define pt_rel_locator(rel) ((rel)->rd_locator)
#define pt_smgr_locator(reln) ((reln)->smgr_rlocator.locator)
#endif

/* 17 replaced the backend id by the proc number. */
#if PG_VERSION_NUM < 170000
#include "storage/backendid.h"
#ifndef INVALID_PROC_NUMBER
#define INVALID_PROC_NUMBER InvalidBackendId
#endif
#endif

/* smgropen of a permanent relation. */
static inline SMgrRelation
pt_smgropen(RelFileLocator locator)
{
	return smgropen(locator, INVALID_PROC_NUMBER);
}

/*
 * 16 brought smgrzeroextend, which reserves the space.  Before, the last block
 * is written, which leaves a hole (md.c fills whole segments), and the space
 * is reserved by pt_reserve_space (storage/reserve.c).
 */
#if PG_VERSION_NUM < 160000
#define PT_NEEDS_RESERVE
extern void pt_reserve_space(RelFileLocator locator, BlockNumber from, BlockNumber n);

static inline void
pt_smgr_zeroextend(SMgrRelation reln, ForkNumber fork, BlockNumber from, BlockNumber n)
{
	PGAlignedBlock zero;

	memset(&zero, 0, sizeof(zero));
	smgrextend(reln, fork, from + n - 1, zero.data, false);
	if (n > 8)
		pt_reserve_space(reln->smgr_rnode.node, from, n);
}
#else
static inline void
pt_smgr_zeroextend(SMgrRelation reln, ForkNumber fork, BlockNumber from, BlockNumber n)
{
	smgrzeroextend(reln, fork, from, (int) n, false);
}
#endif

#endif							/* PT_COMPAT_H */

/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  All differences between the PostgreSQL majors we run on (15 to 19).
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

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 200000
#error "pgtopic needs PostgreSQL 15 to 19"
#endif

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "postmaster/bgworker.h"
#include "postmaster/bgworker_internals.h"
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

/* 16 took the varlena macros out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* The copyObject() of 19 may be for a newer C than ours. */
#if PG_VERSION_NUM >= 190000 && !defined(typeof_unqual)
#define typeof_unqual __typeof_unqual__
#endif

/* 18 put pg_noreturn in front of a declaration. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

/* 17 renamed what holds the xid counters: for files with access/transam.h. */
#if PG_VERSION_NUM < 170000
#define TransamVariables ShmemVariableCache
#endif

/* 16 can have files opened for direct I/O, which asks for aligned memory. */
#if PG_VERSION_NUM < 160000
#define PG_IO_ALIGN_SIZE 4096
#endif

/*
 * 16: the server may go past the page cache.  A macro, for files that include
 * storage/fd.h.
 */
#if PG_VERSION_NUM < 160000
#define pt_direct_data_io() false
#else
#define pt_direct_data_io() ((io_direct_flags & IO_DIRECT_DATA) != 0)
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

/* 16 brought smgrzeroextend, which reserves the space (io/reserve.c). */
#if PG_VERSION_NUM < 160000
#define PT_NEEDS_RESERVE
#define pt_filetag_locator rnode
#else
#define pt_filetag_locator rlocator
#endif

/* 17 brought smgrreadv and smgrwritev (io/iovec.c). */
#if PG_VERSION_NUM < 170000
#define PT_NEEDS_IOVEC
#endif

/*
 * The tag of a block of the main fork.  A macro, for files that include
 * storage/buf_internals.h.
 */
#if PG_VERSION_NUM < 160000
#define pt_buffer_tag(tag, locator, block) INIT_BUFFERTAG(*(tag), *(locator), MAIN_FORKNUM, block)
#else
#define pt_buffer_tag(tag, locator, block) InitBufferTag(tag, locator, MAIN_FORKNUM, block)
#endif

/*
 * 16 made privilege checks by catalog one function.  Macros, for files that
 * include utils/acl.h.
 */
#if PG_VERSION_NUM < 160000
#define pt_relation_ownercheck(relid, role) pg_class_ownercheck(relid, role)
#define pt_schema_aclcheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#define pt_database_aclcheck(database, role, mode) pg_database_aclcheck(database, role, mode)
#define pt_check_can_set_role(member, role) check_is_member_of_role(member, role)
#else
#define pt_relation_ownercheck(relid, role) object_ownercheck(RelationRelationId, relid, role)
#define pt_schema_aclcheck(schema, role, mode) object_aclcheck(NamespaceRelationId, schema, role, mode)
#define pt_database_aclcheck(database, role, mode) object_aclcheck(DatabaseRelationId, database, role, mode)
#define pt_check_can_set_role(member, role) check_can_set_role(member, role)
#endif

/* 17 has a privilege for VACUUM and its like. */
#if PG_VERSION_NUM < 170000
#define pt_relation_may_maintain(relid, role) pt_relation_ownercheck(relid, role)
#else
#define pt_relation_may_maintain(relid, role) (pg_class_aclcheck(relid, role, ACL_MAINTAIN) == ACLCHECK_OK)
#endif

/*
 * Access methods.  Macros, so that only the files of am/ need the headers that
 * these names are from.
 */
#if PG_VERSION_NUM < 160000
#define relation_set_new_filelocator relation_set_new_filenode
#define RelationSetNewRelfilenumber RelationSetNewRelfilenode
#define PtUpdateIndexes bool
#define pt_tuplesort_getdatum(sort, val, isnull) tuplesort_getdatum(sort, true, val, isnull, NULL)
#define pt_index_vacuum_info_set_heap(info, rel) ((void) 0)
#else
#define PtUpdateIndexes TU_UpdateIndexes
#define pt_tuplesort_getdatum(sort, val, isnull) tuplesort_getdatum(sort, true, false, val, isnull, NULL)
#define pt_index_vacuum_info_set_heap(info, rel) ((info)->heaprel = (rel))
#endif

/*
 * 17 gave out the function that sets the search_path under which code of
 * others may run, until AtEOXact_GUC().  A macro, for files that include
 * utils/guc.h.
 */
#if PG_VERSION_NUM < 170000
#define RestrictSearchPath() \
	((void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, \
							  GUC_ACTION_SAVE, true, 0, false))
#endif

/*
 * 17: ANALYZE hands out blocks through a read stream.  The block comes pinned;
 * false from pt_analyze_block ends the sample (before, the server counts).
 */
#if PG_VERSION_NUM < 170000
#define PT_ANALYZE_BLOCK_ARGS TableScanDesc scan, BlockNumber blockno, BufferAccessStrategy bstrategy
#define pt_analyze_block(block) (*(block) = blockno, true)
#define index_insert_cleanup(index, info) ((void) 0)
#else
#define PT_ANALYZE_BLOCK_ARGS TableScanDesc scan, ReadStream *stream
#define pt_analyze_block(block) pt_stream_block(stream, block)
struct ReadStream;
extern Buffer read_stream_next_buffer(struct ReadStream *stream, void **per_buffer_data);

static inline bool
pt_stream_block(struct ReadStream *stream, BlockNumber *block)
{
	Buffer		buf = read_stream_next_buffer(stream, NULL);

	if (!BufferIsValid(buf))
		return false;
	*block = BufferGetBlockNumber(buf);
	ReleaseBuffer(buf);
	return true;
}
#endif

/* 16 and 19 changed the arguments: no update, no speculation, no arbiters. */
#if PG_VERSION_NUM < 160000
#define pt_exec_insert_index_tuples(rri, slot, estate) \
	ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL)
#elif PG_VERSION_NUM < 190000
#define pt_exec_insert_index_tuples(rri, slot, estate) \
	ExecInsertIndexTuples(rri, slot, estate, false, false, NULL, NIL, false)
#else
#define pt_exec_insert_index_tuples(rri, slot, estate) \
	ExecInsertIndexTuples(rri, estate, 0, slot, NIL, NULL)
#endif

/*
 * 19: options of table access methods are unsigned, and some functions have
 * got other arguments.  REPACK is CLUSTER and VACUUM FULL; its concurrent form
 * is refused by the server for all but heap, so the snapshot is for nobody.
 */
#if PG_VERSION_NUM < 190000
#define PtTableOptions int
#define PtVacuumParams struct VacuumParams
#define PT_INDEX_FETCH_BEGIN_ARGS Relation rel
#define PT_ANALYZE_TUPLE_ARGS \
	TableScanDesc sscan, TransactionId oldest_xmin, double *liverows, double *deadrows, TupleTableSlot *slot
#define PT_TUPLE_DELETE_ARGS \
	Relation rel, ItemPointer tid, CommandId cid, Snapshot snapshot, Snapshot crosscheck, bool wait, \
	TM_FailureData *tmfd, bool changing_part
#define PT_TUPLE_UPDATE_ARGS \
	Relation rel, ItemPointer otid, TupleTableSlot *slot, CommandId cid, Snapshot snapshot, \
	Snapshot crosscheck, bool wait, TM_FailureData *tmfd, LockTupleMode *lockmode, \
	PtUpdateIndexes *update_indexes
#define PT_COPY_FOR_CLUSTER_ARGS \
	Relation old_table, Relation new_table, Relation old_index, bool use_sort, TransactionId oldest_xmin, \
	TransactionId *xid_cutoff, MultiXactId *multi_cutoff, double *num_tuples, double *tups_vacuumed, \
	double *tups_recently_dead
#define T_RepackStmt T_ClusterStmt
#define pt_repack_table(stmt) (((ClusterStmt *) (stmt))->relation)
#else
#define PtTableOptions uint32
#define PtVacuumParams const struct VacuumParams
#define PT_INDEX_FETCH_BEGIN_ARGS Relation rel, uint32 flags
#define PT_ANALYZE_TUPLE_ARGS TableScanDesc sscan, double *liverows, double *deadrows, TupleTableSlot *slot
#define PT_TUPLE_DELETE_ARGS \
	Relation rel, ItemPointer tid, CommandId cid, uint32 options, Snapshot snapshot, Snapshot crosscheck, \
	bool wait, TM_FailureData *tmfd
#define PT_TUPLE_UPDATE_ARGS \
	Relation rel, ItemPointer otid, TupleTableSlot *slot, CommandId cid, uint32 options, Snapshot snapshot, \
	Snapshot crosscheck, bool wait, TM_FailureData *tmfd, LockTupleMode *lockmode, \
	PtUpdateIndexes *update_indexes
#define PT_COPY_FOR_CLUSTER_ARGS \
	Relation old_table, Relation new_table, Relation old_index, bool use_sort, TransactionId oldest_xmin, \
	Snapshot snapshot, TransactionId *xid_cutoff, MultiXactId *multi_cutoff, double *num_tuples, \
	double *tups_vacuumed, double *tups_recently_dead
#define pt_repack_table(stmt) \
	(((RepackStmt *) (stmt))->relation ? ((RepackStmt *) (stmt))->relation->relation : NULL)
#endif

/*
 * 18: one all-frozen count and a start time more; parallel scans know the
 * file, not the table.
 */
#if PG_VERSION_NUM < 180000
#define pt_vac_update_relstats(rel, pages, tuples, hasindex, frozenxid, minmulti) \
	vac_update_relstats(rel, pages, tuples, 0, hasindex, frozenxid, minmulti, NULL, NULL, false)
#define pt_pgstat_report_vacuum(rel, live, started) \
	((void) (started), pgstat_report_vacuum(RelationGetRelid(rel), (rel)->rd_rel->relisshared, live, 0))
#define pt_parallel_scan_name(pscan, rel) ((pscan)->phs_relid = RelationGetRelid(rel))
#define PT_INDEX_AM_ORDER
#define pt_index_count_search(scan) ((void) 0)
#else
#define pt_vac_update_relstats(rel, pages, tuples, hasindex, frozenxid, minmulti) \
	vac_update_relstats(rel, pages, tuples, 0, 0, hasindex, frozenxid, minmulti, NULL, NULL, false)
#if PG_VERSION_NUM < 190000
#define pt_pgstat_report_vacuum(rel, live, started) \
	pgstat_report_vacuum(RelationGetRelid(rel), (rel)->rd_rel->relisshared, live, 0, started)
#else
#define pt_pgstat_report_vacuum(rel, live, started) pgstat_report_vacuum(rel, live, 0, started)
#endif
#define pt_parallel_scan_name(pscan, rel) ((pscan)->phs_locator = (rel)->rd_locator)
#define pt_index_count_search(scan) \
	((scan)->instrument ? (void) (scan)->instrument->nsearches++ : (void) 0)
/* Strategies are numbered as in a btree, and so are comparisons. */
#define PT_INDEX_AM_TRANSLATES
#define PT_INDEX_AM_ORDER \
	.amconsistentordering = true, .amconsistentequality = true, \
	.amtranslatestrategy = translate_strategy, .amtranslatecmptype = translate_cmptype,
#endif

/*
 * 18: bitmap scans ask for rows, and no more for blocks; and it is the access
 * method that reads ahead.  Before, the executor does (am/bitmap.c).
 */
#if PG_VERSION_NUM < 180000
#define PT_BITMAP_BY_BLOCK
#define PT_BITMAP_CALLBACKS \
	.scan_bitmap_next_block = pt_scan_bitmap_next_block, \
	.scan_bitmap_next_tuple = pt_scan_bitmap_next_tuple,
#else
#define PT_BITMAP_CALLBACKS .scan_bitmap_next_tuple = pt_scan_bitmap_next_tuple,
#endif

/* 18: a place for what EXPLAIN tells of an index scan; 19: options. */
#if PG_VERSION_NUM < 180000
#define pt_index_beginscan(heap, index, snapshot) index_beginscan(heap, index, snapshot, 0, 0)
#elif PG_VERSION_NUM < 190000
#define pt_index_beginscan(heap, index, snapshot) index_beginscan(heap, index, snapshot, NULL, 0, 0)
#else
#define pt_index_beginscan(heap, index, snapshot) index_beginscan(heap, index, snapshot, NULL, 0, 0, 0)
#endif

/* 16: an access method says that it summarizes blocks, as BRIN does. */
#if PG_VERSION_NUM < 160000
#define pt_index_am_summarizes(index) ((index)->rd_rel->relam == BRIN_AM_OID)
#else
#define pt_index_am_summarizes(index) ((index)->rd_indam->amsummarizing)
#endif

/*
 * What an index access method's handler returns.  Before 19 the server frees
 * it; since then it keeps the pointer.
 */
#if PG_VERSION_NUM < 190000
#define pt_index_am_result(routine) memcpy(palloc(sizeof(IndexAmRoutine)), routine, sizeof(IndexAmRoutine))
#else
#define pt_index_am_result(routine) (routine)
#endif

/*
 * 17: wait events of extensions have names, and a wait event set may have a
 * resource owner.
 */
#if PG_VERSION_NUM < 170000
#define pt_wait_event_new(name) PG_WAIT_EXTENSION
#define pt_wait_event_set_new(n) CreateWaitEventSet(TopMemoryContext, n)
#else
#include "utils/wait_event.h"
#define pt_wait_event_new(name) WaitEventExtensionNew(name)
#define pt_wait_event_set_new(n) CreateWaitEventSet(NULL, n)
#endif

/* 16 renamed it.  A macro, for files that include catalog/pg_class.h. */
#if PG_VERSION_NUM < 160000
#include "utils/relfilenodemap.h"
#define RelidByRelfilenumber(spc, number) RelidByRelfilenode(spc, number)
#else
#include "utils/relfilenumbermap.h"
#endif

/*
 * 19: a tranche of LWLocks gets its name once, with its number, and a hash
 * table in shared memory has one size.  Before, it would grow into memory that
 * is left for others (locks).
 */
#if PG_VERSION_NUM < 190000
#define pt_lwlock_tranche_new(name) LWLockNewTrancheId()
#define pt_lwlock_tranche_name(tranche, name) LWLockRegisterTranche(tranche, name)
#define pt_shmem_hash(name, n, ctl, flags) ShmemInitHash(name, n, n, ctl, (flags) | HASH_FIXED_SIZE)
#else
#define pt_lwlock_tranche_new(name) LWLockNewTrancheId(name)
#define pt_lwlock_tranche_name(tranche, name) ((void) (tranche))
#define pt_shmem_hash(name, n, ctl, flags) ShmemInitHash(name, n, ctl, (flags) | HASH_FIXED_SIZE)
#endif

/* 19: a row type that was put together is to be finished. */
#if PG_VERSION_NUM < 190000
#define pt_tupdesc_finalize(desc) ((void) 0)
#else
#define pt_tupdesc_finalize(desc) TupleDescFinalize(desc)
#endif

/* 19: signal handlers have a type of their own. */
#if PG_VERSION_NUM < 190000
#define PG_SIG_IGN SIG_IGN
#endif

/*
 * 19: the content lock of a buffer is part of its state; io/extent_write.c
 * tells what follows.  Macros, for files that include storage/buf_internals.h.
 */
#if PG_VERSION_NUM < 190000
#define BUFFER_LOCK_SHARE_EXCLUSIVE BUFFER_LOCK_SHARE
#define PtBufferState uint32
#define PageSetChecksum(page, block) PageSetChecksumInplace(page, block)
#define pt_header_unlock(desc, state, clear) UnlockBufHdr(desc, (state) & ~(clear))
#define pt_content_lwlock(buffer) BufferDescriptorGetContentLock(GetBufferDescriptor((buffer) - 1))
#define pt_buffer_is_locked(buffer) LWLockHeldByMe(pt_content_lwlock(buffer))
#define pt_buffer_lock_to_write(buffer) LWLockConditionalAcquire(pt_content_lwlock(buffer), LW_SHARED)
#else
#define BM_JUST_DIRTIED UINT64CONST(0)
#define PtBufferState uint64
#define pt_header_unlock(desc, state, clear) ((void) UnlockBufHdrExt(desc, state, 0, clear, 0))
#define pt_buffer_is_locked(buffer) BufferIsLockedByMe(buffer)
#define pt_buffer_lock_to_write(buffer) ConditionalLockBuffer(buffer)
#endif

/*
 * The end of the last WAL record inserted: good to flush up to.  19 has a
 * function for it.  Before, GetXLogInsertRecPtr names where the next one
 * begins, which is behind the header of a page that does not exist yet when
 * the last one ends with its page.
 */
#if PG_VERSION_NUM < 190000
static inline XLogRecPtr
pt_wal_insert_end(void)
{
	XLogRecPtr	lsn = GetXLogInsertRecPtr();

	if (lsn % wal_segment_size == SizeOfXLogLongPHD)
		return lsn - SizeOfXLogLongPHD;
	if (lsn % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		return lsn - SizeOfXLogShortPHD;
	return lsn;
}
#else
#define pt_wal_insert_end() GetXLogInsertEndRecPtr()
#endif

/* 18 made the list of registered background workers doubly linked. */
static inline int
pt_bgworkers_registered(void)
{
	int			n = 0;

#if PG_VERSION_NUM < 180000
	slist_iter	iter;

	slist_foreach(iter, &BackgroundWorkerList)
		n++;
#else
	dlist_iter	iter;

	dlist_foreach(iter, &BackgroundWorkerList)
		n++;
#endif
	return n;
}

/* 18: the path of a file comes as a struct. */
#if PG_VERSION_NUM < 180000
#define pt_file_path(locator) relpathperm(locator, MAIN_FORKNUM)
#else
#define pt_file_path(locator) pstrdup(relpathperm(locator, MAIN_FORKNUM).str)
#endif

/* 17: dshash copies keys through a function. */
#if PG_VERSION_NUM < 170000
#define PT_DSHASH_COPY
#else
#define PT_DSHASH_COPY .copy_function = dshash_memcpy,
#endif

/* 16 wants to know whether the relation is a catalog. */
#if PG_VERSION_NUM < 160000
#define pt_resolve_snapshot_conflict(horizon, locator) \
	ResolveRecoveryConflictWithSnapshot(horizon, locator)
#else
#define pt_resolve_snapshot_conflict(horizon, locator) \
	ResolveRecoveryConflictWithSnapshot(horizon, false, locator)
#endif

/*
 * Changes for logical decoding: 18 renamed functions, 17 made the tuple one
 * struct with its memory, 16 renamed a field.  Macros, for files that include
 * replication/reorderbuffer.h.  pt_change_new_tuple gives a change a new
 * tuple with room for so many bytes behind the fixed part of the header.
 */
#if PG_VERSION_NUM < 180000
#define ReorderBufferAllocChange(rb) ReorderBufferGetChange(rb)
#define ReorderBufferAllocTupleBuf(rb, len) ReorderBufferGetTupleBuf(rb, len)
#endif
#if PG_VERSION_NUM < 170000
#define pt_change_new_tuple(rb, change, len) \
	(&((change)->data.tp.newtuple = ReorderBufferAllocTupleBuf(rb, len))->tuple)
#else
#define pt_change_new_tuple(rb, change, len) \
	((change)->data.tp.newtuple = ReorderBufferAllocTupleBuf(rb, len))
#endif
#if PG_VERSION_NUM < 160000
#define pt_change_locator(change) ((change)->data.tp.relnode)
#else
#define pt_change_locator(change) ((change)->data.tp.rlocator)
#endif

/*
 * Replication origins: 16 lets several processes share one, 19 renamed the
 * type and made the session's variables a struct.  Macros, for files that
 * include replication/origin.h.
 */
#if PG_VERSION_NUM < 160000
#define pt_replorigin_setup(id) replorigin_session_setup(id)
#else
#define pt_replorigin_setup(id) replorigin_session_setup(id, 0)
#endif
#if PG_VERSION_NUM < 190000
#define ReplOriginId RepOriginId
#define InvalidReplOriginId InvalidRepOriginId
#define pt_replorigin_session replorigin_session_origin
#define pt_replorigin_session_lsn replorigin_session_origin_lsn
#define pt_replorigin_session_time replorigin_session_origin_timestamp
#else
#define pt_replorigin_session replorigin_xact_state.origin
#define pt_replorigin_session_lsn replorigin_xact_state.origin_lsn
#define pt_replorigin_session_time replorigin_xact_state.origin_timestamp
#endif

/* 16 gave out the function that finds a setting by its name. */
#if PG_VERSION_NUM < 160000
#define PT_NEEDS_FIND_OPTION
#endif

/* 16 let input functions hand an error back instead of throwing it. */
#if PG_VERSION_NUM < 160000
#define ereturn(escontext, dummy_value, ...) \
	do { \
		(void) (escontext); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy_value; \
	} while (0)
#endif

/*
 * 16: who may subscribe is a matter of a role, and others than superusers have
 * to give a password; 17: a connection need not be one for replication.
 * Macros, for files that include replication/walreceiver.h and utils/acl.h.
 */
#if PG_VERSION_NUM < 160000
#define pt_may_subscribe(role) superuser_arg(role)
#define pt_walrcv_check(conninfo, password) walrcv_check_conninfo(conninfo)
#define pt_walrcv_connect(conninfo, password, name, err) walrcv_connect(conninfo, true, name, err)
#else
#define pt_may_subscribe(role) has_privs_of_role(role, ROLE_PG_CREATE_SUBSCRIPTION)
#define pt_walrcv_check(conninfo, password) walrcv_check_conninfo(conninfo, password)
#if PG_VERSION_NUM < 170000
#define pt_walrcv_connect(conninfo, password, name, err) walrcv_connect(conninfo, true, password, name, err)
#else
#define pt_walrcv_connect(conninfo, password, name, err) walrcv_connect(conninfo, true, true, password, name, err)
#endif
#endif

/*
 * 19: what is put together as jsonb is in one struct.  A macro, for files that
 * include utils/jsonb.h; zero a PtJsonOut before the first push.
 */
#if PG_VERSION_NUM < 190000
typedef struct PtJsonOut
{
	struct JsonbParseState *state;
	struct JsonbValue *result;
} PtJsonOut;
#define pt_json_push(out, token, value) ((void) ((out)->result = pushJsonbValue(&(out)->state, token, value)))
#else
#define PtJsonOut JsonbInState
#define pt_json_push(out, token, value) pushJsonbValue(out, token, value)
#endif

/*
 * pg_hba.conf and pg_ident.conf.  16: a line knows its file, a file may
 * include others, and databases and roles may be regular expressions.  Macros,
 * for files that include libpq/hba.h and storage/fd.h.
 */
#if PG_VERSION_NUM < 160000
#define pt_hba_file(line) HbaFileName
#define pt_auth_file_open(name) AllocateFile(name, "r")
#define pt_auth_file_read(name, file, lines) ((void) tokenize_auth_file(name, file, lines, DEBUG1))
#define pt_auth_file_close(file) FreeFile(file)
#define pt_token_regex(token) ((regex_t *) NULL)
#define pt_ident_name(line) ((line)->ident_user)
#define pt_ident_regex(line) ((line)->ident_user[0] == '/' ? &(line)->re : NULL)
#define pt_ident_role(line) ((line)->pg_role)
#define pt_ident_role_token(line) ((AuthToken *) NULL)
#define pt_ident_free(line) ((line)->ident_user[0] == '/' ? pg_regfree(&(line)->re) : (void) 0)
#else
#define pt_hba_file(line) ((line)->sourcefile)
#define pt_auth_file_open(name) open_auth_file(name, DEBUG1, 0, NULL)
#define pt_auth_file_read(name, file, lines) tokenize_auth_file(name, file, lines, DEBUG1, 0)
#define pt_auth_file_close(file) free_auth_file(file, 0)
#define pt_token_regex(token) ((token)->regex)
#define pt_ident_name(line) ((line)->system_user->string)
#define pt_ident_regex(line) ((line)->system_user->regex)
#define pt_ident_role(line) ((line)->pg_user->string)
#define pt_ident_role_token(line) ((line)->pg_user)
#define pt_ident_free(line) ((void) (line))
#endif

/*
 * 18: tokens of OAuth, which validator modules check.  A macro, for files that
 * include libpq/hba.h.
 */
#if PG_VERSION_NUM < 180000
#define pt_hba_is_oauth(line) ((void) (line), false)
#else
#define PT_HAS_OAUTH
#define pt_hba_is_oauth(line) ((line)->auth_method == uaOAuth)
#endif

/*
 * 18: what log_connections has told to log is a set.  Macros, for files that
 * include PT_LOG_CONNECTIONS_H.
 */
#if PG_VERSION_NUM < 180000
#define PT_LOG_CONNECTIONS_H "postmaster/postmaster.h"
#define pt_log_received() Log_connections
#define pt_log_authorized() Log_connections
extern PGDLLIMPORT bool Log_disconnections;
#else
#define PT_LOG_CONNECTIONS_H "tcop/backend_startup.h"
#define pt_log_received() ((log_connections & LOG_CONNECTION_RECEIPT) != 0)
#define pt_log_authorized() ((log_connections & LOG_CONNECTION_AUTHORIZATION) != 0)
#endif

/*
 * Two functions of libpq/libpq.h, which cannot be included where the headers
 * of Kerberos are not installed.  19: servers may have several keys, each with
 * its command.  As at a reload, errors are logged.
 */
extern bool check_ssl_key_file_permissions(const char *ssl_key_file, bool isServerStart);
#if PG_VERSION_NUM < 190000
extern int	run_ssl_passphrase_command(const char *prompt, bool is_server_start, char *buf, int size);
#define pt_run_passphrase_command(command, prompt, buf, size) run_ssl_passphrase_command(prompt, false, buf, size)
#else
extern int	run_ssl_passphrase_command(const char *cmd, const char *prompt, bool is_server_start, char *buf, int size);
#define pt_run_passphrase_command(command, prompt, buf, size) run_ssl_passphrase_command(command, prompt, false, buf, size)
#endif

/* 18 keeps a client's keys of SCRAM: for files with libpq/libpq-be.h. */
#if PG_VERSION_NUM < 180000
#define pt_port_forget_keys(port) ((void) 0)
#else
#define pt_port_forget_keys(port) \
	(explicit_bzero((port)->scram_ClientKey, sizeof((port)->scram_ClientKey)), \
	 explicit_bzero((port)->scram_ServerKey, sizeof((port)->scram_ServerKey)), \
	 (port)->has_scram_keys = false)
#endif

/*
 * 19 warns the session whose password expires soon, and a worker is no
 * session: to be called before get_role_password(), as a reload sets it anew.
 * For files with libpq/crypt.h.
 */
#if PG_VERSION_NUM < 190000
#define pt_mute_password_warnings() ((void) 0)
#else
#define pt_mute_password_warnings() ((void) (password_expiration_warning_threshold = 0))
#endif

#endif							/* PT_COMPAT_H */

/*-------------------------------------------------------------------------
 *
 * offset_cache.h
 *	  What the records of __consumer_offsets say, in shared memory.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_GROUPS_OFFSET_CACHE_H
#define PT_GROUPS_OFFSET_CACHE_H

#include "lib/dshash.h"

#include "groups/groups.h"

/* Makes the cache usable in this process; first of all. */
extern void pt_offset_cache_attach(void);

/* When this memory was made, in ms: the start of the server, or its restart after a crash. */
extern int64 pt_offset_cache_started(void);

/* The table of groups in use (registry.c), which lives in the same memory. */
extern dshash_table *pt_offset_cache_members(void);

/* Is there so much (pgtopic.offset_memory) that no new committed offset may come? */
extern bool pt_offset_cache_full(void);

/* 128 bits that nobody outside can predict, for keys of hash tables and of locks. */
extern void pt_offset_hash(const char *data, size_t len, uint64 hash[2]);

/* offset_follow.c: brings the cache up to what is committed in a leaf of __consumer_offsets. */
extern void pt_offset_cache_follow(PtLogState *log);
extern Size pt_offset_follow_shmem_size(void);
extern void pt_offset_follow_shmem_init(void);

/* The next record of a leaf, committed. */
extern void pt_offset_cache_apply(const RelFileLocator *log, const PtRecord *record);

/*
 * Look-ups, of what has been followed.  Results are palloc'd, the arrays of them, too.
 */
extern bool pt_offset_cache_find(const RelFileLocator *log, PtString group_id, PtString topic, int32 partition,
								   PtCommittedOffset *out);
extern int	pt_offset_cache_group(const RelFileLocator *log, PtString group_id, PtCommittedOffset **out);
extern int	pt_offset_cache_groups(const RelFileLocator *logs, int nlogs, PtGroupOffsets **out);

/* When members or sessions are known to have used a group last, in ms; 0: not known. */
extern int64 pt_offset_cache_last_used(const RelFileLocator *log, PtString group_id);

/* Forgets logs of this database that are not among these: they have been truncated or dropped. */
extern void pt_offset_cache_keep(const RelFileLocator *logs, int nlogs);
extern void pt_offset_cache_forget(const RelFileLocator *logs, int nlogs);	/* their groups only */

#endif							/* PT_GROUPS_OFFSET_CACHE_H */

/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the groups room share, from the bottom up.
 *
 * A file calls only files above it in this list.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_GROUPS_INTERNAL_H
#define PT_GROUPS_INTERNAL_H

#include "lib/dshash.h"
#include "lib/stringinfo.h"

#include "groups/groups.h"

/* offset_codec.c: the records of __consumer_offsets, as Kafka encodes them */

/* The key of a record. */
typedef struct PtOffsetKey
{
	bool		is_group;		/* the group itself, not a committed offset */
	PtString	group_id;
	PtString	topic;
	int32		partition;
} PtOffsetKey;

extern void pt_offset_key_write(StringInfo buf, PtString group_id, PtString topic, int32 partition);
extern void pt_offset_group_key_write(StringInfo buf, PtString group_id);
extern bool pt_offset_key_read(const char *data, int len, PtOffsetKey *key);
extern void pt_offset_value_write(StringInfo buf, const PtCommittedOffset *committed);
extern bool pt_offset_value_read(const char *data, int len, PtCommittedOffset *committed);
extern void pt_offset_group_value_write(StringInfo buf, int64 last_used);
extern bool pt_offset_group_value_read(const char *data, int len, int64 *last_used);

/* offset_cache.c: what these records say, in shared memory */

/* Key of the table of members. */
typedef struct PtGroupMembersKey
{
	Oid			database;
	uint32		pad;
	uint64		hash[2];		/* of the group id */
} PtGroupMembersKey;

/* A group that has, or had, Kafka members; an entry of registry.c's table. */
typedef struct PtGroupMembers
{
	PtGroupMembersKey key;
	int32		members;
	bool		claim;			/* claimed, but nobody has become a member yet */
	int64		empty_since;	/* ms; valid when members is 0; 0: it never
								 * had any */
} PtGroupMembers;

extern Size pt_offset_cache_shmem_size(void);
extern void pt_offset_cache_shmem_init(void);
extern void pt_offset_cache_attach(void);
extern int64 pt_offset_cache_started(void);
extern dshash_table *pt_offset_cache_members(void);
extern void pt_offset_hash(const char *data, size_t len, uint64 hash[2]);
extern bool pt_offset_cache_full(void);
extern void pt_offset_cache_apply(const RelFileLocator *log, const PtRecord *record);
extern bool pt_offset_cache_find(const RelFileLocator *log, PtString group_id, PtString topic, int32 partition,
								 PtCommittedOffset *out);
extern int	pt_offset_cache_group(const RelFileLocator *log, PtString group_id, PtCommittedOffset **out);
extern int	pt_offset_cache_groups(const RelFileLocator *logs, int nlogs, PtGroupOffsets **out);
extern int64 pt_offset_cache_last_used(const RelFileLocator *log, PtString group_id);
extern void pt_offset_cache_forget(const RelFileLocator *logs, int nlogs);

/* offset_follow.c: the cache follows the log */
extern void pt_offset_follow(PtLogState *log);
extern void pt_offset_follow_keep(const RelFileLocator *logs, int nlogs);

/* offsets.c */
extern int	pt_offsets_leaves(Oid **leaves);
extern bool pt_group_belongs(PtString group_id, Oid leaf);
extern PtLogState *pt_offsets_follow(Oid leaf, bool dont_wait);
extern bool pt_offset_topic_known(const PtCommittedOffset *committed);
extern bool pt_offset_find(PtString group_id, const PtTopic *topic, int32 partition, PtCommittedOffset *committed,
						   bool *is_own);
extern void pt_offset_write(PtString group_id, const PtCommittedOffset *committed);
extern void pt_offset_check_room(const RelFileLocator *log, PtString group_id, const PtCommittedOffset *committed);
extern void pt_offset_unlock(PtString group_id, Oid leaf);
extern int64 pt_group_last_used(PtString group_id);
extern void pt_group_used_write(PtString group_id, int64 last_used);

/* registry.c */
extern void pt_groups_sweep(int64 before);

/* expire.c */
extern int64 pt_offsets_note_after(void);

#endif							/* PT_GROUPS_INTERNAL_H */

/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  Who uses a group: what registry.c shares with the rest of the engine.
 *
 * Siblings: committed offsets.h is the door.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_GROUPS_INTERNAL_H
#define PT_GROUPS_INTERNAL_H

#include "groups/groups.h"

typedef struct PtGroupMembersKey
{
	Oid			database;
	uint32		pad;
	uint64		hash[2];		/* of the group's id */
} PtGroupMembersKey;

/* A group that has Kafka members, or had some. */
typedef struct PtGroupMembers
{
	PtGroupMembersKey key;
	int32		members;
	bool		claim;			/* nobody has become a member so far */
	int64		empty_since;	/* ms; when members is 0 */
} PtGroupMembers;

/*
 * For expire.c: members of a group, and when there was one last (now, when there are; 0:
 * not known to have had any since the server started).
 */
extern int	pt_group_usage(PtString group_id, int64 now, int64 *last_used);

/* Forgets groups that have had no members since before then (ms). */
extern void pt_groups_sweep(int64 before);

/*
 * offsets.c: the leaves of __consumer_offsets, and the log of one.
 */
extern int	pt_offsets_leaves(Oid **leaves);
extern bool pt_group_belongs(PtString group_id, Oid leaf);
extern PtLogState *pt_offsets_follow(Oid leaf, bool dont_wait);

/* ERROR 53400 when the committed offset would be a new one, and there are too many. */
extern void pt_offset_check_room(const RelFileLocator *log, PtString group_id, const PtCommittedOffset *committed);

/* Does the committed offset say which topic of that name it is in? */
extern bool pt_offset_topic_known(const PtCommittedOffset *committed);

/* For consume.c.  False: the group has none; is_own: the transaction itself has said so. */
extern bool pt_offset_find(PtString group_id, const PtTopic *topic, int32 partition, PtCommittedOffset *committed, bool *is_own);
extern void pt_offset_unlock(PtString group_id, Oid leaf);

/* A record of the group itself: it was used at this time (ms; 0: there is no need to know). */
extern int64 pt_group_last_used(PtString group_id); /* as last written; 0: never */
extern void pt_group_used_write(PtString group_id, int64 last_used);

/* expire.c: a use of a group this long (ms) after the last one that was written down is written, too. */
extern int64 pt_offsets_note_after(void);

#endif							/* PT_GROUPS_INTERNAL_H */

/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  Who uses a group: members of Kafka's protocol or SQL sessions, never
 *	  both.
 *
 * Two things together keep them apart.  A SQL transaction that uses a group
 * holds the group's lock in share mode to its end (also while it is prepared).
 * A group that has Kafka members is in the table of members, in shared memory,
 * which only the coordinator writes:
 *
 *		SQL session				take the lock shared, then look into the table
 *		coordinator				take the lock exclusively if that is possible
 *								at once, enter the group, let the lock go
 *
 * Whoever comes second sees the first: a session that has the lock before the
 * coordinator asks makes it fail, one that gets it afterwards finds the
 * group in the table.
 *
 * A group whose last member has left stays in the table with the time for a
 * while, as its committed offsets expire from then on (expire.c).
 *
 * Siblings: offset_cache.c has the memory, consume.c and ../func/groups.c use
 * groups.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/rls.h"

#include "groups/internal.h"
#include "xact/xact.h"

/*
 * Last field of the tag of group locks.  It differs from those of user locks
 * (1, 2) and of locks of (group, partition) (3).
 */
#define GROUP_LOCK_KIND		4

/* Whose lock it is, the coordinator asks so many times. */
#define LOCK_TRIES			3

/*
 * Makes the key of a group in the table of members.
 */
static void
members_key(PtGroupMembersKey *key, PtString group_id)
{
	Assert(group_id.len >= 0);
	memset(key, 0, sizeof(*key));
	key->database = MyDatabaseId;
	pt_offset_hash(group_id.data, group_id.len, key->hash);
}

/*
 * Makes the tag of a group's lock.  The hash has no seed, because it must be
 * the same after a restart, when prepared transactions get their locks again.
 */
static void
group_lock_tag(LOCKTAG *tag, PtString group_id)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) group_id.data, group_id.len, 0);

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, GROUP_LOCK_KIND);
}

/*
 * Takes the group's lock, so that no SQL transaction begins to use the group.
 * Returns false if one uses it already, or has the lock for another purpose.
 */
static bool
lock_out_sql(LOCKTAG *tag, PtString group_id)
{
	group_lock_tag(tag, group_id);
	return LockAcquire(tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * The same for the coordinator, which must know which of the two it is, as it
 * turns clients away for good only if sessions use the group.  Whoever has the
 * lock exclusively (bring.c, expire.c, delete_group()) lets go of it in a
 * moment: *busy.  It may have come between two tries of ours, but not each
 * time.
 */
static bool
lock_out_sessions(LOCKTAG *tag, PtString group_id, bool *busy)
{
	*busy = false;
	for (int i = 0; i < LOCK_TRIES; i++)
	{
		if (lock_out_sql(tag, group_id))
			return true;
		*busy = LockAcquire(tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL;
		if (*busy)
			return false;
		LockRelease(tag, ShareLock, false);
	}
	return false;
}

/*
 * Claims a group for the coordinator, which is to be done before it accepts
 * the first member.  Returns false if a SQL transaction uses the group, or, in
 * *busy, if the group's lock is not free just now.  A claimed group counts as
 * having a member, so a claim without one is followed by
 * pt_group_kafka_members(0).
 */
bool
pt_group_kafka_claim(PtString group_id, bool *busy)
{
	dshash_table *table = pt_offset_cache_members();
	PtGroupMembersKey key;
	PtGroupMembers *group;
	LOCKTAG		tag;
	bool		found;

	*busy = false;
	if (pt_group_kafka_count(group_id) > 0)
		return true;
	if (!lock_out_sessions(&tag, group_id, busy))
		return false;
	members_key(&key, group_id);
	group = dshash_find_or_insert(table, &key, &found);
	if (!found)
		group->empty_since = 0;
	group->members = 1;
	group->claim = true;
	dshash_release_lock(table, group);
	LockRelease(&tag, ExclusiveLock, false);
	return true;
}

/*
 * Stores how many members a claimed group has; the coordinator calls it
 * whenever that changes.  0 gives the group up.
 */
void
pt_group_kafka_members(PtString group_id, int members)
{
	dshash_table *table = pt_offset_cache_members();
	PtGroupMembersKey key;
	PtGroupMembers *group;

	Assert(members >= 0);
	members_key(&key, group_id);
	group = dshash_find(table, &key, true);
	Assert(group != NULL || members == 0);	/* claimed before */
	if (group == NULL)
		return;
	if (members > 0)
		group->claim = false;
	else if (group->members > 0 && !group->claim)
		group->empty_since = pt_now_ms();
	group->members = members;
	if (members == 0 && group->empty_since == 0)
		dshash_delete_entry(table, group);
	else
		dshash_release_lock(table, group);
}

/*
 * Forgets all members, because the coordinator has started again.
 */
void
pt_groups_kafka_clear(void)
{
	dshash_table *table = pt_offset_cache_members();
	int64		now = pt_now_ms();
	dshash_seq_status scan;
	PtGroupMembers *group;

	dshash_seq_init(&scan, table, true);
	while ((group = dshash_seq_next(&scan)) != NULL)
	{
		if (group->key.database != MyDatabaseId || group->members == 0)
			continue;
		group->members = 0;
		group->empty_since = now;
	}
	dshash_seq_term(&scan);
}

/*
 * Returns how many members a group has, and when it had one last (ms): now if
 * it has members, 0 if it has had none since the server started.
 */
int
pt_group_usage(PtString group_id, int64 now, int64 *last_used)
{
	dshash_table *table = pt_offset_cache_members();
	PtGroupMembersKey key;
	PtGroupMembers *group;
	int			result = 0;

	*last_used = 0;
	members_key(&key, group_id);
	group = dshash_find(table, &key, false);
	if (group)
	{
		result = group->members;
		*last_used = result > 0 ? now : group->empty_since;
		dshash_release_lock(table, group);
	}
	Assert(result >= 0 && *last_used >= 0);
	return result;
}

/*
 * Returns how many members a group has; 0 if it is not in the table.
 */
int
pt_group_kafka_count(PtString group_id)
{
	int64		last_used;

	return pt_group_usage(group_id, 0, &last_used);
}

/*
 * Forgets groups that have had no members since "before" (ms).
 */
void
pt_groups_sweep(int64 before)
{
	dshash_seq_status scan;
	PtGroupMembers *group;

	dshash_seq_init(&scan, pt_offset_cache_members(), true);
	while ((group = dshash_seq_next(&scan)) != NULL)
	{
		if (group->members == 0 && group->empty_since < before)
			dshash_delete_current(&scan);
	}
	dshash_seq_term(&scan);
}

/*
 * Returns true if a SQL transaction uses the group, also if it is prepared.
 */
bool
pt_group_sql_active(PtString group_id)
{
	LOCKTAG		tag;

	if (!lock_out_sql(&tag, group_id))
		return true;
	LockRelease(&tag, ExclusiveLock, false);
	return false;
}

/*
 * Takes the group's lock to the end of the transaction, waiting for it.
 * ERROR 55006 if the group has Kafka members.
 */
static void
use_group(PtString group_id, LOCKMODE mode)
{
	LOCKTAG		tag;
	int			members;

	Assert(mode == ShareLock || mode == ExclusiveLock);
	group_lock_tag(&tag, group_id);
	(void) LockAcquire(&tag, mode, false, false);
	members = pt_group_kafka_count(group_id);
	if (members == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("group \"%s\" is in use by Kafka clients", pt_string_to_server(group_id)),
			 errdetail_plural("It has %d member.", "It has %d members.", members, members),
			 errhint("Use another group, or stop these clients.")));
}

/*
 * Makes SQL sessions the users of the group until the transaction ends.
 * Other sessions may use it as well.  ERROR 55006 if it has Kafka members.
 */
void
pt_group_sql_use(PtString group_id)
{
	use_group(group_id, ShareLock);
}

/*
 * The same for this session alone; waits for other sessions.
 */
void
pt_group_sql_own(PtString group_id)
{
	use_group(group_id, ExclusiveLock);
}

/*
 * Makes this transaction the only user of a group that nobody uses; false,
 * without waiting, if it has members or sessions.  Clients that come meanwhile
 * are told to come again, sessions wait.
 */
bool
pt_group_own_unused(PtString group_id)
{
	LOCKTAG		tag;

	return pt_group_kafka_count(group_id) == 0 && lock_out_sql(&tag, group_id) && pt_group_kafka_count(group_id) == 0;
}

/*
 * For views
 */

/*
 * Returns true if the session uses this group.
 */
bool
pt_group_matches(PtString group_id, const PtGroupSession *session)
{
	LOCKTAG		tag;

	group_lock_tag(&tag, group_id);
	return tag.locktag_field2 == session->lock[0] && tag.locktag_field3 == session->lock[1];
}

/*
 * Gets all uses of groups by sessions, palloc'd; returns how many.
 */
int
pt_group_sessions(PtGroupSession **out)
{
	LockData   *locks = GetLockStatusData();
	int			n = 0;

	*out = palloc(Max(locks->nelements, 1) * sizeof(PtGroupSession));
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];

		if (lock->locktag.locktag_type != LOCKTAG_ADVISORY || lock->locktag.locktag_field1 != MyDatabaseId ||
			lock->locktag.locktag_field4 != GROUP_LOCK_KIND || lock->holdMask == 0)
			continue;
		(*out)[n].pid = lock->pid;
		(*out)[n].lock[0] = lock->locktag.locktag_field2;
		(*out)[n++].lock[1] = lock->locktag.locktag_field3;
	}
	return n;
}

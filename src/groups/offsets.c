/*-------------------------------------------------------------------------
 *
 * offsets.c
 *	  Committed offsets: reads them, and sets them from SQL.
 *
 * A committed offset is a record of __consumer_offsets (offset_codec.c) that
 * has the id of its topic.  So an offset in a dropped topic means nothing for
 * a new topic of the same name.  Setting one is a deferred append, so it
 * commits, aborts and is prepared with its transaction.
 *
 * Look-ups ask the cache in shared memory, which follows the log.  What the
 * transaction itself has set is not in the log yet; a list ("own") has it, the
 * newest last.
 *
 * Siblings: offset_follow.c and offset_cache.c below, offset_batch.c (what a
 * listener appends), consume.c and expire.c above.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "fetch/fetch.h"
#include "groups/internal.h"
#include "xact/xact.h"

#define OFFSETS_PARTITIONS		8

/*
 * Last field of the lock tag for (group, partition).  It differs from 1 and
 * 2, which advisory locks of users have, and from 4, which registry.c has.
 */
#define OFFSET_LOCK_KIND		3

/*
 * A session that only writes lets the cache follow after so many writes, so
 * that others do not have much to read.  It does not do so each time, because
 * that would make asynchronous commits durable first.
 */
#define FOLLOW_WRITES			100

/* A committed offset that this transaction has set. */
typedef struct OwnOffset
{
	PtLevelItem held;			/* its level of subtransaction */
	RelFileLocator log;
	char	   *key;			/* key of the record */
	int			key_len;
	int64		offset;
	bool		removed;
	pg_uuid_t	topic_id;
} OwnOffset;

static PtLevelStack own = PT_LEVEL_STACK(OwnOffset);

const PtXactKind pt_xact_offsets = {
	.name = "committed offsets",
	.stack = &own,
};

/*
 * Returns a compacted topic of the broker's own.  If it does not exist, it is
 * created if "create" is set; otherwise NULL is returned.  Valid until the
 * next catalog access.
 */
const PtTopic *
pt_internal_topic(const char *name, int npartitions, bool create)
{
	const PtTopic *topic = pt_topic_by_name(name);
	PtConfigPair compact = {"cleanup.policy", "compact"};
	LOCKTAG		tag;

	Assert(IsTransactionState());
	if (topic != NULL || !create)
		return topic;
	/* one session creates it; the others wait for its commit */
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, OFFSET_LOCK_KIND);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	AcceptInvalidationMessages();
	topic = pt_topic_by_name(name);
	if (topic == NULL)
	{
		(void) pt_topic_create(name, npartitions, list_make1(&compact), NULL);
		CommandCounterIncrement();
		topic = pt_topic_by_name(name);
	}
	return topic;
}

/*
 * Returns the leaf of __consumer_offsets for a group.  If the topic does not
 * exist, it is created if "create" is set; otherwise InvalidOid is returned.
 */
Oid
pt_offsets_leaf(PtString group_id, bool create)
{
	const PtTopic *topic = pt_internal_topic(PT_OFFSETS_TOPIC, OFFSETS_PARTITIONS, create);

	if (topic == NULL || topic->npartitions == 0)
		return InvalidOid;
	return topic->leaves[pt_group_partition(group_id, topic->npartitions)];
}

/*
 * Returns true if the leaf is the group's.  Records that were written to
 * another leaf by hand, or before there were more partitions, do not count.
 */
bool
pt_group_belongs(PtString group_id, Oid leaf)
{
	return pt_offsets_leaf(group_id, false) == leaf;
}

/*
 * Gets all leaves in ascending order, in which locks are taken; returns how
 * many.
 */
int
pt_offsets_leaves(Oid **leaves)
{
	const PtTopic *topic = pt_topic_by_name(PT_OFFSETS_TOPIC);
	List	   *oids = NIL;
	ListCell   *lc;
	int			n = 0;

	for (int i = 0; topic && i < topic->npartitions; i++)
	{
		if (OidIsValid(topic->leaves[i]))
			oids = lappend_oid(oids, topic->leaves[i]);
	}
	list_sort(oids, list_oid_cmp);
	*leaves = palloc(Max(list_length(oids), 1) * sizeof(Oid));
	foreach(lc, oids)
		(*leaves)[n++] = lfirst_oid(lc);
	list_free(oids);
	return n;
}

/*
 * Returns the log of a leaf, after the cache has followed it to its committed
 * end.  NULL if the leaf was dropped.
 *
 * With dont_wait, ERROR 55P03 if the lock is not free.  Otherwise the leaf is
 * locked (AccessShareLock) to the end of the transaction.
 */
PtLogState *
pt_offsets_follow(Oid leaf, bool dont_wait)
{
	PtLogState *log;
	PtStatus	status;

	Assert(IsTransactionState());
	if (!OidIsValid(leaf))
		return NULL;
	if (!dont_wait)
		LockRelationOid(leaf, AccessShareLock);
	status = pt_log_find(leaf, dont_wait, &log);
	if (status == PT_BUSY)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not obtain lock on topic \"%s\"", PT_OFFSETS_TOPIC)));
	if (status == PT_UNKNOWN_PARTITION)
		return NULL;
	Assert(status == PT_OK);
	pt_offset_follow(log);
	return log;
}

/*
 * Returns the newest committed offset with this key that this transaction has
 * set, or NULL.  With "removals", the last one that removed it.
 */
static const OwnOffset *
find_own(const RelFileLocator *log, PtString group_id, PtString topic, int32 partition, bool removals)
{
	const OwnOffset *found = NULL;
	StringInfoData key;

	if (own.n == 0)
		return NULL;
	pt_offset_key_write(&key, group_id, topic, partition);
	for (int i = own.n - 1; i >= 0 && found == NULL; i--)
	{
		const OwnOffset *mine = pt_levels_at(&own, i);

		if (RelFileLocatorEquals(mine->log, *log) && mine->key_len == key.len &&
			memcmp(mine->key, key.data, key.len) == 0 && (mine->removed || !removals))
			found = mine;
	}
	pfree(key.data);
	return found;
}

/*
 * Compares topic ids.
 */
static bool
is_same_topic(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t)) == 0;
}

/*
 * Returns true if the committed offset has a topic id.
 */
bool
pt_offset_topic_known(const PtCommittedOffset *committed)
{
	static const pg_uuid_t unknown = {{0}};

	return !is_same_topic(&committed->topic_id, &unknown);
}

/*
 * Returns true if the committed offset is one in this topic, and not in
 * another topic that had its name.  If topic_id is NULL, or the offset has no
 * topic id, any topic will do.
 */
bool
pt_offset_is_of(const PtCommittedOffset *committed, const pg_uuid_t *topic_id)
{
	return topic_id == NULL || !pt_offset_topic_known(committed) || is_same_topic(&committed->topic_id, topic_id);
}

/*
 * Looks up what a group has committed in a partition.  Returns false if there
 * is nothing, or only an offset in another topic of that name (see
 * pt_offset_is_of).
 */
bool
pt_offset_fetch(PtString group_id, PtString topic, const pg_uuid_t *topic_id, int32 partition,
				bool dont_wait, PtCommittedOffset *out)
{
	PtLogState *log = pt_offsets_follow(pt_offsets_leaf(group_id, false), dont_wait);

	return log != NULL && pt_offset_cache_find(&log->locator, group_id, topic, partition, out) &&
		pt_offset_is_of(out, topic_id);
}

/*
 * Calls back for each committed offset of a group, ordered by topic and
 * partition; returns how many.
 */
int
pt_offsets_of_group(PtString group_id, bool dont_wait, PtOffsetCallback callback, void *arg)
{
	PtLogState *log = pt_offsets_follow(pt_offsets_leaf(group_id, false), dont_wait);
	PtCommittedOffset *offsets;
	int			n;

	if (log == NULL)
		return 0;
	n = pt_offset_cache_group(&log->locator, group_id, &offsets);
	for (int i = 0; i < n; i++)
		callback(arg, &offsets[i]);
	return n;
}

/*
 * Calls back for each group that has committed offsets, in no order; returns
 * how many.
 */
int
pt_offsets_groups(bool dont_wait, PtGroupCallback callback, void *arg)
{
	Oid		   *leaves;
	int			nleaves = pt_offsets_leaves(&leaves);
	RelFileLocator *logs = palloc(Max(nleaves, 1) * sizeof(RelFileLocator));
	PtGroupOffsets *groups;
	int			nlogs = 0;
	int			n;
	int			with_offsets = 0;

	pt_offset_cache_attach();
	for (int i = 0; i < nleaves; i++)
	{
		PtLogState *log = pt_offsets_follow(leaves[i], dont_wait);

		if (log)
		{
			leaves[nlogs] = leaves[i];
			logs[nlogs++] = log->locator;
			pt_state_release(log);
		}
	}
	n = pt_offset_cache_groups(logs, nlogs, &groups);
	for (int i = 0; i < n; i++)
	{
		if (groups[i].noffsets == 0 || !pt_group_belongs(groups[i].group_id, leaves[groups[i].log]))
			continue;
		callback(arg, &groups[i]);
		with_offsets++;
	}
	return with_offsets;
}

/*
 * Callback that does nothing; the number is what counts.
 */
static void
ignore_offset(void *arg, const PtCommittedOffset *committed)
{
}

/*
 * Returns true if the group has committed offsets.
 */
bool
pt_offsets_exist(PtString group_id, bool dont_wait)
{
	return pt_offsets_of_group(group_id, dont_wait, ignore_offset, NULL) > 0;
}

/*
 * Returns true if the group has committed offsets that this transaction has
 * not removed.  What only this transaction has set does not count.
 */
bool
pt_offsets_remain(PtString group_id)
{
	PtLogState *log = pt_offsets_follow(pt_offsets_leaf(group_id, false), false);
	PtCommittedOffset *offsets;
	int			n = log == NULL ? 0 : pt_offset_cache_group(&log->locator, group_id, &offsets);

	for (int i = 0; i < n; i++)
	{
		if (find_own(&log->locator, group_id, offsets[i].topic, offsets[i].partition, true) == NULL)
			return true;
	}
	return false;
}

/*
 * Looks up what a group has committed in a partition, also in this
 * transaction, which sets *is_own.  Returns false if there is nothing.
 */
bool
pt_offset_find(PtString group_id, const PtTopic *topic, int32 partition, PtCommittedOffset *committed, bool *is_own)
{
	pg_uuid_t	topic_id = topic->id;	/* a copy, because the cache may move */
	PtString	name = pt_string_copy(pt_string_of(topic->name));
	PtLogState *log = pt_offsets_follow(pt_offsets_leaf(group_id, false), false);
	const OwnOffset *mine;

	Assert(partition >= 0);
	*is_own = false;
	if (log == NULL)
		return false;
	mine = find_own(&log->locator, group_id, name, partition, false);
	*is_own = mine != NULL && is_same_topic(&mine->topic_id, &topic_id);
	if (*is_own)
	{
		memset(committed, 0, sizeof(*committed));
		committed->offset = mine->offset;
		committed->commit_time = pt_now_ms();
		return !mine->removed;
	}
	return pt_offset_cache_find(&log->locator, group_id, name, partition, committed) &&
		pt_offset_is_of(committed, &topic_id);
}

/*
 * ERROR 53400 if the committed offset would be a new one and there are too
 * many.  The cache is attached; it does not need to have followed the log.
 */
void
pt_offset_check_room(const RelFileLocator *log, PtString group_id, const PtCommittedOffset *committed)
{
	PtCommittedOffset found;

	if (committed->removed || !pt_offset_cache_full() ||
		pt_offset_cache_find(log, group_id, committed->topic, committed->partition, &found))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("there are too many committed offsets"),
			 errhint("Delete groups that are no longer used, or increase the setting \"pgtopic.offset_memory\".")));
}

/*
 * Remembers a committed offset that this transaction sets.
 */
static void
remember_own(const RelFileLocator *log, const StringInfo key, const PtCommittedOffset *committed)
{
	OwnOffset  *mine = pt_levels_push(&own);

	mine->log = *log;
	mine->key = MemoryContextAlloc(TopTransactionContext, key->len);
	memcpy(mine->key, key->data, key->len);
	mine->key_len = key->len;
	mine->offset = committed->offset;
	mine->removed = committed->removed;
	mine->topic_id = committed->topic_id;
}

/*
 * Adds a record to the group's leaf, for the commit of the transaction.
 * Frees its key and value.
 */
static void
add_record(Relation rel, StringInfo key, StringInfo value)
{
	PtRecord	row = {.offset = -1,.timestamp = pt_now_ms(),.value_len = -1};

	row.key = key->data;
	row.key_len = key->len;
	if (value->data)
	{
		row.value = value->data;
		row.value_len = value->len;
	}
	pt_pending_add(rel, &row, NULL);
	pfree(key->data);
	if (value->data)
		pfree(value->data);
}

/*
 * Sets or removes a committed offset: a deferred record, which is appended to
 * __consumer_offsets when the transaction commits.  The topic is created on
 * first use.  The caller has checked names and bounds.
 */
void
pt_offset_write(PtString group_id, const PtCommittedOffset *committed)
{
	static uint32 writes = 0;
	StringInfoData key;
	StringInfoData value = {0};
	Relation	rel;

	Assert(committed->partition >= 0);
	pt_offset_key_write(&key, group_id, committed->topic, committed->partition);
	if (!committed->removed)
		pt_offset_value_write(&value, committed);
	rel = relation_open(pt_offsets_leaf(group_id, true), RowExclusiveLock);
	pt_offset_cache_attach();
	if (++writes % FOLLOW_WRITES == 0)
		(void) pt_offsets_follow(RelationGetRelid(rel), false);
	pt_offset_check_room(&pt_rel_locator(rel), group_id, committed);
	remember_own(&pt_rel_locator(rel), &key, committed);
	add_record(rel, &key, &value);
	relation_close(rel, NoLock);
}

/*
 * Sets the committed offset of a group in a topic to "offset", now.
 */
void
pt_offset_set(PtString group_id, const PtTopic *topic, int32 partition, int64 offset, PtString metadata)
{
	PtCommittedOffset committed = {
		.topic = pt_string_copy(pt_string_of(topic->name)), /* the cache may move */
		.topic_id = topic->id,
		.partition = partition,
		.leader_epoch = -1,
		.offset = offset,
		.commit_time = pt_now_ms(),
		.metadata = metadata
	};

	Assert(offset >= 0 && partition < topic->npartitions);
	pt_offset_write(group_id, &committed);
}

/*
 * Removes all committed offsets of a group, also those that this transaction
 * has set; returns how many.
 */
int
pt_offsets_remove(PtString group_id)
{
	PtLogState *log = pt_offsets_follow(pt_offsets_leaf(group_id, false), false);
	int			n_own = own.n;	/* the loop below adds to own */
	int			removed = 0;
	PtCommittedOffset *offsets;
	int			n;

	if (log == NULL)
		return 0;
	n = pt_offset_cache_group(&log->locator, group_id, &offsets);
	for (int i = 0; i < n; i++)
	{
		const OwnOffset *mine = find_own(&log->locator, group_id, offsets[i].topic, offsets[i].partition, false);

		if (mine && mine->removed)
			continue;
		offsets[i].removed = true;
		pt_offset_write(group_id, &offsets[i]);
		removed++;
	}
	for (int i = 0; i < n_own; i++)
	{
		const OwnOffset *mine = pt_levels_at(&own, i);
		PtCommittedOffset committed = {.removed = true,.topic_id = mine->topic_id};
		PtOffsetKey key;

		if (!pt_offset_key_read(mine->key, mine->key_len, &key) || key.is_group ||
			key.group_id.len != group_id.len || memcmp(key.group_id.data, group_id.data, group_id.len) != 0 ||
			find_own(&log->locator, group_id, key.topic, key.partition, false)->removed)
			continue;
		committed.topic = key.topic;
		committed.partition = key.partition;
		pt_offset_write(group_id, &committed);
		removed++;
	}
	if (pt_offset_cache_last_used(&log->locator, group_id) != 0)
		pt_group_used_write(group_id, 0);
	return removed;
}

/*
 * Returns when the group was used last (ms), as its record says; 0: never.
 */
int64
pt_group_last_used(PtString group_id)
{
	PtLogState *log = pt_offsets_follow(pt_offsets_leaf(group_id, false), false);

	return log ? pt_offset_cache_last_used(&log->locator, group_id) : 0;
}

/*
 * Records when a group was used last; 0 removes that record.
 */
void
pt_group_used_write(PtString group_id, int64 last_used)
{
	StringInfoData key;
	StringInfoData value = {0};
	Relation	rel = relation_open(pt_offsets_leaf(group_id, true), RowExclusiveLock);

	Assert(last_used >= 0);
	pt_offset_group_key_write(&key, group_id);
	if (last_used > 0)
		pt_offset_group_value_write(&value, last_used);
	add_record(rel, &key, &value);
	relation_close(rel, NoLock);
}

/*
 * Makes the tag of the lock of (group, partition).
 */
static void
offset_lock_tag(LOCKTAG *tag, PtString group_id, Oid leaf)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, leaf,
						 hash_bytes((const unsigned char *) group_id.data, group_id.len),
						 OFFSET_LOCK_KIND);
}

/*
 * Takes the lock of (group, partition) to the end of the transaction.  With
 * dont_wait it returns false if another session has the lock.
 */
bool
pt_offset_lock(PtString group_id, Oid leaf, bool dont_wait)
{
	LOCKTAG		tag;

	Assert(OidIsValid(leaf));
	offset_lock_tag(&tag, group_id, leaf);
	return LockAcquire(&tag, ExclusiveLock, false, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Releases one pt_offset_lock().  An earlier one of this transaction remains.
 */
void
pt_offset_unlock(PtString group_id, Oid leaf)
{
	LOCKTAG		tag;

	offset_lock_tag(&tag, group_id, leaf);
	LockRelease(&tag, ExclusiveLock, false);
}

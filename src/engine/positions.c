/*-------------------------------------------------------------------------
 *
 * positions.c
 *	  Where consumer groups stand: records of __consumer_offsets, and a cache.
 *
 * A position is a record in Kafka's own encoding, OffsetCommitKey version 1 and
 * OffsetCommitValue version 4, which has the topic's id: the position in a topic that has been dropped means nothing in a
 * new one of the same name.  Setting one is a deferred append like any
 * other, so it commits, aborts and is prepared with its transaction and nothing has to be undone.
 *
 * The cache, a dshash in shared memory, holds the newest committed position of each key,
 * by a hash of the record's key with secret seeds.  It follows the log: a look-up first reads what
 * has been committed since (follow_log).  Several processes may do
 * that at once, as an entry knows the offset of the record that it comes from and only
 * newer ones replace it.  The first look-up after a start reads the whole log.
 *
 * What the transaction itself has set is not in the log yet; it is kept in a
 * list (own), newest last.
 *
 * Siblings: offset_codec.c (the encoding), consume.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "lib/dshash.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#include "guc.h"
#include "engine/offset_codec.h"

#define OFFSETS_TOPIC			"__consumer_offsets"
#define OFFSETS_PARTITIONS		8
#define FOLLOWED_MAX			1024	/* leaves of __consumer_offsets, over all databases */

/* Tells position locks from advisory locks of users, whose last field is 1 or 2. */
#define POSITION_LOCK_KIND		3

typedef struct PositionKey
{
	RelFileLocator log;			/* of the __consumer_offsets leaf */
	uint32		pad;
	uint64		hash[2];		/* of the record's key */
} PositionKey;

typedef struct PositionEntry
{
	PositionKey key;
	int64		log_offset;		/* of the record that says so */
	int64		offset;			/* -1: none (a tombstone) */
	pg_uuid_t	topic_id;		/* zero: not known */
} PositionEntry;

/* How far the cache has followed a leaf. */
typedef struct FollowedLog
{
	RelFileLocator locator;
	int64		next_offset;
} FollowedLog;

typedef struct PositionsShared
{
	LWLock		lock;			/* of all below, and of the table of followed logs */
	int			tranche;		/* of dsa and dshash */
	uint64		seeds[2];
	dsa_handle	area;			/* DSM_HANDLE_INVALID: not created yet */
	dshash_table_handle table;
} PositionsShared;

/* A position that this transaction has set. */
typedef struct OwnPosition
{
	PositionKey key;
	int64		offset;
	pg_uuid_t	topic_id;
	int			level;			/* nesting level */
} OwnPosition;

static PositionsShared *shared;
static HTAB *followed;
static dsa_area *area;			/* of this process; NULL: not attached */
static dshash_table *table;

static OwnPosition *own;		/* in TopTransactionContext */
static int	nown;
static int	own_cap;

static void attach(void);
static void make_key(PositionKey *key, const RelFileLocator *log, const char *data, size_t len);
static void follow_log(Relation rel, PtLogState *log);
static Oid	offsets_leaf(const char *group_id, bool create);

Size
pt_positions_shmem_size(void)
{
	return add_size(MAXALIGN(sizeof(PositionsShared)), hash_estimate_size(FOLLOWED_MAX, sizeof(FollowedLog)));
}

/* Called with AddinShmemInitLock held. */
void
pt_positions_shmem_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(RelFileLocator),.entrysize = sizeof(FollowedLog)};
	bool		found;

	shared = ShmemInitStruct("pgtopic positions", sizeof(PositionsShared), &found);
	if (!found)
	{
		shared->tranche = LWLockNewTrancheId();
		LWLockInitialize(&shared->lock, shared->tranche);
		if (!pg_strong_random(shared->seeds, sizeof(shared->seeds)))
			elog(ERROR, "could not make random seeds");
		shared->area = DSM_HANDLE_INVALID;
	}
	LWLockRegisterTranche(shared->tranche, "pgtopic_positions");
	followed = ShmemInitHash("pgtopic followed logs", FOLLOWED_MAX, FOLLOWED_MAX, &ctl, HASH_ELEM | HASH_BLOBS);
}

/* Makes the cache usable in this process; the first one creates it. */
static void
attach(void)
{
	dshash_parameters params = {
		.key_size = sizeof(PositionKey),
		.entry_size = sizeof(PositionEntry),
		.compare_function = dshash_memcmp,
		.hash_function = dshash_memhash,
		PT_DSHASH_COPY
		.tranche_id = shared->tranche
	};
	MemoryContext old;

	if (table != NULL)
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	if (shared->area == DSM_HANDLE_INVALID)
	{
		area = dsa_create(shared->tranche);
		dsa_pin(area);
		dsa_pin_mapping(area);
		table = dshash_create(area, &params, NULL);
		shared->table = dshash_get_hash_table_handle(table);
		shared->area = dsa_get_handle(area);
	}
	else
	{
		if (area == NULL)
		{
			area = dsa_attach(shared->area);
			dsa_pin_mapping(area);
		}
		table = dshash_attach(area, &params, shared->table, NULL);
	}
	LWLockRelease(&shared->lock);
	MemoryContextSwitchTo(old);
}

static void
make_key(PositionKey *key, const RelFileLocator *log, const char *data, size_t len)
{
	Assert(len > 0);
	memset(key, 0, sizeof(*key));	/* padding is hashed, too */
	key->log = *log;
	for (int i = 0; i < 2; i++)
		key->hash[i] = hash_bytes_extended((const unsigned char *) data, (int) len, shared->seeds[i]);
}

/* A committed record of __consumer_offsets: replaces what an older one said. */
static void
apply_record(const RelFileLocator *log, const PtRecord *record)
{
	PositionKey key;
	PositionEntry *entry;
	bool		found;
	int64		offset = -1;
	pg_uuid_t	topic_id = {{0}};

	if (record->key == NULL || !pt_offset_key_is(record->key, record->key_len))
		return;
	if (record->value != NULL && !pt_offset_value_read(record->value, record->value_len, &offset, &topic_id))
		return;
	make_key(&key, log, record->key, record->key_len);
	entry = dshash_find_or_insert(table, &key, &found);
	if (!found || record->offset > entry->log_offset)
	{
		entry->log_offset = record->offset;
		entry->offset = offset;
		entry->topic_id = topic_id;
	}
	dshash_release_lock(table, entry);
}

/* How far the cache has come; the start of the log when it has not begun. */
static int64
followed_to(const PtLogState *log)
{
	FollowedLog *entry;
	int64		result = 0;

	LWLockAcquire(&shared->lock, LW_SHARED);
	entry = hash_search(followed, &log->locator, HASH_FIND, NULL);
	if (entry)
		result = entry->next_offset;
	LWLockRelease(&shared->lock);
	return result;
}

static void
set_followed(const PtLogState *log, int64 next_offset)
{
	FollowedLog *entry;
	bool		found;

	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	entry = hash_search(followed, &log->locator, HASH_ENTER_NULL, &found);
	if (entry)					/* else it is read again each time */
		entry->next_offset = found ? Max(entry->next_offset, next_offset) : next_offset;
	LWLockRelease(&shared->lock);
}

/* Brings the cache up to the committed end. */
static void
follow_log(Relation rel, PtLogState *log)
{
	PtLogEnd	end;
	PtReader	reader;
	PtFrame		frame;
	int64		from = followed_to(log);

	/*
	 * A prepared transaction that somebody has just committed has let go of
	 * the group's lock before the log was told.
	 */
	if (TransactionIdIsValid(log->tail_xid) && !TransactionIdIsCurrentTransactionId(log->tail_xid) &&
		!TransactionIdIsInProgress(log->tail_xid))
		pt_state_resolve_all();
	SpinLockAcquire(&log->mutex);
	end = log->committed;
	SpinLockRelease(&log->mutex);
	if (from >= end.offset)
		return;
	Assert(RelFileLocatorEquals(log->locator, pt_rel_locator(rel)));
	pt_reader_begin(&reader, rel, NULL);
	pt_reader_seek_offset(&reader, from);
	while (pt_reader_next(&reader, &frame) && frame.pos < end.pos)
	{
		PtRecordIter it;
		PtRecord	record;

		CHECK_FOR_INTERRUPTS();
		if (pt_batch_next_offset(&frame.batch) <= from || pt_frame_visible(&reader, &frame, NULL) != PT_VISIBLE)
			continue;
		if (pt_record_iter_begin(&it, pt_reader_batch(&reader, &frame), frame.head.length,
								 (size_t) pt_decompress_limit * 1024) != PT_LOG_OK)
			continue;
		while (pt_record_iter_next(&it, &record) == PT_LOG_OK)
			apply_record(&log->locator, &record);
		pt_record_iter_end(&it);
	}
	pt_reader_end(&reader);
	set_followed(log, end.offset);
}

/*
 * The leaf that has a group's positions; InvalidOid when there is no such topic
 * and none shall be created.
 */
static Oid
offsets_leaf(const char *group_id, bool create)
{
	const PtTopic *topic = pt_topic_by_name(OFFSETS_TOPIC);

	if (topic == NULL && create)
	{
		PtConfigPair compact = {"cleanup.policy", "compact"};
		LOCKTAG		tag;

		/* one session creates it, the others wait for its commit */
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, POSITION_LOCK_KIND);
		(void) LockAcquire(&tag, ExclusiveLock, false, false);
		AcceptInvalidationMessages();
		topic = pt_topic_by_name(OFFSETS_TOPIC);
		if (topic == NULL)
		{
			(void) pt_topic_create(OFFSETS_TOPIC, OFFSETS_PARTITIONS, list_make1(&compact), NULL);
			CommandCounterIncrement();
			topic = pt_topic_by_name(OFFSETS_TOPIC);
		}
	}
	if (topic == NULL || topic->npartitions == 0)
		return InvalidOid;
	return topic->leaves[pt_group_partition(group_id, topic->npartitions)];
}

/* The newest position that this transaction has set under a key, or NULL. */
static const OwnPosition *
find_own(const PositionKey *key)
{
	for (int i = nown - 1; i >= 0; i--)
	{
		if (memcmp(&own[i].key, key, sizeof(*key)) == 0)
			return &own[i];
	}
	return NULL;
}

/* The newest committed position under a key that is meant for this topic; -1: none. */
static int64
find_committed(Relation rel, PtLogState *log, const PositionKey *key, const pg_uuid_t *topic_id)
{
	static const pg_uuid_t unknown = {{0}};
	PositionEntry *entry;
	int64		result = -1;

	attach();
	follow_log(rel, log);
	entry = dshash_find(table, key, false);
	if (entry == NULL)
		return -1;
	if (memcmp(&entry->topic_id, topic_id, sizeof(*topic_id)) == 0 ||
		memcmp(&entry->topic_id, &unknown, sizeof(unknown)) == 0)
		result = entry->offset;
	dshash_release_lock(table, entry);
	return result;
}

/*
 * The position of a group, and whether this transaction has set it itself.  -1: it has none.
 */
int64
pt_position_find(const char *group_id, const PtTopic *topic, int32 partition, bool *is_own)
{
	pg_uuid_t	topic_id = topic->id;	/* the cache may move */
	StringInfoData buf;
	PositionKey key;
	const OwnPosition *mine;
	Oid			leaf;
	Relation	rel;
	int64		result;

	*is_own = false;
	pt_offset_key_write(&buf, group_id, topic->name, partition);
	leaf = offsets_leaf(group_id, false);
	rel = OidIsValid(leaf) ? try_relation_open(leaf, AccessShareLock) : NULL;
	if (rel == NULL)
	{
		pfree(buf.data);
		return -1;
	}
	make_key(&key, &pt_rel_locator(rel), buf.data, buf.len);
	pfree(buf.data);
	mine = find_own(&key);
	*is_own = mine != NULL && memcmp(&mine->topic_id, &topic_id, sizeof(topic_id)) == 0;
	if (*is_own)
		result = mine->offset;
	else
		result = find_committed(rel, pt_state_get(rel), &key, &topic_id);
	relation_close(rel, NoLock);
	return result;
}

/* See engine.h. */
int64
pt_position_get(const char *group_id, const PtTopic *topic, int32 partition)
{
	bool		is_own;

	return pt_position_find(group_id, topic, partition, &is_own);
}

static void
remember_own(const PositionKey *key, int64 offset, const pg_uuid_t *topic_id)
{
	if (nown == own_cap)
	{
		int			cap = Max(16, own_cap * 2);

		if (own == NULL)
			own = MemoryContextAlloc(TopTransactionContext, cap * sizeof(OwnPosition));
		else
			own = repalloc(own, cap * sizeof(OwnPosition));
		own_cap = cap;
	}
	Assert(nown == 0 || own[nown - 1].level <= GetCurrentTransactionNestLevel());
	own[nown].key = *key;
	own[nown].offset = offset;
	own[nown].topic_id = *topic_id;
	own[nown].level = GetCurrentTransactionNestLevel();
	nown++;
}

/* See engine.h. */
void
pt_position_set(const char *group_id, const PtTopic *topic, int32 partition, int64 offset, const char *metadata)
{
	pg_uuid_t	topic_id = topic->id;	/* the cache may move */
	StringInfoData key;
	StringInfoData value = {0};
	PositionKey position_key;
	PtRow		row = {.offset = -1,.timestamp = pt_now_ms(),.value_len = -1};
	Relation	rel;

	pt_offset_key_write(&key, group_id, topic->name, partition);
	rel = relation_open(offsets_leaf(group_id, true), RowExclusiveLock);
	row.key = key.data;
	row.key_len = key.len;
	if (offset >= 0)
	{
		pt_offset_value_write(&value, offset, metadata, row.timestamp, &topic_id);
		row.value = value.data;
		row.value_len = value.len;
	}
	Assert(offset >= -1 && partition >= 0);
	make_key(&position_key, &pt_rel_locator(rel), key.data, key.len);
	pt_pending_add(rel, &row, NULL);
	remember_own(&position_key, offset, &topic_id);
	relation_close(rel, NoLock);
	pfree(key.data);
	if (value.data)
		pfree(value.data);
}

static void
position_lock_tag(LOCKTAG *tag, const char *group_id, Oid leaf)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, leaf,
						 hash_bytes((const unsigned char *) group_id, strlen(group_id)),
						 POSITION_LOCK_KIND);
}

/* See engine.h. */
bool
pt_position_lock(const char *group_id, Oid leaf, bool dont_wait)
{
	LOCKTAG		tag;

	position_lock_tag(&tag, group_id, leaf);
	return LockAcquire(&tag, ExclusiveLock, false, dont_wait) != LOCKACQUIRE_NOT_AVAIL;
}

/* Takes back one pt_position_lock; an earlier one of this transaction goes on holding. */
void
pt_position_unlock(const char *group_id, Oid leaf)
{
	LOCKTAG		tag;

	position_lock_tag(&tag, group_id, leaf);
	LockRelease(&tag, ExclusiveLock, false);
}

/* Ends of (sub)transactions, from xact.c. */
void
pt_positions_sub_commit(int level)
{
	for (int i = nown - 1; i >= 0 && own[i].level >= level; i--)
		own[i].level = level - 1;
}

void
pt_positions_sub_abort(int level)
{
	while (nown > 0 && own[nown - 1].level >= level)
		nown--;
}

void
pt_positions_forget(void)
{
	own = NULL;
	nown = own_cap = 0;
}

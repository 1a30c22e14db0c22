/*-------------------------------------------------------------------------
 *
 * offset_cache.c
 *	  The newest committed offsets, in shared memory.
 *
 * A hash table (dshash) has one entry per group and leaf.  The entry has the
 * group id and a small hash table with the newest committed offset of each
 * partition; all of this is in one area of dynamic shared memory.  The lock of
 * the entry protects everything that the entry points to.
 *
 * Records are applied in their order (offset_follow.c), so a tombstone simply
 * removes the offset.
 *
 * The area is in the server's main shared memory, because dynamic shared
 * memory may be scarce (/dev/shm of a container). pgtopic.offset_memory gives
 * its size at the start; only what exceeds that is taken from dynamic shared
 * memory.
 *
 * Keys are hashes with secret seeds, so that clients cannot choose groups that
 * collide.
 *
 * The table of registry.c is in the same memory.
 *
 * Siblings: offset_codec.c (encoding of records), offset_follow.c (reads
 * them), offsets.c (asks).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "guc.h"
#include "groups/internal.h"
#include "xact/xact.h"

/*
 * First number of buckets of a group, and memory for the allocator and the
 * tables in bytes.
 */
#define BUCKETS_MIN			4
#define AREA_EXTRA			((Size) 4 * 1024 * 1024)

/* Key of a group's entry. */
typedef struct GroupKey
{
	RelFileLocator log;			/* of the __consumer_offsets leaf */
	uint32		pad;
	uint64		hash[2];		/* of the group id */
} GroupKey;

/* The entry of a group in one leaf of __consumer_offsets. */
typedef struct GroupEntry
{
	GroupKey	key;
	dsa_pointer id;				/* the group id in UTF-8, not terminated */
	uint32		id_len;
	uint32		noffsets;		/* number of committed offsets */
	uint32		nbuckets;		/* a power of two, or 0 */
	dsa_pointer buckets;		/* array of dsa_pointer to CachedOffset,
								 * chained by "next" */
	int64		last_used;		/* ms; 0: no record says so */
} GroupEntry;

/* A committed offset, allocated with its strings. */
typedef struct CachedOffset
{
	dsa_pointer next;			/* next in the bucket */
	uint64		hash;			/* of topic and partition */
	uint32		size;			/* allocated bytes of data[] */
	int32		partition;
	int64		offset;
	int64		commit_time;
	pg_uuid_t	topic_id;
	int32		leader_epoch;
	int32		topic_len;
	int32		metadata_len;
	char		data[FLEXIBLE_ARRAY_MEMBER];	/* topic, metadata */
} CachedOffset;

/* The room's part of the main shared memory; the area follows it. */
typedef struct OffsetsShared
{
	int			tranche;		/* LWLock tranche of dsa and dshash */
	uint64		seeds[2];		/* of the hashes, random */
	int64		started;		/* when this memory was made, in ms */
	pg_atomic_uint64 bytes;		/* memory of committed offsets and groups,
								 * without what the allocator adds */
	dshash_table_handle groups;
	dshash_table_handle members;
} OffsetsShared;

static OffsetsShared *shared;

static void create_tables(void);
static dshash_parameters table_parameters(size_t key_size, size_t entry_size);
static GroupEntry *find_group(const RelFileLocator *log, PtString group_id);

/* attachments of this process; NULL: not attached yet */
static dsa_area *area;
static dshash_table *groups;
static dshash_table *members;

/*
 * Returns the size of the area at the start.  The setting counts only
 * committed offsets and groups, so the allocator and its tables are added.
 */
static Size
area_size(void)
{
	Size		limit = mul_size(pt_offset_memory, 1024);

	return MAXALIGN(add_size(add_size(limit, limit / 2), AREA_EXTRA));
}

/*
 * Returns the size of the shared memory, including the area.
 */
Size
pt_offset_cache_shmem_size(void)
{
	return add_size(MAXALIGN(sizeof(OffsetsShared)), area_size());
}

/*
 * Returns where the area is: behind the struct.
 */
static void *
area_place(void)
{
	return (char *) shared + MAXALIGN(sizeof(OffsetsShared));
}

/*
 * Creates or finds the shared memory.  The caller holds AddinShmemInitLock.
 */
void
pt_offset_cache_shmem_init(void)
{
	bool		found;

	shared = ShmemInitStruct("pgtopic committed offsets", pt_offset_cache_shmem_size(), &found);
	if (!found)
	{
		shared->tranche = pt_lwlock_tranche_new("pgtopic_offsets");
		if (!pg_strong_random(shared->seeds, sizeof(shared->seeds)))
			elog(ERROR, "could not make random seeds");
		shared->started = pt_now_ms();
		pg_atomic_init_u64(&shared->bytes, 0);
		create_tables();
	}
	pt_lwlock_tranche_name(shared->tranche, "pgtopic_offsets");
}

/*
 * Creates the area and its tables.  The postmaster does this and detaches;
 * its children attach.
 */
static void
create_tables(void)
{
	dshash_parameters group_params = table_parameters(sizeof(GroupKey), sizeof(GroupEntry));
	dshash_parameters member_params = table_parameters(sizeof(PtGroupMembersKey), sizeof(PtGroupMembers));
	dsa_area   *made = dsa_create_in_place(area_place(), area_size(), shared->tranche, NULL);
	dshash_table *table;

	dsa_pin(made);
	table = dshash_create(made, &group_params, NULL);
	shared->groups = dshash_get_hash_table_handle(table);
	dshash_detach(table);
	table = dshash_create(made, &member_params, NULL);
	shared->members = dshash_get_hash_table_handle(table);
	dshash_detach(table);
	dsa_detach(made);
}

/*
 * Returns the parameters of a table.
 */
static dshash_parameters
table_parameters(size_t key_size, size_t entry_size)
{
	dshash_parameters params = {
		.key_size = key_size,
		.entry_size = entry_size,
		.compare_function = dshash_memcmp,
		.hash_function = dshash_memhash,
		PT_DSHASH_COPY
		.tranche_id = shared->tranche
	};

	return params;
}

/*
 * Attaches this process to the area.  To be called before all other functions
 * of the cache; the attachment lasts to the end of the process.
 */
void
pt_offset_cache_attach(void)
{
	dshash_parameters group_params = table_parameters(sizeof(GroupKey), sizeof(GroupEntry));
	dshash_parameters member_params = table_parameters(sizeof(PtGroupMembersKey), sizeof(PtGroupMembers));
	MemoryContext old;

	if (members != NULL)
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	if (area == NULL)
	{
		area = dsa_attach_in_place(area_place(), NULL);
		on_shmem_exit(dsa_on_shmem_exit_release_in_place, PointerGetDatum(area_place()));
		dsa_pin_mapping(area);
	}
	groups = dshash_attach(area, &group_params, shared->groups, NULL);
	members = dshash_attach(area, &member_params, shared->members, NULL);
	MemoryContextSwitchTo(old);
}

/*
 * Returns when this memory was made, in ms: at the start of the server, or at
 * its restart after a crash.
 */
int64
pt_offset_cache_started(void)
{
	return shared->started;
}

/*
 * Returns the table of registry.c, attached.
 */
dshash_table *
pt_offset_cache_members(void)
{
	pt_offset_cache_attach();
	return members;
}

/*
 * Hashes bytes to 128 bits that outsiders cannot predict.
 */
void
pt_offset_hash(const char *data, size_t len, uint64 hash[2])
{
	for (int i = 0; i < 2; i++)
		hash[i] = hash_bytes_extended((const unsigned char *) data, (int) len, shared->seeds[i]);
}

/*
 * Memory is counted.  What was committed has to fit, so the limit applies
 * only to new committed offsets, when they are made.
 */

/*
 * Allocates from the area.  ERROR if there is no memory, unless the flags say
 * otherwise.
 */
static dsa_pointer
allocate(size_t size, int flags)
{
	dsa_pointer result = dsa_allocate_extended(area, size, flags);

	Assert(size > 0);
	if (DsaPointerIsValid(result))
		pg_atomic_fetch_add_u64(&shared->bytes, size);
	return result;
}

/*
 * Frees memory of the area.
 */
static void
release(dsa_pointer what, size_t size)
{
	Assert(DsaPointerIsValid(what));
	Assert(pg_atomic_read_u64(&shared->bytes) >= size);
	dsa_free(area, what);
	pg_atomic_fetch_sub_u64(&shared->bytes, size);
}

/*
 * Returns true if pgtopic.offset_memory is used up, so that no new committed
 * offset may be added.
 */
bool
pt_offset_cache_full(void)
{
	return pg_atomic_read_u64(&shared->bytes) > (uint64) pt_offset_memory * 1024;
}

/*
 * Makes the key of a group's entry.
 */
static void
make_group_key(GroupKey *key, const RelFileLocator *log, PtString group_id)
{
	Assert(group_id.len >= 0);
	memset(key, 0, sizeof(*key));	/* padding is hashed, too */
	key->log = *log;
	pt_offset_hash(group_id.data, group_id.len, key->hash);
}

/*
 * The committed offsets of one group.  The caller holds the lock of its
 * entry.
 */

/*
 * Returns the link to a committed offset, or the link where it would be
 * inserted.  NULL if there are no buckets yet.
 */
static dsa_pointer *
find_link(const GroupEntry *group, uint64 hash, PtString topic, int32 partition)
{
	dsa_pointer *link;

	Assert((group->nbuckets & (group->nbuckets - 1)) == 0);
	if (group->nbuckets == 0)
		return NULL;
	link = (dsa_pointer *) dsa_get_address(area, group->buckets) + (hash & (group->nbuckets - 1));
	while (DsaPointerIsValid(*link))
	{
		CachedOffset *cached = dsa_get_address(area, *link);

		if (cached->hash == hash && cached->partition == partition &&
			pt_string_equal(topic, (PtString) {cached->data, cached->topic_len}))
			break;
		link = &cached->next;
	}
	return link;
}

/*
 * Hashes the key of a committed offset.
 */
static uint64
offset_hash(PtString topic, int32 partition)
{
	return hash_bytes_extended((const unsigned char *) topic.data, topic.len,
							   shared->seeds[0] ^ (uint64) (uint32) partition);
}

/*
 * Doubles the number of buckets when all are used.
 */
static void
grow_buckets(GroupEntry *group)
{
	uint32		n = Max(group->nbuckets * 2, BUCKETS_MIN);
	dsa_pointer new_buckets = allocate(n * sizeof(dsa_pointer), DSA_ALLOC_HUGE | DSA_ALLOC_ZERO);
	dsa_pointer *to = dsa_get_address(area, new_buckets);
	dsa_pointer *from = group->nbuckets > 0 ? dsa_get_address(area, group->buckets) : NULL;

	Assert(group->noffsets >= group->nbuckets);
	for (uint32 i = 0; i < group->nbuckets; i++)
	{
		while (DsaPointerIsValid(from[i]))
		{
			dsa_pointer at = from[i];
			CachedOffset *cached = dsa_get_address(area, at);
			dsa_pointer *bucket = &to[cached->hash & (n - 1)];

			from[i] = cached->next;
			cached->next = *bucket;
			*bucket = at;
		}
	}
	if (group->nbuckets > 0)
		release(group->buckets, group->nbuckets * sizeof(dsa_pointer));
	group->buckets = new_buckets;
	group->nbuckets = n;
}

/*
 * Returns the size of a CachedOffset with so many bytes of data.
 */
static size_t
offset_size(uint32 data_size)
{
	return offsetof(CachedOffset, data) + data_size;
}

/*
 * Sets the fields that a new commit changes.  There must be room for the
 * metadata.
 */
static void
fill_offset(CachedOffset *cached, const PtCommittedOffset *committed)
{
	Assert(cached->size >= (uint32) (cached->topic_len + committed->metadata.len));
	cached->offset = committed->offset;
	cached->commit_time = committed->commit_time;
	cached->topic_id = committed->topic_id;
	cached->leader_epoch = committed->leader_epoch;
	cached->metadata_len = committed->metadata.len;
	memcpy(cached->data + cached->topic_len, committed->metadata.data, committed->metadata.len);
}

/*
 * Inserts or replaces a committed offset.
 */
static void
put_offset(GroupEntry *group, const PtCommittedOffset *committed)
{
	uint64		hash = offset_hash(committed->topic, committed->partition);
	uint32		size = committed->topic.len + committed->metadata.len;
	CachedOffset *cached = NULL;
	dsa_pointer *link;
	dsa_pointer at;

	Assert(!committed->removed);
	if (group->noffsets >= group->nbuckets)
		grow_buckets(group);
	link = find_link(group, hash, committed->topic, committed->partition);
	if (DsaPointerIsValid(*link))
		cached = dsa_get_address(area, *link);
	if (cached == NULL || cached->size < size)
	{
		/* may throw; nothing has changed so far */
		at = allocate(offset_size(size), 0);
		if (cached)
		{
			dsa_pointer next = cached->next;

			release(*link, offset_size(cached->size));
			cached = dsa_get_address(area, at);
			cached->next = next;
		}
		else
		{
			cached = dsa_get_address(area, at);
			cached->next = InvalidDsaPointer;
			group->noffsets++;
		}
		*link = at;
		cached->hash = hash;
		cached->size = size;
		cached->partition = committed->partition;
		cached->topic_len = committed->topic.len;
		memcpy(cached->data, committed->topic.data, committed->topic.len);
	}
	fill_offset(cached, committed);
}

/*
 * Removes a committed offset, if it is there.
 */
static void
remove_offset(GroupEntry *group, PtString topic, int32 partition)
{
	dsa_pointer *link = find_link(group, offset_hash(topic, partition), topic, partition);
	CachedOffset *cached;
	dsa_pointer at;

	if (link == NULL || !DsaPointerIsValid(*link))
		return;
	at = *link;
	cached = dsa_get_address(area, at);
	*link = cached->next;
	release(at, offset_size(cached->size));
	Assert(group->noffsets > 0);
	group->noffsets--;
}

/*
 * Groups
 */

/*
 * Returns the locked entry of a group, which is made if necessary.
 */
static GroupEntry *
enter_group(const RelFileLocator *log, PtString group_id)
{
	GroupKey	key;
	GroupEntry *group;
	dsa_pointer id;
	bool		found = false;

	make_group_key(&key, log, group_id);
	group = find_group(log, group_id);
	if (group)
		return group;
	id = allocate(Max(group_id.len, 1), 0);
	PG_TRY();
	{
		group = dshash_find_or_insert(groups, &key, &found);
	}
	PG_CATCH();
	{
		release(id, Max(group_id.len, 1));
		PG_RE_THROW();
	}
	PG_END_TRY();
	Assert(!found);				/* one process at a time follows a leaf */
	memset((char *) group + sizeof(GroupKey), 0, sizeof(GroupEntry) - sizeof(GroupKey));
	group->id = id;
	pg_atomic_fetch_add_u64(&shared->bytes, sizeof(GroupEntry));
	group->id_len = group_id.len;
	memcpy(dsa_get_address(area, group->id), group_id.data, group_id.len);
	return group;
}

/*
 * Returns the locked entry of a group, or NULL.
 */
static GroupEntry *
find_group(const RelFileLocator *log, PtString group_id)
{
	GroupKey	key;

	make_group_key(&key, log, group_id);
	return dshash_find(groups, &key, true);
}

/*
 * Frees everything to which an entry points.
 */
static void
empty_group(GroupEntry *group)
{
	for (uint32 i = 0; i < group->nbuckets; i++)
	{
		dsa_pointer at = ((dsa_pointer *) dsa_get_address(area, group->buckets))[i];

		while (DsaPointerIsValid(at))
		{
			const CachedOffset *cached = dsa_get_address(area, at);
			dsa_pointer next = cached->next;

			release(at, offset_size(cached->size));
			at = next;
		}
	}
	if (group->nbuckets > 0)
		release(group->buckets, group->nbuckets * sizeof(dsa_pointer));
	release(group->id, Max(group->id_len, 1));
	pg_atomic_fetch_sub_u64(&shared->bytes, sizeof(GroupEntry));
}

/*
 * Unlocks an entry, and removes it if it has nothing any more.
 */
static void
leave_group(GroupEntry *group)
{
	Assert(group->noffsets <= group->nbuckets);
	if (group->noffsets > 0 || group->last_used != 0)
		dshash_release_lock(groups, group);
	else
	{
		empty_group(group);
		dshash_delete_entry(groups, group);
	}
}

/*
 * Applies the next record of a leaf, which is committed.  The caller holds
 * the lock for following the leaf.  ERROR if there is no memory; then the
 * record may be applied again.
 */
void
pt_offset_cache_apply(const RelFileLocator *log, const PtRecord *record)
{
	PtCommittedOffset	committed;
	PtOffsetKey key;
	GroupEntry *group;
	int64		last_used = 0;

	Assert(groups != NULL);
	if (record->key == NULL || !pt_offset_key_read(record->key, record->key_len, &key))
		return;
	if (record->value == NULL)
		group = find_group(log, key.group_id);
	else if (key.is_group ? pt_offset_group_value_read(record->value, record->value_len, &last_used) :
			 pt_offset_value_read(record->value, record->value_len, &committed))
		group = enter_group(log, key.group_id);
	else
		return;
	if (group == NULL)
		return;
	committed.topic = key.topic;
	committed.partition = key.partition;
	if (key.is_group)
		group->last_used = last_used;
	else if (record->value)
		put_offset(group, &committed);
	else
		remove_offset(group, key.topic, key.partition);
	leave_group(group);
}

/*
 * Look-ups
 */

/*
 * Copies a committed offset; its strings are palloc'd.
 */
static void
copy_offset(const CachedOffset *cached, PtCommittedOffset *out)
{
	out->topic = pt_string_copy((PtString) {cached->data, cached->topic_len});
	out->topic_id = cached->topic_id;
	out->partition = cached->partition;
	out->leader_epoch = cached->leader_epoch;
	out->offset = cached->offset;
	out->removed = false;
	out->commit_time = cached->commit_time;
	out->metadata = pt_string_copy((PtString) {cached->data + cached->topic_len, cached->metadata_len});
}

/*
 * Looks up a committed offset in what has been followed.  Returns false if
 * there is none.  Its strings are palloc'd.
 */
bool
pt_offset_cache_find(const RelFileLocator *log, PtString group_id, PtString topic, int32 partition, PtCommittedOffset *out)
{
	GroupKey	key;
	GroupEntry *group;
	dsa_pointer *link;
	bool		found;

	Assert(groups != NULL);
	make_group_key(&key, log, group_id);
	group = dshash_find(groups, &key, false);
	if (group == NULL)
		return false;
	link = find_link(group, offset_hash(topic, partition), topic, partition);
	found = link != NULL && DsaPointerIsValid(*link);
	if (found)
		copy_offset(dsa_get_address(area, *link), out);
	dshash_release_lock(groups, group);
	return found;
}

/*
 * The order of pt_offset_cache_group(): topic, then partition.
 */
static int
compare_offsets(const void *a, const void *b)
{
	const PtCommittedOffset *x = a;
	const PtCommittedOffset *y = b;
	int			order = memcmp(x->topic.data, y->topic.data, Min(x->topic.len, y->topic.len));

	if (order == 0)
		order = x->topic.len - y->topic.len;
	if (order == 0)
		order = x->partition < y->partition ? -1 : x->partition > y->partition;
	return order;
}

/*
 * Gets all committed offsets of a group, ordered by topic and partition;
 * returns how many.  The array and its strings are palloc'd; NULL if there is
 * no such group.
 */
int
pt_offset_cache_group(const RelFileLocator *log, PtString group_id, PtCommittedOffset **out)
{
	GroupKey	key;
	GroupEntry *group;
	int			n = 0;

	Assert(groups != NULL);
	*out = NULL;
	make_group_key(&key, log, group_id);
	group = dshash_find(groups, &key, false);
	if (group == NULL)
		return 0;
	*out = palloc_extended(Max(group->noffsets, 1) * sizeof(PtCommittedOffset), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < group->nbuckets; i++)
	{
		dsa_pointer at = ((dsa_pointer *) dsa_get_address(area, group->buckets))[i];

		while (DsaPointerIsValid(at))
		{
			const CachedOffset *cached = dsa_get_address(area, at);

			copy_offset(cached, &(*out)[n++]);
			at = cached->next;
		}
	}
	Assert(n == group->noffsets);
	dshash_release_lock(groups, group);
	qsort(*out, n, sizeof(PtCommittedOffset), compare_offsets);
	return n;
}

/*
 * Returns when members or sessions have used a group last, in ms, as its
 * record says; 0: there is no such record.
 */
int64
pt_offset_cache_last_used(const RelFileLocator *log, PtString group_id)
{
	GroupKey	key;
	GroupEntry *group;
	int64		result = 0;

	make_group_key(&key, log, group_id);
	group = dshash_find(groups, &key, false);
	if (group)
	{
		result = group->last_used;
		dshash_release_lock(groups, group);
	}
	return result;
}

/*
 * Returns the index of a log in the array; -1: it is not there.
 */
static int
which_log(const RelFileLocator *log, const RelFileLocator *logs, int nlogs)
{
	for (int i = 0; i < nlogs; i++)
	{
		if (RelFileLocatorEquals(*log, logs[i]))
			return i;
	}
	return -1;
}

/*
 * Returns the newest commit time of a group, in ms.
 */
static int64
last_commit(const GroupEntry *group)
{
	int64		result = 0;

	for (uint32 i = 0; i < group->nbuckets; i++)
	{
		dsa_pointer at = ((dsa_pointer *) dsa_get_address(area, group->buckets))[i];

		while (DsaPointerIsValid(at))
		{
			const CachedOffset *cached = dsa_get_address(area, at);

			result = Max(result, cached->commit_time);
			at = cached->next;
		}
	}
	return result;
}

/*
 * Gets all groups of these logs, in no order; returns how many.  Groups that
 * have only a time of last use are included.  The array and its strings are
 * palloc'd.
 */
int
pt_offset_cache_groups(const RelFileLocator *logs, int nlogs, PtGroupOffsets **out)
{
	dshash_seq_status scan;
	GroupEntry *group;
	int			n = 0;
	int			cap = 64;

	Assert(groups != NULL);
	*out = palloc(cap * sizeof(PtGroupOffsets));
	dshash_seq_init(&scan, groups, false);
	while ((group = dshash_seq_next(&scan)) != NULL)
	{
		PtGroupOffsets *info;
		int			log = which_log(&group->key.log, logs, nlogs);

		if (log < 0)
			continue;
		if (n == cap)
			*out = repalloc_huge(*out, (cap *= 2) * sizeof(PtGroupOffsets));
		info = &(*out)[n++];
		info->group_id = pt_string_copy((PtString) {dsa_get_address(area, group->id), (int32) group->id_len});
		info->noffsets = group->noffsets;
		info->last_commit = last_commit(group);
		info->last_used = group->last_used;
		info->log = log;
	}
	dshash_seq_term(&scan);
	return n;
}

/*
 * Forgets the groups of this database that are in other logs than these.
 */
void
pt_offset_cache_forget(const RelFileLocator *logs, int nlogs)
{
	dshash_seq_status scan;
	GroupEntry *group;

	dshash_seq_init(&scan, groups, true);
	while ((group = dshash_seq_next(&scan)) != NULL)
	{
		if (pt_locator_db(group->key.log) != MyDatabaseId || which_log(&group->key.log, logs, nlogs) >= 0)
			continue;
		empty_group(group);
		dshash_delete_current(&scan);
	}
	dshash_seq_term(&scan);
}

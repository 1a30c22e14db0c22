/*-------------------------------------------------------------------------
 *
 * cache.c
 *	  The backend's cache of topics.
 *
 * Four hash tables: topics by OID, and the OID by name, by id and by leaf.
 * Looking up a cached topic takes one or two probes and no catalog access.
 * The last three tables are hints only: an entry counts if the topic to which
 * it leads is valid and still has that name, id or leaf.
 *
 * Invalidation callbacks come at any time and may only set flags: an entry is
 * marked and loaded again at the next look-up.  If an invalidation comes while
 * an entry is being loaded, it marks the entry as well ("touched"), so that
 * the entry is not valid afterwards.
 *
 * Each topic has a memory context, which is deleted when the topic is loaded
 * again.  So a PtTopic that was given out is valid until then.
 *
 * Sibling: catalog.c loads topics.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "guc.h"
#include "topic/internal.h"
#include "topic/leaf.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* A table that is a topic, or is known not to be one. */
typedef struct TopicEntry
{
	Oid			relid;			/* hash key */
	bool		valid;			/* loaded, and not invalidated since */
	bool		touched;		/* an invalidation came in while loading */
	uint64		generation;		/* valid only if it is the current generation */
	PtTopic    *topic;			/* NULL: the table is not a topic */
	MemoryContext mcxt;			/* that holds topic */
} TopicEntry;

/* From a name to the table. */
typedef struct NameEntry
{
	char		name[PT_TOPIC_NAME_MAX + 1];	/* hash key */
	Oid			relid;
} NameEntry;

/* From an id to the table. */
typedef struct IdEntry
{
	pg_uuid_t	id;				/* hash key */
	Oid			relid;
} IdEntry;

/* From a leaf to the partitioned table. */
typedef struct LeafEntry
{
	Oid			leaf;			/* hash key */
	Oid			relid;			/* InvalidOid: a leaf of no topic */
	int32		partition;
	bool		valid;			/* for leaves of no topic: known, and not
								 * invalidated */
	uint64		generation;		/* as in TopicEntry */
} LeafEntry;

static MemoryContext cache_mcxt = NULL;
static HTAB *topics;
static HTAB *names;
static HTAB *ids;
static HTAB *leaves;

/*
 * Increases when everything may have changed.
 */
static uint64 generation = 1;

/*
 * Increases when anything may have changed; see pt_topic_changes().
 */
static uint64 changes = 1;

/*
 * True if the hash has all topics that exist.  A change of an unknown table
 * clears it.  all_touched is set by changes that come while topics are
 * loaded.
 */
static bool all_loaded = false;
static bool all_touched = false;

/*
 * The schema for which the cache was filled.
 */
static char loaded_schema[NAMEDATALEN];

/*
 * The settings that are defaults of configs, as they were when the cache was
 * filled.
 */
static int	loaded_retention;
static int	loaded_retention_bytes;

/*
 * Makes a hash table; "flags" say how keys are compared.
 */
static HTAB *
make_hash(MemoryContext mcxt, const char *name, Size keysize, Size entrysize, int flags)
{
	HASHCTL		ctl;

	Assert(keysize > 0 && keysize <= entrysize);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hcxt = mcxt;
	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_CONTEXT | flags);
}

/*
 * Makes all entries invalid.  Sets flags only.
 */
static void
forget_all(void)
{
	generation++;
	changes++;
	all_loaded = false;
	all_touched = true;
}

/*
 * Makes the tables when first called, and notices another
 * pgtopic.topic_schema and other defaults of configs.  To be called by each
 * look-up before it uses the cache.
 */
static void
prepare(void)
{
	if (unlikely(cache_mcxt == NULL))
	{
		MemoryContext mcxt = AllocSetContextCreate(CacheMemoryContext, "pgtopic topics", ALLOCSET_DEFAULT_SIZES);

		topics = make_hash(mcxt, "pgtopic topics by OID", sizeof(Oid), sizeof(TopicEntry), HASH_BLOBS);
		names = make_hash(mcxt, "pgtopic topics by name", PT_TOPIC_NAME_MAX + 1, sizeof(NameEntry), HASH_STRINGS);
		ids = make_hash(mcxt, "pgtopic topics by id", sizeof(pg_uuid_t), sizeof(IdEntry), HASH_BLOBS);
		leaves = make_hash(mcxt, "pgtopic topics by leaf", sizeof(Oid), sizeof(LeafEntry), HASH_BLOBS);
		cache_mcxt = mcxt;		/* last, so that an error leaves nothing half
								 * made */
	}
	if (unlikely(strncmp(loaded_schema, pt_topic_schema, NAMEDATALEN - 1) != 0 ||
				 loaded_retention != pt_log_retention || loaded_retention_bytes != pt_log_retention_bytes))
	{
		strlcpy(loaded_schema, pt_topic_schema, NAMEDATALEN);
		loaded_retention = pt_log_retention;
		loaded_retention_bytes = pt_log_retention_bytes;
		forget_all();
	}
}

/*
 * True if the entry can be used without loading it.
 */
static inline bool
entry_valid(const TopicEntry *entry)
{
	return entry->valid && entry->generation == generation;
}

/*
 * Makes an entry invalid, also if it is being loaded.
 */
static void
touch(TopicEntry *entry)
{
	entry->valid = false;
	entry->touched = true;
}

/*
 * Relcache callback.  It runs within catalog look-ups, so it sets flags only.
 */
static void
relcache_changed(Datum arg, Oid relid)
{
	TopicEntry *entry;
	LeafEntry  *leaf;

	if (topics == NULL || leaves == NULL)
		return;
	if (!OidIsValid(relid))
	{
		forget_all();
		return;
	}
	changes++;
	entry = hash_search(topics, &relid, HASH_FIND, NULL);
	if (entry)
		touch(entry);
	leaf = hash_search(leaves, &relid, HASH_FIND, NULL);
	if (leaf)
	{
		leaf->valid = false;
		if (OidIsValid(leaf->relid) &&
			(entry = hash_search(topics, &leaf->relid, HASH_FIND, NULL)) != NULL)
			touch(entry);
	}
	if (entry == NULL && leaf == NULL)
	{
		/* it may be a new topic */
		all_loaded = false;
		all_touched = true;
	}
}

/*
 * Syscache callback: a schema or an access method has changed, which is rare
 * and may mean anything.
 */
static void
syscache_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	pt_catalog_reset();
	forget_all();
}

/*
 * Registers the callbacks.  To be called by _PG_init.
 */
void
pt_topic_cache_register(void)
{
	CacheRegisterRelcacheCallback(relcache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, syscache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AMOID, syscache_changed, (Datum) 0);
}

/*
 * Enters the name, the id and the leaves of a topic that was just loaded.
 */
static void
enter_keys(const PtTopic *topic)
{
	NameEntry  *name = hash_search(names, topic->name, HASH_ENTER, NULL);
	IdEntry    *id = hash_search(ids, &topic->id, HASH_ENTER, NULL);

	Assert(OidIsValid(topic->relid));
	name->relid = topic->relid;
	id->relid = topic->relid;
	for (int i = 0; i < topic->npartitions; i++)
	{
		LeafEntry  *leaf;

		if (!OidIsValid(topic->leaves[i]))
			continue;
		leaf = hash_search(leaves, &topic->leaves[i], HASH_ENTER, NULL);
		leaf->relid = topic->relid;
		leaf->partition = i;
		leaf->valid = false;
		leaf->generation = 0;
	}
}

/*
 * Removes the keys of a topic, unless they belong to another topic by now.
 */
static void
remove_keys(const PtTopic *topic)
{
	NameEntry  *name = hash_search(names, topic->name, HASH_FIND, NULL);
	IdEntry    *id = hash_search(ids, &topic->id, HASH_FIND, NULL);

	if (name && name->relid == topic->relid)
		hash_search(names, topic->name, HASH_REMOVE, NULL);
	if (id && id->relid == topic->relid)
		hash_search(ids, &topic->id, HASH_REMOVE, NULL);
	for (int i = 0; i < topic->npartitions; i++)
	{
		LeafEntry  *leaf = hash_search(leaves, &topic->leaves[i], HASH_FIND, NULL);

		Assert(topic->npartitions >= 0);
		if (leaf && leaf->relid == topic->relid)
			hash_search(leaves, &topic->leaves[i], HASH_REMOVE, NULL);
	}
}

/*
 * Loads an entry from the catalogs.  The topic is in a context of its own;
 * what the loading needs otherwise is freed.  An error leaves the entry as it
 * was, and invalid.
 */
static void
load(TopicEntry *entry)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "pgtopic topic load", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	uint64		started = generation;
	MemoryContext mcxt;
	PtTopic		read;
	PtTopic    *topic = NULL;

	Assert(IsTransactionState());
	entry->valid = false;
	entry->touched = false;
	mcxt = AllocSetContextCreate(scratch, "pgtopic topic", ALLOCSET_SMALL_SIZES);
	if (pt_catalog_load(entry->relid, &read))
	{
		topic = MemoryContextAlloc(mcxt, sizeof(PtTopic));
		*topic = read;
		topic->leaves = MemoryContextAlloc(mcxt, sizeof(Oid) * (read.npartitions + 1));
		memcpy(topic->leaves, read.leaves, sizeof(Oid) * read.npartitions);
	}

	/* what was given out before ends here */
	if (entry->topic)
		remove_keys(entry->topic);
	if (entry->mcxt)
		MemoryContextDelete(entry->mcxt);
	MemoryContextSetParent(mcxt, cache_mcxt);
	entry->mcxt = mcxt;
	entry->topic = topic;
	entry->valid = !entry->touched;
	entry->generation = started;
	if (topic)
		enter_keys(topic);

	Assert(topic == NULL || topic->relid == entry->relid);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/*
 * Copies a topic into the current memory context.  The copy stays valid,
 * whatever happens to the cache.
 */
PtTopic *
pt_topic_copy(const PtTopic *topic)
{
	PtTopic    *copy = palloc(sizeof(PtTopic));

	Assert(OidIsValid(topic->relid) && topic->npartitions >= 0);
	*copy = *topic;
	copy->leaves = palloc(sizeof(Oid) * (topic->npartitions + 1));
	memcpy(copy->leaves, topic->leaves, sizeof(Oid) * topic->npartitions);
	return copy;
}

/*
 * Returns the topic whose table this is, or NULL.  That a table is not a
 * topic is cached, too, until the table changes.
 */
const PtTopic *
pt_topic_by_oid(Oid relid)
{
	TopicEntry *entry;
	bool		found;

	prepare();
	entry = hash_search(topics, &relid, HASH_FIND, NULL);
	if (likely(entry != NULL && entry_valid(entry)))
		return entry->topic;

	if (entry == NULL)
	{
		if (!OidIsValid(relid))
			return NULL;
		entry = hash_search(topics, &relid, HASH_ENTER, &found);
		entry->valid = false;
		entry->generation = 0;
		entry->topic = NULL;
		entry->mcxt = NULL;
	}
	load(entry);
	return entry->topic;
}

/*
 * Returns the topic of that name, or NULL.  If the hash does not lead to it,
 * the relation that such a topic must have is looked up.
 */
const PtTopic *
pt_topic_by_name(const char *name)
{
	NameEntry  *hint;
	const PtTopic *topic;
	char		relname[NAMEDATALEN];
	Oid			schema;
	Oid			relid;

	Assert(name != NULL);
	prepare();
	hint = hash_search(names, name, HASH_FIND, NULL);
	if (likely(hint != NULL))
	{
		topic = pt_topic_by_oid(hint->relid);
		if (topic && strcmp(topic->name, name) == 0)
			return topic;
	}

	if (pt_topic_name_check(name) != NULL)
		return NULL;
	schema = pt_catalog_schema();
	if (!OidIsValid(schema))
		return NULL;
	pt_name_relation(name, relname);
	relid = get_relname_relid(relname, schema);
	topic = OidIsValid(relid) ? pt_topic_by_oid(relid) : NULL;
	return topic && strcmp(topic->name, name) == 0 ? topic : NULL;
}

/*
 * Returns the topic whose name a client has sent or a record has, or NULL;
 * also for bytes that cannot be a topic's name.
 */
const PtTopic *
pt_topic_by_string(PtString name)
{
	char		buf[PT_TOPIC_NAME_MAX + 1];

	return pt_string_to_buf(name, buf, sizeof(buf)) ? pt_topic_by_name(buf) : NULL;
}

/*
 * Makes an entry for each topic that exists.  Entries that are invalid stay
 * so.
 */
static void
find_all(void)
{
	List	   *candidates;
	ListCell   *lc;

	prepare();
	if (all_loaded)
		return;
	all_touched = false;
	candidates = pt_catalog_candidates();
	foreach(lc, candidates)
		(void) pt_topic_by_oid(lfirst_oid(lc));
	list_free(candidates);
	all_loaded = !all_touched;
}

/*
 * Loads all invalid entries, so that all ids and names can be found.
 */
static void
refresh_all(void)
{
	List	   *stale = NIL;
	ListCell   *lc;
	HASH_SEQ_STATUS seq;
	TopicEntry *entry;

	find_all();
	hash_seq_init(&seq, topics);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (!entry_valid(entry))
			stale = lappend_oid(stale, entry->relid);
	}
	foreach(lc, stale)
		(void) pt_topic_by_oid(lfirst_oid(lc));
	list_free(stale);
}

/*
 * Looks up an id in the hash; NULL if it leads to no such topic.
 */
static const PtTopic *
probe_id(const pg_uuid_t *id)
{
	IdEntry    *hint = hash_search(ids, id, HASH_FIND, NULL);
	const PtTopic *topic = hint ? pt_topic_by_oid(hint->relid) : NULL;

	return topic && memcmp(&topic->id, id, sizeof(*id)) == 0 ? topic : NULL;
}

/*
 * Returns the topic with that id, or NULL.  No catalog index has ids, so for
 * an unknown id all topics may have to be loaded.
 */
const PtTopic *
pt_topic_by_id(const pg_uuid_t *id)
{
	const PtTopic *topic;

	prepare();
	topic = probe_id(id);
	if (likely(topic != NULL))
		return topic;
	refresh_all();
	return probe_id(id);
}

/*
 * Returns the topic of that table if the leaf is one of its partitions, or
 * NULL.
 */
static const PtTopic *
probe_leaf(Oid relid, Oid leaf, int32 *partition)
{
	const PtTopic *topic = pt_topic_by_oid(relid);

	for (int i = 0; topic != NULL && i < topic->npartitions; i++)
	{
		if (topic->leaves[i] == leaf)
		{
			*partition = i;
			return topic;
		}
	}
	return NULL;
}

/*
 * Looks up a leaf in the catalogs.  That a table is not a leaf of a topic is
 * remembered, too.
 */
static const PtTopic *
search_leaf(Oid leaf, int32 *partition)
{
	const PtTopic *topic = NULL;
	LeafEntry  *entry;
	uint64		started = generation;
	bool		found;

	/* entered first, so that an invalidation can mark it */
	entry = hash_search(leaves, &leaf, HASH_ENTER, &found);
	entry->relid = InvalidOid;
	entry->valid = true;
	entry->generation = 0;

	if (get_rel_relispartition(leaf))
		topic = probe_leaf(pt_leaf_parent(leaf), leaf, partition);
	if (topic)
		return topic;

	/* loading a topic may have removed or moved the entry */
	entry = hash_search(leaves, &leaf, HASH_FIND, NULL);
	if (entry && !OidIsValid(entry->relid))
		entry->generation = started;
	return NULL;
}

/*
 * Returns the topic of which the leaf is a partition, and its number; or
 * NULL.
 */
const PtTopic *
pt_topic_by_leaf(Oid leaf, int32 *partition)
{
	LeafEntry  *entry;

	Assert(partition != NULL);
	prepare();
	entry = hash_search(leaves, &leaf, HASH_FIND, NULL);
	if (likely(entry != NULL))
	{
		const PtTopic *topic;
		int32		number = entry->partition;

		if (!OidIsValid(entry->relid))
		{
			if (entry->valid && entry->generation == generation)
				return NULL;
			return search_leaf(leaf, partition);
		}
		topic = pt_topic_by_oid(entry->relid);
		if (topic && number < topic->npartitions && topic->leaves[number] == leaf)
		{
			*partition = number;
			return topic;
		}
	}
	return search_leaf(leaf, partition);
}

/*
 * The order of pt_topic_all(): by name.
 */
static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((const PtTopic *) lfirst(a))->name, ((const PtTopic *) lfirst(b))->name);
}

/*
 * Returns all topics by name.  The list belongs to the caller, its members to
 * the cache.
 */
List *
pt_topic_all(void)
{
	List	   *result = NIL;
	HASH_SEQ_STATUS seq;
	TopicEntry *entry;

	refresh_all();
	hash_seq_init(&seq, topics);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->topic != NULL)
			result = lappend(result, entry->topic);
	}
	list_sort(result, compare_names);
	return result;
}

/*
 * Returns the OIDs of all topics' tables, by name of the topic: for loops that
 * may load topics, which the members of pt_topic_all() do not outlive.
 */
List *
pt_topic_oids(void)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, pt_topic_all())
		relids = lappend_oid(relids, ((const PtTopic *) lfirst(lc))->relid);
	return relids;
}

/*
 * Returns a number that changes whenever topics may have changed; never 0.
 */
uint64
pt_topic_changes(void)
{
	prepare();
	return changes;
}

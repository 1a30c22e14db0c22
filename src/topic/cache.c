/*-------------------------------------------------------------------------
 *
 * cache.c
 *	  The backend's cache of topics.
 *
 * Four hash tables: topics by OID, and the OID by name, by id and by leaf.  A
 * look-up of what is cached is one or two probes and touches no catalog.  The
 * last three only hint: an entry counts when the topic that it leads to is
 * valid and still has that name, id or leaf.
 *
 * Invalidation callbacks come at any time and may do nothing but set flags:
 * an entry is marked and loaded again when it is next asked for.  An
 * invalidation that comes in while an entry is being loaded marks it too
 * ("touched"), so that it is not taken for valid afterwards.
 *
 * Memory: each topic has a context of its own, which is deleted when the
 * topic is loaded again: that is how long a PtTopic that was given out lasts.
 *
 * Siblings: catalog.c does the loading.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "guc.h"
#include "topic/internal.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

typedef struct TopicEntry
{
	Oid			relid;			/* hash key */
	bool		valid;
	bool		touched;		/* an invalidation came in while loading */
	uint64		generation;		/* valid only in this one */
	PtTopic    *topic;			/* NULL: the table is no topic */
	MemoryContext mcxt;			/* that holds topic */
} TopicEntry;

typedef struct NameEntry
{
	char		name[PT_TOPIC_NAME_MAX + 1];	/* hash key */
	Oid			relid;
} NameEntry;

typedef struct IdEntry
{
	pg_uuid_t	id;				/* hash key */
	Oid			relid;
} IdEntry;

typedef struct LeafEntry
{
	Oid			leaf;			/* hash key */
	Oid			relid;			/* InvalidOid: of no topic */
	int32		partition;
	bool		valid;			/* for leaves of no topic */
	uint64		generation;
} LeafEntry;

static MemoryContext cache_mcxt = NULL;
static HTAB *topics;
static HTAB *names;
static HTAB *ids;
static HTAB *leaves;

/* Moved on when everything may have changed. */
static uint64 generation = 1;

/* Moved on when anything may have changed. */
static uint64 changes = 1;

/*
 * Are all topics that exist in the hash?  Cleared by changes of tables that
 * are not known to it.
 */
static bool all_loaded = false;
static bool all_touched = false;

/* The schema that the cache was filled for. */
static char loaded_schema[NAMEDATALEN];

static HTAB *
make_hash(MemoryContext mcxt, const char *name, Size keysize, Size entrysize, int flags)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = keysize;
	ctl.entrysize = entrysize;
	ctl.hcxt = mcxt;
	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_CONTEXT | flags);
}

static void
forget_all(void)
{
	generation++;
	changes++;
	all_loaded = false;
	all_touched = true;
}

/* To be called by every look-up before it trusts the cache. */
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
		cache_mcxt = mcxt;		/* last: an error on the way leaves nothing
								 * half made */
	}
	if (unlikely(strncmp(loaded_schema, pt_topic_schema, NAMEDATALEN - 1) != 0))
	{
		strlcpy(loaded_schema, pt_topic_schema, NAMEDATALEN);
		forget_all();
	}
}

static inline bool
entry_valid(const TopicEntry *entry)
{
	return entry->valid && entry->generation == generation;
}

static void
touch(TopicEntry *entry)
{
	entry->valid = false;
	entry->touched = true;
}

/* Sets flags only: this runs inside of catalog look-ups. */
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
		/* perhaps a new topic */
		all_loaded = false;
		all_touched = true;
	}
}

/* A schema or an access method has changed: rare, and may mean anything. */
static void
syscache_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	pt_catalog_reset();
	forget_all();
}

/* From _PG_init: the callbacks that keep the cache right. */
void
pt_topic_cache_register(void)
{
	CacheRegisterRelcacheCallback(relcache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, syscache_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AMOID, syscache_changed, (Datum) 0);
}

/* Enters the name, id and leaves of a topic that was just loaded. */
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

/* Takes out what enter_keys entered, unless another topic has it by now. */
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

		if (leaf && leaf->relid == topic->relid)
			hash_search(leaves, &topic->leaves[i], HASH_REMOVE, NULL);
	}
}

/*
 * Loads an entry from the catalogs.  What is loaded survives in a context of
 * its own, what the loading needed goes away; an error leaves the entry as it
 * was, and not valid.
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

	/* What was given out before dies here. */
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

	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/* In the current memory context; it outlives whatever happens to the cache. */
PtTopic *
pt_topic_copy(const PtTopic *topic)
{
	PtTopic    *copy = palloc(sizeof(PtTopic));

	*copy = *topic;
	copy->leaves = palloc(sizeof(Oid) * (topic->npartitions + 1));
	memcpy(copy->leaves, topic->leaves, sizeof(Oid) * topic->npartitions);
	return copy;
}

/*
 * The topic whose table this is; NULL: none.  The answer "none" is kept, too,
 * until the table changes.
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
 * A name that is not in the hash, or leads astray, is looked up by the name
 * that its relation must have.
 */
const PtTopic *
pt_topic_by_name(const char *name)
{
	NameEntry  *hint;
	const PtTopic *topic;
	char		relname[NAMEDATALEN];
	Oid			schema;
	Oid			relid;

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
 * The topic whose name a client has sent, or a record holds.  NULL also for
 * what no topic's name can be, with a NUL in it or too long.
 */
const PtTopic *
pt_topic_by_string(PtString name)
{
	char		buf[PT_TOPIC_NAME_MAX + 1];

	return pt_string_to_buf(name, buf, sizeof(buf)) ? pt_topic_by_name(buf) : NULL;
}

/*
 * Makes sure that every topic there is has an entry; those that are stale stay
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

/* Loads what is stale, so that every id and name can be found. */
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

static const PtTopic *
probe_id(const pg_uuid_t *id)
{
	IdEntry    *hint = hash_search(ids, id, HASH_FIND, NULL);
	const PtTopic *topic = hint ? pt_topic_by_oid(hint->relid) : NULL;

	return topic && memcmp(&topic->id, id, sizeof(*id)) == 0 ? topic : NULL;
}

/*
 * Ids are in no catalog index, so one that is not known yet may take a look at
 * all topics.
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

/* The slow way; remembers also that a table is no leaf of a topic. */
static const PtTopic *
search_leaf(Oid leaf, int32 *partition)
{
	const PtTopic *topic = NULL;
	LeafEntry  *entry;
	uint64		started = generation;
	bool		found;

	/* entered first, so that an invalidation finds it */
	entry = hash_search(leaves, &leaf, HASH_ENTER, &found);
	entry->relid = InvalidOid;
	entry->valid = true;
	entry->generation = 0;

	if (get_rel_relispartition(leaf))
		topic = probe_leaf(get_partition_parent(leaf, true), leaf, partition);
	if (topic)
		return topic;

	/* loading a topic may have removed it, and may have moved entries */
	entry = hash_search(leaves, &leaf, HASH_FIND, NULL);
	if (entry && !OidIsValid(entry->relid))
		entry->generation = started;
	return NULL;
}

/*
 * The topic that a leaf is a partition of; NULL: none.
 */
const PtTopic *
pt_topic_by_leaf(Oid leaf, int32 *partition)
{
	LeafEntry  *entry;

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

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((const PtTopic *) lfirst(a))->name, ((const PtTopic *) lfirst(b))->name);
}

/*
 * All topics by name; the list belongs to the caller, its members to the
 * cache.
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

/* Asked for before the first look-up, it says that nothing is known yet. */
uint64
pt_topic_changes(void)
{
	prepare();
	return changes;
}

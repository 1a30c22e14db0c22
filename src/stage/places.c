/*-------------------------------------------------------------------------
 *
 * places.c
 *	  Of which partitions of which groups offsets are staged.
 *
 * A set in private memory, of (group, topic, partition).  Rows that say the
 * same again take no memory in it.  Clients choose what is in it, so the hash
 * has a seed that they do not know.
 *
 * Siblings: offsets.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "miscadmin.h"

#include "stage/internal.h"

typedef struct PlaceKey
{
	PtString	topic;
	int32		partition;
	int32		group;			/* a number */
} PlaceKey;

typedef struct Place
{
	PlaceKey	key;
	int32		at;				/* the user's own */
	uint32		hash;
	char		status;
} Place;

static uint32 hash_place(uint64 seed, const PlaceKey *key);

static inline bool
same_place(const PlaceKey *a, const PlaceKey *b)
{
	return a->partition == b->partition && a->group == b->group && pt_string_equal(a->topic, b->topic);
}

#define SH_PREFIX places
#define SH_ELEMENT_TYPE Place
#define SH_KEY_TYPE PlaceKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_place(*(const uint64 *) (tb)->private_data, &(key))
#define SH_EQUAL(tb, a, b) same_place(&(a), &(b))
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct PtUnstable
{
	PtString   *groups;			/* those that were asked for, in order */
	int			ngroups;
	places_hash *places;
	PtString	last_topic;		/* the copy that was made last */
};

static uint32
hash_place(uint64 seed, const PlaceKey *key)
{
	uint64		numbers = (uint64) (uint32) key->group << 32 | (uint32) key->partition;

	seed = hash_bytes_extended((const unsigned char *) key->topic.data, (int) pt_string_size(key->topic), seed);
	return (uint32) hash_combine64(seed, hash_bytes_uint32_extended((uint32) numbers, seed) ^
								   hash_bytes_uint32_extended((uint32) (numbers >> 32), seed + 1));
}

static places_hash *
places_new(void)
{
	uint64	   *seed = palloc(sizeof(uint64));

	*seed = pg_prng_uint64(&pg_global_prng_state);
	return places_create(CurrentMemoryContext, 64, seed);
}

/*
 * Of offsets of one group, keeps the last one of each partition.  Returns how
 * many are left in *distinct, which is palloc'd.
 */
int
pt_stage_distinct(const PtStagedOffset *offsets, int n, PtStagedOffset **distinct)
{
	places_hash *places = places_new();
	int			kept = 0;

	*distinct = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(PtStagedOffset) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		PlaceKey	key = {offsets[i].topic, offsets[i].partition, 0};
		bool		found;
		Place	   *place = places_insert(places, key, &found);

		CHECK_FOR_INTERRUPTS();
		if (!found)
			place->at = kept++;
		(*distinct)[place->at] = offsets[i];
	}
	places_destroy(places);
	return kept;
}

static int
compare_strings(const void *a, const void *b)
{
	const PtString *x = a;
	const PtString *y = b;
	int			order = memcmp(x->data, y->data, Min(x->len, y->len));

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Returns the number of a group, or -1 if it was not asked for. */
static int
find_group(const PtUnstable *unstable, PtString group_id)
{
	const PtString *found = bsearch(&group_id, unstable->groups, unstable->ngroups, sizeof(PtString), compare_strings);

	return found == NULL ? -1 : (int) (found - unstable->groups);
}

/* Callback of pt_stage_walk(): adds the partitions of a group's rows. */
static bool
add_rows(void *arg, const StageRows *rows)
{
	PtUnstable *unstable = arg;
	PtString	group_id = {(const char *) (rows + 1), rows->group_len};
	int			group = find_group(unstable, group_id);
	const char *at = group_id.data + group_id.len;

	for (int i = 0; group >= 0 && i < rows->n; i++)
	{
		PlaceKey	key = {.group = group};
		bool		found;

		at = pt_stage_row_place(at, &key.topic, &key.partition);
		if (pt_string_equal(key.topic, unstable->last_topic))
			key.topic = unstable->last_topic;
		else if (places_lookup(unstable->places, key) != NULL)
			continue;
		else
			key.topic = unstable->last_topic = pt_string_copy(key.topic);
		(void) places_insert(unstable->places, key, &found);
	}
	return true;
}

/*
 * Looks, once, at what is staged of these groups; an id may come more than
 * once.  The ids must last as long as the result, which is palloc'd.  Its size
 * is bounded by what is staged, without metadata.
 */
PtUnstable *
pt_unstable_read(const PtString *group_ids, int n)
{
	PtUnstable *unstable = palloc0(sizeof(PtUnstable));
	int			distinct = 0;

	unstable->last_topic = PT_STRING_NULL;
	unstable->places = places_new();
	unstable->groups = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(PtString) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (group_ids[i].len >= 0)
			unstable->groups[unstable->ngroups++] = group_ids[i];
	}
	qsort(unstable->groups, unstable->ngroups, sizeof(PtString), compare_strings);
	for (int i = 0; i < unstable->ngroups; i++)
	{
		if (i == 0 || compare_strings(&unstable->groups[i - 1], &unstable->groups[i]) != 0)
			unstable->groups[distinct++] = unstable->groups[i];
	}
	unstable->ngroups = distinct;
	if (distinct > 0)
		pt_stage_walk(add_rows, unstable);
	return unstable;
}

/*
 * Is an offset of this partition part of an open transaction?  For a group
 * that was asked for.
 */
bool
pt_unstable_has(const PtUnstable *unstable, PtString group_id, PtString topic, int32 partition)
{
	PlaceKey	key = {topic, partition, 0};

	if (unstable->places->members == 0)
		return false;
	key.group = find_group(unstable, group_id);
	return key.group >= 0 && places_lookup(unstable->places, key) != NULL;
}

/*-------------------------------------------------------------------------
 *
 * topics.c
 *	  The topics that exist, and regular expressions over their names.
 *
 * A TOPICS event replaces the whole set; then each group checks whether the
 * topics of its members have changed.  All groups share the regular
 * expressions.  An expression is matched against all names once per set, when
 * it is first needed.
 *
 * Siblings: topics.h, consumer_target.c (the user).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "common/hashfn.h"
#include "coord/topics.h"

static void topics_fill(CoordGroups *groups, CoordTopicSet *set, const CoordTopics *topics);
static void topics_clear(CoordGroups *groups, CoordTopicSet *set);
static uint64 topic_hash(const CoordGroups *groups, const CoordTopicEntry *entry);

/*
 * Returns the set of topics, which is made when first asked for.
 */
CoordTopicSet *
coord_topics(CoordGroups *groups)
{
	if (groups->topics == NULL)
	{
		groups->topics = coord_alloc(groups, sizeof(CoordTopicSet));
		groups->topics->version = 1;
	}
	return groups->topics;
}

/*
 * Replaces the set by the topics of an event, and tells all groups.
 */
void
coord_topics_replace(CoordGroups *groups, const CoordTopics *topics)
{
	CoordTopicSet *set = coord_topics(groups);
	dlist_mutable_iter iter;

	topics_clear(groups, set);
	topics_fill(groups, set, topics);
	set->version++;

	dlist_foreach_modify(iter, &groups->all)
	{
		CoordGroup *group = dlist_container(CoordGroup, link, iter.cur);

		if (group->ops != NULL)
			group->ops->topics(groups, group);
	}
}

/*
 * Fills the set.  A topic whose name or id the set has already is skipped.
 */
static void
topics_fill(CoordGroups *groups, CoordTopicSet *set, const CoordTopics *topics)
{
	size_t		size = 0;
	char	   *at;

	for (int i = 0; i < topics->ntopics; i++)
		size += pt_string_size(topics->topics[i].name);
	set->entries = coord_alloc(groups, sizeof(CoordTopicEntry) * Max(topics->ntopics, 1));
	set->names = at = coord_alloc(groups, Max(size, 1));

	for (int i = 0; i < topics->ntopics; i++)
	{
		const CoordTopic *topic = &topics->topics[i];
		CoordTopicEntry *entry = &set->entries[set->n];

		Assert(topic->npartitions >= 0 && topic->name.len >= 0);
		if (coord_topic_by_name(groups, topic->name) != NULL || coord_topic_by_id(groups, &topic->id) != NULL)
			continue;
		entry->id = topic->id;
		entry->npartitions = topic->npartitions;
		entry->hash = topic_hash(groups, entry);
		entry->by_name.key = pt_string_put(&at, topic->name);
		entry->by_id.key = (CoordBytes)
		{
			(const char *) entry->id.data, sizeof(entry->id.data)
		};
		coord_table_add(groups, &set->by_name, &entry->by_name);
		coord_table_add(groups, &set->by_id, &entry->by_id);
		set->npartitions += topic->npartitions;
		set->n++;
	}
}

/*
 * Empties the set.  The regular expressions stay.
 */
static void
topics_clear(CoordGroups *groups, CoordTopicSet *set)
{
	for (int i = 0; i < set->n; i++)
	{
		coord_table_remove(&set->by_name, &set->entries[i].by_name);
		coord_table_remove(&set->by_id, &set->entries[i].by_id);
	}
	coord_table_release(groups, &set->by_name);
	coord_table_release(groups, &set->by_id);
	coord_free(groups, set->entries);
	coord_free(groups, set->names);
	set->entries = NULL;
	set->names = NULL;
	set->n = 0;
	set->npartitions = 0;
}

/*
 * Returns a hash of the topic's id and number of partitions.  It is never 0,
 * so that a sum over some topics differs from the sum over none.
 */
static uint64
topic_hash(const CoordGroups *groups, const CoordTopicEntry *entry)
{
	unsigned char bytes[sizeof(CoordUuid) + sizeof(int32)];

	memcpy(bytes, entry->id.data, sizeof(CoordUuid));
	memcpy(bytes + sizeof(CoordUuid), &entry->npartitions, sizeof(int32));
	return hash_bytes_extended(bytes, sizeof(bytes), groups->hash_seed) | 1;
}

/*
 * Finds a topic by name; NULL if it does not exist.
 */
CoordTopicEntry *
coord_topic_by_name(const CoordGroups *groups, CoordBytes name)
{
	CoordNode  *node;

	if (groups->topics == NULL)
		return NULL;
	node = coord_table_find(groups, &groups->topics->by_name, name);
	return node == NULL ? NULL : coord_container(CoordTopicEntry, by_name, node);
}

/*
 * Finds a topic by id; NULL if it does not exist.
 */
CoordTopicEntry *
coord_topic_by_id(const CoordGroups *groups, const CoordUuid *id)
{
	CoordBytes	key = {(const char *) id->data, sizeof(id->data)};
	CoordNode  *node;

	if (groups->topics == NULL)
		return NULL;
	node = coord_table_find(groups, &groups->topics->by_id, key);
	return node == NULL ? NULL : coord_container(CoordTopicEntry, by_id, node);
}

/*
 * Returns the key of an expression, in memory of the step: the viewer, and the
 * expression.
 */
static CoordBytes
regex_key(CoordGroups *groups, CoordPattern pattern)
{
	int32		size = sizeof(pattern.viewer) + pt_string_size(pattern.regex);
	char	   *key = coord_step_alloc(groups, size);
	char	   *at = key + sizeof(pattern.viewer);

	memcpy(key, &pattern.viewer, sizeof(pattern.viewer));
	(void) pt_string_put(&at, pattern.regex);
	Assert(at == key + size);
	return (CoordBytes)
	{
		key, size
	};
}

static CoordRegex *
regex_find(CoordGroups *groups, CoordBytes key)
{
	CoordNode  *node = coord_table_find(groups, &coord_topics(groups)->regexes, key);

	return node == NULL ? NULL : coord_container(CoordRegex, node, node);
}

static bool
regex_matches(const CoordGroups *groups, CoordPattern pattern, const CoordTopicEntry *entry)
{
	const CoordConfig *config = &groups->config;

	return config->regex_matches(config->arg, pattern.viewer, pattern.regex, entry->by_name.key);
}

/*
 * Returns NULL, or what is wrong with the expression.  A new one is tried:
 * only that shows whether it takes too long, and its member is to be told.
 */
const char *
coord_regex_invalid(CoordGroups *groups, CoordPattern pattern)
{
	const CoordConfig *config = &groups->config;
	const CoordTopicSet *set = coord_topics(groups);
	const char *wrong;

	Assert(pattern.regex.len > 0);
	if (config->regex_valid == NULL || config->regex_matches == NULL)
		return "regular expressions are not supported";
	wrong = config->regex_valid(config->arg, pattern.regex);
	if (wrong != NULL || regex_find(groups, regex_key(groups, pattern)) != NULL)
		return wrong;
	for (int i = 0; i < set->n; i++)
		(void) regex_matches(groups, pattern, &set->entries[i]);
	return config->regex_valid(config->arg, pattern.regex);
}

/*
 * Returns the shared entry of a valid expression and counts one more user.
 */
CoordRegex *
coord_regex_acquire(CoordGroups *groups, CoordPattern pattern)
{
	CoordBytes	key = regex_key(groups, pattern);
	CoordRegex *result = regex_find(groups, key);
	char	   *at;

	if (result != NULL)
	{
		Assert(result->refs > 0);
		result->refs++;
		return result;
	}
	result = coord_alloc(groups, sizeof(CoordRegex) + key.len);
	at = (char *) (result + 1);
	result->node.key = pt_string_put(&at, key);
	result->pattern.viewer = pattern.viewer;
	result->pattern.regex = (CoordBytes)
	{
		result->node.key.data + sizeof(pattern.viewer), pattern.regex.len
	};
	result->refs = 1;
	coord_table_add(groups, &coord_topics(groups)->regexes, &result->node);
	return result;
}

/*
 * Counts one user less; the last one frees the entry.
 */
void
coord_regex_release(CoordGroups *groups, CoordRegex *regex)
{
	Assert(regex->refs > 0);
	if (--regex->refs > 0)
		return;
	coord_table_remove(&groups->topics->regexes, &regex->node);
	coord_free(groups, regex->topics);
	coord_free(groups, regex);
}

/*
 * Matches the expression against all topics, unless it was done for this
 * version of the set.
 */
void
coord_regex_resolve(CoordGroups *groups, CoordRegex *regex)
{
	CoordTopicSet *set = coord_topics(groups);
	int32	   *matched;
	int			n = 0;

	Assert(regex->refs > 0);
	if (regex->version == set->version)
		return;
	matched = coord_step_alloc(groups, sizeof(int32) * Max(set->n, 1));
	regex->hash = hash_bytes_extended((const unsigned char *) regex->node.key.data, regex->node.key.len,
									  groups->hash_seed);
	for (int i = 0; i < set->n; i++)
	{
		if (!regex_matches(groups, regex->pattern, &set->entries[i]))
			continue;
		regex->hash = hash_combine64(regex->hash, set->entries[i].hash);
		matched[n++] = i;
	}
	coord_free(groups, regex->topics);
	regex->topics = NULL;
	if (n > 0)
	{
		regex->topics = coord_alloc(groups, sizeof(int32) * n);
		memcpy(regex->topics, matched, sizeof(int32) * n);
	}
	regex->ntopics = n;
	regex->version = set->version;
}

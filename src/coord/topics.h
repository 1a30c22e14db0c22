/*-------------------------------------------------------------------------
 *
 * topics.h
 *	  The topics that exist, and regular expressions over their names.
 *
 * Entries are numbered from 0 in the order of the last TOPICS event and are
 * valid until the next one.  Code that keeps a number or a pointer longer has
 * to keep the version of the set, too, and to look again when that has
 * changed.
 *
 * Siblings: topics.c, consumer.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_TOPICS_H
#define COORD_TOPICS_H

#include "coord/internal.h"

/* A topic that exists. */
typedef struct CoordTopicEntry
{
	CoordNode	by_name;		/* key: the name */
	CoordNode	by_id;			/* key: the bytes of id */
	CoordUuid	id;
	int32		npartitions;
	uint64		hash;			/* of id and npartitions */

	/*
	 * Work space of code that collects topics.  A mark is valid while the
	 * stamp is that of the set.
	 */
	uint64		stamp;
	int32		mark;
} CoordTopicEntry;

/* All topics that exist. */
typedef struct CoordTopicSet
{
	CoordTable	by_name;
	CoordTable	by_id;
	int			n;				/* number of entries */
	int64		npartitions;	/* of all topics together */
	CoordTopicEntry *entries;
	char	   *names;			/* one block for all names */
	uint64		version;		/* grows with each TOPICS event */
	uint64		stamp;			/* the newest stamp of an entry */
	CoordTable	regexes;		/* CoordRegex, by viewer and expression; shared
								 * by all groups */
} CoordTopicSet;

/* A regular expression in use, and the topics that it matches. */
typedef struct CoordRegex
{
	CoordNode	node;			/* key: the viewer, and the expression */
	CoordPattern pattern;
	int			refs;			/* number of subscriptions that use it */
	uint64		version;		/* of the set that it was matched against; 0:
								 * none yet */
	uint64		hash;			/* of itself and the topics below */
	int			ntopics;
	int32	   *topics;			/* indexes of entries, ascending */
} CoordRegex;

/* The set of topics; it is empty before the first TOPICS event. */
extern CoordTopicSet *coord_topics(CoordGroups *groups);

/* Both return NULL if there is no such topic. */
extern CoordTopicEntry *coord_topic_by_name(const CoordGroups *groups, CoordBytes name);
extern CoordTopicEntry *coord_topic_by_id(const CoordGroups *groups, const CoordUuid *id);

/* NULL, or what is wrong with the expression. */
extern const char *coord_regex_invalid(CoordGroups *groups, CoordPattern pattern);

/* The expression must be valid.  Each acquire is paired with a release. */
extern CoordRegex *coord_regex_acquire(CoordGroups *groups, CoordPattern pattern);
extern void coord_regex_release(CoordGroups *groups, CoordRegex *regex);

/* Updates regex->topics. */
extern void coord_regex_resolve(CoordGroups *groups, CoordRegex *regex);

#endif							/* COORD_TOPICS_H */

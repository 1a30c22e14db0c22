/*-------------------------------------------------------------------------
 *
 * topics.h
 *	  The topics that exist, and regular expressions over their names.
 *
 * Entries are numbered from 0 in the order of the last TOPICS event and live
 * until the next one: nothing may keep a number or a pointer longer, but for
 * what remembers the version it belongs to and asks again when that has
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

typedef struct CoordTopicEntry
{
	CoordNode	by_name;		/* key: the name */
	CoordNode	by_id;			/* key: the bytes of id */
	CoordUuid	id;
	int32		npartitions;
	uint64		hash;			/* of id and npartitions */

	/*
	 * Scratch of whoever collects topics: a mark is valid while its stamp is
	 * the newest.
	 */
	uint64		stamp;
	int32		mark;
} CoordTopicEntry;

typedef struct CoordTopicSet
{
	CoordTable	by_name;
	CoordTable	by_id;
	int			n;
	int64		npartitions;	/* of all of them together */
	CoordTopicEntry *entries;
	char	   *names;			/* memory of the names */
	uint64		version;		/* of the set; grows with each TOPICS event */
	uint64		stamp;			/* the newest */
	CoordTable	regexes;		/* CoordRegex, shared by all groups */
} CoordTopicSet;

/* A regular expression in use, and what it matches. */
typedef struct CoordRegex
{
	CoordNode	node;			/* key: the expression */
	int			refs;
	uint64		version;		/* of the topics it was resolved with; 0: none
								 * yet */
	int			ntopics;
	int32	   *topics;			/* entry numbers, ascending */
} CoordRegex;

/* The set; empty before the first TOPICS event. */
extern CoordTopicSet *coord_topics(CoordGroups *groups);

/* NULL: there is no such topic. */
extern CoordTopicEntry *coord_topic_by_name(const CoordGroups *groups, CoordBytes name);
extern CoordTopicEntry *coord_topic_by_id(const CoordGroups *groups, const CoordUuid *id);

/* NULL, or what is wrong with the expression. */
extern const char *coord_regex_invalid(const CoordGroups *groups, CoordBytes regex);

/* The expression must be valid.  Each acquire is paired with a release. */
extern CoordRegex *coord_regex_acquire(CoordGroups *groups, CoordBytes regex);
extern void coord_regex_release(CoordGroups *groups, CoordRegex *regex);

/* Brings regex->topics up to date. */
extern void coord_regex_resolve(CoordGroups *groups, CoordRegex *regex);

#endif							/* COORD_TOPICS_H */

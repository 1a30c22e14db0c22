/*-------------------------------------------------------------------------
 *
 * assign.h
 *	  Server-side assignors of KIP-848: who gets which partition.
 *
 * Pure functions over numbers.  The caller numbers the members and all the
 * partitions of the topics that somebody subscribes to (partition p of topic
 * t is first[t] + p), says who had each of them in the last target, and gets
 * the new target in the same array.
 *
 * What every assignor promises:
 *
 *	- a partition goes to a member that subscribes to its topic, or to nobody
 *	  if there is none;
 *	- the same input gives the same output.
 *
 * Siblings: assign_uniform.c (balanced, then sticky), assign_range.c
 * (contiguous ranges, co-partitioned), target.c (calls them).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_ASSIGN_H
#define COORD_ASSIGN_H

#include "coord/types.h"

#define COORD_NOBODY	(-1)	/* as the owner of a partition */

typedef struct CoordAssignMember
{
	CoordBytes	member_id;
	CoordBytes	instance_id;	/* null: a dynamic member */
	const int32 *topics;		/* what it subscribes to: numbers, ascending,
								 * no duplicates */
	int			n_topics;
} CoordAssignMember;

typedef struct CoordAssignment
{
	const CoordAssignMember *members;
	int			n_members;
	int			n_topics;
	const int32 *first;			/* [n_topics + 1]; the last one is the number
								 * of partitions */
	int32	   *owner;			/* [first[n_topics]]: member number or
								 * COORD_NOBODY; in: the last target, out: the
								 * new one */
} CoordAssignment;

typedef void (*CoordAssignor) (CoordAssignment *assignment);

extern void coord_assign_uniform(CoordAssignment *assignment);
extern void coord_assign_range(CoordAssignment *assignment);

/*
 * By the name in a heartbeat's ServerAssignor; NULL: there is no such
 * assignor.
 */
extern CoordAssignor coord_assignor(const char *name);

/* Number of assignors, and their names; number 0 is the default. */
#define COORD_ASSIGNORS 2
extern const char *coord_assignor_name(int number);
extern int	coord_assignor_number(const char *name);	/* -1: none */

/* Does every member subscribe to the same topics? */
extern bool coord_assign_homogeneous(const CoordAssignment *assignment);

#endif							/* COORD_ASSIGN_H */

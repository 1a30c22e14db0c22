/*-------------------------------------------------------------------------
 *
 * assign.h
 *	  Server-side assignors of KIP-848: who gets which partition.
 *
 * Pure functions over numbers.  The caller numbers the members, and the
 * partitions of all topics to which a member subscribes: partition p of topic
 * t has the number first[t] + p.  It says who had each partition in the last
 * target, and gets the new target in the same array.
 *
 * What every assignor promises:
 *
 *	- a partition goes to a member that subscribes to its topic, or to no
 *	  member if nobody subscribes to it;
 *	- the same input gives the same output.
 *
 * Siblings: assign_uniform.c (balanced, then sticky), assign_range.c
 * (contiguous ranges, co-partitioned), consumer_target.c (the caller).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_ASSIGN_H
#define COORD_ASSIGN_H

#include "coord/types.h"

#define COORD_NOBODY	(-1)	/* the owner of a partition that no member has */

/* A member as the assignors see it. */
typedef struct CoordAssignMember
{
	CoordBytes	member_id;		/* for the order of "range"; see there */
	CoordBytes	instance_id;	/* null: a dynamic member */
	const int32 *topics;		/* numbers of the topics that it subscribes
								 * to: ascending, no duplicates */
	int			n_topics;
} CoordAssignMember;

/* Input and output of an assignor.  The caller owns all arrays. */
typedef struct CoordAssignment
{
	const CoordAssignMember *members;	/* their index is the member number */
	int			n_members;
	int			n_topics;		/* topics have the numbers 0 to n_topics - 1 */
	const int32 *first;			/* [n_topics + 1]: number of the first
								 * partition of each topic; the last entry is
								 * the number of all partitions */
	int32	   *owner;			/* [first[n_topics]]: member number, or
								 * COORD_NOBODY; on entry the last target, on
								 * return the new one */
} CoordAssignment;

/* Changes assignment->owner and nothing else. */
typedef void (*CoordAssignor) (CoordAssignment *assignment);

/* What they do is in the headers of their files. */
extern void coord_assign_uniform(CoordAssignment *assignment);
extern void coord_assign_range(CoordAssignment *assignment);

/*
 * The assignor that a heartbeat's ServerAssignor names; NULL if there is none
 * of that name.
 */
extern CoordAssignor coord_assignor(const char *name);

/* The assignors have numbers; number 0 is the default. */
#define COORD_ASSIGNORS 2
extern const char *coord_assignor_name(int number);
extern int	coord_assignor_number(const char *name);	/* -1: no such assignor */

/* True if all members subscribe to the same topics. */
extern bool coord_assign_homogeneous(const CoordAssignment *assignment);

#endif							/* COORD_ASSIGN_H */

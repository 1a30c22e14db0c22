/*-------------------------------------------------------------------------
 *
 * coord.h
 *	  The door of the coordinator of consumer groups.
 *
 * A pure state machine: coord_step(groups, event, now) changes groups and
 * gives replies.  It knows no clock (the caller says what time it is), no
 * connection (a request is a token), no offset (COMMIT asks whether a commit
 * is allowed; storing it is the caller's) and no disk: groups live in memory,
 * and clients of a coordinator that forgot them join again.
 *
 * How it is driven:
 *
 *	- one event per request.  JOIN and SYNC may be answered by a later step,
 *	  all others are answered by their own.  Each token is answered exactly
 *	  once; tokens nobody waits for any more (the connection is gone) are
 *	  answered all the same, and ignored by the caller.
 *	- COORD_EV_TICK when coord_next_deadline() has come.  Only it makes
 *	  deadlines count: requests that have arrived go first, so that a stopped
 *	  server does not throw out members whose heartbeats it has not read.
 *	- time may jump and may stand still; if it goes back, the coordinator's
 *	  stands still.
 *	- COORD_EV_TOPICS whenever topics have changed, and once before anything
 *	  else.
 *
 * What it counts as its memory (groups, members, their metadata and
 * assignments; hash tables on top) stays below config.memory_max: past that,
 * what would make it grow gets COORDINATOR_NOT_AVAILABLE.  Should palloc
 * itself fail before, in the middle of a step, throw the coordinator away:
 * clients join again.
 *
 * Siblings: types.h, event.h, reply.h; internal.h is the room's own.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_COORD_H
#define COORD_COORD_H

#include "coord/reply.h"

typedef struct CoordGroups CoordGroups;

/* group.consumer.migration.policy */
typedef enum CoordMigration
{
	COORD_MIGRATION_DISABLED,
	COORD_MIGRATION_DOWNGRADE,
	COORD_MIGRATION_UPGRADE,
	COORD_MIGRATION_BIDIRECTIONAL
} CoordMigration;

/* Kafka's settings, named as there; times in ms. */
typedef struct CoordConfig
{
	size_t		memory_max;
	int32		empty_linger_ms;	/* an empty group is forgotten after this;
									 * at once when memory is short */
	/* classic: group.* */
	int32		initial_rebalance_delay_ms;
	int32		min_session_timeout_ms;
	int32		max_session_timeout_ms;
	int32		max_size;
	/* group.consumer.* */
	int32		consumer_session_timeout_ms;
	int32		consumer_heartbeat_interval_ms;
	int32		consumer_assignment_interval_ms;	/* between two assignments
													 * of a group; Kafka has
													 * 1000, we 0: they are
													 * cheap, and members need
													 * not wait */
	int32		consumer_max_size;
	CoordMigration consumer_migration_policy;
	const char *consumer_default_assignor;	/* "uniform" or "range" */

	/*
	 * Regular expressions of subscriptions, with the caller's engine.  valid
	 * returns NULL or what is wrong with it (in memory that lasts until the
	 * next call).  matches is only asked about valid ones.
	 */
	const char *(*regex_valid) (void *arg, CoordBytes regex);
	bool		(*regex_matches) (void *arg, CoordBytes regex, CoordBytes topic);
	void	   *arg;
} CoordConfig;

/*
 * Kafka's defaults; no regex functions (then every regular expression is
 * invalid).
 */
extern void coord_config_defaults(CoordConfig *config);

/*
 * Everything is allocated in a memory context below the current one.  The same
 * config, seed, events and times give the same replies.
 */
extern CoordGroups *coord_create(const CoordConfig *config, uint64 seed);
extern void coord_destroy(CoordGroups *groups);

/* New settings; those of groups under way stay until their next rebalance. */
extern void coord_configure(CoordGroups *groups, const CoordConfig *config);

/*
 * Settings of one group, for members with the consumer protocol; 0 or less: as
 * in the config.
 */
typedef struct CoordOverrides
{
	int32		consumer_session_timeout_ms;
	int32		consumer_heartbeat_interval_ms;
} CoordOverrides;

/*
 * Whether the group is in memory or not; kept until set to nothing.  Not to be
 * called within a step.
 */
extern void coord_override(CoordGroups *groups, CoordBytes group_id, const CoordOverrides *values);

/* "out" is filled; what it points to is valid until the next step. */
extern void coord_step(CoordGroups *groups, const CoordEvent *event, int64 now_ms, CoordReplies *out);

/* When the next TICK is due, in ms; PG_INT64_MAX: nothing waits. */
extern int64 coord_next_deadline(const CoordGroups *groups);

/*
 * Read-only views.  Arrays are palloc'd in the current memory context; the
 * strings in them point into the groups, valid until the next step.
 *
 * find and describe: false when the group is not in memory (it may still have
 * offsets: an "Empty" group for a client; if it does not, "Dead").
 */
extern bool coord_find(const CoordGroups *groups, CoordBytes group_id, CoordGroupInfo *info);
extern bool coord_describe(const CoordGroups *groups, CoordBytes group_id, CoordDescription *out);
extern CoordGroupInfo *coord_list(const CoordGroups *groups, int *n);

/*
 * Do filters of ListGroups (none: n = 0; case does not matter) let the group
 * through?
 */
extern bool coord_list_matches(const CoordGroupInfo *info, const CoordBytes *states, int nstates,
							   const CoordBytes *types, int ntypes);

/* "PreparingRebalance", ... */
extern const char *coord_state_name(CoordState state);

/* "classic", "consumer"; of an empty one "classic" */
extern const char *coord_kind_name(CoordKind kind);

/*
 * KIP-1251: when COMMIT was refused with STALE_MEMBER_EPOCH or (classic
 * members) ILLEGAL_GENERATION in a group of kind consumer, single partitions
 * may be good all the same: those that the member has had since that epoch or
 * longer.  The error for one partition.
 */
extern CoordError coord_commit_partition(const CoordGroups *groups, CoordBytes group_id, CoordBytes member_id,
										 int32 epoch, const CoordUuid *topic_id, int32 partition);

/* For views of statistics. */
extern size_t coord_memory_used(const CoordGroups *groups);
extern int	coord_ngroups(const CoordGroups *groups);

#ifdef USE_ASSERT_CHECKING
/* Fails an Assert when what is kept is not consistent.  Walks everything. */
extern void coord_verify(const CoordGroups *groups);
#endif

#endif							/* COORD_COORD_H */

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
 *	- One event per request.  JOIN and SYNC may be answered by a later step,
 *	  all others are answered by their own.  Each token is answered exactly
 *	  once, also if its connection is gone; the caller ignores such answers.
 *	- COORD_EV_TICK when the time of coord_next_deadline() has come.  Deadlines
 *	  count only then.  The caller handles the requests that have arrived
 *	  first, so that a server that was stopped for a while does not remove
 *	  members whose heartbeats it has not read yet.
 *	- Time may jump forward and may stand still.  If the caller's clock goes
 *	  back, the coordinator's time stands still.
 *	- COORD_EV_TOPICS whenever topics have changed, and once before all other
 *	  events.
 *
 * The memory that is counted (groups, members with their metadata and
 * assignments, hash tables) stays below config.memory_max.  An event that
 * would need more is answered with COORDINATOR_NOT_AVAILABLE.  If palloc
 * itself fails in the middle of a step, the caller has to throw the
 * coordinator away; clients join again.
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

/* One coordinator with all of its groups. */
typedef struct CoordGroups CoordGroups;

/*
 * The setting group.consumer.migration.policy: which switches between the
 * classic and the consumer protocol a group with members may make.
 */
typedef enum CoordMigration
{
	COORD_MIGRATION_DISABLED,
	COORD_MIGRATION_DOWNGRADE,
	COORD_MIGRATION_UPGRADE,
	COORD_MIGRATION_BIDIRECTIONAL
} CoordMigration;

/* Kafka's settings, with its names.  Times are in ms, memory in bytes. */
typedef struct CoordConfig
{
	size_t		memory_max;
	int32		empty_linger_ms;	/* an empty group is forgotten after this;
									 * at once when memory is short */
	/* classic: group.* */
	int32		initial_rebalance_delay_ms;
	int32		min_session_timeout_ms;
	int32		max_session_timeout_ms;
	int32		max_size;		/* members of a classic group */
	/* group.consumer.* */
	int32		consumer_session_timeout_ms;
	int32		consumer_heartbeat_interval_ms;
	int32		consumer_assignment_interval_ms;	/* between two assignments
													 * of a group; Kafka's
													 * default is 1000, ours
													 * is 0, because assigning
													 * is cheap and members
													 * should not wait */
	int32		consumer_max_size;	/* members of a consumer group */
	CoordMigration consumer_migration_policy;
	const char *consumer_default_assignor;	/* "uniform" or "range" */

	/*
	 * The caller's engine for regular expressions.  regex_valid returns NULL,
	 * or says what is wrong with the expression, in memory that lasts until
	 * the next call.  regex_matches is asked about valid ones only.  One that
	 * takes too long becomes invalid amid that, and matches nothing more.
	 * Topics that the viewer may not see match nothing; a TOPICS event says
	 * that he may see others now.
	 */
	const char *(*regex_valid) (void *arg, CoordBytes regex);
	bool		(*regex_matches) (void *arg, uint32 viewer, CoordBytes regex, CoordBytes topic);
	void	   *arg;			/* is passed to both */
} CoordConfig;

extern void coord_config_defaults(CoordConfig *config);

/*
 * Makes a coordinator in a memory context of its own, below the current one.
 * The same config, seed, events and times give the same replies.
 */
extern CoordGroups *coord_create(const CoordConfig *config, uint64 seed);
extern void coord_destroy(CoordGroups *groups);

/*
 * Sets new settings.  A group that is in a rebalance uses the old ones until
 * the next.
 */
extern void coord_configure(CoordGroups *groups, const CoordConfig *config);

/*
 * Settings of one group, for members that speak the consumer protocol.  A
 * value of 0 or less means: as in CoordConfig.
 */
typedef struct CoordOverrides
{
	int32		consumer_session_timeout_ms;
	int32		consumer_heartbeat_interval_ms;
} CoordOverrides;

extern void coord_override(CoordGroups *groups, CoordBytes group_id, const CoordOverrides *values);

extern void coord_step(CoordGroups *groups, const CoordEvent *event, int64 now_ms, CoordReplies *out);

/*
 * Returns when the next COORD_EV_TICK is due, in ms; PG_INT64_MAX: no timer
 * is armed.
 */
extern int64 coord_next_deadline(const CoordGroups *groups);

/*
 * Read-only views.  Arrays are palloc'd in the current memory context.  The
 * strings in them point into the groups and are valid until the next step.
 *
 * coord_find and coord_describe return false if the group is not in memory.
 * Clients see such a group as "Empty" if it has offsets, otherwise as "Dead".
 */
extern bool coord_find(const CoordGroups *groups, CoordBytes group_id, CoordGroupInfo *info);
extern bool coord_describe(const CoordGroups *groups, CoordBytes group_id, CoordDescription *out);
extern CoordGroupInfo *coord_list(const CoordGroups *groups, int *n);

extern bool coord_list_matches(const CoordGroupInfo *info, const CoordBytes *states, int nstates,
							   const CoordBytes *types, int ntypes);

/* The name that Kafka has for the state, such as "PreparingRebalance". */
extern const char *coord_state_name(CoordState state);

/* "classic" or "consumer"; "classic" for an empty group */
extern const char *coord_kind_name(CoordKind kind);

extern CoordError coord_commit_partition(const CoordGroups *groups, CoordBytes group_id, CoordBytes member_id,
										 int32 epoch, const CoordUuid *topic_id, int32 partition);

/* For statistics: bytes that are counted, and groups in memory. */
extern size_t coord_memory_used(const CoordGroups *groups);
extern int	coord_ngroups(const CoordGroups *groups);

#ifdef USE_ASSERT_CHECKING
/* Fails an Assert if the state is not consistent.  Walks everything. */
extern void coord_verify(const CoordGroups *groups);
#endif

#endif							/* COORD_COORD_H */

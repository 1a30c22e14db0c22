/*-------------------------------------------------------------------------
 *
 * group_configs.h
 *	  Kafka's configs of consumer groups: what a group may have of its own.
 *
 * They are rows of the extension's table group_configs, which pg_dump carries
 * along: one row for each group that has configs which differ from the
 * defaults.  A group need not exist to have some.
 *
 * All functions need a transaction with an active snapshot.
 *
 * Siblings: group_configs.c, config_value.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_GROUP_CONFIGS_H
#define PT_TOPIC_GROUP_CONFIGS_H

#include "topic/topic.h"

/*
 * All configs of a group in order of name; NULL: the defaults.  List of
 * PtConfigEntry *.
 */
extern List *pt_group_config_list(const char *group);

/*
 * Names of the groups that have configs of their own: List of char *, in
 * order.
 */
extern List *pt_group_config_names(void);

/*
 * May the configs be read without waiting for somebody who has their table
 * locked?  Then they may to the end of the transaction.
 */
extern bool pt_group_configs_lock(void);

/*
 * Would these changes (List of PtConfigPair *, NULL for the default) be fine?
 * false with a reason (palloc'd).
 */
extern bool pt_group_check_configs(const char *group, List *changes, char **reason);

/* Makes them; ERROR 22023 where pt_group_check_configs says no. */
extern void pt_group_alter_configs(const char *group, List *changes);

/* What code asks for, and in what bounds a group may have it (ms). */
typedef struct PtGroupConfig
{
	int32		session_timeout_ms;
	int32		heartbeat_interval_ms;
} PtGroupConfig;

/*
 * Kafka's bounds, made wider where the settings for all groups are beyond
 * them; in static memory.
 */
typedef struct PtGroupConfigBounds
{
	int32		min_session_timeout_ms;
	int32		max_session_timeout_ms;
	int32		min_heartbeat_interval_ms;
	int32		max_heartbeat_interval_ms;
} PtGroupConfigBounds;

extern const PtGroupConfigBounds *pt_group_config_bounds(void);

/*
 * Fills config with the group's values, those that are not set are left alone;
 * false when none is set.
 */
extern bool pt_group_config_get(const char *group, PtGroupConfig *config);

/*
 * Goes up whenever configs of some group may have changed, here or in another
 * process, so that copies are to be read again.  Needs a transaction.
 */
extern uint64 pt_group_configs_generation(void);

#endif							/* PT_TOPIC_GROUP_CONFIGS_H */

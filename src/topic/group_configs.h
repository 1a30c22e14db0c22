/*-------------------------------------------------------------------------
 *
 * group_configs.h
 *	  Kafka's configs of consumer groups: those that a group has of its own.
 *
 * They are rows of the extension's table group_configs, which pg_dump dumps.
 * There is a row for each group that has configs which differ from the
 * defaults.  The group itself does not have to exist.
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

extern List *pt_group_config_list(const char *group);

extern List *pt_group_config_names(void);

extern bool pt_group_configs_lock(void);

extern bool pt_group_check_configs(const char *group, List *changes, char **reason);

extern void pt_group_alter_configs(const char *group, List *changes);

/* The values that code reads, in ms. */
typedef struct PtGroupConfig
{
	int32		session_timeout_ms;
	int32		heartbeat_interval_ms;
} PtGroupConfig;

/*
 * Kafka's bounds, in ms.  They are wider if the settings for all groups are
 * outside of them.
 */
typedef struct PtGroupConfigBounds
{
	int32		min_session_timeout_ms;
	int32		max_session_timeout_ms;
	int32		min_heartbeat_interval_ms;
	int32		max_heartbeat_interval_ms;
} PtGroupConfigBounds;

extern const PtGroupConfigBounds *pt_group_config_bounds(void);

extern bool pt_group_config_get(const char *group, PtGroupConfig *config);

extern uint64 pt_group_configs_generation(void);

#endif							/* PT_TOPIC_GROUP_CONFIGS_H */

/*-------------------------------------------------------------------------
 *
 * kept_configs.h
 *	  Configs of a Kafka broker that are kept and have no effect.
 *
 * Siblings: kept_configs.c; ../kafka/broker_configs.c shows them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_KEPT_CONFIGS_H
#define PT_TOPIC_KEPT_CONFIGS_H

#include "topic/topic.h"

extern List *pt_kept_config_list(void);
extern bool pt_kept_config_known(const char *name);
extern bool pt_kept_config_check(const char *name, const char *value, char **reason);
extern void pt_kept_configs_alter(List *changes);

#endif							/* PT_TOPIC_KEPT_CONFIGS_H */

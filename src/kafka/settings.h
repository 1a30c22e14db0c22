/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  PostgreSQL's settings behind the configs that Kafka clients see and
 *	  change.
 *
 * Changing one is ALTER SYSTEM and a reload: it lasts, is seen in pg_settings
 * and pg_file_settings, and the configuration files of the administrator stay
 * as they are.
 *
 * Siblings: settings.c, broker_configs.c, logger_configs.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_SETTINGS_H
#define KAFKA_SETTINGS_H

#include "kafka/api.h"

/* Where a value comes from. */
typedef enum KafkaSettingSource
{
	KAFKA_SETTING_DEFAULT,
	KAFKA_SETTING_STATIC,		/* configuration file, command line */
	KAFKA_SETTING_ALTERED		/* ALTER SYSTEM */
} KafkaSettingSource;

typedef struct KafkaSetting
{
	const char *value;			/* in the setting's base unit, without the
								 * unit */
	KafkaSettingSource source;
	bool		reloads;		/* can change while the server runs */
} KafkaSetting;

extern void kafka_setting_get(const char *name, KafkaSetting *setting);

/* One change.  The value NULL means ALTER SYSTEM RESET. */
typedef struct KafkaSettingChange
{
	const char *name;
	const char *value;
} KafkaSettingChange;

extern bool kafka_settings_alter(KafkaCall *call, List *changes, bool validate_only, KafkaError *error);

extern bool kafka_admin_allowed(const KafkaCall *call, const char **message);

#endif							/* KAFKA_SETTINGS_H */

/*-------------------------------------------------------------------------
 *
 * configs.h
 *	  Configs of topics, brokers, groups and loggers, as the config APIs tell
 *	  and change them.
 *
 * Siblings: configs.c (resources, changes), broker_configs.c,
 * logger_configs.c; api/32, 33, 44, 74.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_CONFIGS_H
#define KAFKA_CONFIGS_H

#include "kafka/settings.h"

/* ConfigResource.Type of the protocol */
typedef enum KafkaResourceType
{
	KAFKA_RESOURCE_TOPIC = 2,
	KAFKA_RESOURCE_BROKER = 4,
	KAFKA_RESOURCE_BROKER_LOGGER = 8,
	KAFKA_RESOURCE_CLIENT_METRICS = 16,
	KAFKA_RESOURCE_GROUP = 32
} KafkaResourceType;

/* ConfigSource of the protocol */
typedef enum KafkaConfigSource
{
	KAFKA_SOURCE_TOPIC = 1,
	KAFKA_SOURCE_DYNAMIC_BROKER = 2,
	KAFKA_SOURCE_DYNAMIC_DEFAULT_BROKER = 3,
	KAFKA_SOURCE_STATIC_BROKER = 4,
	KAFKA_SOURCE_DEFAULT = 5,
	KAFKA_SOURCE_DYNAMIC_BROKER_LOGGER = 6,
	KAFKA_SOURCE_GROUP = 8
} KafkaConfigSource;

/* A config as clients see it. */
typedef struct KafkaConfig
{
	const char *name;
	const char *value;			/* NULL: null */
	const char *boot;			/* default; NULL: none */
	const char *type;			/* as PtConfigEntry */
	KafkaConfigSource source;
	bool		read_only;
	bool		kept;			/* can be changed, without effect */
	const char *broker;			/* the broker's config that is the default;
								 * NULL: none */
	const char *setting;		/* PostgreSQL's setting that it is; NULL: none */
	const char *documentation;
} KafkaConfig;

extern int8 kafka_config_type(const char *name);

extern List *kafka_broker_configs(void);
extern const KafkaConfig *kafka_config_find(List *configs, const char *name);

extern bool kafka_broker_config_change(const char *name, const char *value, KafkaSettingChange *change,
									   KafkaError *error);

/* logger_configs.c: the one logger "root", which is log_min_messages */
extern List *kafka_logger_configs(void);
extern bool kafka_logger_config_change(const char *name, const char *value, KafkaSettingChange *change,
									   KafkaError *error);

/* The most changes of one resource.  More are a mistake. */
#define KAFKA_CONFIG_CHANGES_MAX	1000

/*
 * The longest name or value of a config, in bytes, as long as the longest
 * string of Kafka's own configs.
 */
#define KAFKA_CONFIG_VALUE_MAX		32767

/* ConfigOperation of the protocol */
typedef enum KafkaConfigOperation
{
	KAFKA_CONFIG_SET = 0,
	KAFKA_CONFIG_DELETE = 1,
	KAFKA_CONFIG_APPEND = 2,
	KAFKA_CONFIG_SUBTRACT = 3
} KafkaConfigOperation;

/* One change that a client asks for. */
typedef struct KafkaConfigChange
{
	KafkaString name;
	int8		operation;		/* KafkaConfigOperation, not checked yet */
	KafkaString value;			/* null with KAFKA_CONFIG_DELETE */
} KafkaConfigChange;

extern bool kafka_config_broker_name(KafkaString name, bool may_be_default, KafkaError *error);

/* One resource with its changes.  For kafka_configs_alter_all(). */
typedef struct KafkaConfigResource
{
	int8		type;			/* KafkaResourceType, not checked yet */
	KafkaString name;
	KafkaConfigChange *changes;
	int			n;
} KafkaConfigResource;

extern void kafka_configs_alter_all(KafkaCall *call, const KafkaConfigResource *resources, int n, bool replace,
									bool validate_only, const KafkaError *failed, AlterConfigsResult *results);

extern bool kafka_refuse(KafkaError *error, int16 code, const char *message);

#endif							/* KAFKA_CONFIGS_H */

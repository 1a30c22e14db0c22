/*-------------------------------------------------------------------------
 *
 * logger_configs.c
 *	  The broker's loggers: the one logger "root", whose level is
 *	  log_min_messages.
 *
 * Clients see the levels of Kafka's logger.  PostgreSQL has more; each is
 * shown as the nearest level of Kafka's.
 *
 * Siblings: configs.h, settings.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/configs.h"

#define ROOT_LOGGER		"root"
#define ROOT_SETTING	"log_min_messages"

/*
 * The levels.  Where several of PostgreSQL's have the same level of Kafka's,
 * the first is the one that is set.
 */
static const struct
{
	const char *level;			/* Kafka's */
	const char *message;		/* PostgreSQL's; the first of a level is the
								 * one that it is set to */
}			levels[] =

{
	{"TRACE", "debug5"},
	{"TRACE", "debug4"},
	{"TRACE", "debug3"},
	{"DEBUG", "debug1"},
	{"DEBUG", "debug2"},
	{"DEBUG", "debug"},
	{"INFO", "info"},
	{"INFO", "notice"},
	{"WARN", "warning"},
	{"ERROR", "error"},
	{"ERROR", "log"},
	{"FATAL", "fatal"},
	{"FATAL", "panic"},
};

/*
 * Returns the loggers: List of one KafkaConfig *, in the current memory
 * context.
 */
List *
kafka_logger_configs(void)
{
	KafkaConfig *config = palloc0(sizeof(KafkaConfig));
	KafkaSetting setting;

	kafka_setting_get(ROOT_SETTING, &setting);
	config->name = ROOT_LOGGER;
	config->value = "WARN";
	for (int i = 0; i < lengthof(levels); i++)
	{
		if (strcmp(levels[i].message, setting.value) == 0)
			config->value = levels[i].level;
	}
	config->source = KAFKA_SOURCE_DYNAMIC_BROKER_LOGGER;
	config->setting = ROOT_SETTING;
	config->documentation = "";
	return list_make1(config);
}

/*
 * Finds the setting behind a logger, and its new value, as a change.  Returns
 * false with the error.  A level cannot be taken back (value NULL), as in
 * Kafka for the root logger.
 */
bool
kafka_logger_config_change(const char *name, const char *value, KafkaSettingChange *change, KafkaError *error)
{
	if (strcmp(name, ROOT_LOGGER) != 0)
		return kafka_refuse(error, KERR_INVALID_CONFIG, psprintf("Logger %s does not exist!", name));
	if (value == NULL)
		return kafka_refuse(error, KERR_INVALID_REQUEST,
							"Removing the log level of the root logger is not allowed");
	change->name = ROOT_SETTING;
	for (int i = 0; i < lengthof(levels); i++)
	{
		if (strcmp(levels[i].level, value) == 0)
		{
			change->value = levels[i].message;
			return true;
		}
	}
	return kafka_refuse(error, KERR_INVALID_CONFIG,
						psprintf("Cannot set the log level of %s to %s as it is not a supported log level. "
								 "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN", name, value));
}

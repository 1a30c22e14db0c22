/*-------------------------------------------------------------------------
 *
 * config_value.h
 *	  Kafka's configs: tables of definitions, and checks of values.
 *
 * A definition has name, type, default and bounds as a Kafka broker has them.
 * Messages have a broker's words, because clients show them and some tests
 * compare them.
 *
 * Siblings: configs.c (topics), group_configs.c (groups), kept_configs.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_CONFIG_VALUE_H
#define PT_TOPIC_CONFIG_VALUE_H

#include "topic/topic.h"

/* The types that Kafka has for configs and that are used here. */
typedef enum PtConfigType
{
	PT_CONFIG_BOOLEAN,
	PT_CONFIG_STRING,
	PT_CONFIG_INT,
	PT_CONFIG_LONG,
	PT_CONFIG_DOUBLE,
	PT_CONFIG_LIST
} PtConfigType;

/* A value that was checked, by its type. */
typedef struct PtConfigValue
{
	bool		boolean;
	int64		number;			/* INT, LONG */
	double		real;			/* DOUBLE */
	const char *text;			/* the text, trimmed */
	uint32		members;		/* LIST, STRING: bit n is set if valid[n] was
								 * named */
} PtConfigValue;

/* Most words of a definition; and a config that no field stores. */
#define PT_CONFIG_VALID_MAX		6
#define PT_CONFIG_NO_FIELD		(-1)

/* The definition of a config. */
typedef struct PtConfigDef
{
	const char *name;
	PtConfigType type;
	const char *boot;			/* the default */
	int64		min;
	int64		max;			/* INT, LONG, DOUBLE: bounds */
	int64		also;			/* one number that is allowed beside [min,
								 * max] */
	const char *valid[PT_CONFIG_VALID_MAX]; /* STRING, LIST: the words that
											 * are allowed */
	const char *broker;			/* name of the broker's config that is the
								 * default; NULL: none */
	int			field;			/* offset of the field in the struct that code
								 * reads; its width is that of the type */
	/* stores a value where a plain field is not enough; or NULL */
	void		(*apply) (PtTopicConfig *config, const PtConfigValue *value);
	const char *doc;			/* for users */
	const int  *setting;		/* of the server, which is the default; NULL:
								 * boot is */
	int64		mul;			/* the default is mul times the setting, if
								 * that is not negative */
} PtConfigDef;

/* A table of definitions, ordered by name. */
typedef struct PtConfigTable
{
	const char *what;			/* "topic", for messages */
	const PtConfigDef *defs;
	int			n;
} PtConfigTable;

extern const PtConfigDef *pt_config_find(const PtConfigTable *table, const char *name);
extern const char *pt_config_type_name(PtConfigType type);
extern const char *pt_config_default(const PtConfigDef *def);

extern bool pt_config_parse_long(const char *s, int64 *result);

extern bool pt_config_check_value(const PtConfigDef *def, const char *value, PtConfigValue *out, char **reason);

extern bool pt_config_check_pair(const PtConfigTable *table, const char *name, const char *value, char **reason);

extern const PtConfigPair *pt_config_pair(List *pairs, const char *name);

/*
 * Returns the old values with the changes applied, ordered by name.  A NULL
 * value among the changes resets a config to its default.  If a name is
 * changed twice, the last change counts.
 */
extern List *pt_config_table_valid(const PtConfigTable *table, List *pairs);
extern List *pt_config_table_merge(const PtConfigTable *table, List *old, List *changes);

extern List *pt_config_table_list(const PtConfigTable *table, List *pairs);

#endif							/* PT_TOPIC_CONFIG_VALUE_H */

/*-------------------------------------------------------------------------
 *
 * config_value.h
 *	  What Kafka's configs are made of: a table of definitions, and checks of
 *	  values.
 *
 * A definition has name, type, default and bounds as a broker has them.
 * Messages are worded as a broker words them, since clients show them and some
 * tests compare them.
 *
 * Siblings: configs.c (topics), group_configs.c (groups).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_CONFIG_VALUE_H
#define PT_TOPIC_CONFIG_VALUE_H

#include "topic/topic.h"

typedef enum PtConfigType
{
	PT_CONFIG_BOOLEAN,
	PT_CONFIG_STRING,
	PT_CONFIG_INT,
	PT_CONFIG_LONG,
	PT_CONFIG_DOUBLE,
	PT_CONFIG_LIST
} PtConfigType;

/* What a checked value is, by its type. */
typedef struct PtConfigValue
{
	bool		boolean;
	int64		number;
	double		real;
	const char *text;			/* trimmed */
	uint32		members;		/* LIST, STRING: bit n is valid[n] */
} PtConfigValue;

#define PT_CONFIG_VALID_MAX		6
#define PT_CONFIG_NO_FIELD		(-1)

typedef struct PtConfigDef
{
	const char *name;
	PtConfigType type;
	const char *boot;			/* the default */
	int64		min;
	int64		max;
	int64		also;			/* one number that is fine beside [min, max] */
	const char *valid[PT_CONFIG_VALID_MAX]; /* STRING, LIST: what it may be */
	const char *broker;			/* name of the broker's config that is the
								 * default; NULL: none */
	int			field;			/* in the struct for code, of the type's
								 * natural width */
	/* puts a value where a plain field will not do */
	void		(*apply) (PtTopicConfig *config, const PtConfigValue *value);
	const char *doc;
} PtConfigDef;

/* Definitions in order of name. */
typedef struct PtConfigTable
{
	const char *what;			/* "topic", for messages */
	const PtConfigDef *defs;
	int			n;
} PtConfigTable;

extern const PtConfigDef *pt_config_find(const PtConfigTable *table, const char *name);
extern const char *pt_config_type_name(PtConfigType type);

/* An optional sign and digits, nothing else. */
extern bool pt_config_parse_long(const char *s, int64 *result);

/*
 * Checks one value by its definition and takes it apart; false with the reason
 * (palloc'd).
 */
extern bool pt_config_check_value(const PtConfigDef *def, const char *value, PtConfigValue *out, char **reason);

/*
 * Checks one pair: a NULL value stands for the default and is fine for every
 * known name.
 */
extern bool pt_config_check_pair(const PtConfigTable *table, const char *name, const char *value, char **reason);

/* The pair of this name; NULL: the config has its default. */
extern const PtConfigPair *pt_config_pair(List *pairs, const char *name);

/*
 * The old values with the changes in them: a NULL among the changes takes a
 * config back to its default.  In order of name; of two changes of one name
 * the last counts.
 */
extern List *pt_config_table_merge(const PtConfigTable *table, List *old, List *changes);

/* Entries of all definitions, with the values of pairs. */
extern List *pt_config_table_list(const PtConfigTable *table, List *pairs);

#endif							/* PT_TOPIC_CONFIG_VALUE_H */

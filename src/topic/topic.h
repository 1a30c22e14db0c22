/*-------------------------------------------------------------------------
 *
 * topic.h
 *	  Topics: partitioned tables in pgtopic.topic_schema whose leaves use the
 *	  access method topic_log, with a Kafka name, an id and configs.
 *
 * The OID of a topic is that of its partitioned table.  Name, id, and configs
 * that differ from the default are stored in the table's security label of the
 * provider "pgtopic" (JSON). pg_dump dumps it, also with -t; DROP and RENAME
 * take it along; and there is no second catalog that could disagree with
 * pg_class.
 *
 * All functions need a transaction.  Results are in the backend's topic cache
 * and are valid until the next call of this room that can accept
 * invalidations, so copy what is kept.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_H
#define PT_TOPIC_H

#include "counted.h"
#include "compat.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#define PT_TOPIC_NAME_MAX	249 /* bytes; Kafka's limit */
#define PT_COLUMNS			6	/* partition, offset, timestamp, key, value,
								 * headers */

/* Column numbers of a topic's table and of its partitions. */
typedef enum PtColumn
{
	PT_COL_PARTITION = 1,
	PT_COL_OFFSET,
	PT_COL_TIMESTAMP,
	PT_COL_KEY,
	PT_COL_VALUE,
	PT_COL_HEADERS
} PtColumn;

/* The value of compression.type beside PtCodec. */
#define PT_COMPRESSION_PRODUCER (-1)	/* store what the producer chose; SQL
										 * writes uncompressed */

/* Bits of cleanup.policy. */
#define PT_CLEANUP_DELETE		0x01
#define PT_CLEANUP_COMPACT		0x02

/*
 * The configs that code reads.  The others are only stored, for
 * DescribeConfigs.
 */
typedef struct PtTopicConfig
{
	int			cleanup_policy; /* PT_CLEANUP_ bits */
	int			compression;	/* PtCodec or PT_COMPRESSION_PRODUCER */
	int			compression_level;	/* of that codec; INT_MIN: its default */
	int32		max_message_bytes;
	bool		log_append_time;	/* message.timestamp.type */
	int64		timestamp_before_max_ms;	/* ms behind the clock */
	int64		timestamp_after_max_ms; /* ms ahead of the clock */
	int64		retention_ms;	/* -1: forever */
	int64		retention_bytes;	/* -1: no limit */
	int64		segment_bytes;	/* bytes */
	int64		segment_ms;		/* ms */
	int64		delete_retention_ms;	/* ms */
	int64		min_compaction_lag_ms;	/* ms */
	int64		max_compaction_lag_ms;	/* ms */
	double		min_cleanable_dirty_ratio;	/* 0 to 1 */
	int32		min_insync_replicas;
} PtTopicConfig;

/* A topic. */
typedef struct PtTopic
{
	Oid			relid;			/* of the partitioned table */
	char		name[PT_TOPIC_NAME_MAX + 1];
	pg_uuid_t	id;
	bool		internal;		/* __consumer_offsets or __transaction_state */
	bool		has_triggers;	/* the partitioned table has triggers */
	int			npartitions;	/* highest partition number + 1 */
	Oid		   *leaves;			/* by partition number; InvalidOid where one
								 * is missing */
	PtTopicConfig config;
} PtTopic;

extern const PtTopic *pt_topic_by_oid(Oid relid);	/* NULL: not a topic */
extern PtTopic *pt_topic_copy(const PtTopic *topic);	/* into the current
														 * memory context */
extern const PtTopic *pt_topic_by_name(const char *name);
extern const PtTopic *pt_topic_by_string(PtString name);
extern const PtTopic *pt_topic_by_id(const pg_uuid_t *id);
extern const PtTopic *pt_topic_by_leaf(Oid leaf, int32 *partition);
extern List *pt_topic_all(void);	/* of const PtTopic *, by name */
extern List *pt_topic_oids(void);

/* Changes when topics may have changed; never 0. */
extern uint64 pt_topic_changes(void);

/*
 * Returns NULL if the name is legal for a Kafka topic, otherwise the reason,
 * translated.
 */
extern const char *pt_topic_name_check(const char *name);

/* Returns true for a name that is reserved for the broker's own topics. */
extern bool pt_topic_name_is_internal(const char *name);

/*
 * name.c: the name of something that belongs to a topic; out has NAMEDATALEN
 * bytes.
 */
extern void pt_name_append(const char *relname, const char *suffix, char *out);

/* A config and its value. */
typedef struct PtConfigPair
{
	const char *name;
	const char *value;			/* NULL: the default */
} PtConfigPair;

/*
 * Creates a topic.  configs is a list of PtConfigPair; id is NULL for a new
 * one. ERROR 42P07 if it exists, 22023 for a wrong name, number of partitions
 * or config, 42501 without CREATE on the schema.
 */
extern Oid	pt_topic_create(const char *name, int npartitions, List *configs, const pg_uuid_t *id);
extern void pt_topic_drop(Oid relid);

/*
 * Set while a statement of ours is running.  After an error it says that the
 * error came out of one; whoever catches the error sets it to false.
 */
extern bool pt_ddl_running;

/* Adds partitions until there are npartitions. */
extern void pt_topic_add_partitions(Oid relid, int npartitions);

/* For the utility hook. */
extern bool pt_ddl_take_leaf(void);

/* pieces.c */
extern void pt_topic_check_locks(int npartitions);
extern int	pt_topic_piece(void);
extern Oid	pt_topic_begin(const char *name, int npartitions, List *configs);
extern void pt_topic_fill(Oid relid, const char *name, int from, int to);
extern void pt_topic_finish(Oid relid, const char *name);
extern void pt_topic_hide(Oid relid);
extern bool pt_topic_remove_piece(Oid relid);
extern List *pt_topic_unfinished(void);
extern bool pt_topic_claim(Oid relid);
extern void pt_topic_unclaim(Oid relid);

extern void pt_topic_alter_configs(Oid relid, List *configs);

/* The format is "text" or "jsonb", with or without "try_" before it. */
extern Oid	pt_topic_create_view(Oid relid, const char *format);

/* Checks one config.  Returns false with a reason, palloc'd. */
extern bool pt_config_check(const char *name, const char *value, char **reason);

/* A config as views and DescribeConfigs show it. */
typedef struct PtConfigEntry
{
	const char *name;
	const char *value;
	bool		is_default;
	const char *type;			/* BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE,
								 * LIST, CLASS, PASSWORD */
	const char *documentation;
	const char *boot;			/* the default */
	const char *broker;			/* the broker's config that is the default;
								 * NULL: none */
} PtConfigEntry;
extern List *pt_config_list(Oid relid); /* List of PtConfigEntry *, by name */

/* The same for a topic that has these PtConfigPairs. */
extern List *pt_config_list_with(List *pairs);

/*
 * Checks changes (as for pt_topic_alter_configs).  Returns false with a
 * reason, palloc'd.
 */
extern bool pt_topic_check_configs(Oid relid, List *changes, char **reason);

/*
 * file_sizes.c: directories of logs.  Nothing is locked, so the answer may be
 * outdated at once.
 */
typedef struct PtPlace
{
	Oid			tablespace;
	const char *path;			/* absolute */
} PtPlace;

extern List *pt_places(void);

extern Oid	pt_leaf_place(Oid leaf, int64 *bytes);

/*
 * To be called by _PG_init.  set_start makes an empty log begin at an offset;
 * it takes the append lock.
 */
extern void pt_topic_cache_register(void);
extern void pt_label_register(void (*set_start) (Oid leaf, int64 start));

/*
 * OIDs of our types and access methods in the current database; InvalidOid
 * without the extension.
 */
extern Oid	pt_type_headers(void);
extern Oid	pt_type_topic(void);
extern Oid	pt_extension_schema(void);
extern Oid	pt_am_topic_log(void);

extern Oid	pt_extension_sequence(const char *name);

#endif							/* PT_TOPIC_H */

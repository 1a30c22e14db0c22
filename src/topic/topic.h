/*-------------------------------------------------------------------------
 *
 * topic.h
 *	  What a topic is: a partitioned table in pgtopic.topic_schema whose leaves
 *	  use the access method topic_log, its Kafka name, id and configs.
 *
 * A topic's OID is that of its partitioned table.  Name, id and configs that
 * differ from the default are kept as the table's security label of the
 * provider "pgtopic" (JSON): pg_dump carries it along, also with -t, DROP and
 * RENAME take it with them, and no second catalog can disagree with pg_class.
 *
 * All functions need a transaction; results live in the backend's topic cache
 * until the next call of this room that can accept invalidations, so copy what
 * is kept.
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

#define PT_TOPIC_NAME_MAX	249
#define PT_COLUMNS			6	/* partition, offset, timestamp, key, value,
								 * headers */

typedef enum PtColumn
{
	PT_COL_PARTITION = 1,
	PT_COL_OFFSET,
	PT_COL_TIMESTAMP,
	PT_COL_KEY,
	PT_COL_VALUE,
	PT_COL_HEADERS
} PtColumn;

/* compression.type of a topic beyond PtCodec */
#define PT_COMPRESSION_PRODUCER (-1)	/* keep what the producer chose; SQL:
										 * none */

#define PT_CLEANUP_DELETE		0x01
#define PT_CLEANUP_COMPACT		0x02

/*
 * The configs that code asks for; the rest is kept as text for
 * DescribeConfigs.
 */
typedef struct PtTopicConfig
{
	int			cleanup_policy; /* PT_CLEANUP_ bits */
	int			compression;	/* PtCodec or PT_COMPRESSION_PRODUCER */
	int			compression_level;	/* of that codec; INT_MIN: its default */
	int32		max_message_bytes;
	bool		log_append_time;	/* message.timestamp.type */
	int64		timestamp_before_max_ms;
	int64		timestamp_after_max_ms;
	int64		retention_ms;	/* -1: forever */
	int64		retention_bytes;	/* -1: no limit */
	int64		segment_bytes;
	int64		segment_ms;
	int64		delete_retention_ms;
	int64		min_compaction_lag_ms;
	int64		max_compaction_lag_ms;
	double		min_cleanable_dirty_ratio;
	int32		min_insync_replicas;
} PtTopicConfig;

typedef struct PtTopic
{
	Oid			relid;
	char		name[PT_TOPIC_NAME_MAX + 1];
	pg_uuid_t	id;
	bool		internal;		/* __consumer_offsets and its like */
	bool		has_triggers;	/* the partitioned table itself has some */
	int			npartitions;
	Oid		   *leaves;			/* by partition number; InvalidOid where one
								 * is missing */
	PtTopicConfig config;
} PtTopic;

extern const PtTopic *pt_topic_by_oid(Oid relid);	/* NULL: no topic */
extern PtTopic *pt_topic_copy(const PtTopic *topic);	/* to be kept */
extern const PtTopic *pt_topic_by_name(const char *name);
extern const PtTopic *pt_topic_by_string(PtString name);
extern const PtTopic *pt_topic_by_id(const pg_uuid_t *id);
extern const PtTopic *pt_topic_by_leaf(Oid leaf, int32 *partition);
extern List *pt_topic_all(void);	/* of const PtTopic *, by name */

/* A number that moves when topics may have changed; never 0. */
extern uint64 pt_topic_changes(void);

/*
 * NULL when the name is legal as a Kafka topic's, else the reason, translated.
 */
extern const char *pt_topic_name_check(const char *name);

/* Is it a name that is kept for the broker's own use? */
extern bool pt_topic_name_is_internal(const char *name);

/*
 * Creates a topic.  configs: list of PtConfigPair or NIL.  id: NULL for a new
 * one.  ERRORs: 42P07 when it exists, 22023 for a bad name, partition count or
 * config, 42501 without CREATE on the schema.
 */
typedef struct PtConfigPair
{
	const char *name;
	const char *value;			/* NULL: the default */
} PtConfigPair;

extern Oid	pt_topic_create(const char *name, int npartitions, List *configs, const pg_uuid_t *id);
extern void pt_topic_drop(Oid relid);

/*
 * A statement of ours is running; after an error, it came out of one.  The
 * catcher sets it to false.
 */
extern bool pt_ddl_running;

/* To this many */
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

/* "text" or "jsonb", perhaps with "try_" before it */
extern Oid	pt_topic_create_view(Oid relid, const char *format);

/* Checks one config; false with a reason (palloc'd). */
extern bool pt_config_check(const char *name, const char *value, char **reason);

/* All configs of a topic in order of name: for views and DescribeConfigs. */
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
extern List *pt_config_list(Oid relid); /* of PtConfigEntry * */

/* Of a topic with these PtConfigPairs */
extern List *pt_config_list_with(List *pairs);

/*
 * Would these changes (as for pt_topic_alter_configs) be fine?  false with a
 * reason (palloc'd).
 */
extern bool pt_topic_check_configs(Oid relid, List *changes, char **reason);

/*
 * file_sizes.c: where logs lie.  Answers are of this moment: nothing is
 * locked.
 */
typedef struct PtPlace
{
	Oid			tablespace;
	const char *path;			/* absolute */
} PtPlace;

/* Of PtPlace *, for every tablespace that a table can be in */
extern List *pt_places(void);

/* InvalidOid: there is no such table */
extern Oid	pt_leaf_place(Oid leaf, int64 *bytes);

/*
 * From _PG_init.  set_start makes an empty log begin at an offset (its append
 * lock is taken).
 */
extern void pt_topic_cache_register(void);
extern void pt_label_register(void (*set_start) (Oid leaf, int64 start));

/*
 * OIDs of our own types and access methods in the current database; InvalidOid
 * without the extension.
 */
extern Oid	pt_type_headers(void);
extern Oid	pt_am_topic_log(void);

extern Oid	pt_extension_sequence(const char *name);

#endif							/* PT_TOPIC_H */

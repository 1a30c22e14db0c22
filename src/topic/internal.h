/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the topic room share among themselves.
 *
 *	  name.c		legal names, and the relation names made of them
 *	  label.c		the security label: text to struct and back, its provider
 *	  catalog.c		reads a topic from the system catalogs
 *	  cache.c		keeps what was read, follows invalidations
 *	  leaf.c		what a leaf table is: log, partition number, configs
 *	  slot.c		records into tuple slots and out of them
 *	  timestamp.c	ms since 1970 and timestamptz
 *	  ddl.c			creates, changes and drops topics
 *	  configs.c		the table of Kafka's topic configs
 *	  types.c		the types topic and partition
 *	  file_sizes.c		tablespaces, and the files of partitions
 *	  headers.c		the type headers
 *	  bytes.c		bytea read as text or JSON
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_INTERNAL_H
#define PT_TOPIC_INTERNAL_H

#include "topic/topic.h"

/*
 * Largest number of partitions of a topic.  Leaves with a larger number are
 * ignored.
 */
#define PT_PARTITIONS_MAX	100000

#define PT_LABEL_PROVIDER	"pgtopic"

/*
 * name.c.  The name of a relation has at most 63 bytes, that of a topic 249.
 * A longer name becomes its beginning, '~' and a hash of the whole name.  '~'
 * and '#' are not allowed in topic names, so a name that is made here is
 * never that of another topic.
 */
extern void pt_name_relation(const char *name, char *relname);

/* label.c: a label as a struct */
typedef struct PtLabel
{
	char	   *name;			/* NULL: that of the relation */
	bool		has_id;
	pg_uuid_t	id;
	bool		internal;
	bool		unfinished;		/* is being made or deleted in pieces, and is
								 * not a topic */
	List	   *configs;		/* List of PtConfigPair without NULL values */
	/* of a partition, which has nothing else */
	bool		has_start;
	int64		start;			/* offset at which the log begins */
} PtLabel;

pg_noreturn extern void pt_label_bad(const char *detail);
extern PtLabel *pt_label_parse(const char *text);
extern PtLabel *pt_label_get(Oid relid);	/* NULL: no label */
extern char *pt_label_text(const PtLabel *label);

/*
 * catalog.c; pt_catalog_schema() is that of topics, InvalidOid if it does not
 * exist
 */
extern Oid	pt_catalog_schema(void);
extern Oid	pt_catalog_extension_schema(void);
extern bool pt_catalog_load(Oid relid, PtTopic *topic);
extern List *pt_catalog_candidates(void);
extern void pt_catalog_reset(void);

/* configs.c */
extern List *pt_config_merge(List *old, List *changes);
extern bool pt_config_check_all(List *pairs, char **reason);
extern void pt_config_apply(List *pairs, PtTopicConfig *config);

/* ddl.c */
extern void pt_label_set(Oid relid, const PtLabel *label);
extern void pt_ddl_run(const char *sql);
extern void pt_ddl_check_new(const char *name, int npartitions, List *configs, Oid *schema, char *relname);
extern void pt_ddl_check_free(Oid schema, const char *name, const char *relname);
extern Oid	pt_ddl_create_parent(const char *name, const char *table, int npartitions, List *configs,
								 const pg_uuid_t *id, bool unfinished);
extern void pt_ddl_create_leaves(const char *table, const char *stem, int from, int to);
extern void pt_ddl_free_name(const char *relname, const char *suffix, char *out);
extern const PtTopic *pt_ddl_lock_topic(Oid relid, LOCKMODE mode);
extern char *pt_qualified_name(Oid relid);

#endif							/* PT_TOPIC_INTERNAL_H */

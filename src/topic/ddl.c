/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  Creates, changes and drops topics, by the server's own commands.
 *
 * A topic is made of the same statements that a user could type and that
 * pg_dump writes: privileges, ownership, event triggers, locks and
 * dependencies are then the server's.  All names in them are qualified, and no
 * operator occurs, so that nobody's objects come in between.  The search path
 * stays as it is: event triggers run inside of our statements.
 *
 * Siblings: name.c makes the names, label.c the label; pieces.c has topics
 * that are too large for one transaction.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "guc.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "topic/internal.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

bool		pt_ddl_running = false;

/* Runs a statement as if the user had typed it. */
void
pt_ddl_run(const char *sql)
{
	bool		within = pt_ddl_running;

	SPI_connect();
	pt_ddl_running = true;
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
	pt_ddl_running = within;
	SPI_finish();
}

/* schema.name of a relation, quoted as need be. */
char *
pt_qualified_name(Oid relid)
{
	const char *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

/*
 * Writes a label by the server's own command, which checks that the table is
 * the user's and locks it against other changes.
 */
void
pt_label_set(Oid relid, const PtLabel *label)
{
	pt_ddl_run(psprintf("SECURITY LABEL FOR %s ON TABLE %s IS %s",
						PT_LABEL_PROVIDER, pt_qualified_name(relid),
						quote_literal_cstr(pt_label_text(label))));
}

/* Something in the schema of topics, quoted. */
static char *
in_topic_schema(const char *name)
{
	return quote_qualified_identifier(pt_topic_schema, name);
}

static const PtTopic *
existing_topic(Oid relid)
{
	const PtTopic *topic = pt_topic_by_oid(relid);

	if (topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no topic with OID %u", relid)));
	return topic;
}

/*
 * The server checks all of this again; asking first gives an error about the
 * topic instead of one about a statement that the user has never seen.
 */
static void
check_owner(const PtTopic *topic)
{
	if (!pt_relation_ownercheck(topic->relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, topic->name);
}

static void
check_may_create(Oid schema)
{
	AclResult	result = pt_schema_aclcheck(schema, GetUserId(), ACL_CREATE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_SCHEMA, get_namespace_name(schema));
}

/* Makes the schema when it is not there: needs CREATE on the database. */
static Oid
ensure_schema(void)
{
	Oid			schema = pt_catalog_schema();

	if (OidIsValid(schema))
		return schema;
	pt_ddl_run(psprintf("CREATE SCHEMA %s", quote_identifier(pt_topic_schema)));
	schema = pt_catalog_schema();
	Assert(OidIsValid(schema));
	return schema;
}

/*
 * Kafka has no upper bound; ours keeps a typing error from making tables for
 * hours.
 */
static void
check_partitions(int npartitions)
{
	if (npartitions < 1 || npartitions > PT_PARTITIONS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid number of partitions: %d", npartitions),
				 errdetail("A topic has between 1 and %d partitions.", PT_PARTITIONS_MAX)));
}

static void
check_name(const char *name)
{
	const char *problem = pt_topic_name_check(name);

	if (problem)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid topic name: \"%s\"", name),
				 errdetail_internal("%s", problem)));
}

static void
check_configs(List *configs)
{
	char	   *reason;

	if (!pt_config_check_all(configs, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid topic config"),
				 errdetail_internal("%s", reason)));
}

/*
 * Two sessions that create one topic at the same time (a Kafka client's
 * auto-creation does that) get "already exists", not a unique violation in a
 * catalog.
 */
static void
lock_name(Oid schema, const char *relname)
{
	uint16		part = (uint16) hash_bytes((const unsigned char *) relname, strlen(relname));
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, NamespaceRelationId, schema, part == 0 ? 1 : part);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

static void
check_free(Oid schema, const char *name, const char *relname)
{
	Oid			relid = get_relname_relid(relname, schema);

	if (!OidIsValid(relid))
		return;
	if (pt_topic_by_oid(relid) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("topic \"%s\" already exists", name)));
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_TABLE),
			 errmsg("relation \"%s\" already exists", relname),
			 errdetail("It is in the schema of topics but is no topic.")));
}

/*
 * A random id (RFC 9562, version 4).  None whose base64 form, which Kafka's
 * tools show and take as arguments, starts with a dash.
 */
static void
random_id(pg_uuid_t *id)
{
	do
	{
		if (!pg_strong_random(id->data, UUID_LEN))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
	} while (id->data[0] >> 2 == 62);
	id->data[6] = (id->data[6] & 0x0f) | 0x40;
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
}

/*
 * The default of the column "partition".  With several partitions it names the
 * topic by text and not by an OID, because pg_dump must be able to write it
 * down before the table exists.
 */
static char *
partition_default(const char *name, int npartitions)
{
	Oid			schema = pt_catalog_extension_schema();

	if (npartitions == 1)
		return pstrdup("0");
	return psprintf("%s(%s::pg_catalog.text)",
					quote_qualified_identifier(get_namespace_name(schema), "next_partition"),
					quote_literal_cstr(name));
}

/*
 * The partitioned table; "offset" may be null, because the access method
 * assigns it after NOT NULL is checked.
 */
static Oid
create_table(const char *name, const char *table, int npartitions)
{
	Oid			extension = pt_catalog_extension_schema();

	pt_ddl_run(psprintf("CREATE TABLE %s ("
						"partition pg_catalog.int4 NOT NULL DEFAULT %s, "
						"\"offset\" pg_catalog.int8, "
						"\"timestamp\" pg_catalog.timestamptz DEFAULT pg_catalog.now(), "
						"key pg_catalog.bytea, "
						"value pg_catalog.bytea, "
						"headers %s) PARTITION BY LIST (partition)",
						in_topic_schema(table), partition_default(name, npartitions),
						quote_qualified_identifier(get_namespace_name(extension), "headers")));
	return get_relname_relid(table, pt_catalog_schema());
}

/*
 * The name of something that belongs to a topic.  It means nothing to anyone:
 * where a topic that was renamed has left its own behind, another one is
 * taken.
 */
void
pt_ddl_free_name(const char *relname, const char *suffix, char *out)
{
	Oid			schema = pt_catalog_schema();

	pt_name_append(relname, suffix, out);
	for (int i = 1; OidIsValid(get_relname_relid(out, schema)); i++)
		pt_name_append(relname, psprintf("%s~%d", suffix, i), out);
}

/* An index that stores nothing and lets the planner find offsets and times. */
static void
create_index(const char *table, const char *stem, const char *column)
{
	char		index[NAMEDATALEN];

	pt_ddl_free_name(stem, psprintf("#%s", column), index);
	pt_ddl_run(psprintf("CREATE INDEX %s ON %s USING topic_position (%s)",
						quote_identifier(index), in_topic_schema(table), quote_identifier(column)));
}

/* The next CREATE TABLE is create_leaf's: see pt_ddl_take_leaf. */
static bool next_is_leaf = false;

/*
 * For the utility hook: is the statement that begins now a partition of our
 * own?  Then it is as it must be, and nothing waits for it: what the hook
 * looks at for others takes longer with each partition that the topic has.
 */
bool
pt_ddl_take_leaf(void)
{
	bool		result = next_is_leaf;

	next_is_leaf = false;
	return result;
}

/*
 * A partition.  Its own default of the column lets one INSERT into it by name.
 */
static void
create_leaf(const char *table, const char *stem, int number)
{
	char		leaf[NAMEDATALEN];

	pt_ddl_free_name(stem, psprintf("#%d", number), leaf);
	next_is_leaf = true;
	pt_ddl_run(psprintf("CREATE TABLE %s PARTITION OF %s (partition DEFAULT %d) FOR VALUES IN (%d) USING topic_log",
						in_topic_schema(leaf), in_topic_schema(table), number, number));
}

/*
 * Partitions [from, to) of a table, with names that begin with the stem; both
 * are the topic's relation name, as a rule.  Each is locked until the
 * transaction ends, and so is whatever the server makes with it: the table of
 * locks is the bound of their number, and that is what the error tells.
 */
void
pt_ddl_create_leaves(const char *table, const char *stem, int from, int to)
{
	MemoryContext mcxt = CurrentMemoryContext;

	PG_TRY();
	{
		for (int i = from; i < to; i++)
		{
			CHECK_FOR_INTERRUPTS();
			create_leaf(table, stem, i);
		}
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(mcxt);
		edata = CopyErrorData();
		if (edata->sqlerrcode != ERRCODE_OUT_OF_MEMORY)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("cannot create %d partitions at once: %s", to - from, edata->message),
				 errdetail("All partitions of a topic are locked when it is created, dropped, or read as a whole."),
				 errhint("Increase the setting \"max_locks_per_transaction\", now %d.", max_locks_per_xact)));
	}
	PG_END_TRY();
}

/*
 * The table of a topic without partitions, with its label and its indexes,
 * when all has been checked; it belongs to the current user.
 */
Oid
pt_ddl_create_parent(const char *name, const char *table, int npartitions, List *configs,
					 const pg_uuid_t *id, bool unfinished)
{
	PtLabel		label;
	char		relname[NAMEDATALEN];
	Oid			relid;

	pt_name_relation(name, relname);
	memset(&label, 0, sizeof(label));
	label.name = strcmp(name, relname) == 0 ? NULL : unconstify(char *, name);
	label.has_id = true;
	if (id)
		label.id = *id;
	else
		random_id(&label.id);
	label.internal = pt_topic_name_is_internal(name);
	label.unfinished = unfinished;
	label.configs = pt_config_merge(NIL, configs);

	relid = create_table(name, table, npartitions);
	pt_label_set(relid, &label);
	create_index(table, relname, "offset");
	create_index(table, relname, "timestamp");
	return relid;
}

static Oid
schema_owner(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * All about a new topic that can be checked before it has an owner; its schema
 * is made when it is not there, and its relation's name is told.
 */
void
pt_ddl_check_new(const char *name, int npartitions, List *configs, Oid *schema, char *relname)
{
	check_name(name);
	check_partitions(npartitions);
	check_configs(configs);
	if (!OidIsValid(pt_am_topic_log()) || !OidIsValid(pt_catalog_extension_schema()))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"pgtopic\" is not installed in this database"),
				 errhint("Use CREATE EXTENSION pgtopic.")));
	*schema = ensure_schema();
	pt_name_relation(name, relname);
}

/*
 * May the current user make it, and is the name free?  If so it stays free to
 * the end of the transaction.
 */
void
pt_ddl_check_free(Oid schema, const char *name, const char *relname)
{
	check_may_create(schema);
	lock_name(schema, relname);
	check_free(schema, name, relname);
}

/*
 * Creates a topic that belongs to the current user; see topic.h for errors.
 * The broker's own topics, which the first session that needs them creates,
 * belong to the owner of the schema.
 */
Oid
pt_topic_create(const char *name, int npartitions, List *configs, const pg_uuid_t *id)
{
	char		relname[NAMEDATALEN];
	Oid			schema;
	Oid			relid;
	Oid			save_user;
	int			save_context;

	pt_ddl_check_new(name, npartitions, configs, &schema, relname);
	GetUserIdAndSecContext(&save_user, &save_context);
	if (pt_topic_name_is_internal(name))
		SetUserIdAndSecContext(schema_owner(schema), save_context | SECURITY_LOCAL_USERID_CHANGE);
	pt_ddl_check_free(schema, name, relname);
	relid = pt_ddl_create_parent(name, relname, npartitions, configs, id, false);
	pt_ddl_create_leaves(relname, relname, 0, npartitions);
	SetUserIdAndSecContext(save_user, save_context);
	return relid;
}

/* Locks a topic of the current user's; ERROR when it is there no more. */
const PtTopic *
pt_ddl_lock_topic(Oid relid, LOCKMODE mode)
{
	check_owner(existing_topic(relid));
	LockRelationOid(relid, mode);
	return existing_topic(relid);
}

/* DROP TABLE: what depends on it, such as a view, is an error. */
void
pt_topic_drop(Oid relid)
{
	(void) pt_ddl_lock_topic(relid, AccessExclusiveLock);
	pt_ddl_run(psprintf("DROP TABLE %s", pt_qualified_name(relid)));
}

/*
 * Adds partitions up to this many.  Keys go to other partitions from then on,
 * as with Kafka.
 */
void
pt_topic_add_partitions(Oid relid, int npartitions)
{
	const PtTopic *topic;
	char	   *name;
	char	   *relname;
	int			had;

	check_partitions(npartitions);
	topic = pt_ddl_lock_topic(relid, ShareUpdateExclusiveLock);
	had = topic->npartitions;
	name = pstrdup(topic->name);
	relname = get_rel_name(relid);

	if (npartitions <= had)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" has %d partitions already", name, had),
				 errdetail("The number of partitions can only grow.")));
	if (had <= 1)
		pt_ddl_run(psprintf("ALTER TABLE ONLY %s ALTER COLUMN partition SET DEFAULT %s",
							in_topic_schema(relname), partition_default(name, npartitions)));
	pt_ddl_create_leaves(relname, relname, had, npartitions);
}

/* Changes configs; a NULL value takes one back to its default. */
void
pt_topic_alter_configs(Oid relid, List *configs)
{
	const PtTopic *topic;
	PtLabel    *label;

	check_configs(configs);
	topic = pt_ddl_lock_topic(relid, ShareUpdateExclusiveLock);
	label = pt_label_get(relid);
	if (label == NULL)
	{
		/* a table made by hand: from now on its id is kept */
		label = palloc0(sizeof(PtLabel));
		label->has_id = true;
		label->id = topic->id;
	}
	label->configs = pt_config_merge(label->configs, configs);
	check_configs(label->configs);
	pt_label_set(relid, label);
}

/*
 * NAME_text or NAME_jsonb beside the topic's table: a view with key and value
 * in a readable form; with "try_" before the format, null for what has another
 * form.  Returns its OID.
 */
Oid
pt_topic_create_view(Oid relid, const char *format)
{
	const char *extension = get_namespace_name(pt_catalog_extension_schema());
	Oid			schema = get_rel_namespace(relid);
	bool		tries = strncmp(format, "try_", 4) == 0;
	char		view[NAMEDATALEN];

	check_may_create(schema);
	pt_name_append(get_rel_name(relid), psprintf("_%s", format), view);
	pt_ddl_run(psprintf("CREATE VIEW %s AS SELECT partition, \"offset\", \"timestamp\", "
						"%s(key) AS key, %s(value) AS value, headers FROM %s",
						quote_qualified_identifier(get_namespace_name(schema), view),
						quote_qualified_identifier(extension, tries ? "try_text" : "as_text"),
						quote_qualified_identifier(extension, tries ? format : psprintf("as_%s", format)),
						pt_qualified_name(relid)));
	return get_relname_relid(view, schema);
}

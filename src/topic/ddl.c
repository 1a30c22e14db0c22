/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  Creates, changes and drops topics, with the server's own commands.
 *
 * A topic is made by statements that a user could type and that pg_dump
 * writes.  So privileges, ownership, event triggers, locks and dependencies
 * are the server's.  All names in the statements are qualified and no operator
 * occurs in them, so that objects of other users cannot interfere.  The search
 * path is left as it is, because event triggers run within our statements.
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
#include "safe_path.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "topic/internal.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

bool		pt_ddl_running = false;

/*
 * Runs a statement as if the user had typed it.  pt_ddl_running is set
 * meanwhile, and stays set after an error.
 */
void
pt_ddl_run(const char *sql)
{
	bool		within = pt_ddl_running;

	Assert(IsTransactionState());
	SPI_connect();
	pt_ddl_running = true;
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
	pt_ddl_running = within;
	SPI_finish();
}

/*
 * Returns "schema.name" of a relation, quoted where necessary.  ERROR 42P01
 * if it does not exist.
 */
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
 * Writes a label with the server's command, which checks that the user owns
 * the table and locks it against other changes.
 */
void
pt_label_set(Oid relid, const PtLabel *label)
{
	pt_ddl_run(psprintf("SECURITY LABEL FOR %s ON TABLE %s IS %s",
						PT_LABEL_PROVIDER, pt_qualified_name(relid),
						quote_literal_cstr(pt_label_text(label))));
}

/*
 * Returns the qualified and quoted name of something in the schema of topics.
 */
static char *
in_topic_schema(const char *name)
{
	return quote_qualified_identifier(pt_topic_schema, name);
}

/*
 * Returns the topic of that table; ERROR 42P01 if there is none.
 */
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
 * ERROR unless the user owns the topic.  The server checks this, too, but its
 * error would be about a statement that the user does not know.
 */
static void
check_owner(const PtTopic *topic)
{
	if (!pt_relation_ownercheck(topic->relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, topic->name);
}

/*
 * ERROR unless the user may create tables in the schema.
 */
static void
check_may_create(Oid schema)
{
	AclResult	result = pt_schema_aclcheck(schema, GetUserId(), ACL_CREATE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_SCHEMA, get_namespace_name(schema));
}

/*
 * Returns the schema of topics.  Creates it if necessary, for which the user
 * needs CREATE on the database.
 */
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
 * ERROR for a wrong number of partitions.  Kafka has no upper bound; ours
 * prevents that a typing error creates tables for hours.
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

/*
 * ERROR for a name that a topic cannot have.
 */
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

/*
 * ERROR for wrong configs.
 */
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
 * Locks a name to the end of the transaction.  So two sessions that create
 * one topic at the same time, as Kafka clients with auto-creation do, get
 * "already exists" and not a unique violation in a catalog.
 */
static void
lock_name(Oid schema, const char *relname)
{
	uint16		part = (uint16) hash_bytes((const unsigned char *) relname, strlen(relname));
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, NamespaceRelationId, schema, part == 0 ? 1 : part);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/*
 * ERROR if the name is in use.
 */
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
 * Makes a random id (RFC 9562, version 4).  Ids whose base64 form begins with
 * a dash are left out, because Kafka's tools take it as an argument.
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
 * Returns the default of the column "partition".  With several partitions it
 * names the topic by a text and not by an OID, because pg_dump must be able
 * to write it before the table exists.
 */
static char *
partition_default(const char *name, int npartitions)
{
	Oid			schema = pt_catalog_extension_schema();

	Assert(npartitions > 0);
	if (npartitions == 1)
		return pstrdup("0");
	return psprintf("%s(%s::pg_catalog.text)",
					quote_qualified_identifier(get_namespace_name(schema), "next_partition"),
					quote_literal_cstr(name));
}

/*
 * Creates the partitioned table.  "offset" may be null, because the access
 * method assigns it after NOT NULL was checked.
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
 * Finds a free name for something that belongs to a topic; "out" has
 * NAMEDATALEN bytes.  Nobody depends on the name, so if it is in use (a topic
 * that was renamed has left it behind), another one is taken.
 */
void
pt_ddl_free_name(const char *relname, const char *suffix, char *out)
{
	Oid			schema = pt_catalog_schema();

	pt_name_append(relname, suffix, out);
	for (int i = 1; OidIsValid(get_relname_relid(out, schema)); i++)
		pt_name_append(relname, psprintf("%s~%d", suffix, i), out);
}

/*
 * Creates the index that stores nothing and lets the planner find offsets and
 * times.
 */
static void
create_index(const char *table, const char *stem)
{
	char		index[NAMEDATALEN];

	pt_ddl_free_name(stem, "#offset", index);
	pt_ddl_run(psprintf("CREATE INDEX %s ON %s USING topic_position (\"offset\", \"timestamp\")",
						quote_identifier(index), in_topic_schema(table)));
}

/*
 * The next CREATE TABLE is that of create_leaf(); see pt_ddl_take_leaf().
 */
static bool next_is_leaf = false;

/*
 * Returns true if the statement that begins now creates a partition of ours;
 * for the utility hook.  Such a partition is right and no rows wait for it.
 * The hook's checks would take longer with each partition of the topic.
 */
bool
pt_ddl_take_leaf(void)
{
	bool		result = next_is_leaf;

	next_is_leaf = false;
	return result;
}

/*
 * Creates a partition.  Its own default of the column "partition" allows
 * INSERT into it by name.
 */
static void
create_leaf(const char *table, const char *stem, int number)
{
	char		leaf[NAMEDATALEN];

	Assert(number >= 0 && number < PT_PARTITIONS_MAX);
	pt_ddl_free_name(stem, psprintf("#%d", number), leaf);
	next_is_leaf = true;
	pt_ddl_run(psprintf("CREATE TABLE %s PARTITION OF %s (partition DEFAULT %d) FOR VALUES IN (%d) USING topic_log",
						in_topic_schema(leaf), in_topic_schema(table), number, number));
}

/*
 * Creates the partitions [from, to) of a table, with names that begin with
 * the stem.  Both are usually the name of the topic's relation.
 *
 * Each partition is locked until the transaction ends, and so is everything
 * that the server makes with it.  The lock table limits their number; the
 * error says so.
 */
void
pt_ddl_create_leaves(const char *table, const char *stem, int from, int to)
{
	MemoryContext mcxt = CurrentMemoryContext;

	Assert(from >= 0 && from <= to);
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
 * Creates the table of a topic, with its label and its indexes and without
 * partitions.  All checks have been made.  It belongs to the current user.
 */
Oid
pt_ddl_create_parent(const char *name, const char *table, int npartitions, List *configs,
					 const pg_uuid_t *id, bool unfinished)
{
	PtLabel		label;
	char		relname[NAMEDATALEN];
	Oid			relid;

	Assert(npartitions > 0);
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
	create_index(table, relname);
	return relid;
}

/*
 * Returns the owner of a schema.
 */
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
 * Makes all checks of a new topic that do not depend on its owner.  Creates
 * the schema if necessary, and returns it and the name of the topic's
 * relation.
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
 * ERROR unless the current user may create the topic and its name is free.
 * The name stays free to the end of the transaction.
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
 * Internal topics, which are created by the first session that needs them,
 * belong to the owner of the schema.  Event triggers run as that role then.
 */
Oid
pt_topic_create(const char *name, int npartitions, List *configs, const pg_uuid_t *id)
{
	char		relname[NAMEDATALEN];
	Oid			schema;
	Oid			relid;
	Oid			save_user;
	int			save_context;
	int			guc_level = 0;

	pt_ddl_check_new(name, npartitions, configs, &schema, relname);
	GetUserIdAndSecContext(&save_user, &save_context);
	if (pt_topic_name_is_internal(name))
	{
		SetUserIdAndSecContext(schema_owner(schema),
							   save_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
		guc_level = pt_safe_path_enter(schema_owner(schema));
	}
	pt_ddl_check_free(schema, name, relname);
	relid = pt_ddl_create_parent(name, relname, npartitions, configs, id, false);
	pt_ddl_create_leaves(relname, relname, 0, npartitions);
	if (guc_level > 0)
		AtEOXact_GUC(false, guc_level);
	SetUserIdAndSecContext(save_user, save_context);
	return relid;
}

/*
 * Locks a topic of the current user to the end of the transaction and returns
 * it.  ERROR if it does not exist any more.
 */
const PtTopic *
pt_ddl_lock_topic(Oid relid, LOCKMODE mode)
{
	Assert(mode != NoLock);
	check_owner(existing_topic(relid));
	LockRelationOid(relid, mode);
	return existing_topic(relid);
}

/*
 * Drops a topic by DROP TABLE.  If something depends on it, such as a view,
 * that is an ERROR.
 */
void
pt_topic_drop(Oid relid)
{
	(void) pt_ddl_lock_topic(relid, AccessExclusiveLock);
	pt_ddl_run(psprintf("DROP TABLE %s", pt_qualified_name(relid)));
}

/*
 * Adds partitions until there are npartitions.  As in Kafka, keys go to other
 * partitions from then on.
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

/*
 * Changes configs; a NULL value resets one to its default.
 */
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
		/* the table was made by hand; from now on its id is stored */
		label = palloc0(sizeof(PtLabel));
		label->has_id = true;
		label->id = topic->id;
	}
	label->configs = pt_config_merge(label->configs, configs);
	check_configs(label->configs);
	pt_label_set(relid, label);
}

/*
 * Creates a view NAME_format beside the topic's table, which shows key and
 * value in a readable form: "text" or "jsonb".  With "try_" before it, what
 * has another form is null.  Returns the view's OID.
 */
Oid
pt_topic_create_view(Oid relid, const char *format)
{
	const char *extension = get_namespace_name(pt_catalog_extension_schema());
	Oid			schema = get_rel_namespace(relid);
	bool		tries = strncmp(format, "try_", 4) == 0;
	char		view[NAMEDATALEN];

	Assert(OidIsValid(schema));
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

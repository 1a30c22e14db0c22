/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  Reads topics from the system catalogs.
 *
 * Nothing here locks a topic: a listener that looks up a topic must not wait
 * for an ALTER TABLE. It reads what was committed last; a change that comes
 * meanwhile invalidates the entry of the cache.
 *
 * A topic is a partitioned table in pgtopic.topic_schema, LIST-partitioned by
 * its column "partition", that has a label (label.c) or at least one leaf of
 * access method topic_log.  If it has no label (it was made by hand), its name
 * is that of the relation, its configs are the defaults, and its id is
 * computed from the OIDs of database and table.  Such an id stays the same
 * until the table is dropped, and is another one after dump and restore.
 *
 * Sibling: cache.c keeps the results.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "guc.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "nodes/readfuncs.h"
#include "topic/internal.h"
#include "topic/leaf.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/*
 * OIDs of what the extension has created; looked up again after
 * pt_catalog_reset().
 */
static Oid	log_am = InvalidOid;
static Oid	headers_type = InvalidOid;
static Oid	extension_schema = InvalidOid;

/*
 * Forgets the OIDs, because an access method or a schema has changed.
 * Touches no catalog.
 */
void
pt_catalog_reset(void)
{
	log_am = headers_type = extension_schema = InvalidOid;
}

/*
 * Returns the schema of topics; InvalidOid if it does not exist yet.
 */
Oid
pt_catalog_schema(void)
{
	return get_namespace_oid(pt_topic_schema, true);
}

/*
 * Returns the schema of the extension; InvalidOid if that is not installed.
 */
Oid
pt_catalog_extension_schema(void)
{
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (OidIsValid(extension_schema))
		return extension_schema;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("pgtopic"));
	rel = table_open(ExtensionRelationId, AccessShareLock);
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		extension_schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return extension_schema;
}

/*
 * Returns the access method of leaves; InvalidOid without the extension.
 */
Oid
pt_am_topic_log(void)
{
	if (!OidIsValid(log_am))
		log_am = get_table_am_oid("topic_log", true);
	return log_am;
}

/*
 * Returns the type of the column "headers"; InvalidOid without the extension.
 */
Oid
pt_type_headers(void)
{
	if (!OidIsValid(headers_type))
	{
		Oid			schema = pt_catalog_extension_schema();

		if (OidIsValid(schema))
			headers_type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
										   CStringGetDatum("headers"), ObjectIdGetDatum(schema));
	}
	return headers_type;
}

/*
 * Returns the type topic; InvalidOid without the extension.
 */
Oid
pt_type_topic(void)
{
	Oid			schema = pt_catalog_extension_schema();

	return OidIsValid(schema) ? GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("topic"),
												ObjectIdGetDatum(schema)) : InvalidOid;
}

/*
 * Returns the schema of the extension, for other rooms; InvalidOid if that is
 * not installed.
 */
Oid
pt_extension_schema(void)
{
	return pt_catalog_extension_schema();
}

/*
 * Returns a sequence of the extension.  ERROR 55000 without the extension,
 * 42704 if it has no such sequence.
 */
Oid
pt_extension_sequence(const char *name)
{
	Oid			schema = pt_catalog_extension_schema();
	Oid			sequence = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

	Assert(name != NULL);
	if (!OidIsValid(schema))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pgtopic\" is not installed in database \"%s\"",
						get_database_name(MyDatabaseId)),
				 errhint("Run CREATE EXTENSION pgtopic in that database.")));
	if (!OidIsValid(sequence))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("sequence \"%s\" of extension \"pgtopic\" does not exist", name),
				 errhint("Run ALTER EXTENSION pgtopic UPDATE.")));
	return sequence;
}

/*
 * True if the table is LIST-partitioned by its column "partition".
 */
static bool
has_partition_key(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(relid));
	Form_pg_partitioned_table form;
	bool		result = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_partitioned_table) GETSTRUCT(tuple);
	if (form->partstrat == PARTITION_STRATEGY_LIST && form->partnatts == 1)
	{
		AttrNumber	attnum = form->partattrs.values[0];
		char	   *attname = attnum > 0 ? get_attname(relid, attnum, true) : NULL;

		result = attname != NULL && strcmp(attname, "partition") == 0;
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Fills topic->leaves and topic->npartitions.
 */
static void
load_leaves(Oid relid, PtTopic *topic)
{
	List	   *children = pt_leaf_children(relid);
	int			n = list_length(children);
	int		   *numbers = palloc(sizeof(int) * (n + 1));
	int			i = 0;
	ListCell   *lc;

	topic->npartitions = 0;
	foreach(lc, children)
	{
		numbers[i] = pt_leaf_number(lfirst_oid(lc));
		topic->npartitions = Max(topic->npartitions, numbers[i] + 1);
		i++;
	}
	topic->leaves = palloc0(sizeof(Oid) * (topic->npartitions + 1));
	i = 0;
	foreach(lc, children)
	{
		Assert(numbers[i] < topic->npartitions);
		if (numbers[i] >= 0)
			topic->leaves[numbers[i]] = lfirst_oid(lc);
		i++;
	}
	pfree(numbers);
}

/*
 * Mixes all bits, as a bijection: the finalizer of splitmix64.
 */
static uint64
mix(uint64 x)
{
	x = (x ^ (x >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/*
 * Computes the id of a topic that has none in its label.  It is a UUID of
 * version 8 (RFC 9562), for custom algorithms.
 */
static void
computed_id(Oid relid, pg_uuid_t *id)
{
	uint64		half[2];

	Assert(OidIsValid(relid));
	for (int i = 0; i < 2; i++)
	{
		uint64		seed = ((uint64) MyDatabaseId << 32) | relid;

		half[i] = mix(seed + UINT64CONST(0x9e3779b97f4a7c15) * (i + 1));
		for (int b = 0; b < 8; b++)
			id->data[i * 8 + b] = (unsigned char) (half[i] >> (56 - 8 * b));
	}
	id->data[6] = (id->data[6] & 0x0f) | 0x80;
	id->data[8] = (id->data[8] & 0x3f) | 0x80;
}

/*
 * Fills name, id and configs from the label (may be NULL) and the name of the
 * relation.  Returns false if that is not a legal name of a topic.
 */
static bool
load_identity(Oid relid, const char *relname, const PtLabel *label, PtTopic *topic)
{
	char		derived[NAMEDATALEN];

	strlcpy(topic->name, relname, sizeof(topic->name));
	if (label && label->name)
	{
		pt_name_relation(label->name, derived);
		if (strcmp(derived, relname) == 0)
			strlcpy(topic->name, label->name, sizeof(topic->name));
	}
	if (pt_topic_name_check(topic->name) != NULL)
		return false;

	if (label && label->has_id)
		topic->id = label->id;
	else
		computed_id(relid, &topic->id);
	topic->internal = (label && label->internal) || pt_topic_name_is_internal(topic->name);
	pt_config_apply(label ? label->configs : NIL, &topic->config);
	return true;
}

/*
 * Fills *topic, in the current memory context.  Returns false if the table is
 * not a topic or does not exist.  May process invalidations.
 */
bool
pt_catalog_load(Oid relid, PtTopic *topic)
{
	HeapTuple	tuple;
	Form_pg_class form;
	char		relname[NAMEDATALEN];
	bool		candidate;
	PtLabel    *label;

	Assert(IsTransactionState());
	memset(topic, 0, sizeof(*topic));
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	strlcpy(relname, NameStr(form->relname), NAMEDATALEN);
	candidate = form->relkind == RELKIND_PARTITIONED_TABLE && form->relnamespace == pt_catalog_schema();
	topic->relid = relid;
	topic->has_triggers = form->relhastriggers;
	ReleaseSysCache(tuple);

	if (!candidate || !OidIsValid(pt_am_topic_log()) || !has_partition_key(relid))
		return false;
	label = pt_label_get(relid);
	if (label && label->unfinished)
		return false;
	load_leaves(relid, topic);
	if (label == NULL && topic->npartitions == 0)
		return false;
	Assert(topic->npartitions >= 0 && topic->npartitions <= PT_PARTITIONS_MAX);
	return load_identity(relid, relname, label, topic);
}

/*
 * Returns the OIDs of all partitioned tables in the schema of topics.  There
 * is no index for that.  pg_partitioned_table is far smaller than pg_class,
 * which has rows for partitions and indexes, too.
 */
List *
pt_catalog_candidates(void)
{
	Oid			schema = pt_catalog_schema();
	List	   *result = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(schema))
		return NIL;
	rel = table_open(PartitionedRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			relid = ((Form_pg_partitioned_table) GETSTRUCT(tuple))->partrelid;

		if (get_rel_namespace(relid) == schema)
			result = lappend_oid(result, relid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*-------------------------------------------------------------------------
 *
 * leaf.c
 *	  Leaf tables: whether one is a log, its partition number and its configs.
 *
 * The partition number is read from the leaf's partition bound.  So it is
 * right for a table that is being restored, before anything says that it
 * belongs to a topic, and it follows ATTACH and DETACH.
 *
 * All functions need a transaction.
 *
 * Siblings: catalog.c (topics), cache.c (keeps topics).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "nodes/nodes.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "topic/internal.h"
#include "topic/leaf.h"

/*
 * Partition numbers by OID of the leaf, until the relcache says that the
 * table has changed.
 */
typedef struct PartitionEntry
{
	Oid			relid;
	int32		partition;
} PartitionEntry;

static HTAB *partitions;

static int32 bound_number(HeapTuple class_tuple);
static void forget_partition(Datum arg, Oid relid);
static int32 read_partition(Oid relid);

/*
 * True if the row of pg_class is that of a log.
 */
static bool
is_log_tuple(HeapTuple class_tuple)
{
	Form_pg_class form = (Form_pg_class) GETSTRUCT(class_tuple);
	Oid			am = pt_am_topic_log();

	return form->relkind == RELKIND_RELATION && OidIsValid(am) && form->relam == am;
}

/*
 * Returns true if it is a table of access method topic_log, attached to a
 * topic or not.
 */
bool
pt_leaf_is_log(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = is_log_tuple(tuple);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Returns the number n of a bound FOR VALUES IN (n); PT_NO_PARTITION for any
 * other bound.
 */
static int32
bound_number(HeapTuple class_tuple)
{
	bool		isnull;
	Datum		bound = SysCacheGetAttr(RELOID, class_tuple, Anum_pg_class_relpartbound, &isnull);
	PartitionBoundSpec *spec;
	const Const *value;

	if (isnull)
		return PT_NO_PARTITION;
	spec = castNode(PartitionBoundSpec, stringToNode(TextDatumGetCString(bound)));
	if (spec->strategy != PARTITION_STRATEGY_LIST || spec->is_default || list_length(spec->listdatums) != 1)
		return PT_NO_PARTITION;
	value = linitial_node(Const, spec->listdatums);
	if (value->constisnull || value->consttype != INT4OID)
		return PT_NO_PARTITION;
	return DatumGetInt32(value->constvalue);
}

/*
 * Returns the partition number of a child table; negative if it cannot be a
 * partition of a topic.
 */
int32
pt_leaf_number(Oid child)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(child));
	int32		number = PT_NO_PARTITION;

	if (!HeapTupleIsValid(tuple))
		return PT_NO_PARTITION;
	if (is_log_tuple(tuple))
		number = bound_number(tuple);
	ReleaseSysCache(tuple);
	return number < PT_PARTITIONS_MAX ? number : PT_NO_PARTITION;
}

/*
 * Returns the number with which an open leaf is attached to its topic, or
 * PT_NO_PARTITION.
 */
int32
pt_leaf_partition(Relation rel)
{
	PartitionEntry *entry;
	Oid			relid = RelationGetRelid(rel);
	int32		partition;

	if (!rel->rd_rel->relispartition)
		return PT_NO_PARTITION;
	if (partitions == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(PartitionEntry)};

		partitions = hash_create("pgtopic partition numbers", 64, &ctl, HASH_ELEM | HASH_BLOBS);
		CacheRegisterRelcacheCallback(forget_partition, (Datum) 0);
	}
	entry = hash_search(partitions, &relid, HASH_FIND, NULL);
	if (entry)
		return entry->partition;
	partition = read_partition(relid);	/* may process invalidations */
	entry = hash_search(partitions, &relid, HASH_ENTER, NULL);
	entry->partition = partition;
	return partition;
}

/*
 * Relcache callback: forgets one table, or all if it is InvalidOid.
 */
static void
forget_partition(Datum arg, Oid relid)
{
	Assert(partitions != NULL);
	if (OidIsValid(relid))
		(void) hash_search(partitions, &relid, HASH_REMOVE, NULL);
	else
	{
		HASH_SEQ_STATUS scan;
		PartitionEntry *entry;

		hash_seq_init(&scan, partitions);
		while ((entry = hash_seq_search(&scan)) != NULL)
			(void) hash_search(partitions, &entry->relid, HASH_REMOVE, NULL);
	}
}

/*
 * Reads the partition number from the catalog.
 */
static int32
read_partition(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int32		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	result = bound_number(tuple);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Returns true if records must be inserted into an open leaf row by row, as
 * by an INSERT.  Otherwise an INSERT does nothing more than the access method
 * does.  Partition, offset and timestamp always get a value, so NOT NULL of
 * these does not matter.
 */
bool
pt_leaf_needs_executor(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	const TriggerDesc *triggers = rel->trigdesc;

	Assert(desc->natts == PT_COLUMNS);
	if (triggers && (triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
					 triggers->trig_insert_instead_row || triggers->trig_insert_new_table))
		return true;
	if (desc->constr == NULL)
		return false;
	if (desc->constr->num_check > 0 || desc->constr->has_generated_stored)
		return true;
	for (int i = PT_COL_KEY; desc->constr->has_not_null && i <= desc->natts; i++)
	{
		if (TupleDescAttr(desc, i - 1)->attnotnull)
			return true;
	}
	return false;
}

/*
 * Returns the table that a leaf stands for: for one that is being rewritten,
 * the table that it will replace.
 */
Oid
pt_leaf_identity(Relation rel)
{
	return OidIsValid(rel->rd_rel->relrewrite) ? rel->rd_rel->relrewrite : RelationGetRelid(rel);
}

/*
 * Returns the tables that inherit from one, without a lock on any; an empty
 * list if that one has been dropped.
 *
 * The server's function raises an error for a table that is gone.  What
 * SearchSysCacheExists1 has found, it finds too: nothing in between processes
 * invalidations.
 */
List *
pt_leaf_children(Oid relid)
{
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return NIL;
	return find_inheritance_children(relid, NoLock);
}

/*
 * Returns the table of which a leaf is a partition, also if it is being
 * detached; InvalidOid if there is none, or the leaf has been dropped.
 * (get_partition_parent() is for tables that are locked.)
 */
Oid
pt_leaf_parent(Oid relid)
{
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);
	Oid			parent = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	Assert(OidIsValid(relid));
	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	return parent;
}

/*
 * Returns the configs of a leaf; defaults if it belongs to no topic.  They
 * are in the topic cache, so copy what is kept.
 */
const PtTopicConfig *
pt_leaf_config(Oid relid)
{
	static const PtTopicConfig no_topic = {
		.cleanup_policy = PT_CLEANUP_DELETE,
		.compression = PT_COMPRESSION_PRODUCER,
		.compression_level = INT_MIN,
		.max_message_bytes = 1024 * 1024 + 12,
		.timestamp_before_max_ms = PG_INT64_MAX,
		.timestamp_after_max_ms = PG_INT64_MAX,
		.retention_ms = -1,
		.retention_bytes = -1
	};
	int32		partition;
	const PtTopic *topic = pt_topic_by_leaf(relid, &partition);

	return topic ? &topic->config : &no_topic;
}

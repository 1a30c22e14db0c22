/*-------------------------------------------------------------------------
 *
 * pieces.c
 *	  Makes and deletes topics that have more partitions than one transaction
 *	  can lock.
 *
 * A transaction keeps a lock on each table that it creates or drops, and the
 * server's lock table is bounded.  A Kafka request can run several
 * transactions, so it makes a large topic in pieces:
 *
 *		begin		the partitioned table
 *		fill		some partitions; again and again
 *		finish		the topic is there
 *
 * and deletes it in pieces:
 *
 *		hide		the topic is gone
 *		remove		some partitions; again and again, in the end the table
 *
 * In between there is no topic, not even a part of one.  The label of the
 * table says "unfinished", so that it does not count as a topic.  The name of
 * the table is one that no topic can have ("orders#new", "orders#gone"), so
 * that the topic's name is free.
 *
 * An unfinished table that is left after an error or a crash is removed by the
 * next request that finds it.  The request that works on it holds a claim, a
 * lock of the session, so that others leave it alone.
 *
 * Siblings: ddl.c (topics in one transaction), label.c, catalog.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "topic/internal.h"
#include "topic/leaf.h"

/* Locks for dropping one partition; creating it takes fewer. */
#define LOCKS_PER_PARTITION 7

/*
 * Largest number of partitions of one transaction, however many locks there
 * are.
 */
#define PIECE_MAX			250

/* Kind of advisory lock of a claim; SQL has 1 and 2, the groups 3 and 4. */
#define CLAIM_LOCK_KIND	5

/*
 * Returns the size of the server's lock table, for all sessions together.
 */
static int64
locks_max(void)
{
	return (int64) max_locks_per_xact * (MaxBackends + max_prepared_xacts);
}

/*
 * Returns how many partitions are handled in one transaction: those for a
 * quarter of all locks.
 */
int
pt_topic_piece(void)
{
	return (int) Min(Max(locks_max() / 4 / LOCKS_PER_PARTITION, 1), PIECE_MAX);
}

/*
 * ERROR unless a topic of this size can be dropped in one transaction: what
 * can be created must not be impossible to drop.  (A number above the limit
 * of partitions is another error, which is not ours.)
 */
void
pt_topic_check_locks(int npartitions)
{
	int64		locks = (int64) npartitions * LOCKS_PER_PARTITION;
	int			backends = MaxBackends + max_prepared_xacts;

	if (locks <= locks_max() || npartitions > PT_PARTITIONS_MAX)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("a topic of %d partitions is too large for one transaction", npartitions),
			 errdetail("Dropping it takes %lld locks, and the server has room for %lld.",
					   (long long) locks, (long long) locks_max()),
			 errhint("Set \"max_locks_per_transaction\" to %lld or more, now %d; or have a Kafka client create and delete it, which is done in several transactions.",
					 (long long) ((locks + backends - 1) / backends), max_locks_per_xact)));
}

/*
 * The claim is an advisory lock: other locks of a session are released when
 * one of its transactions aborts, and this one is needed after that.
 */
static void
claim_tag(LOCKTAG *tag, Oid relid)
{
	Assert(OidIsValid(relid));
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, 0, relid, CLAIM_LOCK_KIND);
}

/*
 * Takes the claim on an unfinished table, for the session.  Returns false if
 * another session has it.
 */
bool
pt_topic_claim(Oid relid)
{
	LOCKTAG		tag;

	claim_tag(&tag, relid);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Releases the claim.
 */
void
pt_topic_unclaim(Oid relid)
{
	LOCKTAG		tag;

	claim_tag(&tag, relid);
	(void) LockRelease(&tag, ExclusiveLock, true);
}

/*
 * Begins to make a topic that will have npartitions, after all checks.  The
 * caller gets the claim on the table that is returned.
 */
Oid
pt_topic_begin(const char *name, int npartitions, List *configs)
{
	char		relname[NAMEDATALEN];
	char		table[NAMEDATALEN];
	Oid			schema;
	Oid			relid;

	Assert(!pt_topic_name_is_internal(name));
	pt_ddl_check_new(name, npartitions, configs, &schema, relname);
	pt_ddl_check_free(schema, name, relname);
	pt_ddl_free_name(relname, "#new", table);
	relid = pt_ddl_create_parent(name, table, npartitions, configs, NULL, true);
	if (!pt_topic_claim(relid))
		elog(ERROR, "somebody has the claim on new table %u", relid);
	return relid;
}

/*
 * Creates the partitions [from, to).
 */
void
pt_topic_fill(Oid relid, const char *name, int from, int to)
{
	char		relname[NAMEDATALEN];
	const char *table = get_rel_name(relid);

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the table of new topic \"%s\" was dropped", name)));
	pt_name_relation(name, relname);
	pt_ddl_create_leaves(table, relname, from, to);
}

/*
 * Renames a table without the hook that keeps topics from being renamed.
 */
static void
rename_table(Oid relid, const char *relname)
{
	Assert(CheckRelationOidLockedByMe(relid, AccessExclusiveLock, false));
	RenameRelationInternal(relid, relname, false, false);
	CommandCounterIncrement();
}

/*
 * Turns the finished table into the topic.  ERROR 42P07 if the name is in
 * use.
 */
void
pt_topic_finish(Oid relid, const char *name)
{
	char		relname[NAMEDATALEN];
	PtLabel    *label;

	pt_name_relation(name, relname);
	pt_ddl_check_free(pt_catalog_schema(), name, relname);
	LockRelationOid(relid, AccessExclusiveLock);
	label = pt_label_get(relid);
	if (label == NULL || !label->unfinished)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the table of new topic \"%s\" was dropped", name)));
	rename_table(relid, relname);
	label->unfinished = false;
	pt_label_set(relid, label);
}

/*
 * ERROR if something outside of the topic depends on this object, as DROP
 * would report.
 */
static void
check_object(const PtTopic *topic, Relation depend, Oid class, Oid object)
{
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	Assert(OidIsValid(object));
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(class));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress by = {form->classid, form->objid, form->objsubid};

		if (form->deptype != DEPENDENCY_NORMAL)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop topic \"%s\" because other objects depend on it", topic->name),
				 errdetail("%s depends on it", getObjectDescription(&by, false)),
				 errhint("Use DROP ... CASCADE to drop the dependent objects too.")));
	}
	systable_endscan(scan);
}

/*
 * ERROR if something depends on the topic or its partitions.
 */
static void
check_dependents(const PtTopic *topic)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);

	check_object(topic, depend, RelationRelationId, topic->relid);
	check_object(topic, depend, TypeRelationId, get_rel_type_id(topic->relid));
	for (int i = 0; i < topic->npartitions; i++)
	{
		if (!OidIsValid(topic->leaves[i]))
			continue;
		check_object(topic, depend, RelationRelationId, topic->leaves[i]);
		check_object(topic, depend, TypeRelationId, get_rel_type_id(topic->leaves[i]));
	}
	table_close(depend, AccessShareLock);
}

/*
 * Hides a topic: it is not a topic any more, and its tables are to be removed
 * by the caller, who gets the claim on them.  ERROR if something depends on
 * it.
 */
void
pt_topic_hide(Oid relid)
{
	const PtTopic *topic = pt_ddl_lock_topic(relid, AccessExclusiveLock);
	PtTopic		copy = *topic;
	PtLabel    *label;
	char		table[NAMEDATALEN];

	copy.leaves = palloc(sizeof(Oid) * (topic->npartitions + 1));
	memcpy(copy.leaves, topic->leaves, sizeof(Oid) * topic->npartitions);
	check_dependents(&copy);
	label = pt_label_get(relid);
	if (label == NULL)
		label = palloc0(sizeof(PtLabel));
	label->unfinished = true;
	pt_label_set(relid, label);
	pt_ddl_free_name(get_rel_name(relid), "#gone", table);
	rename_table(relid, table);
	if (!pt_topic_claim(relid))
		elog(ERROR, "somebody has the claim on table %u", relid);
}

/*
 * Removes some tables of an unfinished topic, the partitioned one last.
 * Returns true if nothing is left.  The caller has the claim.
 */
bool
pt_topic_remove_piece(Oid relid)
{
	StringInfoData sql;
	List	   *leaves;
	ListCell   *lc;
	int			n = 0;

	if (get_rel_name(relid) == NULL)
		return true;
	leaves = pt_leaf_children(relid);
	initStringInfo(&sql);
	foreach(lc, leaves)
	{
		if (n == pt_topic_piece())
			break;
		appendStringInfo(&sql, "%s%s", n++ == 0 ? "DROP TABLE " : ", ", pt_qualified_name(lfirst_oid(lc)));
	}
	if (n == 0)
		appendStringInfo(&sql, "DROP TABLE %s", pt_qualified_name(relid));
	pt_ddl_run(sql.data);
	return n == 0;
}

/*
 * Returns all unfinished tables, claimed or not, as a List of OIDs.
 */
List *
pt_topic_unfinished(void)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, pt_catalog_candidates())
	{
		const PtLabel *label = pt_label_get(lfirst_oid(lc));

		if (label != NULL && label->unfinished)
			result = lappend_oid(result, lfirst_oid(lc));
	}
	return result;
}

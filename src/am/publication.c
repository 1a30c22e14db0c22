/*-------------------------------------------------------------------------
 *
 * publication.c
 *	  Publications do not carry the records of topics.
 *
 * Logical decoding does not understand the WAL of a log, so a subscriber would
 * get TRUNCATE and nothing else.  A publication that names a topic is refused.
 * A publication of a whole schema or of all tables may be meant for other
 * tables, so it gets a warning.
 *
 * Sibling: utility.c calls this before the command.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"

#include "am/internal.h"
#include "guc.h"
#include "topic/topic.h"

#define HINT \
	_("Subscribers can read topics as Kafka clients. Or copy the records to a table and publish that.")

/*
 * True if the schema has a log.  Reads all of pg_class.
 */
static bool
schema_has_logs(Oid schema)
{
	Oid			am = pt_am_topic_log();
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	bool		found = false;

	Assert(OidIsValid(am));
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		found = form->relnamespace == schema && form->relam == am;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Returns the first schema of the search path, or InvalidOid.
 */
static Oid
current_schema_oid(void)
{
	List	   *path = fetch_search_path(false);
	Oid			schema = path != NIL ? linitial_oid(path) : InvalidOid;

	list_free(path);
	return schema;
}

/*
 * True for the schema of topics, even if it is empty, and for any other that
 * has a log.
 */
static bool
has_topics(Oid schema)
{
	if (!OidIsValid(schema))
		return false;			/* the command will say so */
	return schema == get_namespace_oid(pt_topic_schema, true) || schema_has_logs(schema);
}

/*
 * WARNING that a publication does not have the records of topics.
 */
static void
warn(const char *publication)
{
	ereport(WARNING,
			(errmsg("publication \"%s\" leaves out the records of topics", publication),
			 errdetail("Logical replication does not know them; only TRUNCATE of a topic reaches subscribers."),
			 errhint("%s", HINT)));
}

/*
 * True if the object has topics without naming them.  ERROR if it names one.
 */
static bool
object_has_topics(const PublicationObjSpec *object)
{
	switch (object->pubobjtype)
	{
		case PUBLICATIONOBJ_TABLE:
			pt_utility_refuse_topic(object->pubtable->relation, _("publishing"), HINT);
			return false;
		case PUBLICATIONOBJ_TABLES_IN_SCHEMA:
			return has_topics(get_namespace_oid(object->name, true));
		case PUBLICATIONOBJ_TABLES_IN_CUR_SCHEMA:
			return has_topics(current_schema_oid());
		default:
			return false;
	}
}

/*
 * To be called before a publication is made or gets more objects.  ERROR
 * 0A000 if a topic is named, WARNING if topics are among a schema or all
 * tables.
 */
void
pt_publication_check(const char *publication, List *objects, bool all_tables)
{
	bool		has = all_tables;
	ListCell   *lc;

	if (!OidIsValid(pt_am_topic_log()))
		return;
	foreach(lc, objects)
		has |= object_has_topics(lfirst_node(PublicationObjSpec, lc));
	if (has)
		warn(publication);
}

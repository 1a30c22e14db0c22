/*-------------------------------------------------------------------------
 *
 * label_provider.c
 *	  The provider of security labels: checks a label before it is written.
 *
 * Sibling: label.c (what a label says).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "commands/seclabel.h"
#include "topic/internal.h"
#include "topic/json.h"
#include "topic/leaf.h"
#include "topic/types.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/*
 * Makes an empty log begin at an offset; from the access method.
 */
static void (*set_log_start) (Oid leaf, int64 start);

/*
 * ERROR unless the name belongs to this relation.
 */
static void
check_label_name(Oid relid, const char *name)
{
	char		relname[NAMEDATALEN];
	const char *problem = pt_topic_name_check(name);

	if (problem)
		pt_label_bad(problem);
	pt_name_relation(name, relname);
	if (strcmp(relname, get_rel_name(relid)) != 0)
		pt_label_bad(psprintf("The table of topic \"%s\" must have the name \"%s\".", name, relname));
}

/*
 * ERROR if another topic has the id.  Clients tell topics apart by their ids,
 * so two tables (a table and its copy, for example) must not have the same.
 */
static void
check_label_id(Oid relid, const pg_uuid_t *id)
{
	const PtTopic *topic = pt_topic_by_id(id);

	if (topic != NULL && topic->relid != relid)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("topic \"%s\" has this id already", topic->name),
				 errhint("Leave \"id\" out of the label of a copy.")));
}

/*
 * ERROR unless all configs of the label are known and right.
 */
static void
check_label_configs(const char *text)
{
	Jsonb	   *jb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	PtJsonWalk	walk;
	char	   *reason;

	pt_json_walk_begin(&walk, &jb->root);
	while (pt_json_walk_next(&walk))
	{
		if (strcmp(walk.key, "configs") == 0 &&
			!pt_config_check_all(pt_json_configs(JsonbValueToJsonb(&walk.value)), &reason))
			pt_label_bad(reason);
	}
}

/*
 * Applies the label of a partition.
 */
static void
relabel_log(Oid relid, const char *text)
{
	PtLabel    *label = pt_label_parse(text);

	Assert(set_log_start != NULL);
	if (!label->has_start || label->name || label->has_id || label->internal || label->configs != NIL)
		pt_label_bad("The label of a partition has \"start\" and nothing else.");
	set_log_start(relid, label->start);
}

/*
 * The provider's hook.  The server has checked the ownership and holds a lock
 * on the table.  The label is written after this returns, and nothing else
 * tells other backends of it, so the table is invalidated.
 */
static void
relabel_topic(const ObjectAddress *object, const char *text)
{
	PtLabel    *label;

	if (object->classId == RelationRelationId && object->objectSubId == 0 && pt_leaf_is_log(object->objectId))
	{
		if (text !=NULL)
			relabel_log(object->objectId, text);
		return;
	}
	if (object->classId != RelationRelationId || object->objectSubId != 0 ||
		get_rel_relkind(object->objectId) != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("security labels of provider \"%s\" are for topics only", PT_LABEL_PROVIDER),
				 errhint("A topic is a partitioned table.")));

	if (text !=NULL)
	{
		label = pt_label_parse(text);
		if (label->has_start)
			pt_label_bad("Only a partition has \"start\".");
		if (label->name)
			check_label_name(object->objectId, label->name);
		if (label->has_id)
			check_label_id(object->objectId, &label->id);
		check_label_configs(text);
	}
	CacheInvalidateRelcacheByRelid(object->objectId);
}

/*
 * Registers the provider.  To be called by _PG_init; see topic.h.
 */
void
pt_label_register(void (*set_start) (Oid leaf, int64 start))
{
	Assert(set_start != NULL);
	set_log_start = set_start;
	register_label_provider(PT_LABEL_PROVIDER, relabel_topic);
}

/*-------------------------------------------------------------------------
 *
 * label.c
 *	  The security label of a topic's table, as text and as a struct.
 *
 * The label is a JSON object:
 *
 *	{"name": "...", "id": "uuid", "internal": true, "configs": {"retention.ms":
 *	"1000", ...}}
 *
 * Each key may be missing.  "name" is there if the topic's name does not fit a
 * relation (name.c).  It counts only while the relation has the name that is
 * derived from it, so two topics never have the same name.  (ALTER TABLE
 * RENAME of a topic is refused, see ../am/utility.c; outside of the schema of
 * topics the table is not a topic.)
 *
 * A partition that was emptied has a label, too: {"start": offset}.  Records
 * are restored to the offsets that they had; without records a dump would not
 * say where the partition has ended.  Setting the label makes an empty log
 * begin there.
 *
 * We use a security label because the server does the rest: it is dropped and
 * dumped with the table (also by pg_dump -t), and only the owner may change
 * it.
 *
 * Siblings: catalog.c reads labels, ddl.c writes them, configs.c knows the
 * configs.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_seclabel.h"
#include "commands/seclabel.h"
#include "miscadmin.h"
#include "topic/internal.h"
#include "topic/json.h"
#include "topic/types.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

/*
 * ERROR 22023: the text of a label is wrong.
 */
void
pt_label_bad(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid security label for a topic"),
			 errdetail_internal("%s", detail),
			 errhint("Use create_topic() and alter_topic(), which write the label.")));
}

/*
 * Returns a string of the label; ERROR if it is something else.
 */
static char *
label_string(const char *key, const JsonbValue *v)
{
	if (v->type != jbvString)
		pt_label_bad(psprintf("\"%s\" must be a string.", key));
	return pnstrdup(v->val.string.val, v->val.string.len);
}

/*
 * Reads one member of the label's object.
 */
static void
parse_key(PtLabel *label, const char *key, JsonbValue *v)
{
	if (strcmp(key, "name") == 0)
		label->name = label_string(key, v);
	else if (strcmp(key, "id") == 0)
	{
		Datum		id = DirectFunctionCall1(uuid_in, CStringGetDatum(label_string(key, v)));

		label->id = *DatumGetUUIDP(id);
		label->has_id = true;
	}
	else if (strcmp(key, "internal") == 0)
	{
		if (v->type != jbvBool)
			pt_label_bad("\"internal\" must be true or false.");
		label->internal = v->val.boolean;
	}
	else if (strcmp(key, "unfinished") == 0)
	{
		if (v->type != jbvBool)
			pt_label_bad("\"unfinished\" must be true or false.");
		label->unfinished = v->val.boolean;
	}
	else if (strcmp(key, "start") == 0)
	{
		if (!pt_json_int64(v, &label->start) || label->start < 0)
			pt_label_bad("\"start\" must be a whole number that is not negative.");
		label->has_start = true;
	}
	else if (strcmp(key, "configs") == 0)
		label->configs = pt_config_merge(NIL, pt_json_configs(JsonbValueToJsonb(v)));
	else
		pt_label_bad(psprintf("Unknown key \"%s\".", key));
}

/*
 * Parses a label.  ERROR if the text is not JSON or has unknown keys.
 * Unknown configs are dropped here; the provider's hook refuses them.
 */
PtLabel *
pt_label_parse(const char *text)
{
	Jsonb	   *jb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	PtLabel    *label = palloc0(sizeof(PtLabel));
	PtJsonWalk	walk;

	Assert(text);
	if (!JB_ROOT_IS_OBJECT(jb))
		pt_label_bad("The label must be a JSON object.");
	pt_json_walk_begin(&walk, &jb->root);
	while (pt_json_walk_next(&walk))
		parse_key(label, walk.key, &walk.value);
	return label;
}

/*
 * Returns the text of a table's label, or NULL.
 */
static char *
label_text_of(Oid relid)
{
	ObjectAddress address;

	ObjectAddressSet(address, RelationRelationId, relid);
	return GetSecurityLabel(&address, PT_LABEL_PROVIDER);
}

/*
 * Returns the label of a table in the current memory context, or NULL.
 */
PtLabel *
pt_label_get(Oid relid)
{
	char	   *text = label_text_of(relid);

	return text ? pt_label_parse(text) : NULL;
}

/*
 * Returns the label as the text that is stored.
 */
char *
pt_label_text(const PtLabel *label)
{
	StringInfoData buf;
	const char *sep = "";
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	if (label->name)
	{
		appendStringInfoString(&buf, "\"name\": ");
		escape_json(&buf, label->name);
		sep = ", ";
	}
	if (label->has_id)
	{
		Datum		id = DirectFunctionCall1(uuid_out, UUIDPGetDatum(&label->id));

		appendStringInfo(&buf, "%s\"id\": \"%s\"", sep, DatumGetCString(id));
		sep = ", ";
	}
	if (label->internal)
	{
		appendStringInfo(&buf, "%s\"internal\": true", sep);
		sep = ", ";
	}
	if (label->unfinished)
	{
		appendStringInfo(&buf, "%s\"unfinished\": true", sep);
		sep = ", ";
	}
	if (label->configs != NIL)
	{
		appendStringInfo(&buf, "%s\"configs\": {", sep);
		sep = "";
		foreach(lc, label->configs)
		{
			const PtConfigPair *pair = lfirst(lc);

			appendStringInfoString(&buf, sep);
			escape_json(&buf, pair->name);
			appendStringInfoString(&buf, ": ");
			escape_json(&buf, pair->value);
			sep = ", ";
		}
		appendStringInfoChar(&buf, '}');
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/*
 * Returns true if a table has the label of the topic with this id, also a
 * table in another schema, where it is not a topic for the time being.  Reads
 * all labels, because no index finds those.
 */
bool
pt_label_id_exists(const pg_uuid_t *id)
{
	char	   *wanted = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
	Relation	rel = table_open(SecLabelRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		provider = heap_getattr(tuple, Anum_pg_seclabel_provider, RelationGetDescr(rel), &isnull);
		Datum		label = heap_getattr(tuple, Anum_pg_seclabel_label, RelationGetDescr(rel), &isnull);

		found = strcmp(TextDatumGetCString(provider), PT_LABEL_PROVIDER) == 0 &&
			strstr(TextDatumGetCString(label), wanted) != NULL;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * Writes the label of a partition that was emptied, so that a dump says where
 * its offsets go on.  When the dump is restored, the provider's hook makes
 * the empty log begin there.
 */
void
pt_label_start(Oid leaf, int64 start)
{
	ObjectAddress address;

	Assert(OidIsValid(leaf) && start >= 0);
	ObjectAddressSet(address, RelationRelationId, leaf);
	SetSecurityLabel(&address, PT_LABEL_PROVIDER, psprintf("{\"start\": %lld}", (long long) start));
}

/*
 * Gets the start that the label of a partition has; false: it has none.
 */
bool
pt_label_get_start(Oid leaf, int64 *start)
{
	PtLabel    *label = pt_label_get(leaf);

	if (label == NULL || !label->has_start)
		return false;
	*start = label->start;
	return true;
}

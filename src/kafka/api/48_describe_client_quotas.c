/*-------------------------------------------------------------------------
 *
 * 48_describe_client_quotas.c
 *	  DescribeClientQuotas: the quotas that a filter matches (KIP-546).
 *
 * A filter has a component for each type of entity that must be there: with
 * this name, as the default, or in any way.  With "strict" there must be no
 * other types.
 *
 * Siblings: 49_alter_client_quotas.c; ../../quotas/catalog.c (the table).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/quota.h"

/* MatchType of the protocol */
enum
{
	MATCH_EXACT,
	MATCH_DEFAULT,
	MATCH_ANY,
	MATCH_TYPES
};

typedef struct Filter
{
	bool		given[PT_QUOTA_PARTS];
	bool		any[PT_QUOTA_PARTS];
	KafkaString name[PT_QUOTA_PARTS];	/* null: the default */
	bool		strict;
} Filter;

/*
 * Answers with an error.
 */
static void
refuse(DescribeClientQuotasResponse *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
	out->entries.n = -1;
}

/*
 * Adds one component to the filter.  Returns false if it was refused.
 */
static bool
read_component(const DescribeQuotasComponent *in, Filter *filter, DescribeClientQuotasResponse *out)
{
	const char *type = kafka_text(in->entity_type);
	int			part = type ? pt_quota_part(type) : -1;

	if (in->entity_type.len <= 0)
		refuse(out, KERR_INVALID_REQUEST, "Invalid empty entity type.");
	else if (in->match_type < 0 || in->match_type >= MATCH_TYPES)
		refuse(out, KERR_INVALID_REQUEST, psprintf("Unknown match type %d", in->match_type));
	else if (part < 0)
		refuse(out, KERR_UNSUPPORTED_VERSION, psprintf("Unsupported entity type %s", type ? type : ""));
	else if (filter->given[part])
		refuse(out, KERR_INVALID_REQUEST,
			   psprintf("Entity type %s cannot appear more than once in the filter.", type));
	if (out->error_code != KERR_NONE)
		return false;
	filter->given[part] = true;
	filter->any[part] = in->match_type == MATCH_ANY;
	filter->name[part] = in->match_type == MATCH_EXACT ? in->match : kafka_string(NULL);
	return true;
}

/*
 * Reads the filter.  Returns false if it was refused.
 */
static bool
read_filter(const DescribeClientQuotasRequest *in, Filter *filter, DescribeClientQuotasResponse *out)
{
	memset(filter, 0, sizeof(*filter));
	filter->strict = in->strict;
	for (int i = 0; i < in->components.n; i++)
	{
		if (!read_component(&in->components.items[i], filter, out))
			return false;
	}
	if (filter->given[PT_QUOTA_IP] && (filter->given[PT_QUOTA_USER] || filter->given[PT_QUOTA_CLIENT_ID]))
		refuse(out, KERR_INVALID_REQUEST, "Invalid entity filter component combination. "
			   "IP filter component should not be used with user or clientId filter component.");
	return out->error_code == KERR_NONE;
}

static bool
matches(const Filter *filter, const PtQuotaEntity *entity)
{
	for (int i = 0; i < PT_QUOTA_PARTS; i++)
	{
		KafkaString name = kafka_string(entity->name[i]);

		if (!filter->given[i] && !(filter->strict && entity->given[i]))
			continue;
		if (!filter->given[i] || !entity->given[i])
			return false;
		if (filter->any[i])
			continue;
		if ((name.len < 0) != (filter->name[i].len < 0) ||
			(name.len >= 0 && !pt_string_equal(name, filter->name[i])))
			return false;
	}
	return true;
}

/*
 * Fills an entry with the entity, and room for n quotas.
 */
static void
fill_entity(KafkaCall *call, const PtQuotaEntity *entity, int n, DescribeQuotasEntry *out)
{
	int			at = 0;

	KAFKA_RESIZE(call, out->values, DescribeQuotasValue, n);
	KAFKA_RESIZE(call, out->entity, DescribeQuotasEntity, PT_QUOTA_PARTS);
	for (int i = 0; i < PT_QUOTA_PARTS; i++)
	{
		if (!entity->given[i])
			continue;
		out->entity.items[at].entity_type = kafka_string(pt_quota_part_names[i]);
		out->entity.items[at++].entity_name = kafka_string(entity->name[i]);
	}
	Assert(at > 0);
	out->entity.n = at;
}

/*
 * Fills the response with the rows that match; those of an entity are side by
 * side.
 */
static void
fill_entries(KafkaCall *call, const Filter *filter, List *rows, DescribeClientQuotasResponse *out)
{
	const PtQuotaEntity *last = NULL;
	DescribeQuotasEntry *entry = NULL;
	ListCell   *lc;

	KAFKA_RESIZE(call, out->entries, DescribeQuotasEntry, list_length(rows));
	out->entries.n = 0;
	foreach(lc, rows)
	{
		const PtQuotaRow *row = lfirst(lc);
		DescribeQuotasValue *value;

		if (!matches(filter, &row->entity))
			continue;
		if (last == NULL || !pt_quota_entity_equal(last, &row->entity))
		{
			entry = &out->entries.items[out->entries.n++];
			fill_entity(call, &row->entity, PT_QUOTA_KINDS, entry);
			entry->values.n = 0;
			last = &row->entity;
		}
		Assert(entry->values.n < PT_QUOTA_KINDS);
		value = &entry->values.items[entry->values.n++];
		value->key = kafka_string(pt_quota_names[row->kind]);
		value->value = row->value;
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_client_quotas_begin(KafkaCall *call)
{
	DescribeClientQuotasResponse *out = call->response;
	Filter		filter;

	out->error_message = kafka_string(NULL);
	if (!kafka_may_cluster(call, PT_OP_DESCRIBE_CONFIGS))
		refuse(out, KERR_CLUSTER_AUTHORIZATION_FAILED, NULL);
	else if (read_filter(call->request, &filter, out))
		fill_entries(call, &filter, pt_quotas_read(), out);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
describe_client_quotas_fail(KafkaCall *call, int16 code, const char *message)
{
	refuse(call->response, code, message);
}

const KafkaHandler kafka_handler_describe_client_quotas = {
	.begin = describe_client_quotas_begin,
	.fail = describe_client_quotas_fail
};

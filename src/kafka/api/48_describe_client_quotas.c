/*-------------------------------------------------------------------------
 *
 * 48_describe_client_quotas.c
 *	  DescribeClientQuotas: there are no quotas.
 *
 * The filter is checked as a broker checks it, and matches nothing.
 *
 * Sibling: 49_alter_client_quotas.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"

/*
 * The entity types of the protocol; the bit of a type is 1 << its index.
 */
static const char *const entity_types[] = {"user", "client-id", "ip"};

#define ENTITY_IP		(1 << 2)
#define MATCH_TYPE_MAX	2

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
 * Returns the bit of a type; 0 if it is unknown.
 */
static int
entity_bit(KafkaString type)
{
	for (int i = 0; i < lengthof(entity_types); i++)
	{
		if (pt_string_equal(type, kafka_string(entity_types[i])))
			return 1 << i;
	}
	return 0;
}

/*
 * Checks one component of the filter.  Returns false if it was refused.
 */
static bool
check_component(const DescribeQuotasComponent *in, int *seen, DescribeClientQuotasResponse *out)
{
	int			bit = entity_bit(in->entity_type);
	const char *type = kafka_text(in->entity_type);

	if (in->entity_type.len <= 0)
		refuse(out, KERR_INVALID_REQUEST, "Invalid empty entity type.");
	else if (in->match_type < 0 || in->match_type > MATCH_TYPE_MAX)
		refuse(out, KERR_INVALID_REQUEST, psprintf("Unknown match type %d", in->match_type));
	else if (bit == 0)
		refuse(out, KERR_UNSUPPORTED_VERSION, psprintf("Unsupported entity type %s", type ? type : ""));
	else if (*seen & bit)
		refuse(out, KERR_INVALID_REQUEST,
			   psprintf("Entity type %s cannot appear more than once in the filter.", type));
	*seen |= bit;
	return out->error_code == KERR_NONE;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_client_quotas_begin(KafkaCall *call)
{
	const DescribeClientQuotasRequest *in = call->request;
	DescribeClientQuotasResponse *out = call->response;
	int			seen = 0;

	for (int i = 0; i < in->components.n; i++)
	{
		if (!check_component(&in->components.items[i], &seen, out))
			return KAFKA_REPLY;
	}
	if ((seen & ENTITY_IP) != 0 && seen != ENTITY_IP)
		refuse(out, KERR_INVALID_REQUEST, "Invalid entity filter component combination. "
			   "IP filter component should not be used with user or clientId filter component.");
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

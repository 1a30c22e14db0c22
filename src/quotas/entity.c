/*-------------------------------------------------------------------------
 *
 * entity.c
 *	  Whom quotas are for, and which quotas there are.
 *
 * An entity has a user, a client id, both of them, or an address; each is a
 * name or the default.  As JSON it is an object, {"user": "ann", "client-id":
 * null}, where null is the default.  What is refused, and the words for it,
 * are a Kafka broker's where it has them.
 *
 * Siblings: quotas.h, catalog.c (keeps them), functions.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include "utils/fmgrprotos.h"
#include "utils/json.h"

#include "quotas/internal.h"

const char *const pt_quota_part_names[PT_QUOTA_PARTS] = {"user", "client-id", "ip"};

const char *const pt_quota_names[PT_QUOTA_KINDS] = {
	[PT_QUOTA_PRODUCE] = "producer_byte_rate",
	[PT_QUOTA_FETCH] = "consumer_byte_rate",
	[PT_QUOTA_REQUEST] = "request_percentage",
	[PT_QUOTA_MUTATION] = "controller_mutation_rate",
	[PT_QUOTA_CONNECTION] = "connection_creation_rate",
};

/*
 * Returns the PtQuotaPart of a name, or -1.
 */
int
pt_quota_part(const char *name)
{
	for (int i = 0; i < PT_QUOTA_PARTS; i++)
	{
		if (strcmp(name, pt_quota_part_names[i]) == 0)
			return i;
	}
	return -1;
}

/*
 * Finds the quota of a name among those that the entity may have.
 */
bool
pt_quota_kind(const PtQuotaEntity *entity, const char *quota, PtQuotaKind *kind)
{
	for (int i = 0; i < PT_QUOTA_KINDS; i++)
	{
		if (strcmp(quota, pt_quota_names[i]) == 0)
		{
			*kind = i;
			return (i == PT_QUOTA_CONNECTION) == entity->given[PT_QUOTA_IP];
		}
	}
	return false;
}

/*
 * Are these the same?
 */
bool
pt_quota_entity_equal(const PtQuotaEntity *a, const PtQuotaEntity *b)
{
	for (int i = 0; i < PT_QUOTA_PARTS; i++)
	{
		if (a->given[i] != b->given[i])
			return false;
		if (!a->given[i])
			continue;
		if ((a->name[i] == NULL) != (b->name[i] == NULL) ||
			(a->name[i] != NULL && strcmp(a->name[i], b->name[i]) != 0))
			return false;
	}
	return true;
}

/*
 * Makes the one form that an address has among us of any that it may have.
 * Returns false if the text is none.
 */
bool
pt_quota_address(const char *text, char *address, size_t size)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return (inet_pton(AF_INET, text, bytes) == 1 && inet_ntop(AF_INET, bytes, address, size) != NULL) ||
		(inet_pton(AF_INET6, text, bytes) == 1 && inet_ntop(AF_INET6, bytes, address, size) != NULL);
}

/*
 * Client ids are compared as the session has them: printable ASCII, and no
 * longer than it keeps.
 */
static bool
is_client_id(const char *name)
{
	for (const char *p = name; *p != '\0'; p++)
	{
		if (*p < 0x20 || *p >= 0x7f)
			return false;
	}
	return strlen(name) < PT_QUOTA_NAME_SIZE;
}

static char *
name_problem(int part, const char *name)
{
	char		address[INET6_ADDRSTRLEN];

	if (name == NULL)
		return NULL;
	if (name[0] == '\0')
		return psprintf("Empty %s not supported", pt_quota_part_names[part]);
	if (part == PT_QUOTA_USER && strlen(name) >= NAMEDATALEN)
		return psprintf("A user name has at most %d bytes.", NAMEDATALEN - 1);
	if (part == PT_QUOTA_CLIENT_ID && !is_client_id(name))
		return psprintf("A client id with quotas must be printable ASCII of at most %d bytes.", PT_QUOTA_NAME_SIZE - 1);
	if (part == PT_QUOTA_IP && !pt_quota_address(name, address, sizeof(address)))
		return psprintf("%s is not a valid IP address.", name);
	return NULL;
}

/*
 * Returns why there can be no quotas for the entity, palloc'd; NULL: there
 * can.
 */
char *
pt_quota_entity_problem(const PtQuotaEntity *entity)
{
	bool		any = false;

	for (int i = 0; i < PT_QUOTA_PARTS; i++)
	{
		char	   *problem = entity->given[i] ? name_problem(i, entity->name[i]) : NULL;

		if (problem != NULL)
			return problem;
		any |= entity->given[i];
	}
	if (!any)
		return pstrdup("Invalid empty client quota entity");
	if (entity->given[PT_QUOTA_IP] && (entity->given[PT_QUOTA_USER] || entity->given[PT_QUOTA_CLIENT_ID]))
		return pstrdup("Invalid quota entity combination, IP entity should not be used with User or ClientId");
	return NULL;
}

/*
 * Returns why an entity that is all right cannot have this quota, palloc'd;
 * NULL: it can.
 */
char *
pt_quota_problem(const PtQuotaEntity *entity, const char *quota, double value)
{
	PtQuotaKind kind;

	if (!pt_quota_kind(entity, quota, &kind))
		return psprintf("Invalid configuration key %s", quota);
	if (!(value > 0) || isinf(value))
		return psprintf("Quota %s must be greater than 0", quota);
	if (kind == PT_QUOTA_REQUEST || kind == PT_QUOTA_MUTATION)
		return NULL;
	if (kind == PT_QUOTA_CONNECTION && value > PG_INT32_MAX)
		return psprintf("Proposed value for %s is too large for an INT.", quota);
	if (value > (double) PG_INT64_MAX)
		return psprintf("Proposed value for %s is too large for a LONG.", quota);
	if (fmod(value, 1.0) > 1e-6)
		return psprintf("%s cannot be a fractional value.", quota);
	return NULL;
}

/*
 * JSON
 */

/*
 * Returns the entity as JSON, palloc'd.
 */
Jsonb *
pt_quota_entity_json(const PtQuotaEntity *entity)
{
	StringInfoData buf;
	const char *comma = "";

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < PT_QUOTA_PARTS; i++)
	{
		if (!entity->given[i])
			continue;
		appendStringInfo(&buf, "%s\"%s\": ", comma, pt_quota_part_names[i]);
		if (entity->name[i] == NULL)
			appendStringInfoString(&buf, "null");
		else
			escape_json(&buf, entity->name[i]);
		comma = ", ";
	}
	appendStringInfoChar(&buf, '}');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data)));
}

/*
 * Sets one part.  Returns the problem, or NULL.
 */
static char *
read_part(const JsonbValue *key, const JsonbValue *value, PtQuotaEntity *entity)
{
	char	   *name = pnstrdup(key->val.string.val, key->val.string.len);
	int			part = pt_quota_part(name);

	Assert(key->type == jbvString);
	if (part < 0)
		return psprintf("Unhandled client quota entity type: %s", name);
	if (value->type != jbvNull && value->type != jbvString)
		return psprintf("The name of a %s must be a string, or null for the default.", name);
	entity->given[part] = true;
	entity->name[part] = value->type == jbvNull ? NULL : pnstrdup(value->val.string.val, value->val.string.len);
	return NULL;
}

/*
 * Reads an entity and checks it.  Returns the problem, palloc'd, or NULL.
 */
char *
pt_quota_entity_read(Jsonb *json, PtQuotaEntity *entity)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;

	memset(entity, 0, sizeof(*entity));
	if (!JB_ROOT_IS_OBJECT(json))
		return pstrdup("An entity must be a JSON object, for example {\"user\": \"ann\", \"client-id\": null}.");
	iterator = JsonbIteratorInit(&json->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		char	   *problem;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);
		problem = read_part(&key, &value, entity);
		if (problem != NULL)
			return problem;
	}
	return pt_quota_entity_problem(entity);
}

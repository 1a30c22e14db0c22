/*-------------------------------------------------------------------------
 *
 * acls.c
 *	  ACLs as the APIs tell and change them: GRANTs on tables and on the
 *	  schema of topics, and the rows of kafka_acl_entries.
 *
 * There are grants only (ALLOW), and for all hosts.  What a superuser, a
 * member of pgtopic_admin or an owner may do is no ACL, as with Kafka's
 * super.users.
 *
 * A change is made in a transaction of its own, as the owner of the table or
 * schema or as the client's role: so PostgreSQL's rules hold.
 *
 * Siblings: acls.h; api/29, 30, 31; ../rights/grants.c, ../rights/acls.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/acls.h"
#include "kafka/topics.h"

/*
 * Listing
 */

/*
 * Returns the principal of an ACL, palloc'd.
 */
char *
kafka_acl_principal(const PtAcl *acl)
{
	char	   *name = OidIsValid(acl->role) ? pt_role_name(acl->role) : "*";

	return psprintf(KAFKA_PRINCIPAL_TYPE "%s", name ? name : "");
}

/* What is wrong with a filter; NULL: nothing. */
const char *
kafka_acl_filter_problem(const KafkaAclFilter *filter)
{
	if (filter->type <= 0)
		return "The filter has an unknown resource type.";
	if (filter->pattern < KAFKA_PATTERN_ANY || filter->pattern > KAFKA_PATTERN_PREFIXED)
		return "The filter has an unknown pattern type.";
	if (filter->operation <= 0)
		return "The filter has an unknown operation.";
	if (filter->permission < KAFKA_PERMISSION_ANY || filter->permission > KAFKA_PERMISSION_ALLOW)
		return "The filter has an unknown permission type.";
	return NULL;
}

static bool
starts_with(KafkaString name, PtString prefix)
{
	return name.len >= prefix.len && memcmp(name.data, prefix.data, prefix.len) == 0;
}

/*
 * Does the filter match the resource?  MATCH asks for all that concern a
 * resource of the name.
 */
static bool
resource_matches(const KafkaAclFilter *filter, const PtAcl *acl)
{
	int			pattern = acl->prefixed ? KAFKA_PATTERN_PREFIXED : KAFKA_PATTERN_LITERAL;

	if (filter->type != PT_RESOURCE_ANY && filter->type != (int8) acl->type)
		return false;
	if (filter->pattern != KAFKA_PATTERN_ANY && filter->pattern != KAFKA_PATTERN_MATCH && filter->pattern != pattern)
		return false;
	if (filter->name.len < 0 || pt_string_equal(filter->name, acl->name))
		return true;
	if (filter->pattern != KAFKA_PATTERN_MATCH)
		return false;
	return acl->prefixed ? starts_with(filter->name, acl->name) : pt_string_equal(acl->name, pt_string_of("*"));
}

static bool
entry_matches(const KafkaAclFilter *filter, const PtAcl *acl)
{
	if (filter->permission == KAFKA_PERMISSION_DENY)
		return false;
	if (filter->operation != PT_OP_ANY && filter->operation != (int8) acl->operation)
		return false;
	if (filter->host.len >= 0 && !pt_string_equal(filter->host, kafka_string(KAFKA_ANY_HOST)))
		return false;
	return filter->principal.len < 0 || pt_string_equal(filter->principal, kafka_string(kafka_acl_principal(acl)));
}

/*
 * Returns the ACLs that match: a List of PtAcl *, those of a resource
 * together.
 */
List *
kafka_acls_matching(const KafkaAclFilter *filter)
{
	List	   *matching = NIL;
	ListCell   *lc;

	foreach(lc, pt_grants_all())
	{
		if (resource_matches(filter, lfirst(lc)) && entry_matches(filter, lfirst(lc)))
			matching = lappend(matching, lfirst(lc));
	}
	return matching;
}

/*
 * Changing
 */

typedef struct Change
{
	const PtAcl *acl;
	bool		grant;			/* else it is taken away */
	Oid			relid;			/* of a topic's table */
} Change;

static bool
refuse(KafkaError *error, int16 code, const char *message)
{
	*error = (KafkaError)
	{
		.code = code,.message = message
	};
	return false;
}

/* For kafka_run_as(). */
static void
change_topic(void *arg)
{
	const Change *change = arg;

	if (change->grant)
		pt_grant_on_topic(change->relid, change->acl->operation, change->acl->role);
	else
		pt_revoke_on_topic(change->relid, change->acl->operation, change->acl->role);
}

static void
change_create(void *arg)
{
	const Change *change = arg;

	if (change->grant)
		pt_grant_create(change->acl->role);
	else
		pt_revoke_create(change->acl->role);
}

static void
change_entry(void *arg)
{
	const Change *change = arg;

	if (change->grant)
		(void) pt_acl_add(change->acl);
	else
		(void) pt_acl_remove(change->acl);
}

/*
 * Runs a change; false with the error, which has been logged if it is the
 * server's.  What was changed is logged.
 */
static bool
run(KafkaCall *call, Oid user, void (*fn) (void *arg), Change *change, KafkaError *error)
{
	const PtAcl *acl = change->acl;

	if (!kafka_run_as(call, user, fn, change, error))
	{
		kafka_log_error(call, error);
		return false;
	}
	ereport(LOG,
			(errmsg("Kafka client \"%s\" at %s, role \"%s\", %s %s on %s \"%.*s\"%s %s %s", call->session->client_id,
					call->session->peer, call->session->role_name, change->grant ? "granted" : "revoked",
					pt_operation_name(acl->operation), pt_resource_name(acl->type), acl->name.len, acl->name.data,
					acl->prefixed ? " (prefix)" : "", change->grant ? "to" : "from", kafka_acl_principal(acl))));
	return true;
}

/*
 * Says what is wrong with an ACL of topics that somebody asks for.
 */
static const char *
topic_problem(const PtAcl *acl)
{
	if (acl->prefixed || pt_string_equal(acl->name, pt_string_of("*")))
		return "A grant is on the table of one topic. For topics that come later use ALTER DEFAULT PRIVILEGES in SQL.";
	if (!pt_grant_possible(acl->operation) && acl->operation != PT_OP_CREATE)
		return psprintf("%s is what the owner of a topic's table may do: use ALTER TABLE ... OWNER TO in SQL.",
						pt_operation_name(acl->operation));
	return NULL;
}

/*
 * Changes the rights on a topic.  CREATE of a topic that exists means nothing
 * and is granted without a trace: Kafka's tool asks for it with the rights of
 * a producer.
 */
static bool
change_on_topic(KafkaCall *call, Change *change, KafkaError *error)
{
	const PtAcl *acl = change->acl;
	const char *problem = topic_problem(acl);
	const PtTopic *topic;
	int16		code;

	if (problem != NULL)
		return refuse(error, KERR_INVALID_REQUEST, problem);
	topic = kafka_topic_known(call, PT_OP_DESCRIBE, acl->name, NULL, &code);
	if (topic == NULL)
		return refuse(error, code, code == KERR_TOPIC_AUTHORIZATION_FAILED ? KAFKA_NOT_AUTHORIZED_TOPIC :
					  "There is no such topic: grants are on its table, so it must be made before.");
	change->relid = topic->relid;
	if (!pt_grant_allowed(call->session->role, change->relid, acl->operation == PT_OP_CREATE ? PT_OP_READ : acl->operation))
		return refuse(error, KERR_CLUSTER_AUTHORIZATION_FAILED,
					  "Rights on a topic are its owner's to give, and whose who have them with GRANT OPTION.");
	if (acl->operation == PT_OP_CREATE)
		return true;
	return run(call, pt_rights_acts_as(call->session->role, change->relid), change_topic, change, error);
}

static bool
change_acl(KafkaCall *call, Change *change, KafkaError *error)
{
	const PtAcl *acl = change->acl;
	const char *problem;

	if (acl->type == PT_RESOURCE_TOPIC)
		return change_on_topic(call, change, error);
	if (!pt_role_is_admin(call->session->role))
		return refuse(error, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
	if (acl->type == PT_RESOURCE_CLUSTER && acl->operation == PT_OP_CREATE && !acl->prefixed &&
		pt_string_equal(acl->name, pt_string_of(PT_CLUSTER_NAME)))
	{
		Oid			owner = pt_topic_schema_owner();

		if (!OidIsValid(owner))
			return refuse(error, KERR_INVALID_REQUEST, "There is no schema of topics yet.");
		return run(call, owner, change_create, change, error);
	}
	problem = pt_acl_check(acl);
	if (problem != NULL)
		return refuse(error, KERR_INVALID_REQUEST, problem);
	return run(call, call->session->role, change_entry, change, error);
}

/*
 * Grants; false with the error.
 */
bool
kafka_acl_create(KafkaCall *call, const PtAcl *acl, KafkaError *error)
{
	Change		change = {.acl = acl,.grant = true};

	return change_acl(call, &change, error);
}

/*
 * Takes away what kafka_acls_matching() has found; false with the error.
 */
bool
kafka_acl_delete(KafkaCall *call, const PtAcl *acl, KafkaError *error)
{
	Change		change = {.acl = acl,.grant = false};

	return change_acl(call, &change, error);
}

/*-------------------------------------------------------------------------
 *
 * rights.c
 *	  What a role may do with a consumer group.
 *
 * What is granted on the group (kafka_acl_entries) counts, and beside it a
 * rule that needs no grants (pgtopic.groups_follow_topics): who may read all
 * topics in which a group has committed offsets may use and describe the
 * group, move its offsets, and delete it.  A group of topics that the role may
 * not read is out of its reach.  Topics that are gone do not matter; a group
 * without offsets is anybody's, but no list shows it.
 *
 * Siblings: groups.h, registry.c; ../rights/acls.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "guc.h"
#include "groups/groups.h"

/* What the rule gives. */
#define FOLLOWING	(PT_OP_BIT(PT_OP_READ) | PT_OP_BIT(PT_OP_DELETE) | PT_OP_BIT(PT_OP_DESCRIBE) | \
					 PT_OP_BIT(PT_OP_DESCRIBE_CONFIGS))

/* What the callbacks below look for. */
typedef struct Readable
{
	Oid			role;
	char		seen[PT_TOPIC_NAME_MAX + 1];	/* the last topic: offsets of
												 * a group are mostly in few */
	bool		all;			/* the role may read all topics */
	bool		any;			/* it may read one of them */
} Readable;

/*
 * Callback of pt_offsets_of_group().
 */
static void
note_topic(void *arg, const PtCommittedOffset *committed)
{
	Readable   *readable = arg;
	const PtTopic *topic;

	if (!readable->all && readable->any)
		return;
	if (strlen(readable->seen) == committed->topic.len &&
		memcmp(readable->seen, committed->topic.data, committed->topic.len) == 0)
		return;
	if (!pt_string_to_buf(committed->topic, readable->seen, sizeof(readable->seen)))
		readable->seen[0] = '\0';
	topic = pt_topic_by_string(committed->topic);
	if (topic == NULL)
		return;
	if ((pt_rights_on_topic(readable->role, topic->relid) & PT_OP_BIT(PT_OP_READ)) != 0)
		readable->any = true;
	else
		readable->all = false;
}

static Readable
look_at_topics(Oid role, PtString group_id, bool dont_wait)
{
	Readable	readable = {.role = role,.all = true};

	(void) pt_offsets_of_group(group_id, dont_wait, note_topic, &readable);
	return readable;
}

/*
 * Returns what the role may do with the group.  dont_wait: as for
 * pt_offsets_of_group().
 */
PtOperations
pt_group_rights(Oid role, PtString group_id, bool dont_wait)
{
	PtOperations operations = pt_rights_granted(role, PT_RESOURCE_GROUP, group_id);

	if (pt_groups_follow_topics && (operations & FOLLOWING) != FOLLOWING &&
		look_at_topics(role, group_id, dont_wait).all)
		operations |= FOLLOWING;
	return operations;
}

/*
 * ERROR 42501 unless the user may do this with the group.
 */
void
pt_group_check(PtString group_id, PtOperation op)
{
	char	   *user;

	if ((pt_group_rights(GetUserId(), group_id, false) & PT_OP_BIT(op)) != 0)
		return;
	user = pt_role_name(GetUserId());	/* NULL: it was dropped meanwhile */
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for group \"%s\"", pt_string_to_server(group_id)),
			 pt_groups_follow_topics ?
			 errdetail("It has committed offsets in topics that you may not read.") : 0,
			 user == NULL ? 0 :
			 errhint("An administrator can allow it: SELECT grant_kafka_acl('group', %s, '%s', %s)",
					 quote_literal_cstr(pt_string_to_server(group_id)), pt_operation_name(op),
					 quote_literal_cstr(user))));
}

/*
 * Returns true if the role may learn from a list that there is the group: it
 * may read a topic in which the group has committed an offset, or has been
 * granted to describe the group.
 */
bool
pt_group_listed(Oid role, PtString group_id, bool dont_wait)
{
	return (pt_rights_granted(role, PT_RESOURCE_GROUP, group_id) & PT_OP_BIT(PT_OP_DESCRIBE)) != 0 ||
		(pt_groups_follow_topics && look_at_topics(role, group_id, dont_wait).any);
}

/*
 * The same for the user of a session, and for members of pg_read_all_stats.
 */
bool
pt_group_visible(PtString group_id)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) || pt_group_listed(GetUserId(), group_id, false);
}

/*
 * Returns true if the user may remove the group's committed offsets.
 */
bool
pt_group_removable(PtString group_id)
{
	return (pt_group_rights(GetUserId(), group_id, false) & PT_OP_BIT(PT_OP_DELETE)) != 0;
}

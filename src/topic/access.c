/*-------------------------------------------------------------------------
 *
 * access.c
 *	  Who may read and write a topic.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/rls.h"

#include "topic/types.h"

/*
 * ERROR unless the user has the privilege (ACL_xxx) on the topic's table.
 *
 * A table with row-level security for the user is refused, too: who calls this
 * reads and writes the log without a plan, so that policies could not be
 * applied.
 */
void
pt_topic_check_access(const PtTopic *topic, AclMode mode)
{
	Oid			relid = topic->relid;
	AclResult	result = pg_class_aclcheck(relid, GetUserId(), mode);

	Assert(mode != 0);
	Assert(OidIsValid(topic->relid));
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_TABLE, topic->name);
	if (check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("topic \"%s\" has row-level security for this user", topic->name),
				 errhint("Use SELECT and INSERT on its table, which apply the policies.")));
}

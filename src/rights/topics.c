/*-------------------------------------------------------------------------
 *
 * topics.c
 *	  What a role may do with a topic: what GRANT says of its table.
 *
 *	READ				SELECT on the table
 *	WRITE				INSERT
 *	DELETE_RECORDS		DELETE, or ownership
 *	DELETE, ALTER, ALTER_CONFIGS	ownership, directly or by membership
 *	DESCRIBE, DESCRIBE_CONFIGS		ownership, or any privilege on the table
 *
 * Privileges on single columns do not count, nor those on partitions: a topic
 * is its partitioned table.  Where row-level security hides rows from the
 * role, it may neither read nor write, as batches go as they are.
 * Administrators may do everything but see what row-level security hides from
 * them.
 *
 * Answers are kept until roles or tables change; a produce or fetch pays one
 * probe of a hash table for each partition.
 *
 * Siblings: rights.h, roles.c; ../topic/cache.c, whose count of changes says
 * when a table may have changed.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "guc.h"
#include "rights/rights.h"
#include "topic/topic.h"

/* When the table of answers is as large as this, it is thrown away. */
#define ANSWERS_MAX		10000

#define OWNER_OPERATIONS	(PT_OP_BIT(PT_OP_DELETE) | PT_OP_BIT(PT_OP_ALTER) | PT_OP_BIT(PT_OP_ALTER_CONFIGS) | \
							 PT_OP_BIT(PT_OP_DELETE_RECORDS))
#define SEEN_OPERATIONS		(PT_OP_BIT(PT_OP_DESCRIBE) | PT_OP_BIT(PT_OP_DESCRIBE_CONFIGS))

typedef struct AnswerKey
{
	Oid			role;
	Oid			relid;
} AnswerKey;

/* What is known of a role and a table; valid while both counts stand still. */
typedef struct Answer
{
	AnswerKey	key;			/* hash key */
	uint64		roles;			/* pt_roles_changes() */
	uint64		topics;			/* pt_topic_changes() */
	PtOperations operations;
	bool		hidden_rows;	/* row-level security takes READ and WRITE
								 * away */
} Answer;

static HTAB *answers;

/* Has the role this privilege on the whole table?  A table may be gone. */
static bool
has_privilege(Oid role, Oid relid, AclMode mode)
{
	bool		missing = false;

	return pg_class_aclcheck_ext(relid, role, mode, &missing) == ACLCHECK_OK && !missing;
}

/* Is there a table, and does the role own it? */
static bool
owns(Oid role, Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) && pt_relation_ownercheck(relid, role);
}

/*
 * Asks the catalogs.
 */
static void
find_out(Oid role, Oid relid, Answer *answer)
{
	static const AclMode others[] = {ACL_UPDATE, ACL_DELETE, ACL_TRUNCATE, ACL_REFERENCES, ACL_TRIGGER};
	bool		admin = pt_role_is_admin(role);
	bool		all = admin || owns(role, relid);
	PtOperations operations = all ? OWNER_OPERATIONS | SEEN_OPERATIONS : 0;

	if (admin || has_privilege(role, relid, ACL_SELECT))
		operations |= PT_OP_BIT(PT_OP_READ);
	if (admin || has_privilege(role, relid, ACL_INSERT))
		operations |= PT_OP_BIT(PT_OP_WRITE);
	if (has_privilege(role, relid, ACL_DELETE))
		operations |= PT_OP_BIT(PT_OP_DELETE_RECORDS);
	for (int i = 0; i < lengthof(others) && operations == 0; i++)
	{
		if (has_privilege(role, relid, others[i]))
			operations |= SEEN_OPERATIONS;
	}
	if (operations != 0)
		operations |= SEEN_OPERATIONS;
	answer->hidden_rows = check_enable_rls(relid, role, true) == RLS_ENABLED;
	if (answer->hidden_rows)
		operations &= ~(PT_OP_BIT(PT_OP_READ) | PT_OP_BIT(PT_OP_WRITE));
	answer->operations = operations;
}

/*
 * Returns what is known of a role and a table.
 */
static const Answer *
find_answer(Oid role, Oid relid)
{
	AnswerKey	key = {role, relid};
	uint64		roles = pt_roles_changes();
	uint64		topics = pt_topic_changes();
	Answer		fresh = {.roles = roles,.topics = topics};
	Answer	   *answer;

	Assert(OidIsValid(role) && OidIsValid(relid));
	if (unlikely(answers == NULL))
	{
		HASHCTL		ctl = {.keysize = sizeof(AnswerKey),.entrysize = sizeof(Answer),.hcxt = TopMemoryContext};

		answers = hash_create("pgtopic rights on topics", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	answer = hash_search(answers, &key, HASH_FIND, NULL);
	if (likely(answer != NULL && answer->roles == roles && answer->topics == topics))
		return answer;

	/* what throws leaves the table as it was */
	find_out(role, relid, &fresh);
	if (answer == NULL && hash_get_num_entries(answers) >= ANSWERS_MAX)
	{
		hash_destroy(answers);
		answers = NULL;
		return find_answer(role, relid);
	}
	answer = hash_search(answers, &key, HASH_ENTER, NULL);
	fresh.key = key;
	*answer = fresh;
	return answer;
}

/*
 * Returns what the role may do with the topic of that table, also
 * PT_OP_DELETE_RECORDS.
 */
PtOperations
pt_rights_on_topic(Oid role, Oid relid)
{
	return find_answer(role, relid)->operations;
}

/*
 * Returns true if row-level security keeps the role from reading and writing
 * the topic.
 */
bool
pt_rights_hidden_rows(Oid role, Oid relid)
{
	return find_answer(role, relid)->hidden_rows;
}

/*
 * Returns true if the role may create topics.
 */
bool
pt_rights_create(Oid role)
{
	Oid			schema = get_namespace_oid(pt_topic_schema, true);

	if (pt_role_is_admin(role))
		return true;
	return OidIsValid(schema) && pt_schema_aclcheck(schema, role, ACL_CREATE) == ACLCHECK_OK;
}

/*
 * Returns true if the role may write to some topic.  The answer is kept, for
 * the role that was asked for last.
 */
bool
pt_rights_write_any(Oid role)
{
	static Answer last;
	uint64		roles = pt_roles_changes();
	uint64		topics = pt_topic_changes();
	bool		any = false;
	ListCell   *lc;

	if (last.key.role == role && last.roles == roles && last.topics == topics)
		return last.operations != 0;
	foreach(lc, pt_topic_all())
	{
		any = (pt_rights_on_topic(role, ((const PtTopic *) lfirst(lc))->relid) & PT_OP_BIT(PT_OP_WRITE)) != 0;
		if (any)
			break;
	}
	last = (Answer)
	{
		.key =
		{
			role, InvalidOid
		},.roles = roles,.topics = topics,.operations = any
	};
	return any;
}

/*
 * Returns as whom a command of the role about this table is run: as itself if
 * it owns the table, and an administrator as the owner.  So no command of a
 * client has more rights than the owner.
 */
Oid
pt_rights_acts_as(Oid role, Oid relid)
{
	HeapTuple	tuple;
	Oid			owner = role;

	if (!superuser_arg(role) && owns(role, relid))
		return role;
	if (!pt_role_is_admin(role))
		return role;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * Returns as whom a new topic of the role is made, which will own it: as
 * itself if it may, and an administrator that may not as the owner of the
 * schema or, if there is no schema yet, of the database.
 */
Oid
pt_rights_creates_as(Oid role)
{
	Oid			schema = get_namespace_oid(pt_topic_schema, true);
	Oid			owner = role;
	HeapTuple	tuple;

	if (!pt_role_is_admin(role))
		return role;
	if (OidIsValid(schema))
	{
		if (pt_schema_aclcheck(schema, role, ACL_CREATE) == ACLCHECK_OK)
			return role;
		tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
		if (HeapTupleIsValid(tuple))
			owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	}
	else
	{
		if (pt_database_aclcheck(MyDatabaseId, role, ACL_CREATE) == ACLCHECK_OK)
			return role;
		tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
		if (HeapTupleIsValid(tuple))
			owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	}
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return owner;
}

/*-------------------------------------------------------------------------
 *
 * rights.h
 *	  The door of the rights room: may this role do this?
 *
 * What may be done is named as in Kafka: an operation on a resource.  On
 * topics, privileges of the table decide; on consumer groups, transactional
 * ids and the cluster, rows of the extension's table kafka_acl_entries.
 *
 * All functions need a transaction, unless they say otherwise.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RIGHTS_H
#define PT_RIGHTS_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "counted.h"
#include "topic/topic.h"

/* Its members may do everything that a Kafka client can ask for. */
#define PT_ADMIN_ROLE	"pgtopic_admin"

/* Operations, by the codes of Kafka's AclOperation. */
typedef enum PtOperation
{
	PT_OP_ANY = 1,
	PT_OP_ALL,
	PT_OP_READ,
	PT_OP_WRITE,
	PT_OP_CREATE,
	PT_OP_DELETE,
	PT_OP_ALTER,
	PT_OP_DESCRIBE,
	PT_OP_CLUSTER_ACTION,
	PT_OP_DESCRIBE_CONFIGS,
	PT_OP_ALTER_CONFIGS,
	PT_OP_IDEMPOTENT_WRITE,
	PT_OP_CREATE_TOKENS,
	PT_OP_DESCRIBE_TOKENS,
	PT_OP_TWO_PHASE_COMMIT,
	PT_OPERATIONS,

	/*
	 * Not in Kafka, where it is DELETE: the records of a topic, but not the
	 * topic.
	 */
	PT_OP_DELETE_RECORDS = 30
} PtOperation;

/* Sets of operations are bit fields, as in Kafka (KIP-430). */
typedef uint32 PtOperations;

#define PT_OP_BIT(op)	((PtOperations) 1 << (op))

/* What there is for each kind of resource. */
#define PT_TOPIC_OPERATIONS	((PtOperations) 0x0DF8)
#define PT_GROUP_OPERATIONS	((PtOperations) 0x0D48)
#define PT_CLUSTER_OPERATIONS	((PtOperations) 0x1FA0)
#define PT_TRANSACTIONAL_ID_OPERATIONS	((PtOperations) 0x8110)

/* Resources, by the codes of Kafka's ResourceType. */
typedef enum PtResource
{
	PT_RESOURCE_ANY = 1,
	PT_RESOURCE_TOPIC,
	PT_RESOURCE_GROUP,
	PT_RESOURCE_CLUSTER,
	PT_RESOURCE_TRANSACTIONAL_ID
} PtResource;

/* The name of the one cluster. */
#define PT_CLUSTER_NAME	"kafka-cluster"

/*
 * roles.c
 */

/* To be called by _PG_init. */
extern void pt_roles_register(void);

/*
 * Changes when a role, a membership, or who plaintext clients are may have
 * changed; never 0.  Needs no transaction, but only a transaction hears of the
 * changes of others.
 */
extern uint64 pt_roles_changes(void);

extern Oid	pt_role_by_name(const char *name);
extern char *pt_role_name(Oid role);
extern bool pt_role_may_log_in(Oid role, TimestampTz *until);
extern bool pt_role_is_admin(Oid role);

/* Assign hook of pgtopic.plaintext_role. */
extern void pt_plaintext_role_assigned(const char *value, void *extra);

extern Oid	pt_plaintext_role_find(char **problem);

/*
 * topics.c
 */
extern PtOperations pt_rights_on_topic(Oid role, Oid relid);
extern bool pt_rights_hidden_rows(Oid role, Oid relid);
extern bool pt_rights_create(Oid role);
extern bool pt_rights_write_any(Oid role);
extern Oid	pt_rights_acts_as(Oid role, Oid relid);
extern Oid	pt_rights_creates_as(Oid role);

/*
 * acls.c: a row of kafka_acl_entries
 */
typedef struct PtAcl
{
	PtResource	type;
	PtString	name;			/* UTF-8 */
	bool		prefixed;		/* it is of all names that begin so */
	PtOperation operation;
	Oid			role;			/* InvalidOid: everybody */
} PtAcl;

extern void pt_acls_register(void);
extern uint64 pt_acls_changes(void);
extern PtOperations pt_rights_granted(Oid role, PtResource type, PtString name);
extern bool pt_rights_granted_any(Oid role, PtResource type, PtOperation op);
extern List *pt_acls_all(void); /* of const PtAcl * */
extern const char *pt_acl_check(const PtAcl *acl);
extern bool pt_acl_add(const PtAcl *acl);
extern bool pt_acl_remove(const PtAcl *acl);

/*
 * grants.c: privileges of tables and of the schema of topics, in the same form
 */
extern List *pt_grants_all(void);
extern bool pt_grant_possible(PtOperation op);
extern bool pt_grant_allowed(Oid role, Oid relid, PtOperation op);
extern void pt_grant_on_topic(Oid relid, PtOperation op, Oid role);
extern void pt_revoke_on_topic(Oid relid, PtOperation op, Oid role);
extern void pt_grant_create(Oid role);
extern void pt_revoke_create(Oid role);
extern Oid	pt_topic_schema_owner(void);

extern const char *pt_operation_name(PtOperation op);
extern const char *pt_resource_name(PtResource type);
extern PtOperation pt_operation_by_name(const char *name);
extern PtResource pt_resource_by_name(const char *name);

#endif							/* PT_RIGHTS_H */

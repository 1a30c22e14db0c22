/*-------------------------------------------------------------------------
 *
 * acls.h
 *	  ACLs as the APIs tell and change them.
 *
 * Siblings: acls.c; api/29, 30, 31; ../rights/rights.h (PtAcl).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_ACLS_H
#define KAFKA_ACLS_H

#include "kafka/allowed.h"

/* PatternType of the protocol */
typedef enum KafkaPattern
{
	KAFKA_PATTERN_ANY = 1,
	KAFKA_PATTERN_MATCH,
	KAFKA_PATTERN_LITERAL,
	KAFKA_PATTERN_PREFIXED
} KafkaPattern;

/* AclPermissionType of the protocol */
typedef enum KafkaPermission
{
	KAFKA_PERMISSION_ANY = 1,
	KAFKA_PERMISSION_DENY,
	KAFKA_PERMISSION_ALLOW
} KafkaPermission;

#define KAFKA_PRINCIPAL_TYPE	"User:"
#define KAFKA_ANY_HOST			"*"

/* A filter of DescribeAcls and DeleteAcls; null strings match all. */
typedef struct KafkaAclFilter
{
	int8		type;			/* PtResource */
	KafkaString name;
	int8		pattern;		/* KafkaPattern */
	KafkaString principal;
	KafkaString host;
	int8		operation;		/* PtOperation */
	int8		permission;		/* KafkaPermission */
} KafkaAclFilter;

extern const char *kafka_acl_filter_problem(const KafkaAclFilter *filter);
extern List *kafka_acls_matching(const KafkaAclFilter *filter);
extern char *kafka_acl_principal(const PtAcl *acl);

extern bool kafka_acl_create(KafkaCall *call, const PtAcl *acl, KafkaError *error);
extern bool kafka_acl_delete(KafkaCall *call, const PtAcl *acl, KafkaError *error);

#endif							/* KAFKA_ACLS_H */

/*-------------------------------------------------------------------------
 *
 * rights.h
 *	  The door of the rights room: may this role do this?
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

/* Its members may do everything that a Kafka client can ask for. */
#define PT_ADMIN_ROLE	"pgtopic_admin"

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

#endif							/* PT_RIGHTS_H */

/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the auth room share.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_AUTH_INTERNAL_H
#define PT_AUTH_INTERNAL_H

#include "auth/auth.h"

#include "libpq/hba.h"

/* hba.c */
extern List *pt_hba_lines(void);
extern const HbaLine *pt_hba_find(const PtAuthPeer *peer, const char *role, Oid roleid);
extern bool pt_hba_may_match(const HbaLine *line, const PtAuthPeer *peer);
extern bool pt_hba_role_matches(List *tokens, const char *role, Oid roleid);
extern const char *pt_hba_problem(const HbaLine *line, const PtAuthPeer *peer, PtMechanism mechanism,
								  const char *role);
extern bool pt_hba_regex_matches(regex_t *regex, const char *text, char **first);

/* ident.c */
extern List *pt_ident_lines(void);
extern bool pt_ident_allows(const char *map, const char *name, const char *role);
extern List *pt_ident_roles(const char *map, const char *name);

/* password.c */
extern bool pt_password_matches(const char *role, const char *secret, const char *password, const char **detail);
extern bool pt_password_busy(TimestampTz *until);

/* report.c */
extern void pt_auth_tell_failed(const PtAuthPeer *peer, const char *role, const HbaLine *line, const char *detail);
extern void pt_auth_tell_no_line(const PtAuthPeer *peer, const char *role, const HbaLine *line);

#endif							/* PT_AUTH_INTERNAL_H */

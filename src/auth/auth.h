/*-------------------------------------------------------------------------
 *
 * auth.h
 *	  The door of the auth room: who is this client?
 *
 * The rules are PostgreSQL's own: pg_hba.conf and pg_ident.conf say how a
 * client may prove that it is a role, pg_authid has the passwords.  Nothing
 * here waits, for a client, a lock or a name server; what may do so
 * (validators of tokens) has a process of its own.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_AUTH_H
#define PT_AUTH_H

#include "compat.h"

#include <sys/socket.h>

#include "datatype/timestamp.h"

/* SASL mechanisms: name of the constant, name on the wire. */
#define PT_MECHANISMS(X) \
	X(SCRAM_SHA_256, "SCRAM-SHA-256") \
	X(PLAIN, "PLAIN") \
	X(OAUTHBEARER, "OAUTHBEARER")

typedef enum PtMechanism
{
#define PT_MECHANISM_ENUM(name, text) PT_MECHANISM_##name,
	PT_MECHANISMS(PT_MECHANISM_ENUM)
#undef PT_MECHANISM_ENUM
	PT_MECHANISM_COUNT
} PtMechanism;

extern const char *pt_mechanism_name(PtMechanism mechanism);

/* Returns PT_MECHANISM_COUNT for a name that is none.  It may hold NUL. */
extern PtMechanism pt_mechanism_by_name(const char *name, int len);

/* What is known of a connection before it has proven anything. */
typedef struct PtAuthPeer
{
	struct sockaddr_storage address;	/* AF_UNSPEC: not known */
	bool		tls;
	const char *cert_cn;		/* of a client certificate that was verified;
								 * NULL: there is none */
	const char *cert_dn;
	const char *name;			/* of the client, for log lines */
} PtAuthPeer;

/* hba.c, ident.c: the rules */
extern void pt_auth_load(bool tell);
extern uint32 pt_auth_mechanisms(const PtAuthPeer *peer);

/* What rule decides about a client that says it is a role. */
typedef struct PtAuthRule
{
	const char *file;
	int			line;			/* 0: there is none */
	const char *method;
	uint32		mechanisms;		/* bit 1 << PtMechanism */
} PtAuthRule;

extern void pt_auth_rule(const PtAuthPeer *peer, const char *role, PtAuthRule *rule);

/* sasl.c: an exchange of messages, by which a client proves who it is */
typedef struct PtAuthExchange PtAuthExchange;

typedef enum PtAuthOutcome
{
	PT_AUTH_CONTINUE,			/* out is for the client, which answers */
	PT_AUTH_DONE,				/* it is who it says; out is for the client */
	PT_AUTH_FAILED,				/* it is not, which has been logged */
	PT_AUTH_REFUSED,			/* the same, and out tells it so in the
								 * mechanism's words; it answers, and then has
								 * failed */
	PT_AUTH_LATER				/* ask again with the same message, at
								 * exchange->again_at */
} PtAuthOutcome;

extern PtAuthExchange *pt_auth_begin(MemoryContext mcxt, const PtAuthPeer *peer, PtMechanism mechanism);
extern int	pt_auth_message_max(PtMechanism mechanism);
extern PtAuthOutcome pt_auth_step(PtAuthExchange *exchange, const char *in, int len, char **out, int *out_len);
extern const char *pt_auth_role_name(const PtAuthExchange *exchange);
extern TimestampTz pt_auth_again_at(const PtAuthExchange *exchange);
extern TimestampTz pt_auth_valid_until(const PtAuthExchange *exchange);
extern void pt_auth_end(PtAuthExchange *exchange);

/* token_worker.c: the main function of a background worker */
extern PGDLLEXPORT void pt_token_worker_main(Datum arg);

/* certificate.c */
extern bool pt_auth_certificate(const PtAuthPeer *peer, char *role_name);

/* roles.c: may a role that has proven itself have a connection? */
extern char *pt_auth_role_problem(Oid role, TimestampTz *valid_until);
extern int	pt_auth_connection_limit(Oid role);

/* report.c: lines in the server's log */
extern void pt_auth_tell_refused(const PtAuthPeer *peer, const char *problem);
extern void pt_auth_tell_received(const char *name);
extern void pt_auth_tell_disconnected(const char *name, const char *role_name, TimestampTz connected_at);
extern void pt_auth_tell_authorized(const PtAuthPeer *peer, const char *role_name, const char *mechanism,
									const char *client_id);

#endif							/* PT_AUTH_H */

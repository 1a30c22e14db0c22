/*-------------------------------------------------------------------------
 *
 * token.h
 *	  Tokens of OAuth: what they say, and who checks them.
 *
 * Siblings: token_claims.c, token_jobs.c, token_worker.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_AUTH_TOKEN_H
#define PT_AUTH_TOKEN_H

#include "auth/internal.h"

#include "port/atomics.h"
#include "storage/dsm.h"

/* The segment of a job.  The first three are the worker's to write. */
typedef struct PtTokenShared
{
	pg_atomic_uint32 done;		/* the worker has written what follows */
	bool		valid;			/* the bearer may be the role */
	char		detail[512];	/* for the log; empty: there is nothing */
	char		role[NAMEDATALEN];
	struct sockaddr_storage address;
	bool		tls;
	char		name[64];		/* of the client, for log lines */
	int			token_len;
	int			cn_len;			/* -1: there is no certificate */
	int			dn_len;
	char		data[FLEXIBLE_ARRAY_MEMBER];	/* token, common name, subject,
												 * each with a zero byte */
} PtTokenShared;

/* What a token says of itself, if it is one that can be read. */
typedef struct PtTokenClaims
{
	char	   *subject;		/* palloc'd; NULL: it does not say */
	TimestampTz expires_at;		/* DT_NOEND: it does not say */
} PtTokenClaims;

/* token_claims.c */
extern void pt_token_claims(const char *token, int len, PtTokenClaims *claims);
extern bool pt_token_role(const PtAuthPeer *peer, const PtTokenClaims *claims, char *role_name);

/* token_jobs.c */
typedef struct PtTokenJob PtTokenJob;

extern PtTokenJob *pt_token_job_start(MemoryContext mcxt, const PtAuthPeer *peer, const char *role,
									  const char *token, int token_len);
extern PtAuthOutcome pt_token_job_poll(const PtTokenJob *job, const char **detail, TimestampTz *again_at);

#endif							/* PT_AUTH_TOKEN_H */

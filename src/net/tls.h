/*-------------------------------------------------------------------------
 *
 * tls.h
 *	  Certificates and rules for connections that speak TLS.
 *
 * Siblings: tls_context.c; conn.h (net_conn_start_tls), tls.c (the
 * connections).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/port.h"

/*
 * A certificate with its key, and what is spoken with it.  It never changes;
 * connections that began with one keep it, also when the owner has freed it.
 */
typedef struct ssl_ctx_st NetTls;

#define NET_TLS_1_2		0x0303
#define NET_TLS_1_3		0x0304

/* Is the other side asked for a certificate? */
typedef enum NetTlsAsk
{
	NET_TLS_ASK_NONE,
	NET_TLS_ASK_REQUESTED,		/* it may have none; a bad one ends it */
	NET_TLS_ASK_REQUIRED
} NetTlsAsk;

/* Files and lists may be NULL or empty: there is none, or the default. */
typedef struct NetTlsSettings
{
	const char *cert_file;		/* with its chain; must be there */
	const char *key_file;		/* must be there */
	const char *ca_file;		/* who signs the other side's certificates */
	const char *crl_file;		/* revoked ones */
	const char *crl_dir;
	const char *dh_file;		/* parameters of finite field DH */
	const char *ciphers;		/* of TLS 1.2 */
	const char *suites;			/* of TLS 1.3 */
	const char *groups;			/* of key exchanges */
	int			min_version;	/* NET_TLS_xxx; 0: no bound */
	int			max_version;
	bool		our_order;		/* our ciphers' order, not the other side's */

	/* Fills buf with the key's passphrase, returns its length; 0: none. */
	int			(*passphrase) (char *buf, int size);
} NetTlsSettings;

/* NULL: *problem says why.  The caller frees it. */
extern NetTls *net_tls_create(const NetTlsSettings *settings, char *problem, size_t problem_size);
extern void net_tls_free(NetTls *tls);

#endif							/* NET_TLS_H */

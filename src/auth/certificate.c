/*-------------------------------------------------------------------------
 *
 * certificate.c
 *	  The role of a client that shows a certificate and says no name.
 *
 * A listener with protocol SSL asks for no user.  The certificate names one:
 * its common name is the role, or (method "cert" with a map) pg_ident.conf
 * says which roles its holder may be.  Lines of pg_hba.conf are tried in their
 * order; a line counts if it is the first one that matches a role which it
 * leads to, as it would decide if the client had said that name.
 *
 * Siblings: hba.c, ident.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/acl.h"

#include "auth/internal.h"

/*
 * Returns the roles to which the line leads: List of char *.
 */
static List *
roles_of(const HbaLine *line, const PtAuthPeer *peer)
{
	const char *name = line->clientcertname == clientCertDN ? peer->cert_dn : peer->cert_cn;

	if (name == NULL || (line->auth_method != uaCert && line->auth_method != uaTrust))
		return NIL;
	return pt_ident_roles(line->usermap, name);
}

/*
 * Finds the role of the certificate's holder.  role_name has room for
 * NAMEDATALEN bytes.  Returns false, which has been logged, if there is none.
 * Must run in a transaction.
 */
bool
pt_auth_certificate(const PtAuthPeer *peer, char *role_name)
{
	ListCell   *cell;

	Assert(peer->tls && peer->cert_dn != NULL);
	foreach(cell, pt_hba_lines())
	{
		const HbaLine *line = lfirst(cell);
		ListCell   *role_cell;

		if (!pt_hba_may_match(line, peer))
			continue;
		foreach(role_cell, roles_of(line, peer))
		{
			const char *role = lfirst(role_cell);

			if (strlen(role) < NAMEDATALEN &&
				pt_hba_find(peer, role, get_role_oid(role, true)) == line)
			{
				strlcpy(role_name, role, NAMEDATALEN);
				return true;
			}
		}
	}
	pt_auth_tell_failed(peer, peer->cert_cn ? peer->cert_cn : "", NULL,
						"No line of pg_hba.conf with method \"cert\" or \"trust\" leads from the client certificate to a role.");
	return false;
}

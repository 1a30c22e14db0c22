/*-------------------------------------------------------------------------
 *
 * session.c
 *	  As which role a connection acts.
 *
 * A session that has authenticated itself (mechanism is set) has the role
 * whose name it gave.  One that has not, by a listener that does not ask for
 * it, has the role of pgtopic.plaintext_role; by a listener that does, it has
 * none yet and may only do what leads to one.
 *
 * What is known counts until roles change (pt_roles_changes).  Then a role is
 * looked for again by its OID: one that was renamed is the same, one that was
 * dropped and made again is another.  The server asks for every session within
 * a second of a change, so that those end that have lost their role.
 *
 * Siblings: session.h, call.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "rights/rights.h"
#include "kafka/login.h"
#include "kafka/session.h"

bool
kafka_session_is_nobody(const KafkaSession *session)
{
	return session->mechanism[0] == '\0' && kafka_security_has_sasl(session->security);
}

/*
 * Returns why the session may not be asked for this API, or NULL.
 */
const char *
kafka_session_problem(const KafkaSession *session, const KafkaApi *api)
{
	if (api->key == KAFKA_KEY_ApiVersions || api->key == KAFKA_KEY_SaslHandshake ||
		api->key == KAFKA_KEY_SaslAuthenticate)
		return NULL;
	if (!OidIsValid(session->role))
		return psprintf("%s request before authentication", api->name);
	if (session->expires_at != 0 && GetCurrentTimestamp() >= session->expires_at)
		return psprintf("%s request of role \"%s\" after its session has expired", api->name, session->role_name);
	return NULL;
}

/*
 * See kafka.h.
 */
bool
kafka_session_settled(const KafkaSession *session)
{
	return session->roles_seen == pt_roles_changes();
}

/*
 * Looks for the role of a session that has authenticated itself; NULL, or the
 * reason why it has none.
 */
static char *
find_named(KafkaSession *session)
{
	char	   *name;

	if (!OidIsValid(session->role))
		session->role = pt_role_by_name(session->role_name);
	name = OidIsValid(session->role) ? pt_role_name(session->role) : NULL;
	if (name == NULL)
		return psprintf("role \"%s\" does not exist", session->role_name);
	strlcpy(session->role_name, name, sizeof(session->role_name));
	if (strcmp(session->mechanism, KAFKA_MECHANISM_SQL) == 0)
		return NULL;
	return pt_auth_role_problem(session->role, &session->role_until);
}

/*
 * Makes the session that of the role to which the client's certificate leads.
 * Returns NULL, or why there is none.
 */
static char *
find_certificate(KafkaSession *session)
{
	PtAuthPeer	peer = kafka_login_peer(session);
	char		role_name[NAMEDATALEN];

	if (!pt_auth_certificate(&peer, role_name) ||
		!kafka_login_finish(session, role_name, KAFKA_MECHANISM_SSL, DT_NOEND))
		return pstrdup("its client certificate does not let it in");
	session->expires_at = 0;	/* it cannot do that again */
	return NULL;
}

/*
 * Makes the session that of pgtopic.plaintext_role.  Returns NULL, or why that
 * cannot be.  A connection counts for the role's CONNECTION LIMIT as one that
 * has authenticated itself, in the worker that has it from the client, and is
 * counted once.
 */
static char *
find_plaintext(KafkaSession *session)
{
	Oid			before = session->roles_seen != 0 ? session->role : InvalidOid;
	char	   *problem;
	char	   *name;

	session->role = pt_plaintext_role_find(&problem);
	if (problem != NULL)
		return problem;
	name = pt_role_name(session->role);
	if (name == NULL)
		return psprintf("role \"%s\" of \"pgtopic.plaintext_role\" has just been dropped", pt_plaintext_role);
	strlcpy(session->role_name, name, sizeof(session->role_name));
	if (session->role == before || session->plane == KAFKA_PLANE_CONTROL || session->plane == KAFKA_PLANE_ADMIN)
		return NULL;
	return kafka_login_limit_problem(session, session->role, name);
}

/*
 * Does what the roles that are there now mean for the session.  Returns NULL,
 * or why the connection must end, palloc'd.
 */
char *
kafka_session_resolve(KafkaSession *session)
{
	uint64		changes = pt_roles_changes();
	char	   *problem = NULL;

	session->role_until = DT_NOEND;
	if (session->mechanism[0] != '\0')
		problem = find_named(session);
	else if (kafka_security_has_sasl(session->security))
		session->role = InvalidOid;
	else if (session->cert_dn != NULL)
		problem = find_certificate(session);
	else
		problem = find_plaintext(session);
	if (problem == NULL)
		session->roles_seen = changes;
	return problem;
}

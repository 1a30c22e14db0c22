/*-------------------------------------------------------------------------
 *
 * login.c
 *	  How a connection becomes a role's.
 *
 * The auth room says whether a client is the role that it names; here the
 * session becomes that role's: if it may be connected, if there are not too
 * many of it, and, when it authenticates itself again (KIP-368), if it is
 * still the same.
 *
 * Siblings: session.c (what becomes of the role later), api/17 and api/36.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/acl.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "rights/rights.h"
#include "kafka/login.h"

int			(*kafka_connections_hook) (KafkaSession *session, Oid role);

/*
 * Returns what the auth room has to know of the session's connection.  It
 * points into the session.
 */
PtAuthPeer
kafka_login_peer(const KafkaSession *session)
{
	return (PtAuthPeer)
	{
		.address = session->address,
			.tls = kafka_security_has_tls(session->security),
			.cert_cn = session->cert_cn,
			.cert_dn = session->cert_dn,
			.name = session->peer
	};
}

/*
 * Begins an exchange, in place of one that may be going on.
 */
void
kafka_login_start(KafkaSession *session, PtMechanism mechanism)
{
	PtAuthPeer	peer = kafka_login_peer(session);
	KafkaSasl  *sasl;

	kafka_login_end(session);
	sasl = MemoryContextAllocZero(session->mcxt, sizeof(KafkaSasl));
	sasl->mechanism = mechanism;
	sasl->exchange = pt_auth_begin(session->mcxt, &peer, mechanism);
	session->sasl = sasl;
}

/*
 * The exchange, if there is one, is over.
 */
void
kafka_login_end(KafkaSession *session)
{
	KafkaSasl  *sasl = session->sasl;

	session->sasl = NULL;
	if (sasl == NULL)
		return;
	pt_auth_end(sasl->exchange);
	pfree(sasl);
}

/*
 * Returns why the role has too many connections with this one, or NULL.  One
 * that is counted already stays.
 */
char *
kafka_login_limit_problem(KafkaSession *session, Oid role, const char *role_name)
{
	int			limit = pt_auth_connection_limit(role);
	int			n = kafka_connections_hook == NULL ? 0 : kafka_connections_hook(session, role);

	if (limit < 0 || (n >= 0 && n <= limit))
		return NULL;
	if (kafka_connections_hook != NULL)
		(void) kafka_connections_hook(session, InvalidOid);
	return psprintf("too many connections for role \"%s\"", role_name);
}

/*
 * Returns why the session does not become the role's, or NULL.
 */
static const char *
login_problem(KafkaSession *session, Oid role, const char *role_name, const char *mechanism, TimestampTz *valid_until)
{
	bool		again = session->mechanism[0] != '\0';
	const char *problem;

	if (!OidIsValid(role))
		return psprintf("role \"%s\" does not exist", role_name);
	if (again && role != session->role)
		return psprintf("role \"%s\" cannot become role \"%s\" on the same connection", session->role_name, role_name);
	if (again && strcmp(mechanism, session->mechanism) != 0)
		return psprintf("mechanism %s cannot become %s on the same connection", session->mechanism, mechanism);
	problem = pt_auth_role_problem(role, valid_until);
	if (problem == NULL && !again)
		problem = kafka_login_limit_problem(session, role, role_name);
	return problem;
}

/*
 * Returns for how long the session counts; 0: without limit.
 */
int64
kafka_login_lifetime_ms(const KafkaSession *session)
{
	return session->expires_at == 0 ? 0 :
		Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), session->expires_at), 1);
}

/*
 * The session's client has proven that it is the role with that name, by what
 * counts so long (DT_NOEND: for good).  Makes the session the role's, or
 * returns false, which has been logged.  Must run in a transaction.
 */
bool
kafka_login_finish(KafkaSession *session, const char *role_name, const char *mechanism, TimestampTz until)
{
	PtAuthPeer	peer = kafka_login_peer(session);
	Oid			role = get_role_oid(role_name, true);
	TimestampTz valid_until = DT_NOEND;
	const char *problem = login_problem(session, role, role_name, mechanism, &valid_until);

	if (problem != NULL)
	{
		pt_auth_tell_refused(&peer, problem);
		return false;
	}
	if (session->mechanism[0] == '\0')
		pt_auth_tell_authorized(&peer, role_name, mechanism, session->client_id);
	session->role = role;
	strlcpy(session->role_name, role_name, sizeof(session->role_name));
	strlcpy(session->mechanism, mechanism, sizeof(session->mechanism));
	session->roles_seen = pt_roles_changes();
	session->role_until = valid_until;
	session->expires_at = 0;
	if (pt_max_reauth_ms > 0)
		session->expires_at = Min(TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pt_max_reauth_ms),
								  Min(valid_until, until));
	return true;
}

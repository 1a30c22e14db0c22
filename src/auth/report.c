/*-------------------------------------------------------------------------
 *
 * report.c
 *	  What the server's log hears of log-ins.
 *
 * The lines are the server's own as far as they can be, with the client's
 * address.  Clients can cause them as often as they like, so there is a bound
 * on how many there are (tell.h).  None has a byte of a password, or of a line
 * of pg_hba.conf, which may have secrets of its own.
 *
 * Siblings: sasl.c, certificate.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "tcop/tcopprot.h"
#include PT_LOG_CONNECTIONS_H
#include "utils/timestamp.h"

#include "guc.h"
#include "tell.h"
#include "auth/internal.h"

/*
 * May one more line be written?  All kinds of failure share the bound.
 */
static bool
may_tell(void)
{
	static PtTold told;
	int			untold;
	bool		may = pt_may_tell(&told, &untold);

	if (untold > 0)
		ereport(LOG,
				(errmsg("authentication of %d more Kafka clients failed", untold)));
	return may;
}

/*
 * The client's address without the port.  peer->name is [address]:port or
 * address:port.
 */
static char *
host_of(const PtAuthPeer *peer)
{
	const char *colon = strrchr(peer->name, ':');
	int			len = colon != NULL ? colon - peer->name : strlen(peer->name);

	if (len >= 2 && peer->name[0] == '[')
		return pnstrdup(peer->name + 1, len - 2);
	return pnstrdup(peer->name, len);
}

/*
 * The role could not prove that it is one.  line NULL: it did not come that
 * far.
 */
void
pt_auth_tell_failed(const PtAuthPeer *peer, const char *role, const HbaLine *line, const char *detail)
{
	char	   *where = line == NULL ? NULL :
		psprintf("Connection matched file \"%s\" line %d, method \"%s\".",
				 pt_hba_file(line), line->linenumber, hba_authname(line->auth_method));

	if (!may_tell())
		return;
	ereport(LOG,
			(errcode(ERRCODE_INVALID_PASSWORD),
			 errmsg("authentication failed for user \"%s\" of Kafka client at %s", role, peer->name),
			 detail != NULL && where != NULL ? errdetail_internal("%s\n%s", detail, where) :
			 detail != NULL ? errdetail_internal("%s", detail) :
			 where != NULL ? errdetail_internal("%s", where) : 0));
}

/*
 * No line lets the role in.  line NULL: none matches, else it rejects.
 */
void
pt_auth_tell_no_line(const PtAuthPeer *peer, const char *role, const HbaLine *line)
{
	const char *encryption = peer->tls ? "SSL encryption" : "no encryption";

	if (!may_tell())
		return;
	if (line != NULL)
		ereport(LOG,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("pg_hba.conf rejects Kafka connection for host \"%s\", user \"%s\", database \"%s\", %s",
						host_of(peer), role, pt_database, encryption),
				 errdetail("Connection matched file \"%s\" line %d.", pt_hba_file(line), line->linenumber)));
	else
		ereport(LOG,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("no pg_hba.conf entry for Kafka connection from host \"%s\", user \"%s\", database \"%s\", %s",
						host_of(peer), role, pt_database, encryption)));
}

/*
 * The client is who it says, and yet may not come in.
 */
void
pt_auth_tell_refused(const PtAuthPeer *peer, const char *problem)
{
	if (!may_tell())
		return;
	ereport(LOG,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("refused Kafka client at %s: %s", peer->name, problem)));
}

/*
 * For log_connections.
 */
void
pt_auth_tell_authorized(const PtAuthPeer *peer, const char *role_name, const char *mechanism, const char *client_id)
{
	if (!pt_log_authorized())
		return;
	ereport(LOG,
			(errmsg("Kafka connection authorized: user=%s database=%s mechanism=%s client=%s client_id=%s",
					role_name, pt_database, mechanism, peer->name, client_id)));
}

void
pt_auth_tell_received(const char *name)
{
	if (pt_log_received())
		ereport(LOG,
				(errmsg("Kafka connection received: client=%s", name)));
}

/*
 * For log_disconnections.
 */
void
pt_auth_tell_disconnected(const char *name, const char *role_name, TimestampTz connected_at)
{
	int64		ms = TimestampDifferenceMilliseconds(connected_at, GetCurrentTimestamp());

	if (!Log_disconnections)
		return;
	ereport(LOG,
			(errmsg("Kafka disconnection: session time: %d:%02d:%02d.%03d user=%s database=%s client=%s",
					(int) (ms / 3600000), (int) (ms / 60000 % 60), (int) (ms / 1000 % 60), (int) (ms % 1000),
					role_name, pt_database, name)));
}

/*-------------------------------------------------------------------------
 *
 * sasl.c
 *	  An exchange of SASL messages, by which a client proves which role it is.
 *
 * The first message names the role.  Then the first line of pg_hba.conf that
 * matches decides whether the mechanism may be used at all.  SCRAM is the
 * server's own (pg_be_scram_mech), with the verifier of pg_authid; for a role
 * that is not there, or has none, it goes through the same steps with a mock
 * verifier and fails at the end.  PLAIN is checked against the same verifier
 * (password.c).  A token of OAUTHBEARER is checked by a process of its own
 * (token_jobs.c); the client names no role then, but its token does.
 *
 * A client never learns why it was refused.  The log does (report.c).
 *
 * An exchange lives in a memory context of its own, and keeps nothing that a
 * reload of the rules may free.
 *
 * Siblings: message.c (what first messages say), hba.c, password.c, report.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

/*
 * The layout of Port is the same with and without GSSAPI, whose headers are
 * not everywhere.
 */
#undef ENABLE_GSS
#include "libpq/libpq-be.h"
#include "libpq/crypt.h"
#include "libpq/scram.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "auth/internal.h"
#include "auth/message.h"
#include "auth/token.h"

struct PtAuthExchange
{
	MemoryContext mcxt;
	PtAuthPeer	peer;			/* with copies of its texts */
	PtMechanism mechanism;
	char		role[NAMEDATALEN];	/* as the client says; empty: not yet */
	void	   *scram;			/* the server's state; NULL: not begun */
	Port	   *port;			/* of scram */
	const HbaLine *line;		/* of this step only */
	const char *detail;			/* for the log, if it fails */
	TimestampTz again_at;		/* PT_AUTH_LATER */
	PtTokenJob *job;			/* has the token checked; NULL: not begun */
	TimestampTz valid_until;	/* of the token */
};

/* What every client hears whose token is refused (RFC 7628). */
#define BEARER_REFUSED	"{\"status\":\"invalid_token\"}"

/* When to try again to have a token checked. */
#define BEARER_AGAIN_MS	20

static const char *const mechanism_names[] = {
#define MECHANISM_NAME(name, text) [PT_MECHANISM_##name] = text,
	PT_MECHANISMS(MECHANISM_NAME)
#undef MECHANISM_NAME
};

const char *
pt_mechanism_name(PtMechanism mechanism)
{
	Assert(mechanism < PT_MECHANISM_COUNT);
	return mechanism_names[mechanism];
}

PtMechanism
pt_mechanism_by_name(const char *name, int len)
{
	PtMechanism mechanism = 0;

	while (mechanism < PT_MECHANISM_COUNT &&
		   (len != (int) strlen(mechanism_names[mechanism]) ||
			memcmp(name, mechanism_names[mechanism], len) != 0))
		mechanism++;
	return mechanism;
}

/*
 * Begins an exchange, in a memory context below mcxt.  It holds copies of what
 * peer points to.
 */
PtAuthExchange *
pt_auth_begin(MemoryContext mcxt, const PtAuthPeer *peer, PtMechanism mechanism)
{
	MemoryContext own = AllocSetContextCreate(mcxt, "pgtopic SASL exchange", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(own);
	PtAuthExchange *exchange = palloc0(sizeof(PtAuthExchange));

	Assert(mechanism < PT_MECHANISM_COUNT);
	exchange->mcxt = own;
	exchange->mechanism = mechanism;
	exchange->peer = *peer;
	exchange->peer.cert_cn = peer->cert_cn ? pstrdup(peer->cert_cn) : NULL;
	exchange->peer.cert_dn = peer->cert_dn ? pstrdup(peer->cert_dn) : NULL;
	exchange->peer.name = pstrdup(peer->name);
	exchange->valid_until = DT_NOEND;
	MemoryContextSwitchTo(old);
	return exchange;
}

const char *
pt_auth_role_name(const PtAuthExchange *exchange)
{
	return exchange->role;
}

TimestampTz
pt_auth_again_at(const PtAuthExchange *exchange)
{
	return exchange->again_at;
}

/*
 * Returns until when counts what the client has shown; DT_NOEND: for good.
 */
TimestampTz
pt_auth_valid_until(const PtAuthExchange *exchange)
{
	return exchange->valid_until;
}

/*
 * Returns the most bytes that a message of the mechanism may have.
 */
int
pt_auth_message_max(PtMechanism mechanism)
{
	return mechanism == PT_MECHANISM_OAUTHBEARER ? PT_BEARER_MESSAGE_MAX : PT_SASL_MESSAGE_MAX;
}

void
pt_auth_end(PtAuthExchange *exchange)
{
	MemoryContextDelete(exchange->mcxt);
}

/*
 * Logs why, and fails.
 */
static PtAuthOutcome
refuse(PtAuthExchange *exchange, const char *detail)
{
	if (exchange->line != NULL && exchange->line->auth_method == uaReject)
		pt_auth_tell_no_line(&exchange->peer, exchange->role, exchange->line);
	else
		pt_auth_tell_failed(&exchange->peer, exchange->role, exchange->line, detail);
	return PT_AUTH_FAILED;
}

/*
 * The role that the client names: does a line let it in by this mechanism?
 * Returns false if not, which has been logged.
 */
static bool
find_line(PtAuthExchange *exchange)
{
	const char *problem;

	if (!pg_verify_mbstr(GetDatabaseEncoding(), exchange->role, strlen(exchange->role), true))
	{
		exchange->role[0] = '\0';
		refuse(exchange, "The user name is not valid in the encoding of the database.");
		return false;
	}
	exchange->line = pt_hba_find(&exchange->peer, exchange->role, get_role_oid(exchange->role, true));
	if (exchange->line == NULL)
	{
		pt_auth_tell_no_line(&exchange->peer, exchange->role, NULL);
		return false;
	}
	problem = pt_hba_problem(exchange->line, &exchange->peer, exchange->mechanism, exchange->role);
	if (problem != NULL)
		refuse(exchange, problem);
	return problem == NULL;
}

/*
 * The first message of SCRAM: makes the server's state.
 */
static bool
scram_begin(PtAuthExchange *exchange, const char *in, int len)
{
	const char *problem = pt_scram_user_name(in, len, exchange->role, sizeof(exchange->role));
	char	   *secret;

	if (problem != NULL)
	{
		refuse(exchange, psprintf("SCRAM: %s.", problem));
		return false;
	}
	if (!find_line(exchange))
		return false;
	pt_mute_password_warnings();
	secret = get_role_password(exchange->role, &exchange->detail);
	exchange->port = palloc0(sizeof(Port));
	exchange->port->user_name = exchange->role;
	exchange->scram = pg_be_scram_mech.init(exchange->port, "SCRAM-SHA-256", secret);
	return true;
}

/*
 * Runs the server's code for one message.  From 18 on it leaves the client's
 * keys in MyProcPort, which a worker does not have: here they go into the
 * exchange's Port, and are forgotten at once.
 */
static int
run_scram(PtAuthExchange *exchange, const char *in, int len, char **out, int *out_len, const char **detail)
{
	Port	   *before = MyProcPort;
	volatile int result = PG_SASL_EXCHANGE_FAILURE;

	MyProcPort = exchange->port;
	PG_TRY();
	{
		result = pg_be_scram_mech.exchange(exchange->scram, in, len, out, out_len, detail);
	}
	PG_FINALLY();
	{
		MyProcPort = before;
		pt_port_forget_keys(exchange->port);
	}
	PG_END_TRY();
	return result;
}

/*
 * One message of SCRAM.  Throws ERRCODE_PROTOCOL_VIOLATION for what makes no
 * sense, as the server's code does.
 */
static PtAuthOutcome
scram_step(PtAuthExchange *exchange, const char *in, int len, char **out, int *out_len)
{
	const char *detail = NULL;

	if (exchange->scram == NULL && !scram_begin(exchange, in, len))
		return PT_AUTH_FAILED;
	switch (run_scram(exchange, in, len, out, out_len, &detail))
	{
		case PG_SASL_EXCHANGE_CONTINUE:
			return PT_AUTH_CONTINUE;
		case PG_SASL_EXCHANGE_SUCCESS:
			return PT_AUTH_DONE;
	}
	exchange->line = pt_hba_find(&exchange->peer, exchange->role, get_role_oid(exchange->role, true));
	return refuse(exchange, exchange->detail ? exchange->detail : detail);
}

/*
 * Is it the password of the role?  *detail may get a reason for the log.
 */
static bool
password_fits(PtAuthExchange *exchange, const char *password, const char **detail)
{
	const char *secret;

	pt_mute_password_warnings();
	secret = get_role_password(exchange->role, detail);
	return pt_password_matches(exchange->role, secret, password, detail);
}

/*
 * The message of PLAIN; there is one.
 */
static PtAuthOutcome
plain_step(PtAuthExchange *exchange, const char *in, int len)
{
	char		password[PT_SASL_MESSAGE_MAX];
	const char *problem;
	const char *detail = NULL;
	volatile bool matches = false;

	if (pt_password_busy(&exchange->again_at))
		return PT_AUTH_LATER;
	problem = pt_plain_read(in, len, exchange->role, sizeof(exchange->role), password, sizeof(password));
	if (problem != NULL)
		return refuse(exchange, psprintf("PLAIN: %s.", problem));
	if (!find_line(exchange))
	{
		explicit_bzero(password, sizeof(password));
		return PT_AUTH_FAILED;
	}
	PG_TRY();
	{
		matches = exchange->line->auth_method == uaTrust || password_fits(exchange, password, &detail);
	}
	PG_FINALLY();
	{
		explicit_bzero(password, sizeof(password));
	}
	PG_END_TRY();
	return matches ? PT_AUTH_DONE : refuse(exchange, detail);
}

/*
 * The message of OAUTHBEARER: which role does it name, or lead to?  Returns
 * false if that one may not come in by a token, which has been logged.
 */
static bool
bearer_begin(PtAuthExchange *exchange, const char *in, int len, const char **token, int *token_len)
{
	const char *problem = pt_bearer_read(in, len, exchange->role, sizeof(exchange->role), token, token_len);
	PtTokenClaims claims;

	if (problem != NULL)
	{
		refuse(exchange, psprintf("OAUTHBEARER: %s.", problem));
		return false;
	}
	pt_token_claims(*token, *token_len, &claims);
	exchange->valid_until = claims.expires_at;
	if (exchange->role[0] == '\0' && !pt_token_role(&exchange->peer, &claims, exchange->role))
	{
		refuse(exchange, claims.subject == NULL ?
			   "The token has no subject, and the client has not said its role (extension \"role\")." :
			   psprintf("No line of pg_hba.conf with method \"oauth\" leads from the token's subject \"%s\" to a role.",
						claims.subject));
		return false;
	}
	return find_line(exchange);
}

/*
 * What has become of the token.
 */
static PtAuthOutcome
bearer_poll(PtAuthExchange *exchange)
{
	const char *detail = NULL;
	PtAuthOutcome outcome = pt_token_job_poll(exchange->job, &detail, &exchange->again_at);

	if (outcome != PT_AUTH_FAILED)
		return outcome;
	exchange->line = pt_hba_find(&exchange->peer, exchange->role, get_role_oid(exchange->role, true));
	return refuse(exchange, detail);
}

/*
 * The message of OAUTHBEARER.  It is looked at again as long as the token is
 * being checked.
 */
static PtAuthOutcome
bearer_step(PtAuthExchange *exchange, const char *in, int len, char **out, int *out_len)
{
	PtAuthOutcome outcome = PT_AUTH_FAILED;
	const char *token;
	int			token_len;

	if (exchange->job != NULL)
		outcome = bearer_poll(exchange);
	else if (bearer_begin(exchange, in, len, &token, &token_len))
	{
		exchange->job = pt_token_job_start(exchange->mcxt, &exchange->peer, exchange->role, token, token_len);
		exchange->again_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
														 exchange->job == NULL ? BEARER_AGAIN_MS : 1);
		outcome = PT_AUTH_LATER;
	}
	if (outcome != PT_AUTH_FAILED)
		return outcome;
	*out = pstrdup(BEARER_REFUSED);
	*out_len = strlen(BEARER_REFUSED);
	return PT_AUTH_REFUSED;
}

/*
 * Takes the next message of the client, which has any len bytes and a zero
 * byte behind them.  *out is the answer, in the current memory context; len 0
 * if there is none.  Must run in a transaction.
 */
PtAuthOutcome
pt_auth_step(PtAuthExchange *exchange, const char *in, int len, char **out, int *out_len)
{
	MemoryContext old = MemoryContextSwitchTo(exchange->mcxt);
	char	   *answer = NULL;
	int			answer_len = 0;
	PtAuthOutcome outcome;

	Assert(in[len] == '\0');
	exchange->line = NULL;
	if (exchange->mechanism == PT_MECHANISM_PLAIN)
		outcome = plain_step(exchange, in, len);
	else if (exchange->mechanism == PT_MECHANISM_OAUTHBEARER)
		outcome = bearer_step(exchange, in, len, &answer, &answer_len);
	else
		outcome = scram_step(exchange, in, len, &answer, &answer_len);
	exchange->line = NULL;
	MemoryContextSwitchTo(old);
	*out_len = answer != NULL ? answer_len : 0;
	*out = palloc(*out_len + 1);
	if (*out_len > 0)
		memcpy(*out, answer, *out_len);
	(*out)[*out_len] = '\0';
	return outcome;
}

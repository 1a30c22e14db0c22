/*-------------------------------------------------------------------------
 *
 * token_worker.c
 *	  The process that has one token of OAuth checked by a validator.
 *
 * The validators are the server's (oauth_validator_libraries, 18 and later),
 * and so is the code that calls them, pg_be_oauth_mech: to both this looks
 * like a server process whose client is being authenticated.  It gets the
 * token in the message that the server's clients send.  The map of
 * pg_ident.conf is ours to look into, as the server's rules are not in the
 * memory of a background worker; to its code the line looks as if it had none.
 *
 * A validator may take as long as authentication_timeout; then, or when the
 * client has left, it is cancelled like a query.  One that looks for
 * interrupts nowhere keeps this process, as it would keep a session's.
 *
 * Siblings: token_jobs.c, token.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "auth/token.h"

#ifdef PT_HAS_OAUTH

/* See sasl.c. */
#undef ENABLE_GSS
#include "access/xact.h"
#include "libpq/libpq-be.h"
#include "libpq/oauth.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "guc.h"
#include "worker.h"

/* A check that goes on. */
typedef struct Check
{
	MemoryContext mcxt;			/* of all of it; when it is deleted, validators
								 * are told that they are done */
	PtAuthPeer	peer;
	char		role[NAMEDATALEN];
	char	   *message;		/* in the form of RFC 7628 */
	const char *detail;			/* why it fails */
} Check;

/*
 * Copies what is asked out of the segment, and forgets the token there.
 */
static void
take(PtTokenShared *shared, Check *check)
{
	const char *cn = shared->data + shared->token_len + 1;
	const char *dn = cn + shared->cn_len + 1;

	check->peer = (PtAuthPeer)
	{
		.address = shared->address,
			.tls = shared->tls,
			.cert_cn = shared->cn_len < 0 ? NULL : pstrdup(cn),
			.cert_dn = shared->dn_len < 0 ? NULL : pstrdup(dn),
			.name = pstrdup(shared->name)
	};
	strlcpy(check->role, shared->role, sizeof(check->role));
	check->message = psprintf("n,,\001auth=Bearer %s\001\001", shared->data);
	explicit_bzero(shared->data, shared->token_len);
}

/*
 * Makes what validators and the server's code see of the client.
 */
static Port *
make_port(const Check *check, HbaLine *line)
{
	Port	   *port = palloc0(sizeof(Port));
	const char *colon = strrchr(check->peer.name, ':');

	port->sock = PGINVALID_SOCKET;
	port->raddr.addr = check->peer.address;
	port->raddr.salen = sizeof(check->peer.address);
	port->remote_host = colon == NULL ? pstrdup(check->peer.name) :
		pnstrdup(check->peer.name, colon - check->peer.name);
	port->remote_port = pstrdup(colon == NULL ? "" : colon + 1);
	port->database_name = pstrdup(pt_database);
	port->user_name = pstrdup(check->role);
	port->hba = line;
	port->ssl_in_use = check->peer.tls;
	port->peer_cn = check->peer.cert_cn == NULL ? NULL : pstrdup(check->peer.cert_cn);
	port->peer_dn = check->peer.cert_dn == NULL ? NULL : pstrdup(check->peer.cert_dn);
	port->peer_cert_valid = check->peer.cert_dn != NULL;
	return port;
}

/*
 * May whom the validator has found be the role?
 */
static bool
identity_fits(const HbaLine *line, Check *check)
{
	const char *identity = MyClientConnectionInfo.authn_id;

	if (line->oauth_skip_usermap)
		return true;			/* the validator knows of roles */
	if (identity == NULL || identity[0] == '\0')
		check->detail = "The validator has found no identity.";
	else if (!pt_ident_allows(line->usermap, identity, check->role))
		check->detail = psprintf("The token is that of \"%s\", which may not be this role.", identity);
	else
		return true;
	return false;
}

/*
 * Has the line's validator look at the token.
 */
static bool
validate(const HbaLine *line, Check *check)
{
	HbaLine    *mapless = palloc(sizeof(HbaLine));
	char	   *out;
	int			out_len;
	void	   *state;

	*mapless = *line;
	mapless->usermap = NULL;
	mapless->oauth_skip_usermap = true;
	MyProcPort = make_port(check, mapless);
	state = pg_be_oauth_mech.init(MyProcPort, "OAUTHBEARER", NULL);
	if (pg_be_oauth_mech.exchange(state, check->message, strlen(check->message), &out, &out_len,
								  &check->detail) != PG_SASL_EXCHANGE_SUCCESS)
		return false;
	return identity_fits(line, check);
}

/*
 * Asks by the rules of now, which may not be those that the job began with.
 */
static bool
run_check(Check *check)
{
	const HbaLine *line;

	StartTransactionCommand();
	MemoryContextSwitchTo(check->mcxt);
	line = pt_hba_find(&check->peer, check->role, get_role_oid(check->role, true));
	if (line == NULL)
		check->detail = "No line of pg_hba.conf matches.";
	else
		check->detail = pt_hba_problem(line, &check->peer, PT_MECHANISM_OAUTHBEARER, check->role);
	return check->detail == NULL && validate(line, check);
}

/*
 * The same, whatever is thrown: that is a reason to refuse.
 */
static bool
run_guarded(Check *check)
{
	volatile bool valid = false;

	PG_TRY();
	{
		valid = run_check(check);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(check->mcxt);
		error = CopyErrorData();
		FlushErrorState();
		check->detail = error->message;
		valid = false;
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	disable_timeout(STATEMENT_TIMEOUT, false);
	QueryCancelPending = false;
	AbortOutOfAnyTransaction();
	return valid;
}

void
pt_token_worker_main(Datum arg)
{
	dsm_segment *segment;
	PtTokenShared *shared;
	Check		check = {.detail = NULL};
	bool		valid;

	pt_worker_start(pt_database);
	pqsignal(SIGINT, StatementCancelHandler);
	segment = dsm_attach(DatumGetUInt32(arg));
	if (segment == NULL)
		proc_exit(0);			/* the client has left */
	shared = dsm_segment_address(segment);
	pt_auth_load(false);
	check.mcxt = AllocSetContextCreate(TopMemoryContext, "pgtopic token", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(check.mcxt);
	take(shared, &check);
	enable_timeout_after(STATEMENT_TIMEOUT, AuthenticationTimeout * 1000);
	valid = run_guarded(&check);
	explicit_bzero(check.message, strlen(check.message));
	shared->valid = valid;
	if (!valid && check.detail != NULL)
		strlcpy(shared->detail, check.detail, sizeof(shared->detail));
	pg_write_barrier();
	pg_atomic_write_u32(&shared->done, 1);
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(check.mcxt);
	proc_exit(0);
}

#else

void
pt_token_worker_main(Datum arg)
{
	elog(ERROR, "this server has no validators of tokens");
}

#endif

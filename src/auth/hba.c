/*-------------------------------------------------------------------------
 *
 * hba.c
 *	  pg_hba.conf: which line decides about a Kafka client.
 *
 * The server keeps its parsed rules in memory of the postmaster, which a
 * background worker has given up when it starts.  So each process that serves
 * clients reads the files for itself, with the server's own parser, and again
 * when the configuration is reloaded.  A file with an error changes nothing,
 * as in the server.  Which line matches is decided here, by the rules of the
 * server's documentation, for a TCP connection to pgtopic.database.
 *
 * A line with the name of a host would ask a name server, and all clients of
 * the process would wait for the answer.  Such a line lets nobody in; one that
 * rejects, rejects everybody, as an address that is not known may be meant.
 *
 * Siblings: ident.c (pg_ident.conf), sasl.c, certificate.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <netinet/in.h>

#include "libpq/ifaddr.h"
#include "mb/pg_wchar.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "guc.h"
#include "auth/internal.h"

/* The lines of a file that count. */
typedef struct Rules
{
	MemoryContext mcxt;			/* NULL: nothing has been read so far */
	List	   *lines;
} Rules;

static Rules hba;				/* of HbaLine */
static Rules ident;				/* of IdentLine */

/*
 * Reading
 */

/*
 * Parses one line of a file.  Returns NULL if it has an error.
 */
static void *
parse_line(TokenizedAuthLine *tokens, bool is_ident)
{
	if (tokens->err_msg != NULL)
		return NULL;
	return is_ident ? (void *) parse_ident_line(tokens, DEBUG1) : (void *) parse_hba_line(tokens, DEBUG1);
}

/*
 * Reads a file into the current memory context.  Returns NULL, or the first
 * problem.
 */
static char *
read_file(const char *name, bool is_ident, List **lines)
{
	FILE	   *file = pt_auth_file_open(name);
	List	   *tokenized = NIL;
	char	   *problem = NULL;
	ListCell   *cell;

	*lines = NIL;
	if (file == NULL)
		return psprintf("The file cannot be opened: %s.", strerror(errno));
	pt_auth_file_read(name, file, &tokenized);
	foreach(cell, tokenized)
	{
		TokenizedAuthLine *tokens = lfirst(cell);
		void	   *line = parse_line(tokens, is_ident);

		if (line != NULL)
			*lines = lappend(*lines, line);
		else if (problem == NULL)
			problem = psprintf("Line %d: %s.", tokens->line_num, tokens->err_msg ? tokens->err_msg : "invalid entry");
	}
	pt_auth_file_close(file);
	if (problem == NULL && *lines == NIL && !is_ident)
		problem = pstrdup("The file has no entries.");
	return problem;
}

/*
 * Frees what lines of pg_ident.conf have outside of memory contexts.
 */
static void
free_ident(List *lines)
{
	ListCell   *cell;

	foreach(cell, lines)
		pt_ident_free((IdentLine *) lfirst(cell));
}

/*
 * Replaces the rules by what the file has now, unless it has an error.
 */
static void
load(const char *name, Rules *rules, bool tell)
{
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic hba", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(mcxt);
	List	   *lines;
	char	   *problem = read_file(name, rules == &ident, &lines);

	MemoryContextSwitchTo(old);
	if (problem != NULL && tell)
		ereport(LOG,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("configuration file \"%s\" was not loaded for Kafka clients", name),
				 errdetail_internal("%s", problem)));
	if (rules == &ident)
		free_ident(problem != NULL ? lines : rules->lines);
	if (problem == NULL)
	{
		MemoryContext before = rules->mcxt;

		MemoryContextSetParent(mcxt, TopMemoryContext);
		rules->mcxt = mcxt;
		rules->lines = lines;
		mcxt = before;
	}
	if (mcxt != NULL)
		MemoryContextDelete(mcxt);
}

/*
 * Says which line is of no use to Kafka clients.
 */
static void
tell_host_names(void)
{
	ListCell   *cell;

	foreach(cell, hba.lines)
	{
		const HbaLine *line = lfirst(cell);

		if (line->hostname == NULL)
			continue;
		ereport(LOG,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("line %d of \"%s\" has a host name and lets no Kafka client in", line->linenumber,
						pt_hba_file(line)),
				 errhint("Use the address instead.")));
		return;
	}
}

/*
 * Reads both files, at the start and after a reload.  Each counts by itself:
 * one that has an error leaves what was known of it.  "tell" is set in one
 * process, so that there is one line in the log.
 */
void
pt_auth_load(bool tell)
{
	load(HbaFileName, &hba, tell);
	load(IdentFileName, &ident, tell);
	if (tell)
		tell_host_names();
}

List *
pt_hba_lines(void)
{
	return hba.lines;
}

List *
pt_ident_lines(void)
{
	return ident.lines;
}

/*
 * Matching
 */

static bool
is_keyword(const AuthToken *token, const char *word)
{
	return !token->quoted && strcmp(token->string, word) == 0;
}

/*
 * Is the role a member, by whatever steps, of the role with that name?  Being
 * a superuser does not make it one.
 */
static bool
is_member(Oid role, const char *of)
{
	Oid			group;

	if (!OidIsValid(role))
		return false;
	group = get_role_oid(of, true);
	return OidIsValid(group) && is_member_of_role_nosuper(role, group);
}

/*
 * Does the expression match the text?  If first is not NULL it gets what the
 * first parentheses have matched, palloc'd, or NULL.
 */
bool
pt_hba_regex_matches(regex_t *regex, const char *text, char **first)
{
	int			len = strlen(text);
	pg_wchar   *wide = palloc((len + 1) * sizeof(pg_wchar));
	int			n = pg_mb2wchar_with_len(text, wide, len);
	regmatch_t	found[2];
	bool		matches = pg_regexec(regex, wide, n, 0, NULL, first != NULL ? 2 : 0, found, 0) == REG_OKAY;

	if (first != NULL)
	{
		*first = NULL;
		if (matches && found[1].rm_so >= 0)
		{
			*first = palloc0(len + 1);
			pg_wchar2mb_with_len(wide + found[1].rm_so, *first, found[1].rm_eo - found[1].rm_so);
		}
	}
	pfree(wide);
	return matches;
}

/*
 * Does a token that is no keyword name it, plainly or as an expression?
 */
static bool
token_matches(AuthToken *token, const char *name)
{
	regex_t    *regex = pt_token_regex(token);

	return regex != NULL ? pt_hba_regex_matches(regex, name, NULL) : strcmp(token->string, name) == 0;
}

/*
 * Do these tokens name the role?  InvalidOid: there is no such role, which is
 * a member of nothing.
 */
bool
pt_hba_role_matches(List *tokens, const char *role, Oid roleid)
{
	ListCell   *cell;

	foreach(cell, tokens)
	{
		AuthToken  *token = lfirst(cell);
		bool		matches;

		if (!token->quoted && token->string[0] == '+')
			matches = is_member(roleid, token->string + 1);
		else if (is_keyword(token, "all"))
			matches = true;
		else
			matches = token_matches(token, role);
		if (matches)
			return true;
	}
	return false;
}

/*
 * Do these tokens name the database that we serve?  role NULL: for some role.
 */
static bool
database_matches(List *tokens, const char *role, Oid roleid)
{
	ListCell   *cell;

	foreach(cell, tokens)
	{
		AuthToken  *token = lfirst(cell);
		bool		matches;

		if (is_keyword(token, "all"))
			matches = true;
		else if (is_keyword(token, "sameuser"))
			matches = role == NULL || strcmp(pt_database, role) == 0;
		else if (is_keyword(token, "samerole") || is_keyword(token, "samegroup"))
			matches = role == NULL || is_member(roleid, pt_database);
		else if (is_keyword(token, "replication"))
			matches = false;
		else
			matches = token_matches(token, pt_database);
		if (matches)
			return true;
	}
	return false;
}

static bool
type_matches(ConnType type, bool tls)
{
	switch (type)
	{
		case ctHost:
		case ctHostNoGSS:
			return true;
		case ctHostSSL:
			return tls;
		case ctHostNoSSL:
			return !tls;
		default:
			return false;		/* sockets of Unix, and GSSAPI's encryption */
	}
}

/* Does an interface of this machine have the client's address, or network? */
typedef struct NearBy
{
	const struct sockaddr_storage *address;
	bool		same_net;
	bool		found;
} NearBy;

static void
compare_interface(struct sockaddr *address, struct sockaddr *netmask, void *arg)
{
	NearBy	   *near = arg;
	struct sockaddr_storage mask;

	if (near->found || address->sa_family != near->address->ss_family)
		return;
	if (near->same_net)
		near->found = pg_range_sockaddr(near->address, (struct sockaddr_storage *) address,
										(struct sockaddr_storage *) netmask);
	else if (pg_sockaddr_cidr_mask(&mask, NULL, address->sa_family) == 0)
		near->found = pg_range_sockaddr(near->address, (struct sockaddr_storage *) address, &mask);
}

static bool
address_matches(const HbaLine *line, const struct sockaddr_storage *address)
{
	NearBy		near = {.address = address,.same_net = line->ip_cmp_method == ipCmpSameNet};

	switch (line->ip_cmp_method)
	{
		case ipCmpAll:
			return true;
		case ipCmpMask:
			if (line->hostname != NULL)
				return line->auth_method == uaReject;
			return address->ss_family == line->addr.ss_family &&
				pg_range_sockaddr(address, &line->addr, &line->mask);
		case ipCmpSameHost:
		case ipCmpSameNet:
			return pg_foreach_ifaddr(compare_interface, &near) == 0 && near.found;
	}
	return false;
}

/*
 * Is the line about such a client, whoever it is?
 */
bool
pt_hba_may_match(const HbaLine *line, const PtAuthPeer *peer)
{
	return type_matches(line->conntype, peer->tls) && address_matches(line, &peer->address) &&
		database_matches(line->databases, NULL, InvalidOid);
}

/*
 * Returns the first line that matches, or NULL.  It lives until the next
 * pt_auth_load().  Must run in a transaction.
 */
const HbaLine *
pt_hba_find(const PtAuthPeer *peer, const char *role, Oid roleid)
{
	ListCell   *cell;

	foreach(cell, hba.lines)
	{
		const HbaLine *line = lfirst(cell);

		if (type_matches(line->conntype, peer->tls) && address_matches(line, &peer->address) &&
			database_matches(line->databases, role, roleid) && pt_hba_role_matches(line->roles, role, roleid))
			return line;
	}
	return NULL;
}

/*
 * What a line allows
 */

static bool
is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr) >> 24 == 127;
	if (address->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) address)->sin6_addr);
	return false;
}

/*
 * Returns the mechanisms that fit the line's method.  PLAIN sends the password
 * as it is, OAUTHBEARER a token: only what nobody else can read may carry it.
 */
static uint32
mechanisms_of(const HbaLine *line, const PtAuthPeer *peer)
{
	uint32		scram = 1 << PT_MECHANISM_SCRAM_SHA_256;
	bool		private = peer->tls || is_loopback(&peer->address);
	uint32		plain = private ? 1 << PT_MECHANISM_PLAIN : 0;

	if (pt_hba_is_oauth(line))
		return private && pt_oauth_workers > 0 ? 1 << PT_MECHANISM_OAUTHBEARER : 0;
	switch (line->auth_method)
	{
		case uaTrust:
		case uaPassword:
		case uaMD5:
			return scram | plain;
		case uaSCRAM:
			return scram;
		default:
			return 0;
	}
}

/*
 * Returns the mechanisms that some role could use from there: a bit
 * 1 << PtMechanism for each.
 */
uint32
pt_auth_mechanisms(const PtAuthPeer *peer)
{
	uint32		mechanisms = 0;
	ListCell   *cell;

	foreach(cell, hba.lines)
	{
		const HbaLine *line = lfirst(cell);

		if (pt_hba_may_match(line, peer))
			mechanisms |= mechanisms_of(line, peer);
	}
	return mechanisms;
}

/*
 * Is the certificate what the line's option "clientcert" demands?
 */
static const char *
certificate_problem(const HbaLine *line, const PtAuthPeer *peer, const char *role)
{
	const char *name = line->clientcertname == clientCertDN ? peer->cert_dn : peer->cert_cn;

	if (line->clientcert == clientCertOff)
		return NULL;
	if (peer->cert_dn == NULL)
		return "The line demands a client certificate.";
	if (line->clientcert == clientCertFull && (name == NULL || !pt_ident_allows(line->usermap, name, role)))
		return "The client certificate is that of another role.";
	return NULL;
}

/*
 * Returns why the line's method is of no use where passwords are asked for, or
 * NULL.
 */
static const char *
method_problem(const HbaLine *line)
{
	switch (line->auth_method)
	{
		case uaTrust:
		case uaPassword:
		case uaMD5:
		case uaSCRAM:
			return NULL;
		case uaCert:
			return "Method \"cert\" needs a listener with protocol SSL, without SASL.";
		default:
			return psprintf("Kafka clients cannot use method \"%s\".", hba_authname(line->auth_method));
	}
}

/*
 * Returns why the line does not let the role in by this mechanism, for the
 * log, or NULL.
 */
const char *
pt_hba_problem(const HbaLine *line, const PtAuthPeer *peer, PtMechanism mechanism, const char *role)
{
	if (pt_hba_is_oauth(line) && pt_oauth_workers == 0)
		return "Method \"oauth\" needs a \"pgtopic.oauth_workers\" above 0.";
	if (pt_hba_is_oauth(line) != (mechanism == PT_MECHANISM_OAUTHBEARER))
		return "Mechanism OAUTHBEARER goes with method \"oauth\" and no other.";
	if (!pt_hba_is_oauth(line))
	{
		const char *problem = method_problem(line);

		if (problem != NULL)
			return problem;
	}
	if (!(mechanisms_of(line, peer) & (1 << mechanism)))
		return line->auth_method == uaSCRAM ?
			"Method \"scram-sha-256\" lets nobody in by mechanism PLAIN; method \"password\" does." :
			psprintf("Mechanism %s needs TLS, or a client on this machine.", mechanism == PT_MECHANISM_PLAIN ? "PLAIN" : "OAUTHBEARER");
	return certificate_problem(line, peer, role);
}

/*
 * See auth.h.  Must run in a transaction.
 */
void
pt_auth_rule(const PtAuthPeer *peer, const char *role, PtAuthRule *rule)
{
	const HbaLine *line = pt_hba_find(peer, role, get_role_oid(role, true));

	memset(rule, 0, sizeof(*rule));
	if (line == NULL)
		return;
	rule->file = pt_hba_file(line);
	rule->line = line->linenumber;
	rule->method = hba_authname(line->auth_method);
	rule->mechanisms = mechanisms_of(line, peer);
}

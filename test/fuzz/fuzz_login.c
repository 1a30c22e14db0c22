/*-------------------------------------------------------------------------
 *
 * fuzz_login.c
 *	  States of authentication: what a stranger asks for in any order, while
 *	  roles, rules, settings and the clock change under him.
 *
 *	  What decides is the extension's own: session.c, login.c, the handlers of
 *	  SaslHandshake and SaslAuthenticate, and sasl.c.  The server around them is
 *	  made up here: memory, a clock, four roles, a line of pg_hba.conf, a SCRAM of
 *	  two messages, and tokens, whose right answers the input can give by one
 *	  byte.
 *
 *	  Whatever happens: a client is served only as the role that it has proven to
 *	  be, on this connection, while that role is there and may log in and its
 *	  session has not expired; and it stays that role.
 *
 *	  Seeds: seed_login.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* backend sources: src/kafka/session.c src/kafka/login.c src/kafka/api/17_sasl_handshake.c src/kafka/api/36_sasl_authenticate.c src/auth/sasl.c src/auth/message.c */
#include "postgres.h"

#undef ENABLE_GSS
#include "libpq/crypt.h"
#include "libpq/libpq-be.h"
#include "libpq/scram.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "auth/internal.h"
#include "auth/token.h"
#include "guc.h"
#include "kafka/api.h"
#include "kafka/login.h"
#include "kafka/session.h"
#include "rights/rights.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INSIST(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort(); \
		} \
	} while (0)

/*
 * Memory: contexts whose blocks are malloc's, so that the sanitizer knows them
 */

typedef struct Piece
{
	struct Piece *next;
	struct Piece **link;
} __attribute__((aligned(16))) Piece;

typedef struct Arena
{
	Piece	   *blocks;
	MemoryContextCallback *callbacks;
	struct Arena *parent;
	struct Arena *next;			/* of all */
} Arena;

static Arena top;
static Arena *arenas = &top;
MemoryContext CurrentMemoryContext = (MemoryContext) &top;

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	Arena	   *arena = (Arena *) context;
	Piece	   *block = calloc(1, sizeof(Piece) + size);

	block->next = arena->blocks;
	block->link = &arena->blocks;
	if (block->next != NULL)
		block->next->link = &block->next;
	arena->blocks = block;
	return block + 1;
}

void *
palloc(Size size)
{
	void	   *p = MemoryContextAllocZero(CurrentMemoryContext, size);

	memset(p, 0x7f, size);
	return p;
}

void *
palloc0(Size size)
{
	return MemoryContextAllocZero(CurrentMemoryContext, size);
}

void
pfree(void *pointer)
{
	Piece	   *block = (Piece *) pointer - 1;

	*block->link = block->next;
	if (block->next != NULL)
		block->next->link = block->link;
	free(block);
}

char *
pstrdup(const char *in)
{
	return strcpy(palloc(strlen(in) + 1), in);
}

char *
psprintf(const char *fmt,...)
{
	char		text[512];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return pstrdup(text);
}

static MemoryContext
arena_new(MemoryContext parent)
{
	Arena	   *arena = calloc(1, sizeof(Arena));

	arena->parent = (Arena *) parent;
	arena->next = arenas;
	arenas = arena;
	return (MemoryContext) arena;
}

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size min, Size init, Size max)
{
	return arena_new(parent);
}

void
MemoryContextRegisterResetCallback(MemoryContext context, MemoryContextCallback *cb)
{
	Arena	   *arena = (Arena *) context;

	cb->next = arena->callbacks;
	arena->callbacks = cb;
}

static void
clear(Arena *arena)
{
	MemoryContextCallback *cb;

	while ((cb = arena->callbacks) != NULL)
	{
		arena->callbacks = cb->next;
		cb->func(cb->arg);
	}
	while (arena->blocks != NULL)
		pfree(arena->blocks + 1);
}

void
MemoryContextDelete(MemoryContext context)
{
	Arena	   *gone = (Arena *) context;
	Arena	  **at = &arenas;

	for (Arena *a = arenas; a != NULL;)
	{
		if (a->parent == gone)
		{
			MemoryContextDelete((MemoryContext) a);
			a = arenas;
		}
		else
			a = a->next;
	}
	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	clear(gone);
	free(gone);
}

/*
 * Errors
 */

sigjmp_buf *PG_exception_stack;
ErrorContextCallback *error_context_stack;
Port	   *MyProcPort;

void
pg_re_throw(void)
{
	INSIST(PG_exception_stack != NULL);
	siglongjmp(*PG_exception_stack, 1);
}

bool
kafka_try(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error)
{
	MemoryContext mcxt = CurrentMemoryContext;
	volatile bool good = true;

	PG_TRY();
	{
		fn(arg);
	}
	PG_CATCH();
	{
		good = false;
		error->message = "it makes no sense";
	}
	PG_END_TRY();
	CurrentMemoryContext = mcxt;
	return good;
}

/*
 * Roles, rules, the clock
 */

typedef struct Role
{
	const char *name;
	Oid			oid;			/* InvalidOid: it is not there */
	bool		may_log_in;
	const char *secret;			/* its password, and its SCRAM secret */
} Role;

#define NROLES	4
static Role roles[NROLES];
static const char *const names[NROLES] = {"alice", "bob", "bare", "kafka"};
static Oid	next_oid;
static uint64 changes;
static HbaLine line;
static bool busy;
static int	limit;
static int	connections;
static TimestampTz clock_now;
static Oid	proven;				/* by the exchange or certificate of just now */
static TimestampTz proof_until; /* so long that counts */

char	   *pt_plaintext_role = (char *) "kafka";
int			pt_max_reauth_ms;
int			pt_failed_login_delay_ms;

static Oid	trusted;			/* by the line, whatever the password */

static Role *
role_named(const char *name)
{
	for (int i = 0; i < NROLES; i++)
	{
		if (OidIsValid(roles[i].oid) && strcmp(roles[i].name, name) == 0)
			return &roles[i];
	}
	return NULL;
}

static Role *
role_of(Oid oid)
{
	for (int i = 0; i < NROLES; i++)
	{
		if (OidIsValid(oid) && roles[i].oid == oid)
			return &roles[i];
	}
	return NULL;
}

TimestampTz
GetCurrentTimestamp(void)
{
	return clock_now;
}

long
TimestampDifferenceMilliseconds(TimestampTz from, TimestampTz to)
{
	return to <= from ? 0 : (long) ((to - from + 999) / 1000);
}

Oid
get_role_oid(const char *name, bool missing_ok)
{
	Role	   *role = role_named(name);

	return role != NULL ? role->oid : InvalidOid;
}

char *
get_role_password(const char *name, const char **logdetail)
{
	Role	   *role = role_named(name);

	return role != NULL && role->secret != NULL ? pstrdup(role->secret) : NULL;
}

uint64
pt_roles_changes(void)
{
	return changes;
}

Oid
pt_role_by_name(const char *name)
{
	return get_role_oid(name, true);
}

char *
pt_role_name(Oid oid)
{
	Role	   *role = role_of(oid);

	return role != NULL ? pstrdup(role->name) : NULL;
}

char *
pt_auth_role_problem(Oid oid, TimestampTz *valid_until)
{
	INSIST(role_of(oid) != NULL);
	*valid_until = DT_NOEND;
	return role_of(oid)->may_log_in ? NULL : pstrdup("it may not log in");
}

Oid
pt_plaintext_role_find(char **problem)
{
	Oid			oid = get_role_oid(pt_plaintext_role, true);

	*problem = OidIsValid(oid) ? NULL : pstrdup("there is none");
	return oid;
}

bool
pt_auth_certificate(const PtAuthPeer *peer, char *role_name)
{
	Role	   *role = role_named(peer->cert_cn);

	if (role == NULL || line.auth_method != uaCert)
		return false;
	strlcpy(role_name, role->name, NAMEDATALEN);
	proven = role->oid;
	return true;
}

int
pt_auth_connection_limit(Oid oid)
{
	return limit;
}

uint32
pt_auth_mechanisms(const PtAuthPeer *peer)
{
	uint32		scram = 1 << PT_MECHANISM_SCRAM_SHA_256;

	if (line.auth_method == uaReject)
		return 0;
	return line.auth_method == uaSCRAM ? scram : scram | (1 << PT_MECHANISM_PLAIN) | (1 << PT_MECHANISM_OAUTHBEARER);
}

const HbaLine *
pt_hba_find(const PtAuthPeer *peer, const char *role, Oid roleid)
{
	if (line.linenumber == 0)
		return NULL;
	trusted = line.auth_method == uaTrust ? roleid : InvalidOid;
	return &line;
}

const char *
pt_hba_problem(const HbaLine *found, const PtAuthPeer *peer, PtMechanism mechanism, const char *role)
{
	return pt_auth_mechanisms(peer) & (1 << mechanism) ? NULL : "not by this mechanism";
}

bool
pt_password_busy(TimestampTz *until)
{
	*until = clock_now + 1000;
	return busy;
}

bool
pt_password_matches(const char *role, const char *secret, const char *password, const char **detail)
{
	if (secret == NULL || strcmp(secret, password) != 0)
		return false;
	proven = get_role_oid(role, true);
	return true;
}

/*
 * Tokens: the role's name, a hyphen, its secret; with "~" behind it, it counts
 * for half a second.
 */

struct PtTokenJob
{
	char		role[NAMEDATALEN];
	bool		valid;
};

void
pt_token_claims(const char *token, int len, PtTokenClaims *claims)
{
	const char *hyphen = memchr(token, '-', len);

	claims->subject = NULL;
	if (hyphen != NULL)
	{
		claims->subject = palloc0(hyphen - token + 1);
		memcpy(claims->subject, token, hyphen - token);
	}
	claims->expires_at = proof_until = token[len - 1] == '~' ? clock_now + 500000 : DT_NOEND;
}

bool
pt_token_role(const PtAuthPeer *peer, const PtTokenClaims *claims, char *role_name)
{
	Role	   *role = claims->subject != NULL ? role_named(claims->subject) : NULL;

	if (role == NULL)
		return false;
	strlcpy(role_name, role->name, NAMEDATALEN);
	return true;
}

PtTokenJob *
pt_token_job_start(MemoryContext mcxt, const PtAuthPeer *peer, const char *role, const char *token, int token_len)
{
	PtTokenJob *job;
	Role	   *known = role_named(role);
	char	   *right = known != NULL && known->secret != NULL ? psprintf("%s-%s", role, known->secret) : NULL;

	if (busy)
		return NULL;
	job = MemoryContextAllocZero(mcxt, sizeof(PtTokenJob));
	strlcpy(job->role, role, sizeof(job->role));
	job->valid = right != NULL && token_len >= (int) strlen(right) && strncmp(token, right, strlen(right)) == 0;
	return job;
}

PtAuthOutcome
pt_token_job_poll(const PtTokenJob *job, const char **detail, TimestampTz *again_at)
{
	*again_at = clock_now + 1000;
	if (busy)
		return PT_AUTH_LATER;
	if (!job->valid)
		return PT_AUTH_FAILED;
	proven = get_role_oid(job->role, true);
	return PT_AUTH_DONE;
}

/* The lines of the log: what they say must be there. */

static void
told(const PtAuthPeer *peer, const char *text)
{
	INSIST(strlen(peer->name) < 64 && (text == NULL || strlen(text) < 512));
}

void
pt_auth_tell_failed(const PtAuthPeer *peer, const char *role, const HbaLine *found, const char *detail)
{
	told(peer, detail);
	told(peer, role);
}

void
pt_auth_tell_no_line(const PtAuthPeer *peer, const char *role, const HbaLine *found)
{
	told(peer, role);
}

void
pt_auth_tell_refused(const PtAuthPeer *peer, const char *problem)
{
	told(peer, problem);
}

void
pt_auth_tell_authorized(const PtAuthPeer *peer, const char *role_name, const char *mechanism, const char *client_id)
{
	told(peer, role_name);
}

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

bool
pg_verify_mbstr(int encoding, const char *text, int len, bool no_error)
{
	for (int i = 0; i < len; i++)
	{
		if ((unsigned char) text[i] == 0xff)
			return false;
	}
	return true;
}

KafkaString
kafka_string(const char *s)
{
	return (KafkaString)
	{
		s, (int32) strlen(s)
	};
}

/*
 * A SCRAM of two messages.  The second one is right if it is the secret.
 */

typedef struct Scram
{
	const char *user;
	const char *secret;			/* NULL: it fails in the end */
	int			step;
} Scram;

static void *
scram_init(Port *port, const char *mechanism, const char *secret)
{
	Scram	   *scram = palloc0(sizeof(Scram));

	INSIST(strcmp(mechanism, "SCRAM-SHA-256") == 0);
	scram->user = pstrdup(port->user_name);
	scram->secret = secret != NULL ? pstrdup(secret) : NULL;
	return scram;
}

static int
scram_exchange(void *opaq, const char *in, int len, char **out, int *out_len, const char **logdetail)
{
	Scram	   *scram = opaq;

	INSIST(MyProcPort != NULL && in[len] == '\0');
	*out = NULL;
	if (len == 0 || in[0] == '!')
		pg_re_throw();
	INSIST(scram->step < 2);
	if (scram->step++ == 0)
	{
		*out = pstrdup("r=s");
		*out_len = 3;
		return PG_SASL_EXCHANGE_CONTINUE;
	}
	if (scram->secret == NULL || strcmp(scram->secret, in) != 0)
		return PG_SASL_EXCHANGE_FAILURE;
	proven = get_role_oid(scram->user, true);
	*out = pstrdup("v=");
	*out_len = 2;
	return PG_SASL_EXCHANGE_SUCCESS;
}

const		pg_be_sasl_mech pg_be_scram_mech = {
	.init = scram_init,
	.exchange = scram_exchange
};

/*
 * A client
 */

typedef struct Input
{
	const uint8_t *at;
	size_t		left;
} Input;

static KafkaSession *session;
static KafkaCall *call;			/* one that waits; NULL: none */
static Oid	is;					/* who it has proven to be on this connection */
static TimestampTz expires_at;	/* of that; 0: never */

static uint8_t
next(Input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static void
end_call(void)
{
	CurrentMemoryContext = (MemoryContext) &top;
	if (call != NULL)
		MemoryContextDelete(call->mcxt);
	call = NULL;
}

static void
disconnect(void)
{
	end_call();
	if (session != NULL)
		MemoryContextDelete(session->mcxt);
	session = NULL;
}

static void
connect_by(uint8_t how)
{
	static const KafkaSecurity securities[] = {KAFKA_SECURITY_SASL_PLAINTEXT, KAFKA_SECURITY_SASL_SSL, KAFKA_SECURITY_PLAINTEXT, KAFKA_SECURITY_SSL};
	MemoryContext mcxt;

	disconnect();
	mcxt = arena_new((MemoryContext) &top);
	session = MemoryContextAllocZero(mcxt, sizeof(KafkaSession));
	session->mcxt = mcxt;
	strlcpy(session->peer, "127.0.0.1:1", sizeof(session->peer));
	session->security = securities[how % 4];
	if (session->security == KAFKA_SECURITY_SSL && how & 4)
		session->cert_cn = session->cert_dn = names[how / 8 % NROLES];
	is = proven = InvalidOid;
	expires_at = 0;
}

/* As the server does, before a request and within a second of a change. */
static void
resolve(void)
{
	if (!kafka_session_settled(session))
	{
		proven = InvalidOid;
		if (kafka_session_resolve(session) != NULL)
			connect_by(0);
		else if (session->cert_dn != NULL && OidIsValid(proven))
			is = proven;
	}
}

/* What must be so, whatever was asked. */
static void
check(void)
{
	static const KafkaApi metadata = {.name = "Metadata",.key = KAFKA_KEY_Metadata};

	resolve();
	if (kafka_session_problem(session, &metadata) != NULL)
		return;
	INSIST(role_of(session->role) != NULL);
	INSIST(!kafka_session_is_nobody(session));
	if (session->mechanism[0] == '\0')
	{
		/* nobody asked who it is, and it acts as the role of the setting */
		INSIST(!kafka_security_has_sasl(session->security) && session->cert_dn == NULL);
		INSIST(strcmp(role_of(session->role)->name, pt_plaintext_role) == 0);
		return;
	}
	INSIST(session->role == is && role_of(is)->may_log_in);
	INSIST(expires_at == 0 || clock_now < expires_at);
}

/* A call has said what comes next. */
static void
take(KafkaOutcome outcome)
{
	if (outcome == KAFKA_WAIT)
	{
		INSIST(call->deadline != 0);
		return;
	}
	INSIST(outcome == KAFKA_REPLY);
	if (!OidIsValid(proven) && strcmp(session->mechanism, "PLAIN") == 0)
		proven = trusted;
	if (OidIsValid(proven) && session->mechanism[0] != '\0' && session->role == proven &&
		call->goodbye == NULL && session->sasl == NULL)
	{
		INSIST(!OidIsValid(is) || is == proven);
		is = proven;
		expires_at = pt_max_reauth_ms > 0 ? Min(clock_now + (int64) pt_max_reauth_ms * 1000, proof_until) : 0;
	}
	if (call->goodbye != NULL)
		connect_by(0);
	else
		end_call();
}

static void *
new_call(Size request_size, Size response_size)
{
	MemoryContext mcxt = arena_new((MemoryContext) &top);

	call = MemoryContextAllocZero(mcxt, sizeof(KafkaCall));
	call->mcxt = CurrentMemoryContext = mcxt;
	call->session = session;
	call->request = palloc0(request_size);
	call->response = palloc0(response_size);
	proven = trusted = InvalidOid;
	proof_until = DT_NOEND;
	return call->request;
}

static void
handshake(uint8_t how)
{
	static const char *const mechanisms[] = {"SCRAM-SHA-256", "PLAIN", "OAUTHBEARER", "OTHER"};
	SaslHandshakeRequest *request;

	resolve();
	request = new_call(sizeof(SaslHandshakeRequest), sizeof(SaslHandshakeResponse));
	request->mechanism = kafka_string(mechanisms[how % 4]);
	take(kafka_handler_sasl_handshake.begin(call));
}

/* The message: a right one of a role, or the input's own. */
static void
authenticate(Input *in)
{
	SaslAuthenticateRequest *request;
	uint8_t		how = next(in);
	const Role *role = &roles[how / 8 % NROLES];
	const char *secret = role->secret != NULL ? role->secret : "x";
	char		own[256];
	int			len;

	resolve();
	switch (how % 8)
	{
		case 0:
		case 1:
			len = snprintf(own, sizeof(own), "n,,n=%s,r=c", names[how / 8 % NROLES]);
			break;
		case 2:
		case 3:
			len = snprintf(own, sizeof(own), "%s", secret);
			break;
		case 4:
			len = snprintf(own, sizeof(own), "%c%s%c%s", '\0', names[how / 8 % NROLES], '\0', secret);
			break;
		case 5:
			len = snprintf(own, sizeof(own), "%c%s%cwrong", '\0', names[how / 8 % NROLES], '\0');
			break;
		case 6:
			len = snprintf(own, sizeof(own), "n,,\001auth=Bearer %s-%s%s\001\001", names[how / 8 % NROLES], secret, how & 64 ? "~" : "");
			break;
		default:
			len = next(in);
			len = Min(len, (int) in->left);
			memcpy(own, in->at, len);
			in->at += len;
			in->left -= len;
	}
	request = new_call(sizeof(SaslAuthenticateRequest), sizeof(SaslAuthenticateResponse));
	request->auth_bytes.len = len;
	request->auth_bytes.data = memcpy(palloc(len), own, len);
	take(kafka_handler_sasl_authenticate.begin(call));
}

/* Somebody else does something. */
static void
change(uint8_t how)
{
	static const UserAuth methods[] = {uaPassword, uaSCRAM, uaTrust, uaReject, uaCert};
	Role	   *role = &roles[how / 8 % NROLES];

	switch (how % 8)
	{
		case 0:
			role->oid = OidIsValid(role->oid) ? InvalidOid : next_oid++;
			changes++;
			break;
		case 1:
			role->may_log_in = !role->may_log_in;
			changes++;
			break;
		case 2:
			line.auth_method = methods[how / 8 % lengthof(methods)];
			break;
		case 3:
			line.linenumber = how / 8 % 4;
			break;
		case 4:
			pt_max_reauth_ms = how / 8 % 2 ? 1000 : 0;
			break;
		case 5:
			busy = !busy;
			break;
		case 6:
			limit = how / 8 % 3 - 1;
			connections = how / 8 % 4;
			break;
		default:
			pt_failed_login_delay_ms = how / 8 % 2 ? 50 : 0;
	}
}

static int
count_connections(KafkaSession *of, Oid oid)
{
	return connections;
}

static void
reset(void)
{
	changes = 1;
	next_oid = 20;
	for (int i = 0; i < NROLES; i++)
		roles[i] = (Role)
	{
		names[i], 10 + i, true, i < 2 ? (i == 0 ? "A" : "B") : NULL
	};
	line = (HbaLine)
	{
		.linenumber = 1,.auth_method = uaPassword
	};
	busy = false;
	limit = -1;
	connections = 1;
	clock_now = 1000000;
	pt_max_reauth_ms = 0;
	pt_failed_login_delay_ms = 0;
	kafka_connections_hook = count_connections;
}

static void
step(Input *in)
{
	uint8_t		what = next(in);

	if (what % 8 == 7)
		clock_now += (TimestampTz) next(in) * 20000;
	else if (what % 8 == 6)
		change(next(in));
	else if (what % 8 == 5)
		connect_by(next(in));
	else if (call != NULL)
	{
		CurrentMemoryContext = call->mcxt;
		take(kafka_handler_sasl_authenticate.resume(call, clock_now >= call->deadline));
	}
	else if (what % 8 < 2)
		handshake(what / 8);
	else
		authenticate(in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};

	reset();
	connect_by(next(&in));
	while (in.left > 0)
	{
		step(&in);
		CurrentMemoryContext = (MemoryContext) &top;
		if (call == NULL)
			check();
		clear(&top);
	}
	disconnect();
	INSIST(arenas == &top && MyProcPort == NULL);
	clear(&top);
	return 0;
}

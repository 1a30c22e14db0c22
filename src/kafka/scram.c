/*-------------------------------------------------------------------------
 *
 * scram.c
 *	  SCRAM credentials of Kafka users are the passwords of PostgreSQL's roles.
 *
 * A client that sets a password sends the salt, the iterations and the
 * SaltedPassword, but not the password.  StoredKey and ServerKey, which
 * PostgreSQL keeps, follow from these (RFC 5802).  So a role that got its
 * password through Kafka can log in to PostgreSQL with it, and the other way
 * round.
 *
 * The passwords of roles that could take over the server are never touched
 * (is_powerful), whatever pgtopic.kafka_admin says.
 *
 * Siblings: scram.h; api/50, api/51.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "common/base64.h"
#include "common/cryptohash.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "kafka/scram.h"

#define VERIFIER_PREFIX		"SCRAM-SHA-256$"

StaticAssertDecl(KAFKA_SCRAM_SALTED_LEN == PG_SHA256_DIGEST_LENGTH, "SCRAM-SHA-256 is made of SHA-256");

/*
 * Returns the number of iterations of a password in the form of pg_authid, or
 * 0 if it is not a SCRAM-SHA-256 one.
 */
static int
iterations_of(const char *password)
{
	char	   *end;
	long		n;

	if (password == NULL || strncmp(password, VERIFIER_PREFIX, strlen(VERIFIER_PREFIX)) != 0)
		return 0;
	n = strtol(password + strlen(VERIFIER_PREFIX), &end, 10);
	return *end == ':' && n > 0 && n <= PG_INT32_MAX ? (int) n : 0;
}

/*
 * Runs a statement by SPI. A failure does not show the statement, because it
 * has a password.
 */
static void
run(const char *sql, bool read_only)
{
	if (SPI_execute(sql, read_only, 0) < 0)
		elog(ERROR, "SPI_execute failed");	/* without the statement: it has a
											 * password */
}

/*
 * Returns the roles that have a SCRAM-SHA-256 password, in order of name:
 * List of KafkaScramUser *, in the current memory context.  Must run in a
 * transaction.
 */
List *
kafka_scram_users(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *users = NIL;

	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	run("SELECT rolname, rolpassword FROM pg_catalog.pg_authid ORDER BY rolname::pg_catalog.text COLLATE \"C\"", true);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		int			iterations = iterations_of(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2));
		KafkaScramUser *user;
		MemoryContext old;

		if (iterations == 0)
			continue;
		old = MemoryContextSwitchTo(caller);
		user = palloc(sizeof(KafkaScramUser));
		user->name = pstrdup(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		user->iterations = iterations;
		users = lappend(users, user);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	PopActiveSnapshot();
	return users;
}

/*
 * Computes the HMAC-SHA-256 of a text; out has room for
 * PG_SHA256_DIGEST_LENGTH bytes.
 */
static void
hmac(const uint8 *key, const char *text, uint8 *out)
{
	pg_hmac_ctx *ctx = pg_hmac_create(PG_SHA256);

	if (ctx == NULL ||
		pg_hmac_init(ctx, key, KAFKA_SCRAM_SALTED_LEN) < 0 ||
		pg_hmac_update(ctx, (const uint8 *) text, strlen(text)) < 0 ||
		pg_hmac_final(ctx, out, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute HMAC");
	pg_hmac_free(ctx);
}

/*
 * Computes the SHA-256; out has room for PG_SHA256_DIGEST_LENGTH bytes.
 */
static void
sha256(const uint8 *data, size_t len, uint8 *out)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);

	if (ctx == NULL || pg_cryptohash_init(ctx) < 0 || pg_cryptohash_update(ctx, data, len) < 0 ||
		pg_cryptohash_final(ctx, out, PG_SHA256_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(ctx);
}

/*
 * Returns the bytes as base64, in the current memory context.
 */
static char *
base64(const void *data, int len)
{
	int			size = pg_b64_enc_len(len);
	char	   *text = palloc(size + 1);
	int			n = pg_b64_encode(data, len, text, size);

	if (n < 0)
		elog(ERROR, "could not encode base64");
	text[		n] = '\0';
	return text;
}

/*
 * Returns a password in the form of pg_authid (src/common/scram-common.c), in
 * the current memory context.  The salt must not be empty, and the salted
 * password must have KAFKA_SCRAM_SALTED_LEN bytes.  The names are those of
 * RFC 5802.
 */
char *
kafka_scram_verifier(int iterations, KafkaString salt, KafkaString salted_password)
{
	uint8		client_key[PG_SHA256_DIGEST_LENGTH];
	uint8		stored_key[PG_SHA256_DIGEST_LENGTH];
	uint8		server_key[PG_SHA256_DIGEST_LENGTH];

	Assert(iterations > 0);
	Assert(salt.len > 0 && salted_password.len == KAFKA_SCRAM_SALTED_LEN);
	hmac((const uint8 *) salted_password.data, "Client Key", client_key);
	sha256(client_key, sizeof(client_key), stored_key);
	hmac((const uint8 *) salted_password.data, "Server Key", server_key);
	return psprintf("%s%d:%s$%s:%s", VERIFIER_PREFIX, iterations, base64(salt.data, salt.len),
					base64(stored_key, sizeof(stored_key)), base64(server_key, sizeof(server_key)));
}

/* What the catalog says of a role. */
typedef struct Role
{
	bool		exists;
	bool		has_credential;
	bool		powerful;		/* has, or can get, more than a user of topics
								 * needs */
} Role;

/*
 * Returns true if the role has by itself more than a user of topics needs.
 * The server's own roles (pg_execute_server_program and the others) count as
 * such.
 */
static bool
has_power(Form_pg_authid form)
{
	return form->rolsuper || form->rolreplication || form->rolbypassrls || form->rolcreaterole ||
		form->rolcreatedb || strncmp(NameStr(form->rolname), "pg_", 3) == 0;
}

/*
 * Returns true if the role has such power, or is a member of a role that has
 * it, by any number of steps.  The owner of the database is one of these
 * roles.
 */
static bool
is_powerful(Oid role)
{
	Relation	rel = table_open(AuthIdRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	bool		result = false;

	while (!result && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

		result = has_power(form) && is_member_of_role_nosuper(role, form->oid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Looks a role up. role->exists says whether it is there.
 */
static void
look_up(const char *name, Role *role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(name));
	Form_pg_authid form;
	Datum		password;
	bool		isnull;

	memset(role, 0, sizeof(*role));
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_authid) GETSTRUCT(tuple);
	role->exists = true;
	role->powerful = is_powerful(form->oid);
	password = SysCacheGetAttr(AUTHNAME, tuple, Anum_pg_authid_rolpassword, &isnull);
	role->has_credential = !isnull && iterations_of(TextDatumGetCString(password)) > 0;
	ReleaseSysCache(tuple);
}

/* The statement to run.  For kafka_run_transaction(). */
typedef struct SetPassword
{
	const char *sql;
} SetPassword;

static void
set_password(void *arg)
{
	SPI_connect();
	run(((SetPassword *) arg)->sql, false);
	SPI_finish();
}

/*
 * Replaces codes that kafka_error_from_sqlstate() gives for topics.
 */
static void
map_error(KafkaError *error)
{
	if (error->sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE)
		error->code = KERR_CLUSTER_AUTHORIZATION_FAILED;
	else if (error->sqlstate == ERRCODE_RESERVED_NAME)
		error->code = KERR_UNACCEPTABLE_CREDENTIAL;
	else if (error->sqlstate == ERRCODE_DUPLICATE_OBJECT || error->sqlstate == ERRCODE_UNDEFINED_OBJECT)
		error->code = KERR_REQUEST_TIMED_OUT;	/* somebody else was there
												 * first: try again */
}

/*
 * Gives the role this password, and creates the role (with LOGIN) if it does
 * not exist. NULL removes the password.  Runs in a transaction of its own, as
 * kafka_run_transaction() does.  Returns false with the error, which has been
 * logged if it is the server's.  The caller checks kafka_admin_allowed().
 */
bool
kafka_scram_set(KafkaCall *call, const char *name, const char *verifier, KafkaError *error)
{
	SetPassword set;
	Role		role;
	const char *quoted = quote_identifier(name);

	memset(error, 0, sizeof(*error));
	look_up(name, &role);
	if (verifier == NULL && !role.has_credential)
	{
		error->code = KERR_RESOURCE_NOT_FOUND;
		error->message = "Attempt to delete a user credential that does not exist";
		return false;
	}
	if (role.powerful)
	{
		error->code = KERR_CLUSTER_AUTHORIZATION_FAILED;
		error->message = psprintf("Role \"%s\" has privileges on the server: its password is not changed through Kafka.",
								  name);
		return false;
	}
	if (verifier == NULL)
		set.sql = psprintf("ALTER ROLE %s PASSWORD NULL", quoted);
	else
		set.sql = psprintf("%s ROLE %s %sPASSWORD %s", role.exists ? "ALTER" : "CREATE", quoted,
						   role.exists ? "" : "LOGIN ", quote_literal_cstr(verifier));
	if (kafka_run_transaction(call, set_password, &set, error))
	{
		ereport(LOG,
				(errmsg("Kafka client \"%s\" at %s %s the password of role \"%s\"", call->session->client_id,
						call->session->peer, verifier ? "set" : "removed", name)));
		return true;
	}
	map_error(error);
	kafka_log_error(call, error);
	return false;
}

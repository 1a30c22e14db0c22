/*-------------------------------------------------------------------------
 *
 * password.c
 *	  Passwords as they are (PLAIN), checked against what pg_authid has.
 *
 * Checking a password against a SCRAM verifier takes as many rounds of HMAC as
 * the verifier has iterations: some milliseconds of CPU time with the server's
 * default.  The process serves others, so there are two bounds: a verifier
 * with too many iterations is not checked, and after a check the next one
 * waits for three times as long as it took.  Whoever floods a listener with
 * passwords has at most a quarter of its time, and none in one piece.
 *
 * A role that is not there, or has no password, costs the same as one that
 * has: a verifier that nothing fits is checked instead.  It is checked beside
 * a password that is kept as md5, which costs nothing.
 *
 * Siblings: sasl.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq/crypt.h"
#include "portability/instr_time.h"
#include "utils/timestamp.h"

#include "auth/internal.h"

/* About 50 ms with a processor of 2020. */
#define ITERATIONS_MAX	100000

#define VERIFIER_PREFIX	"SCRAM-SHA-256$"

/* Nobody has found a password for a key of zeros. */
#define MOCK_VERIFIER	VERIFIER_PREFIX "4096:AAAAAAAAAAAAAAAAAAAAAA==$" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static TimestampTz free_at = 0; /* no check before */

/*
 * Must the next check wait?  Then *until is when to ask again.
 */
bool
pt_password_busy(TimestampTz *until)
{
	*until = free_at;
	return GetCurrentTimestamp() < free_at;
}

/*
 * Returns the iterations of a verifier, 0 for one of another kind.
 */
static long
iterations_of(const char *secret)
{
	if (strncmp(secret, VERIFIER_PREFIX, strlen(VERIFIER_PREFIX)) != 0)
		return 0;
	return strtol(secret + strlen(VERIFIER_PREFIX), NULL, 10);
}

/*
 * Is it the password of the secret, which is NULL if the role has none?
 * *detail may get a reason for the log.
 */
bool
pt_password_matches(const char *role, const char *secret, const char *password, const char **detail)
{
	const char *unused = NULL;
	TimestampTz started = GetCurrentTimestamp();
	TimestampTz ended;
	bool		known = secret != NULL;
	bool		matches;

	if (known && iterations_of(secret) > ITERATIONS_MAX)
	{
		*detail = psprintf("The password of role \"%s\" has more than %d iterations, which is too many to check it for mechanism PLAIN.",
						   role, ITERATIONS_MAX);
		known = false;
	}
	matches = plain_crypt_verify(role, known ? secret : MOCK_VERIFIER, password, known ? detail : &unused) == STATUS_OK;
	if (known && iterations_of(secret) == 0)
		(void) plain_crypt_verify(role, MOCK_VERIFIER, password, &unused);
	ended = GetCurrentTimestamp();
	free_at = ended + 3 * Max(ended - started, 0);
	return known && matches;
}

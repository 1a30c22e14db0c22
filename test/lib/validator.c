/*-------------------------------------------------------------------------
 *
 * validator.c
 *	  A module that checks tokens of OAuth, for tests.
 *
 * The tokens are unsecured JSON Web Tokens, or, without dots, plain words.  Whom
 * a token is for, and what the validator does with it, is in its subject or in
 * the word:
 *
 *		NAME		it is NAME's
 *		deny-NAME	it is NAME's, who is not let in
 *		nobody		it is right, and nobody's
 *		throw		an ERROR
 *		fail		the validator says that it cannot tell
 *		wait-NAME	it is NAME's; that takes until the file "go" in the data
 *					directory is there, or it is cancelled
 *		deaf-NAME	the same, and it cannot be cancelled
 *		exit		the process ends
 *
 * The log hears of each call: which role, and how often in this process.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "common/base64.h"
#include "fmgr.h"

/* whose headers are not everywhere */
#undef ENABLE_GSS
#include "libpq/libpq-be.h"
#include "libpq/oauth.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

PG_MODULE_MAGIC;

static int	calls;

/* The text of a claim of a JSON Web Token, by the simplest of means. */
static char *
subject_of(const char *token)
{
	const char *dot = strchr(token, '.');
	int			len = dot == NULL ? 0 : (int) strcspn(dot + 1, ".");
	char	   *text = palloc(len + 4);
	uint8	   *bytes;
	char	   *at;
	int			n;

	if (dot == NULL)
		return pstrdup(token);
	memcpy(text, dot + 1, len);
	for (int i = 0; i < len; i++)
		text[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
	while (len % 4 != 0)
		text[len++] = '=';
	bytes = palloc0(pg_b64_dec_len(len) + 1);
	n = pg_b64_decode(text, len, bytes, pg_b64_dec_len(len));
	if (n < 0 || (at = strstr((char *) bytes, "\"sub\"")) == NULL)
		return pstrdup("");
	at += strlen("\"sub\"");
	at += strcspn(at, "\"");
	return *at == '"' ? pnstrdup(at + 1, strcspn(at + 1, "\"")) : pstrdup("");
}

static const char *
behind(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : NULL;
}

static void
await_go(bool deaf)
{
	while (access("go", F_OK) != 0)
	{
		if (deaf)
		{
			pg_usleep(20000);
			continue;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static bool
validate(const ValidatorModuleState *state, const char *token, const char *role, ValidatorModuleResult *result)
{
	const char *subject = subject_of(token);
	const char *rest;

	ereport(LOG,
			(errmsg("validator: role %s of %s at %s%s, call %d", role, MyProcPort->database_name, MyProcPort->remote_host,
					MyProcPort->ssl_in_use ? " with TLS" : "", ++calls)));
	if (strcmp(subject, "throw") == 0)
		ereport(ERROR, (errmsg("the validator throws")));
	if (strcmp(subject, "exit") == 0)
		proc_exit(1);
	if (strcmp(subject, "fail") == 0)
		return false;
	result->authorized = true;
	if ((rest = behind(subject, "deny-")) != NULL)
	{
		result->authorized = false;
		subject = rest;
	}
	else if ((rest = behind(subject, "wait-")) != NULL || (rest = behind(subject, "deaf-")) != NULL)
	{
		await_go(subject[0] == 'd');
		subject = rest;
	}
	if (strcmp(subject, "nobody") != 0)
		result->authn_id = pstrdup(subject);
	return true;
}

static const OAuthValidatorCallbacks callbacks = {
	PG_OAUTH_VALIDATOR_MAGIC,
	.validate_cb = validate
};

const OAuthValidatorCallbacks *
_PG_oauth_validator_module_init(void)
{
	return &callbacks;
}

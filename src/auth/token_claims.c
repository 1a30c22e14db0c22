/*-------------------------------------------------------------------------
 *
 * token_claims.c
 *	  What a token says of itself: whose it is, and until when.
 *
 * Kafka's clients send a token and no name.  Most tokens are JSON Web Tokens
 * (RFC 7519), three parts in base64url with dots between them, the second of
 * which is an object.  Its "sub" is who the client says it is, as the name in
 * a message of PLAIN; whether that is true is for the validator to find out
 * (token_worker.c).
 *
 * Siblings: sasl.c (the caller), message.c, certificate.c (finds a role in the
 * same way).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "auth/token.h"

#ifdef PT_HAS_OAUTH

#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "nodes/miscnodes.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

/* The last second of the year 9999. */
#define SECONDS_MAX		253402300799.0

/*
 * Decodes base64url without padding.  Returns the text in the server's
 * encoding, palloc'd, or NULL if it is none.
 */
static char *
decode(const char *from, int len)
{
	char	   *standard = palloc(len + 4);
	uint8	   *bytes;
	int			n;

	for (int i = 0; i < len; i++)
		standard[i] = from[i] == '-' ? '+' : from[i] == '_' ? '/' : from[i];
	while (len % 4 != 0)
		standard[len++] = '=';
	n = pg_b64_dec_len(len);
	bytes = palloc(n + 1);
	n = pg_b64_decode(standard, len, bytes, n);
	if (n <= 0 || memchr(bytes, '\0', n) != NULL || !pg_verify_mbstr(PG_UTF8, (char *) bytes, n, true))
		return NULL;
	bytes[n] = '\0';
	return pg_any_to_server((char *) bytes, n, PG_UTF8);
}

/*
 * Reads a time of RFC 7519: seconds since 1970, perhaps with a fraction.
 */
static TimestampTz
read_time(const JsonbValue *value)
{
	double		seconds;

	if (value == NULL || value->type != jbvNumeric)
		return DT_NOEND;
	seconds = strtod(DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric))), NULL);
	if (!(seconds >= 0 && seconds <= SECONDS_MAX))
		return DT_NOEND;
	return time_t_to_timestamptz((pg_time_t) seconds);
}

/*
 * Reads what the token says.  Anything that is no such token says nothing.
 */
void
pt_token_claims(const char *token, int len, PtTokenClaims *claims)
{
	ErrorSaveContext problem = {T_ErrorSaveContext};
	const char *first = memchr(token, '.', len);
	const char *second = first == NULL ? NULL : memchr(first + 1, '.', token + len - first - 1);
	char	   *text = second == NULL ? NULL : decode(first + 1, second - first - 1);
	Datum		json;
	JsonbContainer *root;
	JsonbValue *subject;

	claims->subject = NULL;
	claims->expires_at = DT_NOEND;
	if (text == NULL || !DirectInputFunctionCallSafe(jsonb_in, text, InvalidOid, -1, (Node *) &problem, &json))
		return;
	root = &DatumGetJsonbP(json)->root;
	if (!JsonContainerIsObject(root))
		return;
	subject = getKeyJsonValueFromContainer(root, "sub", strlen("sub"), NULL);
	if (subject != NULL && subject->type == jbvString && subject->val.string.len > 0)
		claims->subject = pnstrdup(subject->val.string.val, subject->val.string.len);
	claims->expires_at = read_time(getKeyJsonValueFromContainer(root, "exp", strlen("exp"), NULL));
}

/*
 * Finds the role that the token's subject may be: the first line for tokens
 * that the map leads to from the subject, or without a map the role of that
 * name.  role_name has room for NAMEDATALEN bytes.  Returns false if there is
 * none.  Must run in a transaction.
 */
bool
pt_token_role(const PtAuthPeer *peer, const PtTokenClaims *claims, char *role_name)
{
	ListCell   *cell;

	foreach(cell, claims->subject == NULL ? NIL : pt_hba_lines())
	{
		const HbaLine *line = lfirst(cell);
		ListCell   *role_cell;

		if (!pt_hba_is_oauth(line) || !pt_hba_may_match(line, peer))
			continue;
		foreach(role_cell, pt_ident_roles(line->oauth_skip_usermap ? NULL : line->usermap, claims->subject))
		{
			const char *role = lfirst(role_cell);

			if (strlen(role) < NAMEDATALEN && pt_hba_find(peer, role, get_role_oid(role, true)) == line)
			{
				strlcpy(role_name, role, NAMEDATALEN);
				return true;
			}
		}
	}
	return false;
}

#else

void
pt_token_claims(const char *token, int len, PtTokenClaims *claims)
{
	claims->subject = NULL;
	claims->expires_at = DT_NOEND;
}

bool
pt_token_role(const PtAuthPeer *peer, const PtTokenClaims *claims, char *role_name)
{
	return false;
}

#endif

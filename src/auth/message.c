/*-------------------------------------------------------------------------
 *
 * message.c
 *	  First messages of SASL mechanisms: who does the client say it is?
 *
 * Pure: bytes in, bytes out, no server in sight.  The bytes are of somebody
 * who has not authenticated himself.
 *
 * Siblings: message.h, sasl.c; test/unit/test_sasl_message.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "auth/message.h"

/*
 * Copies a name of SCRAM, in which "=2C" is a comma and "=3D" an equals sign
 * (RFC 5802, saslname).  Returns false for another escape and for what does
 * not fit.
 */
static bool
decode_saslname(const char *from, const char *end, char *name, int name_size)
{
	int			n = 0;

	while (from < end)
	{
		char		c = *from++;

		if (c == '=')
		{
			if (end - from < 2)
				return false;
			if (from[0] == '2' && from[1] == 'C')
				c = ',';
			else if (!(from[0] == '3' && from[1] == 'D'))
				return false;
			from += 2;
		}
		if (n + 1 >= name_size)
			return false;
		name[n++] = c;
	}
	name[n] = '\0';
	return n > 0;
}

/*
 * Reads the user's name of a client-first-message of SCRAM:
 *
 *		n,,n=NAME,r=NONCE
 *
 * with "y" for the first "n" where the client would know channel binding.
 * What comes behind the name is the server's SCRAM to look at.  An identity to
 * act as (behind the first comma) may only be the name itself, which Kafka's
 * clients never send: PostgreSQL knows none.
 */
const char *
pt_scram_user_name(const char *message, int len, char *name, int name_size)
{
	const char *end = message + len;
	const char *at;
	const char *comma;

	Assert(len >= 0 && name_size > 0);
	name[0] = '\0';
	if (len > PT_SASL_MESSAGE_MAX)
		return "the message is too long";
	if (memchr(message, '\0', len) != NULL)
		return "the message has a zero byte";
	if (len < 3 || (message[0] != 'n' && message[0] != 'y') || message[1] != ',')
		return "the message is no first message of SCRAM without channel binding";
	if (message[2] != ',')
		return "an authorization identity is not supported";
	at = message + 3;
	if (end - at < 2 || at[0] != 'n' || at[1] != '=')
		return "the message has no user name";
	at += 2;
	comma = memchr(at, ',', end - at);
	if (comma == NULL)
		return "the message has no nonce";
	if (!decode_saslname(at, comma, name, name_size))
	{
		name[0] = '\0';
		return "the user name is not valid";
	}
	return NULL;
}

/*
 * Copies bytes that have no zero byte.  Returns false if they do not fit.
 */
static bool
copy_text(char *to, int size, const char *from, int len)
{
	if (len >= size)
		return false;
	memcpy(to, from, len);
	to[len] = '\0';
	return true;
}

/*
 * Reads the message of PLAIN (RFC 4616):
 *
 *		[identity to act as] NUL name NUL password
 *
 * The identity, if there is one, must be the name.
 */
const char *
pt_plain_read(const char *message, int len, char *name, int name_size, char *password, int password_size)
{
	const char *end = message + len;
	const char *first;
	const char *second;

	Assert(len >= 0 && name_size > 0 && password_size > 0);
	name[0] = password[0] = '\0';
	if (len > PT_SASL_MESSAGE_MAX)
		return "the message is too long";
	first = memchr(message, '\0', len);
	second = first == NULL ? NULL : memchr(first + 1, '\0', end - first - 1);
	if (second == NULL || memchr(second + 1, '\0', end - second - 1) != NULL)
		return "the message does not have three parts";
	if (second - first - 1 == 0)
		return "the message has no user name";
	if (end - second - 1 == 0)
		return "the password is empty";
	if (first > message &&
		(first - message != second - first - 1 || memcmp(message, first + 1, first - message) != 0))
		return "an authorization identity is not supported";
	if (!copy_text(name, name_size, first + 1, second - first - 1))
		return "the user name is not valid";
	if (!copy_text(password, password_size, second + 1, end - second - 1))
	{
		name[0] = '\0';
		return "the password is too long";
	}
	return NULL;
}

/*
 * Returns the first byte behind "word", or NULL if the text does not begin
 * with it, in whatever case.
 */
static const char *
skip_word(const char *at, const char *end, const char *word)
{
	int			n = strlen(word);

	return end - at >= n && pg_strncasecmp(at, word, n) == 0 ? at + n : NULL;
}

/*
 * Finds the token in the value of "auth": "Bearer", blanks, and the token
 * (RFC 6750, b64token).
 */
static const char *
read_credentials(const char *at, const char *end, const char **token, int *token_len)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";

	at = skip_word(at, end, "Bearer ");
	if (at == NULL)
		return "the message has no bearer token";
	while (at < end && *at == ' ')
		at++;
	*token = at;
	while (at < end && *at != '\0' && strchr(allowed, *at) != NULL)
		at++;
	if (at == *token)
		return "the token is empty";
	while (at < end && *at == '=')
		at++;
	*token_len = at - *token;
	return at == end ? NULL : "the token has a character that is not allowed";
}

/*
 * Takes a pair of the message, key=value.  "auth" has the token, "role" is an
 * extension (KIP-342) by which a client may say which role it wants to be.
 * What else there is has no meaning here.
 */
static const char *
read_pair(const char *at, const char *end, char *role, int role_size, const char **token, int *token_len)
{
	const char *equals = memchr(at, '=', end - at);
	int			key_len = equals == NULL ? 0 : equals - at;

	if (key_len == 0)
		return "the message has something that is no pair of key and value";
	for (int i = 0; i < key_len; i++)
	{
		if (!((at[i] >= 'a' && at[i] <= 'z') || (at[i] >= 'A' && at[i] <= 'Z')))
			return "the message has a key with other characters than letters";
	}
	if (key_len == 4 && memcmp(at, "auth", 4) == 0)
		return *token != NULL ? "the message has two tokens" : read_credentials(equals + 1, end, token, token_len);
	if (key_len == 4 && memcmp(at, "role", 4) == 0)
	{
		if (role[0] != '\0')
			return "the message names two roles";
		if (equals + 1 == end || !copy_text(role, role_size, equals + 1, end - equals - 1))
			return "the role's name is not valid";
	}
	return NULL;
}

/*
 * Reads the header of the message: "n,," or "y,,", with a=NAME between the
 * commas if the client says as whom it wants to act, and 0x01 behind it.
 */
static const char *
read_bearer_header(const char **at, const char *end, char *role, int role_size)
{
	const char *comma;

	if (end - *at < 4 || ((*at)[0] != 'n' && (*at)[0] != 'y') || (*at)[1] != ',')
		return "the message is no first message without channel binding";
	*at += 2;
	comma = memchr(*at, ',', end - *at);
	if (comma == NULL || comma + 1 == end || comma[1] != '\001')
		return "the message has no end of its header";
	if (comma > *at)
	{
		if (comma - *at < 3 || (*at)[0] != 'a' || (*at)[1] != '=' ||
			!decode_saslname(*at + 2, comma, role, role_size))
			return "the authorization identity is not valid";
	}
	*at = comma + 2;
	return NULL;
}

static const char *
read_bearer(const char *at, const char *end, char *role, int role_size, const char **token, int *token_len)
{
	const char *problem = read_bearer_header(&at, end, role, role_size);

	while (problem == NULL && at < end && *at != '\001')
	{
		const char *next = memchr(at, '\001', end - at);

		if (next == NULL)
			return "the message ends amid a pair";
		problem = read_pair(at, next, role, role_size, token, token_len);
		at = next + 1;
	}
	if (problem != NULL)
		return problem;
	if (at + 1 != end)
		return "the message has no end, or something behind it";
	return *token == NULL ? "the message has no token" : NULL;
}

/*
 * Reads the message of OAUTHBEARER (RFC 7628), as Kafka's clients send it
 * (KIP-255):
 *
 *		n,,^Aauth=Bearer TOKEN^Akey=value^A^A
 *
 * The role is empty if the client does not say it; it may, as authorization
 * identity or as extension "role".  The token is in the message, without a
 * zero byte behind it.
 */
const char *
pt_bearer_read(const char *message, int len, char *role, int role_size, const char **token, int *token_len)
{
	const char *problem;

	Assert(len >= 0 && role_size > 0);
	role[0] = '\0';
	*token = NULL;
	*token_len = 0;
	if (len > PT_BEARER_MESSAGE_MAX)
		return "the message is too long";
	if (memchr(message, '\0', len) != NULL)
		return "the message has a zero byte";
	problem = read_bearer(message, message + len, role, role_size, token, token_len);
	if (problem != NULL)
		role[0] = '\0';
	return problem;
}

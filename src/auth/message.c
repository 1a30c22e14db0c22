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

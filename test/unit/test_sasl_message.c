/*-------------------------------------------------------------------------
 *
 * test_sasl_message.c
 *	  First messages of SASL mechanisms: names and passwords are read as they
 *	  were meant, and all other bytes are refused within their bounds.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/auth/message.c */
#include "test.h"

#include "auth/message.h"

#define NAME_SIZE	64

static char name[NAME_SIZE];
static char password[128];

/*
 * A copy of exactly these bytes, so that the sanitizer sees who reads on.
 */
static const char *
scram(const char *bytes, int len)
{
	char	   *copy = pg_malloc(len);
	const char *problem;

	memcpy(copy, bytes, len);
	problem = pt_scram_user_name(copy, len, name, sizeof(name));
	pg_free(copy);
	CHECK((problem != NULL) == (name[0] == '\0'));
	return problem;
}

static const char *
plain(const char *bytes, int len)
{
	char	   *copy = pg_malloc(len);
	const char *problem;

	memcpy(copy, bytes, len);
	problem = pt_plain_read(copy, len, name, sizeof(name), password, sizeof(password));
	pg_free(copy);
	CHECK((problem != NULL) == (name[0] == '\0'));
	return problem;
}

static const char *token;
static int	token_len;

static const char *
bearer(const char *bytes, int len)
{
	static char *copy;
	const char *problem;

	pg_free(copy);
	copy = pg_malloc(len);		/* the token is in it */
	memcpy(copy, bytes, len);
	problem = pt_bearer_read(copy, len, name, sizeof(name), &token, &token_len);
	if (problem == NULL)
		CHECK(token >= copy && token_len > 0 && token + token_len <= copy + len);
	return problem;
}

#define BEARER(text) bearer(text, sizeof(text) - 1)
#define TOKEN_IS(text) (token_len == (int) strlen(text) && memcmp(token, text, token_len) == 0)

#define SCRAM(text) scram(text, sizeof(text) - 1)
#define PLAIN(text) plain(text, sizeof(text) - 1)

static void
test_scram_names(void)
{
	CHECK(SCRAM("n,,n=alice,r=abc") == NULL);
	CHECK(strcmp(name, "alice") == 0);
	CHECK(SCRAM("y,,n=alice,r=abc") == NULL);
	CHECK(SCRAM("n,,n=a=2Cb=3Dc,r=abc") == NULL);
	CHECK(strcmp(name, "a,b=c") == 0);
	CHECK(SCRAM("n,,n=\xC3\xBC,r=abc") == NULL);
	CHECK(strcmp(name, "\xC3\xBC") == 0);
	CHECK(SCRAM("n,,n=alice,") == NULL);	/* the nonce is the server's to
											 * miss */
}

static void
test_scram_refused(void)
{
	CHECK(SCRAM("") != NULL);
	CHECK(SCRAM("n") != NULL);
	CHECK(SCRAM("n,") != NULL);
	CHECK(SCRAM("n,,") != NULL);
	CHECK(SCRAM("n,,n") != NULL);
	CHECK(SCRAM("n,,n=") != NULL);
	CHECK(SCRAM("n,,n=,r=abc") != NULL);
	CHECK(SCRAM("n,,n=alice") != NULL);
	CHECK(SCRAM("n,,r=abc,n=alice") != NULL);
	CHECK(SCRAM("n,a=bob,n=alice,r=abc") != NULL);
	CHECK(SCRAM("p=tls-unique,,n=alice,r=abc") != NULL);
	CHECK(SCRAM("x,,n=alice,r=abc") != NULL);
	CHECK(SCRAM("n,,n=a=2c,r=abc") != NULL);
	CHECK(SCRAM("n,,n=a=,r=abc") != NULL);
	CHECK(SCRAM("n,,n=a=2,r=abc") != NULL);
	CHECK(SCRAM("n,,n=a=3C,r=abc") != NULL);
	CHECK(SCRAM("n,,n=al\0ice,r=abc") != NULL);
}

static void
test_scram_lengths(void)
{
	char		message[PT_SASL_MESSAGE_MAX + 2];

	for (int len = 1; len < NAME_SIZE + 2; len++)
	{
		int			n = snprintf(message, sizeof(message), "n,,n=%.*s,r=abc", len,
								 "0123456789012345678901234567890123456789012345678901234567890123456789");

		SAY("a name of %d bytes", len);
		CHECK((scram(message, n) == NULL) == (len < NAME_SIZE));
	}
	memset(message, 'x', sizeof(message));
	memcpy(message, "n,,n=alice,r=", strlen("n,,n=alice,r="));
	SAY("the longest message");
	CHECK(scram(message, PT_SASL_MESSAGE_MAX) == NULL);
	CHECK(scram(message, PT_SASL_MESSAGE_MAX + 1) != NULL);
}

static void
test_plain(void)
{
	CHECK(PLAIN("\0alice\0secret") == NULL);
	CHECK(strcmp(name, "alice") == 0 && strcmp(password, "secret") == 0);
	CHECK(PLAIN("alice\0alice\0secret") == NULL);
	CHECK(PLAIN("bob\0alice\0secret") != NULL);
	CHECK(PLAIN("alic\0alice\0secret") != NULL);
	CHECK(PLAIN("") != NULL);
	CHECK(PLAIN("alice") != NULL);
	CHECK(PLAIN("\0alice") != NULL);
	CHECK(PLAIN("\0alice\0") != NULL);
	CHECK(PLAIN("\0\0secret") != NULL);
	CHECK(PLAIN("\0alice\0sec\0ret") != NULL);
	CHECK(PLAIN("\0alice\0secret\0") != NULL);
	CHECK(PLAIN("\0\0\0\0") != NULL);
}

static void
test_plain_lengths(void)
{
	char		message[512];

	memset(message, 'x', sizeof(message));
	message[0] = message[6] = '\0';
	SAY("a password that just fits");
	CHECK(plain(message, 7 + (int) sizeof(password) - 1) == NULL);
	CHECK_INT(strlen(password), sizeof(password) - 1);
	SAY("a password that does not");
	CHECK(plain(message, 7 + (int) sizeof(password)) != NULL);
	CHECK(password[0] == '\0');
	message[6] = 'x';
	message[NAME_SIZE + 1] = '\0';
	SAY("a name that does not");
	CHECK(plain(message, NAME_SIZE + 5) != NULL);
}

/*
 * Whatever the bytes are.
 */
static void
test_random_bytes(void)
{
	static const char alphabet[] = {'n', ',', '=', 'y', '2', 'C', '3', 'D', 'r', '\0', 'a', '\xff', '\001'};
	uint32		seed = 1;

	for (int i = 0; i < 200000; i++)
	{
		char		bytes[24];
		int			len;

		for (int j = 0; j < sizeof(bytes); j++)
		{
			seed = seed * 1664525 + 1013904223;
			bytes[j] = alphabet[(seed >> 16) % sizeof(alphabet)];
		}
		len = (seed >> 8) % (sizeof(bytes) + 1);
		(void) scram(bytes, len);
		(void) plain(bytes, len);
		(void) bearer(bytes, len);
	}
}

static void
test_bearer(void)
{
	CHECK(BEARER("n,,\001auth=Bearer a.b-_~+/c==\001\001") == NULL);
	CHECK(TOKEN_IS("a.b-_~+/c==") && name[0] == '\0');
	CHECK(BEARER("y,,\001auth=bEARER   a.b.\001\001") == NULL);
	CHECK(TOKEN_IS("a.b."));
	CHECK(BEARER("n,a=al=2Cice,\001auth=Bearer t\001\001") == NULL);
	CHECK(strcmp(name, "al,ice") == 0);
	CHECK(BEARER("n,,\001logicalCluster=x y\001auth=Bearer t\001role=alice\001empty=\001\001") == NULL);
	CHECK(strcmp(name, "alice") == 0 && TOKEN_IS("t"));
}

static void
test_bearer_refused(void)
{
	static const char all[] = "n,a=alice,\001auth=Bearer token\001x=y\001\001";

	CHECK(bearer(all, sizeof(all) - 1) == NULL);
	for (int len = 0; len < (int) sizeof(all) - 1; len++)
	{
		SAY("%d bytes of it", len);
		CHECK(bearer(all, len) != NULL && name[0] == '\0');
	}
	CHECK(bearer(all, sizeof(all)) != NULL);	/* with a zero byte */
	CHECK(BEARER("p=tls-unique,,\001auth=Bearer t\001\001") != NULL);
	CHECK(BEARER("n,alice,\001auth=Bearer t\001\001") != NULL);
	CHECK(BEARER("n,a=,\001auth=Bearer t\001\001") != NULL);
	CHECK(BEARER("n,a=b=,\001auth=Bearer t\001\001") != NULL);
	CHECK(BEARER("n,,auth=Bearer t\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Basic t\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer \001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer ==\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer a=b\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer a b\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=\001\001") != NULL);
	CHECK(BEARER("n,,\001\001") != NULL);
	CHECK(BEARER("\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer t\001auth=Bearer t\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer t\001role=a\001role=a\001\001") != NULL);
	CHECK(BEARER("n,a=b,\001auth=Bearer t\001role=b\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer t\001role=\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer t\001r\xC3=a\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer t\001=a\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer t\001word\001\001") != NULL);
	CHECK(BEARER("n,,\001auth=Bearer t\001\001x") != NULL);
}

static void
test_bearer_lengths(void)
{
	char	   *message = pg_malloc(PT_BEARER_MESSAGE_MAX + 2);
	const char *head = "n,,\001auth=Bearer ";

	for (int size = PT_BEARER_MESSAGE_MAX; size <= PT_BEARER_MESSAGE_MAX + 1; size++)
	{
		memset(message, 'x', size);
		memcpy(message, head, strlen(head));
		message[size - 1] = message[size - 2] = '\001';
		SAY("a message of %d bytes", size);
		CHECK((bearer(message, size) == NULL) == (size == PT_BEARER_MESSAGE_MAX));
	}
	pg_free(message);
}

int
main(void)
{
	RUN(test_scram_names);
	RUN(test_scram_refused);
	RUN(test_scram_lengths);
	RUN(test_plain);
	RUN(test_plain_lengths);
	RUN(test_bearer);
	RUN(test_bearer_refused);
	RUN(test_bearer_lengths);
	RUN(test_random_bytes);
	return test_done();
}

/*-------------------------------------------------------------------------
 *
 * fuzz_sasl_message.c
 *	  First messages of SASL, as anybody may send them before he is somebody.
 *
 *	  The first byte chooses the mechanism.  A name or password that is read
 *	  fits its room and ends there.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/auth/message.c */
#include "postgres_fe.h"

#include "auth/message.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char		name[NAMEDATALEN];
	char		password[256];
	const char *problem;

	if (size == 0)
		return 0;
	if (data[0] & 2)
	{
		const char *token;
		int			token_len;
		const char *message = (const char *) data + 1;

		if (pt_bearer_read(message, (int) size - 1, name, sizeof(name), &token, &token_len) == NULL)
			Assert(token_len > 0 && token >= message && token + token_len + 2 <= message + size - 1);
		Assert(strlen(name) < sizeof(name));
		return 0;
	}
	if (data[0] & 1)
		problem = pt_scram_user_name((const char *) data + 1, (int) size - 1, name, sizeof(name));
	else
	{
		problem = pt_plain_read((const char *) data + 1, (int) size - 1, name, sizeof(name), password, sizeof(password));
		Assert(strlen(password) < sizeof(password) && (problem == NULL) == (password[0] != '\0'));
	}
	Assert(strlen(name) < sizeof(name) && (problem == NULL) == (name[0] != '\0'));
	(void) problem;
	return 0;
}

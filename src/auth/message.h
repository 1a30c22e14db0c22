/*-------------------------------------------------------------------------
 *
 * message.h
 *	  First messages of SASL mechanisms: who does the client say it is?
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_AUTH_MESSAGE_H
#define PT_AUTH_MESSAGE_H

/* Longest message of a client that is looked at. */
#define PT_SASL_MESSAGE_MAX		8192

/* The same where it has a token, as in PostgreSQL's server. */
#define PT_BEARER_MESSAGE_MAX	65535

/*
 * All return NULL, or what is wrong with the message, without a byte of it.
 * The message has len bytes and may have any.  Names and password are written
 * with their zero byte, and have none inside.
 */
extern const char *pt_scram_user_name(const char *message, int len, char *name, int name_size);
extern const char *pt_plain_read(const char *message, int len, char *name, int name_size,
								 char *password, int password_size);
extern const char *pt_bearer_read(const char *message, int len, char *role, int role_size,
								  const char **token, int *token_len);

#endif							/* PT_AUTH_MESSAGE_H */

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

/*
 * Both return NULL, or what is wrong with the message, without a byte of it.
 * The message has len bytes and may have any.  Names and password are written
 * with their zero byte, and have none inside.
 */
extern const char *pt_scram_user_name(const char *message, int len, char *name, int name_size);
extern const char *pt_plain_read(const char *message, int len, char *name, int name_size,
								 char *password, int password_size);

#endif							/* PT_AUTH_MESSAGE_H */

/*-------------------------------------------------------------------------
 *
 * api.h
 *	  What handlers are made of, and what they share.
 *
 * A handler is a KafkaHandler in api/NN_name.c; api.c has the table of them,
 * in the order of messages/apis.h.
 *
 * Siblings: call.c (the dispatcher), topics.h (looking up topics), broker.h
 * (who we are).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_API_H
#define KAFKA_API_H

#include "kafka/errors.h"
#include "kafka/kafka.h"
#include "kafka/messages/apis.h"

/*
 * A handler is three functions.  All run in a transaction, in call->mcxt.
 * call->request is decoded, and call->response has its defaults.
 *
 * begin	starts the request, and says what comes next.
 * resume	continues after APPEND (perhaps outside of a transaction), WAIT
 *			or PARK. NULL if begin never returns these.
 * fail		fills call->response, which has its defaults again, with an error
 *			for all that was asked.  It is called after begin or resume threw,
 *			and for versions that are known but not served.
 */
typedef struct KafkaHandler
{
	KafkaOutcome (*begin) (KafkaCall *call);
	KafkaOutcome (*resume) (KafkaCall *call, bool timed_out);
	void		(*fail) (KafkaCall *call, int16 code, const char *message);
} KafkaHandler;

#define KAFKA_HANDLER_DECLARE(key, Name, name, ...) extern const KafkaHandler kafka_handler_##name;
KAFKA_APIS(KAFKA_HANDLER_DECLARE)
#undef KAFKA_HANDLER_DECLARE

extern const KafkaHandler *kafka_handler_of(const KafkaApi *api);

/* n structs of a message with their defaults, in the call's memory. */
#define KAFKA_NEW(call, Type, n)	((Type *) kafka_new(call, kafka_schema_##Type(), n))

/* Gives an array of a response "count" elements with their defaults. */
#define KAFKA_RESIZE(call, array, Type, count) \
	((array).items = KAFKA_NEW(call, Type, count), (array).n = (count))

extern void *kafka_new(KafkaCall *call, const KafkaSchema *schema, int n);

extern KafkaString kafka_string(const char *s); /* NULL: null */

extern char *kafka_text(KafkaString s);

extern bool kafka_uuid_is_zero(const KafkaUuid *id);

/* A thrown error, as a client is told of it. */
typedef struct KafkaError
{
	int16		code;
	int			sqlstate;		/* 0: it was not thrown by the server */
	const char *message;		/* in the call's memory */
} KafkaError;

extern bool kafka_run_in(MemoryContext mcxt, Oid user, void (*fn) (void *arg), void *arg, KafkaError *error);
extern bool kafka_run_as(KafkaCall *call, Oid user, void (*fn) (void *arg), void *arg, KafkaError *error);
extern bool kafka_run_transaction(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error);

extern bool kafka_try(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error);
extern bool kafka_try_at_hand(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error);
extern TimestampTz kafka_retry_at(TimestampTz *since);

extern bool kafka_administrates(const KafkaCall *call);
extern KafkaOutcome kafka_move(KafkaCall *call, KafkaPlane plane);

extern void kafka_log_error(const KafkaCall *call, const KafkaError *error);

#endif							/* KAFKA_API_H */

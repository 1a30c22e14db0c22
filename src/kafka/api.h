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
 * Handlers run in a transaction, in call->mcxt, with call->request decoded and
 * call->response filled with defaults.
 *
 * begin	says what is next.
 * resume	continues after APPEND (perhaps outside of a transaction) or WAIT;
 *			NULL where begin never says these.
 * fail		fills call->response, which is at its defaults again, with an error
 *			for all that was asked.  Called after begin or resume threw, and
 *			for versions that are known but not served.
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

/* Makes an array member of a response n long, with defaults. */
#define KAFKA_RESIZE(call, array, Type, count) \
	((array).items = KAFKA_NEW(call, Type, count), (array).n = (count))

extern void *kafka_new(KafkaCall *call, const KafkaSchema *schema, int n);

extern KafkaString kafka_string(const char *s); /* NULL: null */

extern char *kafka_text(KafkaString s);

extern bool kafka_uuid_is_zero(const KafkaUuid *id);

/* What a thrown error became. */
typedef struct KafkaError
{
	int16		code;
	int			sqlstate;
	const char *message;		/* in the call's memory */
} KafkaError;

extern bool kafka_run_in(MemoryContext mcxt, void (*fn) (void *arg), void *arg, KafkaError *error);
extern bool kafka_run_transaction(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error);

extern bool kafka_try(KafkaCall *call, void (*fn) (void *arg), void *arg, KafkaError *error);

extern bool kafka_administrates(const KafkaCall *call);
extern KafkaOutcome kafka_move(KafkaCall *call, KafkaPlane plane);

extern void kafka_log_error(const KafkaCall *call, const KafkaError *error);

/*
 * The codes of AclOperation, as a bit field (KIP-430), of all that can be
 * done.
 */
#define KAFKA_TOPIC_OPERATIONS		0x0DF8
#define KAFKA_CLUSTER_OPERATIONS	0x1FA0

#endif							/* KAFKA_API_H */

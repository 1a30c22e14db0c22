/*-------------------------------------------------------------------------
 *
 * control_query.h
 *	  Asks the control worker from SQL, in Kafka's protocol.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_STATS_CONTROL_QUERY_H
#define PT_STATS_CONTROL_QUERY_H

#include "compat.h"

#include "kafka/messages/apis.h"

/*
 * Sends one request to the control worker and waits for its answer.
 *
 * "request" is the request struct of the API with all fields set (see
 * kafka_defaults).  "response" is the response struct; what it points to is
 * palloc'd in the current memory context.  The caller looks at the error
 * codes in it.
 *
 * ERROR, with a hint, if the control worker is not up for some seconds, takes
 * too long, or serves another database.  The wait can be cancelled.
 */
extern void pt_control_call(KafkaApiKey key, int16 version, const void *request, void *response);

/*
 * The same with bytes: one or more frames with their lengths; returns as
 * many, palloc'd.
 */
extern char *pt_control_ask(const char *frames, Size len, Size *answer_len);

/*
 * Returns true if this server should have a control worker: a listener is
 * configured and we are not in recovery.
 */
extern bool pt_control_expected(void);

/* The same, and that it serves this database. */
extern bool pt_control_serves(void);

#endif							/* PT_STATS_CONTROL_QUERY_H */

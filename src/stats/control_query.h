/*-------------------------------------------------------------------------
 *
 * control_query.h
 *	  What only the control worker knows, SQL asks it for, in Kafka's protocol.
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
 * One request to the control worker and its answer.  request: the struct of
 * the API's request, all of it set (see kafka_defaults); response: the struct
 * that gets the answer, what it points to is in the current memory context.
 * What the answer says of errors is the caller's to look at.
 *
 * ERROR, with a hint, when the control worker is not up (after some seconds),
 * takes too long, or serves another database than ours.  Can be cancelled.
 */
extern void pt_control_call(KafkaApiKey key, int16 version, const void *request, void *response);

/*
 * The same with bytes: one or more frames with their length words, and as many
 * back.
 */
extern char *pt_control_ask(const char *frames, Size len, Size *answer_len);

/*
 * Is there a control worker in this server: a listener is configured, and we
 * are not in recovery?
 */
extern bool pt_control_expected(void);

#endif							/* PT_STATS_CONTROL_QUERY_H */

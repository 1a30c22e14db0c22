/*-------------------------------------------------------------------------
 *
 * groups.h
 *	  Consumer groups: the shell around the coordinator of the coord room.
 *
 * The coordinator is a pure state machine.  This file gives it what it lacks:
 * a clock, its settings, the topics that exist, a regular expression engine,
 * and the calls that its tokens stand for.
 *
 * Each process has its own coordinator, made when it is first asked.  Only the
 * control worker's counts.  Other processes (the test function kafka_call())
 * use theirs for a few requests.
 *
 * Siblings: groups.c, topic_regex.c, api/ (the handlers); ../coord/coord.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_GROUPS_H
#define KAFKA_GROUPS_H

#include "coord/coord.h"
#include "groups/groups.h"
#include "kafka/api.h"

extern bool kafka_group_id_valid(KafkaString id);

extern KafkaString kafka_group_message(KafkaString id, const char *what);

extern int16 kafka_group_error(int16 code);

extern CoordEvent kafka_group_event(const KafkaCall *call, CoordEventType type, KafkaString group_id);

/*
 * Fills call->response from a reply.  Runs in the call's memory context,
 * during the step that made the reply.  The reply is freed after the step, so
 * what is kept must be copied.  Must not throw, except for lack of memory.
 */
typedef void (*KafkaGroupAnswer) (KafkaCall *call, const CoordReply *reply);

extern KafkaOutcome kafka_group_ask(KafkaCall *call, CoordEvent *event, KafkaGroupAnswer answer);
extern KafkaOutcome kafka_group_resume(KafkaCall *call, bool timed_out);

extern int16 kafka_group_check(KafkaCall *call, CoordEvent *event);

extern void kafka_group_forget(KafkaCall *call);

extern const CoordGroups *kafka_groups(void);

extern int64 kafka_groups_wait(void);
extern void kafka_groups_turn(void);

extern bool kafka_group_find_outside(KafkaString group_id, CoordGroupInfo *info);

/*
 * The codes of AclOperation of all that can be done with a group, as a bit
 * field.
 */

#endif							/* KAFKA_GROUPS_H */

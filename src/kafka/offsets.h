/*-------------------------------------------------------------------------
 *
 * offsets.h
 *	  What the APIs that read and write committed offsets of groups share.
 *
 * Siblings: offsets.c; api/08_offset_commit.c, 09, 42, 47; ../groups/groups.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_OFFSETS_H
#define KAFKA_OFFSETS_H

#include "groups/groups.h"
#include "kafka/api.h"

/*
 * The topic of a request, by name or by id (when not NULL), and its name in
 * the current memory context.  NULL with the error code; valid until the next
 * catalog access.
 */
extern const PtTopic *kafka_offsets_topic(KafkaString name, const KafkaUuid *id, PtString *found, int16 *error);

/*
 * Makes the call's items (for KAFKA_APPEND) of committed offsets of a group;
 * __consumer_offsets is created when there is none.  May commit the current
 * transaction and begin another.  Returns an error code.
 */
extern int16 kafka_offsets_write(KafkaCall *call, KafkaString group_id, const PtCommittedOffset *offsets, int n);

/* What has become of them. */
extern int16 kafka_offsets_written(const KafkaCall *call);

#endif							/* KAFKA_OFFSETS_H */

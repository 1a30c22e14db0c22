/*-------------------------------------------------------------------------
 *
 * offsets.h
 *	  What the APIs that read and write a group's committed offsets share.
 *
 * Siblings: offsets.c; api/08_offset_commit.c, 09, 25, 28, 42, 47;
 * ../groups/groups.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_OFFSETS_H
#define KAFKA_OFFSETS_H

#include "groups/groups.h"
#include "kafka/allowed.h"

extern const PtTopic *kafka_offsets_topic(const KafkaCall *call, PtOperation op, KafkaString name, const KafkaUuid *id,
										  PtString *found, int16 *error);

extern KafkaOutcome kafka_offsets_prepare(KafkaCall *call, KafkaString group_id, int16 *error);

extern bool kafka_offsets_partition(KafkaString group_id, int32 *partition);

extern int16 kafka_offsets_write(KafkaCall *call, KafkaString group_id, const PtCommittedOffset *offsets, int n);

extern int16 kafka_offsets_written(const KafkaCall *call);

#endif							/* KAFKA_OFFSETS_H */

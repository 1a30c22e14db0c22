/*-------------------------------------------------------------------------
 *
 * offset_codec.h
 *	  The records of __consumer_offsets, as Kafka encodes them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_ENGINE_OFFSET_CODEC_H
#define PT_ENGINE_OFFSET_CODEC_H

#include "lib/stringinfo.h"

#include "engine/internal.h"

/* OffsetCommitKey version 1; initialises buf.  ERROR 22023 for names that do not fit. */
extern void pt_offset_key_write(StringInfo buf, const char *group_id, const char *topic, int32 partition);

/* Is it the key of a committed offset (and not of a group's metadata)? */
extern bool pt_offset_key_is(const char *data, int len);

/* OffsetCommitValue version 4; initialises buf.  Timestamp in ms. */
extern void pt_offset_value_write(StringInfo buf, int64 offset, const char *metadata, int64 timestamp,
								  const pg_uuid_t *topic_id);

/* What a value of any version says: the topic's id is all zeros before version 4.  False when it is malformed. */
extern bool pt_offset_value_read(const char *data, int len, int64 *offset, pg_uuid_t *topic_id);

/* The partition of __consumer_offsets that a group belongs to. */
extern int32 pt_group_partition(const char *group_id, int32 npartitions);

#endif							/* PT_ENGINE_OFFSET_CODEC_H */

/*-------------------------------------------------------------------------
 *
 * offset_codec.h
 *	  The records of __consumer_offsets, as Kafka encodes them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_GROUPS_OFFSET_CODEC_H
#define PT_GROUPS_OFFSET_CODEC_H

#include "lib/stringinfo.h"

#include "groups/groups.h"

/* What a record is about. */
typedef struct PtOffsetKey
{
	bool		is_group;		/* the group itself, no committed offset */
	PtString	group_id;
	PtString	topic;
	int32		partition;
} PtOffsetKey;

/* OffsetCommitKey version 1 and GroupMetadataKey version 2; initialise buf.  ERROR 22023 for names that do not fit. */
extern void pt_offset_key_write(StringInfo buf, PtString group_id, PtString topic, int32 partition);
extern void pt_offset_group_key_write(StringInfo buf, PtString group_id);

/* False for keys of other kinds, and for malformed ones.  Strings point into data. */
extern bool pt_offset_key_read(const char *data, int len, PtOffsetKey *key);

/* OffsetCommitValue version 4; initialises buf. */
extern void pt_offset_value_write(StringInfo buf, const PtCommittedOffset *committed);

/*
 * What a value of any version says; the key tells topic and partition.  False when it is malformed.  Strings
 * point into data.
 */
extern bool pt_offset_value_read(const char *data, int len, PtCommittedOffset *committed);

/*
 * GroupMetadataValue version 3 of a group without members, which it has been since
 * last_used (ms); reading takes versions 2 to 4.
 */
extern void pt_offset_group_value_write(StringInfo buf, int64 last_used);
extern bool pt_offset_group_value_read(const char *data, int len, int64 *last_used);

/* The partition of __consumer_offsets that a group belongs to. */
extern int32 pt_group_partition(PtString group_id, int32 npartitions);

#endif							/* PT_GROUPS_OFFSET_CODEC_H */

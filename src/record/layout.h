/*-------------------------------------------------------------------------
 *
 * layout.h
 *	  Where the fields of a batch are; for batch.c and builder.c alone.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_LAYOUT_H
#define PT_RECORD_LAYOUT_H

#include "record/batch.h"

#define PT_BATCH_MAGIC				2

#define BATCH_AT_BASE_OFFSET		0
#define BATCH_AT_LENGTH				8
#define BATCH_AT_LEADER_EPOCH		12
#define BATCH_AT_MAGIC				16
#define BATCH_AT_CRC				17
#define BATCH_AT_ATTRIBUTES			21
#define BATCH_AT_LAST_OFFSET_DELTA	23
#define BATCH_AT_BASE_TIMESTAMP		27
#define BATCH_AT_MAX_TIMESTAMP		35
#define BATCH_AT_PRODUCER_ID		43
#define BATCH_AT_PRODUCER_EPOCH		51
#define BATCH_AT_BASE_SEQUENCE		53
#define BATCH_AT_RECORD_COUNT		57

/*
 * The smallest record.  Length, attributes, two deltas, the lengths of key
 * and value, and the count of headers take one byte each.
 */
#define PT_RECORD_SIZE_MIN			7

/*
 * The last step of a change: sets the length and the CRC of a batch of "len"
 * bytes.
 */
extern void pt_batch_seal(char *data, size_t len);

#endif							/* PT_RECORD_LAYOUT_H */

/*-------------------------------------------------------------------------
 *
 * partitioner.h
 *	  Which partition a key belongs to, exactly as the Java client decides.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_PARTITIONER_H
#define PT_RECORD_PARTITIONER_H

#include "record/status.h"

/* Kafka's 32-bit MurmurHash2 (its fixed seed). */
extern int32 pt_murmur2(const char *data, size_t len);

/* Partition in [0, n) of a key that is not null; n > 0. */
extern int32 pt_partition_for_key(const char *key, size_t len, int32 n);

#endif							/* PT_RECORD_PARTITIONER_H */

/*-------------------------------------------------------------------------
 *
 * crc32c.h
 *	  CRC-32C (Castagnoli) of whole batches.
 *
 *	  PostgreSQL's own computes one stream at a time and so waits for the
 *	  latency of the CPU's instruction; ours keeps three in flight.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_CRC32C_H
#define PT_RECORD_CRC32C_H

#include "record/status.h"

extern uint32 pt_crc32c(const char *data, size_t len);

/*
 * The CRC of bytes that come in pieces: start with 0, give each piece the
 * result of the one before.
 */
extern uint32 pt_crc32c_extend(uint32 crc, const char *data, size_t len);

/*
 * From now on COMP_CRC32C of this process keeps three streams in flight, too,
 * where PostgreSQL would use the same instruction with one.  For processes
 * whose WAL is large: its CRC is a tenth of all that an append costs.
 */
extern void pt_crc32c_for_server(void);

#endif							/* PT_RECORD_CRC32C_H */

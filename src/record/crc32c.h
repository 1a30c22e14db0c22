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

/* CRC-32C of a piece of memory. */
extern uint32 pt_crc32c(const char *data, size_t len);

/*
 * Computes the CRC of bytes that come in pieces: pass 0 first, then the
 * result for the pieces before.
 */
extern uint32 pt_crc32c_extend(uint32 crc, const char *data, size_t len);

/*
 * Makes COMP_CRC32C of this process use three streams as well, if PostgreSQL
 * would use the same instruction with one.  This is for processes that write
 * much WAL: its CRC takes a tenth of the time of an append.
 */
extern void pt_crc32c_for_server(void);

#endif							/* PT_RECORD_CRC32C_H */

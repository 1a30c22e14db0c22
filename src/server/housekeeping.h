/*-------------------------------------------------------------------------
 *
 * housekeeping.h
 *	  What the housekeeper has done, for the view of that name.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_HOUSEKEEPING_H
#define PT_SERVER_HOUSEKEEPING_H

#include "compat.h"

#include "datatype/timestamp.h"

#define PT_HOUSEKEEPING_ERROR	160

/* Of a partition, since the server has started. */
typedef struct PtHousekeeping
{
	Oid			leaf;			/* hash key */
	int64		records;		/* offsets that were removed */
	int64		bytes;			/* of the log, with what is around batches */
	TimestampTz removed_at;		/* 0: never */
	TimestampTz failed_at;		/* 0: the last attempt was good */
	char		error[PT_HOUSEKEEPING_ERROR];
} PtHousekeeping;

extern Size pt_housekeeping_shmem_size(void);
extern void pt_housekeeping_shmem_init(void);
extern void pt_housekeeping_removed(Oid leaf, int64 records, int64 bytes);
extern void pt_housekeeping_failed(Oid leaf, const char *error);
extern void pt_housekeeping_good(Oid leaf);
extern void pt_housekeeping_forget(Oid leaf);
extern int	pt_housekeeping_read(PtHousekeeping **rows);

#endif							/* PT_SERVER_HOUSEKEEPING_H */

/*-------------------------------------------------------------------------
 *
 * shmem.c
 *	  Shared memory of the engine.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/shmem.h"

#include "engine/internal.h"

Size
pt_engine_shmem_size(void)
{
	return add_size(pt_producers_shmem_size(), pt_positions_shmem_size());
}

/* Called with AddinShmemInitLock held. */
void
pt_engine_shmem_init(void)
{
	pt_producers_shmem_init();
	pt_positions_shmem_init();
}

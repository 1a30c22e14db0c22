/*-------------------------------------------------------------------------
 *
 * counters.c
 *	  What became of the batches of Kafka clients, counted in shared memory.
 *
 * Sibling: produce.c (who counts).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/atomics.h"
#include "storage/shmem.h"

#include "produce/internal.h"

static pg_atomic_uint64 *counters;	/* PT_PRODUCE_COUNTERS of them */

Size
pt_produce_counters_shmem_size(void)
{
	return sizeof(pg_atomic_uint64) * PT_PRODUCE_COUNTERS;
}

/* Called with AddinShmemInitLock held. */
void
pt_produce_counters_shmem_init(void)
{
	bool		found;

	counters = ShmemInitStruct("pgtopic produce counters", pt_produce_counters_shmem_size(), &found);
	for (int i = 0; !found && i < PT_PRODUCE_COUNTERS; i++)
		pg_atomic_init_u64(&counters[i], 0);
}

void
pt_produce_count(PtProduceCounter counter, uint64 n)
{
	Assert(counter < PT_PRODUCE_COUNTERS);
	if (n > 0)
		pg_atomic_fetch_add_u64(&counters[counter], n);
}

/* Copies all of them.  Needs no transaction; does not throw. */
void
pt_produce_counted(uint64 *values)
{
	for (int i = 0; i < PT_PRODUCE_COUNTERS; i++)
		values[i] = pg_atomic_read_u64(&counters[i]);
}

void
pt_produce_counters_reset(void)
{
	for (int i = 0; i < PT_PRODUCE_COUNTERS; i++)
		pg_atomic_write_u64(&counters[i], 0);
}

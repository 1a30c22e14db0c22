/*-------------------------------------------------------------------------
 *
 * fuzz_consumer_protocol.c
 *	  The embedded consumer protocol, as any client may send it.
 *
 *	  The first byte says whether it is a subscription or an assignment; an
 *	  assignment that can be read and is written again must read the same.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/coord/?*.c */
#include "postgres_fe.h"

#include "coord/consumer_protocol.h"

int			LLVMFuzzerTestOneInput(const uint8 *data, size_t size);

static void
same(const ProtocolAssignment *a, const ProtocolAssignment *b)
{
	Assert(a->nassigned == b->nassigned && a->version == b->version);
	for (int i = 0; i < a->nassigned; i++)
	{
		Assert(pt_string_equal(a->assigned[i].name, b->assigned[i].name));
		Assert(a->assigned[i].npartitions == b->assigned[i].npartitions);
		for (int j = 0; j < a->assigned[i].npartitions; j++)
			Assert(a->assigned[i].partitions[j] == b->assigned[i].partitions[j]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	static CoordGroups *groups = NULL;
	CoordBytes	input;

	if (groups == NULL)
	{
		CoordConfig config;

		coord_config_defaults(&config);
		groups = coord_create(&config, 1);
	}
	if (size == 0)
		return 0;
	input = (CoordBytes) {(const char *) data + 1, size - 1};
	if (data[0] & 1)
	{
		ProtocolSubscription subscription;

		(void) consumer_protocol_read_subscription(groups, input, &subscription);
	}
	else
	{
		ProtocolAssignment read;
		ProtocolAssignment again;

		if (consumer_protocol_read_assignment(groups, input, &read))
		{
			CoordBytes	written = consumer_protocol_write_assignment(groups, read.version, read.assigned, read.nassigned);

			if (!consumer_protocol_read_assignment(groups, written, &again))
				abort();
			same(&read, &again);
		}
	}
	coord_step_reset(groups);
	return 0;
}

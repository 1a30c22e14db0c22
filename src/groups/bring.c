/*-------------------------------------------------------------------------
 *
 * bring.c
 *	  What a group has committed at another server, in topics that have the
 *	  same offsets there, is committed here, so that its consumers can change
 *	  servers.
 *
 * An offset says that everything before it has been processed.  That is true
 * of each smaller one as well, so where the records are not here yet the group
 * is brought to their end, and further when they come.  It moves forward only,
 * unless the caller wants what was committed later, and only while nobody uses
 * it here.
 *
 * An offset keeps the time of its commit.  If the group had members or
 * sessions there after that, a record of the group says so (expire.c).
 *
 * Siblings: offsets.c, registry.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "miscadmin.h"

#include "guc.h"
#include "groups/internal.h"

/*
 * Would the offset expire at once?
 */
static bool
has_expired(const PtCommittedOffset *there, int64 used_ms)
{
	int64		retention_ms = (int64) pt_offsets_retention * SECS_PER_MINUTE * 1000;

	return retention_ms > 0 && Max(there->commit_time, used_ms) < pt_now_ms() - retention_ms;
}

/*
 * Returns how far the group can be here: at what it has committed there, at
 * the end of the records that are here, or at their start; -1: nothing that it
 * has read is here yet.
 */
static int64
place_here(Relation rel, int64 offset)
{
	int64		start;
	int64		end;

	pt_partition_bounds(rel, &start, &end);
	Assert(start <= end);
	if (offset > end && end == start)
		return -1;
	return Min(Max(offset, start), end);
}

/*
 * Commits it here.
 */
static void
write_here(PtString group_id, const PtTopic *topic, const PtCommittedOffset *there, int64 offset)
{
	PtCommittedOffset committed = *there;

	committed.topic = pt_string_copy(pt_string_of(topic->name));
	committed.topic_id = topic->id;
	committed.leader_epoch = -1;	/* each server has its own */
	committed.offset = offset;
	if (offset != there->offset || there->metadata.len > pt_offset_metadata_max)
		committed.metadata = PT_STRING_EMPTY;
	pt_offset_write(group_id, &committed);
}

/*
 * Brings one offset, or only counts it unless "write" is set; returns whether
 * the group has one here then.
 */
static bool
bring_one(PtBring *bring, PtString group_id, const PtCommittedOffset *there, bool write)
{
	const PtTopic *topic = pt_topic_by_string(there->topic);
	Relation	rel = NULL;
	PtCommittedOffset here;
	int64		offset;
	bool		found;

	if (topic != NULL && there->partition < topic->npartitions && OidIsValid(topic->leaves[there->partition]))
		rel = try_relation_open(topic->leaves[there->partition], AccessShareLock);
	if (rel == NULL)
		return false;			/* it was dropped meanwhile */
	offset = place_here(rel, there->offset);
	relation_close(rel, NoLock);
	topic = pt_topic_by_string(there->topic);
	if (topic == NULL)
		return false;
	topic = pt_topic_copy(topic);
	bring->offsets++;
	found = pt_offset_fetch(group_id, there->topic, &topic->id, there->partition, false, &here);
	if (offset >= 0 && (!found || offset > here.offset ||
						(bring->backwards && offset < here.offset && there->commit_time > here.commit_time)))
	{
		if (write)
			write_here(group_id, topic, there, offset);
		bring->moved++;
		found = true;
		here.offset = offset;
	}
	bring->behind += Max(there->offset - (found ? here.offset : 0), 0);
	return found;
}

/*
 * The same for all of a group, but for what has expired; returns whether it
 * has any offset here then.
 */
static bool
bring_all(PtBring *bring, PtString group_id, const PtCommittedOffset *there, int n, int64 used_ms, bool write)
{
	bool		any = false;

	for (int i = 0; i < n; i++)
	{
		Assert(there[i].offset >= 0 && there[i].partition >= 0);
		if (!has_expired(&there[i], used_ms))
			any |= bring_one(bring, group_id, &there[i], write);
	}
	return any;
}

/*
 * Brings the offsets that a group has committed at another server, none of
 * them negative, in partitions that follow those there.  used_ms: when the
 * group had members or sessions there last, by the clock there; 0: not known.
 * Adds to the counts.  The caller has checked that the user may read the
 * topics; ERROR if he may not use the group.
 *
 * The group is locked, to the end of the transaction, only if there is
 * something to write: clients that join are turned away meanwhile.
 */
void
pt_group_bring(PtBring *bring, PtString group_id, const PtCommittedOffset *there, int n, int64 used_ms)
{
	PtBring		look = *bring;
	bool		any = bring_all(&look, group_id, there, n, used_ms, false);
	bool		note = any && used_ms > pt_group_last_used(group_id) + pt_offsets_note_after();

	Assert(group_id.len > 0);
	if (look.moved == bring->moved && !note)
		*bring = look;
	else if (!pt_group_own_unused(group_id))
		bring->in_use++;
	else
	{
		pt_group_check(group_id, PT_OP_READ);
		(void) bring_all(bring, group_id, there, n, used_ms, true);
		if (note)
			pt_group_used_write(group_id, Min(used_ms, pt_now_ms()));
	}
}

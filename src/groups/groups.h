/*-------------------------------------------------------------------------
 *
 * groups.h
 *	  The door of groups: committed offsets, and who uses a group.
 *
 * README.md tells how it works.  Contracts stand at the definitions.  For all
 * functions:
 *
 * - They run inside a transaction and may ereport.  What they return is in
 *	 the current memory context.
 * - Strings of groups are UTF-8, whatever the database's encoding.
 * - What is read comes from records that are committed and flushed, and takes
 *	 in all that were when the call began.
 * - dont_wait: ERROR 55P03 instead of waiting while somebody holds
 *	 __consumer_offsets exclusively (TRUNCATE, DROP).  Listeners say true.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_GROUPS_GROUPS_H
#define PT_GROUPS_GROUPS_H

#include "counted.h"
#include "fetch/fetch.h"
#include "produce/produce.h"
#include "rights/rights.h"
#include "topic/topic.h"

#define PT_OFFSETS_TOPIC	"__consumer_offsets"

/* A committed offset. */
typedef struct PtCommittedOffset
{
	PtString	topic;
	pg_uuid_t	topic_id;		/* all zeros: not known */
	int32		partition;
	int32		leader_epoch;	/* of the record before the offset; -1: not
								 * known */
	int64		offset;			/* of the next record; clients may commit any
								 * number, and some write -1 or -2 */
	bool		removed;		/* when written: there is no such offset any
								 * more; never read */
	int64		commit_time;	/* ms since 1970; when written, -1 means now */
	PtString	metadata;
} PtCommittedOffset;

/* A group that has committed offsets. */
typedef struct PtGroupOffsets
{
	PtString	group_id;
	int			noffsets;
	int64		last_commit;	/* ms */
	int64		last_used;		/* ms; 0: not known to have had members */
	int			log;			/* index of its log; for the room only */
} PtGroupOffsets;

/* A session that uses a group; pid 0 is a prepared transaction. */
typedef struct PtGroupSession
{
	int			pid;
	uint32		lock[2];		/* for pt_group_matches() */
} PtGroupSession;

/*
 * Callbacks get the caller's "arg".  What they are given is valid during the
 * call only, unless the function's comment says otherwise.
 */
typedef void (*PtOffsetCallback) (void *arg, const PtCommittedOffset *committed);
typedef void (*PtGroupCallback) (void *arg, const PtGroupOffsets *group);
typedef void (*PtConsumeCallback) (void *arg, int32 partition, const PtRecord *record);

/*
 * Partitions that were read, and the offsets from which to go on, for
 * pt_wait_for_logs().  The arrays grow in the memory context that was current
 * at pt_consume_waits_begin().
 */
typedef struct PtConsumeWaits
{
	Oid		   *leaves;
	int64	   *offsets;
	int			n;
	int			room;
	bool		locked_out;		/* others hold some of the partitions, which
								 * become free without an append */
} PtConsumeWaits;

/* Look again after this where locked_out is set. */
#define PT_CONSUME_RETRY_MS	200

/* text.c: between the database's encoding and UTF-8 */
extern PtString pt_string_from_server(const char *s);
extern char *pt_string_to_server(PtString s);

/* offsets.c: reading, and writing from SQL */
extern bool pt_offset_is_of(const PtCommittedOffset *committed, const pg_uuid_t *topic_id);
extern bool pt_offset_fetch(PtString group_id, PtString topic, const pg_uuid_t *topic_id, int32 partition,
							bool dont_wait, PtCommittedOffset *out);
extern int	pt_offsets_of_group(PtString group_id, bool dont_wait, PtOffsetCallback callback, void *arg);
extern int	pt_offsets_groups(bool dont_wait, PtGroupCallback callback, void *arg);
extern bool pt_offsets_exist(PtString group_id, bool dont_wait);
extern bool pt_offsets_remain(PtString group_id);
extern void pt_offset_set(PtString group_id, const PtTopic *topic, int32 partition, int64 offset, PtString metadata);
extern int	pt_offsets_remove(PtString group_id);
extern Oid	pt_offsets_leaf(PtString group_id, bool create);
extern bool pt_offset_lock(PtString group_id, Oid leaf, bool dont_wait);

extern const PtTopic *pt_internal_topic(const char *name, int npartitions, bool create);

/* offset_codec.c */
extern int32 pt_group_partition(PtString group_id, int32 npartitions);

/* what a transaction has set itself */
extern const PtXactKind pt_xact_offsets;

/* offset_batch.c: writing from a listener */
extern PtProduce *pt_offsets_commit(PtString group_id, const PtCommittedOffset *offsets, int n, int *nitems);
extern PtProduce *pt_offsets_delete(PtString group_id, int *nitems);

/* consume.c */
extern void pt_consume_waits_begin(PtConsumeWaits *waits);
extern int	pt_consume_now(const PtTopic *topic, PtString group_id, int max, PtConsumeCallback callback, void *arg,
						   PtConsumeWaits *waits);
extern int	pt_consume(const PtTopic *topic, PtString group_id, int max, TimestampTz deadline,
					   PtConsumeCallback callback, void *arg);
extern void pt_partition_bounds(Relation rel, int64 *start, int64 *end);

/* registry.c: Kafka's members or SQL's sessions */
extern bool pt_group_kafka_claim(PtString group_id, bool *busy);
extern void pt_group_kafka_members(PtString group_id, int members);
extern void pt_groups_kafka_clear(void);
extern int	pt_group_kafka_count(PtString group_id);
extern int	pt_group_usage(PtString group_id, int64 now, int64 *last_used);
extern bool pt_group_sql_active(PtString group_id);
extern void pt_group_sql_use(PtString group_id);
extern void pt_group_sql_own(PtString group_id);
extern bool pt_group_own_unused(PtString group_id);
extern int	pt_group_sessions(PtGroupSession **sessions);
extern bool pt_group_matches(PtString group_id, const PtGroupSession *session);

/* rights.c: who may use it */
extern PtOperations pt_group_rights(Oid role, PtString group_id, bool dont_wait);
extern void pt_group_check(PtString group_id, PtOperation op);
extern bool pt_group_listed(Oid role, PtString group_id, bool dont_wait);
extern bool pt_group_visible(PtString group_id);
extern bool pt_group_removable(PtString group_id);

/*
 * bring.c: what groups have committed at another server.  Zero it; the counts
 * add up over calls.
 */
typedef struct PtBring
{
	bool		backwards;		/* also offsets that are less than here, if
								 * they were committed later */
	int64		offsets;		/* of groups that nobody uses here */
	int64		moved;			/* of these, were written */
	int64		behind;			/* records by which these are less than there
								 * now */
	int64		in_use;			/* groups that somebody uses here */
} PtBring;

extern void pt_group_bring(PtBring *bring, PtString group_id, const PtCommittedOffset *there, int n, int64 used_ms);

/* expire.c */
extern int64 pt_offsets_expire(int64 retention);
extern int64 pt_offsets_wait(void);
extern void pt_offsets_tick(void);

extern Size pt_offsets_shmem_size(void);
extern void pt_offsets_shmem_init(void);
#endif							/* PT_GROUPS_GROUPS_H */

/*-------------------------------------------------------------------------
 *
 * groups.h
 *	  Where consumer groups stand: everything but consume(), which engine.h has.
 *
 * Committed offsets are records of __consumer_offsets; a cache in shared memory
 * follows that log (see offsets.c).  Whatever is read here comes from records that
 * are committed and flushed, and includes all that were when the call began.
 *
 * All functions are called inside a transaction, may ereport, and return what is palloc'd in the current memory context.  Strings are UTF-8 whatever the database's encoding, and not
 * terminated.  dont_wait: ERROR 55P03 instead of waiting when somebody holds __consumer_offsets exclusively
 * (TRUNCATE, DROP); a listener always says true.
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
#include "topic/topic.h"

/* Text in the database's encoding as UTF-8; and back, with question marks for what cannot be shown. */
extern PtString pt_string_from_server(const char *s);
extern char *pt_string_to_server(PtString s);

typedef struct PtCommittedOffset
{
	PtString	topic;
	pg_uuid_t	topic_id;		/* all zeros: not known */
	int32		partition;
	int32		leader_epoch;	/* of the record before; -1: not known */
	int64		offset;			/* of the next record to read; to be written: -1 removes the committed offset */
	int64		commit_time;	/* ms since 1970; to be written: -1 is now */
	PtString	metadata;
} PtCommittedOffset;

/* False when there is none.  topic_id: a committed offset in another topic of that name does not count; NULL: any does. */
extern bool pt_offset_fetch(PtString group_id, PtString topic, const pg_uuid_t *topic_id, int32 partition,
							  bool dont_wait, PtCommittedOffset *out);

/* All of a group, in order of topic and partition; returns how many. */
typedef void (*PtOffsetCallback) (void *arg, const PtCommittedOffset *committed);
extern int	pt_offsets_of_group(PtString group_id, bool dont_wait, PtOffsetCallback callback, void *arg);

/* All groups that have committed offsets, in no order; returns how many. */
typedef struct PtGroupOffsets
{
	PtString	group_id;
	int			noffsets;
	int64		last_commit;	/* ms */
	int64		last_used;		/* ms; 0: members are not known to have used it */
	int			log;			/* the engine's own */
} PtGroupOffsets;
typedef void (*PtGroupCallback) (void *arg, const PtGroupOffsets *group);
extern int	pt_offsets_groups(bool dont_wait, PtGroupCallback callback, void *arg);

extern bool pt_offsets_exist(PtString group_id, bool dont_wait);

/* Writing from SQL: deferred records, which join __consumer_offsets when the transaction commits.  It is created on first use. */
extern void pt_offset_write(PtString group_id, const PtCommittedOffset *committed);
extern void pt_offset_set(PtString group_id, const PtTopic *topic, int32 partition, int64 offset, PtString metadata);

/* Removes all committed offsets of a group, also those set by the transaction itself; returns how many. */
extern int	pt_offsets_remove(PtString group_id);

/* What is there of a partition for the current transaction: offsets from start up to, not including, end. */
extern void pt_partition_bounds(Relation rel, int64 *start, int64 *end);

/* Takes the lock of (group, partition) for this transaction; false when another session has it. */
extern bool pt_offset_lock(PtString group_id, Oid leaf, bool dont_wait);

/*
 * consume.c: one consume().  Locks partitions that no other session of the group holds (each time starting behind the one
 * that was served last, so that all get their turn), reads from the group's committed offset (none yet: the log's start) up to max
 * records in all, calls back for each with its partition number, moves the committed offsets.  Waits until there is something
 * to return or the deadline.  Returns the number of records.
 */
typedef void (*PtConsumeCallback) (void *arg, int32 partition, const PtRecord *record);
extern int	pt_consume(const PtTopic *topic, PtString group_id, int max, TimestampTz deadline,
					   PtConsumeCallback callback, void *arg);

/*
 * Writing from a listener: items for pt_produce_batches, acks=all, all of them or none.  palloc'd.
 * The caller has checked what it is asked to write: topics, the size of metadata (Kafka: 4096 bytes), that the group
 * may be written to.  Creates __consumer_offsets when need be, in the current
 * transaction, which has to be committed before the items are appended.
 */
extern PtProduce *pt_offsets_commit(PtString group_id, const PtCommittedOffset *offsets, int n, int *nitems);

/* Removes all committed offsets of a group; no items when it has none. */
extern PtProduce *pt_offsets_delete(PtString group_id, int *nitems);

/* The leaf of __consumer_offsets that has a group; InvalidOid when there is none and none shall be created. */
extern Oid	pt_offsets_leaf(PtString group_id, bool create);

/*
 * registry.c: who uses a group, members of Kafka's protocol or SQL sessions.  Never both.
 *
 * The coordinator claims a group before it takes a member in (false: a SQL transaction uses the group), and says how many members
 * there are whenever that has changed; 0 gives the group up.  A claimed group counts as having members
 * until then, so a claim that led to nothing has to be followed by members = 0, too.
 */
extern bool pt_group_kafka_claim(PtString group_id);
extern void pt_group_kafka_members(PtString group_id, int members);

/* The coordinator begins anew: no group has members. */
extern void pt_groups_kafka_clear(void);

/* Members that a group has; 0 also when it is not known. */
extern int	pt_group_kafka_count(PtString group_id);

/* Is there a SQL transaction that uses the group, also a prepared one?  For DeleteGroups and commits from outside of a group. */
extern bool pt_group_sql_active(PtString group_id);

/* For SQL: the group is the current transaction's and that of other SQL sessions; ERROR 55006 when it has Kafka members. */
extern void pt_group_sql_use(PtString group_id);

/* The same, and no other SQL session's either (waits for them). */
extern void pt_group_sql_own(PtString group_id);

/* For views.  The sessions (pid 0: a prepared transaction) that use groups, each with what pt_group_matches compares. */
typedef struct PtGroupSession
{
	int			pid;
	uint32		lock[2];
} PtGroupSession;
extern int	pt_group_sessions(PtGroupSession **sessions);
extern bool pt_group_matches(PtString group_id, const PtGroupSession *session);

/* May the user see the group: all (pg_read_all_stats), or as he may read a topic that it has a committed offset in? */
extern bool pt_group_visible(PtString group_id);

/*
 * expire.c: removes committed offsets past a retention in ms (-1: pgtopic.offsets_retention; 0: none has) and those of topics that are gone;
 * returns how many.  For the control worker: tick does so once a minute, when wait (which needs no transaction) says 0 ms.
 */
extern int64 pt_offsets_expire(int64 retention);
extern int64 pt_offsets_wait(void);
extern void pt_offsets_tick(void);

/* Of a transaction: what it has set itself. */
extern const PtXactKind pt_xact_offsets;

extern Size pt_offsets_shmem_size(void);
extern void pt_offsets_shmem_init(void);
#endif							/* PT_GROUPS_GROUPS_H */

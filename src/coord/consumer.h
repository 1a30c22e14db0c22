/*-------------------------------------------------------------------------
 *
 * consumer.h
 *	  Consumer groups of KIP-848: what the files of this kind offer each other.
 *
 * Files: consumer.c (heartbeats), consumer_member.c (members, subscriptions,
 * timers), consumer_parts.c (sets of partitions, who owns what),
 * consumer_target.c (epochs, assignors), consumer_reconcile.c (from current to
 * target), consumer_classic.c (members with the classic protocol),
 * consumer_migrate.c (from and to a classic group), consumer_view.c (fencing,
 * describe).
 *
 * Siblings: consumer_types.h (structures, invariants), consumer_protocol.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef COORD_CONSUMER_H
#define COORD_CONSUMER_H

#include "coord/consumer_types.h"

/* consumer_parts.c */
extern ConsumerPart *consumer_part_find(const ConsumerParts *set, int32 topic, int32 partition);
extern void consumer_parts_replace(CoordGroups *groups, ConsumerParts *set, const ConsumerPart *parts, int n);
extern bool consumer_parts_equal(const ConsumerParts *set, const ConsumerPart *parts, int n);
extern ConsumerTopic *consumer_topic_find(const CoordGroups *groups, const CoordConsumer *consumer, const CoordUuid *id);
extern ConsumerTopic *consumer_topic_get(CoordGroups *groups, CoordConsumer *consumer, const CoordTopicEntry *entry);
extern void consumer_topics_sweep(CoordGroups *groups, CoordConsumer *consumer);
extern bool consumer_owns_any(const CoordGroups *groups, const ConsumerMember *member, const ConsumerParts *set,
							  const CoordTopicPartitions *owned, int nowned);
extern bool consumer_owns_only(const CoordGroups *groups, const ConsumerMember *member, const ConsumerParts *set,
							   const CoordTopicPartitions *owned, int nowned);
extern void consumer_hold(ConsumerMember *member);
extern void consumer_let_go(ConsumerMember *member);
extern ConsumerMember *consumer_owner(const CoordConsumer *consumer, int32 topic, int32 partition);
extern CoordTopicPartitions *consumer_parts_export(CoordGroups *groups, const CoordConsumer *consumer,
												   const ConsumerParts *set, int *n);

/* consumer_member.c */
extern CoordConsumer *consumer_create(CoordGroups *groups, CoordGroup *group);
extern ConsumerMember *consumer_member_find(const CoordGroups *groups, const CoordConsumer *consumer, CoordBytes id);
extern ConsumerMember *consumer_member_static(const CoordGroups *groups, const CoordConsumer *consumer, CoordBytes id);
extern ConsumerMember *consumer_member_add(CoordGroups *groups, CoordConsumer *consumer, CoordBytes member_id,
										   CoordBytes instance_id);
extern ConsumerClassic *consumer_classic_copy(CoordGroups *groups, int32 session_timeout_ms,
											  const CoordProtocol *protocols, int nprotocols);
extern ConsumerMember *consumer_join_static(CoordGroups *groups, CoordConsumer *consumer, ConsumerMember *existing,
											CoordBytes member_id);
extern ConsumerMember *consumer_member_replace(CoordGroups *groups, ConsumerMember *old, CoordBytes member_id);
extern void consumer_member_remove(CoordGroups *groups, ConsumerMember *member);
extern bool consumer_member_subscribe(CoordGroups *groups, ConsumerMember *member, const CoordBytes *names, int nnames,
									  CoordPattern pattern);
extern void consumer_member_vote(ConsumerMember *member, int assignor);
extern void consumer_member_classic(CoordGroups *groups, ConsumerMember *member, ConsumerClassic *classic);
extern void consumer_member_string(CoordGroups *groups, CoordBytes *at, CoordBytes value);
extern void consumer_session_start(CoordGroups *groups, ConsumerMember *member);
extern void consumer_rebalance_start(CoordGroups *groups, ConsumerMember *member);
extern void consumer_join_start(CoordGroups *groups, ConsumerMember *member);
extern void consumer_sync_start(CoordGroups *groups, ConsumerMember *member);
extern void consumer_release(CoordGroups *groups, CoordGroup *group);

/* consumer_target.c */
extern bool consumer_bump(CoordGroups *groups, CoordConsumer *consumer, bool changed);
extern void consumer_target_update(CoordGroups *groups, CoordConsumer *consumer);
extern void consumer_topics_changed(CoordGroups *groups, CoordGroup *group);
extern int	consumer_assignor(const CoordGroups *groups, const CoordConsumer *consumer);

/* consumer_reconcile.c; nowned is -1 if the member did not say what it has */
extern bool consumer_reconcile(CoordGroups *groups, ConsumerMember *member, bool subscription_changed,
							   const CoordTopicPartitions *owned, int nowned);

/* consumer_classic.c */
extern void consumer_classic_join(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
extern void consumer_classic_sync(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
extern CoordError consumer_classic_heartbeat(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
extern void consumer_classic_leave(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);

/* consumer_migrate.c */
extern const char *consumer_upgrade(CoordGroups *groups, CoordGroup *group);
extern bool consumer_can_downgrade(const CoordGroups *groups, const CoordConsumer *consumer, int nleaving,
								   ConsumerMember *const *leaving);
extern void consumer_downgrade(CoordGroups *groups, CoordGroup *group);
extern void consumer_downgrade_empty(CoordGroups *groups, CoordGroup *group);

/* the group may be a classic one, or have no state, afterwards */
extern void consumer_fence(CoordGroups *groups, CoordGroup *group, ConsumerMember *const *members, int n);

/* consumer_view.c */
extern CoordError consumer_commit(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
extern CoordError consumer_fetch(CoordGroups *groups, CoordGroup *group, const CoordEvent *event);
extern CoordState consumer_state(const CoordGroup *group);
extern CoordBytes consumer_protocol_type(const CoordGroup *group);
extern void consumer_describe(const CoordGroups *groups, const CoordGroup *group, CoordDescription *out);

/* consumer_verify.c, with assertions only */
extern void consumer_verify(const CoordGroup *group);

#endif							/* COORD_CONSUMER_H */

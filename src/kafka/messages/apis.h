/*-------------------------------------------------------------------------
 *
 * apis.h
 *	  The one list of the Kafka APIs that we speak.
 *
 * ApiVersions answers from it, the dispatcher and the tests walk it.  An API
 * is a row here, field rows in a file beside this one (all.h), and a handler
 * in ../api/ of the same name.
 *
 * Siblings: messages.c (the tables), ../api.c (handlers), ../frame.c
 * (headers).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_APIS_H
#define KAFKA_MESSAGES_APIS_H

#include "kafka/messages/all.h"

/*
 * Columns: key, name, name of the handler, first version advertised, first
 * version served, last version, first flexible version, plane, error code that
 * clients try again after, options.
 *
 * Options: GROUP_IN(Request) where the request is about one group, which its
 * field group_id names.
 *
 * The plane says which worker may run it: DATA a listener (what is fast and
 * never waits for a lock), CONTROL the control worker (groups, transactions),
 * ADMIN the administration worker (whatever runs commands or reads much), ANY
 * the first two.
 *
 * Produce is advertised from 0, as Kafka does, because librdkafka stops
 * compressing otherwise; a request of version 0 to 2 is told that it is not
 * supported.  So is SaslHandshake 0, without which librdkafka sees no SASL.
 */
#define KAFKA_APIS(X) \
	X(0,  Produce,					produce,				   0, 3, 13, 9, DATA, NOT_LEADER_OR_FOLLOWER) \
	X(1,  Fetch,					fetch,					   4, 4, 18, 12, DATA, NOT_LEADER_OR_FOLLOWER) \
	X(2,  ListOffsets,				list_offsets,			   1, 1, 11, 6, ANY, LEADER_NOT_AVAILABLE) \
	X(3,  Metadata,					metadata,				   0, 0, 13, 9, ANY, LEADER_NOT_AVAILABLE) \
	X(8,  OffsetCommit,				offset_commit,			   2, 2, 10, 8, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(OffsetCommitRequest)) \
	X(9,  OffsetFetch,				offset_fetch,			   1, 1, 10, 6, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(OffsetFetchRequest)) \
	X(10, FindCoordinator,			find_coordinator,		   0, 0, 6, 3, ANY, LEADER_NOT_AVAILABLE) \
	X(11, JoinGroup,				join_group,				   0, 0, 9, 6, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(JoinGroupRequest)) \
	X(12, Heartbeat,				heartbeat,				   0, 0, 4, 4, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(HeartbeatRequest)) \
	X(13, LeaveGroup,				leave_group,			   0, 0, 5, 4, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(LeaveGroupRequest)) \
	X(14, SyncGroup,				sync_group,				   0, 0, 5, 4, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(SyncGroupRequest)) \
	X(15, DescribeGroups,			describe_groups,		   0, 0, 6, 5, CONTROL, COORDINATOR_NOT_AVAILABLE) \
	X(16, ListGroups,				list_groups,			   0, 0, 5, 3, CONTROL, COORDINATOR_NOT_AVAILABLE) \
	X(17, SaslHandshake,			sasl_handshake,			   0, 1, 1, LATEST, ANY, LEADER_NOT_AVAILABLE) \
	X(18, ApiVersions,				api_versions,			   0, 0, 4, 3, ANY, LEADER_NOT_AVAILABLE) \
	X(19, CreateTopics,				create_topics,			   2, 2, 7, 5, ADMIN, NOT_CONTROLLER) \
	X(20, DeleteTopics,				delete_topics,			   1, 1, 6, 4, ADMIN, NOT_CONTROLLER) \
	X(21, DeleteRecords,			delete_records,			   0, 0, 2, 2, ADMIN, NOT_CONTROLLER) \
	X(22, InitProducerId,			init_producer_id,		   0, 0, 5, 2, ANY, COORDINATOR_NOT_AVAILABLE) \
	X(23, OffsetForLeaderEpoch,		offset_for_leader_epoch,   2, 2, 4, 4, ANY, LEADER_NOT_AVAILABLE) \
	X(24, AddPartitionsToTxn,		add_partitions_to_txn,	   0, 0, 5, 3, CONTROL, COORDINATOR_NOT_AVAILABLE) \
	X(25, AddOffsetsToTxn,			add_offsets_to_txn,		   0, 0, 4, 3, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(AddOffsetsToTxnRequest)) \
	X(26, EndTxn,					end_txn,				   0, 0, 5, 3, CONTROL, COORDINATOR_NOT_AVAILABLE) \
	X(27, WriteTxnMarkers,			write_txn_markers,		   1, 1, 2, 1, ANY, LEADER_NOT_AVAILABLE) \
	X(28, TxnOffsetCommit,			txn_offset_commit,		   0, 0, 6, 3, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(TxnOffsetCommitRequest)) \
	X(29, DescribeAcls,				describe_acls,					1, 1, 3, 2, ADMIN, NOT_CONTROLLER) \
	X(30, CreateAcls,				create_acls,					1, 1, 3, 2, ADMIN, NOT_CONTROLLER) \
	X(31, DeleteAcls,				delete_acls,					1, 1, 3, 2, ADMIN, NOT_CONTROLLER) \
	X(32, DescribeConfigs,			describe_configs,				1, 1, 4, 4, ADMIN, NOT_CONTROLLER) \
	X(33, AlterConfigs,				alter_configs,					0, 0, 2, 2, ADMIN, NOT_CONTROLLER) \
	X(34, AlterReplicaLogDirs,		alter_replica_log_dirs,	   1, 1, 2, 2, ADMIN, NOT_CONTROLLER) \
	X(35, DescribeLogDirs,			describe_log_dirs,		   1, 1, 5, 2, ADMIN, NOT_CONTROLLER) \
	X(36, SaslAuthenticate,			sasl_authenticate,		   0, 0, 2, 2, ANY, LEADER_NOT_AVAILABLE) \
	X(37, CreatePartitions,			create_partitions,		   0, 0, 3, 2, ADMIN, NOT_CONTROLLER) \
	X(38, CreateDelegationToken,	create_delegation_token,		1, 1, 3, 2, ADMIN, NOT_CONTROLLER) \
	X(39, RenewDelegationToken,		renew_delegation_token,			1, 1, 2, 2, ADMIN, NOT_CONTROLLER) \
	X(40, ExpireDelegationToken,	expire_delegation_token,		1, 1, 2, 2, ADMIN, NOT_CONTROLLER) \
	X(41, DescribeDelegationToken,	describe_delegation_token,		1, 1, 3, 2, ADMIN, NOT_CONTROLLER) \
	X(42, DeleteGroups,				delete_groups,			   0, 0, 2, 2, CONTROL, COORDINATOR_NOT_AVAILABLE) \
	X(43, ElectLeaders,				elect_leaders,					0, 0, 2, 2, ADMIN, NOT_CONTROLLER) \
	X(44, IncrementalAlterConfigs,	incremental_alter_configs,		0, 0, 1, 1, ADMIN, NOT_CONTROLLER) \
	X(45, AlterPartitionReassignments,	alter_partition_reassignments,	0, 0, 1, 0, ADMIN, NOT_CONTROLLER) \
	X(46, ListPartitionReassignments,	list_partition_reassignments,	0, 0, 0, 0, ADMIN, NOT_CONTROLLER) \
	X(47, OffsetDelete,				offset_delete,			   0, 0, 0, LATEST, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(OffsetDeleteRequest)) \
	X(48, DescribeClientQuotas,		describe_client_quotas,			0, 0, 1, 1, ADMIN, NOT_CONTROLLER) \
	X(49, AlterClientQuotas,		alter_client_quotas,			0, 0, 1, 1, ADMIN, NOT_CONTROLLER) \
	X(50, DescribeUserScramCredentials,	describe_user_scram_credentials,	0, 0, 0, 0, ADMIN, NOT_CONTROLLER) \
	X(51, AlterUserScramCredentials,	alter_user_scram_credentials,	0, 0, 0, 0, ADMIN, NOT_CONTROLLER) \
	X(55, DescribeQuorum,			describe_quorum,				0, 0, 2, 0, ADMIN, NOT_CONTROLLER) \
	X(57, UpdateFeatures,			update_features,				0, 0, 2, 0, ADMIN, NOT_CONTROLLER) \
	X(60, DescribeCluster,			describe_cluster,		   0, 0, 2, 0, ANY, LEADER_NOT_AVAILABLE) \
	X(61, DescribeProducers,		describe_producers,				0, 0, 0, 0, ADMIN, NOT_CONTROLLER) \
	X(64, UnregisterBroker,			unregister_broker,				0, 0, 0, 0, ADMIN, NOT_CONTROLLER) \
	X(65, DescribeTransactions,		describe_transactions,	   0, 0, 0, 0, CONTROL, COORDINATOR_NOT_AVAILABLE) \
	X(66, ListTransactions,			list_transactions,		   0, 0, 2, 0, CONTROL, COORDINATOR_NOT_AVAILABLE) \
	X(68, ConsumerGroupHeartbeat,	consumer_group_heartbeat,  0, 0, 1, 0, CONTROL, COORDINATOR_NOT_AVAILABLE, GROUP_IN(ConsumerGroupHeartbeatRequest)) \
	X(69, ConsumerGroupDescribe,	consumer_group_describe,   0, 0, 1, 0, CONTROL, COORDINATOR_NOT_AVAILABLE) \
	X(74, ListConfigResources,		list_config_resources,			0, 0, 1, 0, ADMIN, NOT_CONTROLLER) \
	X(75, DescribeTopicPartitions,	describe_topic_partitions, 0, 0, 0, 0, ANY, LEADER_NOT_AVAILABLE) \
	X(80, AddRaftVoter,				add_raft_voter,					0, 0, 1, 0, ADMIN, NOT_CONTROLLER) \
	X(81, RemoveRaftVoter,			remove_raft_voter,				0, 0, 0, 0, ADMIN, NOT_CONTROLLER)

/* KAFKA_KEY_Produce and so on */
typedef enum KafkaApiKey
{
#define KAFKA_API_KEY(key, Name, ...) KAFKA_KEY_##Name = key,
	KAFKA_APIS(KAFKA_API_KEY)
#undef KAFKA_API_KEY
} KafkaApiKey;

/* Position in kafka_apis[] */
typedef enum KafkaApiIndex
{
#define KAFKA_API_INDEX(key, Name, ...) KAFKA_API_##Name,
	KAFKA_APIS(KAFKA_API_INDEX)
#undef KAFKA_API_INDEX
	KAFKA_API_COUNT
} KafkaApiIndex;

typedef enum KafkaPlane
{
	KAFKA_PLANE_ANY,
	KAFKA_PLANE_DATA,
	KAFKA_PLANE_CONTROL,
	KAFKA_PLANE_ADMIN
} KafkaPlane;

typedef struct KafkaApi
{
	const char *name;
	int16		key;
	int16		min_version;	/* as advertised; all from here on can be
								 * decoded */
	int16		min_served;
	int16		max_version;
	int16		flexible_from;
	KafkaPlane	plane;
	int16		unavailable;	/* the answer when its worker is not there */
	uint16		group_id_at;	/* 1 + where the request struct has the id of
								 * the group that it is about, 0: none */
	const KafkaSchema *(*request) (void);
	const KafkaSchema *(*response) (void);
} KafkaApi;

extern const KafkaApi kafka_apis[KAFKA_API_COUNT];

/* NULL for a key that is not in the list. */
extern const KafkaApi *kafka_api_by_key(int16 key);

static inline bool
kafka_api_flexible(const KafkaApi *api, int16 version)
{
	return version >= api->flexible_from;
}

#endif							/* KAFKA_MESSAGES_APIS_H */

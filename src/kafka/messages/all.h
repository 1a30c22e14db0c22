/*-------------------------------------------------------------------------
 *
 * all.h
 *	  The field rows of all messages.
 *
 * Siblings: apis.h (the list of APIs), the numbered files, named by API key.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ALL_H
#define KAFKA_MESSAGES_ALL_H

#include "kafka/messages/00_produce.h"
#include "kafka/messages/01_fetch.h"
#include "kafka/messages/02_list_offsets.h"
#include "kafka/messages/03_metadata.h"
#include "kafka/messages/08_offset_commit.h"
#include "kafka/messages/09_offset_fetch.h"
#include "kafka/messages/10_find_coordinator.h"
#include "kafka/messages/11_join_group.h"
#include "kafka/messages/12_heartbeat.h"
#include "kafka/messages/13_leave_group.h"
#include "kafka/messages/14_sync_group.h"
#include "kafka/messages/15_describe_groups.h"
#include "kafka/messages/16_list_groups.h"
#include "kafka/messages/17_sasl_handshake.h"
#include "kafka/messages/18_api_versions.h"
#include "kafka/messages/19_create_topics.h"
#include "kafka/messages/20_delete_topics.h"
#include "kafka/messages/21_delete_records.h"
#include "kafka/messages/22_init_producer_id.h"
#include "kafka/messages/23_offset_for_leader_epoch.h"
#include "kafka/messages/24_add_partitions_to_txn.h"
#include "kafka/messages/25_add_offsets_to_txn.h"
#include "kafka/messages/26_end_txn.h"
#include "kafka/messages/27_write_txn_markers.h"
#include "kafka/messages/28_txn_offset_commit.h"
#include "kafka/messages/29_describe_acls.h"
#include "kafka/messages/30_create_acls.h"
#include "kafka/messages/31_delete_acls.h"
#include "kafka/messages/32_describe_configs.h"
#include "kafka/messages/33_alter_configs.h"
#include "kafka/messages/34_alter_replica_log_dirs.h"
#include "kafka/messages/35_describe_log_dirs.h"
#include "kafka/messages/36_sasl_authenticate.h"
#include "kafka/messages/37_create_partitions.h"
#include "kafka/messages/38_create_delegation_token.h"
#include "kafka/messages/39_renew_delegation_token.h"
#include "kafka/messages/40_expire_delegation_token.h"
#include "kafka/messages/41_describe_delegation_token.h"
#include "kafka/messages/42_delete_groups.h"
#include "kafka/messages/43_elect_leaders.h"
#include "kafka/messages/44_incremental_alter_configs.h"
#include "kafka/messages/45_alter_partition_reassignments.h"
#include "kafka/messages/46_list_partition_reassignments.h"
#include "kafka/messages/47_offset_delete.h"
#include "kafka/messages/48_describe_client_quotas.h"
#include "kafka/messages/49_alter_client_quotas.h"
#include "kafka/messages/50_describe_user_scram_credentials.h"
#include "kafka/messages/51_alter_user_scram_credentials.h"
#include "kafka/messages/55_describe_quorum.h"
#include "kafka/messages/57_update_features.h"
#include "kafka/messages/60_describe_cluster.h"
#include "kafka/messages/61_describe_producers.h"
#include "kafka/messages/64_unregister_broker.h"
#include "kafka/messages/65_describe_transactions.h"
#include "kafka/messages/66_list_transactions.h"
#include "kafka/messages/68_consumer_group_heartbeat.h"
#include "kafka/messages/69_consumer_group_describe.h"
#include "kafka/messages/74_list_config_resources.h"
#include "kafka/messages/75_describe_topic_partitions.h"
#include "kafka/messages/80_add_raft_voter.h"
#include "kafka/messages/81_remove_raft_voter.h"

#endif							/* KAFKA_MESSAGES_ALL_H */

/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Every setting of pgtopic, in one table.
 *
 * A setting is a row of one of the three lists below: its name without the
 * prefix, variable, bounds, when it may change, unit, and what it is for.  The
 * variables are declared in guc.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "guc.h"
#include "kafka/listeners.h"
#include "net/tls.h"
#include "quotas/quotas.h"
#include "record/batch.h"
#include "rights/rights.h"

char	   *pt_topic_schema;
char	   *pt_database;
char	   *pt_listeners;
char	   *pt_listener_security_protocol_map;
char	   *pt_advertised_listeners;
char	   *pt_plaintext_role;
bool		pt_allow_unauthenticated;
char	   *pt_ssl_cert_file;
char	   *pt_ssl_key_file;
char	   *pt_ssl_ca_file;
char	   *pt_ssl_crl_file;
int			pt_ssl_client_auth;
int			pt_listener_workers;
int			pt_executor_workers;
int			pt_executor_timeout_ms;
int			pt_transaction_workers;
int			pt_max_connections;
int			pt_max_connections_per_ip;
char	   *pt_max_connections_per_ip_overrides;
int			pt_max_request_size;
int			pt_idle_timeout_ms;
int			pt_max_reauth_ms;
int			pt_failed_login_delay_ms;
int			pt_oauth_workers;
bool		pt_auto_create_topics;
bool		pt_kafka_admin;
bool		pt_groups_follow_topics;
int			pt_default_partitions;
int			pt_offsets_retention;
int			pt_log_retention;
int			pt_log_retention_bytes;
int			pt_group_initial_rebalance_delay_ms;
int			pt_group_min_session_timeout_ms;
int			pt_group_max_session_timeout_ms;
int			pt_group_consumer_session_timeout_ms;
int			pt_group_consumer_heartbeat_interval_ms;
int			pt_group_max_size;
int			pt_group_memory;
int			pt_transaction_max_timeout_ms;
int			pt_transactional_id_expiration_ms;
int			pt_offset_metadata_max;
int			pt_offset_memory;
int			pt_produce_buffer;
int			pt_transaction_memory;
int			pt_transaction_buffer;
int			pt_transaction_disk_mb;
int			pt_max_partitions;
int			pt_max_producers;
int			pt_old_scan_threshold;
int			pt_producer_id_expiration;
int			pt_decompress_limit;
int			pt_compaction_memory;
int			pt_file_delete_delay_s;
int			pt_compaction_interval_ms;
int			pt_max_tasks;
int			pt_retained_wal_warning_mb;

typedef struct PtIntSetting
{
	const char *name;
	int		   *variable;
	int			boot;
	int			min;
	int			max;
	GucContext	context;
	int			flags;
	const char *what;
	const char *more;
} PtIntSetting;

static const PtIntSetting int_settings[] = {
	{"pgtopic.listener_workers", &pt_listener_workers, 1, 1, 16, PGC_POSTMASTER, 0,
	"Number of listener worker processes.", NULL},
	{"pgtopic.executor_workers", &pt_executor_workers, 2, 1, 16, PGC_POSTMASTER, 0,
		"Number of processes that append to topics with triggers, constraints or indexed expressions for Kafka clients.",
	"A partition is worked on by one at a time."},
	{"pgtopic.executor_timeout", &pt_executor_timeout_ms, 30000, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
		"Longest that appending one record batch of a Kafka client to such a topic may take.",
	"It is cancelled then, or when its request times out."},
	{"pgtopic.transaction_workers", &pt_transaction_workers, 2, 1, 16, PGC_POSTMASTER, 0,
		"Number of processes that commit transactions of Kafka clients.",
	"A transaction is committed by one of them."},
	{"pgtopic.transaction_memory", &pt_transaction_memory, 64 * 1024, 1024, MAX_KILOBYTES, PGC_SIGHUP, GUC_UNIT_KB,
		"Most shared memory for what open transactions of Kafka clients have sent.",
	"What has no room is kept in temporary files."},
	{"pgtopic.transaction_buffer", &pt_transaction_buffer, 1024, 0, MAX_KILOBYTES, PGC_SIGHUP, GUC_UNIT_KB,
		"Most of this memory for one transaction.", NULL},
	{"pgtopic.transaction_disk", &pt_transaction_disk_mb, 16 * 1024, -1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MB,
		"Most temporary files for what open transactions of Kafka clients have sent.",
	"-1 is no limit.  temp_file_limit bounds each transaction."},
	{"pgtopic.max_tasks", &pt_max_tasks, 8, 1, 1000, PGC_POSTMASTER, 0,
		"Worker processes of tasks: sources, sinks and processors.",
	"They count towards max_worker_processes."},
	{"pgtopic.retained_wal_warning", &pt_retained_wal_warning_mb, 10 * 1024, -1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MB,
	"WAL that the replication slot of a source may keep before there is a warning; -1: there is none.", NULL},
	{"pgtopic.max_connections", &pt_max_connections, 10000, 1, 1000000, PGC_SIGHUP, 0,
	"Most Kafka connections that one listener worker accepts.", NULL},
	{"pgtopic.max_connections_per_ip", &pt_max_connections_per_ip, INT_MAX, 0, INT_MAX, PGC_SIGHUP, 0,
	"Most Kafka connections from one address, over all workers.", "Kafka's max.connections.per.ip."},
	{"pgtopic.max_request_size", &pt_max_request_size, 100 * 1024 * 1024, 1024, 1024 * 1024 * 1024, PGC_SIGHUP, GUC_UNIT_BYTE,
	"Largest request that a Kafka client may send.", "Kafka's socket.request.max.bytes."},
	{"pgtopic.idle_timeout", &pt_idle_timeout_ms, 10 * 60 * 1000, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
	"Closes a Kafka connection that was idle for this long.", "0 keeps idle connections. Kafka's connections.max.idle.ms."},
	{"pgtopic.max_reauth_ms", &pt_max_reauth_ms, 0, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
		"Time after which a Kafka client must have authenticated itself again.",
	"0: it need not. Kafka's connections.max.reauth.ms."},
	{"pgtopic.failed_login_delay", &pt_failed_login_delay_ms, 100, 0, 60000, PGC_SIGHUP, GUC_UNIT_MS,
		"How long a Kafka client waits for the answer when its authentication has failed.",
	"Kafka's connection.failed.authentication.delay.ms."},
	{"pgtopic.oauth_workers", &pt_oauth_workers, 2, 0, PT_OAUTH_WORKERS_MAX, PGC_SIGHUP, 0,
		"How many tokens of OAuth a listener worker has checked at the same time, each by a process of its own.",
	"They count towards max_worker_processes while they run. 0: mechanism OAUTHBEARER is not offered."},
	{"pgtopic.default_partitions", &pt_default_partitions, 1, 1, 10000, PGC_SIGHUP, 0,
	"Partitions of a topic that is created without saying how many.", "Kafka's num.partitions."},
	{"pgtopic.offsets_retention", &pt_offsets_retention, 7 * 24 * 60, 0, 100 * 366 * 24 * 60, PGC_SIGHUP, GUC_UNIT_MIN,
		"Removes committed offsets of groups that nobody has used for this long.",
	"0 keeps them forever. Kafka's offsets.retention.minutes."},
	{"pgtopic.log_retention", &pt_log_retention, 7 * 24 * 3600, -1, INT_MAX, PGC_SIGHUP, GUC_UNIT_S,
		"Age beyond which records are removed, of topics that do not set retention.ms.",
	"-1 keeps them forever. Kafka's log.retention.ms."},
	{"pgtopic.log_retention_bytes", &pt_log_retention_bytes, -1, -1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MB,
		"Size of a partition beyond which its oldest records are removed, of topics that do not set retention.bytes.",
	"-1 is no limit. Kafka's log.retention.bytes."},
	{"pgtopic.group_initial_rebalance_delay", &pt_group_initial_rebalance_delay_ms, 3000, 0, 3600 * 1000, PGC_SIGHUP, GUC_UNIT_MS,
		"How long a new consumer group waits for more members before its first rebalance.",
	"Kafka's group.initial.rebalance.delay.ms."},
	{"pgtopic.group_min_session_timeout", &pt_group_min_session_timeout_ms, 6000, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
	"Shortest session timeout that a member of a consumer group may ask for.", "Kafka's group.min.session.timeout.ms."},
	{"pgtopic.group_max_session_timeout", &pt_group_max_session_timeout_ms, 30 * 60 * 1000, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
	"Longest session timeout that a member of a consumer group may ask for.", "Kafka's group.max.session.timeout.ms."},
	{"pgtopic.group_consumer_session_timeout", &pt_group_consumer_session_timeout_ms, 45000, 1000, 3600 * 1000, PGC_SIGHUP, GUC_UNIT_MS,
		"Session timeout of members of the consumer group protocol (KIP-848).",
	"Kafka's group.consumer.session.timeout.ms."},
	{"pgtopic.group_consumer_heartbeat_interval", &pt_group_consumer_heartbeat_interval_ms, 5000, 100, 3600 * 1000, PGC_SIGHUP, GUC_UNIT_MS,
		"How often members of the consumer group protocol (KIP-848) are told to send heartbeats.",
	"Kafka's group.consumer.heartbeat.interval.ms."},
	{"pgtopic.group_max_size", &pt_group_max_size, INT_MAX, 1, INT_MAX, PGC_SIGHUP, 0,
	"Most members that a consumer group may have.", "Kafka's group.max.size and group.consumer.max.size."},
	{"pgtopic.group_memory", &pt_group_memory, 256 * 1024, 1024, MAX_KILOBYTES, PGC_SIGHUP, GUC_UNIT_KB,
	"Most memory for the members of all consumer groups.", NULL},
	{"pgtopic.transaction_max_timeout", &pt_transaction_max_timeout_ms, 15 * 60 * 1000, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
		"Longest timeout that a transactional producer may ask for.",
	"A transaction that is open for longer than its timeout is aborted. Kafka's transaction.max.timeout.ms."},
	{"pgtopic.transactional_id_expiration", &pt_transactional_id_expiration_ms, 7 * 24 * 3600 * 1000, 1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
	"Time after which a transactional id that nobody uses is forgotten.", "Kafka's transactional.id.expiration.ms."},
	{"pgtopic.offset_memory", &pt_offset_memory, 64 * 1024, 1024, MAX_KILOBYTES, PGC_SIGHUP, GUC_UNIT_KB,
		"Most shared memory for committed offsets.",
	"Beyond it groups move the committed offsets that they have, and get no new ones.  It is reserved at the start; what a change adds is dynamic shared memory."},
	{"pgtopic.offset_metadata_max", &pt_offset_metadata_max, 4096, 0, 32767, PGC_SIGHUP, GUC_UNIT_BYTE,
	"Longest metadata that may be committed with an offset.", "Kafka's offset.metadata.max.bytes."},
	{"pgtopic.produce_buffer", &pt_produce_buffer, 64 * 1024, 64, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB,
		"Memory in which a transaction's records wait for its commit.",
	"Beyond it the transaction appends early and keeps the locks of its partitions to its end."},
	{"pgtopic.max_partitions", &pt_max_partitions, 4096, 16, 1000000, PGC_POSTMASTER, 0,
		"Partitions whose state is in shared memory.",
	"There may be more, but no more are written or fetched by Kafka clients in the same moment, or written in one transaction."},
	{"pgtopic.max_producers", &pt_max_producers, 10000, 16, 10000000, PGC_POSTMASTER, 0,
		"Idempotent producers in shared memory, counted per partition.",
	"Those that are not there are looked for in the partition's log, which takes longer."},
	{"pgtopic.old_scan_threshold", &pt_old_scan_threshold, 600, -1, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S,
		"How long a scan keeps the space of records that were removed since it began.",
	"After that the space is used again, and the scan fails if it comes there.  -1: as long as it takes."},
	{"pgtopic.producer_id_expiration", &pt_producer_id_expiration, 86400000, 1, PG_INT32_MAX, PGC_SIGHUP, GUC_UNIT_MS,
		"Time after which a partition forgets an idempotent producer of which nothing came.",
	"It is what Kafka calls producer.id.expiration.ms."},
	{"pgtopic.decompress_limit", &pt_decompress_limit, 256 * 1024, 64, PT_RECORDS_BYTES_MAX / 1024, PGC_SUSET, GUC_UNIT_KB,
		"Most memory that decompressing one record batch may take.",
	"A client's batch that takes more is refused; what is in a log already is read all the same."},
	{"pgtopic.compaction_memory", &pt_compaction_memory, 128 * 1024, 64, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB,
		"Memory in which a compaction keeps the keys of a partition.",
	"Each key takes 30 bytes; if they do not fit, it reads the partition several times. Kafka's log.cleaner.dedupe.buffer.size."},
	{"pgtopic.compaction_interval", &pt_compaction_interval_ms, 15000, 100, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS,
		"How often the compactor looks for partitions that are to be compacted.",
	"Kafka's log.cleaner.backoff.ms."},
	{"pgtopic.file_delete_delay", &pt_file_delete_delay_s, 60, 1, 3600 * 24, PGC_SIGHUP, GUC_UNIT_S,
		"How long space that compaction has freed waits before it is used again.",
	"Responses that are being sent may still read it. Kafka's log.segment.delete.delay.ms."},
};

typedef struct PtStringSetting
{
	const char *name;
	char	  **variable;
	const char *boot;
	GucContext	context;
	int			flags;
	const char *what;
	const char *more;
	GucStringCheckHook check;
	GucStringAssignHook assign;
} PtStringSetting;

static const PtStringSetting string_settings[] = {
	{"pgtopic.topic_schema", &pt_topic_schema, "topics", PGC_SUSET, 0,
	"Schema of the tables that are topics.", NULL},
	{"pgtopic.database", &pt_database, "postgres", PGC_POSTMASTER, 0,
	"Database whose topics the listener serves.", NULL},
	{"pgtopic.listeners", &pt_listeners, "PLAINTEXT://127.0.0.1:9092", PGC_POSTMASTER, GUC_LIST_INPUT,
		"Where Kafka clients are served: a list of NAME://host:port.",
	"An empty string serves none. Kafka's listeners.", kafka_listeners_check},
	{"pgtopic.listener_security_protocol_map", &pt_listener_security_protocol_map, "", PGC_POSTMASTER, GUC_LIST_INPUT,
		"What is spoken at listeners whose name is no security protocol: a list of NAME:PROTOCOL.",
	"Kafka's listener.security.protocol.map.", kafka_security_map_check},
	{"pgtopic.advertised_listeners", &pt_advertised_listeners, "", PGC_SIGHUP, GUC_LIST_INPUT,
		"Where clients of a listener are told to connect to: a list of NAME://host:port.",
	"Clients of others are told the listener's own address. Kafka's advertised.listeners.", kafka_advertised_check},
	{"pgtopic.max_connections_per_ip_overrides", &pt_max_connections_per_ip_overrides, "", PGC_SIGHUP, GUC_LIST_INPUT,
		"Addresses with a limit of their own: a list of address:number.",
	"Kafka's max.connections.per.ip.overrides.", pt_connections_per_ip_check},
	{"pgtopic.ssl_cert_file", &pt_ssl_cert_file, "", PGC_SIGHUP, 0,
	"Certificate that Kafka clients are shown.", "Empty: that of ssl_cert_file."},
	{"pgtopic.ssl_key_file", &pt_ssl_key_file, "", PGC_SIGHUP, 0,
	"Private key of that certificate.", "Empty: that of ssl_key_file."},
	{"pgtopic.ssl_ca_file", &pt_ssl_ca_file, "", PGC_SIGHUP, 0,
	"Authorities whose certificates Kafka clients may have.", "Empty: those of ssl_ca_file."},
	{"pgtopic.ssl_crl_file", &pt_ssl_crl_file, "", PGC_SIGHUP, 0,
	"Certificates of Kafka clients that are revoked.", "Empty: those of ssl_crl_file."},
	{"pgtopic.plaintext_role", &pt_plaintext_role, "", PGC_SIGHUP, 0,
		"Role as which Kafka clients act that do not authenticate themselves.",
	"Empty: they are refused. It may not be a superuser, and need not have LOGIN.", NULL, pt_plaintext_role_assigned},
};

/* Kafka's words. */
static const struct config_enum_entry client_auth_options[] = {
	{"none", NET_TLS_ASK_NONE, false},
	{"requested", NET_TLS_ASK_REQUESTED, false},
	{"required", NET_TLS_ASK_REQUIRED, false},
	{NULL, 0, false}
};

void
pt_guc_register(void)
{
	for (int i = 0; i < lengthof(int_settings); i++)
	{
		const PtIntSetting *s = &int_settings[i];

		DefineCustomIntVariable(s->name, s->what, s->more, s->variable, s->boot, s->min, s->max,
								s->context, s->flags, NULL, NULL, NULL);
	}
	for (int i = 0; i < lengthof(string_settings); i++)
	{
		const PtStringSetting *s = &string_settings[i];

		DefineCustomStringVariable(s->name, s->what, s->more, s->variable, s->boot,
								   s->context, s->flags, s->check, s->assign, NULL);
	}
	DefineCustomBoolVariable("pgtopic.auto_create_topics",
							 "Creates a topic when a Kafka client asks for one that is not there.",
							 "Kafka's auto.create.topics.enable.",
							 &pt_auto_create_topics, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pgtopic.allow_unauthenticated",
							 "Opens listeners at which clients are not authenticated to other addresses than loopback.",
							 NULL,
							 &pt_allow_unauthenticated, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pgtopic.groups_follow_topics",
							 "Lets those use a consumer group who may read all topics in which it has committed offsets.",
							 "Off: only what is granted on groups counts.",
							 &pt_groups_follow_topics, true, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("pgtopic.ssl_client_auth",
							 "Whether Kafka clients that speak TLS are asked for a certificate.",
							 "Kafka's ssl.client.auth.",
							 &pt_ssl_client_auth, NET_TLS_ASK_NONE, client_auth_options, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("pgtopic.kafka_admin",
							 "Lets administrators among Kafka clients change the server's settings and the passwords of roles.",
							 "Administrators are superusers and members of pgtopic_admin.",
							 &pt_kafka_admin, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("pgtopic");
}

/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The settings (pgtopic.*) as variables; guc.c has the one table of them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_GUC_H
#define PT_GUC_H

/* where topics live */
extern char *pt_topic_schema;	/* schema of the topic tables */
extern char *pt_database;		/* database that the listener serves */

/* listener */
extern char *pt_listeners;		/* kafka/listeners.c reads these three */
extern char *pt_listener_security_protocol_map;
extern char *pt_advertised_listeners;
extern bool pt_allow_unauthenticated;
extern char *pt_ssl_cert_file;	/* "": the server's; so the next three */
extern char *pt_ssl_key_file;
extern char *pt_ssl_ca_file;
extern char *pt_ssl_crl_file;
extern int	pt_ssl_client_auth; /* NetTlsAsk */
extern char *pt_plaintext_role; /* "": nobody without authentication */
extern int	pt_listener_workers;
extern int	pt_executor_workers;
extern int	pt_executor_timeout_ms;
extern int	pt_transaction_workers;
extern int	pt_max_connections;
extern int	pt_max_connections_per_ip;
extern char *pt_max_connections_per_ip_overrides;	/* see quotas/addresses.c */
extern int	pt_max_request_size;	/* bytes */
extern int	pt_idle_timeout_ms; /* 0: never */
extern int	pt_max_reauth_ms;	/* 0: none */
extern int	pt_failed_login_delay_ms;
#define PT_OAUTH_WORKERS_MAX	32
extern int	pt_oauth_workers;
extern bool pt_groups_follow_topics;	/* who may read its topics may use a
										 * group */
extern bool pt_kafka_admin;		/* clients may change the server itself */

/* topics */
extern bool pt_auto_create_topics;
extern int	pt_default_partitions;

/* defaults of topics' configs; -1: none */
extern int	pt_log_retention;	/* s */
extern int	pt_log_retention_bytes; /* MB */

/* consumer groups; times in ms where nothing is said */
extern int	pt_retained_wal_warning_mb; /* -1: none */
extern int	pt_offsets_retention;	/* minutes; 0: forever */
extern int	pt_group_initial_rebalance_delay_ms;
extern int	pt_group_min_session_timeout_ms;
extern int	pt_group_max_session_timeout_ms;
extern int	pt_group_consumer_session_timeout_ms;
extern int	pt_group_consumer_heartbeat_interval_ms;
extern int	pt_group_max_size;	/* members */
extern int	pt_group_memory;	/* kB, of all groups */
extern int	pt_transaction_max_timeout_ms;
extern int	pt_transactional_id_expiration_ms;
extern int	pt_offset_metadata_max; /* bytes */
extern int	pt_offset_memory;	/* kB */

/* memory */
extern int	pt_produce_buffer;	/* kB, per transaction */
extern int	pt_transaction_memory;	/* kB, of what Kafka transactions stage */
extern int	pt_transaction_buffer;	/* kB of it, of one transaction */
extern int	pt_transaction_disk_mb; /* MB of temporary files; -1: no limit */
extern int	pt_max_partitions;	/* logs with shared state */
extern int	pt_old_scan_threshold;	/* s, -1: no limit */
extern int	pt_max_producers;	/* idempotent producers, over all partitions */
extern int	pt_producer_id_expiration;	/* ms */
extern int	pt_decompress_limit;	/* kB, of one batch */
extern int	pt_compaction_memory;	/* kB */
extern int	pt_file_delete_delay_s;
extern int	pt_compaction_interval_ms;

/* tasks */
extern int	pt_max_tasks;		/* workers */

extern void pt_guc_register(void);

#endif							/* PT_GUC_H */

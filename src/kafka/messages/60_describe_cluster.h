/*-------------------------------------------------------------------------
 *
 * 60_describe_cluster.h
 *	  DescribeCluster (API key 60), versions 0 to 2.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_DESCRIBE_CLUSTER_H
#define KAFKA_MESSAGES_DESCRIBE_CLUSTER_H

#include "kafka/message_rows.h"

#define DESCRIBE_CLUSTER_REQUEST_ROWS(F) \
	F(BOOL, include_cluster_authorized_operations,  0, LATEST) \
	F(INT8, endpoint_type,                          1, LATEST, DEFAULT(1)) \
	F(BOOL, include_fenced_brokers,                 2, LATEST)
KAFKA_STRUCT(DescribeClusterRequest, DESCRIBE_CLUSTER_REQUEST_ROWS)

#define DESCRIBE_CLUSTER_BROKER_ROWS(F) \
	F(INT32,  broker_id,  0, LATEST) \
	F(STRING, host,       0, LATEST) \
	F(INT32,  port,       0, LATEST) \
	F(STRING, rack,       0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(BOOL,   is_fenced,  2, LATEST)
KAFKA_STRUCT(DescribeClusterBroker, DESCRIBE_CLUSTER_BROKER_ROWS)

#define DESCRIBE_CLUSTER_RESPONSE_ROWS(F) \
	F(INT32,                        throttle_time_ms,               0, LATEST) \
	F(INT16,                        error_code,                     0, LATEST) \
	F(STRING,                       error_message,                  0, LATEST, NULLABLE(0), DEFAULT(-1)) \
	F(INT8,                         endpoint_type,                  1, LATEST, DEFAULT(1)) \
	F(STRING,                       cluster_id,                     0, LATEST) \
	F(INT32,                        controller_id,                  0, LATEST, DEFAULT(-1)) \
	F(ARRAY(DescribeClusterBroker), brokers,                        0, LATEST) \
	F(INT32,                        cluster_authorized_operations,  0, LATEST, DEFAULT(PG_INT32_MIN))
KAFKA_STRUCT(DescribeClusterResponse, DESCRIBE_CLUSTER_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_DESCRIBE_CLUSTER_H */

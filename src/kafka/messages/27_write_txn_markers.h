/*-------------------------------------------------------------------------
 *
 * 27_write_txn_markers.h
 *	  WriteTxnMarkers (API key 27), versions 1 and 2.
 *
 * From coordinators to brokers.  All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_WRITE_TXN_MARKERS_H
#define KAFKA_MESSAGES_WRITE_TXN_MARKERS_H

#include "kafka/message_rows.h"

#define WRITABLE_TXN_MARKER_TOPIC_ROWS(F) \
	F(STRING,      name,               0, LATEST) \
	F(LIST(INT32), partition_indexes,  0, LATEST)
KAFKA_STRUCT(WritableTxnMarkerTopic, WRITABLE_TXN_MARKER_TOPIC_ROWS)

#define WRITABLE_TXN_MARKER_ROWS(F) \
	F(INT64,                         producer_id,          0, LATEST) \
	F(INT16,                         producer_epoch,       0, LATEST) \
	F(BOOL,                          transaction_result,   0, LATEST) \
	F(ARRAY(WritableTxnMarkerTopic), topics,               0, LATEST) \
	F(INT32,                         coordinator_epoch,    0, LATEST) \
	F(INT8,                          transaction_version,  2, LATEST)
KAFKA_STRUCT(WritableTxnMarker, WRITABLE_TXN_MARKER_ROWS)

#define WRITE_TXN_MARKERS_REQUEST_ROWS(F) \
	F(ARRAY(WritableTxnMarker), markers,  0, LATEST)
KAFKA_STRUCT(WriteTxnMarkersRequest, WRITE_TXN_MARKERS_REQUEST_ROWS)

#define WRITABLE_TXN_MARKER_PARTITION_RESULT_ROWS(F) \
	F(INT32, partition_index,  0, LATEST) \
	F(INT16, error_code,       0, LATEST)
KAFKA_STRUCT(WritableTxnMarkerPartitionResult, WRITABLE_TXN_MARKER_PARTITION_RESULT_ROWS)

#define WRITABLE_TXN_MARKER_TOPIC_RESULT_ROWS(F) \
	F(STRING,                                  name,        0, LATEST) \
	F(ARRAY(WritableTxnMarkerPartitionResult), partitions,  0, LATEST)
KAFKA_STRUCT(WritableTxnMarkerTopicResult, WRITABLE_TXN_MARKER_TOPIC_RESULT_ROWS)

#define WRITABLE_TXN_MARKER_RESULT_ROWS(F) \
	F(INT64,                               producer_id,  0, LATEST) \
	F(ARRAY(WritableTxnMarkerTopicResult), topics,       0, LATEST)
KAFKA_STRUCT(WritableTxnMarkerResult, WRITABLE_TXN_MARKER_RESULT_ROWS)

#define WRITE_TXN_MARKERS_RESPONSE_ROWS(F) \
	F(ARRAY(WritableTxnMarkerResult), markers,  0, LATEST)
KAFKA_STRUCT(WriteTxnMarkersResponse, WRITE_TXN_MARKERS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_WRITE_TXN_MARKERS_H */

/*-------------------------------------------------------------------------
 *
 * 60_describe_cluster.c
 *	  DescribeCluster: the one broker.
 *
 * Version 1 has the type of the endpoint: this is one of brokers, and a client
 * that asks for controllers is refused.
 *
 * Siblings: ../call.c, ../broker.c, 03_metadata.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/broker.h"

/* endpoint types of the protocol */
#define ENDPOINT_BROKER			1
#define ENDPOINT_CONTROLLER		2

/*
 * Answers with an error.
 */
static void
set_error(DescribeClusterResponse *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_cluster_begin(KafkaCall *call)
{
	const DescribeClusterRequest *in = call->request;
	DescribeClusterResponse *out = call->response;
	KafkaAdvertised at = kafka_advertised(call->session->listener);
	DescribeClusterBroker *broker;

	if (in->endpoint_type != ENDPOINT_BROKER)
	{
		if (in->endpoint_type == ENDPOINT_CONTROLLER)
			set_error(out, KERR_MISMATCHED_ENDPOINT_TYPE, "This is the endpoint of a broker.");
		else
			set_error(out, KERR_UNSUPPORTED_ENDPOINT_TYPE, "Unknown endpoint type.");
		return KAFKA_REPLY;
	}

	KAFKA_RESIZE(call, out->brokers, DescribeClusterBroker, 1);
	broker = &out->brokers.items[0];
	broker->broker_id = KAFKA_BROKER_ID;
	broker->host = kafka_string(at.host);
	broker->port = at.port;
	out->cluster_id = kafka_string(kafka_cluster_id());
	out->controller_id = KAFKA_BROKER_ID;
	if (in->include_cluster_authorized_operations)
		out->cluster_authorized_operations = kafka_cluster_operations(call);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
describe_cluster_fail(KafkaCall *call, int16 code, const char *message)
{
	set_error(call->response, code, message);
}

const KafkaHandler kafka_handler_describe_cluster = {
	.begin = describe_cluster_begin,
	.fail = describe_cluster_fail
};

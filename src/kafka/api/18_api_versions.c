/*-------------------------------------------------------------------------
 *
 * 18_api_versions.c
 *	  ApiVersions: the APIs and versions that this server has, from the list of
 *	  APIs.
 *
 * From version 3 on the client names its software (KIP-511), and the response
 * has features (KIP-584).  A request of a version that is unknown to us gets a
 * response of version 0 with UNSUPPORTED_VERSION; ../call.c does that.
 *
 * Siblings: ../messages/apis.h (the list), ../call.c, ../features.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"
#include "kafka/features.h"

/*
 * Copies a name for log lines and views.  Characters that are not printable
 * ASCII become question marks.
 */
static void
copy_printable(char *to, size_t size, KafkaString from)
{
	size_t		len = Min(Max(from.len, 0), (int32) size - 1);

	Assert(size > 0);
	for (size_t i = 0; i < len; i++)
		to[i] = from.data[i] >= 0x20 && from.data[i] < 0x7f ? from.data[i] : '?';
	to[len] = '\0';
}

/*
 * Fills the features.  Below version 4 a feature that may have level 0 is not
 * listed as supported (KAFKA-17011): Java clients from 3.3 to 3.7 fail
 * because of the 0.
 */
static void
fill_features(KafkaCall *call)
{
	ApiVersionsResponse *out = call->response;
	int			n = KAFKA_FEATURE_COUNT;

	KAFKA_RESIZE(call, out->supported_features, ApiSupportedFeature, n);
	KAFKA_RESIZE(call, out->finalized_features, ApiFinalizedFeature, n);
	out->supported_features.n = 0;
	for (int i = 0; i < n; i++)
	{
		const KafkaFeature *feature = &kafka_features[i];

		out->finalized_features.items[i].name = kafka_string(feature->name);
		out->finalized_features.items[i].max_version_level = feature->level;
		out->finalized_features.items[i].min_version_level = feature->level;
		if (feature->min_level > 0 || call->api_version >= 4)
		{
			ApiSupportedFeature *row = &out->supported_features.items[out->supported_features.n++];

			row->name = kafka_string(feature->name);
			row->min_version = feature->min_level;
			row->max_version = feature->level;
		}
	}
	out->finalized_features_epoch = 0;
}

/*
 * Fills the response; the error does not change the lists.
 */
static void
fill(KafkaCall *call, int16 error)
{
	ApiVersionsResponse *out = call->response;

	out->error_code = error;
	fill_features(call);
	KAFKA_RESIZE(call, out->api_keys, ApiVersion, KAFKA_API_COUNT);
	for (int i = 0; i < KAFKA_API_COUNT; i++)
	{
		ApiVersion *row = &out->api_keys.items[i];

		row->api_key = kafka_apis[i].key;
		row->min_version = kafka_apis[i].min_version;
		row->max_version = kafka_apis[i].max_version;
	}
}

/*
 * Returns true if the name of a client's software is legal: letters, digits,
 * dots and dashes, as KIP-511 has it.
 */
static bool
is_software_name(KafkaString s)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";

	if (s.len <= 0)
		return false;
	for (int i = 0; i < s.len; i++)
	{
		if (s.data[i] == '\0' || strchr(allowed, s.data[i]) == NULL)
			return false;
	}
	return strchr("-.", s.data[0]) == NULL && strchr("-.", s.data[s.len - 1]) == NULL;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
api_versions_begin(KafkaCall *call)
{
	const ApiVersionsRequest *in = call->request;
	KafkaSession *session = call->session;

	if (call->api_version >= 3 &&
		(!is_software_name(in->client_software_name) || !is_software_name(in->client_software_version)))
	{
		fill(call, KERR_INVALID_REQUEST);
		return KAFKA_REPLY;
	}
	copy_printable(session->software_name, sizeof(session->software_name), in->client_software_name);
	copy_printable(session->software_version, sizeof(session->software_version), in->client_software_version);
	fill(call, KERR_NONE);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
api_versions_fail(KafkaCall *call, int16 code, const char *message)
{
	fill(call, code);
}

const KafkaHandler kafka_handler_api_versions = {
	.begin = api_versions_begin,
	.fail = api_versions_fail
};

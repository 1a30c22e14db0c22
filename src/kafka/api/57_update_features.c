/*-------------------------------------------------------------------------
 *
 * 57_update_features.c
 *	  UpdateFeatures: the levels of features cannot be changed.
 *
 * They are built in.  Asking for the present level succeeds, because nothing
 * is left to do.  Any other update fails as a whole, with the reason, as in a
 * broker.
 *
 * Siblings: 18_api_versions.c, which tells the features; ../features.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/broker.h"
#include "kafka/features.h"

#define UPGRADE_TYPE_UPGRADE	1
#define UPGRADE_TYPE_UNSAFE		3

/*
 * Answers with an error.
 */
static void
refuse(UpdateFeaturesResponse *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
}

/*
 * Answers with an error about the level of a feature.
 */
static void
refuse_version(UpdateFeaturesResponse *out, const FeatureUpdate *in, const char *why)
{
	const char *name = kafka_text(in->feature);

	refuse(out, KERR_INVALID_UPDATE_VERSION,
		   psprintf("The update failed for all features since the following feature had an error: "
					"Invalid update version %d for feature %s. %s", in->max_version_level, name ? name : "", why));
}

/*
 * Returns the type of an update.  Version 0 says only whether a downgrade is
 * allowed.
 */
static int
upgrade_type(const KafkaCall *call, const FeatureUpdate *in)
{
	return call->api_version == 0 ? (in->allow_downgrade ? UPGRADE_TYPE_UPGRADE + 1 : UPGRADE_TYPE_UPGRADE) :
		in->upgrade_type;
}

/*
 * Returns the feature of that name, or NULL.
 */
static const KafkaFeature *
find_feature(KafkaString name)
{
	for (int i = 0; i < KAFKA_FEATURE_COUNT; i++)
	{
		if (pt_string_equal(name, kafka_string(kafka_features[i].name)))
			return &kafka_features[i];
	}
	return NULL;
}

/*
 * Checks an update.  Returns false if it was refused.
 */
static bool
check_update(const KafkaCall *call, const FeatureUpdate *in, UpdateFeaturesResponse *out)
{
	int			type = upgrade_type(call, in);
	const KafkaFeature *feature = find_feature(in->feature);

	if (type < UPGRADE_TYPE_UPGRADE || type > UPGRADE_TYPE_UNSAFE)
		refuse_version(out, in, "The controller does not support the given upgrade type.");
	else if (in->max_version_level < 0)
		refuse_version(out, in, "A feature version cannot be less than 0.");
	else if (feature == NULL)
		refuse_version(out, in, psprintf("Local controller %d does not support this feature.", KAFKA_BROKER_ID));
	else if (in->max_version_level > feature->level || in->max_version_level < feature->min_level)
		refuse_version(out, in, psprintf("Local controller %d only supports versions %d-%d", KAFKA_BROKER_ID,
										 feature->min_level, feature->level));
	else if (in->max_version_level < feature->level && type == UPGRADE_TYPE_UPGRADE)
		refuse_version(out, in, "Can't downgrade the version of this feature without setting the upgrade type to either "
					   "safe or unsafe downgrade.");
	else if (in->max_version_level < feature->level)
		refuse_version(out, in, "This server cannot be told to do without what it has.");
	return out->error_code == KERR_NONE;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
update_features_begin(KafkaCall *call)
{
	const UpdateFeaturesRequest *in = call->request;
	UpdateFeaturesResponse *out = call->response;

	if (!kafka_may_cluster(call, PT_OP_ALTER))
	{
		refuse(out, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
		return KAFKA_REPLY;
	}
	for (int i = 0; i < in->feature_updates.n; i++)
	{
		if (!check_update(call, &in->feature_updates.items[i], out))
			return KAFKA_REPLY;
	}
	out->error_message = kafka_string(NULL);
	KAFKA_RESIZE(call, out->results, FeatureUpdateResult, in->feature_updates.n);
	for (int i = 0; i < in->feature_updates.n; i++)
	{
		out->results.items[i].feature = in->feature_updates.items[i].feature;
		out->results.items[i].error_message = kafka_string(NULL);
	}
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
update_features_fail(KafkaCall *call, int16 code, const char *message)
{
	refuse(call->response, code, message);
}

const KafkaHandler kafka_handler_update_features = {
	.begin = update_features_begin,
	.fail = update_features_fail
};

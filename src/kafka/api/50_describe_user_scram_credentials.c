/*-------------------------------------------------------------------------
 *
 * 50_describe_user_scram_credentials.c
 *	  DescribeUserScramCredentials: roles that have a SCRAM-SHA-256 password,
 *	  with its iterations.
 *
 * The names of roles are not public, so this needs the same permission as
 * changing passwords (kafka_admin_allowed).
 *
 * Siblings: ../scram.h; 51_alter_user_scram_credentials.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/scram.h"

/*
 * KafkaHandler.fail; also used by begin
 */
static void
describe_user_scram_credentials_fail(KafkaCall *call, int16 code, const char *message)
{
	DescribeUserScramCredentialsResponse *out = call->response;

	out->error_code = code;
	out->error_message = kafka_string(message);
}

/*
 * Sets the error of a user.
 */
static void
refuse(DescribeScramResult *out, int16 code, const char *what)
{
	char	   *name = kafka_text(out->user);

	out->error_code = code;
	out->error_message = kafka_string(psprintf("%s: %s", what, name ? name : ""));
}

/*
 * Fills the credential of a user.
 */
static void
add_credential(KafkaCall *call, DescribeScramResult *out, const KafkaScramUser *user)
{
	KAFKA_RESIZE(call, out->credential_infos, DescribeScramCredential, 1);
	out->credential_infos.items[0].mechanism = KAFKA_SCRAM_SHA_256;
	out->credential_infos.items[0].iterations = user->iterations;
}

/*
 * Answers for all users.
 */
static void
describe_all(KafkaCall *call, List *users)
{
	DescribeUserScramCredentialsResponse *out = call->response;
	ListCell   *lc;

	KAFKA_RESIZE(call, out->results, DescribeScramResult, list_length(users));
	foreach(lc, users)
	{
		DescribeScramResult *result = &out->results.items[foreach_current_index(lc)];

		result->user = kafka_string(((const KafkaScramUser *) lfirst(lc))->name);
		add_credential(call, result, lfirst(lc));
	}
}

/*
 * The order of qsort: by bytes, the shorter name first.
 */
static int
compare_names(const void *a, const void *b)
{
	const KafkaString *x = a;
	const KafkaString *y = b;
	int			c = memcmp(x->data, y->data, Max(Min(x->len, y->len), 0));

	return c != 0 ? c : x->len - y->len;
}

/*
 * Answers for the users that were asked for, each once, ordered by name.  The
 * list of users is ordered by name, too.
 */
static void
describe_some(KafkaCall *call, List *users)
{
	const DescribeUserScramCredentialsRequest *in = call->request;
	DescribeUserScramCredentialsResponse *out = call->response;
	KafkaString *names = palloc(sizeof(KafkaString) * in->users.n);
	int			next = 0;

	Assert(in->users.n > 0);
	for (int i = 0; i < in->users.n; i++)
		names[i] = in->users.items[i].name;
	qsort(names, in->users.n, sizeof(KafkaString), compare_names);

	KAFKA_RESIZE(call, out->results, DescribeScramResult, in->users.n);
	out->results.n = 0;
	for (int i = 0; i < in->users.n; i++)
	{
		DescribeScramResult *result = &out->results.items[out->results.n++];
		const KafkaScramUser *user = NULL;
		bool		twice = false;

		result->user = names[i];
		while (i + 1 < in->users.n && compare_names(&names[i], &names[i + 1]) == 0)
		{
			twice = true;
			i++;
		}
		while (next < list_length(users))
		{
			KafkaString known;

			user = list_nth(users, next);
			known = kafka_string(user->name);
			if (compare_names(&known, &result->user) >= 0)
				break;
			next++;
			user = NULL;
		}
		if (twice)
			refuse(result, KERR_DUPLICATE_RESOURCE,
				   "Cannot describe SCRAM credentials for the same user twice in a single request");
		else if (user != NULL && pt_string_equal(kafka_string(user->name), result->user))
			add_credential(call, result, user);
		else
			refuse(result, KERR_RESOURCE_NOT_FOUND, "Attempt to describe a user credential that does not exist");
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_user_scram_credentials_begin(KafkaCall *call)
{
	const DescribeUserScramCredentialsRequest *in = call->request;
	const char *message;

	if (!kafka_may_cluster(call, PT_OP_DESCRIBE))
		describe_user_scram_credentials_fail(call, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
	else if (!kafka_admin_allowed(call, &message))
		describe_user_scram_credentials_fail(call, KERR_CLUSTER_AUTHORIZATION_FAILED, message);
	else if (in->users.n <= 0)
		describe_all(call, kafka_scram_users());
	else
		describe_some(call, kafka_scram_users());
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_describe_user_scram_credentials = {
	.begin = describe_user_scram_credentials_begin,
	.fail = describe_user_scram_credentials_fail
};

/*-------------------------------------------------------------------------
 *
 * 51_alter_user_scram_credentials.c
 *	  AlterUserScramCredentials: sets and removes passwords of roles.
 *
 * There is one answer for each user, whatever the number of mechanisms:
 * PostgreSQL stores one password per role, a SCRAM-SHA-256 verifier.  Each
 * user is a transaction of its own.
 *
 * Siblings: ../scram.h; 50_describe_user_scram_credentials.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/configs.h"
#include "kafka/scram.h"

/* A change of one credential. */
typedef struct Change
{
	KafkaString user;
	int8		mechanism;
	const ScramUpsertion *up;	/* NULL: a deletion */
} Change;

/*
 * The order of qsort: by user, then by mechanism.
 */
static int
compare_changes(const void *a, const void *b)
{
	const Change *x = a;
	const Change *y = b;
	int			c = memcmp(x->user.data, y->user.data, Max(Min(x->user.len, y->user.len), 0));

	if (c == 0)
		c = x->user.len - y->user.len;
	return c != 0 ? c : x->mechanism - y->mechanism;
}

/*
 * Collects the changes of the request; those of a user are adjacent.
 */
static Change *
collect(const AlterUserScramCredentialsRequest *in, int *n)
{
	Change	   *changes;

	*n = in->deletions.n + in->upsertions.n;
	changes = palloc(sizeof(Change) * Max(*n, 1));
	for (int i = 0; i < in->deletions.n; i++)
		changes[i] = (Change) {in->deletions.items[i].name, in->deletions.items[i].mechanism, NULL};
	for (int i = 0; i < in->upsertions.n; i++)
		changes[in->deletions.n + i] = (Change) {in->upsertions.items[i].name, in->upsertions.items[i].mechanism,
			&in->upsertions.items[i]};
	qsort(changes, *n, sizeof(Change), compare_changes);
	return changes;
}

/*
 * Checks a new credential.  Returns false with an error.
 */
static bool
check_upsertion(const ScramUpsertion *up, KafkaError *error)
{
	if (up->iterations < KAFKA_SCRAM_ITERATIONS_MIN)
		return kafka_refuse(error, KERR_UNACCEPTABLE_CREDENTIAL, "Too few iterations");
	if (up->iterations > KAFKA_SCRAM_ITERATIONS_MAX)
		return kafka_refuse(error, KERR_UNACCEPTABLE_CREDENTIAL, "Too many iterations");
	if (up->salt.len <= 0)
		return kafka_refuse(error, KERR_UNACCEPTABLE_CREDENTIAL, "Salt must not be empty");
	if (up->salt.len > 1024)
		return kafka_refuse(error, KERR_UNACCEPTABLE_CREDENTIAL, "Salt is too long");
	if (up->salted_password.len != KAFKA_SCRAM_SALTED_LEN)
		return kafka_refuse(error, KERR_UNACCEPTABLE_CREDENTIAL,
							psprintf("The salted password must have %d bytes", KAFKA_SCRAM_SALTED_LEN));
	return true;
}

/*
 * Checks a change.  Returns false with an error.
 */
static bool
check_change(const Change *change, KafkaError *error)
{
	if (change->user.len <= 0)
		return kafka_refuse(error, KERR_UNACCEPTABLE_CREDENTIAL, "Username must not be empty");
	if (change->user.len >= NAMEDATALEN || kafka_text(change->user) == NULL)
		return kafka_refuse(error, KERR_UNACCEPTABLE_CREDENTIAL, "Username cannot be the name of a role");
	if (change->mechanism == KAFKA_SCRAM_SHA_512)
		return kafka_refuse(error, KERR_UNSUPPORTED_SASL_MECHANISM, "PostgreSQL's passwords are of SCRAM-SHA-256 only");
	if (change->mechanism != KAFKA_SCRAM_SHA_256)
		return kafka_refuse(error, KERR_UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism");
	return change->up == NULL || check_upsertion(change->up, error);
}

/*
 * Applies the n changes of one user.
 */
static void
apply(KafkaCall *call, const Change *changes, int n, KafkaError *error)
{
	const Change *change = &changes[0];

	Assert(n > 0);
	memset(error, 0, sizeof(*error));
	for (int i = 0; i < n; i++)
	{
		if (i > 0 && changes[i].mechanism == changes[i - 1].mechanism)
		{
			(void) kafka_refuse(error, KERR_DUPLICATE_RESOURCE,
								"A user credential cannot be altered twice in the same request");
			return;
		}
	}
	for (int i = 0; i < n; i++)
	{
		if (!check_change(&changes[i], error))
			return;
	}
	/*
	 * One change is left, because only one mechanism is allowed, and it
	 * occurs once.
	 */
	Assert(n == 1);
	if (kafka_scram_set(call, kafka_text(change->user),
						change->up ? kafka_scram_verifier(change->up->iterations, change->up->salt,
														  change->up->salted_password) : NULL,
						error))
		memset(error, 0, sizeof(*error));
}

/*
 * Applies the changes and answers.  If "failed" is not NULL, all users get
 * that error instead.
 */
static void
walk_request(KafkaCall *call, const KafkaError *failed)
{
	AlterUserScramCredentialsResponse *out = call->response;
	int			n;
	Change	   *changes = collect(call->request, &n);

	KAFKA_RESIZE(call, out->results, AlterScramResult, n);
	out->results.n = 0;
	for (int i = 0, same; i < n; i += same)
	{
		AlterScramResult *result = &out->results.items[out->results.n++];
		KafkaError	error;

		for (same = 1; i + same < n && pt_string_equal(changes[i].user, changes[i + same].user);)
			same++;
		if (failed != NULL)
			error = *failed;
		else
			apply(call, &changes[i], same, &error);
		result->user = changes[i].user;
		result->error_code = error.code;
		result->error_message = kafka_string(error.message);
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
alter_user_scram_credentials_begin(KafkaCall *call)
{
	const char *message;

	if (!kafka_may_cluster(call, PT_OP_ALTER))
		walk_request(call, &(KafkaError) {.code = KERR_CLUSTER_AUTHORIZATION_FAILED, .message = KAFKA_NOT_AUTHORIZED_CLUSTER});
	else if (!kafka_admin_allowed(call, &message))
		walk_request(call, &(KafkaError) {.code = KERR_CLUSTER_AUTHORIZATION_FAILED, .message = message});
	else
		walk_request(call, NULL);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
alter_user_scram_credentials_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, &(KafkaError) {.code = code, .message = message});
}

const KafkaHandler kafka_handler_alter_user_scram_credentials = {
	.begin = alter_user_scram_credentials_begin,
	.fail = alter_user_scram_credentials_fail
};

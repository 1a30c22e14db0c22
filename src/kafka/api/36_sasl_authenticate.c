/*-------------------------------------------------------------------------
 *
 * 36_sasl_authenticate.c
 *	  SaslAuthenticate: messages of the mechanism that was chosen.
 *
 * A client that fails is told after pgtopic.failed_login_delay, in words that
 * are the same for every reason, and its connection ends.  The delay is its
 * own: nobody else waits.  OAUTHBEARER tells it in words of its own first, to
 * which the client answers.
 *
 * A message may have a password or a token.  The request's own bytes are
 * overwritten before anything else, the copy as soon as nobody needs it: at
 * the latest with the memory of the call, which ends in any case.
 *
 * Siblings: 17_sasl_handshake.c, ../login.h; ../../auth/sasl.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "kafka/api.h"
#include "kafka/login.h"

/* How long a message may wait for its turn to be looked at. */
#define PATIENCE_MS		30000

/* What is known of the request between begin and resume. */
typedef struct State
{
	bool		failed;			/* the answer waits for the delay */
	bool		refused;		/* it is the mechanism's, and there will be
								 * another */
	char	   *message;		/* copy of auth_bytes with a zero byte behind;
								 * NULL: not needed any more */
	int			message_len;
	PtAuthOutcome outcome;
	char	   *out;
	int			out_len;
} State;

/*
 * Overwrites the copy of the message.  Also a callback of the memory of the
 * call.
 */
static void
forget_message(void *arg)
{
	State	   *state = arg;

	if (state->message != NULL)
		explicit_bzero(state->message, state->message_len);
	state->message = NULL;
}

/*
 * Takes the message out of the request: only the copy has it then.  None is
 * made of one that is longer than max; the result is false.
 */
static bool
take_message(KafkaCall *call, State *state, int max)
{
	const SaslAuthenticateRequest *in = call->request;
	bool		fits = in->auth_bytes.len <= max;

	if (fits)
	{
		MemoryContextCallback *end = palloc0(sizeof(MemoryContextCallback));

		state->message = palloc(in->auth_bytes.len + 1);
		memcpy(state->message, in->auth_bytes.data, in->auth_bytes.len);
		state->message[in->auth_bytes.len] = '\0';
		state->message_len = in->auth_bytes.len;
		end->func = forget_message;
		end->arg = state;
		MemoryContextRegisterResetCallback(call->mcxt, end);
	}
	explicit_bzero(unconstify(char *, in->auth_bytes.data), in->auth_bytes.len);
	return fits;
}

/*
 * The answer to everybody who fails.
 */
static KafkaOutcome
answer_failure(KafkaCall *call)
{
	SaslAuthenticateResponse *out = call->response;

	out->error_code = KERR_SASL_AUTHENTICATION_FAILED;
	out->error_message = kafka_string("Authentication failed.");
	call->goodbye = "authentication failed";
	return KAFKA_REPLY;
}

/*
 * The answer of a mechanism.
 */
static KafkaOutcome
answer_out(KafkaCall *call)
{
	const State *state = call->state;
	SaslAuthenticateResponse *out = call->response;

	out->auth_bytes.data = state->out;
	out->auth_bytes.len = state->out_len;
	return KAFKA_REPLY;
}

/*
 * The delay is over.
 */
static KafkaOutcome
answer_at_last(KafkaCall *call)
{
	const State *state = call->state;

	return state->refused ? answer_out(call) : answer_failure(call);
}

/*
 * The client has failed: it is told when the delay is over.
 */
static KafkaOutcome
failed(KafkaCall *call)
{
	State	   *state = call->state;

	forget_message(state);
	if (!state->refused)
		kafka_login_end(call->session);
	state->failed = true;
	call->retry_at = 0;
	call->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), pt_failed_login_delay_ms);
	return pt_failed_login_delay_ms > 0 ? KAFKA_WAIT : answer_at_last(call);
}

/*
 * Hands the message to the mechanism.  For kafka_try().
 */
static void
run_step(void *arg)
{
	KafkaCall  *call = arg;
	State	   *state = call->state;

	state->outcome = pt_auth_step(call->session->sasl->exchange, state->message, state->message_len,
								  &state->out, &state->out_len);
	if (state->outcome == PT_AUTH_DONE &&
		!kafka_login_finish(call->session, pt_auth_role_name(call->session->sasl->exchange),
							pt_mechanism_name(call->session->sasl->mechanism),
							pt_auth_valid_until(call->session->sasl->exchange)))
		state->outcome = PT_AUTH_FAILED;
}

/*
 * Takes one step.
 */
static KafkaOutcome
step(KafkaCall *call)
{
	SaslAuthenticateResponse *out = call->response;
	KafkaSession *session = call->session;
	PtAuthPeer	peer = kafka_login_peer(session);
	State	   *state = call->state;
	KafkaError	error = {0};

	if (!kafka_try(call, run_step, call, &error))
	{
		pt_auth_tell_refused(&peer, error.message);
		state->outcome = PT_AUTH_FAILED;
	}
	if (state->outcome == PT_AUTH_LATER)
	{
		call->retry_at = pt_auth_again_at(session->sasl->exchange);
		return KAFKA_WAIT;
	}
	forget_message(state);
	if (state->outcome == PT_AUTH_REFUSED)
		state->refused = session->sasl->refused = true;
	if (state->outcome == PT_AUTH_REFUSED || state->outcome == PT_AUTH_FAILED)
		return failed(call);
	if (state->outcome == PT_AUTH_DONE)
	{
		kafka_login_end(session);
		out->session_lifetime_ms = kafka_login_lifetime_ms(session);
	}
	return answer_out(call);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
sasl_authenticate_begin(KafkaCall *call)
{
	SaslAuthenticateResponse *out = call->response;
	PtAuthPeer	peer = kafka_login_peer(call->session);
	State	   *state = palloc0(sizeof(State));
	int			max = call->session->sasl == NULL || call->session->sasl->refused ? -1 :
		pt_auth_message_max(call->session->sasl->mechanism);
	bool		taken = take_message(call, state, max);

	if (call->session->sasl == NULL)
	{
		out->error_code = KERR_ILLEGAL_SASL_STATE;
		out->error_message = kafka_string("SaslAuthenticate without SaslHandshake");
		if (!OidIsValid(call->session->role))
			call->goodbye = "SaslAuthenticate without SaslHandshake";
		return KAFKA_REPLY;
	}
	call->state = state;
	if (call->session->sasl->refused)
	{
		kafka_login_end(call->session); /* the delay is over already */
		return answer_failure(call);
	}
	call->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PATIENCE_MS);
	if (!taken)
	{
		pt_auth_tell_refused(&peer, "its SASL message is too long");
		return failed(call);
	}
	return step(call);
}

/*
 * KafkaHandler.resume.  A peer that closes its side comes here early.  It
 * waits all the same, unless somebody else still works for it.
 */
static KafkaOutcome
sasl_authenticate_resume(KafkaCall *call, bool timed_out)
{
	State	   *state = call->state;
	PtAuthPeer	peer = kafka_login_peer(call->session);
	bool		over = GetCurrentTimestamp() >= call->deadline;
	bool		token;

	if (state->failed)
		return over ? answer_at_last(call) : KAFKA_WAIT;
	token = call->session->sasl->mechanism == PT_MECHANISM_OAUTHBEARER;
	if (!over && !(timed_out && token))
		return step(call);
	pt_auth_tell_refused(&peer, !over ? "it has left while its token was being checked" :
						 token ? "its token has not been checked in time" : "too many passwords are being checked");
	return failed(call);
}

/*
 * KafkaHandler.fail
 */
static void
sasl_authenticate_fail(KafkaCall *call, int16 code, const char *message)
{
	SaslAuthenticateResponse *out = call->response;

	kafka_login_end(call->session);
	(void) answer_failure(call);
	if (code == KERR_UNSUPPORTED_VERSION)
		out->error_code = code;
}

const KafkaHandler kafka_handler_sasl_authenticate = {
	.begin = sasl_authenticate_begin,
	.resume = sasl_authenticate_resume,
	.fail = sasl_authenticate_fail
};

/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Requests and answers that own their strings, so that they may be under way for long.
 *
 * Siblings: sim.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static void *
piece_add(void ***pieces, int *n, size_t size)
{
	if ((*n & (*n - 1)) == 0)
		*pieces = pg_realloc(*pieces, Max(*n * 2, 1) * sizeof(void *));
	return (*pieces)[(*n)++] = pg_malloc(Max(size, 1));
}

SimRequest *
sim_request(Sim *sim, SimActor *actor, CoordEventType type, int version)
{
	SimRequest *request = pg_malloc0(sizeof(SimRequest));

	request->actor = actor;
	request->id = ++sim->last_request;
	request->life = actor->life;
	request->conn = actor->conn;
	request->group = actor->group;
	request->event.type = type;
	request->event.api_version = version;
	request->event.group_id = sim_string(sim->group[actor->group].id);
	request->event.member_id = sim_string("");
	request->event.group_instance_id = COORD_NULL_BYTES;
	request->event.client_id = sim_string("sim");
	request->event.client_host = sim_string("/127.0.0.1");
	return request;
}

void *
sim_request_piece(SimRequest *request, size_t size)
{
	return piece_add(&request->pieces, &request->npieces, size);
}

/* A copy of exactly that size, so that reads behind it are caught; len -1: null. */
CoordBytes
sim_request_bytes(SimRequest *request, const void *data, int len)
{
	char	   *copy;

	if (len < 0)
		return COORD_NULL_BYTES;
	copy = sim_request_piece(request, len);
	memcpy(copy, data, len);
	return (CoordBytes) {copy, len};
}

void
sim_request_release(SimRequest *request)
{
	Assert(request->refs > 0);
	if (--request->refs > 0)
		return;
	for (int i = 0; i < request->npieces; i++)
		pg_free(request->pieces[i]);
	pg_free(request->pieces);
	pg_free(request);
}

static CoordBytes
answer_bytes(SimAnswer *answer, CoordBytes bytes)
{
	char	   *copy;

	if (bytes.len < 0)
		return COORD_NULL_BYTES;
	copy = piece_add(&answer->pieces, &answer->npieces, bytes.len);
	if (bytes.len > 0)
		memcpy(copy, bytes.data, bytes.len);
	return (CoordBytes) {copy, bytes.len};
}

static void
answer_join(SimAnswer *answer, CoordJoinReply *join)
{
	CoordJoinMember *members = piece_add(&answer->pieces, &answer->npieces, join->nmembers * sizeof(CoordJoinMember));

	for (int i = 0; i < join->nmembers; i++)
	{
		members[i].member_id = answer_bytes(answer, join->members[i].member_id);
		members[i].group_instance_id = answer_bytes(answer, join->members[i].group_instance_id);
		members[i].metadata = answer_bytes(answer, join->members[i].metadata);
	}
	join->members = members;
	join->protocol_type = answer_bytes(answer, join->protocol_type);
	join->protocol_name = answer_bytes(answer, join->protocol_name);
	join->leader = answer_bytes(answer, join->leader);
	join->member_id = answer_bytes(answer, join->member_id);
}

static void
answer_leave(SimAnswer *answer, CoordLeaveReply *leave)
{
	CoordLeftMember *members = piece_add(&answer->pieces, &answer->npieces, leave->nmembers * sizeof(CoordLeftMember));

	for (int i = 0; i < leave->nmembers; i++)
	{
		members[i].member_id = answer_bytes(answer, leave->members[i].member_id);
		members[i].group_instance_id = answer_bytes(answer, leave->members[i].group_instance_id);
		members[i].error = leave->members[i].error;
	}
	leave->members = members;
}

static void
answer_consumer(SimAnswer *answer, CoordConsumerHeartbeatReply *consumer)
{
	int			n = Max(consumer->nassigned, 0);
	CoordTopicPartitions *assigned = piece_add(&answer->pieces, &answer->npieces, n * sizeof(CoordTopicPartitions));

	consumer->member_id = answer_bytes(answer, consumer->member_id);
	for (int i = 0; i < n; i++)
	{
		CoordBytes	partitions = {(const char *) consumer->assigned[i].partitions,
		consumer->assigned[i].npartitions * sizeof(int32)};

		assigned[i] = consumer->assigned[i];
		assigned[i].partitions = (const int32 *) answer_bytes(answer, partitions).data;
		assigned[i].topic_name = COORD_NULL_BYTES;
	}
	consumer->assigned = assigned;
}

/* Copies a reply; takes a reference to the request. */
SimAnswer *
sim_answer(SimRequest *request, const CoordReply *reply)
{
	SimAnswer  *answer = pg_malloc0(sizeof(SimAnswer));

	answer->reply = *reply;
	answer->request = request;
	request->refs++;
	answer->reply.message = answer_bytes(answer, reply->message);
	switch (reply->type)
	{
		case COORD_EV_JOIN:
			answer_join(answer, &answer->reply.u.join);
			break;
		case COORD_EV_SYNC:
			answer->reply.u.sync.protocol_type = answer_bytes(answer, reply->u.sync.protocol_type);
			answer->reply.u.sync.protocol_name = answer_bytes(answer, reply->u.sync.protocol_name);
			answer->reply.u.sync.assignment = answer_bytes(answer, reply->u.sync.assignment);
			break;
		case COORD_EV_LEAVE:
			answer_leave(answer, &answer->reply.u.leave);
			break;
		case COORD_EV_CONSUMER_HEARTBEAT:
			answer_consumer(answer, &answer->reply.u.consumer);
			break;
		default:
			break;
	}
	return answer;
}

void
sim_answer_free(SimAnswer *answer)
{
	sim_request_release(answer->request);
	for (int i = 0; i < answer->npieces; i++)
		pg_free(answer->pieces[i]);
	pg_free(answer->pieces);
	pg_free(answer);
}

void
sim_keep(char *to, size_t size, CoordBytes from)
{
	if (from.len >= (int32) size)
		abort();
	if (from.len > 0)
		memcpy(to, from.data, from.len);
	to[Max(from.len, 0)] = '\0';
}

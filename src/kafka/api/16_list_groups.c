/*-------------------------------------------------------------------------
 *
 * 16_list_groups.c
 *	  ListGroups: groups with members, and all others that have offsets.
 *
 * Versions: 4 has a filter by state, 5 one by type.  Older clients see all
 * groups.
 *
 * Siblings: ../groups.h; ../../groups/groups.h (groups that only have
 * offsets).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/groups.h"

/* A list that is made. */
typedef struct Listing
{
	KafkaCall  *call;
	const CoordGroups *groups;
	ListGroupsResponse *out;
	int			cap;			/* allocated length of out->groups */
	bool		all;			/* the client may describe all groups */
	CoordBytes *states;			/* filters of the request */
	CoordBytes *types;
} Listing;

/*
 * Copies a filter of the request.
 */
static CoordBytes *
filter(const KafkaString *items, int n)
{
	CoordBytes *result = palloc(sizeof(CoordBytes) * Max(n, 1));

	for (int i = 0; i < n; i++)
		result[i] = items[i];
	return result;
}

/*
 * Adds a group, if it passes the filters and the client may describe it.
 */
static void
add(Listing *l, const CoordGroupInfo *info)
{
	const ListGroupsRequest *in = l->call->request;
	ListedGroup *group;

	if (!coord_list_matches(info, l->states, Max(in->states_filter.n, 0), l->types, Max(in->types_filter.n, 0)))
		return;
	if (!l->all && !pt_group_listed(l->call->session->role, info->group_id, true))
		return;
	if (l->out->groups.n == l->cap)
	{
		ListedGroup *more = KAFKA_NEW(l->call, ListedGroup, Max(64, l->cap * 2));

		if (l->cap > 0)
			memcpy(more, l->out->groups.items, sizeof(ListedGroup) * l->cap);
		l->cap = Max(64, l->cap * 2);
		l->out->groups.items = more;
	}
	Assert(l->out->groups.n < l->cap);
	group = &l->out->groups.items[l->out->groups.n++];
	group->group_id = pt_string_copy(info->group_id);
	group->protocol_type = pt_string_copy(info->protocol_type);
	group->group_state = kafka_string(coord_state_name(info->state));
	group->group_type = kafka_string(coord_kind_name(info->kind));
}

/*
 * Callback of pt_offsets_groups(): adds a group that the coordinator does not
 * have.
 */
static void
add_outside(void *arg, const PtGroupOffsets *offsets)
{
	Listing    *l = arg;
	KafkaString id = offsets->group_id;
	CoordGroupInfo info;

	if (!coord_find(l->groups, id, &info) && kafka_group_find_outside(id, &info))
		add(l, &info);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
list_groups_begin(KafkaCall *call)
{
	const ListGroupsRequest *in = call->request;
	Listing		l = {.call = call,.groups = kafka_groups(),.out = call->response};
	CoordGroupInfo *infos;
	int			n;

	l.all = kafka_may_cluster(call, PT_OP_DESCRIBE);
	l.states = filter(in->states_filter.items, in->states_filter.n);
	l.types = filter(in->types_filter.items, in->types_filter.n);
	infos = coord_list(l.groups, &n);
	for (int i = 0; i < n; i++)
	{
		KafkaString id = {infos[i].group_id.data, infos[i].group_id.len};

		/* a group whose members have left may be used by SQL sessions now */
		if (infos[i].nmembers == 0 && pt_group_sql_active(id))
			(void) kafka_group_find_outside(id, &infos[i]);
		add(&l, &infos[i]);
	}
	(void) pt_offsets_groups(true, add_outside, &l);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
list_groups_fail(KafkaCall *call, int16 code, const char *message)
{
	ListGroupsResponse *out = call->response;

	out->error_code = kafka_group_error(code);
}

const KafkaHandler kafka_handler_list_groups = {
	.begin = list_groups_begin,
	.fail = list_groups_fail
};

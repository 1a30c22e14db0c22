/*-------------------------------------------------------------------------
 *
 * follow.c
 *	  follow_topic() and unfollow_topic().
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fanout/fanout.h"
#include "func/func.h"
#include "guard.h"
#include "topic/json.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(pt_func_follow_topic);
PG_FUNCTION_INFO_V1(pt_func_unfollow_topic);

/*
 * follow_topic(connection, topic, config, copy_data, publication)
 */
Datum
pt_func_follow_topic(PG_FUNCTION_ARGS)
{
	PtFollow	follow = {.copy = true};

	pt_arg_required(fcinfo, 0, "connection");
	pt_arg_required(fcinfo, 1, "topic");
	follow.conninfo = pt_arg_cstring(fcinfo, 0);
	follow.topic = pt_arg_cstring(fcinfo, 1);
	follow.configs = PG_ARGISNULL(2) ? NIL : pt_json_configs(PG_GETARG_JSONB_P(2));
	if (!PG_ARGISNULL(3))
		follow.copy = PG_GETARG_BOOL(3);
	follow.publication = PG_ARGISNULL(4) ? NULL : pt_arg_cstring(fcinfo, 4);
	pt_refuse_in_block(fcinfo, "follow_topic()");
	PG_RETURN_TEXT_P(cstring_to_text(pt_follow_topic(&follow)));
}

/*
 * unfollow_topic(topic, keep_slot)
 */
Datum
pt_func_unfollow_topic(PG_FUNCTION_ARGS)
{
	const PtTopic *topic = pt_topic_copy(pt_arg_topic(fcinfo, 0));

	pt_refuse_in_block(fcinfo, "unfollow_topic()");
	pt_unfollow_topic(topic, !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	PG_RETURN_VOID();
}

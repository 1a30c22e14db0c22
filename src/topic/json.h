/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Small helpers to read jsonb.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_JSON_H
#define PT_TOPIC_JSON_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/*
 * A walk over the members of an object or the elements of an array.  What is
 * nested in them is a jbvBinary value.
 */
typedef struct PtJsonWalk
{
	JsonbIterator *it;
	char	   *key;			/* of a member; NULL in an array */
	JsonbValue	value;
} PtJsonWalk;

extern void pt_json_walk_begin(PtJsonWalk *walk, JsonbContainer *container);
extern bool pt_json_walk_next(PtJsonWalk *walk);

/*
 * Returns a scalar as text, as ->> does; NULL for null.  ERROR for an array
 * or object; "what" is its name in the message.
 */
extern char *pt_json_scalar(const JsonbValue *v, const char *what);

/*
 * Returns true and the number if it is whole and fits; false for anything
 * else.
 */
extern bool pt_json_int64(const JsonbValue *v, int64 *result);

/*
 * Returns {"retention.ms": 1000, "cleanup.policy": ["compact", "delete"],
 * "segment.ms": null} as a list of PtConfigPair.  An array is joined with
 * commas.  Names and values are not checked.
 */
extern List *pt_json_configs(Jsonb *jb);

#endif							/* PT_TOPIC_JSON_H */

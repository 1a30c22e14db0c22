/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Small helpers to take jsonb apart.
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
 * Goes over the members of an object or the elements of an array; what is
 * nested in them is a jbvBinary value.
 */
typedef struct PtJsonWalk
{
	JsonbIterator *it;
	char	   *key;			/* NULL in an array */
	JsonbValue	value;
} PtJsonWalk;

extern void pt_json_walk_begin(PtJsonWalk *walk, JsonbContainer *container);
extern bool pt_json_walk_next(PtJsonWalk *walk);

/*
 * A scalar as text, as ->> gives it; NULL for null.  ERROR for an array or
 * object, called "what" there.
 */
extern char *pt_json_scalar(const JsonbValue *v, const char *what);

/* A number that is whole and fits; false for anything else. */
extern bool pt_json_int64(const JsonbValue *v, int64 *result);

/*
 * {"retention.ms": 1000, "cleanup.policy": ["compact", "delete"],
 * "segment.ms": null} as a list of PtConfigPair: an array is joined by commas.
 * Checks no name and no value.
 */
extern List *pt_json_configs(Jsonb *jb);

#endif							/* PT_TOPIC_JSON_H */

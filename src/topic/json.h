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

extern char *pt_json_scalar(const JsonbValue *v, const char *what);

extern bool pt_json_int64(const JsonbValue *v, int64 *result);

extern List *pt_json_configs(Jsonb *jb);

#endif							/* PT_TOPIC_JSON_H */

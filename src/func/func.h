/*-------------------------------------------------------------------------
 *
 * func.h
 *	  What the SQL functions share.
 *
 *	  args.c		arguments: values, timestamps, privileges, partitions
 *	  choose.c		which partition a record without a key goes to
 *	  produce.c		produce(), append(), next_partition()
 *	  read.c		consume(), poll()
 *	  groups.c		seek(), commit_offsets(), delete_group()
 *	  delete.c		delete_records()
 *	  group_info.c	what the views of groups show
 *	  admin.c		create_topic() and its like, create_topic_view()
 *	  info.c		what the views topics and partitions show
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_FUNC_H
#define PT_FUNC_H

#include "compat.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "groups/groups.h"
#include "xact/xact.h"
#include "topic/types.h"

/*
 * The bytes of a bytea, text or json argument, text in UTF-8; NULL for null.
 */
extern const char *pt_arg_bytes(FunctionCallInfo fcinfo, int n, int32 *len);

/* The bytes of a jsonb argument: its text, in UTF-8. */
extern const char *pt_arg_jsonb(FunctionCallInfo fcinfo, int n, int32 *len);

/* A topic's or group's name as a C string. */
extern char *pt_arg_cstring(FunctionCallInfo fcinfo, int n);

/* The topic that an argument names; ERROR when there is none. */
extern const PtTopic *pt_arg_topic(FunctionCallInfo fcinfo, int n);

/* A group's id, not empty. */
extern PtString pt_arg_group(FunctionCallInfo fcinfo, int n);

/* ERROR when the argument is null. */
extern void pt_arg_required(FunctionCallInfo fcinfo, int n, const char *name);

/* Now plus the interval in an argument; null is no time at all. */
extern TimestampTz pt_arg_deadline(FunctionCallInfo fcinfo, int n);

/* ERROR unless the user may do this (ACL_xxx) with the topic's table. */
extern void pt_func_check_access(const PtTopic *topic, AclMode mode);

/* The topic of that name, which the user may read; a copy. */
extern PtTopic *pt_func_topic(PtString name);

/* Opens the leaf of a partition; ERROR when there is none of that number. */
extern Relation pt_try_partition(const PtTopic *topic, int32 number, LOCKMODE lockmode);
extern Relation pt_open_partition(Oid topic, int32 number, LOCKMODE lockmode);

/* choose.c: ERROR when the topic has no partition at all. */
extern int32 pt_choose_partition(const PtTopic *topic, const char *key, int32 key_len);

#endif							/* PT_FUNC_H */

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
 *	  follow.c		follow_topic(), unfollow_topic()
 *	  verify.c		verify_topic(), verify_partition()
 *	  acls.c		grant_kafka_acl() and its like
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

/* Contracts are at the definitions.  args.c: arguments as bytes and strings */
extern const char *pt_arg_bytes(FunctionCallInfo fcinfo, int n, int32 *len);

extern const char *pt_arg_jsonb(FunctionCallInfo fcinfo, int n, int32 *len);

extern char *pt_arg_cstring(FunctionCallInfo fcinfo, int n);

/* args.c: topics, groups and times */
extern const PtTopic *pt_arg_topic(FunctionCallInfo fcinfo, int n);

extern PtString pt_arg_group(FunctionCallInfo fcinfo, int n);

extern void pt_arg_required(FunctionCallInfo fcinfo, int n, const char *name);

extern TimestampTz pt_arg_deadline(FunctionCallInfo fcinfo, int n);

/* args.c: topics that may be read, and partitions */
extern PtTopic *pt_func_topic(PtString name);

extern Relation pt_try_partition(const PtTopic *topic, int32 number, LOCKMODE lockmode);
extern Relation pt_open_partition(Oid topic, int32 number, LOCKMODE lockmode);

/* produce.c */
extern bool pt_func_produce(PtString topic, PtRecord *row);

/* choose.c */
extern int32 pt_choose_partition(const PtTopic *topic, const char *key, int32 key_len);

#endif							/* PT_FUNC_H */

/*-------------------------------------------------------------------------
 *
 * leaf.h
 *	  What a leaf table is: a log, a partition of a number, with configs.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_LEAF_H
#define PT_TOPIC_LEAF_H

#include "utils/rel.h"

#include "topic/topic.h"

#define PT_NO_PARTITION		(-1)

extern bool pt_leaf_is_log(Oid relid);
extern int32 pt_leaf_number(Oid child);
extern int32 pt_leaf_partition(Relation rel);
extern bool pt_leaf_needs_executor(Relation rel);
extern Oid	pt_leaf_identity(Relation rel);
extern List *pt_leaf_children(Oid relid);
extern Oid	pt_leaf_parent(Oid relid);
extern const PtTopicConfig *pt_leaf_config(Oid relid);

#endif							/* PT_TOPIC_LEAF_H */

/*-------------------------------------------------------------------------
 *
 * cpu_limit.h
 *	  Computations that are ended when they take too much CPU time.
 *
 * Siblings: cpu_limit.c, topic_regex.c (the user).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_CPU_LIMIT_H
#define KAFKA_CPU_LIMIT_H

#include "postgres.h"

extern bool kafka_within_cpu(int64 *budget_us, void (*job) (void *arg), void *arg);

#endif							/* KAFKA_CPU_LIMIT_H */

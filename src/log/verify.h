/*-------------------------------------------------------------------------
 *
 * verify.h
 *	  Is a log whole?  What is wrong with it, and where.
 *
 * Part of the room's door, log.h, which includes it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_VERIFY_H
#define PT_LOG_VERIFY_H

#include "compat.h"

#include "utils/rel.h"

#include "log/page.h"

/* Kinds of damage, and their names for users. */
#define PT_DAMAGES(X) \
	X(UNREADABLE, "unreadable")		/* the server cannot read the block */ \
	X(META, "meta")					/* a number of the meta page */ \
	X(DIRECTORY, "directory")		/* a directory page, or an entry */ \
	X(SPACE, "space")				/* which physical extent is used for what */ \
	X(PAGE, "page")					/* header or special space of a log page */ \
	X(FRAME, "frame")				/* a frame header, or where frames begin */ \
	X(ORDINAL, "ordinal") \
	X(OFFSET, "offset") \
	X(TIMESTAMP, "timestamp") \
	X(BATCH, "batch")				/* a record batch: header, CRC, records */ \
	X(PRODUCERS, "producers")		/* a snapshot of producers */ \
	X(END, "end")					/* the committed end */ \
	X(INDEX, "index")				/* entries of a secondary index */ \
	X(SKIPPED, "skipped")		/* was lost; skip_damaged() leads past it */

typedef enum PtDamage
{
#define PT_DAMAGE_ENUM(name, text) PT_DAMAGE_##name,
	PT_DAMAGES(PT_DAMAGE_ENUM)
#undef PT_DAMAGE_ENUM
} PtDamage;

extern const char *pt_damage_name(PtDamage damage);

typedef struct PtFinding
{
	PtDamage	damage;
	BlockNumber block;			/* of the file; InvalidBlockNumber: none */
	PtLogPos	pos;			/* place in the log; 0: none */
	int64		offset;			/* of the batch, -1: not known */
	const char *message;
} PtFinding;

/*
 * A part of the log that cannot be read: from the first frame that is damaged
 * to the next one that is good, or to where the log goes on.
 */
typedef struct PtDamagedRun
{
	PtLogPos	from;
	PtLogPos	to;
	int64		first_offset;	/* behind the last good batch before it */
	int64		next_offset;	/* of the first good one behind it; the same
								 * as first_offset: not known */
	int64		next_ordinal;	/* the same, or one that was never used */
} PtDamagedRun;

/* Whom verification tells; each may be NULL. */
typedef struct PtVerifySink
{
	void		(*finding) (void *arg, const PtFinding *finding);
	void		(*run) (void *arg, const PtDamagedRun *run);
	void	   *arg;
} PtVerifySink;

extern void pt_verify_log(Relation rel, bool deep, const PtVerifySink *sink);

#endif							/* PT_LOG_VERIFY_H */

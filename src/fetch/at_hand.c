/*-------------------------------------------------------------------------
 *
 * at_hand.c
 *	  For listeners: calls of this room that do not wait for the disk.
 *
 * Siblings: ../io/at_hand.c, which knows what is at hand; page_cursor.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fetch/internal.h"
#include "io/io.h"

/*
 * From here on nothing in this process waits for a page to be read.  Must be
 * followed by pt_at_hand_end, also when an ERROR is thrown.
 */
void
pt_at_hand_begin(void)
{
	Assert(!pt_at_hand_only);
	pt_at_hand_only = true;
}

void
pt_at_hand_end(void)
{
	pt_at_hand_only = false;
}

/* Does an ERROR with this SQLSTATE say "again in a moment"? */
bool
pt_at_hand_failed(int sqlstate)
{
	return sqlstate == PT_ERRCODE_NOT_AT_HAND;
}

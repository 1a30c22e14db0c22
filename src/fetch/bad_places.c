/*-------------------------------------------------------------------------
 *
 * bad_places.c
 *	  Pages of logs that could not be sent.
 *
 * A fetch looks at frame headers only; the pages in between are first read
 * when they are sent, and by then the answer has begun.  So a page that is
 * damaged there ends the connection, and this process remembers the place.
 * The client connects again and asks again, and now the fetch looks at the
 * page first: the batches before it are sent, and the one that it belongs to
 * is an error of its partition.
 *
 * A place that can be read again is forgotten; the oldest is, too, when there
 * are many.
 *
 * Siblings: span.c notes places, fetch.c asks for them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fetch/internal.h"

#define PLACES_MAX		64

typedef struct BadPlace
{
	RelFileLocator locator;
	uint64		block;			/* logical; PG_UINT64_MAX: forgotten */
} BadPlace;

static BadPlace places[PLACES_MAX];
static int	nplaces;			/* those that have been used */
static int	next_place;			/* that is used next */

/* Remembers a place.  Raises no errors. */
void
pt_bad_place_note(const RelFileLocator *locator, uint64 block)
{
	BadPlace   *place = &places[next_place];

	Assert(block != PG_UINT64_MAX && nplaces <= PLACES_MAX);
	place->locator = *locator;
	place->block = block;
	nplaces = Max(nplaces, next_place + 1);
	next_place = (next_place + 1) % PLACES_MAX;
}

/* A place in one of the logical blocks [from, to]; NULL: there is none. */
static BadPlace *
find_place(const RelFileLocator *locator, uint64 from, uint64 to)
{
	for (int i = 0; i < nplaces; i++)
	{
		if (places[i].block >= from && places[i].block <= to && RelFileLocatorEquals(places[i].locator, *locator))
			return &places[i];
	}
	return NULL;
}

/* Is one of the logical blocks [from, to] of a log remembered? */
bool
pt_bad_place_known(const RelFileLocator *locator, uint64 from, uint64 to)
{
	Assert(from <= to);
	return nplaces > 0 && find_place(locator, from, to) != NULL;
}

/*
 * Looks again at those of these blocks that are remembered: ERROR XX001 if one
 * is still damaged.  False: one is away.
 */
bool
pt_bad_place_check(const RelFileLocator *locator, uint64 from, uint64 to)
{
	BadPlace   *place;

	while ((place = find_place(locator, from, to)) != NULL)
	{
		PtPageCursor cursor;

		pt_page_cursor_init(&cursor, locator, PG_UINT32_MAX, NULL);
		if (!pt_page_cursor_go(&cursor, place->block, 1, false) && !cursor.moved)
		{
			if (cursor.away)
				return false;
			pt_report_damage(locator, pt_pos_make(place->block, 0), "damaged or missing page");
		}
		pt_page_cursor_end(&cursor);
		place->block = PG_UINT64_MAX;
	}
	return true;
}

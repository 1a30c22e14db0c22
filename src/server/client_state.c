/*-------------------------------------------------------------------------
 *
 * client_state.c
 *	  The states of clients and requests: every change of one is made here.
 *
 * client.h has the drawing.  A change that is not in the drawing fails an
 * Assert.  The lists of the listener follow from the states: a change takes
 * the client or request off the list of the old state and puts it to the end
 * of the new one's.  Setting the state that is there already does nothing.
 *
 * Siblings: client.h, client.c, turn.c, forward.c (who decide on changes).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "server/listener.h"

#ifdef USE_ASSERT_CHECKING
#define TO(state)	(1 << (state))

/* From each state, a bit for each state that may follow. */
static const uint16 after_request[] = {
	[PT_REQUEST_ARRIVED] = TO(PT_REQUEST_RUNNING) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_RUNNING] = TO(PT_REQUEST_APPENDING) | TO(PT_REQUEST_WAITING) | TO(PT_REQUEST_LEAVING) |
	TO(PT_REQUEST_UNCOMMITTED) | TO(PT_REQUEST_ANSWERED) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_APPENDING] = TO(PT_REQUEST_DUE) | TO(PT_REQUEST_EXPIRED) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_WAITING] = TO(PT_REQUEST_DUE) | TO(PT_REQUEST_EXPIRED) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_LEAVING] = TO(PT_REQUEST_FORWARDED) | TO(PT_REQUEST_REFUSED) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_FORWARDED] = TO(PT_REQUEST_LEAVING) | TO(PT_REQUEST_REFUSED) | TO(PT_REQUEST_ANSWERED) |
	TO(PT_REQUEST_OVER),
	[PT_REQUEST_DUE] = TO(PT_REQUEST_EXPIRED) | TO(PT_REQUEST_RUNNING) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_EXPIRED] = TO(PT_REQUEST_RUNNING) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_REFUSED] = TO(PT_REQUEST_RUNNING) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_UNCOMMITTED] = TO(PT_REQUEST_ANSWERED) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_ANSWERED] = TO(PT_REQUEST_SENT) | TO(PT_REQUEST_OVER),
	[PT_REQUEST_SENT] = TO(PT_REQUEST_OVER),
	[PT_REQUEST_OVER] = 0
};

static const uint8 after_client[] = {
	[PT_CLIENT_IDLE] = TO(PT_CLIENT_RUNNABLE) | TO(PT_CLIENT_WAITING) | TO(PT_CLIENT_GONE),
	[PT_CLIENT_RUNNABLE] = TO(PT_CLIENT_IDLE) | TO(PT_CLIENT_GONE),
	[PT_CLIENT_WAITING] = TO(PT_CLIENT_IDLE) | TO(PT_CLIENT_GONE),
	[PT_CLIENT_GONE] = 0
};

static const uint8 after_answers[] = {
	[PT_ANSWERS_NONE] = TO(PT_ANSWERS_READY) | TO(PT_ANSWERS_PARKED),
	[PT_ANSWERS_READY] = TO(PT_ANSWERS_NONE),
	[PT_ANSWERS_PARKED] = TO(PT_ANSWERS_READY) | TO(PT_ANSWERS_NONE)
};
#endif

static dlist_head *request_list(PtListener *l, PtRequestState state);
static dlist_head *client_list(PtListener *l, PtClientState state);
static dlist_head *answers_list(PtListener *l, PtAnswersState state);
static void change_list(dlist_node *node, dlist_head *from, dlist_head *to);

static dlist_head *
request_list(PtListener *l, PtRequestState state)
{
	switch (state)
	{
		case PT_REQUEST_APPENDING:
			return &l->appending;
		case PT_REQUEST_LEAVING:
			return &l->leaving;
		case PT_REQUEST_DUE:
		case PT_REQUEST_EXPIRED:
		case PT_REQUEST_REFUSED:
			return &l->due;
		case PT_REQUEST_UNCOMMITTED:
			return &l->uncommitted;
		default:
			return NULL;
	}
}

static dlist_head *
client_list(PtListener *l, PtClientState state)
{
	return state == PT_CLIENT_RUNNABLE ? &l->runnable : NULL;
}

static dlist_head *
answers_list(PtListener *l, PtAnswersState state)
{
	switch (state)
	{
		case PT_ANSWERS_READY:
			return &l->answerable;
		case PT_ANSWERS_PARKED:
			return &l->parked;
		default:
			return NULL;
	}
}

/* NULL: none.  Who stays on the same list keeps the place. */
static void
change_list(dlist_node *node, dlist_head *from, dlist_head *to)
{
	if (from == to)
		return;
	if (from != NULL)
		dlist_delete(node);
	if (to != NULL)
		dlist_push_tail(to, node);
}

/*
 * Changes the state of a request, and its list with it.  Allocates nothing and
 * throws nothing, as do the others here.
 */
void
pt_request_set_state(PtRequest *request, PtRequestState to)
{
	PtListener *l = request->client->listener;
	PtRequestState from = request->state;

	if (from == to)
		return;
	Assert(after_request[from] & TO(to));
	Assert(request->call != NULL ||
		   (to != PT_REQUEST_APPENDING && to != PT_REQUEST_WAITING && to != PT_REQUEST_DUE &&
			to != PT_REQUEST_EXPIRED && to != PT_REQUEST_UNCOMMITTED));
	Assert(request->call == NULL || to != PT_REQUEST_LEAVING);
	request->state = to;
	change_list(&request->state_node, request_list(l, from), request_list(l, to));
}

/* What a waiting request waits for has come; one that does not wait stays. */
void
pt_request_make_due(PtRequest *request)
{
	if (request->state == PT_REQUEST_WAITING)
		pt_request_set_state(request, PT_REQUEST_DUE);
}

/* Its time is over: it is resumed for the last time. */
void
pt_request_expire(PtRequest *request)
{
	Assert(request->state == PT_REQUEST_WAITING || request->state == PT_REQUEST_DUE ||
		   request->state == PT_REQUEST_EXPIRED || request->state == PT_REQUEST_APPENDING);
	pt_request_set_state(request, PT_REQUEST_EXPIRED);
}

/* The caller sets client->waiting first, so that it fits the new state. */
void
pt_client_set_state(PtClient *client, PtClientState to)
{
	PtListener *l = client->listener;
	PtClientState from = client->state;

	Assert((to == PT_CLIENT_WAITING) == (client->waiting != NULL));
	if (from == to)
		return;
	Assert(after_client[from] & TO(to));
	client->state = to;
	change_list(&client->state_node, client_list(l, from), client_list(l, to));
}

void
pt_client_set_answers(PtClient *client, PtAnswersState to)
{
	PtListener *l = client->listener;
	PtAnswersState from = client->answers;

	if (from == to)
		return;
	Assert(after_answers[from] & TO(to));
	client->answers = to;
	change_list(&client->answers_node, answers_list(l, from), answers_list(l, to));
}

/*-------------------------------------------------------------------------
 *
 * forward.h
 *	  Requests that go to another worker, and connections that come from
 *	  others.
 *
 * Siblings: forward.c, inbox.c, client.h (the states).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_FORWARD_H
#define PT_SERVER_FORWARD_H

#include "server/inbox.h"
#include "server/listener.h"

/* inbox.c: the inbox of this worker */
extern void pt_inbox_init(PtListener *l);
extern int	pt_inbox_socket(void);

/* forward.c: in the listener whose client asks */
extern void pt_forward_init(PtListener *l);
extern KafkaPlane pt_forward_plane(const PtListener *l, const PtRequest *request);
extern void pt_forward_start(PtRequest *request, KafkaPlane plane);
extern void pt_forward_phase(PtListener *l);
extern void pt_forward_half_closed(PtRequest *request);
extern void pt_forward_client_gone(PtClient *client);

/* forward.c: in the worker that is asked */
extern void pt_forward_redirect(PtRequest *request, KafkaPlane plane);

#endif							/* PT_SERVER_FORWARD_H */

/*-------------------------------------------------------------------------
 *
 * client_move.h
 *	  Clients that come from, and go to, other workers.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_CLIENT_MOVE_H
#define PT_SERVER_CLIENT_MOVE_H

#include "net/conn_transfer.h"
#include "server/inbox.h"
#include "server/listener.h"

#define PT_INFLIGHT_MAX	64		/* requests of one connection in work; all of
								 * them can move */

/* inbox.c: the inbox of this worker */
extern void pt_inbox_init(PtListener *l);
extern void pt_inbox_turn(PtListener *l);
extern int	pt_inbox_socket(void);

/* client_move.c: clients whose next request belongs to another worker */
extern void pt_client_move_init(PtListener *l);
extern void pt_client_move_turn(PtListener *l);
extern KafkaPlane pt_client_move_target(const PtListener *l, const PtRequest *request);
extern void pt_client_move_start(PtClient *client, KafkaPlane to);

#endif							/* PT_SERVER_CLIENT_MOVE_H */

/*-------------------------------------------------------------------------
 *
 * port.h
 *	  All that the net room takes from PostgreSQL.
 *
 * The room builds in the server and, with FRONTEND, in the unit tests.  It
 * never ereports: what goes wrong is a result, or the end of one connection.
 * Memory is malloc's, because it must outlive transactions and may be refused.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef NET_PORT_H
#define NET_PORT_H

#ifdef FRONTEND
#include "postgres_fe.h"
#define net_fd_reserve()	((void) 0)
#define net_fd_release()	((void) 0)
#else
#include "postgres.h"
#include "storage/fd.h"
/* fd.c counts our sockets, so that it keeps within the process' limit. */
#define net_fd_reserve()	ReserveExternalFD()
#define net_fd_release()	ReleaseExternalFD()
#endif

#include "lib/ilist.h"
#include "lib/pairingheap.h"
#include "port/pg_bswap.h"

#endif							/* NET_PORT_H */

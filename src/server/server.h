/*-------------------------------------------------------------------------
 *
 * server.h
 *	  The door of the server room: the background workers.
 *
 *		listener workers	Kafka clients in, requests to the kafka room,
 *		answers out
 *		executors			batches for tables with code of users
 *		transaction workers	commit Kafka transactions
 *		committer			flushes WAL for those who wait for it
 *		log writer			writes completed extents
 *		housekeeper			removes what is too old
 *		compactor			keeps the last record of each key
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_H
#define PT_SERVER_H

#include "compat.h"

/* From _PG_init, after the settings are known. */
extern void pt_workers_register(void);

extern Size pt_server_shmem_size(void);
extern void pt_server_shmem_init(void);

/* The workers; the argument is the number, where there are several. */
extern PGDLLEXPORT void pt_listener_main(Datum arg);
extern PGDLLEXPORT void pt_executor_main(Datum arg);
extern PGDLLEXPORT void pt_txn_worker_main(Datum arg);
extern PGDLLEXPORT void pt_committer_main(Datum arg);
extern PGDLLEXPORT void pt_logwriter_main(Datum arg);
extern PGDLLEXPORT void pt_housekeeper_main(Datum arg);
extern PGDLLEXPORT void pt_compactor_main(Datum arg);

#endif							/* PT_SERVER_H */

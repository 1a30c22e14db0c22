/*-------------------------------------------------------------------------
 *
 * peer.h
 *	  The connection to a source's server: peer.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SOURCES_PEER_H
#define PT_SOURCES_PEER_H

#include "postgres.h"

#include "sources/pgoutput.h"
#include "tasks/tasks.h"

struct PtSource;

typedef struct PtPeer PtPeer;

/* Where to connect, and for whom. */
typedef struct PtPeerTarget
{
	const char *what;			/* the server, in messages; of static life */
	const char *application;
	const char *connection;		/* NULL: this server, as user, to
								 * local_database */
	const char *user;
	const char *local_database;
	bool		trusted;		/* who connects is a superuser */
	bool		replication;	/* commands for replication, too */
} PtPeerTarget;

/* The rows of an answer: text by row and column, NULL for null. */
typedef struct PtPeerRows
{
	const char *what;			/* the server */
	int			n;
	int			columns;
	char	  **values;
} PtPeerRows;

/* A row that comes alone, and its columns. */
typedef struct PtPeerRow
{
	int			n;
	char	  **names;
	Oid		   *types;
	int		   *typmods;
	PtPgoutputValue *values;
} PtPeerRow;

extern void pt_peer_check_connection(const struct PtSource *source);
extern PtPeer *pt_peer_connect(const struct PtSource *source, const PtTask *task);
extern PtPeer *pt_peer_connect_plain(const struct PtSource *source, const PtTask *task);
extern void pt_peer_check_target(const PtPeerTarget *target);
extern PtPeer *pt_peer_connect_to(const PtPeerTarget *target, const PtTask *task);
extern void pt_peer_be_patient(PtPeer *remote, int ms);
extern void pt_peer_close(PtPeer *remote);
extern int	pt_peer_version(PtPeer *remote);
extern const char *pt_peer_database(PtPeer *remote);
extern PtPeerRows *pt_peer_query(PtPeer *remote, const char *sql, int columns);
extern const char *pt_peer_value(const PtPeerRows *rows, int row, int column);
extern const char *pt_peer_value_or_null(const PtPeerRows *rows, int row, int column);
extern bool pt_peer_bool(const PtPeerRows *rows, int row, int column);
extern Oid	pt_peer_oid(const PtPeerRows *rows, int row, int column);
pg_noreturn extern void pt_peer_unexpected(const PtPeer *remote);
extern void pt_peer_meanwhile(PtPeer *remote, void (*meanwhile) (void *arg), void *arg);
extern void pt_peer_command(PtPeer *remote, const char *sql);
extern void pt_peer_rows_begin(PtPeer *remote, const char *sql);
extern const PtPeerRow *pt_peer_rows_next(PtPeer *remote);
extern void pt_peer_stream(PtPeer *remote, const char *sql);
extern int	pt_peer_receive(PtPeer *remote, char **data);
extern void pt_peer_free(char *data);
extern void pt_peer_send(PtPeer *remote, const char *data, int len);
extern pgsocket pt_peer_socket(PtPeer *remote);

#endif							/* PT_SOURCES_PEER_H */

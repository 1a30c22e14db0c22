/*-------------------------------------------------------------------------
 *
 * quotas.h
 *	  The door of the quotas room: how much a client may use, and has used.
 *
 * A quota is a limit per second for a user, a client id, both, or an address.
 * Its definition is a row of a table; every process that serves clients has a
 * copy of all rows (pt_quotas_refresh).  What is used is counted in shared
 * memory, over all of them.
 *
 *		pt_quotas_refresh()			in a transaction: a changed table
 *		pt_quota_is_set				is there a quota of this kind at all?
 *		pt_quota_of(client, kind)	which one is the client's
 *		pt_quota_charge(...)		counts, and says how long to throttle
 *
 * Siblings: internal.h; entity.c, addresses.c, catalog.c, limits.c, usage.c,
 * functions.c;
 * rate.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_QUOTAS_H
#define PT_QUOTAS_H

#include "compat.h"

#include "nodes/pg_list.h"
#include "utils/guc.h"

typedef enum PtQuotaKind
{
	PT_QUOTA_PRODUCE,			/* bytes of requests */
	PT_QUOTA_FETCH,				/* bytes of answers */
	PT_QUOTA_REQUEST,			/* ns of a worker's time; defined in percent */
	PT_QUOTA_MUTATION,			/* partitions that are created and deleted */
	PT_QUOTA_CONNECTION			/* connections from an address */
} PtQuotaKind;

#define PT_QUOTA_KINDS			5
#define PT_QUOTA_CLIENT_KINDS	4	/* the first ones are a client's */
#define PT_QUOTA_BIT(kind)		(1U << (kind))

#define PT_QUOTA_NAME_SIZE		256 /* longest client id that is told apart,
									 * with its zero byte */

/* The types of entities, in the order of their names in an entity. */
typedef enum PtQuotaPart
{
	PT_QUOTA_USER,
	PT_QUOTA_CLIENT_ID,
	PT_QUOTA_IP
} PtQuotaPart;

#define PT_QUOTA_PARTS	3

/* Whom a quota is for: the parts that are given. */
typedef struct PtQuotaEntity
{
	bool		given[PT_QUOTA_PARTS];
	const char *name[PT_QUOTA_PARTS];	/* NULL: the default of all that have
										 * none of their own */
} PtQuotaEntity;

/* A row of the table. */
typedef struct PtQuotaRow
{
	PtQuotaEntity entity;
	PtQuotaKind kind;
	double		value;
} PtQuotaRow;

struct PtQuotaUsage;

/* What counts for a client: a counter in shared memory, and its limit. */
typedef struct PtQuotaRef
{
	struct PtQuotaUsage *usage; /* NULL: no quota */
	uint32		life;			/* of the counter */
	uint64		loaded;			/* pt_quotas_loaded when this was found */
	int64		again_at_ms;	/* when to look again; 0: no need to */
	double		limit;			/* per second, in the unit of the kind */
} PtQuotaRef;

/* A client, for as long as its names are the same. */
typedef struct PtQuotaClient
{
	char		user[NAMEDATALEN];
	char		client_id[PT_QUOTA_NAME_SIZE];
	PtQuotaRef	refs[PT_QUOTA_CLIENT_KINDS];
	uint64		unpaid_ns;		/* time that is not counted yet */
} PtQuotaClient;

/* entity.c */
extern const char *const pt_quota_part_names[PT_QUOTA_PARTS];
extern const char *const pt_quota_names[PT_QUOTA_KINDS];
extern int	pt_quota_part(const char *name);
extern char *pt_quota_entity_problem(const PtQuotaEntity *entity);
extern char *pt_quota_problem(const PtQuotaEntity *entity, const char *quota, double value);
extern bool pt_quota_kind(const PtQuotaEntity *entity, const char *quota, PtQuotaKind *kind);
extern bool pt_quota_entity_equal(const PtQuotaEntity *a, const PtQuotaEntity *b);

/* addresses.c */
extern bool pt_connections_per_ip_check(char **newval, void **extra, GucSource source);
extern int	pt_connections_per_ip(const char *address);

/* catalog.c */
extern List *pt_quotas_read(void);
extern void pt_quota_write(const PtQuotaEntity *entity, PtQuotaKind kind, const double *value);

/* limits.c */
extern uint32 pt_quotas_set;	/* PT_QUOTA_BIT of the kinds that have rows */

/* Is there a quota of this kind at all?  Needs nothing. */
static inline bool
pt_quota_is_set(PtQuotaKind kind)
{
	return (pt_quotas_set & PT_QUOTA_BIT(kind)) != 0;
}

extern uint64 pt_quotas_loaded; /* how often the copy was made */
extern bool pt_quotas_refresh(void);

/* usage.c */
extern void pt_quota_client_is(PtQuotaClient *client, const char *user, const char *client_id);
extern PtQuotaRef *pt_quota_of(PtQuotaClient *client, PtQuotaKind kind, int64 now_ms);
extern int64 pt_quota_now_ns(void);
extern int32 pt_quota_charge(PtQuotaRef *ref, PtQuotaKind kind, uint64 amount, int64 now_ms);
extern int32 pt_quota_ask(PtQuotaRef *ref, uint64 amount, int64 now_ms);
extern int32 pt_quota_debt(PtQuotaRef *ref, int64 now_ns);
extern void pt_quota_take(PtQuotaRef *ref, uint32 tokens, int64 now_ns);
extern void pt_quota_throttled(PtQuotaRef *ref, int32 ms, int64 now_ms);
extern int32 pt_quota_connection(const char *address);
extern Size pt_quotas_shmem_size(void);
extern void pt_quotas_shmem_init(void);

#endif							/* PT_QUOTAS_H */

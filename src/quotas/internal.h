/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the quotas room share; nobody else includes it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_QUOTAS_INTERNAL_H
#define PT_QUOTAS_INTERNAL_H

#include "port/atomics.h"

#include "quotas/quotas.h"
#include "quotas/rate.h"
#include "utils/jsonb.h"

/*
 * Whose usage is counted together.  A part that does not matter for the quota
 * that applies is not there, so that all clients of a user share one counter
 * when the quota is the user's.  Zeroed before it is filled: it is compared
 * and hashed as bytes.
 */
typedef struct PtQuotaKey
{
	uint8		kind;
	bool		has_user;
	bool		has_name;
	char		user[NAMEDATALEN];
	char		name[PT_QUOTA_NAME_SIZE];	/* client id, or address */
} PtQuotaKey;

/* A counter, as the view shows it. */
typedef struct PtQuotaCount
{
	PtQuotaKey	key;
	bool		shared;			/* of all for whom there was no room */
	double		limit;
	double		rate;			/* per second */
	uint64		total;
	uint64		throttles;
	uint64		throttle_ms;
	int64		throttled_ms;	/* from now on; 0: it is not */
} PtQuotaCount;

/* entity.c */
extern Jsonb *pt_quota_entity_json(const PtQuotaEntity *entity);
extern char *pt_quota_entity_read(Jsonb *json, PtQuotaEntity *entity);
extern bool pt_quota_address(const char *text, char *address, size_t size);

/* catalog.c */
extern uint64 pt_quotas_generation(void);
extern bool pt_quotas_lock(void);

/* limits.c */
extern double pt_quota_limit(PtQuotaKind kind, const char *user, const char *client_id, PtQuotaKey *key);
extern double pt_quota_address_limit(const char *address, PtQuotaKey *key);
extern double pt_quota_scale(PtQuotaKind kind);

/* usage.c */
extern List *pt_quota_counts(void);

#endif							/* PT_QUOTAS_INTERNAL_H */

/*-------------------------------------------------------------------------
 *
 * limits.c
 *	  Which quota applies to a client: the copy of the table that a process
 *	  has.
 *
 * Of the quotas of a kind one applies, the first that there is of
 *
 *		user and client id				counted for the two together
 *		user, and default client id		the same
 *		user							all clients of the user together
 *		default user, and client id		user and client id together
 *		default user and client id		the same
 *		default user					all clients of the user together
 *		client id						all users with it together
 *		default client id				the same
 *
 * as in Kafka.  Kinds do not matter for each other.
 *
 * Siblings: catalog.c (the table), usage.c (counts).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "guard.h"
#include "quotas/internal.h"
#include "tell.h"

/* How an entity has a part. */
typedef enum Given
{
	NOT_GIVEN,
	BY_NAME,
	BY_DEFAULT
} Given;

/* Zeroed before it is filled, as it is compared as bytes. */
typedef struct LimitKey
{
	uint8		user_given;
	uint8		name_given;
	bool		address;		/* the name is an address, else a client id */
	char		user[NAMEDATALEN];
	char		name[PT_QUOTA_NAME_SIZE];
} LimitKey;

typedef struct Limit
{
	LimitKey	key;
	double		of[PT_QUOTA_KINDS]; /* 0: none */
} Limit;

uint32		pt_quotas_set;
uint64		pt_quotas_loaded;

static HTAB *limits;			/* NULL: there are none */
static MemoryContext limits_mcxt;
static uint64 seen;				/* generation that the copy is of */
static uint64 fingerprint;		/* of the rows that it was made of */

/*
 * A limit in its definition, times this, is in the unit in which is counted.
 */
double
pt_quota_scale(PtQuotaKind kind)
{
	return kind == PT_QUOTA_REQUEST ? 1e9 / 100 : 1;
}

/*
 * The copy
 */

static void
fill_key(LimitKey *key, Given user_given, const char *user, Given name_given, const char *name)
{
	memset(key, 0, sizeof(*key));
	key->user_given = user_given;
	key->name_given = name_given;
	if (user_given == BY_NAME)
		strlcpy(key->user, user, sizeof(key->user));
	if (name_given == BY_NAME)
		strlcpy(key->name, name, sizeof(key->name));
}

static Given
how(const PtQuotaEntity *entity, PtQuotaPart part)
{
	return !entity->given[part] ? NOT_GIVEN : entity->name[part] ? BY_NAME : BY_DEFAULT;
}

static void
key_of_row(const PtQuotaRow *row, LimitKey *key)
{
	const PtQuotaEntity *entity = &row->entity;
	char		address[PT_QUOTA_NAME_SIZE] = "";

	if (!entity->given[PT_QUOTA_IP])
	{
		fill_key(key, how(entity, PT_QUOTA_USER), entity->name[PT_QUOTA_USER],
				 how(entity, PT_QUOTA_CLIENT_ID), entity->name[PT_QUOTA_CLIENT_ID]);
		return;
	}
	if (entity->name[PT_QUOTA_IP])
		(void) pt_quota_address(entity->name[PT_QUOTA_IP], address, sizeof(address));
	fill_key(key, NOT_GIVEN, NULL, how(entity, PT_QUOTA_IP), address);
	key->address = true;
}

/* Differs for other rows. */
static uint64
fingerprint_of(List *rows)
{
	uint64		result = 0;
	ListCell   *lc;

	foreach(lc, rows)
	{
		const PtQuotaRow *row = lfirst(lc);
		LimitKey	key;

		key_of_row(row, &key);
		result = hash_combine64(result, hash_bytes_extended((const unsigned char *) &key, sizeof(key), row->kind));
		result = hash_combine64(result, hash_bytes_extended((const unsigned char *) &row->value, sizeof(row->value), 0));
	}
	return result;
}

/*
 * Makes the copy anew, in a context of its own, unless the rows are the same:
 * the table's relcache entry is also invalidated for other reasons, such as
 * VACUUM.  Called by pt_guarded().
 */
static void
load(void *arg)
{
	HASHCTL		ctl = {.keysize = sizeof(LimitKey),.entrysize = sizeof(Limit)};
	List	   *rows = pt_quotas_read();
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic quotas", ALLOCSET_DEFAULT_SIZES);
	HTAB	   *table = NULL;
	uint32		set = 0;
	ListCell   *lc;

	if (fingerprint_of(rows) == fingerprint)
		return;
	ctl.hcxt = mcxt;
	if (rows != NIL)
		table = hash_create("pgtopic quotas", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach(lc, rows)
	{
		const PtQuotaRow *row = lfirst(lc);
		LimitKey	key;
		Limit	   *limit;
		bool		found;

		key_of_row(row, &key);
		limit = hash_search(table, &key, HASH_ENTER, &found);
		if (!found)
			memset(limit->of, 0, sizeof(limit->of));
		limit->of[row->kind] = row->value * pt_quota_scale(row->kind);
		set |= PT_QUOTA_BIT(row->kind);
	}
	/* nothing fails from here on */
	MemoryContextSetParent(mcxt, TopMemoryContext);
	if (limits_mcxt != NULL)
		MemoryContextDelete(limits_mcxt);
	limits_mcxt = mcxt;
	limits = table;
	fingerprint = fingerprint_of(rows);
	pt_quotas_set = set;
	pt_quotas_loaded++;
}

/*
 * Reads the table again if it may have changed, and returns true if it has.
 * Needs a transaction.  While a session has the table locked, and
 * when it cannot be read, the quotas stay as they were.
 */
bool
pt_quotas_refresh(void)
{
	static PtTold told;
	uint64		now = pt_quotas_generation();
	uint64		before = pt_quotas_loaded;
	ErrorData  *error;
	int			untold;

	if (likely(now == seen) || !pt_quotas_lock())
		return false;
	error = pt_guarded(load, NULL);
	seen = now;
	if (error == NULL)
		return pt_quotas_loaded != before;
	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errcode(error->sqlerrcode),
				 errmsg("could not read the quotas of Kafka clients: %s", error->message)));
	FreeErrorData(error);
	return false;
}

/*
 * What applies
 */

/* 0: there is none. */
static double
limit_of(PtQuotaKind kind, const LimitKey *key)
{
	const Limit *limit = limits ? hash_search(limits, key, HASH_FIND, NULL) : NULL;

	return limit ? limit->of[kind] : 0;
}

/*
 * Returns the limit that applies to a client, per second, and with whom its
 * usage is counted together.  0: there is none.
 */
double
pt_quota_limit(PtQuotaKind kind, const char *user, const char *client_id, PtQuotaKey *key)
{
	static const struct
	{
		Given		user;
		Given		client_id;
	}			order[] =

	{
		{BY_NAME, BY_NAME}, {BY_NAME, BY_DEFAULT}, {BY_NAME, NOT_GIVEN},
		{BY_DEFAULT, BY_NAME}, {BY_DEFAULT, BY_DEFAULT}, {BY_DEFAULT, NOT_GIVEN},
		{NOT_GIVEN, BY_NAME}, {NOT_GIVEN, BY_DEFAULT},
	};

	Assert(kind < PT_QUOTA_CLIENT_KINDS);
	for (int i = 0; i < lengthof(order); i++)
	{
		LimitKey	limit_key;
		double		limit;

		fill_key(&limit_key, order[i].user, user, order[i].client_id, client_id);
		limit = limit_of(kind, &limit_key);
		if (limit == 0)
			continue;
		memset(key, 0, sizeof(*key));
		key->kind = kind;
		key->has_user = order[i].user != NOT_GIVEN;
		key->has_name = order[i].client_id != NOT_GIVEN;
		if (key->has_user)
			strlcpy(key->user, user, sizeof(key->user));
		if (key->has_name)
			strlcpy(key->name, client_id, sizeof(key->name));
		return limit;
	}
	return 0;
}

/*
 * The same for connections from an address.
 */
double
pt_quota_address_limit(const char *address, PtQuotaKey *key)
{
	LimitKey	limit_key;
	double		limit;

	memset(key, 0, sizeof(*key));
	key->kind = PT_QUOTA_CONNECTION;
	key->has_name = true;
	strlcpy(key->name, address, sizeof(key->name));
	fill_key(&limit_key, NOT_GIVEN, NULL, BY_NAME, address);
	limit_key.address = true;
	limit = limit_of(PT_QUOTA_CONNECTION, &limit_key);
	if (limit > 0)
		return limit;
	fill_key(&limit_key, NOT_GIVEN, NULL, BY_DEFAULT, NULL);
	limit_key.address = true;
	return limit_of(PT_QUOTA_CONNECTION, &limit_key);
}

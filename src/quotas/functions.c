/*-------------------------------------------------------------------------
 *
 * functions.c
 *	  SQL functions of quotas: set_quotas(), drop_quotas(), and what the view
 *	  quota_usage shows.
 *
 * Siblings: catalog.c (the table), usage.c (the counters).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "quotas/internal.h"
#include "rights/rights.h"

PG_FUNCTION_INFO_V1(pt_set_quotas);
PG_FUNCTION_INFO_V1(pt_drop_quotas);
PG_FUNCTION_INFO_V1(pt_quota_usage);

/* ERROR unless the user is a superuser or has the rights of pgtopic_admin. */
static void
check_admin(void)
{
	if (pt_role_is_admin(GetUserId()))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to change quotas"),
			 errhint("Only superusers and roles with the privileges of \"%s\" may change quotas.", PT_ADMIN_ROLE)));
}

/* The entity of the first argument; ERROR 22023 if there can be none. */
static void
get_entity(FunctionCallInfo fcinfo, PtQuotaEntity *entity)
{
	char	   *problem;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "entity")));
	problem = pt_quota_entity_read(PG_GETARG_JSONB_P(0), entity);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid entity for quotas"),
				 errdetail_internal("%s", problem),
				 errhint("For example {\"user\": \"ann\"}, {\"user\": \"ann\", \"client-id\": null} or {\"ip\": \"10.0.0.1\"}; null is the default of all that have no quota of their own.")));
}

/* The value of a quota in a JSON object, which is a number. */
static double
number_of(const char *quota, const JsonbValue *value)
{
	if (value->type != jbvNumeric)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("quota \"%s\" must be a number, or null to remove it", quota)));
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric)));
}

/* Sets one quota, or removes it. */
static void
set_quota(const PtQuotaEntity *entity, const char *quota, const JsonbValue *value)
{
	bool		remove = value->type == jbvNull;
	double		number = remove ? 1 : number_of(quota, value);
	char	   *problem = pt_quota_problem(entity, quota, number);
	PtQuotaKind kind;

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid quota"),
				 errdetail_internal("%s", problem)));
	(void) pt_quota_kind(entity, quota, &kind);
	pt_quota_write(entity, kind, remove ? NULL : &number);
}

/*
 * set_quotas(entity, quotas)
 */
Datum
pt_set_quotas(PG_FUNCTION_ARGS)
{
	PtQuotaEntity entity;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;
	Jsonb	   *quotas;

	check_admin();
	get_entity(fcinfo, &entity);
	if (PG_ARGISNULL(1) || !JB_ROOT_IS_OBJECT(quotas = PG_GETARG_JSONB_P(1)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("quotas must be a JSON object"),
				 errhint("For example {\"producer_byte_rate\": 1048576}.")));
	iterator = JsonbIteratorInit(&quotas->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);
		set_quota(&entity, pnstrdup(key.val.string.val, key.val.string.len), &value);
	}
	PG_RETURN_VOID();
}

/*
 * drop_quotas(entity): all of them.  ERROR 42704 if there are none.
 */
Datum
pt_drop_quotas(PG_FUNCTION_ARGS)
{
	PtQuotaEntity entity;
	bool		any = false;
	ListCell   *lc;

	check_admin();
	get_entity(fcinfo, &entity);
	foreach(lc, pt_quotas_read())
	{
		const PtQuotaRow *row = lfirst(lc);

		if (!pt_quota_entity_equal(&row->entity, &entity))
			continue;
		pt_quota_write(&entity, row->kind, NULL);
		any = true;
	}
	if (!any)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there are no quotas for %s", JsonbToCString(NULL, &PG_GETARG_JSONB_P(0)->root, 0))));
	PG_RETURN_VOID();
}

/*
 * The view
 */

static void
put_count(ReturnSetInfo *result, const PtQuotaCount *count)
{
	const PtQuotaKey *key = &count->key;
	bool		connection = key->kind == PT_QUOTA_CONNECTION;
	double		scale = pt_quota_scale(key->kind);
	Datum		values[11];
	bool		nulls[11] = {false};
	int			n = 0;

	values[n++] = CStringGetTextDatum(pt_quota_names[key->kind]);
	nulls[n] = !key->has_user;
	values[n++] = key->has_user ? CStringGetTextDatum(key->user) : (Datum) 0;
	nulls[n] = connection || !key->has_name;
	values[n] = nulls[n] ? (Datum) 0 : CStringGetTextDatum(key->name);
	n++;
	nulls[n] = !connection || !key->has_name;
	values[n] = nulls[n] ? (Datum) 0 : CStringGetTextDatum(key->name);
	n++;
	values[n++] = BoolGetDatum(count->shared);
	values[n++] = Float8GetDatum(count->limit / scale);
	values[n++] = Float8GetDatum(count->rate / scale);
	values[n++] = Float8GetDatum((double) count->total / scale);
	values[n++] = Int64GetDatum((int64) count->throttles);
	values[n++] = Int64GetDatum((int64) count->throttle_ms);
	nulls[n] = count->throttled_ms == 0;
	values[n++] = TimestampTzGetDatum(TimestampTzPlusMilliseconds(GetCurrentTimestamp(), count->throttled_ms));
	Assert(n == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/*
 * Rows of list_quota_usage().
 */
Datum
pt_quota_usage(PG_FUNCTION_ARGS)
{
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, pt_quota_counts())
		put_count((ReturnSetInfo *) fcinfo->resultinfo, lfirst(lc));
	return (Datum) 0;
}

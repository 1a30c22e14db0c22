--
-- Null in each argument of the functions of tasks, and of what goes with them: an error, or nothing
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtopic;

-- Calls a function with nulls and samples, and takes back what it has done.
CREATE FUNCTION pg_temp.try(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
BEGIN
	EXECUTE 'SELECT ' || call;
	RAISE 'done' USING ERRCODE = 'ZZ000';
EXCEPTION
	WHEN SQLSTATE '22004' THEN GET STACKED DIAGNOSTICS message = MESSAGE_TEXT; RETURN message;
	WHEN OTHERS THEN RETURN SQLSTATE;
END
$$;

-- At each place and at all places.
SELECT proname, CASE WHEN n <= pronargs THEN proargnames[n] ELSE 'all' END AS "null",
	pg_temp.try(pronamespace::regnamespace || '.' || proname || '(' || (SELECT string_agg(
		CASE WHEN n IN (i, pronargs + 1) THEN 'NULL' WHEN t = 'regclass'::regtype THEN '''pg_class''' WHEN t = 'jsonb'::regtype THEN '''{}'''
			WHEN t IN ('int'::regtype, 'interval'::regtype) THEN '''1''' WHEN t = 'bool'::regtype THEN 'true'
			WHEN t = 'text[]'::regtype THEN '''{a}''' WHEN proname ~ '^sink_' AND t = 'bytea'::regtype THEN '''{}'''
			ELSE '''nulls''' END || '::' || t::regtype, ', ' ORDER BY i)
		FROM unnest(proargtypes::oid[]) WITH ORDINALITY x(t, i)) || ')')
FROM pg_proc, generate_series(1, pronargs + 1) n
WHERE pronamespace = (SELECT extnamespace FROM pg_extension WHERE extname = 'pgtopic')
	AND proname IN ('pause_task', 'resume_task', 'alter_task', 'alter_task_owner', 'list_topics_lag', 'create_processor', 'drop_processor',
		'create_sink', 'drop_sink', 'sink_statement', 'sink_key', 'sink_change', 'sink_unavailable', 'create_source', 'drop_source',
		'follow_topic', 'unfollow_topic', 'follow_groups', 'unfollow_groups')
ORDER BY proname COLLATE "C", n;

-- nulls within arrays
SELECT pg_temp.try($$sink_key('x', '{NULL}')$$), pg_temp.try($$sink_change(NULL, '{}', '{NULL}')$$),
	pg_temp.try($$create_processor('nulls', '{NULL}', 'SELECT 1')$$), pg_temp.try($$create_source('nulls', '{NULL}')$$),
	pg_temp.try($$create_source('nulls', message_topics => '{NULL}')$$);
SELECT list_topics_lag('{NULL}', 'nulls');

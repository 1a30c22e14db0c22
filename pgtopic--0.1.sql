/* pgtopic: event streaming in PostgreSQL.  See README.md. */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION pgtopic" to load this file. \quit

--
-- type topic
--

CREATE TYPE topic;

CREATE FUNCTION topic_in(cstring) RETURNS topic
	AS 'MODULE_PATHNAME', 'pt_topic_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION topic_out(topic) RETURNS cstring
	AS 'MODULE_PATHNAME', 'pt_topic_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION topic_recv(internal) RETURNS topic
	AS 'MODULE_PATHNAME', 'pt_topic_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION topic_send(topic) RETURNS bytea
	AS 'MODULE_PATHNAME', 'pt_topic_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE topic (
	INPUT = topic_in,
	OUTPUT = topic_out,
	RECEIVE = topic_recv,
	SEND = topic_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = main
);
COMMENT ON TYPE topic IS 'a topic, by its Kafka name; it need not exist until it is used';

-- A topic compares, sorts and hashes as the bytes of its name.
CREATE FUNCTION topic_eq(topic, topic) RETURNS bool
	AS 'byteaeq' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION topic_ne(topic, topic) RETURNS bool
	AS 'byteane' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION topic_lt(topic, topic) RETURNS bool
	AS 'bytealt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION topic_le(topic, topic) RETURNS bool
	AS 'byteale' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION topic_gt(topic, topic) RETURNS bool
	AS 'byteagt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION topic_ge(topic, topic) RETURNS bool
	AS 'byteage' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION topic_cmp(topic, topic) RETURNS int
	AS 'byteacmp' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION topic_hash(topic) RETURNS int
	AS 'hashvarlena' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION topic_hash_extended(topic, bigint) RETURNS bigint
	AS 'hashvarlenaextended' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR = (LEFTARG = topic, RIGHTARG = topic, FUNCTION = topic_eq,
	COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR <> (LEFTARG = topic, RIGHTARG = topic, FUNCTION = topic_ne,
	COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR < (LEFTARG = topic, RIGHTARG = topic, FUNCTION = topic_lt,
	COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR <= (LEFTARG = topic, RIGHTARG = topic, FUNCTION = topic_le,
	COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR > (LEFTARG = topic, RIGHTARG = topic, FUNCTION = topic_gt,
	COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR >= (LEFTARG = topic, RIGHTARG = topic, FUNCTION = topic_ge,
	COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel);

CREATE OPERATOR CLASS topic_ops DEFAULT FOR TYPE topic USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
	FUNCTION 1 topic_cmp(topic, topic), FUNCTION 2 bytea_sortsupport(internal), FUNCTION 4 btequalimage(oid);
CREATE OPERATOR CLASS topic_ops DEFAULT FOR TYPE topic USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 topic_hash(topic),
	FUNCTION 2 topic_hash_extended(topic, bigint);

CREATE FUNCTION topic(text) RETURNS topic
	AS 'MODULE_PATHNAME', 'pt_topic_from_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION topic(regclass) RETURNS topic
	AS 'MODULE_PATHNAME', 'pt_topic_from_regclass' LANGUAGE C STABLE STRICT PARALLEL SAFE;
CREATE FUNCTION topic_table(topic) RETURNS regclass
	AS 'MODULE_PATHNAME', 'pt_topic_to_regclass' LANGUAGE C STABLE STRICT PARALLEL SAFE;

CREATE CAST (text AS topic) WITH FUNCTION topic(text) AS IMPLICIT;
CREATE CAST (topic AS text) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE CAST (regclass AS topic) WITH FUNCTION topic(regclass) AS ASSIGNMENT;
CREATE CAST (topic AS regclass) WITH FUNCTION topic_table(topic) AS IMPLICIT;

--
-- The schema of topics.  It is the extension's own: a dump restores the
-- extension, and with it the schema, before the topics.  (Not the first thing
-- here: the setting is known once the library is there, and loading that says
-- what is wrong when it was not preloaded.)
--

DO $$
BEGIN
	IF to_regnamespace(quote_ident(current_setting('pgtopic.topic_schema'))) IS NULL THEN
		EXECUTE format('CREATE SCHEMA %I', current_setting('pgtopic.topic_schema'));
	END IF;
END
$$;

--
-- Whose members may do everything that Kafka clients can ask for.  Roles are
-- of all databases, so another one may have made it.
--

DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgtopic_admin') THEN
		CREATE ROLE pgtopic_admin;
		COMMENT ON ROLE pgtopic_admin IS 'may do everything that clients of pgtopic can ask for';
	END IF;
	EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO pgtopic_admin', current_setting('pgtopic.topic_schema'));
END
$$;

--
-- type partition
--

CREATE TYPE partition;

CREATE FUNCTION partition_in(cstring) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_partition_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION partition_out(partition) RETURNS cstring
	AS 'MODULE_PATHNAME', 'pt_partition_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION partition_recv(internal) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_partition_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION partition_send(partition) RETURNS bytea
	AS 'MODULE_PATHNAME', 'pt_partition_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE partition (
	INPUT = partition_in,
	OUTPUT = partition_out,
	RECEIVE = partition_recv,
	SEND = partition_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = main
);
COMMENT ON TYPE partition IS 'a partition of a topic, as in orders:3; it need not exist until it is used';

-- By the bytes of the topic's name, then by number: the value is made so that its bytes say it.
CREATE FUNCTION partition_eq(partition, partition) RETURNS bool
	AS 'byteaeq' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION partition_ne(partition, partition) RETURNS bool
	AS 'byteane' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION partition_lt(partition, partition) RETURNS bool
	AS 'bytealt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION partition_le(partition, partition) RETURNS bool
	AS 'byteale' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION partition_gt(partition, partition) RETURNS bool
	AS 'byteagt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION partition_ge(partition, partition) RETURNS bool
	AS 'byteage' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION partition_cmp(partition, partition) RETURNS int
	AS 'byteacmp' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION partition_hash(partition) RETURNS int
	AS 'hashvarlena' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION partition_hash_extended(partition, bigint) RETURNS bigint
	AS 'hashvarlenaextended' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR = (LEFTARG = partition, RIGHTARG = partition, FUNCTION = partition_eq,
	COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR <> (LEFTARG = partition, RIGHTARG = partition, FUNCTION = partition_ne,
	COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR < (LEFTARG = partition, RIGHTARG = partition, FUNCTION = partition_lt,
	COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR <= (LEFTARG = partition, RIGHTARG = partition, FUNCTION = partition_le,
	COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR > (LEFTARG = partition, RIGHTARG = partition, FUNCTION = partition_gt,
	COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR >= (LEFTARG = partition, RIGHTARG = partition, FUNCTION = partition_ge,
	COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel);

CREATE OPERATOR CLASS partition_ops DEFAULT FOR TYPE partition USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
	FUNCTION 1 partition_cmp(partition, partition), FUNCTION 2 bytea_sortsupport(internal), FUNCTION 4 btequalimage(oid);
CREATE OPERATOR CLASS partition_ops DEFAULT FOR TYPE partition USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 partition_hash(partition),
	FUNCTION 2 partition_hash_extended(partition, bigint);

CREATE FUNCTION partition(topic topic, number int) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_partition_make' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION topic(partition) RETURNS topic
	AS 'MODULE_PATHNAME', 'pt_partition_topic' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION number(partition) RETURNS int
	AS 'MODULE_PATHNAME', 'pt_partition_number' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE CAST (partition AS topic) WITH FUNCTION topic(partition) AS ASSIGNMENT;
CREATE CAST (partition AS text) WITH INOUT AS ASSIGNMENT;
CREATE CAST (text AS partition) WITH INOUT AS ASSIGNMENT;

--
-- type headers
--

CREATE TYPE headers;

CREATE FUNCTION headers_in(cstring) RETURNS headers
	AS 'MODULE_PATHNAME', 'pt_headers_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION headers_out(headers) RETURNS cstring
	AS 'MODULE_PATHNAME', 'pt_headers_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION headers_recv(internal) RETURNS headers
	AS 'MODULE_PATHNAME', 'pt_headers_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION headers_send(headers) RETURNS bytea
	AS 'MODULE_PATHNAME', 'pt_headers_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE TYPE headers (
	INPUT = headers_in,
	OUTPUT = headers_out,
	RECEIVE = headers_recv,
	SEND = headers_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = extended
);
COMMENT ON TYPE headers IS 'headers of a record: keys and values in order, as in [["key", "value"]]';

-- Equal headers are equal bytes; their order means nothing but serves DISTINCT and UNION.
CREATE FUNCTION headers_eq(headers, headers) RETURNS bool
	AS 'byteaeq' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION headers_ne(headers, headers) RETURNS bool
	AS 'byteane' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION headers_lt(headers, headers) RETURNS bool
	AS 'bytealt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION headers_le(headers, headers) RETURNS bool
	AS 'byteale' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION headers_gt(headers, headers) RETURNS bool
	AS 'byteagt' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION headers_ge(headers, headers) RETURNS bool
	AS 'byteage' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION headers_cmp(headers, headers) RETURNS int
	AS 'byteacmp' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE LEAKPROOF;
CREATE FUNCTION headers_hash(headers) RETURNS int
	AS 'hashvarlena' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION headers_hash_extended(headers, bigint) RETURNS bigint
	AS 'hashvarlenaextended' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR = (LEFTARG = headers, RIGHTARG = headers, FUNCTION = headers_eq,
	COMMUTATOR = =, NEGATOR = <>, RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR <> (LEFTARG = headers, RIGHTARG = headers, FUNCTION = headers_ne,
	COMMUTATOR = <>, NEGATOR = =, RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR < (LEFTARG = headers, RIGHTARG = headers, FUNCTION = headers_lt,
	COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR <= (LEFTARG = headers, RIGHTARG = headers, FUNCTION = headers_le,
	COMMUTATOR = >=, NEGATOR = >, RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR > (LEFTARG = headers, RIGHTARG = headers, FUNCTION = headers_gt,
	COMMUTATOR = <, NEGATOR = <=, RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR >= (LEFTARG = headers, RIGHTARG = headers, FUNCTION = headers_ge,
	COMMUTATOR = <=, NEGATOR = <, RESTRICT = scalargesel, JOIN = scalargejoinsel);

CREATE OPERATOR CLASS headers_ops DEFAULT FOR TYPE headers USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >,
	FUNCTION 1 headers_cmp(headers, headers);
CREATE OPERATOR CLASS headers_ops DEFAULT FOR TYPE headers USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 headers_hash(headers),
	FUNCTION 2 headers_hash_extended(headers, bigint);

CREATE FUNCTION headers(VARIADIC pairs text[]) RETURNS headers
	AS 'MODULE_PATHNAME', 'pt_headers_from_array' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION headers(text[]) IS 'headers from keys and values in turn';
CREATE FUNCTION headers(jsonb) RETURNS headers
	AS 'MODULE_PATHNAME', 'pt_headers_from_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION headers(jsonb) IS 'headers from an object, or an array of pairs';
CREATE FUNCTION headers_to_jsonb(headers) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'pt_headers_to_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE CAST (jsonb AS headers) WITH FUNCTION headers(jsonb) AS IMPLICIT;
CREATE CAST (headers AS jsonb) WITH FUNCTION headers_to_jsonb(headers) AS ASSIGNMENT;

CREATE FUNCTION headers_get(headers, key text) RETURNS bytea
	AS 'MODULE_PATHNAME', 'pt_headers_get' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION headers_get_text(headers, key text) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_headers_get_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION headers_count(headers) RETURNS int
	AS 'MODULE_PATHNAME', 'pt_headers_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION headers_each(headers, OUT key text, OUT value bytea) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_headers_each' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 5;
COMMENT ON FUNCTION headers_each(headers) IS 'the headers, one row each, in order';

CREATE OPERATOR -> (LEFTARG = headers, RIGHTARG = text, FUNCTION = headers_get);
COMMENT ON OPERATOR -> (headers, text) IS 'value of the last header with this key';
CREATE OPERATOR ->> (LEFTARG = headers, RIGHTARG = text, FUNCTION = headers_get_text);
COMMENT ON OPERATOR ->> (headers, text) IS 'value of the last header with this key, as text';

--
-- keys and values, which are bytes, as text and as JSON
--

CREATE FUNCTION as_text(bytea) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_bytea_as_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION as_text(bytea) IS 'UTF-8 bytes as text';
CREATE FUNCTION as_jsonb(bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'pt_bytea_as_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION as_jsonb(bytea) IS 'UTF-8 bytes that hold JSON';

CREATE FUNCTION try_text(bytea) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_bytea_try_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION try_text(bytea) IS 'UTF-8 bytes as text; null for bytes that are none';
CREATE FUNCTION try_jsonb(bytea) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'pt_bytea_try_jsonb' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION try_jsonb(bytea) IS 'UTF-8 bytes that hold JSON; null for bytes that hold none';

CREATE CAST (bytea AS jsonb) WITH FUNCTION as_jsonb(bytea);

CREATE FUNCTION bytea_json_field(bytea, text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'pt_bytea_json_field' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION bytea_json_field_text(bytea, text) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_bytea_json_field_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION bytea_json_element(bytea, int) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'pt_bytea_json_element' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION bytea_json_element_text(bytea, int) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_bytea_json_element_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION bytea_json_path_text(bytea, text[]) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_bytea_json_path_text' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

CREATE OPERATOR -> (LEFTARG = bytea, RIGHTARG = text, FUNCTION = bytea_json_field);
CREATE OPERATOR ->> (LEFTARG = bytea, RIGHTARG = text, FUNCTION = bytea_json_field_text);
CREATE OPERATOR -> (LEFTARG = bytea, RIGHTARG = int, FUNCTION = bytea_json_element);
CREATE OPERATOR ->> (LEFTARG = bytea, RIGHTARG = int, FUNCTION = bytea_json_element_text);
CREATE OPERATOR #>> (LEFTARG = bytea, RIGHTARG = text[], FUNCTION = bytea_json_path_text);

--
-- access methods
--

CREATE FUNCTION topic_log_handler(internal) RETURNS table_am_handler
	AS 'MODULE_PATHNAME', 'pt_topic_log_handler' LANGUAGE C STRICT;
CREATE ACCESS METHOD topic_log TYPE TABLE HANDLER topic_log_handler;
COMMENT ON ACCESS METHOD topic_log IS 'partitions of topics: append-only logs';

CREATE FUNCTION topic_position_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME', 'pt_topic_position_handler' LANGUAGE C STRICT;
CREATE ACCESS METHOD topic_position TYPE INDEX HANDLER topic_position_handler;
COMMENT ON ACCESS METHOD topic_position IS 'offsets and times of topics: an index that stores nothing';

CREATE OPERATOR FAMILY position_offset_ops USING topic_position;
CREATE OPERATOR CLASS position_offset_ops DEFAULT FOR TYPE int8 USING topic_position
	FAMILY position_offset_ops AS
	OPERATOR 1 < (int8, int8), OPERATOR 2 <= (int8, int8), OPERATOR 3 = (int8, int8),
	OPERATOR 4 >= (int8, int8), OPERATOR 5 > (int8, int8);
ALTER OPERATOR FAMILY position_offset_ops USING topic_position ADD
	OPERATOR 1 < (int8, int4), OPERATOR 2 <= (int8, int4), OPERATOR 3 = (int8, int4),
	OPERATOR 4 >= (int8, int4), OPERATOR 5 > (int8, int4),
	OPERATOR 1 < (int8, int2), OPERATOR 2 <= (int8, int2), OPERATOR 3 = (int8, int2),
	OPERATOR 4 >= (int8, int2), OPERATOR 5 > (int8, int2);

CREATE OPERATOR CLASS position_timestamp_ops DEFAULT FOR TYPE timestamptz USING topic_position AS
	OPERATOR 1 < (timestamptz, timestamptz), OPERATOR 2 <= (timestamptz, timestamptz),
	OPERATOR 3 = (timestamptz, timestamptz), OPERATOR 4 >= (timestamptz, timestamptz),
	OPERATOR 5 > (timestamptz, timestamptz);

--
-- functions and views
--

--
-- topics
--

CREATE FUNCTION create_topic(name text, partitions int DEFAULT 1, config jsonb DEFAULT '{}') RETURNS topic
	AS 'MODULE_PATHNAME', 'pt_create_topic' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION create_topic(text, int, jsonb) IS 'creates a topic';
CREATE FUNCTION alter_topic(topic topic, config jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_alter_topic' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION alter_topic(topic, jsonb) IS 'changes configs of a topic; null for the default';
CREATE FUNCTION add_partitions(topic topic, total int) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_add_partitions' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION add_partitions(topic, int) IS 'adds partitions to a topic, so that it has this many';
CREATE FUNCTION drop_topic(topic topic) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_drop_topic' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION drop_topic(topic) IS 'drops a topic with all its records';
CREATE FUNCTION delete_records(partition partition, before_offset bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_delete_records' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION delete_records(partition, bigint)
	IS 'deletes the records before an offset when the transaction commits; returns where the log starts then';
CREATE FUNCTION delete_records(topic topic) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_delete_topic_records' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION delete_records(topic) IS 'deletes all records of a topic when the transaction commits';
CREATE FUNCTION delete_records(topic topic, before timestamptz) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_delete_topic_records' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION delete_records(topic, timestamptz)
	IS 'deletes the records of a topic that lie before the first that is not older, when the transaction commits';
CREATE FUNCTION create_topic_view(topic topic, format text DEFAULT 'text') RETURNS regclass
	AS 'MODULE_PATHNAME', 'pt_create_topic_view' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION create_topic_view(topic, text)
	IS 'creates a view with key and value as text or jsonb; formats try_text and try_jsonb show null for what is neither';
CREATE FUNCTION topic_configs(topic topic, OUT name text, OUT value text, OUT is_default bool, OUT type text,
							  OUT documentation text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_topic_configs' LANGUAGE C STABLE STRICT ROWS 30;
COMMENT ON FUNCTION topic_configs(topic) IS 'all configs of a topic';

CREATE FUNCTION follow_topic(connection text, topic topic, config jsonb DEFAULT '{}', copy_data bool DEFAULT true,
							 publication text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_func_follow_topic' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION follow_topic(text, topic, jsonb, bool, text)
	IS 'makes a topic like that of another server and subscribes to it; returns the name of the subscription';
CREATE FUNCTION unfollow_topic(topic topic, keep_slot bool DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_func_unfollow_topic' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION unfollow_topic(topic, bool)
	IS 'ends follow_topic(): the topic stays, its subscription goes, and the slot of the other server';

--
-- configs of groups: one row for each group that has some of its own
--

CREATE TABLE group_configs (
	group_id text PRIMARY KEY,
	configs jsonb NOT NULL CHECK (jsonb_typeof(configs) = 'object')
);
COMMENT ON TABLE group_configs IS 'configs of consumer groups that differ from the defaults';
SELECT pg_extension_config_dump('group_configs', '');

CREATE FUNCTION group_configs_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'pt_group_configs_changed' LANGUAGE C;
CREATE TRIGGER group_configs_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON group_configs
	FOR EACH STATEMENT EXECUTE FUNCTION group_configs_changed();

CREATE FUNCTION alter_group(group_id text, config jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_alter_group' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION alter_group(text, jsonb) IS 'changes configs of a group; null for the default';
CREATE FUNCTION group_configs(group_id text, OUT name text, OUT value text, OUT is_default bool, OUT type text,
							  OUT documentation text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_group_configs' LANGUAGE C STABLE STRICT ROWS 2;
COMMENT ON FUNCTION group_configs(text) IS 'all configs of a group';
--
-- What Kafka clients may do, beside what GRANT says of tables and schemas:
-- consumer groups, transactional ids and the cluster are no objects.  The role
-- "-" is everybody.  Rows of roles that are gone are void, and not dumped.
--

CREATE TABLE kafka_acl_entries (
	resource_type text NOT NULL,
	resource_name text NOT NULL,
	pattern_type text NOT NULL CHECK (pattern_type IN ('literal', 'prefixed')),
	operation text NOT NULL,
	role regrole NOT NULL,
	PRIMARY KEY (resource_type, resource_name, pattern_type, operation, role)
);
COMMENT ON TABLE kafka_acl_entries IS 'what is granted on groups, transactional ids and the cluster: see the view kafka_acls';
SELECT pg_extension_config_dump('kafka_acl_entries',
	'WHERE role::oid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = role::oid)');

CREATE FUNCTION kafka_acls_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'pt_kafka_acls_changed' LANGUAGE C;
CREATE TRIGGER kafka_acls_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON kafka_acl_entries
	FOR EACH STATEMENT EXECUTE FUNCTION kafka_acls_changed();

CREATE FUNCTION grant_kafka_acl(resource_type text, resource_name text, operation text, role text,
								pattern_type text DEFAULT 'literal') RETURNS bool
	AS 'MODULE_PATHNAME', 'pt_grant_kafka_acl' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION grant_kafka_acl(text, text, text, text, text)
	IS 'grants an operation on a consumer group, a transactional id or the cluster to a role; false: it was granted already';
CREATE FUNCTION revoke_kafka_acl(resource_type text, resource_name text, operation text, role text,
								 pattern_type text DEFAULT 'literal') RETURNS bool
	AS 'MODULE_PATHNAME', 'pt_revoke_kafka_acl' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION revoke_kafka_acl(text, text, text, text, text)
	IS 'takes back what grant_kafka_acl() has granted; false: it was not granted';

CREATE FUNCTION list_kafka_acls(OUT resource_type text, OUT resource_name text, OUT pattern_type text,
								OUT operation text, OUT role text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_list_kafka_acls' LANGUAGE C VOLATILE ROWS 100;
CREATE VIEW kafka_acls AS
	SELECT resource_type, resource_name, pattern_type, operation, role FROM list_kafka_acls();
COMMENT ON VIEW kafka_acls IS 'what is granted to Kafka clients: privileges of topics'' tables, CREATE on their schema, and grant_kafka_acl()';
GRANT SELECT ON kafka_acls TO PUBLIC;

CREATE TABLE kept_broker_configs (
	name text PRIMARY KEY,
	value text NOT NULL
);
COMMENT ON TABLE kept_broker_configs IS 'configs of the broker that Kafka clients have set and that have no effect';
SELECT pg_extension_config_dump('kept_broker_configs', '');

CREATE FUNCTION broker_configs(OUT name text, OUT value text, OUT source text, OUT setting text, OUT type text,
							   OUT documentation text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_broker_configs' LANGUAGE C STABLE ROWS 60;
COMMENT ON FUNCTION broker_configs() IS 'what Kafka clients see as configs of the broker, and the settings they come from';

--
-- Producing.  A variant without defaults beside each one with: a call that
-- leaves the key out must match one of them only.
--

CREATE FUNCTION produce(topic topic, value text, key text DEFAULT NULL, headers headers DEFAULT NULL,
						partition int DEFAULT NULL, "timestamp" timestamptz DEFAULT now()) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_produce' LANGUAGE C VOLATILE;
CREATE FUNCTION produce(topic topic, value text, key bytea, headers headers DEFAULT NULL,
						partition int DEFAULT NULL, "timestamp" timestamptz DEFAULT now()) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_produce' LANGUAGE C VOLATILE;
CREATE FUNCTION produce(topic topic, value bytea, key bytea DEFAULT NULL, headers headers DEFAULT NULL,
						partition int DEFAULT NULL, "timestamp" timestamptz DEFAULT now()) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_produce' LANGUAGE C VOLATILE;
CREATE FUNCTION produce(topic topic, value bytea, key text, headers headers DEFAULT NULL,
						partition int DEFAULT NULL, "timestamp" timestamptz DEFAULT now()) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_produce' LANGUAGE C VOLATILE;
CREATE FUNCTION produce(topic topic, value jsonb, key text DEFAULT NULL, headers headers DEFAULT NULL,
						partition int DEFAULT NULL, "timestamp" timestamptz DEFAULT now()) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_produce_jsonb' LANGUAGE C VOLATILE;
CREATE FUNCTION produce(topic topic, value jsonb, key bytea, headers headers DEFAULT NULL,
						partition int DEFAULT NULL, "timestamp" timestamptz DEFAULT now()) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_produce_jsonb' LANGUAGE C VOLATILE;
CREATE FUNCTION produce(topic topic, value json, key text DEFAULT NULL, headers headers DEFAULT NULL,
						partition int DEFAULT NULL, "timestamp" timestamptz DEFAULT now()) RETURNS partition
	AS 'MODULE_PATHNAME', 'pt_produce' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION produce(topic, text, text, headers, int, timestamptz)
	IS 'adds a record to a topic when the transaction commits';

CREATE FUNCTION append(partition partition, value text, key text DEFAULT NULL, headers headers DEFAULT NULL,
					   "timestamp" timestamptz DEFAULT now(), expected_offset bigint DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_append_record' LANGUAGE C VOLATILE;
CREATE FUNCTION append(partition partition, value text, key bytea, headers headers DEFAULT NULL,
					   "timestamp" timestamptz DEFAULT now(), expected_offset bigint DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_append_record' LANGUAGE C VOLATILE;
CREATE FUNCTION append(partition partition, value bytea, key bytea DEFAULT NULL, headers headers DEFAULT NULL,
					   "timestamp" timestamptz DEFAULT now(), expected_offset bigint DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_append_record' LANGUAGE C VOLATILE;
CREATE FUNCTION append(partition partition, value bytea, key text, headers headers DEFAULT NULL,
					   "timestamp" timestamptz DEFAULT now(), expected_offset bigint DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_append_record' LANGUAGE C VOLATILE;
CREATE FUNCTION append(partition partition, value jsonb, key text DEFAULT NULL, headers headers DEFAULT NULL,
					   "timestamp" timestamptz DEFAULT now(), expected_offset bigint DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_append_record_jsonb' LANGUAGE C VOLATILE;
CREATE FUNCTION append(partition partition, value jsonb, key bytea, headers headers DEFAULT NULL,
					   "timestamp" timestamptz DEFAULT now(), expected_offset bigint DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_append_record_jsonb' LANGUAGE C VOLATILE;
CREATE FUNCTION append(partition partition, value json, key text DEFAULT NULL, headers headers DEFAULT NULL,
					   "timestamp" timestamptz DEFAULT now(), expected_offset bigint DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_append_record' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION append(partition, text, text, headers, timestamptz, bigint)
	IS 'appends a record at once, holding the partition until the transaction ends, and returns its offset';

CREATE FUNCTION next_partition(topic text) RETURNS int
	AS 'MODULE_PATHNAME', 'pt_next_partition' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION next_partition(text) IS 'the partition for a record without a key';

--
-- consuming
--

CREATE FUNCTION consume(topic topic, group_id text, max_records int DEFAULT 500, timeout interval DEFAULT '0',
						OUT topic topic, OUT partition int, OUT "offset" bigint, OUT "timestamp" timestamptz,
						OUT key bytea, OUT value bytea, OUT headers headers) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_consume_records' LANGUAGE C VOLATILE ROWS 500;
COMMENT ON FUNCTION consume(topic, text, int, interval)
	IS 'reads on from the committed offset of a group, which moves past all that is read if the transaction commits: bound it by max_records, not by LIMIT; a long wait holds back VACUUM';
CREATE FUNCTION poll(topic topic, partition int, from_offset bigint, max_records int DEFAULT 500,
					 timeout interval DEFAULT '0',
					 OUT topic topic, OUT partition int, OUT "offset" bigint, OUT "timestamp" timestamptz,
					 OUT key bytea, OUT value bytea, OUT headers headers) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_poll_records' LANGUAGE C VOLATILE ROWS 500;
COMMENT ON FUNCTION poll(topic, int, bigint, int, interval)
	IS 'reads a partition from an offset on; a long wait holds back VACUUM';

--
-- groups: committed offsets without reading
--

CREATE FUNCTION commit_offsets(group_id text, partition partition, "offset" bigint, metadata text DEFAULT '') RETURNS void
	AS 'MODULE_PATHNAME', 'pt_commit_offset' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION commit_offsets(text, partition, bigint, text)
	IS 'sets the committed offset of a group in a partition, when the transaction commits';
CREATE FUNCTION commit_offsets(group_id text, offsets jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_commit_offsets' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION commit_offsets(text, jsonb) IS 'sets committed offsets of a group, as in {"orders:0": 15, "orders:1": 7}';

CREATE FUNCTION seek(group_id text, topic topic, "to" bigint, partition int DEFAULT NULL,
					 OUT partition partition, OUT "offset" bigint) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_seek_offset' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION seek(text, topic, bigint, int) IS 'sets the committed offset of a group, in one partition or all, to an offset';
CREATE FUNCTION seek(group_id text, topic topic, "to" timestamptz, partition int DEFAULT NULL,
					 OUT partition partition, OUT "offset" bigint) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_seek_time' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION seek(text, topic, timestamptz, int)
	IS 'sets the committed offset of a group to the first record of a time or later';
CREATE FUNCTION seek(group_id text, topic topic, "to" text, partition int DEFAULT NULL,
					 OUT partition partition, OUT "offset" bigint) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_seek_text' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION seek(text, topic, text, int) IS 'sets the committed offset of a group to the start or the end';

CREATE FUNCTION delete_group(group_id text) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_delete_group' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION delete_group(text) IS 'forgets all committed offsets of a group';

CREATE FUNCTION expire_offsets(retention interval DEFAULT NULL) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_expire_offsets' LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION expire_offsets(interval) FROM PUBLIC;
COMMENT ON FUNCTION expire_offsets(interval)
	IS 'removes committed offsets that were not used for so long (pgtopic.offsets_retention), as happens by itself once a minute';

-- Each value stands for a block of 1000 ids of idempotent producers.
CREATE SEQUENCE producer_ids;
SELECT pg_extension_config_dump('producer_ids', '');

-- The leader epoch, and which history of the server it is of (src/xact/leader_epoch.c).
CREATE SEQUENCE leader_epochs;
SELECT pg_extension_config_dump('leader_epochs', '');
COMMENT ON SEQUENCE leader_epochs IS 'the leader epoch that Kafka clients see, and the history it belongs to: not to be set by hand';

--
-- Kafka requests without a socket, for tests: not for the public
--

CREATE FUNCTION kafka_call(request bytea, security text DEFAULT '') RETURNS bytea
	AS 'MODULE_PATHNAME', 'pt_kafka_call' LANGUAGE C VOLATILE STRICT;
REVOKE ALL ON FUNCTION kafka_call(bytea, text) FROM PUBLIC;
COMMENT ON FUNCTION kafka_call(bytea, text) IS 'answers a request of the Kafka protocol';

CREATE FUNCTION kafka_ask(request bytea) RETURNS bytea
	AS 'MODULE_PATHNAME', 'pt_kafka_ask' LANGUAGE C VOLATILE STRICT;
REVOKE ALL ON FUNCTION kafka_ask(bytea) FROM PUBLIC;
COMMENT ON FUNCTION kafka_ask(bytea) IS 'has a request of the Kafka protocol answered by the control worker';

--
-- views
--

CREATE FUNCTION log_start(partition) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_func_log_start' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION log_start(partition) IS 'first offset that is retained';
CREATE FUNCTION log_end(partition) RETURNS bigint
	AS 'MODULE_PATHNAME', 'pt_func_log_end' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION log_end(partition) IS 'offset of the next record';

CREATE FUNCTION list_topics(OUT topic topic, OUT id uuid, OUT internal bool, OUT partitions int, OUT configs jsonb,
							OUT size bigint) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_topics' LANGUAGE C VOLATILE;
CREATE VIEW topics AS SELECT topic, id, internal, partitions, configs, size FROM list_topics();
COMMENT ON VIEW topics IS 'all topics';

CREATE FUNCTION list_partitions(OUT topic topic, OUT partition int, OUT leaf regclass, OUT start_offset bigint,
								OUT end_offset bigint, OUT records bigint, OUT bytes bigint, OUT extents int)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_partitions' LANGUAGE C VOLATILE;
CREATE VIEW partitions AS
	SELECT topic, partition, leaf, start_offset, end_offset, records, bytes, extents FROM list_partitions();
COMMENT ON VIEW partitions IS 'all partitions of all topics';

GRANT SELECT ON topics, partitions TO PUBLIC;

--
-- compaction
--

CREATE FUNCTION compact_topic(topic topic, OUT partition partition, OUT passes int, OUT records_removed bigint,
							  OUT tombstones_removed bigint, OUT keyless_removed bigint, OUT bytes_freed bigint,
							  OUT bytes_written bigint, OUT clean_offset bigint, OUT complete bool)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_compact_topic' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION compact_topic(topic)
	IS 'keeps the last record of each key, now, up to the last part of each log that is closed and visible to everybody';
CREATE FUNCTION compact_partition(partition partition, OUT partition partition, OUT passes int, OUT records_removed bigint,
								  OUT tombstones_removed bigint, OUT keyless_removed bigint, OUT bytes_freed bigint,
								  OUT bytes_written bigint, OUT clean_offset bigint, OUT complete bool)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_compact_partition' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION compact_partition(partition) IS 'compacts one partition: see compact_topic()';

CREATE VIEW compaction_progress AS
	SELECT s.pid, s.relid::regclass AS leaf, CASE s.param14 WHEN 0 THEN 'learning keys' ELSE 'copying' END AS phase,
		   s.param15 AS pass, s.param16 AS extents, s.param17 AS extents_done, s.param18 AS extents_freed,
		   s.param19 AS extents_written
	FROM pg_catalog.pg_stat_get_progress_info('VACUUM') s
	WHERE s.param13 = 1 AND s.datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database());
COMMENT ON VIEW compaction_progress IS 'partitions that are being compacted just now, and how far that is';
GRANT SELECT ON compaction_progress TO PUBLIC;

--
-- is it whole?
--

CREATE FUNCTION verify_topic(topic topic, deep bool DEFAULT false, OUT partition partition, OUT damage text,
							 OUT block bigint, OUT "position" bigint, OUT "offset" bigint, OUT message text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_verify_topic' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION verify_topic(topic, bool)
	IS 'what is damaged in the logs of a topic, one row each; deep also takes batches apart';
CREATE FUNCTION verify_partition(partition partition, deep bool DEFAULT false, OUT partition partition, OUT damage text,
								 OUT block bigint, OUT "position" bigint, OUT "offset" bigint, OUT message text)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_verify_partition' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION verify_partition(partition, bool) IS 'what is damaged in the log of a partition: see verify_topic()';

CREATE FUNCTION skip_damaged(partition partition, to_offset bigint, OUT first_offset bigint, OUT next_offset bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_skip_damaged' LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION skip_damaged(partition, bigint) FROM PUBLIC;
COMMENT ON FUNCTION skip_damaged(partition, bigint)
	IS 'gives up what is damaged and begins before an offset, so that readers go on behind it; the offsets that are lost, one row for each part';

--
-- groups
--

CREATE FUNCTION list_groups(OUT group_id text, OUT partitions int, OUT last_commit timestamptz) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_list_groups' LANGUAGE C VOLATILE ROWS 100;
CREATE FUNCTION list_group_sessions(OUT group_id text, OUT pid int) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_list_group_sessions' LANGUAGE C VOLATILE ROWS 10;
CREATE FUNCTION list_live_groups(OUT group_id text, OUT kind text, OUT state text, OUT protocol_type text,
								 OUT protocol text, OUT epoch int, OUT members int) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_list_live_groups' LANGUAGE C VOLATILE ROWS 100;
CREATE FUNCTION list_group_members(OUT group_id text, OUT member_id text, OUT instance_id text, OUT client_id text,
								   OUT client_host text, OUT epoch int, OUT subscription text[],
								   OUT assignment partition[]) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_list_group_members' LANGUAGE C VOLATILE ROWS 100;
CREATE FUNCTION list_committed_offsets(OUT group_id text, OUT topic topic, OUT partition int, OUT "offset" bigint,
									   OUT leader_epoch int, OUT metadata text, OUT committed_at timestamptz,
									   OUT start_offset bigint, OUT end_offset bigint, OUT oldest timestamptz)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_list_committed_offsets' LANGUAGE C VOLATILE;
CREATE FUNCTION list_group_offsets(OUT group_id text, OUT topic topic, OUT partition int, OUT "offset" bigint, OUT metadata text,
								   OUT committed_ms bigint, OUT used_ms bigint)
	RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_list_group_offsets' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION list_group_offsets() IS 'committed offsets, as follow_groups() of another server reads them';

-- A group that no Kafka client uses may be used by sessions.
CREATE VIEW consumer_groups AS
	SELECT group_id,
		CASE WHEN live.members > 0 THEN live.kind WHEN sessions.n > 0 THEN 'sql' END AS kind,
		CASE WHEN live.members > 0 THEN live.state WHEN sessions.n > 0 THEN 'Stable' ELSE coalesce(live.state, 'Empty') END AS state,
		coalesce(nullif(live.members, 0), sessions.n, 0) AS members,
		live.protocol, live.epoch,
		coalesce(g.partitions, 0) AS partitions, g.last_commit
	FROM list_groups() g
		FULL JOIN list_live_groups() live USING (group_id)
		LEFT JOIN (SELECT group_id, count(*)::int AS n FROM list_group_sessions() GROUP BY 1) sessions USING (group_id);
COMMENT ON VIEW consumer_groups IS 'groups that have members or committed offsets';

CREATE VIEW group_members AS
	SELECT group_id, member_id, instance_id, client_id, client_host, epoch, subscription, assignment, NULL::int AS pid
	FROM list_group_members()
	UNION ALL
	SELECT group_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, pid FROM list_group_sessions();
COMMENT ON VIEW group_members IS 'Kafka clients and sessions that use groups';

CREATE VIEW group_lag AS
	SELECT group_id, topic, partition, "offset", end_offset,
		greatest(end_offset - greatest("offset", start_offset), 0) AS lag,
		round(coalesce(greatest(extract(epoch FROM clock_timestamp() - oldest), 0), 0), 3) AS lag_seconds,
		committed_at, leader_epoch, metadata
	FROM list_committed_offsets();
COMMENT ON VIEW group_lag IS 'how far groups are behind: records, and the age of the oldest that is unread';

GRANT SELECT ON consumer_groups, group_members, group_lag TO PUBLIC;

--
-- Kafka transactions
--

CREATE FUNCTION list_transactions(OUT transactional_id text, OUT producer_id bigint, OUT epoch int, OUT state text,
								  OUT timeout interval, OUT started_at timestamptz, OUT partitions int,
								  OUT memory_bytes bigint, OUT disk_bytes bigint) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_list_transactions' LANGUAGE C VOLATILE ROWS 100;
CREATE VIEW transactions AS
	SELECT transactional_id, producer_id, epoch, state, timeout, started_at, partitions, memory_bytes, disk_bytes
	FROM list_transactions();
COMMENT ON VIEW transactions IS 'transactional ids of Kafka clients, and their open transactions';
GRANT SELECT ON transactions TO PUBLIC;

CREATE FUNCTION abort_transaction(transactional_id text) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_abort_transaction' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION abort_transaction(text) IS 'aborts the open transaction of a transactional id, whose client is fenced';

--
-- what the listener does
--

CREATE FUNCTION list_clients(OUT address text, OUT client_id text, OUT software_name text, OUT software_version text,
							 OUT role text, OUT mechanism text, OUT security_protocol text,
							 OUT tls_version text, OUT cipher text, OUT pid int, OUT connected_at timestamptz, OUT requests bigint,
							 OUT bytes_received bigint, OUT bytes_sent bigint, OUT last_request_at timestamptz,
							 OUT api text) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_clients' LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION list_clients() FROM PUBLIC;
CREATE VIEW clients AS
	SELECT address, client_id, software_name, software_version, role, mechanism, security_protocol, tls_version, cipher,
		   pid, connected_at, requests, bytes_received,
		   bytes_sent, last_request_at, api FROM list_clients();
COMMENT ON VIEW clients IS 'connected Kafka clients';

CREATE FUNCTION client_rule(role text, address inet, ssl bool DEFAULT true, OUT file_name text, OUT line_number int,
							OUT method text, OUT mechanisms text[]) RETURNS record
	AS 'MODULE_PATHNAME', 'pt_client_rule' LANGUAGE C VOLATILE STRICT;
REVOKE ALL ON FUNCTION client_rule(text, inet, bool) FROM PUBLIC;
COMMENT ON FUNCTION client_rule(text, inet, bool) IS 'the line of pg_hba.conf that decides about a Kafka client';

CREATE FUNCTION certificate_role(common_name text, address inet, distinguished_name text DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_certificate_role' LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION certificate_role(text, inet, text) FROM PUBLIC;
COMMENT ON FUNCTION certificate_role(text, inet, text) IS 'the role of a Kafka client that shows such a certificate';

CREATE FUNCTION list_listener_stats(OUT api text, OUT api_key int, OUT requests bigint, OUT errors bigint,
									OUT bytes_received bigint, OUT bytes_sent bigint, OUT p50_ms float8,
									OUT p99_ms float8, OUT max_ms float8) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_listener_stats' LANGUAGE C VOLATILE;
CREATE VIEW listener_stats AS
	SELECT api, api_key, requests, errors, bytes_received, bytes_sent, p50_ms, p99_ms, max_ms FROM list_listener_stats();
COMMENT ON VIEW listener_stats IS 'requests of Kafka clients by API';

CREATE FUNCTION list_produce_stats(OUT verified bigint, OUT bytes_verified bigint, OUT appended bigint,
								   OUT duplicates bigint, OUT refused bigint, OUT executed bigint,
								   OUT busy_tries bigint) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_produce_stats' LANGUAGE C VOLATILE ROWS 1;
CREATE VIEW produce_stats AS
	SELECT verified, bytes_verified, appended, duplicates, refused, executed, busy_tries FROM list_produce_stats();
COMMENT ON VIEW produce_stats IS 'record batches of Kafka clients, and what became of them';

CREATE FUNCTION list_housekeeping(OUT topic topic, OUT partition int, OUT removed_records bigint, OUT removed_bytes bigint,
								  OUT removed_at timestamptz, OUT error text, OUT failed_at timestamptz) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_housekeeping' LANGUAGE C VOLATILE;
CREATE VIEW housekeeping AS
	SELECT topic, partition, removed_records, removed_bytes, removed_at, error, failed_at FROM list_housekeeping();
COMMENT ON VIEW housekeeping IS 'partitions of which retention has removed records since the server started, or could not';

CREATE FUNCTION reset_listener_stats() RETURNS void
	AS 'MODULE_PATHNAME', 'pt_reset_listener_stats' LANGUAGE C VOLATILE;
REVOKE ALL ON FUNCTION reset_listener_stats() FROM PUBLIC;
COMMENT ON FUNCTION reset_listener_stats() IS 'starts counting anew';

GRANT EXECUTE ON FUNCTION list_clients() TO pg_monitor;
GRANT SELECT ON clients TO pg_monitor;
GRANT SELECT ON listener_stats, produce_stats, housekeeping TO PUBLIC;

--
-- quotas of Kafka clients.  The table is for nobody: functions change it.
--

CREATE TABLE quota_definitions (
	entity jsonb NOT NULL CHECK (jsonb_typeof(entity) = 'object'),
	quota text NOT NULL,
	value float8 NOT NULL CHECK (value > 0),
	PRIMARY KEY (entity, quota)
);
COMMENT ON TABLE quota_definitions IS 'quotas of Kafka clients: see the view client_quotas';
SELECT pg_extension_config_dump('quota_definitions', '');

CREATE FUNCTION quotas_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'pt_quotas_changed' LANGUAGE C;
CREATE TRIGGER quotas_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON quota_definitions
	FOR EACH STATEMENT EXECUTE FUNCTION quotas_changed();

CREATE FUNCTION set_quotas(entity jsonb, quotas jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_set_quotas' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION set_quotas(jsonb, jsonb)
	IS 'sets quotas of a user, a client id, both, or an address, as in {"user": "ann", "client-id": null}, where null is the default; a quota that is null is removed';
CREATE FUNCTION drop_quotas(entity jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_drop_quotas' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION drop_quotas(jsonb) IS 'removes all quotas of an entity';

CREATE FUNCTION list_quota_usage(OUT quota text, OUT "user" text, OUT client_id text, OUT ip text, OUT shared bool,
								 OUT value float8, OUT rate float8, OUT total float8, OUT throttles bigint,
								 OUT throttle_ms bigint, OUT throttled_until timestamptz) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_quota_usage' LANGUAGE C VOLATILE ROWS 100;
REVOKE ALL ON FUNCTION list_quota_usage() FROM PUBLIC;

CREATE VIEW client_quotas AS SELECT entity, quota, value FROM quota_definitions;
COMMENT ON VIEW client_quotas IS 'quotas of Kafka clients';
CREATE VIEW quota_usage AS
	SELECT quota, "user", client_id, ip, shared, value, rate, total, throttles, throttle_ms, throttled_until FROM list_quota_usage();
COMMENT ON VIEW quota_usage IS 'what clients with quotas use, and who is throttled';

GRANT EXECUTE ON FUNCTION list_quota_usage() TO pg_monitor, pgtopic_admin;
GRANT SELECT ON client_quotas, quota_usage TO pg_monitor, pgtopic_admin;

--
-- tasks: what goes on by itself.  Definitions may hold connection strings: the table is for nobody.
--

CREATE TABLE task_definitions (
	name text PRIMARY KEY,
	kind text NOT NULL,
	owner name NOT NULL,
	definition jsonb NOT NULL CHECK (jsonb_typeof(definition) = 'object'),
	paused bool NOT NULL DEFAULT false,
	pause_reason text,
	home text NOT NULL
);
COMMENT ON TABLE task_definitions IS 'sources, sinks and processors: see the view tasks_status';
COMMENT ON COLUMN task_definitions.home IS 'where the row was made: system, database, table, owner; elsewhere the task is paused';
SELECT pg_extension_config_dump('task_definitions', '');

CREATE FUNCTION tasks_changed() RETURNS trigger
	AS 'MODULE_PATHNAME', 'pt_tasks_changed' LANGUAGE C;
CREATE TRIGGER tasks_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON task_definitions
	FOR EACH STATEMENT EXECUTE FUNCTION tasks_changed();

CREATE FUNCTION pause_task(name text, reason text DEFAULT NULL) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_pause_task' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pause_task(text, text) IS 'stops a task until resume_task(), after what it is doing just now';
CREATE FUNCTION resume_task(name text) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_resume_task' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION resume_task(text) IS 'runs a task that was paused or restored from a dump; tries one that fails at once';
CREATE FUNCTION alter_task(name text, definition jsonb) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_alter_task' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION alter_task(text, jsonb) IS 'changes fields of a task''s definition; null removes one';
CREATE FUNCTION alter_task_owner(name text, owner name) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_alter_task_owner' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION alter_task_owner(text, name) IS 'gives a task to another role, as which it runs';

CREATE FUNCTION list_tasks(OUT name text, OUT kind text, OUT owner name, OUT definition jsonb, OUT state text,
						   OUT pause_reason text, OUT errors bigint, OUT last_error text, OUT last_error_at timestamptz,
						   OUT records bigint, OUT skipped bigint, OUT bytes bigint,
						   OUT newest_record_at timestamptz, OUT progress_at timestamptz, OUT lsn pg_lsn,
						   OUT minute_records bigint, OUT minute_bytes bigint, OUT lag bigint, OUT lag_bytes bigint,
						   OUT retained_wal bigint, OUT safe_wal bigint, OUT behind bool, OUT caught_up_at timestamptz,
						   OUT pids int[]) RETURNS SETOF record
	AS 'MODULE_PATHNAME', 'pt_list_tasks' LANGUAGE C VOLATILE ROWS 10;
CREATE FUNCTION list_topics_lag(topics text[], group_id text, OUT lag bigint, OUT oldest timestamptz)
	AS 'MODULE_PATHNAME', 'pt_topics_lag' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION list_topics_lag(text[], text) IS 'records of topics that a group has not read, and when the oldest of them was produced';

-- The slot of a source of this server, also while nobody reads from it.
CREATE FUNCTION list_local_slot(slot text, OUT lag_bytes bigint, OUT retained_wal bigint, OUT safe_wal bigint) RETURNS record
	LANGUAGE sql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
	SELECT pg_wal_lsn_diff(w.lsn, s.confirmed_flush_lsn)::bigint, pg_wal_lsn_diff(w.lsn, s.restart_lsn)::bigint, s.safe_wal_size
	FROM pg_replication_slots s,
		(SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn) w
	WHERE s.slot_name = slot AND s.database = current_database()
$$;
CREATE FUNCTION list_wal_warning(retained_wal bigint, safe_wal bigint) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_retained_wal_warning' LANGUAGE C STABLE;
COMMENT ON FUNCTION list_wal_warning(bigint, bigint)
	IS 'what is wrong with so many bytes of WAL that a slot keeps, when so many more may be written until it loses some; null: nothing';

CREATE VIEW tasks_status AS
	SELECT t.name, t.kind, t.owner, t.definition, t.state, t.pause_reason, t.errors, t.last_error, t.last_error_at, t.records,
		   t.skipped, t.bytes, round(t.minute_records / 60.0, 1) AS records_per_second, round(t.minute_bytes / 60.0, 1) AS bytes_per_second,
		   coalesce(t.lag, l.lag) AS lag, CASE WHEN t.pids = '{}' THEN coalesce(s.lag_bytes, t.lag_bytes) ELSE t.lag_bytes END AS lag_bytes,
		   CASE WHEN l.lag IS NOT NULL THEN
				round(coalesce(greatest(extract(epoch FROM clock_timestamp() - l.oldest), 0), 0), 3)
				WHEN t.caught_up_at IS NOT NULL AND NOT t.behind THEN 0
				WHEN t.caught_up_at IS NOT NULL THEN
				round(greatest(extract(epoch FROM clock_timestamp() - greatest(t.caught_up_at, t.newest_record_at)), 0), 3) END AS lag_seconds,
		   coalesce(s.retained_wal, t.retained_wal) AS retained_wal,
		   list_wal_warning(coalesce(s.retained_wal, t.retained_wal), coalesce(s.safe_wal, t.safe_wal)) AS warning,
		   t.newest_record_at, t.progress_at, t.lsn, t.pids
	FROM list_tasks() t
		LEFT JOIN LATERAL list_topics_lag(
			CASE WHEN t.kind IN ('processor', 'sink') AND jsonb_typeof(t.definition->'topics') = 'array' THEN
				ARRAY(SELECT jsonb_array_elements_text(t.definition->'topics')) END,
			coalesce(t.definition->>'group', t.name)) l ON true
		LEFT JOIN LATERAL list_local_slot(
			CASE WHEN t.kind = 'source' AND NOT t.definition ? 'server' THEN coalesce(t.definition->>'slot', 'pgtopic_' || t.name) END) s ON true;
COMMENT ON VIEW tasks_status IS 'tasks, what they are doing, and what went wrong';
GRANT SELECT ON tasks_status TO PUBLIC;

--
-- processors
--

CREATE FUNCTION create_processor(name text, topics text[], statement text, "group" text DEFAULT NULL, parallelism int DEFAULT 1,
								 batch_records int DEFAULT 500, batch_wait interval DEFAULT '0',
								 on_error text DEFAULT 'stop') RETURNS void
	AS 'MODULE_PATHNAME', 'pt_create_processor' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION create_processor(text, text[], text, text, int, int, interval, text)
	IS 'runs a statement over each batch of new records, which it reads from the relation "records", exactly once';
CREATE FUNCTION drop_processor(name text) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_drop_processor' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION drop_processor(text) IS 'drops a processor, and the committed offsets of its group if that has its name';

--
-- sinks
--

CREATE FUNCTION create_sink(name text, topic topic, "table" regclass, mode text DEFAULT 'append', mapping jsonb DEFAULT NULL,
							"group" text DEFAULT NULL, on_error text DEFAULT 'stop', parallelism int DEFAULT 1,
							batch_records int DEFAULT 500, batch_wait interval DEFAULT '0') RETURNS void
	AS 'MODULE_PATHNAME', 'pt_create_sink' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION create_sink(text, topic, regclass, text, jsonb, text, text, int, int, interval)
	IS 'fills a table from a topic, exactly once: appends each record, upserts the last one of each key, or mirrors the table that changes are of';
CREATE FUNCTION drop_sink(name text) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_drop_sink' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION drop_sink(text) IS 'drops a sink, and the committed offsets of its group if that has its name; the table stays';
CREATE FUNCTION sink_statement("table" regclass, mode text DEFAULT 'append', mapping jsonb DEFAULT NULL) RETURNS text
	AS 'MODULE_PATHNAME', 'pt_func_sink_statement' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION sink_statement(regclass, text, jsonb) IS 'the statement that a sink like this runs over each batch of records';

-- What these statements call.
CREATE FUNCTION sink_key(key bytea, columns text[]) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'pt_sink_key' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION sink_key(bytea, text[]) IS 'columns of a primary key that are in the key of a record';
CREATE FUNCTION sink_change(key bytea, value bytea, columns text[]) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'pt_sink_change' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION sink_change(bytea, bytea, text[]) IS 'what an envelope of Debezium says of a row with such a primary key';
CREATE FUNCTION sink_unavailable(key text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'pt_sink_unavailable' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION sink_unavailable(text) IS 'an error: values of a row are not to be had';

--
-- sources
--

CREATE FUNCTION create_source(name text, tables text[] DEFAULT NULL, publication text DEFAULT NULL,
							  topic text DEFAULT NULL, format text DEFAULT 'debezium',
							  snapshot text DEFAULT 'initial', connection text DEFAULT NULL,
							  message_prefix text DEFAULT NULL, message_topics text[] DEFAULT NULL,
							  slot text DEFAULT NULL, numerics text DEFAULT 'string', tombstones bool DEFAULT true,
							  truncate bool DEFAULT true, key text DEFAULT NULL, value text DEFAULT NULL,
							  headers text DEFAULT NULL, filter text DEFAULT NULL,
							  topic_expression text DEFAULT NULL, outbox jsonb DEFAULT NULL,
							  schemas bool DEFAULT false, failover bool DEFAULT false,
							  snapshot_readers int DEFAULT 1) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_create_source' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION create_source
	IS 'makes records of the changes of tables, here or at another server, and of logical messages, exactly once';
-- it connects to other servers
REVOKE ALL ON FUNCTION create_source FROM PUBLIC;
CREATE FUNCTION drop_source(name text) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_drop_source' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION drop_source(text) IS 'drops a source, with its slot and publication at its server';

-- Tables that are copied in chunks.  Nothing of it is dumped: a source that is
-- restored begins anew.
CREATE TABLE source_progress (
	source text NOT NULL,
	schema_name text NOT NULL,
	table_name text NOT NULL,
	requested_at timestamptz NOT NULL DEFAULT now(),
	finished_at timestamptz,
	error text,
	rows bigint NOT NULL DEFAULT 0,
	chunks bigint NOT NULL DEFAULT 0,
	last_key text[],
	PRIMARY KEY (source, schema_name, table_name)
);
COMMENT ON TABLE source_progress IS 'how far tables of sources are copied in chunks: see the view source_snapshots';

CREATE FUNCTION resnapshot_source(name text, "table" text) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_resnapshot_source' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION resnapshot_source(text, text) IS 'makes records of all rows of a table once more, while changes come';

CREATE VIEW source_snapshots WITH (security_barrier) AS
	SELECT p.source, p.schema_name, p.table_name,
		   CASE WHEN p.error IS NOT NULL THEN 'given up' WHEN p.finished_at IS NOT NULL THEN 'done'
				WHEN p.chunks = 0 THEN 'waiting' ELSE 'copying' END AS state,
		   p.rows, p.chunks, p.error, p.requested_at, p.finished_at
	FROM source_progress p JOIN list_tasks() t ON t.name = p.source
	WHERE t.definition IS NOT NULL;
COMMENT ON VIEW source_snapshots IS 'tables that are copied in chunks, for who may see the sources'' definitions';
GRANT SELECT ON source_snapshots TO PUBLIC;

--
-- followers of groups
--

CREATE FUNCTION follow_groups(name text, connection text, groups text[] DEFAULT '{*}', topics text[] DEFAULT '{*}',
							  "interval" interval DEFAULT '5 s', backwards bool DEFAULT false) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_follow_groups' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION follow_groups(text, text, text[], text[], interval, bool)
	IS 'brings along what groups commit at another server, in topics that follow those there';
-- it connects to other servers
REVOKE ALL ON FUNCTION follow_groups(text, text, text[], text[], interval, bool) FROM PUBLIC;
CREATE FUNCTION unfollow_groups(name text) RETURNS void
	AS 'MODULE_PATHNAME', 'pt_unfollow_groups' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION unfollow_groups(text) IS 'ends follow_groups(): the committed offsets stay';

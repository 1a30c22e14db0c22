"""The extension in a schema of its own, which is not in the search path, in a database whose own things have names like ours.

Tests write names of functions, views and types plainly.  qualify() makes of a psql script one that runs with the
schema out of the path: it writes the schema before each name that the catalog knows as ours (Names.of).  Its rules
are a reader's: a function stands before "(", a type behind "::" or behind a name, a table behind FROM and its like.
They know SQL no better than the tests need.  A name that they miss, or take for ours wrongly, makes an error in the
test's output, so it cannot pass unseen.  Operators are moved instead (OPERATORS).

Sibling: cluster.py.
"""

import re

SCHEMA = "streams"

# An application's own things: whoever looks for ours along the search path finds these.
APPLICATION = """
CREATE TABLE topics (subject text);
CREATE TABLE clients (name text, address text);
CREATE TABLE partitions (room text);
CREATE TABLE group_configs (wrong text);
CREATE SEQUENCE producer_ids;
CREATE TYPE topic AS ENUM ('politics', 'sports');
CREATE TYPE partition AS (wall text);
CREATE TYPE headers AS (line text);
CREATE FUNCTION next_partition(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'the wrong next_partition'; END $$;
CREATE FUNCTION as_text(bytea) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'the wrong as_text'; END $$;
CREATE FUNCTION as_jsonb(bytea) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE 'the wrong as_jsonb'; END $$;
"""

INSTALL = "CREATE SCHEMA streams; CREATE EXTENSION pgtopic SCHEMA streams; GRANT USAGE ON SCHEMA streams TO PUBLIC;"

# The tests' own "=" and "->" are found by the types beside them.  No code of ours looks an operator up by its name.
OPERATORS = """
DO $$
DECLARE
	one text;
BEGIN
	FOR one IN SELECT format('ALTER OPERATOR streams.%s (%s, %s) SET SCHEMA public', oprname, oprleft::regtype, oprright::regtype)
		FROM pg_operator WHERE oprnamespace = 'streams'::regnamespace
	LOOP
		EXECUTE one;
	END LOOP;
END
$$;
"""

TOKEN = re.compile(r"""(?P<comment>--[^\n]*)|(?P<string>'(?:[^']|'')*')|(?P<word>[A-Za-z_]\w*|"[^"]*")|(?P<cast>::)|(?P<space>\s+)|(?P<other>.)""",
                   re.X | re.S)
BEFORE_A_TABLE = {"FROM", "JOIN", "INTO", "TABLE", "ON", "UPDATE"}


class Names:
    """What the extension has, by kind."""

    def __init__(self, functions, relations, types):
        self.functions, self.relations, self.types = set(functions), set(relations), set(types)

    @classmethod
    def of(cls, server, database):
        def members(catalog, column, condition="true"):
            return server.sql("SELECT DISTINCT %s FROM %s c JOIN pg_depend d ON d.objid = c.oid AND d.classid = '%s'::regclass "
                              "JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass "
                              "WHERE d.deptype = 'e' AND extname = 'pgtopic' AND %s" % (column, catalog, catalog, condition),
                              database=database).split()
        return cls(members("pg_proc", "proname"), members("pg_class", "relname"),
                   members("pg_type", "typname", "typtype = 'b' AND typelem = 0"))


def qualify(text, schema, names):
    """The script with schema written before each of these names."""
    out, data = [], False
    sql = []

    def flush():
        out.append(_qualify_sql("".join(sql), schema, names))
        sql.clear()
    # psql's commands and the lines behind COPY FROM stdin are not SQL.
    for line in text.splitlines(keepends=True):
        if data or line.startswith("\\"):
            flush()
            out.append(line)
            data = data and line.rstrip("\n") != "\\."
        else:
            sql.append(line)
            data = bool(re.match(r"COPY .* FROM stdin", line))
    flush()
    return "".join(out)


def _qualify_sql(text, schema, names):
    out = []
    before = ""                         # the token before, blanks and comments left out
    tokens = list(TOKEN.finditer(text))
    for i, match in enumerate(tokens):
        kind, token = match.lastgroup, match.group()
        if kind == "string" and re.match(r"'\s*(SELECT|INSERT)\b", token):
            token = "'" + _qualify_sql(token[1:-1], schema, names) + "'"
        elif kind == "word" and before != ".":
            behind = text[match.end():match.end() + 1]
            if (token in names.functions and behind == "(" and before != "FUNCTION") or \
                    (token in names.types and behind != "." and _type_goes_behind(before)) or \
                    (token in names.relations and behind not in (".", "(") and before in BEFORE_A_TABLE):
                token = schema + "." + token
        out.append(token)
        if kind not in ("space", "comment"):
            before = match.group()
    return "".join(out)


def _type_goes_behind(before):
    """Behind "::", behind what is a column's or an argument's name, and behind RETURNS.  Key words are upper case."""
    return before in ("::", "RETURNS") or before[:1] == '"' or (before[:1].isalpha() and before == before.lower())

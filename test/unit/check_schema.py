#!/usr/bin/env python3
"""Compares our message tables with the specs inside a kafka-clients jar.

usage: check_schema.py kafka-clients-X.jar

The tables are printed by dump_schema.c, compiled here from the same headers as the server.  For
every API and version that both sides know, the fields must be the same: names, order, types,
nullability, tags and defaults.  A version that is newer than the jar is reported and skipped.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
SRC = os.path.join(HERE, "..", "..", "src")
LATEST = 127


def pg_config(option):
    return subprocess.check_output([os.environ.get("PG_CONFIG", "pg_config"), option], text=True).strip()


def our_tables():
    """Compiles dump_schema.c and returns what it prints."""
    with tempfile.TemporaryDirectory() as tmp:
        exe = os.path.join(tmp, "dump_schema")
        subprocess.check_call(
            [os.environ.get("CC", "cc"), "-std=gnu11", "-DFRONTEND", "-fno-strict-aliasing", "-I" + SRC,
             "-I" + pg_config("--includedir-server"), "-I" + pg_config("--includedir"),
             os.path.join(HERE, "dump_schema.c"), os.path.join(SRC, "kafka/messages/messages.c"),
             "-L" + pg_config("--pkglibdir"), "-L" + pg_config("--libdir"), "-lpgcommon", "-lpgport", "-lm", "-o", exe])
        return json.loads(subprocess.check_output([exe], text=True))


def load_spec(jar, name):
    text = jar.read("common/message/%s.json" % name).decode()
    return json.loads(re.sub(r"(?m)^\s*//.*$", "", text))


def versions(text):
    """'3+', '0-12', '7' or 'none' as a (first, last) pair."""
    if text is None or text == "none":
        return (1, 0)
    if text.endswith("+"):
        return (int(text[:-1]), LATEST)
    first, _, last = text.partition("-")
    return (int(first), int(last or first))


def within(version, text):
    first, last = versions(text)
    return first <= version <= last


def snake(name):
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def spec_default(field, kind, nullable):
    """As our tables write it: -1 for null, 0 for zero and empty."""
    value = field.get("default", "")
    if kind in ("uuid", "struct"):
        return 0
    if value == "null":
        return -1 if kind != "option" else 0
    if kind in ("string", "bytes", "records", "array", "list", "option"):
        assert value == "", field
        return 0
    if isinstance(value, str):
        if value in ("", "false"):
            return 0
        return 1 if value == "true" else int(value, 0)
    return int(value)


def flatten_spec(fields, structs, version, prefix=""):
    """The fields of one version in wire order, nested ones with the path of their parents."""
    rows = []
    for field in fields:
        if not within(version, field["versions"]):
            continue
        name, kind, item = prefix + snake(field["name"]), field["type"], ""
        nullable = within(version, field.get("nullableVersions"))
        inner = field.get("fields") or structs.get(kind.replace("[]", ""))
        if kind.startswith("[]"):
            kind, item = ("array", "") if inner else ("list", kind[2:])
        elif inner:
            kind = "option" if field.get("nullableVersions") else "struct"
        tag = field["tag"] if within(version, field.get("taggedVersions")) else None
        rows.append((name, kind, item, nullable, tag, spec_default(field, kind, nullable)))
        if inner:
            rows += flatten_spec(inner, structs, version, name + ".")
    return rows


def flatten_ours(fields, version, prefix=""):
    rows = []
    for field in fields:
        if not field["min"] <= version <= field["max"]:
            continue
        name = prefix + field["name"]
        nullable = 0 <= field["null_from"] <= version
        tag = field["tag"] if 0 <= field["tag_from"] <= version else None
        item = field["item"] if field["type"] == "list" else ""
        rows.append((name, field["type"], item, nullable, tag, field["default"]))
        if "fields" in field:
            rows += flatten_ours(field["fields"], version, name + ".")
    return rows


def compare(api, direction, spec):
    """Problems of one message over all versions that both sides have; how many were compared."""
    problems, compared = [], 0
    structs = {s["name"]: s["fields"] for s in spec.get("commonStructs", [])}
    if spec["apiKey"] != api["key"]:
        problems.append("key is %d, not %d" % (spec["apiKey"], api["key"]))
    for version in range(api["served"], api["max"] + 1):
        if not within(version, spec["validVersions"]):
            print("note: %s%s %d is not in this jar" % (api["name"], direction, version))
            continue
        compared += 1
        if within(version, spec["flexibleVersions"]) != (version >= api["flexible"]):
            problems.append("version %d: flexible or not" % version)
        theirs = flatten_spec(spec["fields"], structs, version)
        ours = flatten_ours(api[direction], version)
        for i in range(max(len(theirs), len(ours))):
            a = theirs[i] if i < len(theirs) else None
            b = ours[i] if i < len(ours) else None
            if a != b:
                problems.append("version %d: spec has %s, we have %s" % (version, a, b))
                break
    return problems, compared


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    failed = compared = 0
    with zipfile.ZipFile(sys.argv[1]) as jar:
        for api in our_tables():
            for direction in ("Request", "Response"):
                problems, n = compare(api, direction, load_spec(jar, api["name"] + direction))
                compared += n
                for problem in problems:
                    print("%s%s: %s" % (api["name"], direction, problem))
                failed += len(problems)
    print("%d message versions compared, %d differ" % (compared, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

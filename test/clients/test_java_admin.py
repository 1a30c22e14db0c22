#!/usr/bin/env python3
"""Kafka's own command line tools on what the server guards and what it does not have.

Brokers, loggers, users, quotas, ACLs, features, transactions, other brokers: each tool gets a true answer or a clear
refusal.  (What tools do with topics and groups is in matrix/.)
"""

import glob
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import tap             # noqa: E402

LIBS = os.path.join(HERE, "build", "java", "libs")
JVM = ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", LIBS + "/*"]
server = None


def tool(name, *arguments, config=None):
    """(exit status, output); name: a class, with its package unless that is the tools'."""
    name = name if name.startswith("kafka.") else "org.apache.kafka.tools." + name
    where = ["--bootstrap-server", server.bootstrap]
    if name.endswith("ClusterTool") or name.endswith("FeatureCommand"):
        arguments = (*arguments[:1], *where, *arguments[1:]) if name.endswith("ClusterTool") else (*where, *arguments)
    else:
        arguments = (*where, *arguments)
    if config:
        arguments += ("--command-config", config)
    done = subprocess.run([*JVM, name, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
    return done.returncode, done.stdout


def configs(*arguments):
    return tool("kafka.admin.ConfigCommand", *arguments)


def says(pattern, got, what, good=None):
    """The output matches, and the tool is (not) content."""
    tap.matches(pattern, got[1], what)
    if good is not None:
        tap.equal(got[0] == 0, good, what + ": exit status %d" % got[0])


def test_guarded():
    """before pgtopic.kafka_admin is on"""
    says("pgtopic.kafka_admin", configs("--alter", "--entity-type", "brokers", "--entity-name", "1", "--add-config", "num.partitions=3"),
         "kafka-configs, a broker", False)
    says("pgtopic.kafka_admin", configs("--alter", "--entity-type", "users", "--entity-name", "alice", "--add-config",
                                        "SCRAM-SHA-256=[iterations=8192,password=wonder]"), "kafka-configs, a user", False)
    tap.equal(server.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'alice'"), "0", "no role was made")


def test_allowed():
    server.sql("ALTER SYSTEM SET pgtopic.kafka_admin = on")
    server.sql("SELECT pg_reload_conf()")
    time.sleep(0.5)
    says("Completed updating default config", configs("--alter", "--entity-type", "brokers", "--entity-default", "--add-config",
                                                      "num.partitions=3"), "kafka-configs, all brokers", True)
    says("num.partitions=3.*DYNAMIC_BROKER_CONFIG:num.partitions=3", configs("--describe", "--entity-type", "brokers"), "is told", True)
    says("pgtopic.listeners", configs("--alter", "--entity-type", "brokers", "--entity-name", "1", "--add-config",
                                      "listeners=PLAINTEXT://:1"), "what is read at start", False)
    says("Completed updating config for broker-logger", configs("--alter", "--entity-type", "broker-loggers", "--entity-name", "1",
                                                                "--add-config", "root=INFO"), "kafka-configs, a logger", True)
    tap.equal(server.sql("SELECT setting FROM pg_file_settings WHERE name = 'log_min_messages' AND applied"), "info", "is log_min_messages")
    says("Completed updating config for user alice", configs("--alter", "--entity-type", "users", "--entity-name", "alice", "--add-config",
                                                             "SCRAM-SHA-256=[iterations=8192,password=wonder]"), "kafka-configs, a user", True)
    says("'alice' are SCRAM-SHA-256=iterations=8192", configs("--describe", "--entity-type", "users"), "is told", True)
    tap.ok(server.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'").startswith("SCRAM-SHA-256$8192:"), "and is a role")


def test_quotas():
    """kafka-configs for users, clients and addresses"""
    for words, config, entity in ((("--entity-type", "users", "--entity-name", "alice"), "producer_byte_rate=1024,consumer_byte_rate=2048", {"user": "alice"}),
                                  (("--entity-type", "clients", "--entity-name", "app"), "request_percentage=12.5", {"client-id": "app"}),
                                  (("--entity-type", "users", "--entity-default", "--entity-type", "clients", "--entity-default"),
                                   "controller_mutation_rate=5", {"user": None, "client-id": None}),
                                  (("--entity-type", "ips", "--entity-name", "10.0.0.1"), "connection_creation_rate=5", {"ip": "10.0.0.1"})):
        says("Completed updating (default )?config", configs("--alter", *words, "--add-config", config), "kafka-configs, %s" % (entity,), True)
        for name_value in config.split(","):
            name, value = name_value.split("=")
            tap.equal(server.sql("SELECT value FROM client_quotas WHERE entity = '%s' AND quota = '%s'" % (json.dumps(entity), name)), value, "is a row")
            says(name + "=" + value, configs("--describe", *words), "is told", True)
        says("Completed updating (default )?config", configs("--alter", *words, "--delete-config", ",".join(c.split("=")[0] for c in config.split(","))),
             "and removed", True)
    tap.equal(server.sql("SELECT count(*) FROM client_quotas"), "0", "all of them")
    says("fractional", configs("--alter", "--entity-type", "users", "--entity-name", "alice", "--add-config", "producer_byte_rate=1.5"),
         "what is refused says why", False)


def test_others():
    """what is not here"""
    says("upgraded to 1", tool("FeatureCommand", "upgrade", "--feature", "group.version=1"), "kafka-features upgrade", True)
    says("Could not downgrade", tool("FeatureCommand", "downgrade", "--feature", "group.version=0"), "kafka-features downgrade", False)
    says("TransactionalId", tool("TransactionsCommand", "list"), "kafka-transactions list", True)
    says("Broker ID 7 is not currently registered", tool("ClusterTool", "unregister", "--id", "7"), "kafka-cluster unregister")
    if glob.glob(LIBS + "/kafka-tools-*.jar"):
        acls()


def acls():
    """kafka-acls grants, lists and removes: GRANTs on tables, and rows for groups"""
    server.sql("SELECT create_topic('guarded'); CREATE ROLE reader; CREATE ROLE writer")
    says("", tool("AclCommand", "--add", "--allow-principal", "User:reader", "--consumer", "--topic", "guarded", "--group", "readers"),
         "kafka-acls --consumer", True)
    says("", tool("AclCommand", "--add", "--allow-principal", "User:writer", "--producer", "--topic", "guarded", "--transactional-id", "tx",
                  "--idempotent"), "kafka-acls --producer", True)
    says("", tool("AclCommand", "--add", "--allow-principal", "User:*", "--operation", "Describe", "--group", "app-",
                  "--resource-pattern-type", "prefixed"), "kafka-acls, a prefix", True)
    tap.equal(server.sql("SELECT has_table_privilege('reader', 'topics.guarded', 'SELECT'), has_table_privilege('writer', 'topics.guarded', 'INSERT'), "
                         "has_table_privilege('reader', 'topics.guarded', 'INSERT')"), "t|t|f", "they are GRANTs")
    tap.equal(server.sql("SELECT string_agg(concat_ws(' ', resource_type, resource_name, pattern_type, operation, role), ', ' ORDER BY 1) FROM "
                         "(SELECT * FROM kafka_acls WHERE resource_type <> 'topic' AND role <> 'pgtopic_admin' ORDER BY 1, 2, 4) a"),
              "cluster kafka-cluster literal IDEMPOTENT_WRITE writer, group app- prefixed DESCRIBE public, group readers literal READ reader, "
              "transactional_id tx literal DESCRIBE writer, transactional_id tx literal WRITE writer", "and rows")
    listed = tool("AclCommand", "--list", "--topic", "guarded")
    says("principal=User:reader, host=\\*, operation=READ, permissionType=ALLOW", listed, "kafka-acls --list", True)
    says("principal=User:writer, host=\\*, operation=WRITE, permissionType=ALLOW", listed, "of all principals")
    says("operation=READ", tool("AclCommand", "--list", "--principal", "User:reader"), "kafka-acls --list of a principal", True)
    says("DENY is not supported", tool("AclCommand", "--add", "--deny-principal", "User:reader", "--operation", "Read", "--topic", "guarded"),
         "kafka-acls --deny-principal")
    says("", tool("AclCommand", "--remove", "--force", "--topic", "guarded"), "kafka-acls --remove", True)
    tap.equal(server.sql("SELECT count(*) FROM kafka_acls WHERE resource_type = 'topic'"), "0", "they are gone")


def main():
    global server
    if not glob.glob(LIBS + "/kafka_2*.jar"):
        tap.skip("the Java clients are not installed; see test/clients/install")
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tap.main([test_guarded, test_allowed, test_quotas, test_others])


main()

#!/usr/bin/env python3
"""Real clients with tokens of OAuth: librdkafka with a callback, the Java client with an unsecured token.

From PostgreSQL 18 on; before, they are told that there is no such mechanism."""

import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import cluster as pg   # noqa: E402
import oauth           # noqa: E402
import tap             # noqa: E402

VENV = os.path.join(HERE, "build", "venv", "bin", "python")
OAUTH = 'oauth issuer="https://issuer.example.com" scope="kafka"'

server = None

# Sends "hello" to TOPIC and prints what it then reads there.
CONFLUENT = """
import os, sys, time
from confluent_kafka import Consumer, Producer, TopicPartition
e = os.environ
asked = []
def token(_):
    asked.append(1)
    return e["TOKEN"], time.time() + 300, "", ({"role": e["LOGIN"]} if e["LOGIN"] else {})
c = {"bootstrap.servers": e["BOOTSTRAP"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "oauth_cb": token,
     "log_level": 0}
said = []
p = Producer({**c, "message.timeout.ms": 20000, "error_cb": lambda problem: said.append(problem.name())})
p.produce(e["TOPIC"], b"hello")
while len(p) and "_AUTHENTICATION" not in said:
    p.poll(0.1)
if "_AUTHENTICATION" in said:
    sys.exit("authentication failed")
r = Consumer({**c, "group.id": "g"})
r.assign([TopicPartition(e["TOPIC"], 0, 0)])
print(r.poll(20).value().decode())
r.close()
"""

JAVA = """security.protocol=SASL_PLAINTEXT
sasl.mechanism=OAUTHBEARER
sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="%s"%s;
"""


def confluent(bearer, topic, role=""):
    env = dict(os.environ, BOOTSTRAP=server.bootstrap, TOKEN=bearer, LOGIN=role, TOPIC=topic)
    return subprocess.run([VENV, "-c", CONFLUENT], env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)


def java(subject, more=""):
    """kafka-topics --list, with the tools of the Java client; None: they are not there."""
    libs = os.path.join(HERE, "build", "java", "libs")
    if not os.path.exists(libs) or shutil.which("java") is None:
        return None
    config = os.path.join(pg.base_dir(), "client.properties")
    with open(config, "w", encoding="utf8") as f:
        f.write(JAVA % (subject, more))
    return subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", libs + "/*", "org.apache.kafka.tools.TopicCommand",
                           "--bootstrap-server", server.bootstrap, "--command-config", config, "--list"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)


def test_start():
    global server
    module = oauth.build()
    server = pg.Cluster(settings={"max_worker_processes": 32})
    if module is not None:
        server.settings["oauth_validator_libraries"] = module
    server.settings["pgtopic.listeners"] = "SASL_PLAINTEXT://" + server.bootstrap
    server.init()
    with open(server.data + "/pg_hba.conf", "w", encoding="utf8") as f:
        f.write("local all all trust\nhost all all all %s\n" % (OAUTH if module else "password"))
    server.start()
    server.sql("CREATE EXTENSION pgtopic; CREATE ROLE shop LOGIN IN ROLE pgtopic_admin; SELECT create_topic('t' || i) FROM generate_series(1, 5) i")
    server.wait_listener()


def test_confluent():
    """librdkafka"""
    if not os.path.exists(VENV):
        tap.ok(True, "left out: no confluent-kafka")
        return
    if pg.MAJOR < 18:
        tap.ok(confluent(oauth.token("shop"), "t1").returncode != 0, "an old server does not let it in")
        return
    done = confluent(oauth.token("shop"), "t1")
    tap.equal(done.stdout, "hello\n", "a token whose subject is a role" + (": " + done.stderr if done.returncode else ""))
    done = confluent("opaque", "t2", "shop")
    tap.ok(done.returncode != 0 and "failed" in done.stderr, "a token that is somebody else's (%s)" % done.stderr.strip())
    done = confluent("shop", "t3", "shop")
    tap.equal(done.stdout, "hello\n", "a token that cannot be read, and a role as extension" + (": " + done.stderr if done.returncode else ""))
    done = confluent(oauth.token("deny-shop"), "t4", "shop")
    tap.ok(done.returncode != 0 and "authentication failed" in done.stderr, "a token that is refused")


def test_java():
    """the Java client"""
    done = java("shop")
    if done is None:
        tap.ok(True, "left out: no Kafka")
        return
    if pg.MAJOR < 18:
        tap.ok("UnsupportedSaslMechanism" in done.stdout or "'OAUTHBEARER' not enabled" in done.stdout,
               "an old server does not let it in" + ("" if done.returncode else ": " + done.stdout))
        return
    tap.ok("t1\nt2" in done.stdout, "an unsecured token whose subject is a role" + ("" if done.returncode == 0 else ": " + done.stdout))
    done = java("somebody", ' extension_role="shop"')
    tap.ok("SaslAuthenticationException" in done.stdout, "one that is somebody else's")


if __name__ == "__main__":
    pg.demote()
    tap.main([test_start, test_confluent, test_java])

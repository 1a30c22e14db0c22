#!/usr/bin/env python3
"""Real clients say who they are: SCRAM-SHA-256 and PLAIN, over TLS too, and what they make of a wrong password."""

import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import certs           # noqa: E402
import cluster as pg   # noqa: E402
import tap             # noqa: E402

VENV = os.path.join(HERE, "build", "venv", "bin", "python")
SECRET = "s3cret, with = and \u00fc"
TELLING = ["kcat", "confluent-kafka", "aiokafka"]       # the others try again until their time is over, or log it elsewhere
MECHANISMS = ["SCRAM-SHA-256", "PLAIN"]

server = ca = None
at = {}     # SECURITY: host:port

# Each program gets SECURITY, BOOTSTRAP, CA, MECHANISM, LOGIN and PASSWORD, sends "hello" to TOPIC, and prints what it then reads there.
CONFLUENT = """
import os, sys
from confluent_kafka import Consumer, Producer, TopicPartition
e = os.environ
c = {"bootstrap.servers": e["BOOTSTRAP"], "security.protocol": e["SECURITY"], "ssl.ca.location": e["CA"], "sasl.mechanism": e["MECHANISM"],
     "sasl.username": e["LOGIN"], "sasl.password": e["PASSWORD"], "log_level": 0}
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

KAFKA_PYTHON = """
import os
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
e = os.environ
c = dict(bootstrap_servers=e["BOOTSTRAP"], security_protocol=e["SECURITY"], ssl_cafile=e["CA"], sasl_mechanism=e["MECHANISM"],
         sasl_plain_username=e["LOGIN"], sasl_plain_password=e["PASSWORD"])
p = KafkaProducer(**c)
p.send(e["TOPIC"], b"hello").get(20)
r = KafkaConsumer(**c, auto_offset_reset="earliest", consumer_timeout_ms=20000)
r.assign([TopicPartition(e["TOPIC"], 0)])
print(next(r).value.decode())
"""

AIOKAFKA = """
import asyncio, os
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.helpers import create_ssl_context
e = os.environ
c = dict(bootstrap_servers=e["BOOTSTRAP"], security_protocol=e["SECURITY"], sasl_mechanism=e["MECHANISM"],
         ssl_context=create_ssl_context(cafile=e["CA"]) if e["SECURITY"] == "SASL_SSL" else None, sasl_plain_username=e["LOGIN"], sasl_plain_password=e["PASSWORD"])
async def main():
    p = AIOKafkaProducer(**c)
    try:
        await p.start()
        await p.send_and_wait(e["TOPIC"], b"hello")
    finally:
        await p.stop()
    r = AIOKafkaConsumer(e["TOPIC"], **c, auto_offset_reset="earliest")
    await r.start()
    print((await asyncio.wait_for(r.getone(), 20)).value.decode())
    await r.stop()
asyncio.run(main())
"""


def run(command, security, mechanism, password, topic, stdin=None):
    env = dict(os.environ, SECURITY=security, BOOTSTRAP=at[security], CA=ca.cert, MECHANISM=mechanism, LOGIN="shop", PASSWORD=password, TOPIC=topic)
    return subprocess.run(command, env=env, input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)


def python(program):
    return lambda *how: run([VENV, "-c", program], *how)


def kcat(*how):
    security, mechanism, password, topic = how
    options = ["kcat", "-b", at[security], "-X", "security.protocol=" + security, "-X", "ssl.ca.location=" + ca.cert, "-X", "sasl.mechanisms=" + mechanism,
               "-X", "sasl.username=shop", "-X", "sasl.password=" + password, "-X", "message.timeout.ms=20000", "-t", topic]
    done = run(options + ["-P", "-E"], *how, "hello\n")
    return done if done.returncode != 0 else run(options + ["-C", "-e", "-q", "-o", "beginning"], *how)


def java(libs):
    def tool(*how):
        security, mechanism, password, topic = how
        kind = "scram.Scram" if mechanism.startswith("SCRAM") else "plain.Plain"
        path = os.path.join(pg.base_dir(), "java.properties")
        with open(path, "w", encoding="ascii") as f:
            f.write("security.protocol=%s\nssl.truststore.type=PEM\nssl.truststore.location=%s\nsasl.mechanism=%s\nmax.block.ms=20000\n"
                    "sasl.jaas.config=org.apache.kafka.common.security.%sLoginModule required username=\"shop\" password=\"%s\";\n"
                    % (security, ca.cert, mechanism, kind, password.encode("ascii", "backslashreplace").decode().replace("\\xfc", "\\u00fc")))
        start = ["java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", libs + "/*"]
        done = run(start + ["org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", at[security], "--topic", topic,
                            "--command-config", path], *how, "hello\n")
        if done.returncode != 0:
            return done
        return run(start + ["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", at[security], "--topic", topic,
                            "--partition", "0", "--offset", "earliest", "--max-messages", "1", "--timeout-ms", "30000",
                            "--command-config", path], *how)
    return tool


def clients():
    """(name, function) of those that are installed."""
    found = []
    if shutil.which("kcat"):
        found.append(("kcat", kcat))
    if os.path.exists(VENV):
        found += [("confluent-kafka", python(CONFLUENT)), ("kafka-python", python(KAFKA_PYTHON)), ("aiokafka", python(AIOKAFKA))]
    if shutil.which("java") and os.path.isdir(os.path.join(HERE, "build", "java", "libs")):
        found.append(("Java", java(os.path.join(HERE, "build", "java", "libs"))))
    return found


def mechanisms(name):
    return MECHANISMS if name != "kcat" else ["PLAIN"]      # librdkafka before 2.6.1 has SCRAM's nonce wrong


def goes(name, client, security, mechanism):
    """With the right password it does what it is to do; the topic."""
    topic = "-".join((name, security, mechanism)).lower()
    server.sql("SELECT create_topic('%s')" % topic)
    done = client(security, mechanism, SECRET, topic)
    tap.equal((done.returncode, done.stdout.strip()), (0, "hello"), "%s by %s, %s" % (name, mechanism, security))
    tap.note(done.stderr[-500:] if done.returncode else "")
    tap.equal(server.sql("SELECT count(*) FROM topics.\"%s\"" % topic), "1", "its record is there")
    return topic


def test_tls():
    """each client by each mechanism over TLS"""
    for name, client in clients():
        for mechanism in mechanisms(name):
            goes(name, client, "SASL_SSL", mechanism)


def test_clients():
    """the same without, and with a wrong password"""
    for name, client in clients():
        for mechanism in mechanisms(name):
            topic = goes(name, client, "SASL_PLAINTEXT", mechanism)
            done = client("SASL_PLAINTEXT", mechanism, "wrong", topic)
            tap.ok("hello" not in done.stdout, "with a wrong password it reads nothing")
            tap.equal(server.sql("SELECT count(*) FROM topics.\"%s\"" % topic), "1", "and writes nothing")
            if name in TELLING:
                tap.ok("uthenticat" in done.stdout + done.stderr, "and says why")


def main():
    global server, ca
    pg.demote()
    ca = certs.Authority(os.path.join(pg.base_dir(), "ca"))
    server = pg.Cluster()
    at.update(SASL_PLAINTEXT=server.bootstrap, SASL_SSL="localhost:%d" % pg.free_port())
    server.settings["pgtopic.listeners"] = ",".join("%s://%s" % listener for listener in at.items())
    server.init()
    for name, source in zip(("server.crt", "server.key"), ca.issue("localhost")):
        shutil.copy(source, os.path.join(server.data, name))
    os.chmod(server.data + "/server.key", 0o600)
    with open(server.data + "/pg_hba.conf", "w", encoding="utf8") as f:
        f.write("local all all trust\nhost postgres shop all password\n")
    server.start()
    server.sql("CREATE EXTENSION pgtopic; CREATE ROLE shop LOGIN PASSWORD '%s' IN ROLE pgtopic_admin" % SECRET)
    server.wait_listener()
    if not clients():
        tap.skip("no clients are installed")
    tap.main([test_tls, test_clients])


main()

#!/usr/bin/env python3
"""Real clients over TLS: each produces records, large ones too, and reads them back, with the server's certificate verified and
one of its own; the ones that test/clients/matrix brings as programs of their own take no part.
"""

import asyncio
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import certs           # noqa: E402
import cluster as pg   # noqa: E402
import tap             # noqa: E402

LIBS = os.path.join(HERE, "build", "java", "libs")
VALUES = [b"value %d" % i for i in range(500)] + [bytes([65 + i]) * 300000 for i in range(5)]

ca = server = None
cert = key = bootstrap = None


def in_sql(topic):
    return server.sql("SELECT count(*), sum(length(value)) FROM topics.\"%s\"" % topic)


def whole(topic):
    tap.equal(in_sql(topic), "%d|%d" % (len(VALUES), sum(len(v) for v in VALUES)), "%s: SQL has its records" % topic)
    tap.equal(server.sql("SELECT bool_and(mechanism = 'SSL' AND role = 'alice' AND security_protocol = 'SSL' AND tls_version ~ '^TLSv1')"
                         " FROM clients WHERE requests > 0") or "t", "t", "%s: as the role of its certificate" % topic)


def kcat(*arguments, data=b""):
    done = subprocess.run(["kcat", "-b", bootstrap, "-X", "security.protocol=ssl", "-X", "ssl.ca.location=" + ca.cert,
                           "-X", "ssl.certificate.location=" + cert, "-X", "ssl.key.location=" + key, *arguments],
                          input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    return done.stdout if done.returncode == 0 else done.stderr


def test_kcat():
    kcat("-P", "-t", "kcat", data=b"\n".join(VALUES) + b"\n")
    whole("kcat")
    tap.ok(kcat("-C", "-t", "kcat", "-o", "beginning", "-e", "-q").split(b"\n")[:-1] == VALUES, "kcat reads them back")


def test_confluent():
    from confluent_kafka import Consumer, Producer
    tls = {"bootstrap.servers": bootstrap, "security.protocol": "SSL", "ssl.ca.location": ca.cert, "ssl.certificate.location": cert,
           "ssl.key.location": key, "log_level": 0}
    producer = Producer({**tls, "enable.idempotence": True, "message.max.bytes": 10000000})
    for value in VALUES:
        producer.produce("confluent", value)
    tap.equal(producer.flush(60), 0, "confluent-kafka: all is acknowledged")
    whole("confluent")
    for protocol in ("classic", "consumer"):
        consumer = Consumer({**tls, "group.id": "confluent-" + protocol, "group.protocol": protocol, "auto.offset.reset": "earliest"})
        consumer.subscribe(["confluent"])
        got = []
        for _ in range(3000):
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                got.append(message.value())
            if len(got) == len(VALUES):
                break
        consumer.commit(asynchronous=False)
        consumer.close()
        tap.ok(got == VALUES, "confluent-kafka, %s group: reads them back" % protocol)


def test_kafka_python():
    import kafka
    tls = {"bootstrap_servers": bootstrap, "security_protocol": "SSL", "ssl_cafile": ca.cert, "ssl_certfile": cert, "ssl_keyfile": key}
    producer = kafka.KafkaProducer(acks="all", max_request_size=10000000, **tls)
    for value in VALUES:
        producer.send("kafka-python", value)
    producer.flush(60)
    producer.close()
    whole("kafka-python")
    consumer = kafka.KafkaConsumer("kafka-python", group_id="kafka-python", auto_offset_reset="earliest", consumer_timeout_ms=60000, **tls)
    got = []
    for message in consumer:
        got.append(message.value)
        if len(got) == len(VALUES):
            break
    consumer.close()
    tap.ok(got == VALUES, "kafka-python reads them back")


async def aio():
    import aiokafka
    from aiokafka.helpers import create_ssl_context
    tls = {"bootstrap_servers": bootstrap, "security_protocol": "SSL",
           "ssl_context": create_ssl_context(cafile=ca.cert, certfile=cert, keyfile=key)}
    producer = aiokafka.AIOKafkaProducer(max_request_size=10000000, **tls)
    await producer.start()
    for value in VALUES:
        await producer.send("aiokafka", value)
    await producer.stop()
    consumer = aiokafka.AIOKafkaConsumer("aiokafka", group_id="aiokafka", auto_offset_reset="earliest", **tls)
    await consumer.start()
    got = []
    while len(got) < len(VALUES):
        got.append((await asyncio.wait_for(consumer.getone(), 60)).value)
    await consumer.stop()
    return got


def test_aiokafka():
    got = asyncio.run(aio())
    whole("aiokafka")
    tap.ok(got == VALUES, "aiokafka reads them back")


def java(tool, *arguments, data=b""):
    done = subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", LIBS + "/*", "org.apache.kafka.tools." + tool,
                           "--bootstrap-server", bootstrap, *arguments], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=180, check=False)
    if done.returncode != 0:
        tap.note(done.stderr.decode(errors="replace")[-1000:])
    return done.stdout


def test_java():
    """PEM for both stores, and PKCS12 for what it trusts"""
    if not os.path.isdir(LIBS) or shutil.which("java") is None:
        tap.note("the Java clients are not installed; see test/clients/install")
        return
    with open(key, encoding="utf8") as k, open(cert, encoding="utf8") as c, open(ca.path("alice.pem"), "w", encoding="utf8") as both:
        both.write(k.read() + c.read())
    pem = ca.path("pem.properties")
    ca.write("pem.properties", "security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location=%s\nssl.keystore.type=PEM\n"
             "ssl.keystore.location=%s\n" % (ca.cert, ca.path("alice.pem")))
    subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", ca.cert, "-storetype", "PKCS12", "-keystore",
                    ca.path("trust.p12"), "-storepass", "changeit"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    certs.openssl("pkcs12", "-export", "-in", cert, "-inkey", key, "-out", ca.path("alice.p12"), "-passout", "pass:changeit")
    p12 = ca.path("p12.properties")
    ca.write("p12.properties", "security.protocol=SSL\nssl.truststore.type=PKCS12\nssl.truststore.location=%s\nssl.truststore.password=changeit\n"
             "ssl.keystore.type=PKCS12\nssl.keystore.location=%s\nssl.keystore.password=changeit\nssl.enabled.protocols=TLSv1.2\n"
             % (ca.path("trust.p12"), ca.path("alice.p12")))
    java("ConsoleProducer", "--producer.config", pem, "--topic", "java", data=b"\n".join(VALUES) + b"\n")
    whole("java")
    got = java("consumer.ConsoleConsumer", "--consumer.config", p12, "--topic", "java", "--group", "java", "--from-beginning",
               "--max-messages", str(len(VALUES)), "--timeout-ms", "60000")
    # the tool may say something of itself, too
    tap.ok([line for line in got.split(b"\n") if line in VALUES] == VALUES, "Java, PKCS12 and TLS 1.2: reads them back")


def start():
    """A server with TLS alone, which asks for certificates."""
    global ca, server, cert, key, bootstrap
    ca = certs.Authority(pg.base_dir() + "/ca")
    made = pg.Cluster().init()
    for name, source in zip(("server.crt", "server.key", "root.crt"), (*ca.issue("localhost"), ca.cert)):
        shutil.copy(source, os.path.join(made.data, name))
    os.chmod(made.data + "/server.key", 0o600)
    with open(made.data + "/pg_hba.conf", "r+", encoding="utf8") as f:
        lines = f.read()
        f.seek(0)
        f.write("hostssl all all all cert\n" + lines)
    bootstrap = "localhost:%d" % made.kafka_port
    made.set(pgtopic__listeners="SSL://" + bootstrap, ssl_ca_file="root.crt", pgtopic__ssl_client_auth="required",
             pgtopic__plaintext_role="", pgtopic__group_initial_rebalance_delay=300).start()
    made.sql("CREATE EXTENSION pgtopic; CREATE ROLE alice LOGIN IN ROLE pgtopic_admin")
    made.wait_for("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pgtopic listener 0'")
    cert, key = ca.issue("alice")
    return made


pg.demote()
server = start()
server.wait_listener()
tap.main([test_kcat, test_confluent, test_kafka_python, test_aiokafka, test_java])

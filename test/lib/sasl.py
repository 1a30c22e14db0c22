"""The client's side of SASL, for clients of ../clients/raw.py.

    with rawtest.connect(server) as client:
        sasl.log_in(client, "SCRAM-SHA-256", "alice", "secret")

Siblings: rawtest.py; cluster.py.
"""

import base64
import hashlib
import hmac
import secrets


class Refused(Exception):
    """The server's error code and message."""

    def __init__(self, code, message=None):
        super().__init__("%s %s" % (code, message))
        self.code = code
        self.message = message


def _hmac(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def _attributes(message):
    return dict(part.split("=", 1) for part in message.decode().split(","))


class Scram:
    """SCRAM-SHA-256 without channel binding."""

    def __init__(self, user, password):
        self.password = password.encode()
        self.nonce = secrets.token_hex(12)
        self.first_bare = "n=%s,r=%s" % (user.replace("=", "=3D").replace(",", "=2C"), self.nonce)
        self.server_first = {}
        self.signature = b""

    def first(self):
        return ("n,," + self.first_bare).encode()

    def final(self, server_first):
        said = self.server_first = _attributes(server_first)
        if not said["r"].startswith(self.nonce):
            raise ValueError("the server's nonce is another one")
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(said["s"]), int(said["i"]))
        without_proof = "c=biws,r=" + said["r"]
        text = ",".join([self.first_bare, server_first.decode(), without_proof]).encode()
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), text)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.signature = _hmac(_hmac(salted, b"Server Key"), text)
        return (without_proof + ",p=" + base64.b64encode(proof).decode()).encode()

    def check(self, server_final):
        """The server has the password, too."""
        if base64.b64decode(_attributes(server_final)["v"]) != self.signature:
            raise ValueError("the server's signature is wrong")


def handshake(client, mechanism):
    """The answer to SaslHandshake."""
    return client.call("SaslHandshake", 1, {"Mechanism": mechanism})


def authenticate(client, message, version=2):
    """The answer to SaslAuthenticate; Refused for an error."""
    answer = client.call("SaslAuthenticate", version, {"AuthBytes": message})
    if answer["ErrorCode"] != 0:
        raise Refused(answer["ErrorCode"], answer["ErrorMessage"])
    return answer


def in_memory(pid, secret):
    """How often a process has these bytes, in memory that it may write to; one of the same user."""
    found = 0
    with open("/proc/%d/maps" % pid, encoding="utf8") as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            span, mode = line.split()[:2]
            if not mode.startswith("rw-p"):
                continue
            begin, end = (int(at, 16) for at in span.split("-"))
            try:
                memory.seek(begin)
                found += memory.read(end - begin).count(secret)
            except OSError:
                pass
    return found


def plain(user, password, identity=""):
    return b"\0".join(text.encode() for text in (identity, user, password))


def log_in(client, mechanism, user, password, version=2):
    """The whole of it; the last answer."""
    answer = handshake(client, mechanism)
    if answer["ErrorCode"] != 0:
        raise Refused(answer["ErrorCode"], answer["Mechanisms"])
    if mechanism == "PLAIN":
        return authenticate(client, plain(user, password), version)
    scram = Scram(user, password)
    answer = authenticate(client, scram.first(), version)
    answer = authenticate(client, scram.final(answer["AuthBytes"]), version)
    scram.check(answer["AuthBytes"])
    return answer

"""Tokens of OAuth, for tests: validator.c, and the messages of clients.

    module = oauth.build()              # None: this server has no validators
    server = pg.Cluster(settings={"oauth_validator_libraries": module})
    oauth.log_in(client, oauth.token("alice"))

Siblings: sasl.py; validator.c says what a token does.
"""

import base64
import json
import os
import subprocess

import cluster as pg
import sasl

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "validator.c")


def build():
    """The module without its suffix, as the setting wants it."""
    if pg.MAJOR < 18:
        return None
    module = os.path.join(pg.base_dir(), "validator")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", module + ".so",
                    "-I" + pg.pg_config("includedir-server"), SOURCE], check=True)
    return module


def _part(what):
    return base64.urlsafe_b64encode(json.dumps(what).encode()).rstrip(b"=").decode()


def token(subject, **claims):
    """An unsecured JSON Web Token."""
    return "%s.%s." % (_part({"alg": "none"}), _part(dict(claims, sub=subject)))


def message(bearer, identity="", **extensions):
    head = "n,%s,\1" % ("a=" + identity if identity else "")
    return (head + "auth=Bearer " + bearer + "\1" + "".join("%s=%s\1" % pair for pair in extensions.items()) + "\1").encode()


def log_in(client, bearer, **more):
    """The answer; sasl.Refused with what the last one has said, after the one that says why in JSON."""
    answer = sasl.handshake(client, "OAUTHBEARER")
    if answer["ErrorCode"] != 0:
        raise sasl.Refused(answer["ErrorCode"], answer["Mechanisms"])
    answer = sasl.authenticate(client, message(bearer, **more))
    if answer["AuthBytes"]:
        said = json.loads(answer["AuthBytes"])
        if said != {"status": "invalid_token"}:
            raise ValueError("the server says %s" % said)
        sasl.authenticate(client, b"\1")
        raise ValueError("the server takes another message")
    return answer

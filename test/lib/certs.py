"""Certificates for tests, made with the openssl command.

    ca = certs.Authority(directory)
    cert, key = ca.issue("localhost")
    ca.revoke(cert)
    context = ca.client(cert, key)          # an ssl.SSLContext

Standard library only.  Siblings: cluster.py.
"""

import os
import ssl
import subprocess

CONFIG = """[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[leaf]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost,IP:127.0.0.1
[ca]
default_ca = ours
[ours]
database = %(dir)s/index.txt
new_certs_dir = %(dir)s
serial = %(dir)s/serial
crlnumber = %(dir)s/crlnumber
unique_subject = no
default_md = sha256
default_crl_days = 30
policy = any
[any]
organizationName = optional
commonName = supplied
"""


def openssl(*arguments, data="", check=True):
    """What the command says, on both its outputs."""
    done = subprocess.run(["openssl", *arguments], input=data, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, errors="replace", check=False)
    if check and done.returncode != 0:
        raise RuntimeError("openssl %s failed:\n%s" % (arguments[0], done.stdout))
    return done.stdout


class Authority:
    """Signs certificates, with EC keys."""

    def __init__(self, directory, name="Test CA"):
        self.dir = directory
        os.makedirs(directory)
        self.config = self.path("ca.cnf")
        self.write("ca.cnf", CONFIG % {"dir": directory})
        for file, text in (("index.txt", ""), ("serial", "1000\n"), ("crlnumber", "01\n")):
            self.write(file, text)
        self.cert, self.key, self.crl = self.path("ca.crt"), self.path("ca.key"), self.path("ca.crl")
        openssl("req", "-x509", "-config", self.config, "-extensions", "authority", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.key, "-out", self.cert, "-days", "30", "-subj", "/CN=" + name)
        self.write_crl()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf8") as f:
            f.write(text)

    def _ca(self, *arguments):
        return openssl("ca", "-batch", "-config", self.config, "-cert", self.cert, "-keyfile", self.key, *arguments)

    def issue(self, name, expired=False, passphrase=None, subject="/O=Tests/CN=%s"):
        """The files of a certificate and of its key."""
        base = self.path("%s-%d" % (name, len(os.listdir(self.dir))))
        secret = ["-passout", "pass:" + passphrase] if passphrase else ["-nodes"]
        openssl("req", "-new", "-config", self.config, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *secret,
                "-keyout", base + ".key", "-out", base + ".csr", "-subj", subject % name)
        when = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"] if expired else ["-days", "30"]
        self._ca("-in", base + ".csr", "-out", base + ".crt", "-extensions", "leaf", "-notext", *when)
        os.chmod(base + ".key", 0o600)
        return base + ".crt", base + ".key"

    def revoke(self, cert):
        self._ca("-revoke", cert)
        self.write_crl()

    def write_crl(self):
        self._ca("-gencrl", "-out", self.crl)

    def client(self, cert=None, key=None, version=None):
        """A client that trusts this authority, with a certificate or without."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.cert)
        if cert:
            context.load_cert_chain(cert, key)
        if version:
            context.minimum_version = context.maximum_version = version
        return context

# SPDX-License-Identifier: ISC
"""rediss:// to a real Redis behind TLS: the certificate has to be signed by an authority that is trusted here and made
out to the name in the URL; every other answer is refused in words that say why, and decided locally meanwhile. The
authority is the test's own, named to the daemon by SSL_CERT_FILE."""

import os
import subprocess

from cluster import Node, login_rate, one_recipient
from daemon import REEVED
from dnsstub import DnsStub
from harness import main, unittest
from redis_server import RedisServer, have_redis
from test_cluster_lists import AS_OURS
from waiting import PrivateDir, can_connect, free_port, skip, wait_for

NAME, OTHER_NAME = "redis.example.com", "other.example.com"


def openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise AssertionError("openssl %r: %s" % (words, done.stderr))


def has_tls():
    """Was reeved built with it?"""
    with PrivateDir() as folder:
        path = folder + "/reeve.yaml"
        with open(path, "w", encoding="ascii") as file:
            file.write("store:\n  url: rediss://redis.example.net\n")
        done = subprocess.run([REEVED, "-t", "-c", path], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0


class Authority:
    """Signs certificates; `path`: its own, for those who trust it."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.path = os.path.join(folder, name + ".pem")
        self.count = 0
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=" + name, "-keyout", self.path + ".key", "-out", self.path)

    def sign(self, names, over=False):
        """(certificate, key) for subject alternative names, as in "DNS:a,IP:127.0.0.1". over: it was valid once."""
        self.count += 1
        base = os.path.join(self.folder, "%s-%d" % (self.name, self.count))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=redis",
                "-keyout", base + ".key", "-out", base + ".csr")
        with open(base + ".ext", "w", encoding="ascii") as file:
            file.write("subjectAltName=%s\n" % names)
        sign = ["x509", "-req", "-in", base + ".csr", "-CA", self.path, "-CAkey", self.path + ".key",
                "-CAcreateserial", "-extfile", base + ".ext", "-out", base + ".pem"]
        if over:
            try:
                openssl(*sign, "-not_before", "20240101000000Z", "-not_after", "20240102000000Z")
            except AssertionError:  # OpenSSL before 3.4, which in turn takes this
                openssl(*sign, "-days", "-1")
        else:
            openssl(*sign, "-days", "1")
        return base + ".pem", base + ".key"


class TlsServer(RedisServer):
    """Its plain port is for the test; `tls_port` is the one that is tested."""

    def __init__(self, certificate, key, of_clients="no", authority=""):
        self.tls_port = free_port()
        self.more = ("--tls-auth-clients", of_clients, "--tls-ca-cert-file", authority)
        super().__init__()
        self.present(certificate, key)

    def present(self, certificate, key):
        """From the next start on."""
        self.options = ("--tls-port", str(self.tls_port), "--tls-cert-file", certificate, "--tls-key-file", key, *self.more)

    def start(self):
        super().start()
        wait_for("the port with TLS", lambda: can_connect(self.tls_port))
        return self


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = PrivateDir()
        cls.addClassCleanup(cls.folder.close)
        cls.trusted = Authority(cls.folder.path, "trusted")
        cls.stranger = Authority(cls.folder.path, "stranger")
        cls.dns = DnsStub()
        cls.addClassCleanup(cls.dns.close)
        for name in (NAME, OTHER_NAME):
            cls.dns.a(name, "127.0.0.1")

    def server(self, *certificate, **more):
        server = TlsServer(*certificate, **more).start()
        self.addCleanup(server.close)
        return server

    def node(self, host, port, name="mx1"):
        node = Node(login_rate("100/1h"), "rediss://%s:%d" % (host, port), name, dns=self.dns)
        self.addCleanup(node.close)
        os.environ["SSL_CERT_FILE"] = self.trusted.path
        try:
            return node.start()
        finally:
            del os.environ["SSL_CERT_FILE"]

    def goes_well(self, server, host):
        """Counted in Redis, over TLS: the plain port sees it."""
        node = self.node(host, server.tls_port).ready()
        for i in range(5):
            self.assertEqual(node.ask(one_recipient("anna@example.com", "i%d" % i)), "DUNNO")
        self.assertEqual(node.used("anna@example.com"), 5)
        self.assertEqual(node.status()["store"]["local"], 0)
        link = server.client()
        self.assertEqual(len([key for key in link("KEYS", "*") if b":c:" in key]), 1)
        link.close()
        return node

    def is_refused(self, host, port, why, detail):
        """Told once, with what is wrong; mail goes on."""
        node = self.node(host, port)
        line = node.wait_log("event=store_away")[0]
        self.assertEqual(line["why"], why, line["line"])
        self.assertIn(detail, line["detail"])
        self.assertEqual("on that port?" in line["detail"], "on that port?" in detail)
        self.assertEqual(node.ask(one_recipient("anna@example.com", "i")), "DUNNO")
        self.assertFalse(node.asked())
        self.assertEqual(len(node.log("event=store_away")), 1)
        node.stop()

    def test_the_right_name(self):
        self.goes_well(self.server(*self.trusted.sign("DNS:" + NAME)), NAME)

    def test_the_right_address(self):
        self.goes_well(self.server(*self.trusted.sign("IP:127.0.0.1")), "127.0.0.1")

    def test_a_wrong_name(self):
        server = self.server(*self.trusted.sign("DNS:" + NAME))
        self.is_refused(OTHER_NAME, server.tls_port, "tls", "ostname mismatch")
        self.is_refused("127.0.0.1", server.tls_port, "tls", "IP address mismatch")

    def test_a_part_of_a_name(self):
        """A certificate for all of *.com, or r*.example.com, is not for ours."""
        server = self.server(*self.trusted.sign("DNS:r*.example.com,DNS:*.com"))
        self.is_refused(NAME, server.tls_port, "tls", "ostname mismatch")

    def test_an_unknown_authority(self):
        server = self.server(*self.stranger.sign("DNS:" + NAME))
        self.is_refused(NAME, server.tls_port, "tls", "unable to get local issuer certificate")

    def test_a_certificate_that_is_over(self):
        server = self.server(*self.trusted.sign("DNS:" + NAME, over=True))
        self.is_refused(NAME, server.tls_port, "tls", "certificate has expired")

    def test_redis_wants_a_certificate_of_ours(self):
        server = self.server(*self.trusted.sign("DNS:" + NAME), of_clients="yes", authority=self.trusted.path)
        self.is_refused(NAME, server.tls_port, "tls", "alert certificate required")

    def test_no_tls_there(self):
        server = self.server(*self.trusted.sign("DNS:" + NAME))
        self.is_refused(NAME, server.port, "tls", "is there TLS on that port?")

    def test_nobody_there(self):
        self.is_refused(NAME, free_port(), "connect", "Connection refused")

    def test_many_bytes(self):
        """A list of bans that comes in many records of TLS, and a change that the second connection tells of."""
        server = self.server(*self.trusted.sign("DNS:" + NAME))
        link = server.client()
        for i in range(1500):
            member = "198.51.%d.%d/32" % (i // 250, i % 250)
            link("EVAL", AS_OURS, 3, "{reeve}:bf", "{reeve}:bl", "{reeve}:bv", member,
                 "%d 0 99999999999999 1 1 3:mx34:autotoo many bad recipients" % i, "{reeve}:hint")
        link.close()
        one = self.node(NAME, server.tls_port).ready()
        two = self.node(NAME, server.tls_port, "mx2").ready()
        for node in (one, two):
            wait_for("the whole list", lambda node=node: node.status()["bans"]["count"] == 1500)
        self.assertEqual(one.ctl("ban", "add", "203.0.113.9", "--for", "1h")[0], 0)
        wait_for("the other hears of it", lambda: "203.0.113.9" in two.ctl("ban", "list")[1])

    def test_it_comes_back(self):
        """With a stranger's certificate it is refused, with ours again it is used, and nothing is lost or counted twice."""
        ours, others = self.trusted.sign("DNS:" + NAME), self.stranger.sign("DNS:" + NAME)
        server = self.server(*ours)
        node = self.goes_well(server, NAME)
        server.kill()
        node.wait_log("event=store_away")
        server.present(*others)
        server.start()
        wait_for("it is refused", lambda: node.status()["store"].get("trouble") == "tls")
        self.assertEqual(node.ask(one_recipient("anna@example.com", "away")), "DUNNO")
        server.kill()
        server.present(*ours)
        server.start()
        node.wait_log("event=store_back", timeout_s=20)
        wait_for("what was counted before and meanwhile", lambda: node.used("anna@example.com") == 6)


if __name__ == "__main__":
    if not have_redis():
        skip("redis-server is not installed")
    if not has_tls():
        skip("reeved was built with a hiredis that has no TLS (before 1.0)")
    main()

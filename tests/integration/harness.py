# SPDX-License-Identifier: ISC
"""What the integration tests use: a private Postfix, a DNS stub, reeved, an SMTP client and a bare policy client.

Each test file runs alone: `python3 tests/integration/test_x.py`. REEVED names the daemon (build/release/reeved),
KEEP=1 keeps the directories. Everything is ended by process number and nothing outside a private directory is touched.
"""

import itertools
import os
import shutil
import sys
import unittest

from daemon import HERE, REEVED, TOP, Reeved, packaged_config, parse_log
from dnsstub import MISDEEDS, DnsStub, reverse_name
from policy import Policy, Proxy, request, submission
from postfix import Postfix
from smtp import STRANGER, Closed, Sent, Smtp, session
from waiting import Child, NotInTime, PrivateDir, can_connect, free_port, let_pass, skip, wait_for

__all__ = """HERE REEVED TOP Reeved packaged_config parse_log MISDEEDS DnsStub reverse_name Policy Proxy request submission
Postfix STRANGER Closed Sent Smtp session Child NotInTime PrivateDir can_connect free_port let_pass wait_for Bench
DaemonBench LOGIN_RATE main unittest""".split()

# One rate rule by login; % takes the limit.
LOGIN_RATE = """\
site: { origin: example.com, domains: [example.com] }
rules:
  - { name: hourly, check: rate, per: login, limits: [{ limit: %s }] }
"""

USUAL_PORT = {"smtp": 25, "submission": 587, "submissions": 465, "contexts": 587, "stages": 25, "plain": 25}


class DaemonBench(unittest.TestCase):
    """One DNS stub for the class and a reeved for each test that calls `reeve(text)`."""

    memory = False
    policy_port = None
    dns_extra = "timeout: 300ms\ntries: 1"

    @classmethod
    def setUpClass(cls):
        cls.dir = PrivateDir()
        cls.addClassCleanup(cls.dir.close)
        cls.dns = DnsStub()
        cls.addClassCleanup(cls.dns.close)
        cls.socket_path = None
        cls.instances = itertools.count(1)

    def setUp(self):
        self.reeved = None
        self.dns.forget()
        self.zone()

    def zone(self):
        """What every test's DNS holds."""
        for domain in ("example.net", "example.com", "outside.example"):
            self.dns.mx(domain, "mail." + domain).a("mail." + domain, "198.51.100.7")

    def reeve(self, text):
        """A fresh daemon with this configuration, in place of the one that the test had before."""
        if self.reeved:
            self.reeved.stop()
        reeved = self.reeved = Reeved(text, root=self.dir.path, socket_path=self.socket_path, dns=self.dns, dns_extra=self.dns_extra,
                        memory=self.memory, port=self.policy_port)
        self.addCleanup(reeved.close)
        return reeved.fresh(text)

    def instance(self):
        """A message of its own, in the form of Postfix."""
        return "%x.%x.%x.0" % (4096 + next(self.instances), 0x65000000, next(self.instances))


class Bench(DaemonBench):
    """And one private Postfix for the class. `postfix_options` goes to its constructor."""

    postfix_options = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.postfix = Postfix(cls.dir.path, **cls.postfix_options)
        cls.socket_path = cls.postfix.socket_path
        cls.addClassCleanup(cls.postfix.stop)
        cls.postfix.start()

    def smtp(self, service="smtp", **who):
        return session(self.postfix.port(service), destport=USUAL_PORT[service], **who)

    def refused(self, reply, used, limit, window="1h"):
        """The reply of a limit: says how many, of how many, in which time, and when again."""
        self.assertEqual(reply.code, 450, reply)
        self.assertRegex(reply.text, r"4\.7\.1 .*\b%d of %d recipients used in %s; try again in \d" % (used, limit, window))

    def took(self, sent, number=None):
        """Every recipient (or so many) and the message itself were accepted."""
        self.assertEqual(sent.accepted, len(sent.rcpts) if number is None else number, sent.replies())
        self.assertEqual(sent.end and sent.end.code, 250, sent.replies())


def needs_postfix():
    """Whether the program has a test behind a Postfix; the others need neither Postfix nor root."""
    names = vars(sys.modules["__main__"])
    return "Postfix" in names or any(isinstance(one, type) and issubclass(one, Bench) for one in names.values())


def main():
    """Runs the program's tests, or says why the machine cannot."""
    if not os.access(REEVED, os.X_OK):
        skip("no daemon at " + REEVED)
    if needs_postfix():
        if not shutil.which("postfix"):
            skip("no Postfix here")
        if os.geteuid() != 0:
            skip("not run by root, who alone can start a private Postfix")
    unittest.main()

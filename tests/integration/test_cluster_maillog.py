# SPDX-License-Identifier: ISC
"""One node of a cluster follows its Postfix's log; what that shows of a client, the other nodes know by way of Redis."""

import os
import time

from cluster import Node
from harness import Bench, main
from policy import Policy, request
from redis_server import RedisServer, have_redis
from waiting import skip

CONFIG = """\
site: { origin: example.com, domains: [example.com] }
rules:
  - { name: banned, check: ban }
bans: { mode: enforce, disconnect_at: 0, ban_at: 40/1h, auth_failures: off, never: [203.0.113.0/24], maillog: %s }
"""
ROUNDS = 5
WITHIN_S = 0.2


class OneLogTwoNodes(Bench):
    postfix_options = {"main": {"smtpd_hard_error_limit": "25"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = RedisServer().start()
        cls.addClassCleanup(cls.redis.close)
        cls.nodes = []
        maillog = '"file:%s"' % os.path.join(cls.postfix.root, "maillog")
        for name, source in (("near", maillog), ("far", "off")):
            root = os.path.join(cls.dir.path, name)
            os.mkdir(root, 0o755)
            node = Node(CONFIG % source, "redis://127.0.0.1:%d" % cls.redis.port, name, root=root).start()
            cls.addClassCleanup(node.close)
            cls.nodes.append(node)
        cls.near, cls.far = cls.nodes
        for node in cls.nodes:
            node.ready()
        cls.near.wait_log("event=maillog_followed")

    def failing(self, addr):
        with self.smtp("plain", addr=addr) as smtp:
            for command in ("one", "two", "three"):
                self.assertEqual(smtp.cmd(command).code, 500)

    def told(self, addr):
        """How many of its commands the near node has counted."""
        return sum(int(line["commands"]) for line in self.near.log("event=smtp_failures client=%s " % addr.replace(".", r"\.")))

    def fail_up_to_the_threshold(self, addr):
        """Thirteen sessions, 39 of 40, and all of them counted."""
        for _ in range(13):
            self.failing(addr)
        self.near.wait_log("event=smtp_failures client=%s " % addr.replace(".", r"\."), 13)
        self.assertEqual(self.told(addr), 39)

    def seconds_until_refused(self, link, addr, limit_s=5.0):
        """From the last command that fails; the disconnect line is written only after that."""
        ask = request(protocol_state="RCPT", client_address=addr, instance="%s.1.1.0" % addr.replace(".", ""))
        self.assertEqual(link.ask(ask), "DUNNO")
        begun = time.monotonic()
        self.failing(addr)
        while time.monotonic() - begun < limit_s:
            action = link.ask(ask)
            if action.startswith("421 4.7.1"):
                return time.monotonic() - begun
            self.assertEqual(action, "DUNNO")
        raise AssertionError("the far node knows nothing of %s:\n%s" % (addr, self.near.text()[-3000:]))

    def test_the_other_node_knows_at_once(self):
        """Sessions of wrong commands, never an RCPT, at the near node's Postfix: the far one refuses, though it follows no log."""
        taken = []
        with Policy(self.far.port) as link:
            for number in range(ROUNDS):
                addr = "198.51.100.%d" % (50 + number)
                self.fail_up_to_the_threshold(addr)
                taken.append(self.seconds_until_refused(link, addr))
        print("log line to the other node's refusal: %s ms" % " ".join("%.0f" % (one * 1000) for one in taken))
        self.assertEqual(self.near.log("event=decision .*client=198"), [], "no policy request was ever made here")
        self.assertEqual(len(self.near.log(r"event=ban client=198\.51\.100\.5\d/32 .*why=strikes")), ROUNDS)
        self.assertLess(sorted(taken)[ROUNDS // 2], WITHIN_S)

    def test_spared_ones_are_spared_everywhere(self):
        """A network that is never banned, and an address with a good login, which the near node's log alone shows."""
        spared = {"203.0.113.30": "protected", "198.51.100.33": "good_login"}
        with self.smtp("submission", addr="198.51.100.33") as smtp:
            self.assertEqual(smtp.auth_plain("alice@example.com", "secret").code, 235)
        for addr, why in spared.items():
            for _ in range(20):
                self.failing(addr)
            self.near.wait_log(r"event=ban_spared client=%s/32 .*why=%s" % (addr.replace(".", r"\."), why))
        self.fail_up_to_the_threshold("198.51.100.60")
        with Policy(self.far.port) as link:
            self.seconds_until_refused(link, "198.51.100.60")
            for addr in spared:
                ask = request(protocol_state="RCPT", client_address=addr, instance="%s.1.1.1" % addr.replace(".", ""))
                self.assertEqual(link.ask(ask), "DUNNO")
        self.assertEqual(len(self.near.log("event=ban_spared")), len(spared), "one warning each")
        self.assertEqual(self.far.log("event=ban_spared"), [])


if __name__ == "__main__":
    if not have_redis():
        skip("no redis-server here")
    main()

# SPDX-License-Identifier: ISC
"""Bans and live limits of several daemons on one Redis: made on one node they hold on all, through outages, to their end."""

import signal
import sys
import time

from cluster import SITE, Cluster, one_recipient
from harness import REEVED, let_pass, unittest, wait_for
from policy import request
from redis_server import RedisServer, have_redis
from tcp_gate import Gate

LONG = "--long" in sys.argv
TEXT = SITE + """rules:
  - { name: banned, check: ban }
  - { name: ehlo-names, check: helo, names: [spammer] }
  - { name: hourly, check: rate, per: login, limits: [{ limit: 5/1h }] }
bans: { mode: enforce, ban_at: 5/1h, duration: %s }
"""
BANNED = "198.51.100.77"


def bad(number, address=BANNED):
    """A client with a name that strikes."""
    return request(protocol_state="RCPT", client_address=address, client_port=4000 + number, helo_name="spammer",
                   instance="b%x.1.1.0" % number)


def good(address=BANNED):
    return request(protocol_state="RCPT", client_address=address, client_port=999, instance="c.1.1.0")


# At once, as our own scripts do: a number that is counted before its member stands there is passed by.
AS_OURS = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local number = redis.call('HINCRBY', KEYS[3], 'v', 1)
redis.call('ZADD', KEYS[2], number, ARGV[1])
redis.call('PUBLISH', ARGV[3], 'b ' .. string.format('%d', number))
"""


class Lists(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redis = RedisServer().start()
        cls.addClassCleanup(cls.redis.close)
        cls.gate = Gate(cls.redis.port)
        cls.addClassCleanup(cls.gate.close)
        cls.cluster = Cluster(TEXT % "1h", "redis://127.0.0.1:%d" % cls.redis.port, 3)
        cls.addClassCleanup(cls.cluster.close)
        # The last one's way to Redis can be closed.
        cls.far = cls.cluster[2]
        cls.far.url = "redis://127.0.0.1:%d" % cls.gate.port
        cls.far.write(TEXT % "1h")
        cls.far.restart().ready()

    def bans(self, node):
        return {ban["network"].split("/")[0]: ban for ban in node.ctl_json("ban", "list")["bans"]}

    def everywhere(self, address, banned=True, within_s=3.0):
        """All nodes refuse it (or none), as Postfix sees it; how long that took."""
        begun = time.monotonic()
        for node in self.cluster:
            with node.connect() as link:
                wait_for(lambda: "%s at %s: %r" % (address, node.name, self.bans(node)),
                         lambda: (link.ask(good(address)) != "DUNNO") == banned, within_s)
        return time.monotonic() - begun

    def cut(self):
        """The far node's way to Redis is closed until the end of the test."""
        self.gate.shut()
        self.addCleanup(self.gate.open)
        wait_for("it knows", lambda: not self.far.asked())

    def mend(self):
        self.gate.open()
        wait_for("it knows", self.far.asked)

    def test_a_ban_is_everywhere_within_200_ms(self):
        took = []
        for i in range(5):
            address = "203.0.113.%d" % (i + 1)
            node = self.cluster[i % 3]
            with node.connect() as link:
                for k in range(5):
                    link.ask(bad(10 * i + k, address))
            took.append(self.everywhere(address, within_s=0.2))
        print("a ban made of strikes is on all nodes after %s ms" % ", ".join("%.0f" % (1e3 * t) for t in took))
        for node in self.cluster:
            self.assertEqual(self.bans(node)["203.0.113.1"]["node"], "node0")

    def strikes(self, address, number, node, at=0):
        with node.connect() as link:
            for k in range(number):
                self.assertRegex(link.ask(bad(1000 + 50 * at + k, address)), "^521 ")

    def test_strikes_of_all_nodes_add_up(self):
        """Two here, two there: no node saw five, and the fifth bans everywhere."""
        address = "203.0.113.20"
        for at, node in enumerate(self.cluster.nodes[:2]):
            self.strikes(address, 2, node, at)
        let_pass(0.2)
        self.everywhere(address, banned=False)
        self.strikes(address, 1, self.far, 2)
        self.everywhere(address, within_s=0.5)
        self.assertEqual(self.bans(self.cluster[0])[address]["node"], "node2", "the one that heard of enough")
        self.assertEqual(sum(len(node.log("event=ban .*%s" % address)) for node in self.cluster), 1)

    def test_without_redis_each_counts_its_own(self):
        address = "203.0.113.30"
        self.strikes(address, 3, self.cluster[0])
        let_pass(0.1)
        self.cut()
        self.strikes(address, 4, self.far, 1)
        let_pass(0.1)
        self.assertEqual(self.far.ask(good(address)), "DUNNO", "it knows of its own four alone")
        self.strikes(address, 1, self.far, 2)
        wait_for("its fifth", lambda: self.far.ask(good(address)) != "DUNNO", 2)
        self.assertEqual(self.cluster[0].ask(good(address)), "DUNNO")
        self.mend()
        self.everywhere(address)

    def test_each_further_ban_is_longer_wherever_it_is_made(self):
        address = "203.0.113.40"
        now = int(time.time() * 1000)
        admin = self.redis.client()
        # One that another node made an hour ago, and that is over.
        admin("HSET", "{reeve}:bf", address + "/32",
              "%d 0 %d %d 2 5:node94:autobefore" % (now - 7200000, now - 3600000, now - 7200000))
        admin("ZADD", "{reeve}:bl", admin("HINCRBY", "{reeve}:bv", "v", 1), address + "/32")
        admin("ZADD", "{reeve}:b", now - 3600000, address + "/32")
        admin("PUBLISH", "{reeve}:hint", "b %s" % admin("HGET", "{reeve}:bv", "v").decode())
        admin.close()
        let_pass(0.3)
        self.strikes(address, 5, self.cluster[1])
        self.everywhere(address)
        self.assertEqual([self.bans(node)[address]["times"] for node in self.cluster], [3, 3, 3])

    def test_an_unban_is_everywhere(self):
        one, two, _ = self.cluster
        self.assertEqual(one.ctl("ban", "add", "203.0.113.50", "--for", "1h", "--reason", "x")[0], 0)
        self.everywhere("203.0.113.50")
        self.assertEqual(two.ctl("ban", "remove", "203.0.113.50")[0], 0)
        self.everywhere("203.0.113.50", banned=False)

    def test_ends_everywhere_at_its_own_time(self):
        begun = time.monotonic()
        self.cluster[0].ctl("ban", "add", "203.0.113.60", "--for", "2s", "--reason", "short")
        self.everywhere("203.0.113.60", within_s=1)
        self.everywhere("203.0.113.60", banned=False, within_s=4)
        self.assertAlmostEqual(time.monotonic() - begun, 2, delta=0.7)
        # And it is not in Redis' way again.
        let_pass(1.2)
        self.everywhere("203.0.113.60", banned=False, within_s=0.2)

    def test_holds_while_redis_is_away(self):
        """Each node has the list in memory, and ends what is over by its own clock."""
        one, two, _ = self.cluster
        one.ctl("ban", "add", "203.0.113.75", "--for", "1h", "--reason", "long")
        two.ctl("ban", "add", "203.0.113.76", "--for", "4s", "--reason", "short")
        begun = time.monotonic()
        self.everywhere("203.0.113.75")
        self.everywhere("203.0.113.76")
        self.redis.signal(signal.SIGSTOP)
        try:
            for node in self.cluster:
                wait_for("%s is alone" % node.name, lambda: not node.asked())
            self.everywhere("203.0.113.75", within_s=0.1)
            self.everywhere("203.0.113.76", within_s=0.1)
            self.everywhere("203.0.113.76", banned=False, within_s=5)
            self.assertAlmostEqual(time.monotonic() - begun, 4, delta=0.7)
            self.everywhere("203.0.113.75", within_s=0.1)
        finally:
            self.redis.signal(signal.SIGCONT)
        for node in self.cluster:
            node.ready()
        self.everywhere("203.0.113.75", within_s=0.1)
        self.everywhere("203.0.113.76", banned=False, within_s=0.1)

    def test_made_without_redis(self):
        """It holds where it was made at once, and elsewhere when the way is open again."""
        self.cut()
        self.far.ctl("ban", "add", "203.0.113.70", "--for", "1h", "--reason", "alone")
        self.assertNotEqual(self.far.ask(good("203.0.113.70")), "DUNNO")
        self.assertEqual(self.cluster[0].ask(good("203.0.113.70")), "DUNNO")
        self.cluster[0].ctl("ban", "add", "203.0.113.71", "--for", "1h", "--reason", "others")
        self.mend()
        self.everywhere("203.0.113.70")
        self.everywhere("203.0.113.71")

    def test_an_unban_wins_over_what_comes_late(self):
        """Banned again behind the closed way, taken off elsewhere after that: it stays off."""
        self.cluster[0].ctl("ban", "add", "203.0.113.80", "--for", "1h", "--reason", "first")
        self.everywhere("203.0.113.80")
        self.cut()
        self.far.ctl("ban", "add", "203.0.113.80", "--for", "2h", "--reason", "late")
        let_pass(0.05)
        self.assertEqual(self.cluster[0].ctl("ban", "remove", "203.0.113.80")[0], 0)
        self.mend()
        self.everywhere("203.0.113.80", banned=False)
        let_pass(0.5)
        self.everywhere("203.0.113.80", banned=False, within_s=0.2)

    def test_live_limits_within_a_second(self):
        one, two, far = self.cluster
        login = "lively@example.com"
        ask = iter(range(100))
        for node in (one, two, far):
            self.assertEqual(node.ask(one_recipient(login, "l.1.1.0", "r%d@outside.example" % next(ask))), "DUNNO")
        begun = time.monotonic()
        self.assertEqual(one.ctl("limit", "set", "hourly", login, "4/1h")[0], 0)
        for node in (two, far):
            wait_for("the limit", lambda: node.ctl_json("limit", "list")["limits"], 1)
        took = time.monotonic() - begun
        print("a live limit is on all nodes after %.0f ms (three reevectl included)" % (1e3 * took))
        self.assertLess(took, 1)
        self.assertEqual(far.ask(one_recipient(login, "l.1.1.0", "r%d@outside.example" % next(ask))), "DUNNO")
        self.assertRegex(two.ask(one_recipient(login, "l.1.1.0", "r%d@outside.example" % next(ask))), "^450 4.7.1 4 of 4 ")
        self.assertEqual(two.ctl("limit", "unset", "hourly", login)[0], 0)
        wait_for("gone", lambda: not far.ctl_json("limit", "list")["limits"], 1)
        self.assertEqual(far.ask(one_recipient(login, "l.1.1.0", "r%d@outside.example" % next(ask))), "DUNNO")

    def test_survives_all_that_redis_knew(self):
        """FLUSHALL: what the nodes have they put there again; a node that starts later has it too."""
        self.cluster[0].ctl("ban", "add", "203.0.113.90", "--for", "1h", "--reason", "stays")
        self.cluster[0].ctl("limit", "set", "hourly", "stays@example.com", "7/1h")
        self.everywhere("203.0.113.90")
        admin = self.redis.client()
        admin("FLUSHALL")
        # A hint of any change shows the others that the list began anew.
        self.cluster[1].ctl("ban", "add", "203.0.113.91", "--for", "1h", "--reason", "new")
        self.everywhere("203.0.113.91")
        wait_for("it is there again", lambda: admin("HEXISTS", "{reeve}:bf", "203.0.113.90/32"), 10)
        admin.close()
        self.far.restart().ready()
        self.everywhere("203.0.113.90")

    def test_absurd_entries_are_refused(self):
        """Whoever writes into Redis cannot have the world banned, nor our own networks."""
        admin = self.redis.client()
        now = int(time.time() * 1000)
        for number, member in enumerate(("0.0.0.0/0", "127.0.0.1/32", "10.0.0.0/8", "nonsense",
                                          "203.0.113.98", "203.0.113.99/32")):
            value = "%d %d %d %d 1 4:evil4:autox" % (now, member == "0.0.0.0/0", now + 3600000, now)
            admin("EVAL", AS_OURS, 3, "{reeve}:bf", "{reeve}:bl", "{reeve}:bv", member, value, "{reeve}:hint")
        self.everywhere("203.0.113.99")
        for node in self.cluster:
            self.assertEqual(set(self.bans(node)) & {"0.0.0.0", "127.0.0.1", "10.0.0.0", "203.0.113.98"}, set())
            self.assertGreaterEqual(node.status()["store"]["ban_list"]["bad"], 5)
        admin("HDEL", "{reeve}:bf", "0.0.0.0/0", "127.0.0.1/32", "10.0.0.0/8", "nonsense", "203.0.113.98")
        admin.close()


def main():
    if not have_redis():
        print("skipped: no redis-server")
        sys.exit(77)
    sys.argv = [word for word in sys.argv if word != "--long"]
    unittest.main()


if __name__ == "__main__":
    assert REEVED
    main()

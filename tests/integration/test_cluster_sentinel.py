# SPDX-License-Identifier: ISC
"""A master, two replicas and three sentinels: the master dies, stands still, or hands over under load. Every request is
answered in time, the nodes find the new one, and it holds what was granted, to the last recipient."""

import math
import sys
import time

from cluster import (ROUND_TRIP_S, TIMEOUT_S, Client, Cluster, Load, flooding, history, logins_in_turn,
                     tight_rate, told)
from harness import REEVED, let_pass, unittest, wait_for
from redis_server import have_redis
from sentinels import Watched
from waiting import skip

LONG = "--long" in sys.argv
ROUNDS = 10 if LONG else 1
NODES = 2
TIGHT = 60
TEXT = tight_rate(TIGHT)


class FailOver(unittest.TestCase):
    def setUp(self):
        self.redis = Watched()
        self.addCleanup(self.redis.close)
        self.cluster = Cluster(TEXT, self.redis.url, NODES)
        self.addCleanup(self.cluster.close)
        self.number = 0
        self.granted = history([])

    def whole(self):
        for node in self.cluster:
            wait_for(lambda: "Redis decides: %r" % node.status()["store"],
                     lambda: node.asked() and not node.status()["store"]["in_doubt"], 30)

    def through(self, fault, mended):
        """500 requests a second before, during and after. Of all rounds the sums are what was granted."""
        self.redis.well()
        old = self.redis.master()
        where = "%s:%d" % self.redis.where(old)
        for node in self.cluster:
            self.assertEqual(node.status()["store"]["address"], where)
        self.number += 1
        tight = "tight%d@example.com" % self.number
        told_before = [[len(node.log("event=" + word)) for word in ("store_away", "store_back")] for node in self.cluster]
        flood = [Client(node.address, flooding(tight, "f%x%x" % (self.number, at)), rate=20) for at, node in enumerate(self.cluster)]
        load = Load(self.cluster, lambda i: logins_in_turn("%x%x" % (self.number, i), 10 ** 6))
        load.clients += flood
        with load:
            let_pass(1.0)
            began = time.monotonic()
            fault(old)
            wait_for("the sentinels name another master", lambda: self.redis.master() != old, 30)
            new = "%s:%d" % self.redis.where(self.redis.master())
            for node in self.cluster:
                wait_for(lambda: "%s: %r" % (new, node.status()["store"]),
                         lambda: node.asked() and node.status()["store"]["address"] == new, 30)
            took = time.monotonic() - began
            self.whole()
            let_pass(1.0)
            mended(old)
            let_pass(0.5)
            answers = load.stop()
        print("the new master decides %.1f s after the fault" % took)
        self.assertLess(told(answers), TIMEOUT_S + ROUND_TRIP_S)
        self.granted.update(history(answers))
        self.assertEqual({answer[2] for answer in answers if b"tight" not in answer[3]}, {"DUNNO"})
        self.sums()
        accepted = self.granted[tight]
        share = math.ceil(TIGHT / NODES)
        print("of a limit of %d: %d accepted" % (TIGHT, accepted))
        self.assertGreaterEqual(accepted, TIGHT)
        self.assertLessEqual(accepted, NODES * (TIGHT + share))
        for node, before in zip(self.cluster, told_before):
            now = [len(node.log("event=" + word)) for word in ("store_away", "store_back")]
            self.assertEqual([b - a for a, b in zip(before, now)], [1, 1], node.text()[-2000:])

    def sums(self):
        """For every login, at every node."""
        self.whole()
        for login, number in self.granted.items():
            for node in self.cluster:
                wait_for(lambda: "%s: %d, not %d at %s" % (login, node.used(login), number, node.name),
                         lambda: node.used(login) == number, 5)

    def test_the_master_is_killed(self):
        self.assertEqual(self.cluster[0].ctl("ban", "add", "203.0.113.5", "--for", "1h", "--reason", "stays")[0], 0)

        def again(old):
            server = self.redis.servers[old]
            server.options = ("--replicaof", *map(str, self.redis.where(self.redis.master())))
            server.start()
        for _ in range(ROUNDS):
            self.through(lambda old: self.redis.servers[old].kill(), again)
        for node in self.cluster:
            self.assertEqual(len(node.ctl_json("ban", "list")["bans"]), 1)
            self.assertGreaterEqual(len(node.log("event=store_master")), 1)

    def test_the_master_stands_still(self):
        """SIGSTOP: it still takes connections, and when it goes on it believes to be the master."""
        for _ in range(ROUNDS):
            self.through(self.redis.stop, self.redis.go_on)

    def test_handed_over_by_hand(self):
        """SENTINEL FAILOVER: the old master takes writes until it hears of it, and throws them away."""
        for _ in range(ROUNDS):
            self.through(lambda _: self.redis.fail_over(), lambda _: None)


if __name__ == "__main__":
    assert REEVED
    if not have_redis():
        skip("no redis-server here")
    unittest.main(argv=[word for word in sys.argv if word != "--long"])

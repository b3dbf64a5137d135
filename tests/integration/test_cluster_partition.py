# SPDX-License-Identifier: ISC
"""Three hosts, on each a Redis, a sentinel and a node, and the network splits: the host of the master is alone and goes on
with it, the other two choose another one. Each side counts by itself; when the network is whole again, one Redis holds
what both granted, for every login.

The hosts are network namespaces (netns.py), so only root can run this.
"""

import math
import sys
import time

from cluster import (ROUND_TRIP_S, TIMEOUT_S, Client, Cluster, Load, flooding, history, logins_in_turn,
                     quantile, tight_rate, told)
from harness import REEVED, let_pass, unittest, wait_for
from netns import Network, why_not
from redis_server import have_redis
from sentinels import Watched
from waiting import skip

LONG = "--long" in sys.argv
ROUNDS = 10 if LONG else 1
SPLIT_S = 12 if LONG else 6
HOSTS = 3
LIMIT = 60
TEXT = tight_rate(LIMIT)


class Split(unittest.TestCase):
    def setUp(self):
        self.network = Network(HOSTS)
        self.addCleanup(self.network.close)
        self.redis = Watched(HOSTS, self.network)
        self.addCleanup(self.redis.close)
        self.cluster = Cluster(TEXT, self.redis.url, HOSTS, network=self.network)
        self.addCleanup(self.cluster.close)
        self.granted = history([])

    def decides(self, node, where):
        """The Redis there, for this node."""
        wait_for(lambda: "%s asks %s: %r" % (node.name, where, node.status()["store"]),
                 lambda: node.asked() and node.status()["store"]["address"] == "%s:%d" % where, 30)

    def test_split(self):
        for number in range(ROUNDS):
            self.split(number)

    def split(self, number):
        self.redis.well(90)
        alone = self.redis.master()
        others = [i for i in range(HOSTS) if i != alone]
        for node in self.cluster:
            self.decides(node, self.redis.where(alone))
        tight = "tight%d@example.com" % number
        load = Load(self.cluster, lambda i: logins_in_turn("%x%x" % (number, i), 10 ** 6), by=9)
        flood = [Client(node.address, flooding(tight, "f%x%x" % (number, i)), rate=20)
                 for i, node in enumerate(self.cluster)]
        with load:
            let_pass(1.0)
            self.network.pull(alone)
            pulled = len(load.clients[alone].answers)
            began = time.monotonic()
            for client in flood:
                client.start()
            load.clients += flood
            wait_for("the others choose another master", lambda: self.redis.master() != alone, 30)
            new = self.redis.where(self.redis.master())
            for i in others:
                self.decides(self.cluster[i], new)
            gap = time.monotonic() - began
            let_pass(max(1.0, SPLIT_S - gap))
            # It has no part in the new one, and nobody has told its master.
            self.assertEqual(self.redis.sentinels[alone].master(), self.redis.where(alone))
            self.decides(self.cluster[alone], self.redis.where(alone))
            self.assertGreater(len(load.clients[alone].answers), pulled + 100)
            self.network.plug(alone)
            print("split for %.1f s; the others had a Redis again after %.1f s" % (time.monotonic() - began, gap))
            self.decides(self.cluster[alone], new)
            let_pass(1.0)
            answers = load.stop()
        self.check(answers, tight)

    def check(self, answers, tight):
        self.assertLess(told(answers), TIMEOUT_S + ROUND_TRIP_S)
        self.assertEqual({answer[2] for answer in answers if b"tight" not in answer[3]}, {"DUNNO"})
        self.granted.update(history(answers))
        for node in self.cluster:
            wait_for(lambda: "asserted: %r" % node.status()["store"], lambda: not node.status()["store"]["in_doubt"], 15)
        for login, granted in self.granted.items():
            for node in self.cluster:
                wait_for(lambda: "%s: %d, not %d at %s" % (login, node.used(login), granted, node.name),
                         lambda: node.used(login) == granted, 5)
        accepted, share = self.granted[tight], math.ceil(LIMIT / HOSTS)
        print("%d logins, %d recipients, sums right at all nodes; of a limit of %d: %d accepted; p99 %.1f ms" % (
            len(self.granted), sum(self.granted.values()), LIMIT, accepted,
            1e3 * quantile([answer[1] for answer in answers], 0.99)))
        # Each of two Redis up to the limit, and in the gap each node its share.
        self.assertLessEqual(accepted, 2 * LIMIT + HOSTS * share)
        self.assertGreater(accepted, LIMIT, "each side has the limit for itself")


if __name__ == "__main__":
    assert REEVED
    if not have_redis():
        skip("no redis-server here")
    if why_not():
        skip(why_not())
    unittest.main(argv=[word for word in sys.argv if word != "--long"])

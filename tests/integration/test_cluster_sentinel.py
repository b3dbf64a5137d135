# SPDX-License-Identifier: ISC
"""A master, two replicas and three sentinels: the master dies under load, the nodes find the new one, nothing is counted
twice or lost."""

import os
import sys
import time

from cluster import Client, Cluster, login_rate, one_recipient, quantile
from harness import REEVED, let_pass, unittest, wait_for
from redis_server import Redis, RedisServer, have_redis
from test_cluster_faults import ROUND_TRIP_S, TIMEOUT_S, history, logins_in_turn
from waiting import Child, PrivateDir, can_connect, free_port

LONG = "--long" in sys.argv


class Sentinel:
    def __init__(self, master_port):
        self.port = free_port()
        self._own = PrivateDir()
        self.path = os.path.join(self._own.path, "sentinel.conf")
        with open(self.path, "w", encoding="ascii") as file:
            file.write("port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor mymaster 127.0.0.1 %d 2\n"
                       "sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 4000\n"
                       "sentinel parallel-syncs mymaster 2\n" % (self.port, self._own.path, master_port))
        self.child = Child(["redis-server", self.path, "--sentinel"])

    def close(self):
        self.child.end()
        self._own.close()

    def __call__(self, *words):
        link = Redis(self.port)
        try:
            return link(*words)
        finally:
            link.close()

    def knows(self, replicas, sentinels):
        """Of the master: has it heard of so many?"""
        facts = self("SENTINEL", "MASTER", "mymaster")
        facts = dict(zip(facts[::2], facts[1::2]))
        return int(facts[b"num-slaves"]) == replicas and int(facts[b"num-other-sentinels"]) == sentinels - 1

    def master(self):
        return int(self("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1])


class FailOver(unittest.TestCase):
    def test_the_master_dies(self):
        servers = [RedisServer().start()]
        self.addCleanup(servers[0].close)
        for _ in range(2):
            servers.append(RedisServer("--replicaof", "127.0.0.1", str(servers[0].port)).start())
            self.addCleanup(servers[-1].close)
        sentinels = []
        for _ in range(3):
            sentinels.append(Sentinel(servers[0].port))
            self.addCleanup(sentinels[-1].close)
        for sentinel in sentinels:
            wait_for("a sentinel", lambda: can_connect(sentinel.port))
        wait_for("they know each other", lambda: all(sentinel.knows(2, 3) for sentinel in sentinels), 30)
        url = "redis+sentinel://%s/mymaster" % ",".join("127.0.0.1:%d" % sentinel.port for sentinel in sentinels)
        cluster = Cluster(login_rate("100000/1h"), url, 2)
        self.addCleanup(cluster.close)
        self.assertEqual(cluster[0].status()["store"]["address"].split(":")[-1], str(servers[0].port))
        self.assertEqual(cluster[0].ctl("ban", "add", "203.0.113.5", "--for", "1h", "--reason", "stays")[0], 0)

        clients = [Client(cluster[i % 2].port, logins_in_turn("s%x" % i, 100000), rate=60) for i in range(8)]
        for client in clients:
            client.start()
        let_pass(1.0)
        killed = time.monotonic()
        servers[0].kill()
        for node in cluster:
            node.wait_log("event=store_away", timeout_s=5)
        for node in cluster:
            wait_for(lambda: "the new master: %r" % node.status()["store"],
                     lambda: node.asked() and not node.status()["store"]["in_doubt"], 30)
        print("Redis decides again %.1f s after the master died" % (time.monotonic() - killed))
        let_pass(1.0)
        for client in clients:
            client.ended = True
        for client in clients:
            client.join()
        self.assertEqual([client.failure for client in clients if client.failure], [])
        answers = [answer for client in clients for answer in client.answers]
        taken = [answer[1] for answer in answers]
        print("%d answers: p99 %.1f ms, slowest %.1f ms" % (
            len(answers), 1e3 * quantile(taken, 0.99), 1e3 * max(taken)))
        self.assertLess(max(taken), TIMEOUT_S + ROUND_TRIP_S)
        self.assertEqual({answer[2] for answer in answers}, {"DUNNO"})
        self.assertIn(sentinels[0].master(), [server.port for server in servers[1:]])
        for node in cluster:
            node.wait_log("event=store_back")
            self.assertEqual(len(node.log("event=store_away")), 1)
            self.assertGreaterEqual(len(node.log("event=store_master")), 1)
            for login, number in history(answers).items():
                wait_for(lambda: "%s: %d, not %d" % (login, node.used(login), number),
                         lambda: node.used(login) == number, 5)
            self.assertEqual(len(node.ctl_json("ban", "list")["bans"]), 1)
        self.assertEqual(cluster[1].ask(one_recipient("late@example.com", "late.1.1.0")), "DUNNO")
        self.assertEqual(cluster[0].used("late@example.com"), 1)


def main():
    if not have_redis():
        print("skipped: no redis-server")
        sys.exit(77)
    sys.argv = [word for word in sys.argv if word != "--long"]
    unittest.main()


if __name__ == "__main__":
    assert REEVED
    main()

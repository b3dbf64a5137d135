#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The scripts inside Redis against a model: three nodes share counters through flushes, fail-overs, lost and late
replies, commands that wait in dead connections, and refunds on other nodes.

Every node keeps what it was granted, net, by counter and bucket; a list of all changes is the truth. Time is handed
to the scripts. Without faults each answer must be the one that the truth gives; with faults, after every node has said
hello and asserted, each counter must hold what the truth says. SEED=N begins elsewhere, --long does ten times as much.
"""

import collections
import os
import random
import struct
import sys
import unittest

from redis_server import RedisServer, have_redis, scripts
from waiting import skip

LONG = "--long" in sys.argv
BUCKET_MS = {"h": 60000, "d": 1440000}
INTO_FUTURE_MS = 300
SERVICE = b"\0" * 7 + b"\x19"
NOBODY = bytes(8)


def pack(*values):
    """Numbers as the scripts read them: doubles of 8 bytes; bytes as they are."""
    return b"".join(value if isinstance(value, bytes) else struct.pack("<d", value) for value in values)


def unpack(answer):
    """The numbers of an answer, with OK in front; or the word and what follows it."""
    if isinstance(answer, list):
        return answer
    return [b"OK", *map(int, struct.unpack("<%dd" % (len(answer) // 8), answer))]


class Lost(Exception):
    """The connection ended, or the node's fence was gone."""


class Node:
    """own: what this incarnation holds. local: transactions that were decided here, which the store must forget."""

    born = 0

    def __init__(self, world, name):
        Node.born += 1
        self.world, self.name, self.id = world, name, "%08x" % Node.born
        self.owner = b"owner-%06d" % Node.born
        self.fence, self.up = 0, False
        self.own = collections.defaultdict(int)
        self.dirty, self.forget = set(), []
        self.redo, self.gives = [], 0   # (transaction, number) of a refund without an answer
        self.seen = {}                  # transaction -> [version, {key: [(bucket, amount)]}, local]

    def key(self, name):
        return "{r}:c:%s:r:%d:%s" % (name[0], BUCKET_MS[name[0]] * 60, name[2:])

    def counters(self, names):
        """KEYS of counters, and what is said of them, with own values where they are in doubt."""
        keys, args = [], [b""]
        for name in names:
            keys.append(self.key(name))
            args += [BUCKET_MS[name[0]], self.owner]
            if name in self.dirty and self.world.asserts:
                held = [(bucket, own) for (key, bucket), own in self.own.items() if key == name and own]
                args.append(len(held))
                for pair in held:
                    args += pair
            else:
                args.append(-1)
        return keys, pack(*args)

    def command(self, script, keys, what, late_ms=INTO_FUTURE_MS):
        sha = self.world.sha[script]
        return ["EVALSHA", sha, 1 + len(keys), "{r}:n:" + self.id, *keys, "%s.%d" % (self.id, self.fence),
                self.world.now + late_ms, self.world.now, what]

    def run(self, script, keys, what):
        reply = unpack(self.world.redis(*self.command(script, keys, what)))
        if reply[0] == b"STALE":
            self.up = False
            raise Lost
        return reply

    def hello(self):
        self.fence += 1
        redis, now = self.world.redis, self.world.now
        reply = redis("EVALSHA", self.world.sha["hello"], 4, "{r}:n:" + self.id, "{r}:node:" + self.name, "{r}:nodes", "{r}:s",
                      "%s.%d" % (self.id, self.fence), "hello", now, self.id, self.name, 10 ** 12, 5000, "{r}:hint")
        assert reply[0] == b"OK", reply
        self.up = True
        self.dirty = {key for key, _ in self.own}
        for txn in self.forget:
            redis("DEL", "{r}:x:%d" % txn)
        self.forget = []
        while self.redo:
            txn, give = self.redo.pop()
            self.world.counts["refunded again"] += 1
            wanted, reply = self.world.refund(self, txn, [], 0, give)
            self.world.book(self, wanted, reply[5:])
            self.dirty |= set(wanted)   # that very command may have asserted what we did not know yet

    def assert_all(self):
        for name in sorted(self.dirty):
            keys, args = self.counters([name])
            reply = self.run("assert", keys, pack(1, args))
            assert reply[0] == b"OK", reply
        self.dirty = set()


class World:
    def __init__(self, redis, seed, limit, fenced=True, asserts=True):
        self.redis, self.random, self.limit, self.asserts = redis, random.Random(seed), limit, asserts
        redis("FLUSHALL")
        self.sha = {name: redis("SCRIPT", "LOAD", text) for name, text in scripts(fenced).items()}
        self.now = 1_700_000_000_000 + self.random.randrange(10 ** 7)
        self.changes = []               # [key, bucket, difference]
        self.nodes = [Node(self, "n%d" % i) for i in range(3)]
        self.waiting = []               # commands in dead connections
        self.txns, self.snapshot = {}, None
        self.counts = collections.Counter()
        for node in self.nodes:
            node.hello()

    def account(self, node, key, bucket, difference):
        node.own[(key, bucket)] += difference
        self.changes.append([key, bucket, difference])

    def total(self, key):
        newest = self.now // BUCKET_MS[key[0]]
        buckets = collections.Counter()
        for name, bucket, difference in self.changes:
            if name == key and newest - 60 <= bucket <= newest:
                buckets[bucket] += difference
        return sum(max(0, value) for value in buckets.values())

    def limit_of(self, key):
        return self.limit if key.startswith("h:u") else 5 * self.limit

    def some_keys(self):
        user = "u%d" % self.random.randrange(6)
        return ["h:" + user, "d:" + user, "h:dom%d" % self.random.randrange(2)]

    # Decisions without the store.

    def decide_alone(self, node, txn, keys, cost):
        self.counts["local"] += 1
        if txn is not None:
            node.seen.setdefault(txn, [0, {}, False])[2] = True
            node.forget.append(txn)
        if self.random.random() < 0.6:
            for key in keys:
                bucket = self.now // BUCKET_MS[key[0]]
                self.account(node, key, bucket, cost)
                if txn is not None:
                    node.seen[txn][1].setdefault(key, []).append((bucket, cost))
        node.dirty |= set(keys)

    def refund_alone(self, node, txn):
        seen = node.seen.get(txn)
        if not seen:
            return
        for key, layers in seen[1].items():
            for bucket, amount in layers:
                # What a store does: an expired bucket gives nothing, none falls below 0.
                if bucket >= self.now // BUCKET_MS[key[0]] - 60:
                    self.account(node, key, bucket, -min(amount, max(0, node.own[(key, bucket)])))
            node.dirty.add(key)
        seen[1], seen[2] = {}, True
        node.forget.append(txn)

    # What clients ask.

    def charge(self, faults):
        node, keys, cost = self.random.choice(self.nodes), self.some_keys(), self.random.choice((1, 1, 1, 3))
        txn = self.random.randrange(10 ** 9)
        if not node.up:
            self.decide_alone(node, txn, keys, cost)
            if self.random.random() < 0.1:
                node.hello()
            return
        names, counters = node.counters(keys)
        what = pack(len(keys), len(keys), 1, 0, 0, SERVICE, b"%08d" % (txn % 10 ** 8), counters)
        for i, key in enumerate(keys):
            what += pack(i + 1, 0, self.limit_of(key), cost, 0, 1)
        names = ["{r}:x:%d" % txn] + names
        expected = next((i + 1 for i, key in enumerate(keys) if self.total(key) + cost > self.limit_of(key)), 0)
        x = self.random.random() if faults else 1
        if x < 0.03:                    # never sent, or sent and still under way when the connection ends
            self.counts["lost"] += 1
            self.waiting.append(node.command("reserve", names, what))
            node.up = False
            return self.decide_alone(node, txn, keys, cost)
        try:
            reply = node.run("reserve", names, what)
        except Lost:
            self.counts["stale"] += 1
            return self.decide_alone(node, txn, keys, cost)
        assert reply[0] == b"OK", reply
        node.dirty -= set(keys)
        if x < 0.06:                    # done, and the connection ends before the reply
            self.counts["no reply"] += 1
            node.up = False
            return self.decide_alone(node, txn, keys, cost)
        if x < 0.10:                    # done, and the reply comes after the time: decided already
            self.counts["late"] += 1
            self.decide_alone(node, txn, keys, cost)
            self.redis("DEL", "{r}:x:%d" % txn)
            return
        if not faults:
            assert reply[4] == expected, (reply, expected, keys)
        if reply[4]:
            self.counts["refused"] += 1
            return
        self.counts["granted"] += 1
        held = {}
        for i, key in enumerate(keys):
            outcome, used, _, _, bucket = reply[5 + 5 * i:10 + 5 * i]
            assert outcome == 1, reply
            self.account(node, key, bucket, cost)
            if not faults:
                assert used == self.total(key), (reply, key, self.total(key))
            held[key] = [(bucket, cost)]
        node.seen[txn] = [reply[2], held, False]
        self.txns[txn] = (node, keys, self.now)

    def give_back(self, faults):
        """A refund or a settlement, half of them on a node that never saw the transaction."""
        if not self.txns:
            return
        txn = self.random.choice(list(self.txns))
        owner, keys, since = self.txns.pop(txn)
        if self.now - since >= 15 * 60000:
            return                      # forgotten everywhere
        node = self.random.choice((owner, self.random.choice(self.nodes)))
        seen = node.seen.get(txn)
        settle = self.random.random() < 0.5
        if not node.up or (seen and seen[2]):
            return self.refund_alone(node, txn)
        wanted = list(seen[1]) if seen else []
        if not settle and not seen:
            return self.refund_of_another(node, txn, faults)
        if not settle:
            try:
                wanted, reply = self.refund(node, txn, wanted, seen[0], 0)
            except Lost:
                return self.refund_alone(node, txn)
        for _ in range(3 if settle else 0):
            names, counters = node.counters(wanted)
            names = ["{r}:x:%d" % txn, "{r}:s"] + names
            version = seen[0] if seen else 0
            what = pack(len(wanted), version, 1, self.random.randrange(6), 1, 0, 0, 0, SERVICE, NOBODY, counters)
            try:
                reply = node.run("settle", names, what)
            except Lost:
                return self.refund_alone(node, txn)
            if reply[0] != b"KEYS":
                break
            wanted = self.keys_of(node, reply)
        node.dirty -= set(wanted)
        if reply[0] == b"LOST":
            self.counts["lost in store"] += 1
            return self.refund_alone(node, txn)
        assert reply[0] == b"OK", reply
        self.counts["settled" if settle else "refunded"] += 1
        if node is not owner:
            self.counts["by another"] += 1
        self.book(node, wanted, reply[10 if settle else 5:])

    def book(self, node, wanted, deltas):
        for i in range(0, len(deltas), 3):
            self.account(node, wanted[deltas[i] - 1], deltas[i + 1], deltas[i + 2])

    def keys_of(self, node, reply):
        self.counts["keys"] += 1
        back = {node.key(key): key for key in self.some_all_keys()}
        return [back[name.decode()] for name in reply[2:]]

    def refund(self, node, txn, wanted, version, give):
        """(counters, reply)"""
        for _ in range(3):
            names, counters = node.counters(wanted)
            reply = node.run("refund", ["{r}:x:%d" % txn, "{r}:s"] + names,
                             pack(len(wanted), version, 0, 0, give, counters))
            if reply[0] != b"KEYS":
                break
            wanted = self.keys_of(node, reply)
        node.dirty -= set(wanted)
        return wanted, reply

    def refund_of_another(self, node, txn, faults):
        """It stands in no table of ours: an answer that is lost is asked for once more, under the same number."""
        node.gives += 1
        x = self.random.random() if faults else 1
        try:
            if x > 0.1:
                wanted, reply = self.refund(node, txn, [], 0, node.gives)
            if x < 0.6:
                node.up = False
                node.redo.append((txn, node.gives))
                if x > 0.1:
                    node.dirty |= set(wanted)
                    self.counts["refund without an answer"] += 1
                return
        except Lost:
            node.redo.append((txn, node.gives))
            return
        assert reply[0] == b"OK", reply
        self.counts["refunded"] += 1
        self.counts["by another"] += 1
        self.book(node, wanted, reply[5:])

    @staticmethod
    def some_all_keys():
        users = ["u%d" % i for i in range(6)]
        return ["h:" + user for user in users] + ["d:" + user for user in users] + ["h:dom0", "h:dom1"]

    # What disturbs.

    def disturb(self):
        x = self.random.random()
        if x < 0.45:
            if self.waiting:
                command = self.waiting.pop()
                # The command's own idea of the time is of no weight in the daemon, where TIME decides.
                command[command.index(self.sha["reserve"]) + 1 + int(command[2]) + 3] = self.now
                reply = unpack(self.redis(*command))
                self.counts["ran late" if reply[0] == b"OK" else "stopped"] += 1
        elif x < 0.65:
            self.snapshot = [(key, self.redis("DUMP", key)) for key in self.redis("KEYS", "*")]
        elif x < 0.8:
            if self.snapshot is not None:
                self.counts["fail-over"] += 1
                self.redis("FLUSHDB")
                for key, dump in self.snapshot:
                    self.redis("RESTORE", key, 0, dump)
                for node in self.nodes:
                    node.up = False
        elif x < 0.9:
            self.counts["flush"] += 1
            self.snapshot = None
            self.redis("FLUSHDB")
        else:
            self.redis("SCRIPT", "EXISTS", *self.sha.values())

    def check(self):
        """How many counters are wrong, of how many."""
        for node in self.nodes:
            try:
                node.up and node.run("assert", [], pack(0))         # as the heartbeat does
            except Lost:
                pass
            if not node.up:
                node.hello()
        for node in self.nodes:
            node.assert_all()
        keys = sorted({change[0] for change in self.changes})
        node, wrong = self.nodes[0], 0
        for key in keys:
            names, args = node.counters([key])
            wrong += node.run("look", names, pack(1, args))[2] != self.total(key)
        return wrong, len(keys)

    def run(self, steps, faults):
        wrong = checks = 0
        for step in range(steps):
            x = self.random.random()
            if x < 0.70:
                self.charge(faults)
            elif x < 0.80:
                self.give_back(faults)
            elif x < 0.93:
                self.now += self.random.choice((500, 5000, 60000, 200000))
            elif x < 0.932:
                self.now += self.random.choice((3600000, 4000000, 90000000))
            elif faults:
                self.disturb()
            if step % 500 == 499:
                bad, of = self.check()
                wrong, checks = wrong + bad, checks + of
                oldest = {kind: self.now // ms - 61 for kind, ms in BUCKET_MS.items()}
                self.changes = [change for change in self.changes if change[1] >= oldest[change[0][0]]]
        return wrong, checks


class OnRedis(unittest.TestCase):
    """With a server for the class."""

    @classmethod
    def setUpClass(cls):
        cls.server = RedisServer()
        cls.addClassCleanup(cls.server.close)
        cls.server.start()
        cls.redis = cls.server.client()


class Model(OnRedis):
    seed = int(os.environ.get("SEED", "1"))

    def play(self, seed, steps, faults, **how):
        world = World(self.redis, seed, 20, **how)
        wrong, checks = world.run(steps * (10 if LONG else 1), faults)
        print("seed %d: %d of %d checks wrong; %s" % (seed, wrong, checks, dict(world.counts)))
        return wrong, world

    def test_without_faults_every_answer_is_right(self):
        for seed in range(self.seed, self.seed + 2):
            wrong, world = self.play(seed, 3000, False)
            self.assertEqual(wrong, 0)
            self.assertGreater(min(world.counts[word] for word in ("granted", "refused", "settled", "refunded", "keys")), 5)

    def test_through_faults_nothing_is_lost(self):
        again = 0
        for seed in range(self.seed + 100, self.seed + 104):
            wrong, world = self.play(seed, 3000, True)
            self.assertEqual(wrong, 0)
            self.assertGreater(min(world.counts[word] for word in ("lost", "late", "stale", "fail-over", "flush", "stopped")), 2)
            again += world.counts["refund without an answer"]
        self.assertGreater(again, 2)

    def test_the_check_can_fail(self):
        """Each part left out shows."""
        for how in ({"fenced": False}, {"asserts": False}):
            wrong = sum(self.play(seed, 1000, True, **how)[0] for seed in range(self.seed + 100, self.seed + 103))
            self.assertGreater(wrong, 0, how)


class Corners(OnRedis):
    """What a random walk does not come to."""

    def setUp(self):
        self.world = World(self.redis, 1, 20)
        self.nodes = self.world.nodes

    def charge(self, node, txn, recipient, keys, limit=20):
        names, counters = node.counters(keys)
        what = pack(len(keys), len(keys), 1, 0, 0, SERVICE, b"%08d" % recipient, counters)
        for i in range(len(keys)):
            what += pack(i + 1, 0, limit, 1, 0, 1)
        return node.run("reserve", ["{r}:x:%d" % txn] + names, what)

    def used(self, key):
        names, args = self.nodes[0].counters([key])
        return self.nodes[0].run("look", names, pack(1, args))[2]

    def test_each_giving_back_is_told_again_as_it_was(self):
        """The answers to two of them are lost, and both are asked for once more, the older one last."""
        one, two = self.nodes[0], self.nodes[1]
        first = {}
        for give in (1, 2):
            self.charge(one, 7, give, ["h:u0"])
            first[give] = self.world.refund(two, 7, [], 0, give)[1]
        self.assertEqual([reply[7::3] for reply in first.values()], [[-1], [-1]])
        self.charge(one, 7, 3, ["h:u0"])
        for give in (2, 1):
            again = self.world.refund(two, 7, [], 0, give)[1]
            self.assertEqual(again[5:], first[give][5:], "number %d" % give)
        self.assertEqual(self.used("h:u0"), 1, "what came after them stays")

    def test_a_hash_of_another_with_thousands_of_fields(self):
        """It is told as what it is, before anything is written."""
        node, key = self.nodes[0], self.nodes[0].key("h:u1")
        newest = self.world.now // 60000
        value = struct.pack("<d", 1)
        self.redis("HSET", key, "c", struct.pack("<ddd", newest - 20, 1, -1) + value)
        for first in range(0, 10000, 1000):
            self.redis("HSET", key, *[word for i in range(first, first + 1000) for word in (i, value)])
        self.assertEqual(self.charge(node, 1, 1, ["h:u0", "h:u1"])[0::2], [b"BAD", 2])
        self.assertEqual(self.used("h:u0"), 0)

    def test_a_reset_leaves_alone_what_it_cannot_read(self):
        node = self.nodes[0]
        for recipient, key in enumerate(("h:u0", "h:u1")):
            self.charge(node, 1, recipient + 1, [key])
        self.redis("HSET", node.key("h:u0"), self.world.now // 60000 - 3, "nonsense")
        names, args = node.counters(["h:u0", "h:u1"])
        reply = node.run("reset", names, pack(2, args))
        self.assertEqual(reply[2], 1)
        self.assertEqual(reply[3::3], [2], "only of the other one is something taken")
        self.assertEqual((self.used("h:u0"), self.used("h:u1")), (1, 0))


if __name__ == "__main__":
    if not have_redis():
        skip("no redis-server here")
    unittest.main(argv=[word for word in sys.argv if word != "--long"])

# SPDX-License-Identifier: ISC
"""Whatever happens to Redis and to the way there: afterwards every counter at every node is what was granted (checker.py).

And the check can fail: a daemon whose scripts have no fences is found out. SEED=N begins elsewhere; --long takes 20
seeds in place of one.
"""

import os
import sys

from checker import Checker
from harness import REEVED, unittest
from redis_server import have_redis
from waiting import skip

LONG = "--long" in sys.argv
SEED = int(os.environ.get("SEED", "1"))
UNFENCED = os.path.join(os.path.dirname(REEVED), "tests", "reeved-unfenced")
TIMEOUT_S = 0.3             # store.timeout
ROUND_TRIP_S = 0.1          # and what a busy machine adds


class Counters(unittest.TestCase):
    def play(self, seed, faults, **more):
        with Checker(seed, **more) as checker:
            wrong = checker.run(faults or checker.random.sample(Checker.ALL, len(Checker.ALL)))
            limits, slowest, self.alone, self.counts = checker.over_limit(), checker.slowest(), checker.alone(), checker.counts
            self.twice = sum(map(len, checker.twice.values()))
            most, at = checker.most_over()
            print("seed %s: %d requests, %d logins, %d recipients, %d messages; slowest %.0f ms; %d granted of 30 at most (%s): "
                  "%s" % (seed, checker.requests(), len(checker.recipients), sum(checker.recipients.values()),
                          sum(checker.mails.values()), 1e3 * slowest, most, at,
                          "%d sums are wrong" % len(wrong) if wrong else "all sums are right"))
            self.assertEqual(checker.counts["late bytes"] > 0, "late" in checker.chapters)
            return wrong, limits, slowest

    def test_sums(self):
        for seed in range(SEED, SEED + (20 if LONG else 1)):
            wrong, limits, slowest = self.play(seed, None)
            self.assertEqual(wrong, [], "seed %d" % seed)
            self.assertEqual(limits, [], "seed %d" % seed)
            # At DATA Redis may be asked twice: what another node knows of the message, then to count it.
            self.assertLess(slowest, 2 * TIMEOUT_S + ROUND_TRIP_S, "seed %d" % seed)

    def test_apart(self):
        """One node is asked about the recipients, another about DATA, while Redis comes and goes: what the first one makes of
        the end of its part leaves alone what was settled."""
        faults = [name for name in Checker.ALL if name not in Checker.FORGETS] * 2
        for seed in range(SEED, SEED + (20 if LONG else 1)):
            wrong, limits, _ = self.play("apart %d" % seed, faults, apart=0.4)
            self.assertEqual(wrong + limits, [], "seed %d" % seed)
            self.assertGreater(self.counts["settled elsewhere"], 50)
            self.assertLess(self.twice, self.counts["settled elsewhere"] / 2)

    def test_nodes_die(self):
        """kill -9, and who had no answer asks the same of another node, in the middle of messages: charged once. Where a
        node decided alone meanwhile, because the machine stood still, that died with it: then once more."""
        for attempt in range(3):
            wrong, _, _ = self.play("nodes die %d" % (SEED + attempt), ["node_killed"] * (12 if LONG else 4), nodes_die=True)
            if not self.alone:
                break
        self.assertEqual(self.alone, 0, "a machine that stands still three times")
        self.assertEqual(wrong, [])
        self.assertGreater(self.counts["moved"], 3)

    def test_without_fences(self):
        """Commands that come late count a second time, and the check says so; with fences the same is no harm."""
        # Of the commands that are held only a message's first one can count twice: so many writers.
        faults, writers = ["late"] * 2, 12
        wrong, _, _ = self.play("late %d" % SEED, faults, writers=writers, program=UNFENCED)
        print("\n".join(wrong[:3]))
        self.assertTrue(wrong)
        for line in wrong:
            self.assertRegex(line, r"^(c\d-\d|tight\d)@example.com .* has \d+, granted were \d+")
        if LONG:                        # else it is among the faults above
            wrong, _, _ = self.play("late %d" % SEED, faults, writers=writers)
            self.assertEqual(wrong, [])


if __name__ == "__main__":
    assert REEVED
    if not have_redis():
        skip("no redis-server here")
    unittest.main(argv=[word for word in sys.argv if word != "--long"])

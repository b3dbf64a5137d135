# SPDX-License-Identifier: ISC
"""Requests recorded from real Postfix servers (3.7.11 and 3.11.6), replayed in order, one socket per policy connection.

corpus/VERSION/INDEX.tsv tells the case, the policy connection inside it and the number on that connection; the files are
the requests byte for byte. REEVE_CORPUS names a larger collection of the same form, which is then replayed too.
"""

import collections
import os
import re

from harness import HERE, DaemonBench, main, packaged_config, unittest
from policy import attributes_of


def load(top):
    """[(name of the connection, [(file, bytes)])], in the order of the recording."""
    streams = collections.OrderedDict()
    for version in sorted(os.listdir(top)):
        index = os.path.join(top, version, "INDEX.tsv")
        if not os.path.exists(index):
            continue
        with open(index, encoding="utf-8") as file:
            rows = [line.rstrip("\n").split("\t") for line in file][1:]
        for row in sorted(rows, key=lambda row: (row[1], int(row[5]), int(row[6]))):
            with open(os.path.join(top, version, row[0]), "rb") as file:
                streams.setdefault((version, row[1], row[2], row[5]), []).append((row[0], file.read()))
    return list(streams.items())


def refused_by_a_rule(attributes, action):
    """A 5xx that the minimal configuration means: a recipient at an address in brackets that is not ours."""
    literal = re.search(r"@\[[^@]*$", attributes["recipient"])
    return bool(literal) and re.match(r"550 5\.1\.2 ", action)


class Corpus(DaemonBench):
    memory = True

    def replay(self, top, dns):
        streams = load(top)
        self.assertGreater(len(streams), 50)
        self.dns.default = dns
        reeved = self.reeve(packaged_config("reeve-minimal.yaml"))
        asked = collections.Counter()
        for number, (name, requests) in enumerate(streams):
            with self.subTest(connection=name), reeved.connect(by_unix=number % 2 == 0) as link:
                for file, data in requests:
                    action = link.ask(data)      # well-formed, and nothing behind it
                    asked[attributes_of(data)["protocol_state"]] += 1
                    if action.startswith("5"):
                        self.assertTrue(refused_by_a_rule(attributes_of(data), action), (file, action))
                self.assertEqual(link.extra(), b"")
        self.assertTrue(reeved.child.running())
        self.assertEqual(set(asked), set("CONNECT XCLIENT HELO EHLO MAIL RCPT DATA END-OF-MESSAGE VRFY ETRN".split()))
        return asked

    def test_all_names_exist(self):
        self.replay(os.path.join(HERE, "corpus"), "ANY")

    def test_dns_is_broken(self):
        self.replay(os.path.join(HERE, "corpus"), "SERVFAIL")

    @unittest.skipUnless(os.environ.get("REEVE_CORPUS"), "REEVE_CORPUS names no collection")
    def test_the_whole_collection(self):
        asked = self.replay(os.environ["REEVE_CORPUS"], "ANY")
        print("replayed %d requests:" % sum(asked.values()), dict(asked))

    @unittest.skipUnless(os.environ.get("REEVE_CORPUS"), "REEVE_CORPUS names no collection")
    def test_the_whole_collection_with_dns_broken(self):
        self.replay(os.environ["REEVE_CORPUS"], "SERVFAIL")

    def test_all_on_one_connection(self):
        """As if one smtpd had asked all of it, and in large pieces: the answers come one by one."""
        self.dns.default = "ANY"
        reeved = self.reeve(packaged_config("reeve-minimal.yaml"))
        with reeved.connect() as link:
            for _, requests in load(os.path.join(HERE, "corpus")):
                for _, data in requests:
                    for start in range(0, len(data), 100):
                        link.send(data[start:start + 100])
                    self.assertRegex(link.reply(), rb"\Aaction=[^\n]+\n\n\Z")


if __name__ == "__main__":
    main()

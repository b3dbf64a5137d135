# SPDX-License-Identifier: ISC
"""`explain` against the daemon itself: for every recorded request the explained answer is the one that the same request
then gets, and explaining has changed neither counters nor bans nor anything else that `status` shows."""

import collections
import os

from control import Control
from harness import HERE, DaemonBench, main, submission, unittest, wait_for
from test_corpus import load

# Low limits, and every check: the recorded requests meet refusals of many kinds.
CONFIG = """
site:
  origin: example.com
  domains: [example.com, rcpt.test]
  privileged_networks: [192.0.2.0/24]
rules:
  - { name: banned, check: ban }
  - { name: names, check: helo, names: ["bad*", "*.invalid"] }
  - { name: local, check: local_sender, allow: authenticated }
  - { name: own, check: sender_login, scope: account }
  - { name: domain, check: sender_domain }
  - { name: ptr, check: ptr, on_missing: mark }
  - { name: literals, check: address_literal }
  - { name: many, check: recipients, limit: 2 }
  - { name: calls, check: rate, per: client, limit: 3/1h, forgeable: yes }
  - { name: hourly, check: rate, per: login, limit: [5/1h, 9/1d] }
  - { name: volume, check: rate, per: everyone, count: bytes, limit: 10MiB/1h, mode: monitor }
bans: { mode: enforce, disconnect_at: 2, ban_at: 3/1h }
"""


class Explain(DaemonBench):
    memory = True

    def same(self, control, link, data, name):
        """Explained, it is what is then answered; in between nothing has changed."""
        before, counters = control.ask("status"), control.ask("top", [("number", 1000)])
        explained = control.explain(data)
        self.assertTrue(explained["ok"], explained)
        after = control.ask("status")
        for part in ("decisions", "bans"):
            self.assertEqual(before[part], after[part], name)
        for part in ("counters", "transactions"):
            self.assertEqual(before["store"][part], after["store"][part], name)
        self.assertEqual(counters, control.ask("top", [("number", 1000)]), name)
        answer = link.ask(data)
        self.assertEqual(explained["answer"], answer, (name, explained))
        return explained

    def test_recorded_requests(self):
        self.dns.default = "ANY"
        reeved = self.reeve(CONFIG)
        control, kinds, rules, asked = Control(reeved), collections.Counter(), collections.Counter(), 0
        for name, requests in load(os.path.join(HERE, "corpus")):
            with reeved.connect() as link:
                for file, data in requests:
                    explained = self.same(control, link, data, file)
                    kinds[explained["action"]] += 1
                    rules[explained.get("rule", "-")] += 1
                    asked += 1
        self.assertGreater(asked, 100)
        self.assertGreaterEqual(len(kinds), 3, kinds)
        self.assertGreaterEqual(len(rules), 4, rules)
        print("explained %d requests: %s" % (asked, dict(kinds)))

    def test_limits_and_messages(self):
        """RCPT, DATA and END-OF-MESSAGE of messages up to and over the limit."""
        self.dns.default = "ANY"
        reeved = self.reeve(CONFIG.replace("limit: 3/1h", "limit: 300/1h"))
        control = Control(reeved)
        with reeved.connect() as link:
            for message in range(4):
                instance = self.instance()
                for number in range(2):
                    data = submission("bob@example.com", instance=instance, recipient="r%d@far.example" % number)
                    explained = self.same(control, link, data, "message %d, RCPT %d" % (message, number))
                data = submission("bob@example.com", instance=instance, protocol_state="DATA", recipient="",
                                  recipient_count=2)
                self.same(control, link, data, "message %d, DATA" % message)
                data = submission("bob@example.com", instance=instance, protocol_state="END-OF-MESSAGE", recipient="",
                                  recipient_count=2, size=5000)
                self.same(control, link, data, "message %d, END-OF-MESSAGE" % message)
        self.assertRegex(explained["answer"], r"450 4\.7\.1 ")
        counter = [rule for rule in explained["rules"] if rule["name"] == "hourly"][0]["counters"][0]
        self.assertEqual((counter["limit"], counter["outcome"]), (5, "over"))
        self.assertGreater(counter["free_amount"], 0)
        self.assertGreater(counter["free_ms"], 0)

    def test_the_tool_reads_files_and_arguments(self):
        self.dns.default = "ANY"
        reeved = self.reeve(CONFIG)
        control = Control(reeved)
        data = submission("bob@example.com", recipient="you@far.example", instance=self.instance())
        path = os.path.join(self.dir.path, "one.req")
        with open(path, "wb") as file:
            file.write(data)
        for words, stdin in ((["explain", path], b""), (["explain", "-"], data)):
            done = control.ctl(*words, stdin=stdin)
            self.assertEqual(done.returncode, 0, done.err)
            self.assertRegex(done.out, r"\AAt RCPT the answer is\n  DUNNO\n")
            self.assertRegex(done.out, r"hourly +rate +counted .*bob@example\.com: 0 of 5 recipients in 1h; this request \+1 fits")
            self.assertRegex(done.out, r"\n +bob@example\.com: 0 of 9 recipients in 1d; ")
        done = control.ctl("explain", path, "sender=eve@elsewhere.example", "recipient=\x1b]0;x\x07@[192.0.2.300]")
        self.assertRegex(done.out, r"by rule own: not_owned")
        self.assertNotIn("\x1b", done.out)
        # The reply of another rule stands last in its line, so that the table stays narrow.
        done = control.ctl("explain", "helo_name=bad1", "client_address=198.51.100.9", "recipient=a@[192.0.2.9]")
        self.assertRegex(done.out, r"\nnames +helo +bad: name +=> 521 5\.7\.1  +name bad1\n")
        self.assertRegex(done.out, r"\nliterals +address_literal +bad: not_ours +\(not reached\) 550 5\.1\.2  +reply: 550 5\.1\.2 a@")
        self.assertRegex(done.out, r"\nhourly +rate +not counted +- +sasl_username=")
        self.assertEqual(control.ctl("explain", "sendr=x").returncode, 64)
        self.assertIn("is it 'sender'?", control.ctl("explain", "sendr=x").err)
        self.assertEqual(control.ctl("explain", "protocol_state=NONE").returncode, 65)
        self.assertEqual(control.ctl("explain", "-", stdin=b"GET / HTTP/1.0\n").returncode, 65)
        self.assertEqual(control.ctl("explain", "/nonexistent").returncode, 66)
        self.assertEqual(control.ctl("explain").returncode, 64)

    def test_a_line_of_the_log(self):
        """What was logged is asked again, as a new message."""
        self.dns.default = "ANY"
        reeved = self.reeve(CONFIG)
        control = Control(reeved)
        answers = [reeved.ask(submission("bob@example.com", recipient=recipient, sender=sender, instance=self.instance()))
                   for sender, recipient in (("eve@elsewhere.example", "you@far.example"), ("bob@example.com", "you@far.example"))]
        logged = lambda: [line["line"] for line in reeved.log("event=decision .*login=bob@example.com")]
        lines = wait_for("two decisions", lambda: len(logged()) == 2 and logged())
        for line, answer, prefix in zip(lines, answers, ("", "Nov 24 12:00:00 mx reeved[7]: ")):
            done = control.ctl("explain", "-", stdin=(prefix + line + "\n").encode())
            self.assertEqual(done.returncode, 0, done.err)
            self.assertEqual(done.out.splitlines()[1].strip(), answer)
        done = control.ctl("explain", "-", "sender=bob@example.com", stdin=lines[0].encode())
        self.assertEqual(done.out.splitlines()[1].strip(), "DUNNO")
        self.assertEqual(control.ctl("explain", "-", stdin=b"time=x event=ready listeners=1\n").returncode, 65)

    def test_a_silent_dns_does_not_hold_it(self):
        self.dns.default = "SILENT"
        reeved = self.reeve(CONFIG)
        control = Control(reeved)
        explained = control.ask("explain", [("attr.sender", "a@nowhere.example"), ("attr.recipient", "b@example.com"),
                                            ("attr.client_address", "198.51.100.9")])
        self.assertRegex(explained["answer"], r"\A451 4\.4\.3 |\ADUNNO")


if __name__ == "__main__":
    main()

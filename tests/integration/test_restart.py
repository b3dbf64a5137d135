# SPDX-License-Identifier: ISC
"""Stopping, crashing, reloading, refusing to start: what is kept, what is lost, what is said. No Postfix needed here."""

import os
import signal
import time

from harness import (LOGIN_RATE, REEVED, Child, DaemonBench, Reeved, can_connect, let_pass, main, request, submission,
                     wait_for)

LOGIN = "alice@example.com"

BANNING = LOGIN_RATE % "5/1h" + """\
  - { name: banned, check: ban }
  - { name: sender-domain, check: sender_domain, on_error: defer }
bans: { mode: enforce, disconnect_at: 0, ban_at: 3/1h, min_bad_share: 80%, duration: 1h }
"""


class Restart(DaemonBench):
    def spend(self, reeved, number, login=LOGIN):
        """So many recipients, each in a message of its own; the actions."""
        with reeved.connect() as link:
            return [self.one(link.ask, login) for _ in range(number)]

    def one(self, ask, login=LOGIN):
        return ask(submission(login, instance=self.instance(), recipient="r@outside.example"))

    def room(self, reeved, login=LOGIN, most=1000):
        """How many more fit."""
        with reeved.connect() as link:
            for number in range(most):
                if self.one(link.ask, login) != "DUNNO":
                    return number
        raise AssertionError("no limit reached")

    def strike_out(self, reeved, addr):
        for number in range(3):
            action = reeved.ask(request(client_address=addr, client_port=5000 + number, instance=self.instance(),
                                        sender="a@gone.test"))
            self.assertRegex(action, r"^550 5\.1\.8 ")

    def is_banned(self, reeved, addr):
        action = reeved.ask(request(client_address=addr, client_port=6000, instance=self.instance()))
        return action.startswith("421 4.7.1 ") and "blocked until" in action

    def test_term_keeps_counters_and_bans(self):
        reeved = self.reeve(BANNING)
        self.assertEqual(self.spend(reeved, 3), ["DUNNO"] * 3)
        self.strike_out(reeved, "198.51.100.66")
        self.assertTrue(self.is_banned(reeved, "198.51.100.66"))
        self.assertEqual(reeved.term(), 0)
        reeved.start()
        self.assertEqual(self.room(reeved), 2)
        self.assertTrue(self.is_banned(reeved, "198.51.100.66"))
        self.assertFalse(self.is_banned(reeved, "198.51.100.67"))

    def test_term_answers_what_is_running(self):
        self.dns.behave("slow.test", 0.7)
        reeved = self.reeve("")
        reeved.dns_extra = "timeout: 2s"
        reeved.fresh("rules: [{ name: sender-domain, check: sender_domain, on_error: defer }]\n")
        with reeved.connect() as link:
            link.send(request(sender="a@slow.test"))
            wait_for("the query", lambda: self.dns.count("slow.test"), 5)
            began = time.monotonic()
            reeved.child.signal(signal.SIGTERM)
            self.assertIn(b"action=550 5.1.8 ", link.reply())
            self.assertEqual(reeved.ended(), 0)
            self.assertLess(time.monotonic() - began, 4)

    def test_signals_all_through_the_exit(self):
        """An impatient stop, again and again from the first to the last moment: it ends with 0, not by a signal."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) * 8:
            reeved = self.reeve(LOGIN_RATE % "5/1h")
            self.spend(reeved, 1)           # so that the store has something to write, on a thread of its own
            reeved.child.signal(signal.SIGTERM)
            signals = 0
            while reeved.child.running():
                for _ in range(50):
                    reeved.child.signal(number)
                    signals += 1
            self.assertEqual(reeved.ended(), 0, "after %d signals %d" % (signals, number))

    def test_a_crash_loses_at_most_the_last_second(self):
        """Counting goes on all the time; then SIGKILL. All that is older than a second (and a commit) is still there."""
        limit = 2000
        reeved = self.reeve(LOGIN_RATE % ("%d/1h" % limit))
        moments = []
        end = time.monotonic() + 3.0
        with reeved.connect() as link:
            while time.monotonic() < end and len(moments) < limit // 2:
                self.assertEqual(self.one(link.ask), "DUNNO")
                moments.append(time.monotonic())
                let_pass(0.01)
        killed = time.monotonic()
        reeved.kill()
        reeved.start()
        used = limit - self.room(reeved, most=limit + 1)
        old_enough = sum(moment < killed - 1.2 for moment in moments)
        self.assertGreater(old_enough, 20)
        self.assertGreaterEqual(used, old_enough)
        self.assertLessEqual(used, len(moments))

    def test_a_crash_loses_no_ban(self):
        """Bans are written at once."""
        reeved = self.reeve(BANNING)
        self.strike_out(reeved, "198.51.100.66")
        self.assertTrue(self.is_banned(reeved, "198.51.100.66"))
        let_pass(0.5)
        reeved.kill()
        reeved.start()
        self.assertTrue(self.is_banned(reeved, "198.51.100.66"))

    def test_the_store_is_written_while_running(self):
        """Idle for a second, a crash loses nothing."""
        reeved = self.reeve(LOGIN_RATE % "5/1h")
        self.spend(reeved, 4)
        let_pass(1.6)
        reeved.restart("kill")
        self.assertEqual(self.room(reeved), 1)


class Reload(DaemonBench):
    PROBE = "  - { name: probe, check: helo, names: [probe.example], action: reject, reply: '550 5.7.1 %s' }\n"

    def probe(self, reeved):
        return reeved.ask(request(helo_name="probe.example", client_port=next(self.instances), instance=self.instance(),
                                  client_address="198.51.100.99"))

    def with_probe(self, limit, word):
        return LOGIN_RATE % limit + self.PROBE % word

    def one(self, ask):
        return ask(submission(LOGIN, instance=self.instance(), recipient="r@outside.example"))

    def spend(self, reeved, number):
        return [self.one(reeved.ask) for _ in range(number)]

    def test_a_broken_file_changes_nothing_and_says_why(self):
        reeved = self.reeve(self.with_probe("5/1h", "one"))
        self.spend(reeved, 3)
        reeved.reload("rulez: []\n" + self.with_probe("500/1h", "two").replace("check: rate", "check: nosuch"))
        lines = reeved.wait_log(r"reeve\.yaml:\d+:\d+", 2)
        self.assertTrue(any("rulez" in item["line"] for item in lines))
        self.assertTrue(any("nosuch" in item["line"] for item in lines))
        self.assertIn("one", self.probe(reeved))
        actions = self.spend(reeved, 3)
        self.assertEqual(actions[:2], ["DUNNO"] * 2)
        self.assertRegex(actions[2], "^450 4.7.1 5 of 5 recipients")

    def test_a_missing_file_changes_nothing(self):
        reeved = self.reeve(self.with_probe("5/1h", "one"))
        os.rename(reeved.config, reeved.config + ".away")
        self.addCleanup(os.rename, reeved.config + ".away", reeved.config)
        seen = len(reeved.log("reeve.yaml"))
        reeved.reload()
        reeved.wait_log(r"reeve\.yaml", seen + 1)
        self.assertIn("one", self.probe(reeved))

    def test_a_good_file_keeps_the_counters(self):
        reeved = self.reeve(self.with_probe("5/1h", "one"))
        self.spend(reeved, 3)
        reeved.reload(self.with_probe("8/1h", "two"))
        wait_for("the new reply", lambda: "two" in self.probe(reeved), 10)
        actions = self.spend(reeved, 6)
        self.assertEqual(actions[:5], ["DUNNO"] * 5)
        self.assertRegex(actions[5], "^450 4.7.1 8 of 8 recipients")

    def test_under_load_no_request_is_lost(self):
        reeved = self.reeve(self.with_probe("100000/1h", "word0"))
        with reeved.connect() as link:
            for number in range(1, 6):
                reeved.reload(self.with_probe("100000/1h", "word%d" % number))
                word = "word%d" % number

                def answered():
                    for _ in range(20):
                        self.assertEqual(self.one(link.ask), "DUNNO")
                    return word in self.probe(reeved)
                wait_for(word, answered, 10)

    def test_what_needs_a_restart_is_named(self):
        reeved = self.reeve(self.with_probe("5/1h", "one"))
        reeved.reload("max_connections: 100\n" + self.with_probe("5/1h", "two"))
        reeved.wait_log(r"max_connections.*restart|restart.*max_connections")
        wait_for("the rest of the file", lambda: "two" in self.probe(reeved), 10)

    def test_files_of_lists_are_read_again(self):
        path = self.dir.path + "/names"
        with open(path, "w", encoding="utf-8") as file:
            file.write("# none yet\nother.example\n")
        text = "rules: [{ name: probe, check: helo, names: ['file:%s'] }]\n" % path
        reeved = self.reeve(text)
        self.assertEqual(self.probe(reeved), "DUNNO")
        with open(path, "w", encoding="utf-8") as file:
            file.write("probe.example\n")
        reeved.reload()
        wait_for("the new list", lambda: self.probe(reeved).startswith("521 5.7.1 "), 10)


    def test_a_map_that_cannot_be_read(self):
        """Mail passes and the log says why; when the map is there, the next reload uses it. One that goes away is the same."""
        path = self.dir.path + "/virtual"
        reeved = self.reeve("site: { origin: example.com, domains: [example.com] }\n"
                            "rules: [{ name: no-catchall, check: catchall, maps: ['file:%s'] }]\n" % path)
        where = r"reeve\.yaml:2:\d+: warning: '%s' cannot be read: No such file or directory; .*until a reload" % path

        def one(name):
            return reeved.ask(request(recipient=name + "@example.com", instance=self.instance()))
        reeved.wait_log(where)
        self.assertEqual(one("bob"), "DUNNO")
        reeved.wait_log("unknown=no-catchall:map_unreadable")
        with open(path, "w", encoding="utf-8") as file:
            file.write("alice@example.com alice\n@example.com caught\n")
        reeved.reload()
        wait_for("the map", lambda: one("bob").startswith("550 5.1.1 bob@example.com: no such user"), 10)
        self.assertEqual(one("alice"), "DUNNO")
        os.unlink(path)
        reeved.reload()
        wait_for("the map to be gone", lambda: one("bob") == "DUNNO", 10)
        reeved.wait_log("event=config_warning .*" + where)

BROKEN = """\
version: 1
deadline: 3
rulez: []
mode: enforce
mode: monitor
site:
  local_networks: [127.0.0.0/8, 300.1.1.1]
rules:
  - { name: hourly, check: rate, per: login, limits: [{ limit: 200 }] }
  - { name: Bad_Name, check: ban }
  - { name: x, check: helo, names: [a], action: rejct }
  - { name: y, check: nosuch }
  - { name: z, check: helo, names: [x], reply: "450 4.7.1 no refusal" }
  - { name: w, check: ban, match: { sender: ["@"] } }
bans:
  on_ban: { }
  window: 3h
"""


class RefusesToStart(DaemonBench):
    def start_with(self, text, complete=True):
        reeved = Reeved(text, root=self.dir.path, memory=True)
        if not complete:
            with open(reeved.config, "w", encoding="utf-8") as file:
                file.write(text)
        child = Child([REEVED, "-c", reeved.config])
        self.addCleanup(child.end)
        return reeved, child.wait(10), child.text()

    def test_all_errors_in_one_run(self):
        """Of keys, and of what is compiled from them; sorted; the same from `-t`."""
        reeved, code, text = self.start_with(BROKEN)
        self.assertEqual(code, 78, text)
        expected = ((2, "deadline|unit"), (3, "rulez"), (5, "mode"), (7, "300.1.1.1"), (9, "200"), (10, "Bad_Name"),
                    (11, "rejct"), (12, "nosuch"), (13, "reply"), (14, "'@' is no pattern"), (16, "on_ban"), (17, "window"))
        told = [line for line in text.splitlines() if line.startswith(reeved.config) and ": warning: " not in line]
        self.assertEqual(len(told), len(expected), text)
        for line, (number, word) in zip(told, expected):
            self.assertRegex(line, r"^%s:%d:\d+: .*(%s)" % (reeved.config, number, word))
        self.assertRegex(text, r"rulez.*rules", "a suggestion for the misspelt key")
        self.assertFalse(can_connect(reeved.port))
        child = Child([REEVED, "-t", "-c", reeved.config])
        self.addCleanup(child.end)
        self.assertEqual(child.wait(10), 78, child.text())
        self.assertEqual(child.text(), text)

    def errors_in_lines(self, text, lines):
        """Refused with an error in each of these lines."""
        reeved, code, output = self.start_with(text, complete=False)
        self.assertEqual(code, 78, output)
        for line in lines:
            self.assertRegex(output, r"(?m)^%s:%d:\d+: " % (reeved.config, line))

    BAD_FOR_A_RULE = """\
rules:
  - { name: a, check: helo, names: [x], reply: "450 4.7.1 no refusal" }
  - { name: b, check: helo, names: [x], reply: "{nosuch}" }
  - { name: c, check: ban, match: { sender: ["@"] } }
  - { name: d, check: rate, per: login, limits: [{ limit: 1/1h, sender: ["@"] }] }
  - { name: e, check: ban, match: { sender: ["a@b@"] } }
  - { name: f, check: ban, except: { recipient: ["a b@c"] } }
"""

    def test_errors_that_only_a_rule_can_see(self):
        """Replies that do not fit, patterns."""
        self.errors_in_lines(self.BAD_FOR_A_RULE, (2, 3, 4, 5, 6, 7))

    def test_other_bad_files(self):
        for name, text in {"no YAML": "rules: [", "an alias": "a: &x 1\nmode: *x\n", "a tab": "rules:\n\t- x\n",
                           "two documents": "mode: enforce\n---\nmode: enforce\n",
                           "too deep": "lists: " + "[" * 40 + "]" * 40 + "\n",
                           "a reserved key": "rules: [{ name: a, check: helo, names: [b], redirect: x }]\n"}.items():
            with self.subTest(name):
                reeved, code, output = self.start_with(text, complete=False)
                self.assertEqual(code, 78, output)
                self.assertRegex(output, r"reeve\.yaml:\d+:\d+: ")

    def test_too_big(self):
        _, code, output = self.start_with("# " + "x" * 1100000 + "\n", complete=False)
        self.assertEqual(code, 78, output)

    def test_no_file(self):
        child = Child([REEVED, "-c", self.dir.path + "/nosuch.yaml"])
        self.addCleanup(child.end)
        self.assertEqual(child.wait(10), 78, child.text())
        self.assertIn("nosuch.yaml", child.text())


if __name__ == "__main__":
    main()

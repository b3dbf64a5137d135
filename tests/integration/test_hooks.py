# SPDX-License-Identifier: ISC
"""Programs that Reeve runs: bans.on_ban and notify, and the examples of packaging/hooks."""

import json
import os
import shutil
import subprocess

from harness import TOP, DaemonBench, PrivateDir, main, request, submission, unittest, wait_for

HOOKS = os.path.join(TOP, "packaging", "hooks")

CONFIG = """\
site: {{ origin: example.com, domains: [example.com] }}
rules:
  - {{ name: banned, check: ban }}
  - {{ name: literals, check: address_literal }}
  - {{ name: hourly, check: rate, per: login, warn_at: 50%, limits: [{{ limit: 4/1h }}] }}
bans: {{ mode: {mode}, disconnect_at: 0, ban_at: 5/1h, duration: {duration}, on_ban: ["{hook}", "one argument", "$(id)"] }}
notify: {{ command: ["{hook}", notify] }}
"""


class Hooks(DaemonBench):
    memory = True

    def hook(self, body="cat >>\"${0%/*}/got\""):
        path = os.path.join(self.dir.path, "hook")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + body + "\n")
        os.chmod(path, 0o700)
        self.got = os.path.join(self.dir.path, "got")
        if os.path.exists(self.got):
            os.unlink(self.got)
        return path

    def events(self, name):
        try:
            with open(self.got, encoding="utf-8") as file:
                events = [json.loads(line) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []
        return [event for event in events if event["event"] == name]

    def strike(self, reeved, client, times=5):
        for number in range(times):
            action = reeved.ask(request(client_address=client, recipient="u%d@[192.0.2.77]" % number,
                                        instance=self.instance(), client_port=4000 + number))
            self.assertRegex(action, "^5", action)

    def test_a_ban_and_its_end(self):
        reeved = self.reeve(CONFIG.format(mode="enforce", duration="1s", hook=self.hook()))
        self.strike(reeved, "198.51.100.7")
        wait_for("both events", lambda: self.events("unban"))
        ban, = self.events("ban")
        unban, = self.events("unban")
        self.assertEqual((ban["network"], ban["family"], ban["by"], ban["why"], ban["reason"]),
                         ("198.51.100.7/32", 4, "auto", "strikes", "literals"))
        self.assertEqual((unban["network"], unban["why"]), ("198.51.100.7/32", "expired"))
        self.assertEqual(ban["seconds"], 1)

    def test_monitor_runs_nothing(self):
        reeved = self.reeve(CONFIG.format(mode="monitor", duration="1s", hook=self.hook()))
        self.strike(reeved, "198.51.100.7")
        reeved.wait_log("event=would_ban")
        self.assertEqual(reeved.ask(submission("alice@example.com", instance=self.instance())), "DUNNO")
        self.assertEqual(self.events("ban"), [])

    def test_no_shell_and_nothing_of_the_environment(self):
        reeved = self.reeve(CONFIG.format(mode="enforce", duration="1h", hook=self.hook(
            'cat >/dev/null; printf "{\\"event\\":\\"ban\\",\\"args\\":\\"%s\\",\\"home\\":\\"%s\\"}\\n" "$*" "${HOME-none}" >>"${0%/*}/got"')))
        self.strike(reeved, "198.51.100.7")
        wait_for("the event", lambda: self.events("ban"))
        self.assertEqual(self.events("ban")[0], {"event": "ban", "args": "one argument $(id)", "home": "none"})

    def test_failures(self):
        """A hook that fails is logged and holds nothing up."""
        reeved = self.reeve(CONFIG.format(mode="enforce", duration="1h", hook=self.hook("echo no rights >&2; exit 4")))
        self.strike(reeved, "198.51.100.7")
        line, = reeved.wait_log("event=hook_failed hook=on_ban")
        self.assertEqual((line["status"], line["said"]), ("4", "no rights"))
        self.assertRegex(reeved.ask(request(client_address="198.51.100.7", instance=self.instance())), "^421 4.7.1 ")
        reeved.write(CONFIG.format(mode="enforce", duration="1h", hook="/nonexistent/hook"))
        reeved.reload()
        reeved.wait_log("event=reloaded")
        self.strike(reeved, "198.51.100.8")
        reeved.wait_log('event=hook_failed hook=on_ban program=/nonexistent/hook why="no such file or directory"')

    def test_notify(self):
        reeved = self.reeve(CONFIG.format(mode="enforce", duration="1h", hook=self.hook()))
        for number in range(3):
            self.assertEqual(reeved.ask(submission("bob@example.com", recipient="r%d@example.net" % number,
                                                   instance=self.instance())), "DUNNO")
        wait_for("the warning", lambda: self.events("limit_warning"))
        event, = self.events("limit_warning")
        self.assertEqual(event["level"], "warning")
        self.assertEqual((event["fields"]["rule"], event["fields"]["subject"]), ("hourly", "bob@example.com"))


class Examples(unittest.TestCase):
    """The scripts themselves, fed as Reeve feeds them."""

    def setUp(self):
        self.dir = PrivateDir()
        self.addCleanup(self.dir.close)

    def feed(self, script, event, network, seconds=3600, args=(), before=(), **env):
        line = json.dumps({"event": event, "network": network, "family": 6 if ":" in network else 4, "manual": seconds is None,
                           "since": "2027-01-15T08:00:00Z", "until": None, "seconds": seconds, "times": 1,
                           "reason": "\"event\":\"unban\",\"network\":\"192.0.2.1/32\"", "by": "auto", "node": "mx1",
                           "why": "strikes", "time": "2027-01-15T08:00:00Z"}, separators=(",", ":")) + "\n"
        return subprocess.run([*before, os.path.join(HOOKS, script), *args], input=line, text=True, capture_output=True,
                              timeout=20, check=False, env=dict(os.environ, **env))

    def recorder(self, name):
        """A program of this name that writes down how it was called; the PATH that finds it."""
        path = os.path.join(self.dir.path, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n{ echo \"$*\"; [ \"$1\" != -f ] || cat; } >>\"%s/calls\"\n" % self.dir.path)
        os.chmod(path, 0o700)
        return self.dir.path + ":" + os.environ["PATH"]

    def calls(self):
        with open(os.path.join(self.dir.path, "calls"), encoding="utf-8") as file:
            return file.read()

    def good(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_nft(self):
        path = self.recorder("nft")
        self.good(self.feed("reeve-nft", "ban", "198.51.100.7/32", PATH=path))
        self.good(self.feed("reeve-nft", "ban", "203.0.113.0/24", None, PATH=path))
        self.good(self.feed("reeve-nft", "unban", "2001:db8:1:2::/64", PATH=path))
        self.assertEqual(self.calls(), """\
-f -
add element inet reeve banned4 { 198.51.100.7 }
delete element inet reeve banned4 { 198.51.100.7 }
add element inet reeve banned4 { 198.51.100.7 timeout 3600s }
-f -
add element inet reeve banned4 { 203.0.113.0/24 }
delete element inet reeve banned4 { 203.0.113.0/24 }
add element inet reeve banned4 { 203.0.113.0/24 }
-f -
add element inet reeve banned6 { 2001:db8:1:2::/64 }
delete element inet reeve banned6 { 2001:db8:1:2::/64 }
""")

    @unittest.skipUnless(shutil.which("nft") and os.geteuid() == 0, "no nft here, or not root")
    def test_nft_itself(self):
        """In a network namespace of its own, with the table of the example's comment."""
        with open(os.path.join(HOOKS, "reeve-nft"), encoding="utf-8") as file:
            lines = [line[1:] for line in file if line.startswith("#")]
        start = next(i for i, line in enumerate(lines) if "table inet reeve {" in line)
        end = next(i for i, line in enumerate(lines) if i > start and line.rstrip() == "     }")
        table = os.path.join(self.dir.path, "table")
        with open(table, "w", encoding="utf-8") as file:
            file.write("".join(lines[start:end + 1]))
        event = '{"event":"%s","network":"%s","family":%d,"seconds":%s,"by":"auto"}'
        script = ["set -e", "nft -f %s" % table]
        for what in (("ban", "198.51.100.7/32", 4, "60"), ("ban", "198.51.100.7/32", 4, "7200"),
                     ("ban", "2001:db8:1:2::/64", 6, "60"), ("unban", "2001:db8:1:2::/64", 6, "0"), ("unban", "192.0.2.1/32", 4, "0")):
            script.append("echo '%s' | %s" % (event % what, os.path.join(HOOKS, "reeve-nft")))
        script.append("nft list table inet reeve")
        done = subprocess.run(["unshare", "-n", "sh", "-c", "\n".join(script)], text=True, capture_output=True, timeout=20,
                              check=False)
        self.good(done)
        self.assertRegex(done.stdout, r"198\.51\.100\.7 timeout 2h")
        self.assertNotIn("2001:db8", done.stdout)

    def test_postscreen(self):
        table = os.path.join(self.dir.path, "banned.cidr")
        for event, network in (("ban", "198.51.100.7/32"), ("ban", "2001:db8:1:2::/64"), ("ban", "198.51.100.7/32"),
                               ("ban", "203.0.113.9/32"), ("unban", "203.0.113.9/32"), ("unban", "192.0.2.9/32")):
            self.good(self.feed("reeve-postscreen", event, network, args=(table, "true")))
        with open(table, encoding="utf-8") as file:
            self.assertEqual(file.read(), "2001:db8:1:2::/64 reject\n198.51.100.7/32 reject\n")
        # As Postfix reads it.
        etc = os.path.join(self.dir.path, "main.cf")
        with open(etc, "w", encoding="utf-8") as file:
            file.write("compatibility_level = 3.6\n")
        for address, found in (("198.51.100.7", "reject\n"), ("2001:db8:1:2::9", "reject\n"), ("203.0.113.9", "")):
            done = subprocess.run(["postmap", "-c", self.dir.path, "-q", address, "cidr:" + table], text=True,
                                  capture_output=True, timeout=20, check=False)
            self.assertEqual(done.stdout, found, done.stderr)

    def test_fail2ban(self):
        path = self.recorder("fail2ban-client")
        self.good(self.feed("reeve-fail2ban", "ban", "198.51.100.7/32", PATH=path))
        self.good(self.feed("reeve-fail2ban", "unban", "2001:db8:1:2::/64", args=("mail",), PATH=path))
        self.assertEqual(self.calls(), "set reeve banip 198.51.100.7\nset mail unbanip 2001:db8:1:2::/64\n")

    def test_what_is_no_event_fails(self):
        for script in ("reeve-nft", "reeve-postscreen", "reeve-fail2ban"):
            done = self.feed(script, "frobnicate", "198.51.100.7/32", args=(os.path.join(self.dir.path, "t"), "true"))
            self.assertNotEqual(done.returncode, 0, script)
            self.assertIn("unknown event", done.stderr)


if __name__ == "__main__":
    main()

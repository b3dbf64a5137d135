# SPDX-License-Identifier: ISC
"""reevectl and the control socket of a real daemon: commands, who may use them, what happens to hostile bytes."""

import json
import os
import socket
import stat
import subprocess

from control import REEVECTL, Control, connect, read_to_end
from harness import DaemonBench, main, submission, unittest, wait_for

CONFIG = """
site: { origin: example.com, domains: [example.com] }
rules:
  - { name: banned, check: ban }
  - { name: hourly, check: rate, per: login, limit: [5/1h, 9/1d], warn_at: off }
  - { name: volume, check: rate, per: client, count: bytes, limit: 10MiB/1h }
bans: { mode: enforce, never: [203.0.113.0/24] }
"""


class Reevectl(DaemonBench):
    def start(self, text=CONFIG):
        self.dns.default = "ANY"
        reeved = self.reeve(text)
        return reeved, Control(reeved)

    def send(self, reeved, login, number):
        with reeved.connect() as link:
            return [link.ask(submission(login, instance=self.instance(), recipient="r%d@far.example" % i))
                    for i in range(number)]

    def test_status(self):
        reeved, control = self.start()
        self.send(reeved, "bob@example.com", 6)
        status = json.loads(control.ctl("status", "--json").out)
        self.assertEqual(status["pid"], reeved.child.process.pid)
        self.assertEqual(status["mode"], "enforce")
        self.assertEqual(status["config"]["generation"], 1)
        self.assertEqual(status["decisions"]["defer"], 1)
        self.assertEqual([rule["name"] for rule in status["rules"]], ["banned", "hourly", "volume"])
        done = control.ctl("status")
        self.assertEqual(done.returncode, 0)
        for part in (r"daemon +reeved \d", r"store +embedded /.*, 3 of ", r"decisions +\d+ requests, .*1 defer",
                     r"hourly +rate +enforce"):
            self.assertRegex(done.out, part)
        self.assertNotIn("\x1b", done.out)

    def test_reload_tells_what_is_wrong(self):
        reeved, control = self.start()
        self.assertEqual(control.ctl("reload").returncode, 0)
        reeved.write(CONFIG + "foo: 1\nmode: perhaps\n")
        done = control.ctl("reload")
        self.assertEqual(done.returncode, 78)
        self.assertRegex(done.err, r"reeve\.yaml:\d+:1: unknown key 'foo'")
        self.assertRegex(done.err, r"reeve\.yaml:\d+:7: .*'perhaps'")
        self.assertIn("the old configuration stays in force", done.err)
        status = control.ask("status")
        self.assertEqual(status["config"]["generation"], 2)
        self.assertEqual(len(status["config"]["failed"]["errors"]), 2)
        self.assertEqual(control.ctl("check", reeved.config).returncode, 78)
        self.assertEqual(control.ctl("check", reeved.config).err.splitlines()[:2],
                         status["config"]["failed"]["errors"])
        os.unlink(reeved.config)
        self.assertEqual(control.ctl("reload").returncode, 78)
        reeved.write(CONFIG.replace("5/1h", "7/1h").replace("site:", "max_connections: 77\nsite:"))
        done = control.ctl("reload")
        self.assertEqual(done.returncode, 0)
        self.assertIn("'max_connections' has changed and needs a restart", done.err)
        self.assertNotIn("failed", control.ask("status")["config"])

    def test_many_reloads_at_once(self):
        _, control = self.start()
        children = [subprocess.Popen([REEVECTL, "--socket", control.path, "reload"], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE) for _ in range(20)]
        for child in children:
            out, err = child.communicate(timeout=30)
            self.assertEqual((child.returncode, err), (0, b""), out)

    def test_counters_and_live_limits(self):
        reeved, control = self.start()
        answers = self.send(reeved, "bob@example.com", 6)
        self.assertRegex(answers[5], r"450 4\.7\.1 5 of 5 recipients used in 1h")
        used = {(c["rule"], c["window_ms"]): c["used"] for c in control.ask("usage", [("subject", "BOB+x@Example.com")])["counters"]}
        self.assertEqual(used, {("hourly", 3600000): 5, ("hourly", 86400000): 5})
        self.assertRegex(control.ctl("usage", "bob").out, r"hourly +bob@example\.com +5 of 5 recipients in 1h +5 free again in 1 h")
        self.assertRegex(control.ctl("top", "--number", "1").out, r"\A[^\n]*\nhourly +bob@example\.com +5 of 5 [^\n]*\n\Z")
        done = control.ctl("limit", "set", "hourly", "bob@example.com", "6/1h", "--for", "2h")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual(self.send(reeved, "bob@example.com", 2)[0], "DUNNO")
        reeved.restart()
        answers = self.send(reeved, "bob@example.com", 3)
        self.assertRegex(answers[-1], r"450 4\.7\.1 6 of 6 recipients")
        self.assertRegex(control.ctl("limit", "list").out, r"hourly +bob@example\.com +6/1h +20\d\d-.* +uid %d" % os.geteuid())
        # A stolen account: nothing more, and that is what the words and the numbers say.
        control.ctl("limit", "set", "hourly", "bob", "0/1h")
        self.assertEqual(self.send(reeved, "bob@example.com", 1), ["450 4.7.1 0 recipients allowed in 1h"])
        for words in (["usage", "bob"], ["top"]):
            self.assertRegex(control.ctl(*words).out, r"hourly +bob@example\.com +6 of 0 recipients in 1h \(live limit\)")
            self.assertRegex(control.ctl(*words).out, r"hourly +bob@example\.com +5 of unlimited recipients in 1d \(live limit\)")
        control.ctl("limit", "set", "hourly", "bob", "6/1h")
        control.ctl("limit", "set", "hourly", "@example.com", "unlimited")
        self.assertRegex(self.send(reeved, "bob@example.com", 1)[0], r"450 ")
        self.assertEqual(control.ctl("limit", "unset", "hourly", "bob").returncode, 0)
        self.assertEqual(self.send(reeved, "bob@example.com", 3), ["DUNNO"] * 3)
        self.assertRegex(control.ctl("usage", "bob").out, r"hourly +bob@example\.com +6 of unlimited recipients in 1h \(live limit\)")
        self.assertEqual(control.ctl("limit", "unset", "hourly", "bob").returncode, 65)
        control.ctl("limit", "unset", "hourly", "@example.com")
        self.assertRegex(self.send(reeved, "bob@example.com", 1)[0], r"450 ")
        self.assertRegex(control.ctl("reset", "bob@example.com").out, r"\A2 counters emptied")
        self.assertEqual(self.send(reeved, "bob@example.com", 1), ["DUNNO"])
        for words, code in ((["hourly", "bob", "1"], 65), (["nothing", "bob", "1/1h"], 65), (["banned", "bob", "1/1h"], 65),
                            (["hourly", "@", "1/1h"], 65), (["hourly", "bob", "1KiB/1h"], 65), (["hourly", "bob"], 64),
                            (["hourly", "bob", "1/1h,2/1h"], 65), (["hourly", "bob", "1/1h", "--for"], 64),
                            (["volume", "192.0.2.0/24", "1MiB/1h"], 65)):
            self.assertEqual(control.ctl("limit", "set", *words).returncode, code, words)

    def test_bans(self):
        reeved, control = self.start()
        with reeved.connect() as link:
            self.assertEqual(control.ctl("ban", "add", "198.51.100.0/24", "--for", "1h", "--reason", "spam run").returncode, 0)
            self.assertRegex(link.ask(submission("", sasl_method="", client_address="198.51.100.7")),
                             r"521 5\.7\.1 198\.51\.100\.7 is blocked until 20.* \(spam run\)")
            self.assertRegex(control.ctl("ban", "show", "198.51.100.7").out, r"198\.51\.100\.0/24 .* uid %d +spam run" % os.geteuid())
            for network, why in (("10.0.0.1", "never banned"), ("203.0.113.9", "never banned"), ("198.0.0.0/8", "too wide"),
                                 ("fe80::1", "never banned"), ("nonsense", "nonsense")):
                done = control.ctl("ban", "add", network)
                self.assertEqual(done.returncode, 65, network)
                self.assertIn(why, done.err)
            self.assertEqual(control.ctl("ban", "add", "203.0.113.9", "--force").returncode, 0)
            self.assertEqual(control.ctl("ban", "remove", "198.51.100.7").returncode, 65)
            self.assertEqual(control.ctl("ban", "remove", "198.51.100.0/24").returncode, 0)
            self.assertEqual(link.ask(submission("", sasl_method="", client_address="198.51.100.7", instance=self.instance())), "DUNNO")
        for i in range(2050):
            self.assertTrue(control.ask("ban.add", [("network", "192.88.%d.%d" % (i // 250, i % 250))])["kept"])
        listed = control.ctl("ban", "list").out
        self.assertEqual(len(listed.splitlines()), 1 + 2050 + 1)
        self.assertEqual(len(set(listed.splitlines())), 1 + 2050 + 1)
        reeved.wait_log(r"event=control command=ban.add .*uid=%d pid=\d+ result=done" % os.geteuid())
        results = [line["result"] for line in reeved.log("event=control command=ban.add ")]
        self.assertEqual((results.count("done"), results.count("refused")), (2052, 5))

    def test_a_postfix_is_not_banned(self):
        """Who asks over TCP, or may, is one of ours, even outside the local networks."""
        reeved, control = self.start(CONFIG.replace("domains:", "local_networks: [10.0.0.0/8], domains:"))
        with reeved.connect() as link:
            link.ask(submission("bob@example.com", instance=self.instance()))
            done = control.ctl("ban", "add", "127.0.0.0/24")
            self.assertEqual(done.returncode, 65)
            self.assertIn("--force", done.err)

    @unittest.skipUnless(os.geteuid() == 0, "not root, who alone can be somebody else")
    def test_who_may(self):
        reeved, control = self.start()
        mode = os.lstat(control.path)
        self.assertTrue(stat.S_ISSOCK(mode.st_mode))
        self.assertEqual(stat.S_IMODE(mode.st_mode), 0o660)
        os.chmod(control.path, 0o666)
        for folder in (reeved.root, os.path.dirname(reeved.root)):
            os.chmod(folder, os.stat(folder).st_mode | 0o011)
        nobody = 65534
        done = subprocess.run([REEVECTL, "--socket", control.path, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              user=nobody, group=nobody, extra_groups=[], check=False)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn(b"run it as root", done.stderr)
        reeved.wait_log("event=control_refused uid=65534")
        # Of the daemon's group, also by a supplementary one: fine.
        done = subprocess.run([REEVECTL, "--socket", control.path, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              user=nobody, group=nobody, extra_groups=[os.getegid()], check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        os.chmod(control.path, 0o660)
        done = subprocess.run([REEVECTL, "--socket", control.path, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              user=nobody, group=nobody, extra_groups=[], check=False)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn(b"no permission", done.stderr)

    def test_hostile_clients(self):
        reeved, control = self.start()
        for data in (b"GET / HTTP/1.0\r\n\r\n\n\n", b"\0" * 100 + b"\n\n", b"reeve=1\ncommand=" + b"x" * 100000 + b"\n\n",
                     b"reeve=9\ncommand=status\n\n", b"x" * 200000, b"reeve=1\ncommand=no.such\n\n",
                     b"reeve=1\ncommand=ban.add\nnetwork=\xff\x1b[31m\n\n"):
            answer = json.loads(control.raw(data).decode("utf-8"))
            self.assertFalse(answer["ok"], data[:40])
            self.assertNotIn("\x1b", answer["error"])
        # More at once than there is room for: those are closed, the others are answered.
        idle = [connect(control.path) for _ in range(40)]
        wait_for("idle ones to be closed", lambda: any(self.is_closed(link) for link in idle))
        self.assertEqual(self.send(reeved, "bob@example.com", 1), ["DUNNO"])
        for link in idle:
            link.close()
        wait_for("room", lambda: control.raw(b"reeve=1\ncommand=status\n\n") != b"")
        # Half closed is no end.
        with connect(control.path) as link:
            link.sendall(b"reeve=1\ncommand=status\n\n")
            link.shutdown(socket.SHUT_WR)
            self.assertTrue(json.loads(read_to_end(link))["ok"])

    @staticmethod
    def is_closed(link):
        link.setblocking(False)
        try:
            return link.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def test_stale_and_live_sockets(self):
        reeved, control = self.start()
        reeved.restart("kill")                   # leaves its socket behind
        self.assertTrue(control.ask("status")["ok"])
        reeved.term()
        self.assertFalse(os.path.exists(control.path))
        with open(control.path, "w", encoding="ascii") as file:
            file.write("precious")
        reeved.start()
        reeved.wait_log("event=control_failed why=.*no socket")
        with open(control.path, encoding="ascii") as file:
            self.assertEqual(file.read(), "precious")
        os.unlink(control.path)

    def test_groups(self):
        """The first word of commands with two, alone: which there are, asked for or not."""
        for words, code, said in ((["ban", "--help"], 0, ""), (["ban"], 64, "reevectl: 'ban' wants one more word\n"),
                                  (["ban", "lst"], 64, "reevectl: no command 'ban lst'\n"),
                                  (["ban", "lst", "--help"], 64, "reevectl: no command 'ban lst'\n")):
            done = subprocess.run([REEVECTL] + words, capture_output=True, text=True, check=False)
            text = done.stderr if code else done.stdout
            self.assertEqual(done.returncode, code, words)
            self.assertIn("\n  reevectl ban list\n        who is banned\n", text)
            self.assertIn("\n  reevectl ban show ADDRESS|NETWORK\n", text)
            self.assertNotIn("limit set", text)
            self.assertTrue(done.stderr.endswith(said), done.stderr)
        done = subprocess.run([REEVECTL, "ba"], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (64, "reevectl: no command 'ba'; `reevectl --help` lists them\n"))

    def test_a_broken_file_names_its_mistake_not_a_daemon_that_is_gone(self):
        """The control socket is not where it is by default; rules that are wrong, and text that is no YAML."""
        self.start()
        good = self.reeved.complete(CONFIG)
        path = self.reeved.config

        def ctl(*words):
            return subprocess.run([REEVECTL, "-c", path] + list(words), capture_output=True, text=True, check=False, timeout=30)

        for broken, where in ((good.replace("check: ban ", "check: bann "), "%s:4:"), (good + "rules: [}\n", "%s:")):
            with open(path, "w", encoding="utf-8") as file:
                file.write(broken)
            done = ctl("reload")
            self.assertEqual(done.returncode, 78, done)
            self.assertTrue(done.stderr.startswith(where % path), done)
            self.assertTrue(done.stderr.endswith("reevectl: %s is not taken over; the old configuration stays in force\n" % path), done)
            self.assertEqual(ctl("status").returncode, 0)
        with open(path, "w", encoding="utf-8") as file:
            file.write(broken.replace("/control.sock", "/moved.sock"))
        done = ctl("reload")
        self.assertEqual(done.returncode, 78)
        self.assertRegex(done.stderr, r"^%s:\d+:\d+: .*\nreevectl: %s is broken, and nobody listens at \S+/moved\.sock, which it names\n"
                         r"  mend it first; a reeved that runs has kept" % (path, path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(good)
        self.assertEqual(ctl("reload").returncode, 0)

    def test_what_is_no_daemon_of_ours(self):
        """Another program at the socket: what it says reaches no terminal, and who hangs is not waited for."""
        path = os.path.join(self.dir.path, "other.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen(0)
            child = subprocess.Popen([REEVECTL, "--socket", path, "status"], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
            with listener.accept()[0] as link:
                link.sendall(b'{"ok":false,"exit":65,"error":"\\u001b[31mred","advice":"a\\u0007b"}\n')
                out, err = child.communicate(timeout=30)
            self.assertEqual((child.returncode, out), (65, b""))
            self.assertIn(b"\\u001b[31mred", err)
            self.assertIn(b"a\\u0007b", err)
            self.assertNotIn(b"\x1b", err)
            with connect(path):                                 # the backlog has room for one
                done = subprocess.run([REEVECTL, "--socket", path, "status"], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, timeout=30, check=False)
            self.assertEqual(done.returncode, 75)
            self.assertIn(b"try again", done.stderr)

    def test_without_a_daemon(self):
        done = subprocess.run([REEVECTL, "--socket", os.path.join(self.dir.path, "nothing"), "status"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 69)
        self.assertIn(b"reeved is not running", done.stderr)
        help_text = subprocess.run([REEVECTL, "--help"], stdout=subprocess.PIPE, check=True).stdout.decode()
        for line in help_text.split("\n\n")[2].splitlines():
            words = line[2:].split("  ")[0].split()
            done = subprocess.run([REEVECTL, *words, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, b""), words)
            self.assertTrue(done.stdout.startswith(b"usage: reevectl " + " ".join(words).encode()), done.stdout)


if __name__ == "__main__":
    main()

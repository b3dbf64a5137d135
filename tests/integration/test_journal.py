# SPDX-License-Identifier: ISC
"""`maillog: journal`: a real journald in a private mount namespace, and a stand-in for journalctl that misbehaves."""

import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import unittest.mock

from control import Control
from harness import REEVED, DaemonBench, main, unittest, wait_for
from waiting import Child, skip

JOURNALD = "/lib/systemd/systemd-journald"
SYSLOG = "/run/systemd/journal/dev-log"
CONFIG = """\
site: { origin: example.com, domains: [example.com] }
rules: [{ name: banned, check: ban }]
bans: { mode: enforce, disconnect_at: 0, ban_at: 40/1h, maillog: %s }
"""


def own_run():
    """Runs the program again with a /run that only it sees, once."""
    if os.environ.get("REEVE_OWN_RUN") != "yes":
        probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, check=False)
        if probe.returncode:
            skip("no mount namespaces here: " + probe.stderr.decode().strip())
        env = dict(os.environ, REEVE_OWN_RUN="yes")
        sys.exit(subprocess.run(["unshare", "-m", sys.executable, "-u", os.path.abspath(__file__)] + sys.argv[1:],
                                env=env, check=False).returncode)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)


class Journal(DaemonBench):
    memory = True

    def children(self, reeved):
        """Process numbers of what the daemon has started and not reaped."""
        found = []
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == reeved.pid:
                found.append(int(path.split("/")[2]))
        return found


class RealJournal(Journal):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not os.path.exists(JOURNALD) or not shutil.which("journalctl"):
            raise unittest.SkipTest("no journald here")
        with open("/etc/machine-id", encoding="ascii") as file:
            os.makedirs("/run/log/journal/" + file.read().strip())
        os.makedirs("/run/systemd/journal")
        cls.journald = Child([JOURNALD])
        cls.addClassCleanup(cls.journald.end)
        cls.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        cls.addClassCleanup(cls.syslog.close)
        wait_for("journald listens", lambda: os.path.exists(SYSLOG))
        cls.syslog.connect(SYSLOG)

    def say(self, text, tag="postfix/smtpd", priority=22):
        """As syslog(3) does; the process that journald notes is this one."""
        self.syslog.send(b"<%d>Nov 24 08:00:00 %s[4711]: %s" % (priority, tag.encode(), text.encode("utf-8", "surrogateescape")))

    def session(self, addr, failed=3):
        self.say("connect from x[%s]" % addr)
        self.say("disconnect from x[%s] ehlo=1 unknown=0/%d quit=1 commands=2/%d" % (addr, failed, failed + 2))

    def watch(self):
        reeved = self.reeve(CONFIG % "journal")
        reeved.wait_log("event=maillog_followed source=journal:$")
        return reeved

    def test_sessions_lead_to_a_ban(self):
        """Those of before are not read; the first ones after the start are, though nothing that matches was there yet."""
        reeved = self.watch()
        for _ in range(14):
            self.session("198.51.100.30")
        reeved.wait_log(r"event=ban client=198\.51\.100\.30/32 .*why=strikes count=42")
        self.assertEqual(len(reeved.log(r"event=smtp_failures client=198\.51\.100\.30 process=\d+ commands=3$")), 14)
        again = self.watch()
        self.session("198.51.100.31")
        again.wait_log(r"event=smtp_failures client=198\.51\.100\.31 ")
        self.assertEqual(again.log(r"client=198\.51\.100\.30"), [])

    def test_nothing_is_forged(self):
        """Another program, another facility, a message of several lines, one that is no text, and a long one."""
        reeved = self.watch()
        line = "disconnect from x[198.51.100.99] unknown=0/50 commands=0/50"
        full = "Nov 24 08:00:00 mx postfix/smtpd[1]: " + line
        self.say(line, tag="smtpd")
        self.say(line, priority=14)
        self.say("warning: non-SMTP command from x[198.51.100.40]: a\n%s\n2026-11-24T08:00:00+0000 mx postfix/smtpd[1]: %s" % (full, line))
        self.say("warning: non-SMTP command from x[198.51.100.40]: \x1b\udcff\n" + full)
        self.say("warning: non-SMTP command from x[198.51.100.40]: %s%s" % ("y" * 20000, full))
        self.session("198.51.100.41")
        reeved.wait_log(r"event=smtp_failures client=198\.51\.100\.41 ")
        self.assertEqual(reeved.log(r"198\.51\.100\.99"), [])

    def test_killed_it_leaves_nobody_behind(self):
        """journalctl ends by itself when the daemon that read it is gone."""
        reeved = self.watch()
        (child,) = self.children(reeved)
        reeved.kill()
        wait_for("journalctl is gone", lambda: not os.path.exists("/proc/%d" % child))


class StandIn(Journal):
    """A shell script on a PATH of its own follows a file."""

    def setUp(self):
        super().setUp()
        self.tools = os.path.join(self.dir.path, self.id().rpartition(".")[2])
        self.file = os.path.join(self.tools, "lines")
        os.mkdir(self.tools)
        with open(self.file, "wb"):
            pass

    def script(self, text):
        path = os.path.join(self.tools, "journalctl")
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nPATH=/usr/bin:/bin\n%s\n" % text)
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)

    def begin(self, maillog="journal"):
        with unittest.mock.patch.dict(os.environ, {"PATH": self.tools}):
            return self.reeve(CONFIG % maillog)

    def session(self, addr):
        with open(self.file, "a", encoding="ascii") as file:
            file.write("2026-11-24T08:00:00+0000 mx postfix/smtpd[77]: disconnect from x[%s] unknown=0/3 commands=0/3\n" % addr)

    def test_absent_at_first(self):
        reeved = self.begin()
        reeved.wait_log('level=warning event=maillog_missing source=journal: why="there is no journalctl on the PATH"$')
        status = Control(reeved).ctl("status").out
        self.assertIn("maillog      journal:, 0 lines, 0 connections, 0 failed logins\n"
                      "  ERROR      it cannot be read: there is no journalctl on the PATH\n", status)
        self.script("exec tail -n 0 -f " + self.file)
        reeved.wait_log("level=notice event=maillog_followed source=journal:$")
        self.session("198.51.100.50")
        reeved.wait_log(r"event=smtp_failures client=198\.51\.100\.50 ")
        self.assertEqual(len(reeved.log("event=maillog_missing")), 1, "tried again, and told once")
        self.assertEqual(Control(reeved).ask("status")["maillog"], {"source": "journal:", "followed": True, "why": "",
                                                                    "lines": 1, "connections": 1, "logins": 0})

    def test_ends_and_comes_back_and_goes_with_the_configuration(self):
        self.script("exec tail -n 0 -f " + self.file)
        reeved = self.begin()
        reeved.wait_log("event=maillog_followed")
        (child,) = self.children(reeved)
        os.kill(child, signal.SIGKILL)
        reeved.wait_log('event=maillog_missing source=journal: why="journalctl was ended by signal 9"$')
        reeved.wait_log("event=maillog_followed", 2)
        self.session("198.51.100.51")
        reeved.wait_log(r"event=smtp_failures client=198\.51\.100\.51 ")
        (child,) = self.children(reeved)
        reeved.reload(CONFIG % "off")
        wait_for("no child is left, not even a dead one", lambda: self.children(reeved) == [])
        reeved.reload(CONFIG % '"journal:"')
        reeved.wait_log("event=maillog_followed", 3)
        (child,) = self.children(reeved)
        reeved.reload(CONFIG % "journal")
        reeved.wait_log("event=reloaded", 3)
        self.assertEqual(self.children(reeved), [child])
        self.assertEqual(reeved.term(), 0)
        wait_for("it went with the daemon", lambda: not os.path.exists("/proc/%d" % child))

    def test_what_it_says_is_told(self):
        self.script("echo 'No journal files were opened due to insufficient permissions.' >&2; exit 1")
        reeved = self.begin()
        reeved.wait_log('event=maillog_missing source=journal: why="journalctl ended with 1" '
                        'said="No journal files were opened due to insufficient permissions."$')


if __name__ == "__main__":
    if not os.access(REEVED, os.X_OK):
        skip("no daemon at " + REEVED)
    if os.geteuid() != 0 or not shutil.which("unshare"):
        skip("not run by root, who alone may have a /run of its own")
    own_run()
    main()

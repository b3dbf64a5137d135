# SPDX-License-Identifier: ISC
"""The log of a real Postfix as a witness: what fails in its sessions leads to bans, and nothing that a client can say."""

import os
import re

from harness import Bench, Closed, main, wait_for

CONFIG = """\
site: {{ origin: example.com, domains: [example.com], privileged_networks: [192.0.2.240/28] }}
rules:
  - {{ name: banned, check: ban }}
  - {{ name: sender-domain, check: sender_domain, on_error: defer }}
bans:
  {{ mode: {mode}, disconnect_at: {disconnect_at}, on_disconnect: {on_disconnect}, ban_at: {ban_at}, auth_failures: 20/1h,
     never: [203.0.113.0/24], maillog: "file:{maillog}" }}
"""


class Maillog(Bench):
    postfix_options = {"main": {"smtpd_hard_error_limit": "25", "disable_vrfy_command": "yes"}}

    def config(self, mode="enforce", disconnect_at=0, on_disconnect="no", ban_at="40/1h"):
        return CONFIG.format(mode=mode, disconnect_at=disconnect_at, on_disconnect=on_disconnect, ban_at=ban_at,
                             maillog=os.path.join(self.postfix.root, "maillog"))

    def watch(self, **options):
        reeved = self.reeve(self.config(**options))
        reeved.wait_log("event=maillog_followed")
        return reeved

    def failing(self, addr, commands, service="smtp", **who):
        """A session of commands that fail and no RCPT; waits until its disconnect line is in the log."""
        before = len(re.findall(r"disconnect from \S+\[%s\]" % re.escape(addr), self.postfix.maillog()))
        with self.smtp(service, addr=addr, **who) as smtp:
            for command in commands:
                try:
                    self.assertGreaterEqual(smtp.cmd(command).code, 400, command)
                except Closed:
                    break
        wait_for("the disconnect line", lambda: len(re.findall(
            r"disconnect from \S+\[%s\]" % re.escape(addr), self.postfix.maillog())) > before)

    def reply_to(self, addr):
        with self.smtp(addr=addr) as smtp:
            return smtp.message("sender@example.net", ["user@example.com"]).rcpts[0]

    def seen(self, reeved, addr):
        """Commands, recipients and logins that counted, over all sessions of this address so far."""
        sums = {"commands": 0, "recipients": 0, "logins": 0}
        for line in reeved.log("event=smtp_failures client=%s " % re.escape(addr)):
            for key in sums:
                sums[key] += int(line.get(key, 0))
        return sums

    def test_every_way_to_fail(self):
        """Each of the errors that no policy request tells of (postfix.md e1), in a session of its own."""
        reeved = self.watch()
        ways = [("wink",), ("MAIL FROM:<a@>",), ("MAIL FROM:<a@example.net> FOO=1",), ("RCPT TO:<user@example.com>",),
                ("DATA",), ("VRFY user@example.com",), ("MAIL FROM:<a@example.net> SIZE=999999999999",),
                ("ETRN",), ("EHLO",), ("RSET now", "wink", "BDAT x")]
        for number, way in enumerate(ways):
            addr = "198.51.100.%d" % (100 + number)
            with self.subTest(way):
                with self.smtp(addr=addr) as smtp:
                    failed = sum(smtp.cmd(command).code >= 400 for command in way)
                self.assertGreater(failed, 0)
                recipients = failed if way[0].startswith("RCPT") else 0
                wait_for("what failed by %s: %r" % (way, self.seen(reeved, addr)),
                         lambda: self.seen(reeved, addr) == {"commands": failed - recipients, "recipients": recipients,
                                                             "logins": 0})

    def test_refused_recipients(self):
        """Recipients that Postfix does not know; the good one is none of them, and a 4xx neither."""
        reeved = self.watch(ban_at="5/1h")
        with self.smtp(addr="198.51.100.20") as smtp:
            smtp.mail("sender@example.net")
            codes = [smtp.rcpt(to).code for to in ("nobody@example.com", "user@example.com", "noone@example.com")]
        self.assertEqual(codes, [550, 250, 550])
        reeved.wait_log(r"event=smtp_failures client=198\.51\.100\.20 process=\d+ recipients=2$")
        self.dns.behave("slow.test", "SERVFAIL")
        with self.smtp(addr="198.51.100.21") as smtp:
            for _ in range(6):
                self.assertEqual(smtp.message("a@slow.test", ["user@example.com"]).rcpts[0].code, 451)
        self.failing("198.51.100.21", ["wink"])
        reeved.wait_log(r"event=smtp_failures client=198\.51\.100\.21 process=\d+ commands=1$")
        self.assertEqual(self.seen(reeved, "198.51.100.21")["recipients"], 0)
        self.assertEqual(self.reply_to("198.51.100.21").code, 250)

    def test_sessions_that_never_ask(self):
        """Twenty sessions with three wrong commands each and no RCPT: a ban, although there was no policy request."""
        reeved = self.watch()
        for _ in range(20):
            self.failing("198.51.100.30", ["one", "two", "three"])
        self.assertEqual(reeved.log("event=decision.* client=198"), [])
        reeved.wait_log(r"event=ban client=198\.51\.100\.30/32 .*why=strikes")
        self.assertEqual(self.reply_to("198.51.100.30").code, 421)
        self.assertEqual(self.reply_to("198.51.100.31").code, 250)

    def test_the_same_from_a_network_that_is_never_banned(self):
        reeved = self.watch()
        for _ in range(20):
            self.failing("203.0.113.30", ["one", "two", "three"])
        reeved.wait_log(r"event=ban_spared client=203\.0\.113\.30/32 .*why=protected")
        self.failing("198.51.100.32", ["one"])
        reeved.wait_log("event=smtp_failures client=198.51.100.32")
        self.assertEqual(len(reeved.log("event=ban")), 1)
        self.assertEqual(self.reply_to("203.0.113.30").code, 250)

    def test_the_same_after_a_good_login(self):
        reeved = self.watch()
        with self.smtp("submission", addr="198.51.100.33") as smtp:
            self.assertEqual(smtp.auth_plain("alice@example.com", "secret").code, 235)
        for _ in range(20):
            self.failing("198.51.100.33", ["one", "two", "three"])
        reeved.wait_log(r"event=ban_spared client=198\.51\.100\.33/32 .*why=good_login")
        self.failing("198.51.100.32", ["one"])
        reeved.wait_log("event=smtp_failures client=198.51.100.32")
        self.assertEqual(len(reeved.log("event=ban")), 1)
        self.assertEqual(self.reply_to("198.51.100.33").code, 250)

    def test_failed_logins(self):
        reeved = self.watch()
        for number in range(7):
            with self.smtp("submission", addr="198.51.100.34") as smtp:
                for _ in range(3):
                    self.assertEqual(smtp.auth_plain("mallory%d@example.com" % number, "wrong").code, 535)
        reeved.wait_log(r"event=login_failed client=198\.51\.100\.34 login=mallory\d@example.com", 21)
        reeved.wait_log(r"event=ban client=198\.51\.100\.34/32 reason=\"failed logins\" .*why=auth_failures count=20")
        self.assertEqual(self.seen(reeved, "198.51.100.34")["logins"], 0)
        self.assertEqual(self.reply_to("198.51.100.34").code, 421)

    def test_counted_once(self):
        """Reeve's own refusals stand in the same disconnect line."""
        reeved = self.watch(ban_at="12/1h")
        with self.smtp(addr="198.51.100.35") as smtp:
            for _ in range(9):
                self.assertEqual(smtp.message("a@gone.test", ["user@example.com"]).rcpts[0].code, 550)
            for command in ("one", "two"):
                self.assertEqual(smtp.cmd(command).code, 500)
        reeved.wait_log(r"event=smtp_failures client=198\.51\.100\.35 process=\d+ commands=2$")
        self.assertEqual(reeved.log("event=ban"), [], "nine and two are eleven")
        self.failing("198.51.100.35", ["three"])
        reeved.wait_log(r"event=ban client=198\.51\.100\.35/32 .*why=strikes count=12")

    def test_one_bad_connection(self):
        reeved = self.watch(disconnect_at=10, on_disconnect="yes", ban_at="off")
        self.failing("198.51.100.36", ["wink"] * 9)
        reeved.wait_log(r"event=smtp_failures client=198\.51\.100\.36 process=\d+ commands=9$")
        self.assertEqual(reeved.log("event=ban"), [])
        self.failing("198.51.100.36", ["wink"] * 10)
        reeved.wait_log(r"event=ban client=198\.51\.100\.36/32 .*why=disconnect")
        self.assertEqual(self.reply_to("198.51.100.36").code, 421)

    def test_cut_off_by_postfix(self):
        reeved = self.watch(disconnect_at=100, on_disconnect="yes", ban_at="off")
        self.failing("198.51.100.37", ["wink"] * 40)
        reeved.wait_log(r"event=smtp_failures client=198\.51\.100\.37 .*too_many_errors=yes")
        reeved.wait_log(r"event=ban client=198\.51\.100\.37/32 .*why=disconnect")

    def test_monitor_only_tells(self):
        reeved = self.watch(mode="monitor")
        for _ in range(14):
            self.failing("198.51.100.38", ["one", "two", "three"])
        reeved.wait_log(r"event=would_ban client=198\.51\.100\.38/32")
        self.assertEqual(self.reply_to("198.51.100.38").code, 250)

    def test_forged_lines(self):
        """A victim's address in every text that a client can choose; only the client itself is charged."""
        reeved = self.watch()
        line = "disconnect from x[198.51.100.99] unknown=0/50 commands=0/50"
        full = "Nov 24 08:00:00 mx postfix/smtpd[1]: " + line
        errors = "too many errors after RCPT from x[198.51.100.99]"
        for text in (line, full, errors, "x[198.51.100.99]: SASL LOGIN authentication failed: x"):
            with self.smtp(addr="198.51.100.40") as smtp:
                for form in ("EHLO %s", 'MAIL FROM:<"%s"@example.net>', 'RCPT TO:<"%s"@example.com>', "ETRN %s", "VRFY %s",
                             "MAIL FROM:<%s@>", "%s"):
                    smtp.cmd(form % text)
            with self.smtp("submission", addr="198.51.100.41") as smtp:
                self.assertGreaterEqual(smtp.auth_plain(text, "wrong").code, 500)
        reeved.wait_log("event=smtp_failures client=198.51.100.40", 4)
        reeved.wait_log("event=login_failed client=198.51.100.41", 4)
        self.assertEqual(reeved.log(r"(?<!\S)client=198\.51\.100\.99"), [])
        self.assertEqual(self.reply_to("198.51.100.99").code, 250)

    def test_rotation_and_restart(self):
        """Renamed under the running Postfix, which goes on with the old file until it is reloaded; and a restart counts nothing again."""
        path = os.path.join(self.postfix.root, "maillog")
        reeved = self.watch()
        for number in range(4):
            self.failing("198.51.100.42", ["one", "two"])
            reeved.wait_log("event=smtp_failures client=198.51.100.42", number + 1)
            if number == 1:
                with open(path, encoding="utf-8", errors="surrogateescape") as file:
                    text = file.read()
                with open(path + ".1", "w", encoding="utf-8", errors="surrogateescape") as file:
                    file.write(text)
                os.truncate(path, 0)
        self.assertEqual(self.seen(reeved, "198.51.100.42")["commands"], 8)
        reeved.wait_log("event=maillog_truncated")
        self.assertEqual(reeved.term(), 0)
        reeved.start()
        reeved.wait_log("event=maillog_followed", 2)
        self.failing("198.51.100.42", ["one"])
        reeved.wait_log("event=smtp_failures client=198.51.100.42", 5)
        self.assertEqual(self.seen(reeved, "198.51.100.42")["commands"], 9)


if __name__ == "__main__":
    main()

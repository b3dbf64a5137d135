# SPDX-License-Identifier: ISC
"""Bans that come from Reeve's own refusals, seen by a client of a real Postfix."""

from harness import Bench, Closed, Smtp, main, wait_for

CONFIG = """\
site: {{ origin: example.com, domains: [example.com], privileged_networks: [192.0.2.240/28] }}
rules:
  - {{ name: banned, check: ban{early} }}
  - {{ name: sender-domain, check: sender_domain, on_error: defer, default_exemptions: {exempt} }}
bans:
  {{ mode: {mode}, disconnect_at: {disconnect_at}, ban_at: {ban_at}, min_bad_share: 80%, duration: {duration},
     never: [203.0.113.0/24] }}
"""


def config(mode="enforce", disconnect_at=0, ban_at="6/1h", duration="1h", early="", exempt="yes"):
    return CONFIG.format(mode=mode, disconnect_at=disconnect_at, ban_at=ban_at, duration=duration, early=early,
                         exempt=exempt)


class Bans(Bench):
    def bad(self, smtp):
        """One message that Reeve refuses for good; the reply."""
        return smtp.message("a@gone.test", ["user@example.com"]).rcpts[0]

    def strike(self, addr, times, **who):
        """So many refusals, three in a connection."""
        while times > 0:
            with self.smtp(addr=addr, **who) as smtp:
                for _ in range(min(3, times)):
                    self.assertEqual(self.bad(smtp).code, 550)
                    times -= 1

    def first_reply(self, addr, **who):
        """What a client gets for a good message: the reply to its first recipient."""
        with self.smtp(addr=addr, **who) as smtp:
            return smtp.message("sender@example.net", ["user@example.com"]).rcpts[0]

    def test_disconnect(self):
        """At so many refusals in one connection: 421, and the line is dead. The address itself is not banned."""
        self.reeve(config(disconnect_at=4, ban_at="off"))
        with self.smtp(addr="198.51.100.30") as smtp:
            codes = []
            while 421 not in codes and len(codes) < 10:
                codes.append(self.bad(smtp).code)
            self.assertIn(codes, ([550] * 3 + [421], [550] * 4 + [421]))
            self.assertTrue(smtp.closed())
        self.assertEqual(self.first_reply("198.51.100.30").code, 250)

    def test_a_message_that_passes_forgives(self):
        self.reeve(config(disconnect_at=4, ban_at="off"))
        with self.smtp(addr="198.51.100.31") as smtp:
            for _ in range(5):
                self.assertEqual([self.bad(smtp).code for _ in range(3)], [550] * 3)
                self.took(smtp.message("sender@example.net", ["user@example.com"]), 1)

    def test_ban(self):
        self.reeve(config())
        self.strike("198.51.100.32", 6)
        with self.smtp(addr="198.51.100.32") as smtp:
            sent = smtp.message("sender@example.net", ["user@example.com"])
            self.assertEqual((sent.rcpts[0].code, sent.rcpts[0].enhanced), (421, "4.7.1"), sent.replies())
            self.assertRegex(sent.rcpts[0].text, r"198\.51\.100\.32 is blocked until \S+.*\(.+\)")
            self.assertTrue(smtp.closed())
        self.assertEqual(self.first_reply("198.51.100.33").code, 250)
        # A login is not shut out by what others did from the same address.
        self.assertEqual(self.first_reply("198.51.100.32", login="alice@example.com").code, 250)

    def test_ban_at_connect(self):
        """early: yes, on a service without AUTH and with smtpd_delay_reject=no: the greeting itself is the refusal."""
        self.reeve(config(early=", early: yes, match: { server_port: [25] }"))
        self.strike("198.51.100.34", 6)
        with Smtp(self.postfix.port("stages")) as smtp:
            reply = smtp.xclient(addr="198.51.100.34", name="mail.example.net", port=4711, destaddr="192.0.2.25",
                                 destport=25)
            self.assertEqual((reply.code, reply.enhanced), (421, "4.7.1"), reply)
            self.assertIn("blocked until", reply.text)

    def test_ipv6_goes_by_64(self):
        self.reeve(config())
        self.strike("2001:db8:1:2::10", 6)
        self.assertEqual(self.first_reply("2001:db8:1:2:ffff::99").code, 421)
        self.assertEqual(self.first_reply("2001:db8:1:3::10").code, 250)

    def test_expiry(self):
        self.reeve(config(duration="2s"))
        self.strike("198.51.100.35", 6)
        self.assertEqual(self.first_reply("198.51.100.35").code, 421)
        wait_for("the end of the ban", lambda: self.first_reply("198.51.100.35").code == 250, 8)

    def test_never(self):
        self.reeve(config(exempt="no"))
        for addr in ("203.0.113.7", "10.1.2.3", "192.0.2.241"):
            with self.subTest(addr):
                self.strike(addr, 12)
                self.assertEqual(self.first_reply(addr).code, 250)

    def test_mostly_good(self):
        """As many good messages as bad ones."""
        self.reeve(config())
        with self.smtp(addr="198.51.100.36") as smtp:
            for _ in range(12):
                self.assertEqual(self.bad(smtp).code, 550)
                self.took(smtp.message("sender@example.net", ["user@example.com"]), 1)
        self.assertEqual(self.first_reply("198.51.100.36").code, 250)

    def test_several_recipients_of_a_bad_sender_are_one_strike(self):
        self.reeve(config())
        with self.smtp(addr="198.51.100.37") as smtp:
            self.assertEqual(smtp.message("a@gone.test", ["u%d@example.com" % i for i in range(10)]).codes(), [550] * 10)
        self.assertEqual(self.first_reply("198.51.100.37").code, 250)

    def test_monitor_only_tells(self):
        reeved = self.reeve(config(mode="monitor", disconnect_at=4))
        self.strike("198.51.100.38", 9)
        self.assertEqual(self.first_reply("198.51.100.38").code, 250)
        reeved.wait_log(r"198\.51\.100\.38.*ban|ban.*198\.51\.100\.38")

    def test_a_dictionary_attack(self):
        """The counterpart of the big provider: forty dead recipients and nothing else."""
        path = self.postfix.etc + "/virtual"
        self.postfix.write("virtual", "user@example.com user\n@example.com catcher\n")
        self.reeve("""\
site: { origin: example.com, domains: [example.com] }
rules: [{ name: banned, check: ban }, { name: catchall, check: catchall, maps: ["file:%s"] }]
bans: { mode: enforce, disconnect_at: 20, ban_at: 40/1h, min_bad_share: 80%% }
""" % path)
        number, dropped = 0, 0
        for _ in range(3):
            with self.smtp(addr="198.51.100.39") as smtp:
                smtp.mail("sender@example.net")
                try:
                    while smtp.rcpt("dead%d@example.com" % number).code == 550:
                        number += 1
                    dropped += 1
                except Closed:
                    pass
        self.assertGreaterEqual(dropped, 2)
        self.assertEqual(self.first_reply("198.51.100.39").code, 421)


if __name__ == "__main__":
    main()

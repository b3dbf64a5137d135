# SPDX-License-Identifier: ISC
"""Senders that look bad and are not: with bans enforced none of them is banned, and none gets a 5xx for it."""

import threading

from harness import Bench, main, packaged_config

BANS = """
bans: { mode: enforce, disconnect_at: 20, ban_at: 40/1h, min_bad_share: 80%, duration: 1h }
"""

SITE = "site: { origin: example.com, domains: [example.com] }\n"


class GoodSenders(Bench):
    # Reeve's own limit is looked at, not Postfix's, and Postfix must not hang up over what Reeve refuses.
    postfix_options = {"main": {"smtpd_recipient_limit": "1000", "smtpd_hard_error_limit": "1000"}}

    def still_welcome(self, addr):
        with self.smtp(addr=addr) as smtp:
            self.took(smtp.message("sender@example.net", ["u1@example.com"]), 1)

    def test_a_list_server_with_150_recipients(self):
        """One hundred are taken, the rest is told to come in another message, and comes."""
        self.reeve(packaged_config("reeve-minimal.yaml") + BANS)
        addr = "198.51.100.20"
        recipients = ["list%d@example.com" % i for i in range(150)]
        with self.smtp(addr=addr) as smtp:
            sent = smtp.message("owner@example.net", recipients)
            self.assertEqual(sent.codes(), [250] * 100 + [452] * 50)
            self.assertTrue(all(reply.enhanced == "4.5.3" for reply in sent.rcpts[100:]))
            self.took(sent, 100)
            self.took(smtp.message("owner@example.net", recipients[100:]), 50)
        self.still_welcome(addr)

    def test_a_list_server_that_does_not_care(self):
        """150 recipients in one write, five times."""
        self.reeve(packaged_config("reeve-minimal.yaml") + BANS)
        addr = "198.51.100.21"
        for _ in range(5):
            with self.smtp(addr=addr) as smtp:
                replies = smtp.pipeline(["MAIL FROM:<owner@example.net>"] +
                                        ["RCPT TO:<list%d@example.com>" % i for i in range(150)] + ["RSET"])
                codes = [reply.code for reply in replies]
                self.assertEqual(codes, [250] * 101 + [452] * 50 + [250])
        self.still_welcome(addr)

    def test_a_relay_whose_sender_domains_time_out(self):
        self.reeve(SITE + "rules: [{ name: banned, check: ban }, { name: d, check: sender_domain, on_error: defer }]" + BANS)
        addr = "198.51.100.22"
        replies, errors = [], []

        def work(number):
            try:
                with self.smtp(addr=addr) as smtp:
                    for i in range(8):
                        domain = "slow%d-%d.test" % (number, i)
                        self.dns.behave(domain, "SILENT")
                        replies.extend(smtp.message("bounce@" + domain, ["u%d@example.com" % j for j in range(3)]).rcpts)
                        replies.extend(smtp.message("sender@example.net", ["user@example.com"]).rcpts)
            except BaseException as error:  # given to the test's own thread
                errors.append(error)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(errors, [])
        self.assertEqual(len(replies), 8 * 8 * 4)
        self.assertTrue(all((reply.code, reply.enhanced) in ((250, "2.1.5"), (451, "4.4.3")) for reply in replies),
                        {(reply.code, reply.enhanced) for reply in replies})
        self.assertIn(451, [reply.code for reply in replies])
        self.still_welcome(addr)

    def provider(self, per_session, sessions, good, dead):
        """`sessions` connections with `per_session` messages each, all from one address; all replies to RCPT."""
        path = self.postfix.etc + "/virtual"
        known = "".join("u%d@example.com u%d\n" % (i, i) for i in range(400))
        self.postfix.write("virtual", known + "@example.com catcher\n")
        self.reeve(SITE + 'rules: [{ name: banned, check: ban }, { name: c, check: catchall, maps: ["file:%s"] }]' % path +
                   BANS)
        replies, number = [], 0
        for _ in range(sessions):
            with self.smtp(addr="198.51.100.23") as smtp:
                for _ in range(per_session):
                    names = ["u%d@example.com" % ((number + i) % 400) for i in range(good)]
                    names[1:1] = ["dead%d@example.com" % (number + i) for i in range(dead)]
                    sent = smtp.message("sender@example.net", names)
                    self.assertEqual(sent.end.code, 250)
                    replies += zip(names, sent.rcpts)
                    number += good
        return replies

    def check_provider(self, replies):
        self.assertEqual(len(replies), 440)
        for name, reply in replies:
            wanted = (550, "5.1.1") if name.startswith("dead") else (250, "2.1.5")
            self.assertEqual((reply.code, reply.enhanced), wanted, (name, reply))
        self.still_welcome("198.51.100.23")

    def test_a_provider_with_40_dead_of_440_over_many_connections(self):
        self.check_provider(self.provider(1, 40, 10, 1))

    def test_a_provider_with_40_dead_of_440_over_one_connection(self):
        """Each message that gets through forgives, so the connection is not dropped at its twentieth either."""
        self.check_provider(self.provider(8, 1, 50, 5))


class PackagedLines(Bench):
    """The lines as they are, Postfix's own limits at their defaults."""

    def test_150_recipients(self):
        self.reeve(packaged_config("reeve-minimal.yaml") + BANS)
        with self.smtp(addr="198.51.100.24") as smtp:
            sent = smtp.message("owner@example.net", ["list%d@example.com" % i for i in range(150)])
            self.assertEqual(sent.codes(), [250] * 100 + [452] * 50)
            self.took(sent, 100)
            self.took(smtp.message("owner@example.net", ["list%d@example.com" % i for i in range(100, 150)]), 50)


if __name__ == "__main__":
    main()

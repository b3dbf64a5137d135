# SPDX-License-Identifier: ISC
"""What `reevectl postfix apply` promises, proved with mail: Debian's stock configuration and that of a small provider are
set up by it alone, then a real Postfix takes mail on ports 25 and 587 and Reeve answers. The test runs in a network of its own,
so that clients really have the addresses that must not show.
"""

import os

from harness import PrivateDir, Reeved, Smtp, main, unittest
from postfix_tree import CLIENT, SERVER, SUBMISSION, Running, Sink, Tree, needs_stock, own_network, received_lines
from smtp import Closed

HELO = "laptop-7.hotel.invalid"

# Lines that other servers wrote; they must arrive as they were.
FOREIGN = """\
Received: from mail.other.invalid (mail.other.invalid [203.0.113.77])
\tby relay.other.invalid (Postfix) with ESMTPS id 4ZzYyXx12
\tfor <ann@customer.example>; Tue, 24 Nov 2026 08:00:00 +0000 (UTC)
Received: from [192.168.7.7] (unknown [203.0.113.78])
\t(Authenticated sender: somebody)
\tby mail.other.invalid (Postfix) with ESMTPSA id 4ZzYyXx13;
\tTue, 24 Nov 2026 07:59:00 +0000 (UTC)"""

RULES = """\
rules:
  - { name: banned, check: ban }
  - { name: ehlo-names, check: helo, names: [ylmf-pc, "*.bad.invalid"] }
  - { name: literals, check: address_literal, accept: [192.0.2.99] }
  - { name: catchall, check: catchall, maps: ["context:catchall"] }
  - { name: local-sender, check: local_sender, allow: authenticated }
  - { name: per-message, check: recipients, limit: 3 }
  - { name: hourly, check: rate, per: login, limit: 100/1h }
bans: { mode: enforce, disconnect_at: 4, on_disconnect: yes, duration: 1h, never: [203.0.113.1] }
"""


class MailBench(unittest.TestCase):
    """Sets a tree up, applies, starts everything. Subclasses say which tree."""

    reeve_text = ""

    @classmethod
    def make_tree(cls, root):
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls.dir = PrivateDir()
        cls.addClassCleanup(cls.dir.close)
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        root = os.path.join(cls.dir.path, "mail")
        os.mkdir(root)
        cls.tree = cls.make_tree(root)
        cls.postfix = Running(cls.tree, cls.sink.port)
        cls.prepare()
        cls.reeved = Reeved("", root=cls.dir.path, socket_path=cls.postfix.socket_path, memory=True)
        # reevectl and reeved share the file, whose sockets are the test's.
        cls.reeved.config = cls.tree.config
        cls.reeved.write(cls.reeve_text)
        cls.before = cls.tree.bytes()
        cls.applied = cls.tree.ctl("apply")
        if cls.applied.code:
            raise AssertionError(cls.applied)
        cls.reeved.start()
        cls.addClassCleanup(cls.reeved.close)
        cls.postfix.start()
        cls.addClassCleanup(cls.postfix.stop)

    @classmethod
    def prepare(cls):
        pass

    def connect(self, port, source=CLIENT, helo=HELO):
        smtp = Smtp(port, source=source, server=SERVER)
        self.addCleanup(smtp.close)
        if helo:
            self.assertEqual(smtp.ehlo(helo).code, 250)
        return smtp

    def login(self, name, port=587, helo=HELO, source=CLIENT):
        smtp = self.connect(port, helo=helo, source=source)
        self.assertEqual(smtp.auth_plain(name).code, 235)
        return smtp

    def took(self, sent):
        self.assertEqual(sent.end and sent.end.code, 250, sent.replies())

    def unban(self):
        """A reeved without memory of bans: everything of it lives in the process."""
        self.reeved.restart()


class Promises:
    """What holds on both. `local` is a recipient of ours, `origin` where logins live."""

    def test_check_finds_nothing(self):
        done = self.tree.ctl("check")
        self.assertEqual((done.code, done.out), (0, "Postfix and Reeve fit together.\n"), done)

    def test_second_apply_changes_nothing(self):
        before = self.tree.bytes()
        done = self.tree.ctl("apply")
        self.assertEqual((done.code, done.out), (0, "nothing to change\n"), done)
        self.assertEqual(self.tree.bytes(), before)

    def test_submitted_message_shows_no_client(self):
        smtp = self.login("ann@" + self.origin)
        sent = smtp.message("ann@" + self.origin, ["friend@elsewhere.invalid"], "Subject: submitted\r\n\r\nhello")
        self.took(sent)
        header, _ = self.sink.wait("submitted")
        self.assertNotIn(CLIENT, header)
        self.assertNotIn(HELO, header)
        self.assertNotIn("hotel", header)
        # Still traceable: the queue id of the log stands there.
        self.assertTrue(any("by " in line and " id " in line for line in received_lines(header)), header)

    def test_attached_message_keeps_its_lines(self):
        smtp = self.login("ann@" + self.origin)
        text = ("Subject: forwarded\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n"
                "Received: from a.example (a.example [203.0.113.9])\n\tby " + self.hostname +
                " (Postfix) with ESMTP id 4AbCdEf;\n\tTue, 24 Nov 2026 08:00:00 +0000 (UTC)\nSubject: inner\n\nx\n")
        self.took(smtp.message("ann@" + self.origin, ["friend@elsewhere.invalid"], text.replace("\n", "\r\n")))
        self.sink.wait("forwarded")
        body = next(text for _, text in self.sink.messages if "Subject: forwarded" in text)
        self.assertIn("from a.example (a.example [203.0.113.9])", body)

    def test_foreign_received_lines_stay(self):
        smtp = self.connect(25)
        text = FOREIGN + "\nSubject: from-outside\n\nhello"
        self.took(smtp.message("someone@other.invalid", [self.local], text.replace("\n", "\r\n")))
        header, _ = self.sink.wait("from-outside")
        self.assertIn(FOREIGN, header)
        # What comes from outside stays traceable, too.
        self.assertIn(CLIENT, header)

    def test_submission_keeps_foreign_lines(self):
        smtp = self.login("ann@" + self.origin)
        text = FOREIGN + "\nSubject: resent\n\nhello"
        self.took(smtp.message("ann@" + self.origin, ["friend@elsewhere.invalid"], text.replace("\n", "\r\n")))
        header, _ = self.sink.wait("resent")
        self.assertIn(FOREIGN, header)
        self.assertNotIn(CLIENT, header)

    def test_banner(self):
        for port in (25, 587):
            smtp = self.connect(port, helo=None)
            self.assertEqual(smtp.greeting.text, "%s ESMTP %s" % (self.hostname, self.domain))

    def test_ehlo_name_before_login_on_every_port(self):
        for port in (25, 587):
            for name in ("ylmf-pc", "YLMF-PC.", "host7.bad.invalid"):
                with self.subTest(port=port, name=name):
                    smtp = self.connect(port, helo=None, source="198.51.100.8")
                    self.assertEqual(smtp.ehlo(name).code, 221)
                    self.assertTrue(smtp.closed())
        self.assertIn("non-SMTP command from", self.postfix.log())
        self.unban()

    def test_names_that_are_like_it_pass(self):
        for name in ("ylmf-pc.example", "bad.invalid", "xylmf-pc"):
            self.assertEqual(self.connect(25, helo=None).ehlo(name).code, 250, name)

    def test_limit_holds_for_logins(self):
        smtp = self.login("busy@" + self.origin)
        for number in range(34):
            sent = smtp.message("busy@" + self.origin, ["a%d-%d@elsewhere.invalid" % (number, i) for i in range(3)])
            if 450 in sent.codes():
                break
        self.assertEqual(number, 33)
        self.assertEqual(sent.codes(), [250, 450, 450])

    def test_surplus_of_recipients_is_no_error(self):
        """smtpd_recipient_limit is that of the rule, so Postfix itself says 452 and goes on."""
        smtp = self.login("ann@" + self.origin)
        sent = smtp.message("ann@" + self.origin, ["b%d@elsewhere.invalid" % i for i in range(12)])
        self.assertEqual(sent.codes(), [250] * 3 + [452] * 9)
        self.took(sent)

    def test_disconnect_and_ban(self):
        """So many bad recipients end the connection and ban the address, and no other one."""
        source = "198.51.100.9"
        smtp = self.connect(25, source=source)
        codes = []
        try:
            for _ in range(8):
                smtp.mail(self.local)
                codes.append(smtp.rcpt(self.local).code)
                smtp.cmd("RSET")
        except (Closed, ConnectionError):
            pass
        self.assertEqual(codes[:3], [553] * 3, codes)
        self.assertLessEqual(len(codes), 5, codes)
        self.assertTrue(smtp.closed())
        again = self.connect(25, source=source)
        self.assertEqual(again.mail("x@other.invalid").code, 250)
        reply = again.rcpt(self.local)
        self.assertEqual(reply.code, 421, reply)
        self.assertIn("is blocked until", reply.text)
        self.took(self.connect(25).message("x@other.invalid", [self.local]))

    def test_reeve_away(self):
        """Mail from outside passes, submission comes back later."""
        self.reeved.term()
        try:
            self.took(self.connect(25).message("someone@other.invalid", [self.local]))
            self.assertEqual(self.login("ann@" + self.origin).message("ann@" + self.origin, ["f@elsewhere.invalid"]).codes(), [451])
        finally:
            self.reeved.start()

    def test_open_to_nobody(self):
        # Postfix's default, and Debian's, is to defer.
        self.assertEqual(self.connect(25).message("someone@other.invalid", ["victim@elsewhere.invalid"]).codes(), [454])
        self.assertEqual(self.connect(587).message("someone@other.invalid", ["victim@elsewhere.invalid"]).codes(), [554])


class StockTest(Promises, MailBench):
    """Debian's main.cf and master.cf as they come with the package, and its submission service with the comments taken off."""

    hostname, domain, origin, local = "mx.example.com", "example.com", "example.com", "user@example.com"
    reeve_text = 'postfix: { hide_clients: [submission], banner: "$myhostname ESMTP %LOCALDOMAIN%" }\n' + RULES

    @classmethod
    def make_tree(cls, root):
        return Tree.stock(root, master_extra=SUBMISSION)

    @classmethod
    def prepare(cls):
        # What Debian's installer asks for.
        cls.tree.postconf("-e", "myhostname=mx.example.com", "myorigin=example.com", "mydestination=example.com, localhost",
                          "recipient_delimiter=+", "alias_maps=", "local_recipient_maps=inline:{user=x,postmaster=x}",
                          "smtpd_relay_restrictions=permit_mynetworks permit_sasl_authenticated defer_unauth_destination",
                          "mynetworks=127.0.0.0/8")

    def test_literal(self):
        """Our extra address is ours with the users we have, another one is not."""
        smtp = self.connect(25)
        self.assertEqual(smtp.mail("x@other.invalid").code, 250)
        self.assertEqual(smtp.rcpt("user@[192.0.2.99]").code, 250)
        self.assertEqual(smtp.rcpt("nobody@[192.0.2.99]").code, 550)
        self.assertEqual(smtp.rcpt("user@[203.0.113.55]").code, 454)

    def test_undo_gives_the_same_bytes(self):
        after = self.lines()
        done = self.tree.ctl("apply", "--undo")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.tree.bytes(), self.before)
        self.assertEqual(self.tree.ctl("apply").code, 0)
        self.assertEqual(self.lines(), after)

    def lines(self):
        """postconf adds several settings in an order of its own each time."""
        return {name: sorted(data.splitlines()) for name, data in self.tree.bytes().items()}


class ProviderTest(Promises, MailBench):
    hostname, domain, origin, local = "mail.isp.example", "isp.example", "customer.example", "ann@customer.example"
    reeve_text = 'postfix: { hide_clients: [submission, submissions], banner: "$myhostname ESMTP %LOCALDOMAIN%" }\n' + RULES

    @classmethod
    def make_tree(cls, root):
        return Tree.provider(root)

    @classmethod
    def prepare(cls):
        # No scanner runs here: what it would be given goes to the sink at once.
        cls.tree.postconf("-e", "content_filter=scan:[127.0.0.1]:%d" % cls.sink.port)
        cls.tree.postconf("-e", "myorigin=customer.example")

    def test_catchall(self):
        """Only names of their own get mail: of an alias map, a mailbox map, with an extension; postmaster always does."""
        smtp = self.connect(25)
        self.assertEqual(smtp.mail("x@other.invalid").code, 250)
        for known in ("info@shop.example", "sales@shop.example", "info+tag@shop.example", "ann@customer.example"):
            self.assertEqual(smtp.rcpt(known).code if known != "ann@customer.example" else 250, 250, known)
        smtp.cmd("RSET")
        self.assertEqual(smtp.mail("x@other.invalid").code, 250)
        self.assertEqual(smtp.rcpt("postmaster@shop.example").code, 250)
        reply = smtp.rcpt("anything@shop.example")
        self.assertEqual((reply.code, reply.enhanced), (550, "5.1.1"), reply)
        self.assertEqual(smtp.rcpt("nobody@customer.example").code, 550)
        self.unban()

    def test_catchall_of_a_login(self):
        self.assertEqual(self.login("ann@customer.example").message("ann@customer.example", ["what@shop.example"]).codes(), [550])

    def test_literal(self):
        smtp = self.connect(25)
        self.assertEqual(smtp.mail("x@other.invalid").code, 250)
        self.assertEqual(smtp.rcpt("ann@[192.0.2.99]").code, 250)
        self.assertEqual(smtp.rcpt("ann@[203.0.113.55]").code, 454)
        self.assertEqual(smtp.rcpt("nobody@[192.0.2.99]").code, 550)
        self.unban()

    def test_reinjection_is_not_asked(self):
        smtp = Smtp(10025)
        self.addCleanup(smtp.close)
        self.assertEqual(smtp.ehlo("filter.invalid").code, 250)
        self.took(smtp.message("ann@customer.example", ["scanned@elsewhere.invalid"], "Subject: scanned\r\n\r\nx"))
        self.sink.wait("scanned")
        self.took(self.connect(25).message("later@other.invalid", [self.local]))
        self.reeved.wait_log("sender=later@other.invalid")
        self.assertEqual(self.reeved.log("scanned@elsewhere.invalid"), [])


if __name__ == "__main__":
    needs_stock()
    own_network(__file__)
    main()

# SPDX-License-Identifier: ISC
"""The PTR check: no name is a fact, no answer is not. Through a real Postfix that looks up no names itself."""

import re

from harness import MISDEEDS, Bench, Smtp, main, reverse_name

REJECT = "rules: [{ name: ptr, check: ptr, on_missing: reject }]\n"
MARK = "rules: [{ name: ptr, check: ptr, on_missing: mark }]\n"


class Ptr(Bench):
    memory = True
    hosts = iter("198.51.100.%d" % i for i in range(10, 250))

    def one(self, how=None, ptr=None, **who):
        """A message from a client that Postfix knows no name of; how its address behaves in DNS. (address, what was sent)"""
        addr = who.pop("addr", None) or next(self.hosts)
        if how:
            self.dns.behave(reverse_name(addr), how)
        if ptr:
            self.dns.ptr(addr, ptr)
        with self.smtp(addr=addr, **{"name": None, **who}) as smtp:
            return addr, smtp.message("sender@example.net", ["user@example.com", "alice@example.com", "bob@example.com"])

    def queries(self, addr):
        return self.dns.count(reverse_name(addr), "PTR")

    def test_none_is_refused(self):
        self.reeve(REJECT)
        for how in ("NXDOMAIN", "NODATA"):
            with self.subTest(how=how):
                addr, sent = self.one(how)
                self.assertEqual([(reply.code, reply.enhanced) for reply in sent.rcpts], [(550, "5.7.25")] * 3)
                self.assertGreaterEqual(self.queries(addr), 1)

    def test_none_is_remembered(self):
        """Three recipients and a second message cost one query."""
        self.reeve(REJECT)
        addr, _ = self.one("NXDOMAIN")
        self.one(addr=addr)
        self.assertEqual(self.queries(addr), 1)

    def test_none_is_marked_once_a_message(self):
        self.reeve(MARK)
        for how in ("NXDOMAIN", "NODATA"):
            with self.subTest(how=how):
                _, sent = self.one(how)
                self.took(sent, 3)
                queue_id = re.search(r"queued as (\S+)", sent.end.text).group(1)
                self.postfix.wait_log(queue_id + ": removed")
                marks = re.findall(queue_id + r": warning: header X-Reeve-PTR: none from", self.postfix.maillog())
                self.assertEqual(len(marks), 1)

    def test_there_is_one(self):
        self.reeve(REJECT)
        addr, sent = self.one(ptr="mail.example.net")
        self.took(sent, 3)
        self.assertEqual(self.queries(addr), 1)

    def test_no_answer_is_never_refused_nor_marked(self):
        for text in (REJECT, MARK):
            self.reeve(text)
            for how in MISDEEDS:
                with self.subTest(rule=text, how=how):
                    addr, sent = self.one(how)
                    self.took(sent, 3)
                    self.postfix.wait_log(re.search(r"queued as (\S+)", sent.end.text).group(1) + ": removed")
                    self.assertNotIn("X-Reeve-PTR: none from unknown[%s]" % addr, self.postfix.maillog())

    def test_an_answer_by_tcp_counts(self):
        self.reeve(REJECT)
        _, sent = self.one("TC")
        self.assertEqual(sent.codes(), [550] * 3)
        _, sent = self.one("TC", ptr="mail.example.net")
        self.took(sent, 3)

    def test_look_ups_switched_off(self):
        """smtpd_peername_lookup=no: Postfix says `unknown` for everyone; only DNS itself counts."""
        self.reeve(REJECT)
        addr = next(self.hosts)
        self.dns.ptr(addr, "mail.example.net")
        with Smtp(self.postfix.port("smtp")) as smtp:
            smtp.xclient(addr=addr)
            smtp.ehlo()
            self.took(smtp.message("sender@example.net", ["user@example.com"]), 1)
        addr = next(self.hosts)
        self.dns.behave(reverse_name(addr), "SILENT")
        with Smtp(self.postfix.port("smtp")) as smtp:
            smtp.xclient(addr=addr)
            smtp.ehlo()
            self.took(smtp.message("sender@example.net", ["user@example.com"]), 1)

    def test_a_name_that_postfix_knows_costs_no_query(self):
        self.reeve(REJECT)
        for who in ({"name": "mail.example.net"}, {"name": None, "reverse_name": "unverified.example.net"}):
            with self.subTest(**who):
                addr, sent = self.one("NXDOMAIN", **who)
                self.took(sent, 3)
                self.assertEqual(self.dns.count(reverse_name(addr)), 0)

    def test_never_for_logins_and_local_clients(self):
        self.reeve(REJECT)
        for who in ({"login": "alice@example.com"}, {"addr": "10.1.2.3"}, {"addr": "192.168.7.7"}):
            with self.subTest(**who):
                addr, sent = self.one("NXDOMAIN", **who)
                self.took(sent, 3)
                self.assertEqual(self.dns.count(reverse_name(addr)), 0)

    def test_at_every_stage(self):
        """smtpd_delay_reject=no: asked at CONNECT already, where a login may still follow; decided when that is known."""
        self.reeve(REJECT)
        addr = next(self.hosts)
        with self.smtp("stages", addr=addr, name=None) as smtp:
            reply = smtp.mail("sender@example.net")
            self.assertEqual((reply.code, reply.enhanced), (550, "5.7.25"), reply)


if __name__ == "__main__":
    main()

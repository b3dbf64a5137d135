# SPDX-License-Identifier: ISC
"""The sender's domain: every outcome of the check with its reply, and not one 5xx while DNS is broken, in whatever way."""

import time

from harness import MISDEEDS, Bench, Reeved, main, packaged_config, request, wait_for

CONFIG = """\
site: { origin: example.com, domains: [example.com], addresses: [192.0.2.25], privileged_networks: [192.0.2.240/28] }
rules:
  - { name: sender-domain, check: sender_domain, on_error: defer }
"""

# What has no answer at all or one that cannot be trusted.
UNKNOWN = MISDEEDS


class SenderDomain(Bench):
    memory = True

    def reply_to(self, sender, **who):
        with self.smtp(**who) as smtp:
            mail = smtp.mail(sender)
            return mail if mail.code != 250 else smtp.rcpt("user@example.com")

    def expect(self, sender, code, enhanced="", text="", **who):
        """Through Postfix, and Reeve itself: Postfix turns 5.1.8, which is about a sender, into 5.1.2 in a reply to RCPT."""
        with self.subTest(sender=sender, **who):
            reply = self.reply_to(sender, **who)
            seen = {"": "2.1.5", "5.1.8": "5.1.2"}.get(enhanced, enhanced)
            self.assertEqual((reply.code, reply.enhanced), (code, seen), reply)
            self.assertIn(text, reply.text)
            action = self.reeved.ask(request(sender=sender, sasl_username=who.get("login", ""), instance=self.instance(),
                                             client_address=who.get("addr", "198.51.100.7")))
            self.assertTrue(action.startswith("%d %s " % (code, enhanced) if enhanced else "DUNNO"), action)

    def test_good_ones(self):
        self.reeve(CONFIG)
        self.dns.mx("mx.test", "mail.example.net").a("a.test", "198.51.100.1").a("aaaa.test", "2001:db8::1")
        self.dns.mx("v6mx.test", "v6.test").a("v6.test", "2001:db8::1")
        self.dns.mx("one-good.test", "nowhere.test", "mail.example.net").cname("alias.test", "mx.test")
        self.dns.mx("xn--bcher-kva.test", "mail.example.net")
        for domain in ("mx.test", "MX.Test", "mx.test.", "a.test", "aaaa.test", "v6mx.test", "one-good.test", "alias.test",
                       "xn--bcher-kva.test"):
            self.expect("sender@" + domain, 250)

    def test_a_domain_in_its_own_letters(self):
        self.reeve(CONFIG)
        self.dns.mx("xn--bcher-kva.test", "mail.example.net")
        for domain, code in (("b\u00fccher.test", 250), ("b\u00e4cher.test", 550)):
            with self.smtp() as smtp:
                self.assertEqual(smtp.mail("sender@" + domain, "SMTPUTF8").code, 250)
                self.assertEqual(smtp.rcpt("user@example.com").code, code)

    def test_never_asked(self):
        self.reeve(CONFIG)
        for sender in ("", "user@example.com", "USER@EXAMPLE.COM.", "user", "sender@[192.0.2.1]",
                       "sender@[IPv6:2001:db8::1]"):
            self.expect(sender, 250)
        self.assertEqual(self.dns.count(), 0)

    def test_nothing_there(self):
        self.reeve(CONFIG)
        self.dns.behave("nodata.test", "NODATA")
        for domain in ("nxdomain.test", "nodata.test"):
            self.expect("sender@" + domain, 550, "5.1.8", domain + ": sender domain not found")
        self.expect("sender@nxdomain.test", 550, "5.1.8", login="alice@example.com")

    def test_null_mx(self):
        self.reeve(CONFIG)
        self.dns.mx("null.test", ".").a("null.test", "198.51.100.1")
        self.expect("sender@null.test", 550, "5.7.27")

    def test_no_mail_server_with_a_usable_address(self):
        self.reeve(CONFIG)
        self.dns.mx("dead-mx.test", "nowhere.test", "empty.test").behave("empty.test", "NODATA")
        self.expect("sender@dead-mx.test", 550, "5.1.8")
        for number, address in enumerate("127.0.0.1 127.9.9.9 0.0.0.0 169.254.1.1 224.0.0.5 239.1.1.1 ::1 :: fe80::1 ff02::1 "
                                         "::ffff:127.0.0.1".split()):
            domain = "bad%d.test" % number
            self.dns.mx(domain, "mail." + domain).a("mail." + domain, address)
            self.expect("sender@" + domain, 550, "5.1.8")
        self.dns.mx("half-bad.test", "mail.half-bad.test").a("mail.half-bad.test", "127.0.0.1", "198.51.100.1")
        self.expect("sender@half-bad.test", 250)

    def test_no_answer_defers(self):
        self.reeve(CONFIG)
        for how in UNKNOWN:
            # A good answer in between: a resolver that is dead for all is another case.
            name = how.lower().replace("_", "-")
            self.dns.mx("good-%s.test" % name, "mail.example.net").behave("%s.test" % name, how)
            self.expect("sender@good-%s.test" % name, 250)
            self.expect("sender@%s.test" % name, 451, "4.4.3")

    def test_a_mail_server_without_an_answer_defers(self):
        self.reeve(CONFIG)
        self.dns.mx("tempmx.test", "broken.test").behave("broken.test", "SERVFAIL")
        self.expect("sender@tempmx.test", 451, "4.4.3")
        self.dns.mx("mixed.test", "broken.test", "mail.example.net")
        self.expect("sender@mixed.test", 250)

    def test_no_answer_passes_with_a_login_or_privilege(self):
        self.reeve(CONFIG)
        for number, how in enumerate(("SERVFAIL", "REFUSED", "SILENT")):
            self.dns.behave("u%d.test" % number, how)
            self.expect("sender@u%d.test" % number, 250, login="alice@example.com")
        for sender in ("sender@nxdomain.test", "sender@u0.test"):
            self.expect(sender, 250, addr="192.0.2.241")

    def test_an_error_is_soon_forgotten(self):
        """Nothing that went wrong is remembered longer than five seconds."""
        self.reeve(CONFIG)
        self.dns.behave("ill.test", "SERVFAIL")
        self.expect("sender@ill.test", 451, "4.4.3")
        self.dns.forget()
        self.zone()
        self.dns.mx("ill.test", "mail.example.net")
        wait_for("the domain to be well again", lambda: self.reply_to("sender@ill.test").code == 250, 8)


class Broken(Bench):
    """All of DNS broken in one way, everything that asks DNS enforced."""
    memory = True

    def test_not_one_5xx(self):
        text = packaged_config("reeve-minimal.yaml")
        strict = CONFIG + "  - { name: ptr, check: ptr, on_missing: reject, confirm: yes }\n"
        senders = ["sender@" + domain for domain in
                   ("example.net", "gone.test", "xn--bcher-kva.test", "x" * 60 + ".test", "_odd.test")]
        for config in (text, strict):
            reeved = self.reeve(config)
            for how in MISDEEDS:
                with self.subTest(how=how, strict=config is strict):
                    self.dns.forget()
                    self.dns.default = how
                    reeved.fresh(config)
                    for number, sender in enumerate(senders):
                        with self.smtp(addr="198.51.100.%d" % (100 + number), name=None) as smtp:
                            began = time.monotonic()
                            sent = smtp.message(sender, ["user@example.com"])
                            self.assertLess(time.monotonic() - began, 4.0)
                            self.assertTrue(all(reply.code < 500 for reply in sent.replies()), sent.replies())

    def test_nobody_answers_at_the_resolvers_port(self):
        reeved = Reeved(CONFIG, root=self.dir.path, socket_path=self.socket_path, memory=True)
        self.addCleanup(reeved.close)
        reeved.fresh(CONFIG)
        with self.smtp(name=None) as smtp:
            for _ in range(8):
                sent = smtp.message("sender@gone.test", ["user@example.com"])
                self.assertIn(sent.codes(), ([250], [451]))

    def test_dead_for_long_it_is_not_waited_for(self):
        """After a few time-outs the resolver is known to be dead: mail passes, at once."""
        self.dns.default = "SILENT"
        self.reeve(CONFIG)
        times, codes = [], []
        with self.smtp(name=None) as smtp:
            for number in range(30):
                began = time.monotonic()
                codes += smtp.message("sender@dead%d.test" % number, ["user@example.com"]).codes()
                times.append(time.monotonic() - began)
        self.assertTrue(set(codes) <= {250, 451}, codes)
        self.assertEqual(codes[-1], 250, codes)
        self.assertLess(sorted(times)[len(times) // 2], 0.15, times)


if __name__ == "__main__":
    main()

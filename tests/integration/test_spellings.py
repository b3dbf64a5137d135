# SPDX-License-Identifier: ISC
"""Every spelling of a local address that Postfix delivers as local is local for Reeve too.

Postfix itself is the judge: what its service without Reeve takes from a stranger is local, what it refuses to relay is not.
"""

import re

from harness import Bench, main

SITE = """\
site:
  origin: example.com
  domains: [example.com, localhost, "b\u00fccher.example"]
  addresses: [127.0.0.1]
"""
SENDER = SITE + "rules: [{ name: local-sender, check: local_sender, allow: authenticated }]\n"
CATCHALL = SITE + 'rules: [{ name: catchall, check: catchall, maps: ["file:%s"] }]\n'

# {} stands for the mailbox. The last word of a line: needs SMTPUTF8.
SPELLINGS = """\
{}@example.com
{}@EXAMPLE.com
{}@Example.Com.
{}@example.com.
{}
"{}"@example.com
"{}"
{}+ext@example.com
"{}+e x t"@example.com
{}%example.com
{}%EXAMPLE.com.
{}%example.com@example.com
{}%example.com@localhost
"{}%example.com"@example.com
{}%example.com@[127.0.0.1]
{}@example.com@example.com
"{}@example.com"@example.com
example.com!{}
EXAMPLE.com!{}
example.com!{}@example.com
@relay.example:{}@example.com
@a.example,@b.example:{}@EXAMPLE.com
{}@localhost
{}@LOCALHOST.
{}@[127.0.0.1]
{}@xn--bcher-kva.example
{}@XN--BCHER-KVA.Example
{}@b\u00fccher.example UTF8
{}@B\u00dcCHER.example UTF8
{}@b\u00fccher.example. UTF8
{}%b\u00fccher.example UTF8
""".splitlines()

# Local too, but Postfix's own maps are looked up with the whole of it, so the catchall is what they find.
NESTED = [line for line in SPELLINGS
          if "[" in line or "@" in line and re.search(r"[%!]|@.*@", line.partition(":")[2] or line)]

# Postfix takes at least these from a stranger, so the test cannot pass by judging nothing.
SURELY = """{}@EXAMPLE.com|{}@example.com.|{}|"{}"@example.com|{}%example.com|example.com!{}|{}+ext@example.com|
{}@[127.0.0.1]|{}@xn--bcher-kva.example|{}@b\u00fccher.example UTF8|@relay.example:{}@example.com
""".replace("\n", "").split("|")

FOREIGN = """user@example.org user@example.com.org user@sub.example.com user@notexample.com user@[192.0.2.77]
user%example.com@example.org example.com@example.org "user@example.com"@example.org user@example.com@example.org""".split()


class Spellings(Bench):
    memory = True
    postfix_options = {"options": {name: {"smtpd_relay_restrictions": "reject_unauth_destination"}
                                   for name in ("plain", "smtp")}}

    def spelt(self, mailbox):
        for line in SPELLINGS:
            text, _, utf8 = line.partition(" UTF8") if line.endswith(" UTF8") else (line, "", "")
            yield line, text.replace("{}", mailbox), "SMTPUTF8" if line.endswith("UTF8") else utf8

    def local_for_postfix(self, address, parameters):
        with self.smtp("plain") as smtp:
            smtp.mail("", parameters)
            reply = smtp.rcpt(address)
        verdict = reply.code, reply.enhanced
        self.assertIn(verdict, ((250, "2.1.5"), (550, "5.1.1"), (554, "5.7.1"), (501, "5.1.3")), (address, reply))
        return verdict in ((250, "2.1.5"), (550, "5.1.1"))

    def test_as_sender(self):
        """A stranger may not send as any of them, a login may."""
        self.reeve(SENDER)
        judged = []
        for line, address, parameters in self.spelt("user"):
            with self.subTest(address=address):
                if not self.local_for_postfix(address, parameters):
                    continue
                judged.append(line)
                with self.smtp() as smtp:
                    self.assertEqual(smtp.mail(address, parameters).code, 250)
                    reply = smtp.rcpt("user@example.com")
                    self.assertEqual((reply.code, reply.enhanced), (553, "5.7.1"), reply)
                with self.smtp(login="alice@example.com") as smtp:
                    smtp.mail(address, parameters)
                    self.assertEqual(smtp.rcpt("user@example.com").code, 250)
        self.assertEqual(set(SURELY) - set(judged), set())

    def test_foreign_senders(self):
        self.reeve(SENDER)
        for address in FOREIGN:
            with self.subTest(address=address), self.smtp() as smtp:
                mail = smtp.mail(address)
                if mail.code == 250:
                    self.assertEqual(smtp.rcpt("user@example.com").code, 250)

    def test_as_recipient(self):
        """With a catchall: the mailbox that the map names passes in each spelling, another one is refused in each."""
        domains = ("example.com", "localhost", "xn--bcher-kva.example")
        path = self.postfix.etc + "/virtual"
        self.postfix.write("virtual", "".join("user@%s user\n@%s catcher\n" % (domain, domain) for domain in domains))
        self.reeve(CATCHALL % path)
        judged = 0
        for line, address, parameters in self.spelt("user"):
            if line in NESTED or not self.local_for_postfix(address, parameters):
                continue
            nobody = line.replace(" UTF8", "").replace("{}", "nobody")
            judged += 1
            with self.subTest(address=address), self.smtp() as smtp:
                smtp.mail("sender@example.net", parameters)
                reply = smtp.rcpt(address)
                self.assertNotIn("no such user", reply.text)
                reply = smtp.rcpt(nobody)
                self.assertEqual((reply.code, reply.enhanced), (550, "5.1.1"), reply)
                self.assertIn("no such user", reply.text)
        self.assertGreaterEqual(judged, 12)


if __name__ == "__main__":
    main()

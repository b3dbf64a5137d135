# SPDX-License-Identifier: ISC
"""Recipients an hour, counted through a real Postfix: exact, refunded, and once however often Postfix asks."""

import threading

from harness import LOGIN_RATE, Bench, Smtp, free_port, main, packaged_config, submission


def people(number, start=0, domain="example.com"):
    return ["u%d@%s" % (i, domain) for i in range(start, start + number)]


class Minimal(Bench):
    """config/reeve-minimal.yaml and the packaged lines, nothing else."""

    def check(self, service, domain):
        self.reeve(packaged_config("reeve-minimal.yaml"))
        with self.smtp(service, login="alice@example.com") as smtp:
            for start in (0, 100):
                self.took(smtp.message("alice@example.com", people(100, start, domain)), 100)
            sent = smtp.message("alice@example.com", people(1, 200, domain))
            self.refused(sent.rcpts[0], 200, 200)
        with self.smtp(service, login="alice@example.com", addr="203.0.113.9") as smtp:
            self.refused(smtp.message("alice@example.com", people(1, 201, domain)).rcpts[0], 200, 200)
        with self.smtp(service, login="bob@example.com") as smtp:
            self.took(smtp.message("bob@example.com", people(1, 0, domain)), 1)

    def test_port_25(self):
        self.check("smtp", "example.com")

    def test_submission(self):
        self.check("submission", "outside.example")

    def test_submissions_by_the_lists_in_main_cf(self):
        self.check("submissions", "outside.example")


class Refunds(Bench):
    """What Postfix refuses after Reeve has counted it is given back."""

    postfix_options = {"options": {"submission": {"smtpd_reject_unlisted_recipient": "yes"}}}
    services = ("smtp", "submission")

    def test_unknown_recipients_beside_good_ones(self):
        for service in self.services:
            with self.subTest(service=service):
                self.reeve(LOGIN_RATE % "20/1h")
                with self.smtp(service, login="alice@example.com") as smtp:
                    sent = smtp.message("alice@example.com", people(5) + ["dead%d@example.com" % i for i in range(12)])
                    self.assertEqual(sent.codes(), [250] * 5 + [550] * 12)
                    self.took(sent, 5)
                    self.took(smtp.message("alice@example.com", people(15)), 15)
                    self.refused(smtp.message("alice@example.com", ["user@example.com"]).rcpts[0], 20, 20)

    def test_all_recipients_unknown(self):
        """No DATA follows; the next message on the same policy connection shows that this one is over."""
        for service in self.services:
            with self.subTest(service=service):
                self.reeve(LOGIN_RATE % "20/1h")
                with self.smtp(service, login="alice@example.com") as smtp:
                    self.took(smtp.message("alice@example.com", people(1)), 1)
                    for _ in range(2):
                        sent = smtp.message("alice@example.com", ["dead%d@example.com" % i for i in range(9)])
                        self.assertEqual(sent.codes(), [550] * 9, sent.replies())
                    self.took(smtp.message("alice@example.com", people(19)), 19)
                    self.refused(smtp.message("alice@example.com", ["user@example.com"]).rcpts[0], 20, 20)

    def test_a_message_refused_at_data_is_given_back(self):
        """A name given twice counts twice, and is known at DATA only. It does not fit, so all of it is given back."""
        self.reeve(LOGIN_RATE % "2/1h")
        with self.smtp("submission", login="alice@example.com") as smtp:
            sent = smtp.message("alice@example.com", ["u1@example.com"] * 3)
            self.assertEqual(sent.codes(), [250] * 3)
            self.assertEqual(sent.data.code, 450, sent.data)
            self.took(smtp.message("alice@example.com", people(2)), 2)
            self.refused(smtp.message("alice@example.com", ["user@example.com"]).rcpts[0], 2, 2)


class Once(Bench):
    def test_recipients_data_and_end_of_message_all_ask(self):
        self.reeve(LOGIN_RATE % "10/1h")
        with self.smtp("submission", login="alice@example.com") as smtp:
            self.took(smtp.message("alice@example.com", people(4)), 4)
            self.took(smtp.message("alice@example.com", people(6)), 6)
            self.refused(smtp.message("alice@example.com", ["user@example.com"]).rcpts[0], 10, 10)

    def test_every_list_and_context_asks(self):
        """Six questions a recipient, two at DATA and at the end."""
        self.reeve(LOGIN_RATE % "10/1h")
        with self.smtp("contexts", login="alice@example.com") as smtp:
            self.took(smtp.message("alice@example.com", people(4)), 4)
            self.took(smtp.message("alice@example.com", people(6)), 6)
            self.refused(smtp.message("alice@example.com", ["user@example.com"]).rcpts[0], 10, 10)

    def test_a_refused_message_tried_again_is_judged_anew(self):
        reeved = self.reeve(LOGIN_RATE % "3/1h")
        with self.smtp("contexts", login="alice@example.com") as smtp:
            sent = smtp.message("alice@example.com", people(5))
            self.took(sent, 3)
            for reply in sent.rcpts[3:]:
                self.refused(reply, 3, 3)
        reeved.reload(LOGIN_RATE % "5/1h")
        reeved.wait_log("event=reloaded")
        with self.smtp("contexts", login="alice@example.com") as smtp:
            self.took(smtp.message("alice@example.com", people(2, 3)), 2)
            self.refused(smtp.message("alice@example.com", ["user@example.com"]).rcpts[0], 5, 5)

    def test_the_same_name_twice_counts_as_postfix_counts(self):
        self.reeve(LOGIN_RATE % "5/1h")
        with self.smtp("submission", login="alice@example.com") as smtp:
            self.took(smtp.message("alice@example.com", ["u1@example.com", "u1@example.com", "u2@example.com"]), 3)
            self.took(smtp.message("alice@example.com", people(2)), 2)
            self.refused(smtp.message("alice@example.com", ["user@example.com"]).rcpts[0], 5, 5)

    def test_all_spellings_of_a_login_are_one(self):
        self.reeve(LOGIN_RATE % "3/1h")
        for login in ("alice@example.com", "ALICE@Example.COM", "alice"):
            with self.smtp("submission", login=login) as smtp:
                self.took(smtp.message("alice@example.com", people(1)), 1)
        with self.smtp("submission", login="Alice+x@example.com") as smtp:
            self.refused(smtp.message("alice@example.com", people(1)).rcpts[0], 3, 3)

    def test_real_auth(self):
        """Not XCLIENT's LOGIN but AUTH PLAIN, on the packaged submission service."""
        self.reeve(LOGIN_RATE % "1/1h")
        with Smtp(self.postfix.port("submission")) as smtp:
            smtp.ehlo()
            self.assertEqual(smtp.auth_plain("alice@example.com").code, 235)
            self.took(smtp.message("alice@example.com", people(1)), 1)
            self.refused(smtp.message("alice@example.com", people(1)).rcpts[0], 1, 1)

    def test_messages(self):
        self.reeve("rules: [{ name: m, check: rate, per: login, count: messages, limits: [{ limit: 3/1h }] }]")
        with self.smtp("contexts", login="alice@example.com") as smtp:
            for _ in range(3):
                self.took(smtp.message("alice@example.com", people(4)), 4)
            reply = smtp.message("alice@example.com", people(1)).rcpts[0]
            self.assertEqual(reply.code, 450, reply)
            self.assertRegex(reply.text, r"3 of 3 messages used in 1h; try again in")


class OneEach(Bench):
    """The ways in which Postfix can reach Reeve, each with a limit of one."""

    def check(self):
        self.reeve(LOGIN_RATE % "1/1h")
        for service in ("submission", "smtp"):
            with self.smtp(service, login=service) as smtp:
                self.took(smtp.message("alice@example.com", people(1)), 1)
                self.refused(smtp.message("alice@example.com", people(1)).rcpts[0], 1, 1)


class Chrooted(OneEach):
    postfix_options = {"chroot": True}

    def test_socket_inside_the_chroot(self):
        self.check()


class OverTcp(OneEach):
    policy_port = free_port()
    postfix_options = {"reeve": "inet:127.0.0.1:%d" % policy_port}

    def test_tcp(self):
        self.check()


class AtOnce(Bench):
    """150 recipients over ten connections at a limit of 20."""

    connections, each, limit = 10, 15, 20

    def in_threads(self, work):
        """Runs work(number, barrier) on all connections at once; their results. Errors of any are raised here."""
        barrier = threading.Barrier(self.connections)
        results, errors = [None] * self.connections, []

        def run(number):
            try:
                results[number] = work(number, barrier)
            except BaseException as error:  # given to the test's own thread
                errors.append(error)
                barrier.abort()
        threads = [threading.Thread(target=run, args=(number,)) for number in range(self.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        if errors:
            raise errors[0]
        return results

    def test_policy_connections(self):
        reeved = self.reeve(LOGIN_RATE % ("%d/1h" % self.limit))

        def work(number, barrier):
            instance = self.instance()
            with reeved.connect(by_unix=number % 2 == 0) as link:
                barrier.wait(20)
                return [link.ask(submission("alice@example.com", instance=instance, client_port=40000 + number,
                                            recipient="r%d-%d@outside.example" % (number, i))) for i in range(self.each)]
        actions = sum(self.in_threads(work), [])
        self.assertEqual(len(actions), 150)
        self.assertEqual(actions.count("DUNNO"), self.limit)
        self.assertTrue(all(action == "DUNNO" or action.startswith("450 4.7.1 ") for action in actions), actions)

    def test_through_postfix(self):
        self.reeve(LOGIN_RATE % ("%d/1h" % self.limit))

        def work(number, barrier):
            with self.smtp("submission", login="alice@example.com") as smtp:
                smtp.mail("alice@example.com")
                barrier.wait(20)
                replies = smtp.pipeline(["RCPT TO:<r%d-%d@outside.example>" % (number, i) for i in range(self.each)])
                taken = sum(reply.code == 250 for reply in replies)
                if taken:
                    self.assertEqual(smtp.data()[1].code, 250)
                self.assertTrue(all(reply.code in (250, 450) for reply in replies), replies)
                return taken
        self.assertEqual(sum(self.in_threads(work)), self.limit)
        with self.smtp("submission", login="alice@example.com") as smtp:
            self.refused(smtp.message("alice@example.com", people(1)).rcpts[0], self.limit, self.limit)


if __name__ == "__main__":
    main()

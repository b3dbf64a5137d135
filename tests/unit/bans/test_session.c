/* SPDX-License-Identifier: ISC */
/* bans_session(): what the log shows leads to bans, and what speaks against that. */
#include <criterion/criterion.h>

#include "tests/unit/bans/support.h"

#define LOG "bans: { mode: enforce, ban_at: 40/1h, max_per_minute: 1000, maillog: \"file:/x\" }\n"

static struct evidence session(const char *text, struct bans_session session)
{
	struct evidence evidence;

	session.client = address(text);
	if (!session.process)
		session.process = 77;
	bans_session(f.bans, &session, f.now, &evidence);
	return evidence;
}

static void answer(const char *text, enum bans_answer_kind kind, bool temporary, bool struck)
{
	struct bans_answer answer = {
		.kind = kind, .process = 77, .client = address(text), .temporary = temporary,
		.struck = struck,
	};

	bans_note_answer(f.bans, &answer, f.now);
}

Test(session, twenty_times_three_wrong_commands_ban)
{
	start(LOG);
	for (unsigned i = 0; i < 20 && !is_banned("198.51.100.7"); i++) {
		cr_expect_eq(session("198.51.100.7", (struct bans_session){ .failed_commands = 3 }).commands,
			     3);
		cr_expect_eq(is_banned("198.51.100.7"), i == 13, "40 are in the 14th");
		wait_ms(60 * SECOND_MS);
	}
	cr_expect(is_banned("198.51.100.7"));
	cr_expect_str_eq(find("198.51.100.7")->reason, "failed commands and recipients");
	cr_expect_str_eq(last(BANS_BANNED)->why, "strikes");
	cr_expect_eq(f.count, 1);
	stop();
}

Test(session, never_ban_networks_are_told_of_once_an_hour)
{
	start("bans: { mode: enforce, ban_at: 40/1h, maillog: \"file:/x\", never: [203.0.113.0/24] }\n");
	for (unsigned i = 0; i < 20; i++)
		session("203.0.113.9", (struct bans_session){ .failed_commands = 3 });
	cr_expect_not(is_banned("203.0.113.9"));
	cr_expect_eq(f.count, 1);
	cr_expect_str_eq(last(BANS_SPARED)->why, "protected");
	stop();
}

Test(session, a_good_login_spares_what_only_the_log_shows)
{
	struct ip ip = address("198.51.100.7");

	start(LOG);
	session("198.51.100.7", (struct bans_session){ .authenticated = true });
	for (unsigned i = 0; i < 20; i++)
		session("198.51.100.7", (struct bans_session){ .failed_commands = 3 });
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_eq(f.count, 1, "one warning");
	cr_expect_str_eq(last(BANS_SPARED)->why, "good_login");
	/* Reeve's own strikes are another matter. */
	for (unsigned i = 0; i < 39; i++)
		bans_strike(f.bans, &ip, SLICE("x"), f.now);
	cr_expect_not(is_banned("198.51.100.7"));
	bans_strike(f.bans, &ip, SLICE("x"), f.now);
	cr_expect(is_banned("198.51.100.7"));
	stop();
}

Test(session, failed_logins_of_a_trusted_address_are_told_once)
{
	start(LOG);
	session("198.51.100.7", (struct bans_session){ .authenticated = true });
	for (unsigned i = 0; i < 10; i++)
		session("198.51.100.7", (struct bans_session){ .failed_logins = 5 });
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_eq(f.count, 1);
	cr_expect_str_eq(last(BANS_SPARED)->why, "good_login");
	wait_ms(DAY_MS);
	for (unsigned i = 0; i < 4; i++)
		session("198.51.100.7", (struct bans_session){ .failed_logins = 5 });
	cr_expect(is_banned("198.51.100.7"), "trust lasts a day");
	cr_expect_str_eq(last(BANS_BANNED)->why, "auth_failures");
	stop();
}

Test(session, a_login_that_was_told_of_does_not_count_again)
{
	struct ip ip = address("198.51.100.7");

	start(LOG);
	for (unsigned i = 0; i < 19; i++)
		bans_auth_failure(f.bans, &ip, f.now);
	session("198.51.100.7", (struct bans_session){ .failed_logins = 19, .reported_logins = 19 });
	cr_expect_not(is_banned("198.51.100.7"));
	session("198.51.100.7", (struct bans_session){ .failed_logins = 1 });
	cr_expect(is_banned("198.51.100.7"));
	stop();
}

Test(session, mostly_good_recipients_spare)
{
	start(LOG);
	session("198.51.100.7", (struct bans_session){ .recipients = 1000, .refused_recipients = 40 });
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_str_eq(last(BANS_SPARED)->why, "bad_share");
	stop();
}

Test(session, one_good_recipient_a_session_is_no_excuse)
{
	start(LOG);
	for (unsigned i = 0; i < 8; i++)
		session("198.51.100.7",
			(struct bans_session){ .recipients = 1, .failed_commands = 5 });
	cr_expect(is_banned("198.51.100.7"), "40 of 48 are bad");
	stop();
}

Test(session, recipients_that_reeve_passed_and_postfix_refused)
{
	struct ip ip = address("198.51.100.7");

	start(LOG);
	for (unsigned i = 0; i < 40; i++) {
		answer("198.51.100.7", BANS_PASSED_RECIPIENT, false, false);
		bans_note_recipient(f.bans, &ip, false, f.now);
	}
	cr_expect_eq(session("198.51.100.7", (struct bans_session){ .recipients = 40,
								    .refused_recipients = 40 })
			     .recipients,
		     40);
	cr_expect(is_banned("198.51.100.7"), "40 of 40 are bad, not 40 of 80");
	stop();
}

Test(session, reeves_own_refusals_count_once)
{
	struct ip ip = address("198.51.100.7");

	start(LOG);
	for (unsigned i = 0; i < 39; i++) {
		answer("198.51.100.7", BANS_REFUSED_RECIPIENT, false, true);
		bans_note_recipient(f.bans, &ip, true, f.now);
		bans_strike(f.bans, &ip, SLICE("x"), f.now);
	}
	cr_expect_eq(session("198.51.100.7", (struct bans_session){ .recipients = 39,
								    .refused_recipients = 39 })
			     .recipients,
		     0);
	cr_expect_not(is_banned("198.51.100.7"));
	session("198.51.100.7", (struct bans_session){ .recipients = 1, .refused_recipients = 1 });
	cr_expect(is_banned("198.51.100.7"), "what was said belonged to that connection");
	stop();
}

Test(session, strikes_of_an_authenticated_session_go_to_the_login)
{
	start("bans: { mode: enforce, ban_at: 5/1h, login_strikes: 6/1h, maillog: \"file:/x\" }\n");
	for (unsigned i = 0; i < 3; i++)
		session("198.51.100.7",
			(struct bans_session){ .authenticated = true, .login = SLICE("alice"),
					       .recipients = 3, .refused_recipients = 3 });
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_eq(f.count, 1);
	cr_expect_str_eq(last(BANS_LOGIN_ALARM)->login, "alice");
	stop();
}

Test(session, on_disconnect_by_the_sum_of_both)
{
	start("bans: { mode: enforce, disconnect_at: 10, on_disconnect: yes, maillog: \"file:/x\" }\n");
	for (unsigned i = 0; i < 4; i++)
		answer("198.51.100.7", BANS_REFUSED_RECIPIENT, false, true);
	session("198.51.100.7", (struct bans_session){ .recipients = 6, .refused_recipients = 6,
						       .failed_commands = 3 });
	cr_expect_not(is_banned("198.51.100.7"), "4 of Reeve, 2 recipients, 3 commands");
	session("198.51.100.7", (struct bans_session){ .recipients = 6, .refused_recipients = 6,
						       .failed_commands = 3, .failed_logins = 1 });
	cr_expect(is_banned("198.51.100.7"));
	cr_expect_str_eq(last(BANS_BANNED)->why, "disconnect");
	stop();
}

Test(session, postfix_cut_it_off)
{
	start("bans: { mode: enforce, on_disconnect: yes, maillog: \"file:/x\" }\n");
	session("198.51.100.7", (struct bans_session){ .too_many_errors = true, .failed_commands = 1 });
	cr_expect_not(is_banned("198.51.100.7"), "under stress one error is enough for that");
	session("198.51.100.7", (struct bans_session){ .too_many_errors = true, .failed_commands = 4 });
	cr_expect(is_banned("198.51.100.7"));
	session("198.51.100.8", (struct bans_session){ .failed_commands = 4 });
	cr_expect_not(is_banned("198.51.100.8"));
	session("198.51.100.8",
		(struct bans_session){ .failed_commands = 25, .message_passed = true });
	cr_expect_not(is_banned("198.51.100.8"), "a message that passed forgave some of them");
	stop();
}

Test(session, on_disconnect_spares_a_good_login)
{
	start("bans: { mode: enforce, on_disconnect: yes, maillog: \"file:/x\" }\n");
	session("198.51.100.7", (struct bans_session){ .authenticated = true });
	session("198.51.100.7", (struct bans_session){ .failed_commands = 25 });
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_str_eq(last(BANS_SPARED)->why, "good_login");
	stop();
}

Test(session, monitor_and_off)
{
	start("bans: { mode: monitor, maillog: \"file:/x\" }\n");
	session("198.51.100.7", (struct bans_session){ .failed_commands = 50 });
	cr_expect_not(is_banned("198.51.100.7"));
	cr_expect_str_eq(last(BANS_WOULD_BAN)->why, "strikes");
	configure("bans: { mode: off, maillog: \"file:/x\" }\n");
	session("198.51.100.8", (struct bans_session){ .failed_commands = 50, .failed_logins = 50 });
	cr_expect_eq(f.count, 1);
	stop();
}

Test(session, without_maillog_nothing_is_kept)
{
	start("bans: { mode: enforce }\n");
	answer("198.51.100.7", BANS_REFUSED_RECIPIENT, false, true);
	cr_expect_eq(session("198.51.100.7", (struct bans_session){ .failed_commands = 50 }).commands,
		     0);
	cr_expect_eq(f.count, 0);
	stop();
}

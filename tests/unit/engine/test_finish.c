/* SPDX-License-Identifier: ISC */
/*
 * What follows from a verdict: strikes and who makes none, the end of a connection, what
 * transactions and connections remember.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine/fixture.h"

TestSuite(finish, .fini = fixture_stop);

#define OVER "421 4.7.0 too many errors in this connection"

static const char bans[] = "bans: {mode: enforce, disconnect_at: 3, ban_at: 10/1h}";

/* Of the request that ask() makes. */
static struct smtp_ids usual_ids(void)
{
	const struct smtp_names names = {
		.server_address = SLICE("192.0.2.25"),
		.server_port = SLICE("25"),
		.client_address = SLICE("198.51.100.7"),
		.client_port = SLICE("40001"),
		.instance = SLICE("1.1"),
	};
	struct smtp_ids ids;

	smtp_ids_read(&ids, &fixture.hash_key, &names, 1);
	return ids;
}

static uint32_t strikes(void)
{
	struct hash128 key = usual_ids().connection;
	const struct smtp_connection *connection =
		connections_find(fixture.connections, key, fixture.now.mono_ms);

	return connection ? connection->strikes : 0;
}

Test(finish, the_strike_that_fills_the_measure_ends_the_connection)
{
	start_one("guard", "bad", bans);
	is(answer("RCPT"), REFUSED);
	is(answer("RCPT recipient=2@example.com"), REFUSED);
	is(answer("RCPT recipient=3@example.com"), OVER);
	has(last_decision(), "action=disconnect rule=a reply=\"421 4.7.0 too");
	script("a", "next");
	is(answer("RCPT recipient=4@example.com"), OVER);
	has(last_decision(), "action=disconnect reason=too_many_errors reply=");
	cr_assert(script("a", NULL)->stepped == 3, "no rule is asked any more");
	is(answer("RCPT client_port=40002"), "DUNNO");
	is(fixture.bans_said, "");
}

Test(finish, recipient_rules_strike_once_a_recipient)
{
	start_one("guard", "bad", bans);
	for (unsigned i = 0; i < 5; i++)
		is(answer("RCPT policy_context=again"), REFUSED);
	cr_assert(strikes() == 1);
	is(answer("RCPT recipient=2@example.com"), REFUSED);
	cr_assert(strikes() == 2);
}

Test(finish, other_rules_strike_once_a_transaction)
{
	fixture_start("  - {name: a, check: look}\n  - {name: b, check: look}", bans);
	script("a", "bad");
	is(answer("RCPT"), REFUSED);
	is(answer("RCPT recipient=2@example.com"), REFUSED);
	is(answer("RCPT recipient=3@example.com"), REFUSED);
	cr_assert(strikes() == 1);
	script("a", "next");
	script("b", "bad");
	is(answer("RCPT recipient=3@example.com"), REFUSED);
	cr_assert(strikes() == 2, "another rule");
	is(answer("RCPT instance=2.2"), OVER);
}

Test(finish, before_a_transaction_every_refusal_strikes)
{
	start_one("look", "bad", bans);
	is(answer("MAIL"), REFUSED);
	is(answer("MAIL"), REFUSED);
	is(answer("MAIL"), OVER);
}

Test(finish, what_is_no_strike)
{
	fixture_start("  - {name: defers, check: look}\n"
		      "  - {name: quiet, check: look, strike: no}\n"
		      "  - {name: never, check: never}\n"
		      "  - {name: watched, check: look, mode: monitor}\n"
		      "  - {name: warns, check: look, action: warn}\n"
		      "  - {name: errs, check: look, on_error: defer}",
		      bans);
	script("defers", "bad:5 next");
	is(answer("MAIL"), "452 4.5.3 later");
	script("quiet", "bad next");
	is(answer("MAIL"), REFUSED);
	script("never", "bad next");
	is(answer("MAIL"), REFUSED);
	script("watched", "bad");
	script("warns", "bad");
	is(answer("MAIL"), "DUNNO");
	script("errs", "unknown:1 next");
	is(answer("MAIL"), "451 4.4.3 cannot look");
	cr_assert(strikes() == 0);
	script("defers", "bad:2 bad:4");
	is(answer("MAIL"), "521 5.7.1 go away");
	is(answer("MAIL"), "421 4.7.1 not now");
	cr_assert(strikes() == 2, "a disconnect strikes, the temporary one too");
}

Test(finish, a_message_that_passes_forgives)
{
	start_one("guard", "bad bad next", bans);
	is(answer("RCPT"), REFUSED);
	is(answer("RCPT recipient=2@example.com"), REFUSED);
	is(answer("RCPT recipient=3@example.com"), "DUNNO");
	is(answer("DATA recipient_count=1"), "DUNNO");
	cr_assert(strikes() == 2);
	is(answer("END-OF-MESSAGE recipient_count=1"), "DUNNO");
	cr_assert(strikes() == 0);
}

Test(finish, in_monitor_mode_nothing_is_cut_off)
{
	start_one("guard", "bad", "bans: {mode: monitor, disconnect_at: 1, on_disconnect: yes}");
	is(answer("RCPT"), REFUSED);
	is(answer("RCPT recipient=2@example.com"), REFUSED);
	is(answer("RCPT recipient=3@example.com"), REFUSED);
	is(fixture.bans_said, "would_ban ");
}

Test(finish, bans_off)
{
	start_one("guard", "bad", "bans: {mode: off, disconnect_at: 1, on_disconnect: yes}");
	is(answer("RCPT"), REFUSED);
	is(answer("RCPT recipient=2@example.com"), REFUSED);
	is(fixture.bans_said, "");
	cr_assert(strikes() == 0);
}

Test(finish, on_disconnect_bans_once)
{
	start_one("guard", "bad", "bans: {mode: enforce, disconnect_at: 2, on_disconnect: yes}");
	is(answer("RCPT"), REFUSED);
	is(answer("RCPT recipient=2@example.com"), OVER);
	is(fixture.bans_said, "ban ");
	is(answer("RCPT recipient=3@example.com"), OVER);
	is(fixture.bans_said, "ban ");
}

Test(finish, own_networks_and_logins_are_not_banned)
{
	start_one("look", "bad", "site: {local_networks: [10.0.0.0/8]}\n"
		      "bans: {mode: enforce, disconnect_at: 2, on_disconnect: yes, login_strikes: 3/1h}");
	for (unsigned i = 0; i < 4; i++)
		is(answer("MAIL client_address=10.0.0.1"), REFUSED);
	is(fixture.bans_said, "");
	is(answer("MAIL sasl_username=alice"), REFUSED);
	is(answer("MAIL sasl_username=alice"), OVER);
	is(answer("MAIL sasl_username=alice client_port=40002"), REFUSED);
	is(fixture.bans_said, "login_alarm ");
}

Test(finish, a_client_without_address_strikes_its_connection)
{
	start_one("look", "bad", bans);
	is(answer("MAIL client_address=unknown"), REFUSED);
	is(answer("MAIL client_address=unknown"), REFUSED);
	is(answer("MAIL client_address=unknown"), OVER);
	is(fixture.bans_said, "");
}

/* ---- what is remembered ---- */

Test(finish, a_refused_greeting_sticks)
{
	const struct smtp_connection *connection;
	struct hash128 key;

	fixture_start("  - {name: a, check: sticky}\n  - {name: b, check: look}", NULL);
	key = usual_ids().connection;
	script("b", "bad next");
	is(answer("EHLO"), REFUSED);
	connection = connections_find(fixture.connections, key, fixture.now.mono_ms);
	cr_assert(connection && connection->helo_rule == 0, "only a rule that sticks");
	script("a", "bad");
	is(answer("EHLO"), REFUSED);
	connection = connections_find(fixture.connections, key, fixture.now.mono_ms);
	cr_assert(connection->helo_rule == rule_named("a")->name_hash);
}

Test(finish, a_greeting_that_is_only_watched_does_not_stick)
{
	struct hash128 key;

	fixture_start("  - {name: a, check: sticky, mode: monitor}", NULL);
	key = usual_ids().connection;
	script("a", "bad");
	is(answer("EHLO"), "DUNNO");
	cr_assert(connections_find(fixture.connections, key, fixture.now.mono_ms)->helo_rule == 0);
}

static unsigned recipients(void)
{
	struct hash128 id = usual_ids().transaction;
	const struct transaction *transaction =
		transactions_find(fixture.transactions, id, fixture.now.mono_ms);

	return transaction ? transaction_recipients(transaction) : 0;
}

Test(finish, distinct_recipients_without_the_refused)
{
	start_one("guard", "bad", NULL);
	is(answer("RCPT"), REFUSED);
	cr_assert(recipients() == 0);
	script("a", "next");
	ask("RCPT recipient=2@example.com");
	ask("RCPT recipient=2@example.com policy_context=again");
	ask("RCPT recipient=3@example.com");
	cr_assert(recipients() == 2);
	script("a", "bad");
	is(answer("RCPT recipient=3@example.com policy_context=again"), REFUSED);
	cr_assert(recipients() == 1, "refused by a later list");
	ask("VRFY recipient=4@example.com");
	cr_assert(recipients() == 1);
}

/* Three good recipients, four bad ones: 57 % are bad, whatever is asked again. */
static const char share[] = "bans: {mode: enforce, disconnect_at: 0, ban_at: 4/1h, min_bad_share: 50%}";

static void ask_about(const char *name, unsigned recipients, unsigned times)
{
	for (unsigned i = 0; i < recipients * times; i++) {
		char text[64];

		snprintf(text, sizeof(text), "RCPT recipient=%s%u@example.com", name, i % recipients);
		ask(text);
	}
}

Test(finish, a_good_recipient_is_one_however_often_it_is_asked_about)
{
	fixture_start("  - {name: a, check: guard}", share);
	ask_about("good", 3, 5);
	script("a", "bad");
	ask_about("bad", 3, 1);
	is(fixture.bans_said, "");
	ask("RCPT recipient=last@example.com");
	is(fixture.bans_said, "ban ");
}

Test(finish, a_refused_recipient_asked_about_again_is_no_good_one)
{
	fixture_start("  - {name: a, check: guard}", share);
	ask_about("good", 3, 1);
	script("a", "bad");
	ask_about("bad", 3, 5);
	ask("RCPT recipient=last@example.com");
	is(fixture.bans_said, "ban ");
}

/* What a sender rule refuses is one strike a message, and no recipient of it a good one. */
Test(finish, recipients_of_a_refused_sender_are_no_good_ones)
{
	start_one("look", "bad", share);
	for (unsigned i = 0; i < 24; i++) {
		char text[64];

		snprintf(text, sizeof(text), "RCPT instance=%u recipient=%u@example.com", i / 6, i);
		ask(text);
	}
	is(fixture.bans_said, "ban ");
}

Test(finish, mostly_good_recipients_spare)
{
	fixture_start("  - {name: a, check: guard}", share);
	ask_about("good", 5, 1);
	script("a", "bad");
	ask_about("bad", 4, 1);
	is(fixture.bans_said, "spared ");
}

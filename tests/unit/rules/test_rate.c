/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/rules/tenant.h"

/* ---- rate: subjects */

Test(rule_rate, per_login)
{
	fixture_start(RATE("per: login, limit: [200/1h, 1000/1d]"));
	cr_expect_str_eq(charges(BOB), "bob@acme.example 200/1h cost 1 warn 160, "
				       "bob@acme.example 1000/1d cost 1 warn 800");
	cr_expect(slice_is(fixture.items[0].key.rule, "hourly"));
	cr_expect_eq(fixture.items[0].key.what, COUNT_RECIPIENTS);
	cr_expect_not(fixture.items[0].one_subject);
	cr_expect_str_eq(charges(STRANGER), "");
	cr_expect_str_eq(charges(RELAY), "");
	cr_expect_str_eq(charges("DATA sasl_username=bob+tag@ACME.example recipient_count=7 sender=x@y.example"),
			 "bob@acme.example 200/1h cost 7 warn 160, bob@acme.example 1000/1d cost 7 warn 800");
	cr_expect(fixture.rule->needs & FACT_LOGIN);
	fixture_stop();
}

Test(rule_rate, a_strangers_sender_is_nobodys_subject)
{
	static const struct {
		const char *per, *stranger, *bob, *relay, *forged;
	} cases[] = {
		{ "sender", "", "bob@acme.test", "app@acme.test", "s@stranger.example" },
		{ "sender_domain", "", "acme.test", "acme.test", "stranger.example" },
		{ "account", "", "acme", "acme", "" },
		{ "client", "198.51.100.7", "198.51.100.7", "203.0.113.9", "198.51.100.7" },
		{ "recipient", "rcpt@remote.example", "rcpt@remote.example", "rcpt@remote.example",
		  "rcpt@remote.example" },
		{ "recipient_domain", "remote.example", "remote.example", "remote.example", "remote.example" },
		{ "everyone", "*", "*", "*", "*" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *wanted[] = { cases[i].stranger, cases[i].bob, cases[i].relay };
		static const char *const requests[] = { STRANGER, BOB, RELAY };
		char text[512], expected[128];

		snprintf(text, sizeof(text), RATE("per: %s, limit: 10/1h, warn_at: off"), cases[i].per);
		fixture_start(text);
		for (size_t j = 0; j < 3; j++) {
			snprintf(expected, sizeof(expected), "%s 10/1h cost 1 warn 0", wanted[j]);
			cr_expect_str_eq(charges(requests[j]), *wanted[j] ? expected : "", "%s %s",
					 cases[i].per, requests[j]);
		}
		cr_expect_eq(fixture.items[0].one_subject, strncmp(cases[i].per, "recipient", 9) == 0);
		fixture_stop();
		snprintf(text, sizeof(text), RATE("per: %s, limit: 10/1h, warn_at: off, forgeable: yes"),
			 cases[i].per);
		fixture_start(text);
		snprintf(expected, sizeof(expected), "%s 10/1h cost 1 warn 0", cases[i].forged);
		cr_expect_str_eq(charges(STRANGER), *cases[i].forged ? expected : "", "%s", cases[i].per);
		fixture_stop();
	}
}

Test(rule_rate, subjects_that_are_not_there)
{
	fixture_start(RATE("per: sender, forgeable: yes, limit: 10/1h"));
	cr_expect_str_eq(charges(RCPT "sender="), "", "the null sender has none");
	fixture_stop();
	fixture_start(RATE("per: account, limit: 10/1h"));
	cr_expect_str_eq(charges(RCPT "sasl_username=zoe@unknown.example sender=x@acme.test"),
			 "acme 10/1h cost 1 warn 8", "else that of the sender's domain");
	cr_expect_str_eq(charges(RCPT "sasl_username=zoe@unknown.example sender=x@unknown.example"), "");
	cr_expect_str_eq(charges(RCPT "sasl_username=bob sender="), "acme 10/1h cost 1 warn 8");
	fixture_stop();
	fixture_start(RATE("per: recipient, limit: 10/1h"));
	cr_expect_str_eq(charges("DATA recipient_count=2 sasl_username=bob"), "");
	fixture_stop();
	fixture_start(RATE("per: client, limit: 10/1h"));
	cr_expect_str_eq(charges(RCPT "client_address=unknown"), "");
	cr_expect_str_eq(charges(RCPT "client_address=2001:DB8:1:2:3:4:5:6"),
			 "2001:db8:1:2::/64 10/1h cost 1 warn 8");
	cr_expect_str_eq(charges(RCPT "client_address=::ffff:192.0.2.1"), "192.0.2.1 10/1h cost 1 warn 8");
	fixture_stop();
}

Test(rule_rate, long_subjects_are_hashed)
{
	char text[400], local[130];
	const char *got;

	memset(local, 'x', sizeof(local) - 1);
	local[sizeof(local) - 1] = '\0';
	snprintf(text, sizeof(text), RCPT "sasl_username=%s", local);
	fixture_start(RATE("per: login, limit: 10/1h"));
	got = charges(text);
	cr_expect_eq(got[0], '#');
	cr_expect_eq(fixture.items[0].key.subject.len, 33);
	cr_expect_eq(strspn(got + 1, "0123456789abcdef"), 32);
	fixture_stop();
}

/* ---- rate: what is counted */

Test(rule_rate, counts_messages_and_bytes)
{
	fixture_start(RATE("count: messages, limit: 10/1h"));
	cr_expect_str_eq(charges(BOB), "bob@acme.example 10/1h cost 1 warn 8");
	cr_expect_eq(fixture.items[0].key.what, COUNT_MESSAGES);
	cr_expect_str_eq(charges("DATA sasl_username=bob recipient_count=7"), "bob@acme.example 10/1h cost 1 warn 8");
	fixture_stop();
	fixture_start(RATE("count: bytes, limit: 10MiB/1d, warn_at: 50%"));
	cr_expect_str_eq(charges(BOB " size=777"), "bob@acme.example 10485760/1d cost 777 warn 5242880");
	cr_expect_str_eq(charges(BOB), "bob@acme.example 10485760/1d cost 0 warn 5242880");
	fixture_stop();
	fixture_start(RATE("count: bytes, limit: 4294967295/1d, warn_at: 99%"));
	cr_expect_str_eq(charges(BOB), "bob@acme.example 4294967295/1d cost 0 warn 4252017623");
	fixture_stop();
	fixture_start(RATE("count: bytes, limit: 8388607GiB/1d, warn_at: 33%"));
	cr_expect_str_eq(charges(BOB), "bob@acme.example 9007198180999168/1d cost 0 warn 2972375399729726");
	fixture_stop();
	cr_expect(strstr(fixture_errors(RATE("count: messages, limit: 10MiB/1d")), "needs 'count: bytes'"));
	cr_expect(strstr(fixture_errors(RATE("count: networks, limit: 10/1d")), "not yet supported"));
	cr_expect(strstr(fixture_errors(RATE("per: login")), "needs 'limits' or 'limit'"));
	cr_expect(strstr(fixture_errors(RATE("limit: 10/1h, limits: [{ limit: 5/1h }]")), "cannot both"));
}

Test(rule_rate, reply_and_action)
{
	fixture_start(RATE("limit: 10/1h"));
	cr_expect(fixture.rule->refuses);
	memset(&fixture.finding, 0, sizeof(fixture.finding));
	fixture.finding.vars.value[REPLY_VAR_USED] = SLICE("10");
	fixture.finding.vars.value[REPLY_VAR_LIMIT] = SLICE("10");
	fixture.finding.vars.value[REPLY_VAR_COUNT] = SLICE("recipients");
	fixture.finding.vars.value[REPLY_VAR_WINDOW] = SLICE("1h");
	fixture.finding.vars.value[REPLY_VAR_RETRY] = SLICE("12 min");
	cr_expect_str_eq(reply(), "450 4.7.1 10 of 10 recipients used in 1h; try again in 12 min");
	fixture_stop();
}

/* The entry with the most windows counts, whichever a request would meet. */
Test(rule_rate, no_more_windows_than_a_request_can_have)
{
	static const char eight[] = "limits: [{ login: [a], limit: unlimited }, { login: [b], limit: 1/1h }, "
				    "{ limit: [1/1s, 1/2s, 1/3s, 1/4s, 1/5s, 1/6s, 1/7s, 1/8s] }]";
	char text[4096] = "rules:\n";
	size_t len = strlen(text);

	for (unsigned i = 0; i < STORE_MAX_CHARGES / 8; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "  - { name: r%u, check: rate, %s }\n", i, eight);
	cr_expect_str_eq(fixture_errors(text), "");
	snprintf(text + len, sizeof(text) - len, "  - { name: free, check: rate, limit: unlimited }\n"
						 "  - { name: over, check: rate, limit: 5/1h }\n");
	cr_expect_str_eq(fixture_errors(text),
			 "f:11:5: rule 'over' and those above it could count in 65 windows for one request; "
			 "at most 64 are possible\n");
}

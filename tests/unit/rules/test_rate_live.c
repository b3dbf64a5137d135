/* SPDX-License-Identifier: ISC */
/*
 * Live limits in place of the configuration's, and what a person may call a subject.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/rules/tenant.h"

static struct overrides *overrides;

static void put(const char *subject, unsigned rates, uint64_t limit)
{
	struct override override = {
		.rule = "hourly",
		.rates = {{limit, 3600000}, {10 * limit, 86400000}},
		.rate_count = rates,
		.until_wall_ms = fixture.now.wall_ms + 1000,
	};

	snprintf(override.subject, sizeof(override.subject), "%s", subject);
	cr_assert(overrides_put(overrides, &override));
}

static void start(const char *text)
{
	fixture_start(text);
	overrides = overrides_new(100);
	fixture.overrides = overrides;
}

static void stop(void)
{
	fixture_stop();
	overrides_free(&overrides);
}

Test(rate_live, stands_in_place_of_the_limit)
{
	start(RATE("limit: [200/1h, 1000/1d], warn_at: off"));
	put("somebody@acme.example", 1, 5);
	cr_expect_str_eq(charges(BOB), "bob@acme.example 200/1h cost 1 warn 0, "
				       "bob@acme.example 1000/1d cost 1 warn 0");
	put("bob@acme.example", 1, 5);
	cr_expect_str_eq(charges(BOB), "bob@acme.example 5/1h cost 1 warn 0");
	put("bob@acme.example", 2, 7);
	cr_expect_str_eq(charges(BOB), "bob@acme.example 7/1h cost 1 warn 0, "
				       "bob@acme.example 70/1d cost 1 warn 0");
	put("bob@acme.example", 0, 0);
	cr_expect_str_eq(charges(BOB), "", "unlimited");
	fixture.now.wall_ms += 1000;
	cr_expect_str_eq(charges(BOB), "bob@acme.example 200/1h cost 1 warn 0, "
				       "bob@acme.example 1000/1d cost 1 warn 0");
	stop();
}

Test(rate_live, a_domain_means_each_of_its_subjects)
{
	start(RATE("limits: [{login: [x@y.example], limit: 1/1h}], warn_at: off"));
	cr_expect_str_eq(charges(BOB), "", "no limit is for him");
	put("@acme.example", 1, 5);
	cr_expect_str_eq(charges(BOB), "bob@acme.example 5/1h cost 1 warn 0");
	put("bob@acme.example", 1, 6);
	cr_expect_str_eq(charges(BOB), "bob@acme.example 6/1h cost 1 warn 0");
	stop();
}

/* The rule, and below it some more, with so many windows in all. */
static const char *rules_with(unsigned windows)
{
	static char text[4096];
	struct buf buf;

	buf_init_fixed(&buf, text, sizeof(text) - 1);
	buf_add_format(&buf, SITE "rules:\n- { name: hourly, check: rate, limit: 200/1h, warn_at: off }");
	for (unsigned i = 0; i < windows; i++) {
		if (i % 8 == 0)
			buf_add_format(&buf, "%s\n- { name: more%u, check: rate, limit: [", i ? "] }" : "", i);
		buf_add_format(&buf, "%s1/%uh", i % 8 ? ", " : "", i + 1);
	}
	buf_add_format(&buf, "] }\n");
	text[buf.len] = '\0';
	return text;
}

/* What the rules below may need is theirs. */
Test(rate_live, takes_no_room_of_other_rules)
{
	start(rules_with(63));
	put("bob@acme.example", 2, 7);
	cr_expect_str_eq(charges(BOB), "bob@acme.example 7/1h cost 1 warn 0");
	cr_expect_eq(fixture.charges.left_out, 1);
	stop();
	start(rules_with(62));
	put("bob@acme.example", 2, 7);
	cr_expect_str_eq(charges(BOB), "bob@acme.example 7/1h cost 1 warn 0, "
				       "bob@acme.example 70/1d cost 1 warn 0");
	cr_expect_eq(fixture.charges.left_out, 0);
	stop();
}

static const char *subject(const char *text)
{
	static char memory[512];
	struct slice found = fixture.rule->ops->subject(
		fixture.rule, slice_of(text), fixture.ruleset->site, &fixture.arena);

	snprintf(memory, sizeof(memory), "%.*s", SLICE_ARG(found));
	return memory;
}

Test(rate_live, subjects_as_people_write_them)
{
	char longest[200];

	memset(longest, 'x', sizeof(longest));
	memcpy(longest + 150, "@acme.test", 11);
	fixture_start(RATE("per: login, limit: 1/1h"));
	cr_expect_str_eq(subject("Bob+tag@ACME.example"), "bob@acme.example");
	cr_expect_str_eq(subject("bob"), "bob@acme.example");
	cr_expect_str_eq(subject("@ACME.example."), "@acme.example");
	cr_expect_str_eq(subject(""), "");
	cr_expect_str_eq(subject("@"), "");
	cr_expect_eq(strlen(subject(longest)), 33);
	cr_expect_eq(subject(longest)[0], '#');
	cr_expect_str_eq(fixture.rule->ops->counting(fixture.rule).per, "login");
	fixture_stop();
	fixture_start(RATE("per: client, count: bytes, limit: 1/1h"));
	cr_expect_str_eq(subject("192.0.2.1"), "192.0.2.1");
	cr_expect_str_eq(subject("2001:DB8::1"), "2001:db8::/64");
	cr_expect_str_eq(subject("2001:db8::/64"), "2001:db8::/64");
	cr_expect_str_eq(subject("192.0.2.0/24"), "");
	cr_expect_str_eq(subject("nobody"), "");
	cr_expect_eq(fixture.rule->ops->counting(fixture.rule).what, COUNT_BYTES);
	fixture_stop();
	fixture_start(RATE("per: client, limits: [{ client: [192.0.2.1], limit: [1/1h, 2/1d] }, { limit: 9/1h }]"));
	cr_expect_eq(fixture.rule->ops->counting(fixture.rule).window_count, 2, "each once");
	cr_expect_eq(fixture.rule->ops->counting(fixture.rule).windows_ms[0], 3600000);
	cr_expect_eq(fixture.rule->ops->counting(fixture.rule).windows_ms[1], 86400000);
	fixture_stop();
	fixture_start(RATE("per: recipient_domain, limit: 1/1h"));
	cr_expect_str_eq(subject("B\xc3\xbc" "cher.example"), "xn--bcher-kva.example");
	cr_expect_str_eq(subject("@example.com"), "example.com");
	fixture_stop();
	fixture_start(RATE("per: everyone, limit: 1/1h"));
	cr_expect_str_eq(subject("*"), "*");
	cr_expect_str_eq(subject("x"), "");
	fixture_stop();
	fixture_start(RATE("per: account, limit: 1/1h"));
	cr_expect_str_eq(subject("acme"), "acme");
	fixture_stop();
}

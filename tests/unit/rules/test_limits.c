/* SPDX-License-Identifier: ISC */
/*
 * Which limit decides; asked through the rule `rate`.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/rules/tenant.h"

Test(limits, the_first_limit_that_matches_decides)
{
	fixture_start(RATE("limits: [{ login: [\"@acme.test\"], limit: 1/1h }, { client: [203.0.113.0/24], limit: "
			   "unlimited }, { recipient_local: yes, limit: 2/1h }, { limit: 3/1h, until: 2020-01-01 }, "
			   "{ limit: 4/1h }]"));
	cr_expect_str_eq(charges(RCPT "sasl_username=a@acme.test"), "a@acme.test 1/1h cost 1 warn 1");
	cr_expect_str_eq(charges(RCPT "sasl_username=bob client_address=203.0.113.1"), "");
	cr_expect_str_eq(charges("RCPT sasl_username=bob recipient=x@acme.test"),
			 "bob@acme.example 2/1h cost 1 warn 2");
	cr_expect_str_eq(charges(BOB), "bob@acme.example 4/1h cost 1 warn 4", "the fourth has ended");
	cr_expect_str_eq(charges("DATA recipient_count=2 sasl_username=bob"), "bob@acme.example 4/1h cost 2 warn 4",
			 "a recipient that is not there meets no condition");
	fixture_stop();
	fixture_start(RATE("limits: [{ login: [\"@acme.test\"], limit: 1/1h }]"));
	cr_expect_str_eq(charges(BOB), "", "no limit, no charge");
	fixture_stop();
}

static void start_with_file(const char *per, const char *lines, const char *before, const char *after)
{
	char path[] = "/tmp/reeve-test-XXXXXX", text[1024];
	int fd = mkstemp(path);

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, lines, strlen(lines)), (ssize_t)strlen(lines));
	close(fd);
	snprintf(text, sizeof(text), RATE("per: %s, warn_at: off, limits: [%s\"file:%s\"%s]"), per, before, path,
		 after);
	fixture_start(text);
	unlink(path);
}

Test(limits, lines_of_a_file)
{
	start_with_file("login", "# live\nBob 5/1h,50/1d\n@acme.test 7/1h\nfree@acme.test unlimited\n"
				 "bob@acme.example 99/1h\n",
			"{ client: [203.0.113.0/24], limit: 1/1h }, ", ", { limit: 3/1h }");
	cr_expect_str_eq(charges(BOB), "bob@acme.example 5/1h cost 1 warn 0, bob@acme.example 50/1d cost 1 warn 0");
	cr_expect_str_eq(charges(RCPT "sasl_username=any@acme.test"), "any@acme.test 7/1h cost 1 warn 0");
	cr_expect_str_eq(charges(RCPT "sasl_username=free@acme.test"), "free@acme.test 7/1h cost 1 warn 0",
			 "the line of its domain comes first");
	cr_expect_str_eq(charges(RCPT "sasl_username=carl"), "carl@acme.example 3/1h cost 1 warn 0");
	cr_expect_str_eq(charges(RCPT "sasl_username=bob client_address=203.0.113.1"),
			 "bob@acme.example 1/1h cost 1 warn 0");
	fixture_stop();
	start_with_file("login", "bob 5/1h\n", "{ limit: 3/1h }, ", "");
	cr_expect_str_eq(charges(BOB), "bob@acme.example 3/1h cost 1 warn 0", "order is order");
	fixture_stop();
}

Test(limits, lines_for_other_subjects)
{
	start_with_file("client", "192.0.2.1 1/1h\n192.0.2.0/24 2/1h\n2001:db8:1:2::/64 3/1h\n2001:db8:9:9::9 4/1h\n",
			"", "");
	cr_expect_str_eq(charges(RCPT "client_address=192.0.2.1"), "192.0.2.1 1/1h cost 1 warn 0");
	cr_expect_str_eq(charges(RCPT "client_address=192.0.2.2"), "192.0.2.2 2/1h cost 1 warn 0");
	cr_expect_str_eq(charges(RCPT "client_address=192.0.3.2"), "");
	cr_expect_str_eq(charges(RCPT "client_address=2001:db8:1:2::77"), "2001:db8:1:2::/64 3/1h cost 1 warn 0");
	cr_expect_str_eq(charges(RCPT "client_address=2001:db8:9:9::1"), "2001:db8:9:9::/64 4/1h cost 1 warn 0");
	fixture_stop();
	start_with_file("recipient_domain", "remote.example 1/1h\n@Other.example. 2/1h\n", "", "");
	cr_expect_str_eq(charges(STRANGER), "remote.example 1/1h cost 1 warn 0");
	cr_expect_str_eq(charges("RCPT recipient=a@other.example"), "other.example 2/1h cost 1 warn 0");
	fixture_stop();
	start_with_file("account", "acme 1/1h\n", "", "");
	cr_expect_str_eq(charges(BOB), "acme 1/1h cost 1 warn 0");
	fixture_stop();
	start_with_file("everyone", "* 1/1h\n", "", "");
	cr_expect_str_eq(charges(STRANGER), "* 1/1h cost 1 warn 0");
	fixture_stop();
}

Test(limits, lines_that_fit_no_subject_are_errors)
{
	char path[] = "/tmp/reeve-test-XXXXXX", text[1024], expected[256];
	int fd = mkstemp(path);

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, "bob 5/1h\n", 9), 9);
	close(fd);
	snprintf(text, sizeof(text), RATE("per: client, limits: [\"file:%s\"]"), path);
	snprintf(expected, sizeof(expected), "%s:1:1: 'bob': this rule's limits are for an address or network\n", path);
	cr_expect_str_eq(fixture_errors(text), expected);
	unlink(path);
}

/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/rules/fixture.h"

#define SITE "site: { domains: [example.com, old.example, new.example, newest.example, round.example], " \
	     "origin: example.com }\n"
#define TO(recipient) "RCPT recipient=" recipient

Test(rule_catchall, only_what_nothing_but_the_domain_catches)
{
	fixture_start(SITE "rules:\n  - name: catchall\n    check: catchall\n    maps:\n"
			   "      - alice@example.com alice\n"
			   "      - Bob+Lists@EXAMPLE.com bob\n"
			   "      - root alice\n"
			   "      - \"staff: alice, bob\"\n"
			   "      - \"@example.com caught@elsewhere.example\"\n");
	cr_expect_str_eq(answer(TO("alice@example.com")), "next");
	cr_expect_str_eq(answer(TO("ALICE+x@Example.com.")), "next");
	cr_expect_str_eq(answer(TO("bob+lists@example.com")), "next");
	cr_expect_str_eq(answer(TO("bob@example.com")), "bad catchall");
	cr_expect_str_eq(reply(), "550 5.1.1 bob@example.com: no such user");
	cr_expect_str_eq(answer(TO("bob+other@example.com")), "bad catchall");
	cr_expect_str_eq(answer(TO("root@example.com")), "next", "a bare key is completed");
	cr_expect_str_eq(answer(TO("staff@example.com")), "next", "aliases(5)");
	cr_expect_str_eq(answer(TO("Postmaster@example.com")), "next");
	cr_expect_str_eq(answer(TO("abuse+x@example.com")), "next");
	cr_expect_str_eq(answer(TO("nobody@old.example")), "next", "found nowhere: Postfix's business");
	cr_expect_str_eq(answer(TO("nobody@remote.example")), "next");
	cr_expect(fixture.rule->ops->flags & RULE_PER_RECIPIENT);
	ask_about("DATA recipient_count=2");
	cr_expect(rule_waits());
	fixture_stop();
}

Test(rule_catchall, domain_aliases_are_followed)
{
	fixture_start(SITE "rules:\n  - name: catchall\n    check: catchall\n    maps:\n"
			   "      - \"@old.example @new.example\"\n"
			   "      - \"@new.example @NEWEST.example\"\n"
			   "      - alice@newest.example x\n"
			   "      - carl@new.example x\n"
			   "      - \"@newest.example caught\"\n"
			   "      - \"@round.example @round.example\"\n"
			   "      - \"@example.com @remote.example\"\n");
	cr_expect_str_eq(answer(TO("alice@old.example")), "next");
	cr_expect_str_eq(answer(TO("Alice+x@old.example")), "next");
	cr_expect_str_eq(answer(TO("carl@old.example")), "next");
	cr_expect_str_eq(answer(TO("bob@old.example")), "bad catchall");
	cr_expect_str_eq(answer(TO("bob@new.example")), "bad catchall");
	cr_expect_str_eq(answer(TO("bob@round.example")), "next", "in circles");
	cr_expect_str_eq(answer(TO("bob@example.com")), "next", "known there or not is not for us to say");
	fixture_stop();
}

Test(rule_catchall, the_target_must_be_a_domain_and_nothing_else)
{
	fixture_start(SITE "rules:\n  - name: catchall\n    check: catchall\n    maps:\n"
			   "      - \"@old.example @new.example, bob@new.example\"\n"
			   "      - \"@old.example @new.example\"\n");
	cr_expect_str_eq(answer(TO("bob@old.example")), "bad catchall", "the first of two lines counts");
	fixture_stop();
}

Test(rule_catchall, maps_from_files)
{
	char path[] = "/tmp/reeve-test-XXXXXX", text[512];
	int fd = mkstemp(path);
	static const char map[] = "# virtual(5)\nalice@example.com\talice\n  , bob\n\n@example.com  caught\n";

	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, map, sizeof(map) - 1), (ssize_t)sizeof(map) - 1);
	close(fd);
	snprintf(text, sizeof(text), SITE "rules: [{ name: c, check: catchall, maps: [\"file:%s\"] }]\n", path);
	fixture_start(text);
	unlink(path);
	cr_expect_str_eq(answer(TO("alice@example.com")), "next");
	cr_expect_str_eq(answer(TO("bob@example.com")), "bad catchall");
	fixture_stop();
}

/* It may hold any address, or none. */
Test(rule_catchall, a_map_that_cannot_be_read)
{
	fixture_start(SITE "rules: [{ name: c, check: catchall, maps: [\"file:/nonexistent/virtual\", "
			   "alice@example.com alice, \"@example.com caught\"] }]\n");
	cr_expect_str_eq(answer(TO("alice@example.com")), "next");
	cr_expect_str_eq(answer(TO("bob@example.com")), "unknown map_unreadable");
	cr_expect_str_eq(answer(TO("bob@old.example")), "unknown map_unreadable");
	cr_expect_str_eq(answer(TO("postmaster@example.com")), "next");
	cr_expect_str_eq(answer(TO("bob@remote.example")), "next");
	fixture_stop();
	cr_expect_str_eq(fixture_errors(SITE "rules: [{ name: c, check: catchall, maps: [\"file:virtual\"] }]\n"),
			 "f:2:44: 'file:' needs an absolute path, not 'virtual'\n");
}

/* By a list of `lists` as by itself; for who cannot do without the file it is an error. */
Test(rule_catchall, a_list_may_lack_a_file_too)
{
	fixture_start("lists: { virtual: [\"file:/nonexistent/virtual\", x@example.com x] }\n" SITE
		      "rules: [{ name: c, check: catchall, maps: [\"list:virtual\"] }]\n");
	cr_expect_str_eq(answer(TO("bob@example.com")), "unknown map_unreadable");
	fixture_stop();
	cr_expect_str_eq(
		fixture_errors("lists: { virtual: [\"file:/nonexistent/virtual\"] }\n" SITE
			       "rules:\n"
			       "- { name: c, check: catchall, maps: [\"list:virtual\"] }\n"
			       "- { name: h, check: helo, names: [\"list:virtual\"] }\n"
			       "- { name: g, check: helo, names: [\"list:virtual\"] }\n"),
		"f:1:20: '/nonexistent/virtual' cannot be read: No such file or directory\n");
}

Test(rule_catchall, what_postfix_finds_out)
{
	fixture_start(SITE "rules: [{ name: catchall, check: catchall, maps: [\"context:catchall\"] }]\n");
	cr_expect_str_eq(answer(TO("bob@example.com")), "next");
	cr_expect_str_eq(answer(TO("bob@example.com policy_context=other")), "next");
	cr_expect_str_eq(answer(TO("bob@example.com policy_context=catchall")), "bad catchall_context");
	cr_expect_str_eq(reply(), "550 5.1.1 bob@example.com: no such user");
	cr_expect_str_eq(answer(TO("postmaster@example.com policy_context=catchall")), "next");
	cr_expect_str_eq(answer(TO("bob@remote.example policy_context=catchall")), "next");
	fixture_stop();
}

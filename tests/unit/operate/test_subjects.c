/* SPDX-License-Identifier: ISC */
/* What a person may mean by a subject, under rules that count by different things. */
#include "daemon/operate/subjects.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/operate/control_fixture.h"

#define RULES                                                                 \
	"  - {name: logins, check: rate, per: login, limit: 5/1h}\n"          \
	"  - {name: logins2, check: rate, per: login, limit: 50/1d}\n"        \
	"  - {name: domains, check: rate, per: sender_domain, limit: 5/1h}\n" \
	"  - {name: clients, check: rate, per: client, limit: 5/1h}\n"        \
	"  - {name: banned, check: ban}\n"
#define TOP "site: {origin: example.com, domains: [example.com]}\n"

static void start(void)
{
	parts_start(RULES, TOP);
}

/* All of them, each with a blank behind it. */
static const char *forms(const char *text)
{
	static char found[4096];
	struct subjects subjects;
	struct arena arena;
	size_t len = 0;

	arena_init(&arena, 1024);
	subjects_read(&subjects, parts.ruleset, slice_of(text), &arena);
	found[0] = '\0';
	for (unsigned i = 0; i < subjects.count; i++)
		len += (size_t)snprintf(
			found + len, sizeof(found) - len, "%.*s ", SLICE_ARG(subjects.items[i]));
	arena_release(&arena);
	return found;
}

static bool finds(const char *text, const char *subject)
{
	char wanted[300], all[4097];

	snprintf(wanted, sizeof(wanted), " %s ", subject);
	snprintf(all, sizeof(all), " %s", forms(text));
	return strstr(all, wanted) != NULL;
}

Test(subjects, each_rule_has_its_form_and_the_text_itself_is_there, .init = start,
	.fini = parts_stop)
{
	cr_expect(finds("Bob+x@Example.COM", "bob@example.com"), "%s", forms("Bob+x@Example.COM"));
	cr_expect(finds("Bob+x@Example.COM", "Bob+x@Example.COM"));
	cr_expect(finds("EXAMPLE.com.", "example.com"), "%s", forms("EXAMPLE.com."));
	cr_expect(finds("::ffff:192.0.2.7", "192.0.2.7"), "%s", forms("::ffff:192.0.2.7"));
	cr_expect(finds("2001:DB8::1", "2001:db8::/64"), "%s", forms("2001:DB8::1"));
}

Test(subjects, equal_ones_are_one, .init = start, .fini = parts_stop)
{
	const char *all = forms("bob@example.com");
	const char *first = strstr(all, "bob@example.com");

	cr_assert(first);
	cr_expect_null(strstr(first + 1, "bob@example.com"), "%s", all);
}

Test(subjects, nothing_and_too_much, .init = start, .fini = parts_stop)
{
	char longest[COUNTER_SUBJECT_BYTES + 2];

	cr_expect_str_eq(forms(""), "");
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	cr_expect_null(strstr(forms(longest), longest), "no counter can have it");
	longest[sizeof(longest) - 2] = '\0';
	cr_expect(finds(longest, longest));
}

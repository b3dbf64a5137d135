/* SPDX-License-Identifier: ISC */
#include "daemon/mail/pattern.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "daemon/mail/site.h"
#include "tests/unit/mail/fixture.h"

struct row {
	const char *patterns[4];
	const char *text;
	bool match;
};

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture, &(struct fixture_parts){ .login_domain = "users.example.net",
							.domains = FIXTURE_LIST("example.com") });
}

static void teardown(void)
{
	fixture_release(&fixture);
}

TestSuite(pattern, .init = setup, .fini = teardown);

static bool matches(const char *const *patterns, enum pattern_kind kind, const char *text)
{
	struct config_strings strings = fixture_strings(&fixture, patterns);
	struct pattern_set *set = pattern_set_new(&strings, kind, fixture.site, fixture.errors);
	struct mail_address address;
	bool match;

	if (kind == PATTERN_ADDRESS)
		address = fixture_address(&fixture, text);
	else if (kind == PATTERN_LOGIN)
		address = fixture_login(&fixture, text);
	match = kind == PATTERN_NAME ? pattern_set_match_name(set, slice_of(text))
				     : pattern_set_match_address(set, &address);
	pattern_set_free(&set);
	cr_assert_null(set);
	return match;
}

static void check(const struct row *rows, size_t count, enum pattern_kind kind)
{
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(matches(rows[i].patterns, kind, rows[i].text), rows[i].match,
			     "row %zu: %s on %s", i, rows[i].patterns[0], rows[i].text);
	cr_assert_eq(config_errors_count(fixture.errors), 0);
}

#define CHECK(rows, kind) check(rows, sizeof(rows) / sizeof(rows[0]), kind)

static const struct row address_rows[] = {
	{ { "User@Example.com" }, "uSER@example.COM.", true },
	{ { "user@example.com" }, "user+x@example.com", false },
	{ { "user" }, "user@example.com", true },
	{ { "user@example.com" }, "user", true },
	{ { "user@example.com" }, "user@example.org", false },
	{ { "@example.com" }, "any+x@Example.com", true },
	{ { "@example.com" }, "any@sub.example.com", false },
	{ { "@.example.com" }, "any@sub.example.com", true },
	{ { "@.example.com" }, "any@b.a.example.com", true },
	{ { "@.example.com" }, "any@example.com", false },
	{ { "@.example.com" }, "any@notexample.com", false },
	{ { "@B\xc3\x9c" "CHER.example" }, "a@xn--bcher-kva.example", true },
	{ { "@xn--bcher-kva.example" }, "a@b\xc3\xbc" "cher.example", true },
	{ { "J\xc3\xb6rg@example.org" }, "J\xc3\x96RG@example.org", true },
	{ { "@[192.0.2.1]" }, "a@[192.0.2.1]", true },
	{ { "@[IPv6:2001:DB8::1]" }, "a@[ipv6:2001:db8:0::1]", true },
	{ { "a@[192.0.2.1]" }, "A@[::ffff:192.0.2.1]", true },
	{ { "bounce-*@example.com" }, "Bounce-123@example.com", true },
	{ { "Bounce-*@Example.com" }, "bounce-@example.com", true },
	{ { "bounce-*@example.com" }, "xbounce-1@example.com", false },
	{ { "*@*.example.org" }, "a@b.example.org", true },
	{ { "*@.example.org" }, "a@b.example.org", true },
	{ { "*@.example.org" }, "a@example.org", false },
	{ { "?@example.org" }, "a@example.org", true },
	{ { "?@example.org" }, "ab@example.org", false },
	{ { "?@example.org" }, "\xc3\xb6@example.org", true },
	{ { "*@b\xc3\xbc" "cher.*" }, "x@xn--bcher-kva.example", true },
	{ { "bounce*" }, "bounce-1@example.org", true },
	{ { "*" }, "a@example.org", true },
	{ { "*" }, "", true },
	{ { "?*" }, "", false },
	{ { "<>" }, "", true },
	{ { "<>" }, "a@example.org", false },
	{ { "!<>" }, "", false },
	{ { "!<>" }, "a@example.org", true },
	{ { "@example.com", "!boss@example.com" }, "boss@example.com", false },
	{ { "@example.com", "!boss@example.com" }, "a@example.com", true },
	{ { "@example.com", "!boss@example.com" }, "a@example.org", false },
	{ { "boss@example.com", "!boss@example.com" }, "boss@example.com", false },
	{ { "!@example.com" }, "a@example.com", false },
	{ { "!@example.com" }, "a@example.org", true },
	{ { "!@example.com" }, "", true },
	{ { "!*@example.com", "!@example.org" }, "a@example.org", false },
	{ { "!*@example.com", "!@example.org" }, "a@example.net", true },
	{ { "! a@example.com" }, "a@example.com", false },
	{ { NULL }, "a@example.com", false },
	{ { NULL }, "", false },
	{ { "user%example.org@example.com" }, "user@example.org", true },
	{ { "*" }, "a@bad..example", true },
	{ { "@example.org" }, "a@bad..example", false },
};

Test(pattern, addresses)
{
	CHECK(address_rows, PATTERN_ADDRESS);
}

static const struct row login_rows[] = {
	{ { "alice" }, "Alice", true },
	{ { "alice" }, "alice@users.example.net", true },
	{ { "alice@users.example.net" }, "ALICE", true },
	{ { "alice" }, "alice@example.com", false },
	{ { "@users.example.net" }, "bob", true },
	{ { "svc-*" }, "svc-1", true },
	{ { "svc-*@users.example.net" }, "SVC-1", true },
	{ { "!alice" }, "alice", false },
	{ { "!alice" }, "bob", true },
	{ { "!alice" }, "", false },             /* no login at all */
	{ { "*" }, "", false },
	{ { "a b" }, "A B", true },
};

Test(pattern, logins)
{
	CHECK(login_rows, PATTERN_LOGIN);
}

static const struct row name_rows[] = {
	{ { "ylmf-pc" }, "YLMF-PC", true },
	{ { "ylmf-pc" }, "ylmf-pc.", true },
	{ { "ylmf-pc." }, "ylmf-pc", true },
	{ { "ylmf-pc" }, "ylmf-pc..", false },
	{ { "ylmf-pc" }, "ylmf-pcx", false },
	{ { ".example.com" }, "mx.Example.com", true },
	{ { ".example.com" }, "b.a.example.com.", true },
	{ { ".example.com" }, "example.com", false },
	{ { "*.dyn.example.*" }, "a.b.DYN.example.net", true },
	{ { "[192.0.2.1]" }, "[192.0.2.1]", true },
	{ { "b\xc3\xbc" "cher.example" }, "XN--bcher-kva.example", true },
	{ { "xn--bcher-kva.example" }, "B\xc3\xbc" "cher.example.", true },
	{ { "my?host" }, "my?host", true },
	{ { "my host" }, "MY HOST", true },
	{ { "!.example.com" }, "a.example.com", false },
	{ { "!.example.com" }, "a.example.org", true },
	{ { "." }, "", true },
	{ { "<>" }, "<>", true },
};

Test(pattern, names)
{
	static char name[3000];

	CHECK(name_rows, PATTERN_NAME);
	for (size_t i = 0; i < sizeof(name) - 1; i++)
		name[i] = i % 2 ? '.' : 'A';
	memcpy(name + sizeof(name) - 13, ".Example.com", 12);
	cr_assert(matches(FIXTURE_LIST(".example.com"), PATTERN_NAME, name));
	cr_assert_not(matches(FIXTURE_LIST(".example.org"), PATTERN_NAME, name));
	cr_assert(matches(FIXTURE_LIST("a.*.com"), PATTERN_NAME, name));
}

Test(pattern, an_address_not_there_matches_nothing)
{
	struct config_strings strings = fixture_strings(&fixture, FIXTURE_LIST("!@example.com", "!*x"));
	struct pattern_set *set = pattern_set_new(&strings, PATTERN_ADDRESS, fixture.site, fixture.errors);
	struct mail_address address = { .kind = MAIL_ADDRESS_NONE };

	cr_assert_not(pattern_set_match_address(set, &address));
	pattern_set_free(&set);
}

Test(pattern, bad_ones_are_errors_and_the_rest_is_built)
{
	struct config_strings strings =
		fixture_strings(&fixture, FIXTURE_LIST("", "!", "@", "@bad..example", "a@bad..example",
						       "*@b\xc3\xbc*.example", "good@example.com", "@[nonsense]"));
	struct pattern_set *set = pattern_set_new(&strings, PATTERN_ADDRESS, fixture.site, fixture.errors);
	struct mail_address good = fixture_address(&fixture, "good@example.com");
	bool warning;

	cr_assert_eq(config_errors_count(fixture.errors), 7);
	cr_assert_str_eq(config_errors_line(fixture.errors, 3, &warning),
			 "test:4:1: '@bad..example' is no pattern: its domain has a dot too many");
	cr_assert_str_eq(config_errors_line(fixture.errors, 5, &warning),
			 "test:6:1: '*@b\\xC3\\xBC*.example' is no pattern: a label with '*' or '?' has to be ASCII");
	cr_assert_str_eq(config_errors_line(fixture.errors, 6, &warning),
			 "test:8:1: '@[nonsense]' is no pattern: it names no domain or address that can be");
	cr_assert(pattern_set_match_address(set, &good));
	pattern_set_free(&set);
}

/* Where one character more or less decides: what passes in one kind is an error in another. */
Test(pattern, what_can_only_be_a_slip)
{
	static const struct {
		const char *text;
		bool address, login, name;      /* is an error */
	} rows[] = {
		{ "user@example.com", false, false, false },
		{ "!user@example.com", false, false, false },
		{ "!!user@example.com", true, true, true },
		{ "!", true, true, true },
		{ "a@b@", true, true, false },
		{ "a@b@c", true, false, false },
		{ "a?b@c", false, false, false },
		{ "a b@c", true, false, false },
		{ "a@b c", true, true, false },
		{ "a@*b c", true, true, false },
		{ "a\tb", true, true, true },
		{ "a\x01", true, true, true },
		{ "*\x7f", true, true, true },
		{ "*@", true, true, false },
		{ "@", true, true, true },
		{ "@.", true, true, true },
		{ "..", false, false, true },
		{ ".example..com", false, false, true },
		{ "@example..com", true, true, true },
		{ "*@example..com", true, true, false },
		{ "@..example.com", true, true, true },
		{ "@example.com,b.example", true, true, true },
		{ "@[192.0.2.1]", false, false, true },
		{ "@[192.0.2.1", true, true, true },
		{ "@[192.0.2.300]", true, true, true },
		{ "*@[192.0.2.*]", false, false, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const bool expected[] = { rows[i].address, rows[i].login, rows[i].name };

		for (int kind = PATTERN_ADDRESS; kind <= PATTERN_NAME; kind++) {
			struct config_errors *errors = config_errors_new();
			struct config_strings strings =
				fixture_strings(&fixture, FIXTURE_LIST(rows[i].text));
			struct pattern_set *set = pattern_set_new(
				&strings, (enum pattern_kind)kind, fixture.site, errors);

			cr_expect_eq(config_errors_count(errors), expected[kind], "%s as kind %d",
				     rows[i].text, kind);
			pattern_set_free(&set);
			config_errors_free(&errors);
		}
	}
}

/* A star for each letter: quick all the same. */
Test(pattern, globs_do_not_blow_up)
{
	static char text[2001];

	memset(text, 'a', sizeof(text) - 1);
	cr_assert_not(matches(FIXTURE_LIST("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), PATTERN_NAME, text));
	cr_assert(matches(FIXTURE_LIST("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*"), PATTERN_NAME, text));
}

Test(pattern, long_lists)
{
	enum { COUNT = 20000 };
	struct config_strings strings = { .count = COUNT };
	struct pattern_set *set;
	struct mail_address address;
	char *memory = arena_alloc(&fixture.arena, COUNT * 32);

	strings.items = arena_zalloc(&fixture.arena, COUNT * sizeof(*strings.items));
	strings.pos = arena_zalloc(&fixture.arena, COUNT * sizeof(*strings.pos));
	for (int i = 0; i < COUNT; i++)
		strings.items[i] = slice_make(memory + i * 32,
					      (size_t)snprintf(memory + i * 32, 32, "user%d@example.org", i));
	set = pattern_set_new(&strings, PATTERN_ADDRESS, fixture.site, fixture.errors);
	address = fixture_address(&fixture, "USER19999@example.org");
	cr_assert(pattern_set_match_address(set, &address));
	address = fixture_address(&fixture, "user20000@example.org");
	cr_assert_not(pattern_set_match_address(set, &address));
	pattern_set_free(&set);
}

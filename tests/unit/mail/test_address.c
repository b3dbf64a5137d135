/* SPDX-License-Identifier: ISC */
#include "daemon/mail/address.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "daemon/mail/idn.h"
#include "tests/unit/mail/fixture.h"

/* kind, whether the domain is local, and the folded address; `subject` NULL: the same. */
struct row {
	const char *text;
	enum mail_address_kind kind;
	bool local;
	const char *folded, *subject;
};

#define DOM MAIL_ADDRESS_DOMAIN
#define LIT MAIL_ADDRESS_LITERAL
#define BADLIT MAIL_ADDRESS_BAD_LITERAL
#define UNK MAIL_ADDRESS_UNKNOWN

/* Local: example.com, example.net, .lists.example.com, xn--bcher-kva.example; own: 192.0.2.1, 2001:db8::1. */
static const struct row rows[] = {
	/* case, dots, blanks */
	{ "user@example.com", DOM, true, "user@example.com", NULL },
	{ "USER@EXAMPLE.COM", DOM, true, "user@example.com", NULL },
	{ "user@example.com.", DOM, true, "user@example.com", NULL },
	{ "user@Example.Com.", DOM, true, "user@example.com", NULL },
	{ "user@example.com..", UNK, false, "user@example.com.", NULL },
	{ "user@example.org", DOM, false, "user@example.org", NULL },
	{ "john doe@example.com", DOM, true, "john doe@example.com", NULL },
	{ " @example.com", DOM, true, " @example.com", NULL },
	{ "a\"b@example.com", DOM, true, "a\"b@example.com", NULL },
	{ ".user@example.com", DOM, true, ".user@example.com", NULL },
	{ "user.@example.com", DOM, true, "user.@example.com", NULL },
	{ "us..er@example.com", DOM, true, "us..er@example.com", NULL },
	{ "a@x.lists.example.com", DOM, true, "a@x.lists.example.com", NULL },
	{ "a@y.x.Lists.example.com", DOM, true, "a@y.x.lists.example.com", NULL },
	{ "a@lists.example.com", DOM, false, "a@lists.example.com", NULL },
	{ "a@sub.example.com", DOM, false, "a@sub.example.com", NULL },
	{ "a@notexample.com", DOM, false, "a@notexample.com", NULL },
	{ "user@1.2.3.4", DOM, false, "user@1.2.3.4", NULL },
	{ "a@under_score.example.org", DOM, false, "a@under_score.example.org", NULL },
	{ "\x01\x7f@example.com", DOM, true, "\x01\x7f@example.com", NULL },
	/* bare */
	{ "user", DOM, true, "user@example.com", NULL },
	{ "User+Tag", DOM, true, "user+tag@example.com", "user@example.com" },
	{ "user.", DOM, true, "user.@example.com", NULL },
	{ "[192.0.2.1]", DOM, true, "[192.0.2.1]@example.com", NULL },
	/* more than one @ */
	{ "a@b@example.com", DOM, false, "a@b", NULL },
	{ "a@b@example.org", DOM, false, "a@b@example.org", NULL },
	{ "user@example.net@example.com", DOM, true, "user@example.net", NULL },
	{ "user@example.com.@example.com.", DOM, true, "user@example.com", NULL },
	{ "user@@example.com", UNK, false, "user@", NULL },
	{ "user@@example.org", DOM, false, "user@@example.org", NULL },
	{ "a b@example.net@example.com", DOM, true, "a b@example.net", NULL },
	/* percent */
	{ "user%example.com", DOM, true, "user@example.com", NULL },
	{ "user%example.org", DOM, false, "user@example.org", NULL },
	{ "user%example.com@example.com", DOM, true, "user@example.com", NULL },
	{ "user%EXAMPLE.net.@example.com", DOM, true, "user@example.net", NULL },
	{ "user%example.org@example.com", DOM, false, "user@example.org", NULL },
	{ "user%example.com@example.org", DOM, false, "user%example.com@example.org", NULL },
	{ "u%a.example%b.example@example.com", DOM, false, "u%a.example@b.example", NULL },
	{ "u%example.net%example.com@example.net", DOM, true, "u@example.net", NULL },
	{ "u%example.org%example.com@example.net", DOM, false, "u@example.org", NULL },
	{ "user%@example.com", UNK, false, "user@", NULL },
	{ "%example.net@example.com", DOM, true, "mailer-daemon@example.net", NULL },
	{ "user+x%example.net@example.com", DOM, true, "user+x@example.net", "user@example.net" },
	{ "user%b\xc3\xbc" "cher.example@example.com", DOM, true, "user@xn--bcher-kva.example", NULL },
	/* bang */
	{ "example.com!user", DOM, true, "user@example.com", NULL },
	{ "Example.ORG!User", DOM, false, "user@example.org", NULL },
	{ "example.com.!user", DOM, true, "user@example.com", NULL },
	{ "example.com!user@example.com", DOM, true, "user@example.com", NULL },
	{ "example.net!user@example.com", DOM, true, "user@example.net", NULL },
	{ "example.org!user@example.com", DOM, false, "user@example.org", NULL },
	{ "example.org!user@example.org", DOM, false, "example.org!user@example.org", NULL },
	{ "example.com!example.net!user", DOM, true, "user@example.net", NULL },
	{ "example.org!example.net!user", DOM, false, "example.net!user@example.org", NULL },
	{ "!user@example.com", UNK, false, "user@", NULL },
	{ "example.net!@example.com", DOM, true, "mailer-daemon@example.net", NULL },
	/* mixed: bang before percent, but percent before bang where SMTP quotes */
	{ "example.com!user%example.net", DOM, true, "user@example.net", NULL },
	{ "example.org!user%example.net", DOM, false, "user%example.net@example.org", NULL },
	{ "a.example!user%b.example@example.com", DOM, false, "user%b.example@a.example", NULL },
	{ "a.example!us er%b.example@example.com", DOM, false, "a.example!us er@b.example", NULL },
	{ "a.example!us er%b.example", DOM, false, "a.example!us er@b.example", NULL },
	{ "a.example!us er@example.com", DOM, false, "us er@a.example", NULL },
	{ "user%example.net!example.com", DOM, false, "example.com@user%example.net", NULL },
	{ "us%er@x%example.com@example.com", DOM, false, "us%er@x%example.com", NULL },
	/* quotes and backslashes vanish from domains, and from what a `!` is taken off */
	{ "user@\"example.com", DOM, true, "user@example.com", NULL },
	{ "user@\\example.com", DOM, true, "user@example.com", NULL },
	{ "user@\"example.org\"", DOM, false, "user@example.org", NULL },
	{ "user%\"example.net@example.com", DOM, true, "user@example.net", NULL },
	{ "user@\"[192.0.2.1]", LIT, true, "user@[192.0.2.1]", NULL },
	{ "example.net!us\\er@example.com", DOM, true, "user@example.net", NULL },
	{ "\"example.net\"!\"user\"@example.com", DOM, true, "user@example.net", NULL },
	{ "\"example.net!user@example.com", DOM, true, "user@example.net", NULL },
	{ "x\"!example.org\"y@example.com", DOM, true, "x!example.orgy@example.com", NULL },
	{ "!example.net!us er@example.com", DOM, true, "user@example.net", NULL },
	{ "example.net!us er@example.com", DOM, true, "us er@example.net", NULL },
	{ "\"us er\"@example.com", DOM, true, "\"us er\"@example.com", NULL },
	/* an empty domain is taken off */
	{ "user%example.net@", DOM, true, "user@example.net", NULL },
	{ "user%example.org@\"", DOM, false, "user@example.org", NULL },
	{ "!user%example.net@example.com", DOM, true, "user@example.net", NULL },
	/* no local part */
	{ "@example.com", DOM, true, "mailer-daemon@example.com", NULL },
	{ "@example.org", DOM, false, "@example.org", NULL },
	{ "@", UNK, false, "@", NULL },
	{ "@@example.com", UNK, false, "@", NULL },
	{ "user@", UNK, false, "user@", NULL },
	{ "user@.", UNK, false, "user@", NULL },
	/* internationalised */
	{ "user@b\xc3\xbc" "cher.example", DOM, true, "user@xn--bcher-kva.example", NULL },
	{ "user@B\xc3\x9c" "CHER.EXAMPLE.", DOM, true, "user@xn--bcher-kva.example", NULL },
	{ "user@XN--Bcher-KVA.example", DOM, true, "user@xn--bcher-kva.example", NULL },
	{ "user@\xef\xbd\x85xample.com", DOM, true, "user@example.com", NULL },
	{ "user@example\xe3\x80\x82" "com", DOM, true, "user@example.com", NULL },
	{ "J\xc3\x96RG@example.com", DOM, true, "j\xc3\xb6rg@example.com", NULL },
	{ "jo\xcc\x88rg+X@Example.com", DOM, true, "j\xc3\xb6rg+x@example.com", "j\xc3\xb6rg@example.com" },
	{ "x\xff@example.com", DOM, true, "x\xff@example.com", NULL },
	{ "user@ex\xff" "ample.com", UNK, false, "user@ex\xff" "ample.com", NULL },
	{ "user@ex\xef\xbc\xa0" "ample.com", UNK, false, "user@ex\xef\xbc\xa0" "ample.com", NULL },
	/* literals */
	{ "user@[192.0.2.1]", LIT, true, "user@[192.0.2.1]", NULL },
	{ "user@[192.0.2.1].", LIT, true, "user@[192.0.2.1]", NULL },
	{ "user@[192.0.2.9]", LIT, false, "user@[192.0.2.9]", NULL },
	{ "user@[127.0.0.1]", LIT, true, "user@[127.0.0.1]", NULL },
	{ "user@[IPv6:::1]", LIT, true, "user@[ipv6:::1]", NULL },
	{ "user@[IPV6:2001:DB8:0::1]", LIT, true, "user@[ipv6:2001:db8::1]", NULL },
	{ "user@[ipv6:2001:db8::9]", LIT, false, "user@[ipv6:2001:db8::9]", NULL },
	{ "user@[IPv6:::ffff:192.0.2.1]", LIT, true, "user@[192.0.2.1]", NULL },
	{ "user@[::ffff:192.0.2.1]", LIT, true, "user@[192.0.2.1]", NULL },
	{ "user@[::FFFF:c000:0209]", LIT, false, "user@[192.0.2.9]", NULL },
	{ "user@[2001:db8::1]", LIT, true, "user@[ipv6:2001:db8::1]", NULL },
	{ "user%example.net@[192.0.2.1]", DOM, true, "user@example.net", NULL },
	{ "user%[192.0.2.1]@example.com", LIT, true, "user@[192.0.2.1]", NULL },
	{ "user%example.net@[192.0.2.9]", LIT, false, "user%example.net@[192.0.2.9]", NULL },
	{ "user+tag@[192.0.2.1]", LIT, true, "user+tag@[192.0.2.1]", "user@[192.0.2.1]" },
	{ "user@[IPv6:192.0.2.1]", BADLIT, false, "user@[ipv6:192.0.2.1]", NULL },
	{ "user@[999.1.1.1]", BADLIT, false, "user@[999.1.1.1]", NULL },
	{ "user@[]", BADLIT, false, "user@[]", NULL },
	{ "user@[Example.com]", BADLIT, false, "user@[example.com]", NULL },
	{ "user@[ipv6:]", BADLIT, false, "user@[ipv6:]", NULL },
	{ "user@[", DOM, false, "user@[", NULL },
	/* extensions */
	{ "user+tag@example.com", DOM, true, "user+tag@example.com", "user@example.com" },
	{ "user+a+b@example.com", DOM, true, "user+a+b@example.com", "user@example.com" },
	{ "user+@example.com", DOM, true, "user+@example.com", "user@example.com" },
	{ "+tag@example.com", DOM, true, "+tag@example.com", NULL },
	{ "++tag@example.com", DOM, true, "++tag@example.com", NULL },
	{ "user-tag@example.com", DOM, true, "user-tag@example.com", NULL },
	{ "user+tag@example.org", DOM, false, "user+tag@example.org", "user@example.org" },
	{ "owner-x+tag@example.com", DOM, true, "owner-x+tag@example.com", "owner-x@example.com" },
};

static const char *const own_domains[] = { "example.com", "Example.NET.", ".lists.example.com",
					   "b\xc3\xbc" "cher.example", NULL };
static const char *const own_addresses[] = { "192.0.2.1", "2001:db8::1", NULL };

static void setup(struct fixture *fixture, const char *origin, const char *delimiter)
{
	fixture_init(fixture, &(struct fixture_parts){ .origin = origin, .delimiter = delimiter,
						       .domains = own_domains,
						       .addresses = own_addresses });
	cr_assert_eq(config_errors_count(fixture->errors), 0);
}

static void check(struct fixture *fixture, const struct row *row)
{
	struct mail_address got = fixture_address(fixture, row->text);
	const char *subject = row->subject ? row->subject : row->folded;

	cr_assert_eq(got.kind, row->kind, "%s: kind %d", row->text, got.kind);
	cr_assert_eq(got.domain_is_local, row->local, "%s: local %d", row->text, got.domain_is_local);
	cr_assert(slice_is(got.folded, row->folded), "%s: folded %.*s", row->text, SLICE_ARG(got.folded));
	cr_assert(slice_is(got.subject, subject), "%s: subject %.*s", row->text, SLICE_ARG(got.subject));
	cr_assert(slice_is(got.raw, row->text));
	cr_assert(slice_ends_with(got.folded, got.domain), "%s", row->text);
}

Test(address, spellings)
{
	struct fixture fixture;

	setup(&fixture, NULL, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&fixture, &rows[i]);
	cr_assert_geq(sizeof(rows) / sizeof(rows[0]), 80);
	fixture_release(&fixture);
}

/* Reading what came out changes nothing, unless quotes hid an operator. */
Test(address, reading_again_changes_nothing)
{
	struct fixture fixture;

	setup(&fixture, NULL, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mail_address first = fixture_address(&fixture, rows[i].text);
		struct mail_address again;

		if (first.kind == MAIL_ADDRESS_UNKNOWN || strchr(rows[i].text, '"'))
			continue;
		mail_address_read(&again, first.folded, fixture.site, &fixture.arena);
		cr_assert(slice_equal(first.folded, again.folded), "%s: %.*s", rows[i].text,
			  SLICE_ARG(again.folded));
		cr_assert(slice_equal(first.subject, again.subject));
	}
	fixture_release(&fixture);
}

Test(address, the_null_sender)
{
	struct fixture fixture;
	struct mail_address got;

	setup(&fixture, NULL, NULL);
	got = fixture_address(&fixture, "");
	cr_assert_eq(got.kind, MAIL_ADDRESS_NULL);
	cr_assert_eq(got.folded.len + got.subject.len + got.domain.len + got.local.len, 0);
	cr_assert_not(got.domain_is_local);
	mail_address_read(&got, slice_make(NULL, 0), fixture.site, &fixture.arena);
	cr_assert_eq(got.kind, MAIL_ADDRESS_NULL);
	fixture_release(&fixture);
}

Test(address, local_part_keeps_case_and_extension)
{
	struct fixture fixture;
	struct mail_address got;

	setup(&fixture, NULL, NULL);
	got = fixture_address(&fixture, "User.Name+Tag@Example.COM");
	cr_assert(slice_is(got.local, "User.Name+Tag"));
	cr_assert(slice_is(got.domain, "example.com"));
	got = fixture_address(&fixture, "Example.NET!User@Example.COM");
	cr_assert(slice_is(got.local, "User"));
	cr_assert(slice_is(got.domain, "example.net"));
	got = fixture_address(&fixture, "u@[IPv6:2001:DB8::1]");
	cr_assert(slice_is(got.domain, "[ipv6:2001:db8::1]"));
	cr_assert_eq(got.ip.bytes[15], 1);
	fixture_release(&fixture);
}

Test(address, shown_as_ours)
{
	struct fixture fixture;

	setup(&fixture, NULL, NULL);
	cr_assert(fixture_address(&fixture, "user@example.com").shown_local);
	cr_assert(fixture_address(&fixture, "user").shown_local);
	cr_assert(fixture_address(&fixture, "user%example.org@example.com").shown_local);
	cr_assert(fixture_address(&fixture, "example.org!user@Example.com.").shown_local);
	cr_assert(fixture_address(&fixture, "user@[192.0.2.1]").shown_local);
	cr_assert_not(fixture_address(&fixture, "user@example.org").shown_local);
	cr_assert_not(fixture_address(&fixture, "user%example.com@example.org").shown_local);
	cr_assert_not(fixture_address(&fixture, "example.org!user").shown_local);
	cr_assert_not(fixture_address(&fixture, "").shown_local);
	cr_assert(fixture_address(&fixture, "a..b!user@example.com").shown_local, "leads nowhere");
	cr_assert(fixture_address(&fixture, "[192.0.2!user@example.com").shown_local);
	cr_assert(fixture_address(&fixture, "example.org!user@example.com@").shown_local, "no domain is no domain");
	cr_assert_not(fixture_address(&fixture, "example.org!user@sub.example.com").shown_local);
	cr_assert_not(fixture_address(&fixture, "user@[192.0.2.2]").shown_local);
	cr_assert(fixture_login(&fixture, "user@example.com").shown_local);
	cr_assert_not(fixture_login(&fixture, "example.com!user@example.org").shown_local);
	fixture_release(&fixture);
}

/* As Postfix's split_addr(). */
static const struct row dash_rows[] = {
	{ "user-a@example.com", DOM, true, "user-a@example.com", "user@example.com" },
	{ "user+a-b@example.com", DOM, true, "user+a-b@example.com", "user@example.com" },
	{ "user-a+b@example.com", DOM, true, "user-a+b@example.com", "user@example.com" },
	{ "owner-list@example.com", DOM, true, "owner-list@example.com", NULL },
	{ "Owner-list+x@example.com", DOM, true, "owner-list+x@example.com", NULL },
	{ "list-request@example.com", DOM, true, "list-request@example.com", NULL },
	{ "List-REQUEST@example.com", DOM, true, "list-request@example.com", NULL },
	{ "-request@example.com", DOM, true, "-request@example.com", NULL },
	{ "a-requests@example.com", DOM, true, "a-requests@example.com", "a@example.com" },
	{ "MAILER-DAEMON@example.com", DOM, true, "mailer-daemon@example.com", NULL },
	{ "double-bounce@example.com", DOM, true, "double-bounce@example.com", NULL },
	{ "mailer-x@example.com", DOM, true, "mailer-x@example.com", "mailer@example.com" },
	{ "postmaster@example.com", DOM, true, "postmaster@example.com", NULL },
	{ "postmaster-x@example.com", DOM, true, "postmaster-x@example.com", "postmaster@example.com" },
};

Test(address, dashes_as_delimiters)
{
	struct fixture fixture;

	setup(&fixture, NULL, "+-");
	for (size_t i = 0; i < sizeof(dash_rows) / sizeof(dash_rows[0]); i++)
		check(&fixture, &dash_rows[i]);
	fixture_release(&fixture);
	setup(&fixture, NULL, "");
	check(&fixture, &(struct row){ "a+b@example.com", DOM, true, "a+b@example.com", NULL });
	fixture_release(&fixture);
}

Test(address, an_origin_that_is_not_local)
{
	static const struct row foreign[] = {
		{ "user", DOM, false, "user@mx.example.org", NULL },
		{ "example.com!user", DOM, true, "user@example.com", NULL },
		{ "user%example.com", DOM, true, "user@example.com", NULL },
		{ "us er%example.com", DOM, false, "us er%example.com@mx.example.org", NULL },
	};
	struct fixture fixture;

	setup(&fixture, "MX.example.org.", NULL);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		check(&fixture, &foreign[i]);
	fixture_release(&fixture);
	setup(&fixture, "", NULL);
	check(&fixture, &(struct row){ "user", UNK, false, "user@", NULL });
	fixture_release(&fixture);
}

/* Whatever the length: the whole route is read, in a time that does not explode. */
Test(address, long_routes)
{
	static char text[65536];
	struct fixture fixture;
	struct mail_address got;
	size_t len = 0;

	setup(&fixture, NULL, NULL);
	len += (size_t)snprintf(text, sizeof(text), "user");
	for (int i = 0; i < 90; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%%example.com");
	len += (size_t)snprintf(text + len, sizeof(text) - len, "@example.net");
	got = fixture_address(&fixture, text);
	cr_assert(slice_is(got.folded, "user@example.com"));
	for (len = 0; len + 13 < sizeof(text);)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%%example.com");
	got = fixture_address(&fixture, text);
	cr_assert(got.domain_is_local);
	memset(text, '!', sizeof(text) - 1);
	got = fixture_address(&fixture, text);
	memset(text, '@', sizeof(text) - 1);
	got = fixture_address(&fixture, text);
	cr_assert_eq(got.kind, MAIL_ADDRESS_UNKNOWN);
	fixture_release(&fixture);
}

static const struct row logins[] = {
	{ "alice@example.com", DOM, true, "alice@example.com", NULL },
	{ "Alice", DOM, true, "alice@users.example.net", NULL },
	{ "ALICE@Example.COM.", DOM, true, "alice@example.com", NULL },
	{ "alice+x", DOM, true, "alice+x@users.example.net", "alice@users.example.net" },
	{ "al%example.com", DOM, true, "al%example.com@users.example.net", NULL },
	{ "DOM\\alice", DOM, true, "dom\\alice@users.example.net", NULL },
	{ "al ice=\"x\"'y", DOM, true, "al ice=\"x\"'y@users.example.net", NULL },
	{ "a@b@example.com", DOM, true, "a@b@example.com", NULL },
	{ "j\xc3\x96rg@b\xc3\xbc" "cher.example", DOM, true, "j\xc3\xb6rg@xn--bcher-kva.example", NULL },
	{ "alice@", UNK, false, "alice@", NULL },
	{ "alice@bad..example", UNK, false, "alice@bad..example", NULL },
};

Test(address, logins)
{
	static char text[600];
	struct fixture fixture;
	struct mail_address got;

	fixture_init(&fixture, &(struct fixture_parts){
		.login_domain = "Users.example.net",
		.domains = FIXTURE_LIST("example.com", "users.example.net", "b\xc3\xbc" "cher.example") });
	for (size_t i = 0; i < sizeof(logins) / sizeof(logins[0]); i++) {
		const char *subject = logins[i].subject ? logins[i].subject : logins[i].folded;

		got = fixture_login(&fixture, logins[i].text);
		cr_assert_eq(got.kind, logins[i].kind, "%s", logins[i].text);
		cr_assert_eq(got.domain_is_local, logins[i].local, "%s", logins[i].text);
		cr_assert(slice_is(got.folded, logins[i].folded), "%s", logins[i].text);
		cr_assert(slice_is(got.subject, subject), "%s", logins[i].text);
	}
	got = fixture_login(&fixture, "");
	cr_assert_eq(got.kind, MAIL_ADDRESS_NONE);
	memset(text, 'U', sizeof(text) - 1);
	got = fixture_login(&fixture, text);
	cr_assert_eq(got.kind, MAIL_ADDRESS_UNKNOWN);
	cr_assert_eq(got.folded.len, sizeof(text) - 1);
	cr_assert_eq(got.folded.data[0], 'u');
	fixture_release(&fixture);
}

/* Whatever byte stands where in a domain of whatever length, the quick way reads it as idn_domain() does. */
Test(address, each_odd_byte_at_each_place_of_a_domain)
{
	static const char odd[] = { '.', '"', '\\', '[', ']', 'A', '\xc3', '-' };
	struct fixture fixture;

	setup(&fixture, NULL, NULL);
	for (size_t len = 1; len < 90; len++) {
		for (size_t i = 0; i < len * sizeof(odd); i++) {
			char text[100] = "u@", expected[100];
			struct slice domain = { text + 2, len }, name = SLICE_EMPTY;
			struct mail_address got;
			bool good;
			size_t kept = 0;

			memset(text + 2, 'x', len);
			for (size_t dot = 40; dot < len; dot += 40)
				text[2 + dot] = '.';
			text[2 + i / sizeof(odd)] = odd[i % sizeof(odd)];
			if (text[2] == '[' && text[1 + len] == ']')
				continue;
			good = idn_domain(domain, &fixture.arena, &name);
			got = fixture_login(&fixture, text);
			cr_assert_eq(got.kind, good ? MAIL_ADDRESS_DOMAIN : MAIL_ADDRESS_UNKNOWN,
				     "%s", text);
			cr_assert(!good || slice_equal(got.domain, name), "%s", text);
			/* Of a sender's domain quotes and backslashes vanish first. */
			for (size_t k = 0; k < len; k++)
				if (!strchr("\"\\", domain.data[k]))
					expected[kept++] = domain.data[k];
			good = idn_domain(slice_make(expected, kept), &fixture.arena, &name);
			got = fixture_address(&fixture, text);
			cr_assert_eq(got.kind, good ? MAIL_ADDRESS_DOMAIN : MAIL_ADDRESS_UNKNOWN,
				     "%s", text);
			cr_assert(!good || slice_equal(got.domain, name), "%s", text);
		}
	}
	fixture_release(&fixture);
}

/* The domain that comes out of `local`@`domain`, all of whose bytes are letters but the two at `at`. */
static struct mail_address read_marked(
	struct fixture *fixture, size_t local, size_t len, size_t at, const char *marks)
{
	char text[128];
	struct mail_address address;

	memset(text, 'x', sizeof(text));
	text[local] = '@';
	for (size_t i = 0; i < 2 && marks[i] && at + i < len; i++)
		text[local + 1 + at + i] = marks[i];
	mail_address_read(
		&address, slice_make(text, local + 1 + len), fixture->site, &fixture->arena);
	cr_assert_eq(address.domain_is_local, false);
	return address;
}

/* However it is looked for: in a few bytes or many, at the begin or the end of a block. */
static void check_marks(struct fixture *fixture, size_t local, size_t len, size_t at)
{
	bool at_end = at == 0 || at + 1 == len;
	struct mail_address plain = read_marked(fixture, local, len, at, "y");
	struct mail_address quote = read_marked(fixture, local, len, at, "\"");
	struct mail_address slash = read_marked(fixture, local, len, at, "\\");
	struct mail_address dot = read_marked(fixture, local, len, at, ".");
	struct mail_address dots = read_marked(fixture, local, len, at, "..");

	cr_assert(plain.kind == DOM && plain.domain.len == len);
	cr_assert(quote.kind == DOM && quote.domain.len == len - 1, "%zu %zu", len, at);
	cr_assert(slash.kind == DOM && slash.domain.len == len - 1, "%zu %zu", len, at);
	cr_assert(dot.kind == (at == 0 ? UNK : DOM) && (at_end || dot.domain.len == len));
	cr_assert(dots.kind == (at == 0 || at + 1 < len ? UNK : DOM), "%zu %zu", len, at);
}

Test(address, marks_in_a_domain_are_seen_at_each_place)
{
	static const size_t locals[] = { 1, 4, 15, 40 };
	struct fixture fixture;

	setup(&fixture, NULL, NULL);
	for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++)
		for (size_t len = 2; len <= 63; len++)
			for (size_t at = 0; at < len; at++) {
				arena_reset(&fixture.arena);
				check_marks(&fixture, locals[i], len, at);
			}
	cr_assert(read_marked(&fixture, 1, 64, 0, "").kind == UNK, "a label of 64");
	cr_assert(read_marked(&fixture, 1, 64, 30, ".").kind == DOM);
	fixture_release(&fixture);
}

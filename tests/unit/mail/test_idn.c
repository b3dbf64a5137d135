/* SPDX-License-Identifier: ISC */
#include "daemon/mail/idn.h"

#include <criterion/criterion.h>

#define LABEL60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *domain, *expected;     /* NULL: cannot be converted */
} domains[] = {
	{ "example.com", "example.com" },
	{ "EXAMPLE.Com", "example.com" },
	{ "example.com.", "example.com" },
	{ "com", "com" },
	{ "My_Host.example", "my_host.example" },
	{ "[Z@`{", "[z@`{" },
	{ "", NULL },
	{ ".", NULL },
	{ "example.com..", NULL },
	{ "a..b", NULL },
	{ ".example.com", NULL },
	{ "b\xc3\xbc" "cher.example", "xn--bcher-kva.example" },
	{ "B\xc3\x9c" "CHER.Example.", "xn--bcher-kva.example" },
	{ "bu\xcc\x88" "cher.example", "xn--bcher-kva.example" },      /* not NFC */
	{ "XN--BCHER-KVA.example", "xn--bcher-kva.example" },
	{ "stra\xc3\x9f" "e.de", "xn--strae-oqa.de" },                  /* non-transitional */
	{ "\xef\xbd\x85xample.com", "example.com" },                    /* full-width e */
	{ "example\xe3\x80\x82" "com", "example.com" },                 /* ideographic full stop */
	{ "example.com\xe3\x80\x82", "example.com" },
	{ "\xe4\xbe\x8b\xe5\xad\x90.example.net", "xn--fsqu00a.example.net" },
	{ "ex\xef\xbc\xa0" "ample.com", NULL },                         /* full-width @ */
	{ "\xef\xbc\xbb" "127.0.0.1\xef\xbc\xbd", NULL },               /* full-width brackets */
	{ "a\xc3.com", NULL },
	{ "\xff.com", NULL },
	{ "\xe2\x80\xae" "abc.com", NULL },                             /* U+202E */
	{ LABEL60 "abc.com", LABEL60 "abc.com" },
	{ LABEL60 "abcd.com", NULL },
	{ LABEL60 "." LABEL60 "." LABEL60 "." LABEL60 ".abcdefgh",
	  LABEL60 "." LABEL60 "." LABEL60 "." LABEL60 ".abcdefgh" },
	{ LABEL60 "." LABEL60 "." LABEL60 "." LABEL60 ".abcdefghij", NULL },
};

Test(idn, domains)
{
	struct arena arena;

	arena_init(&arena, 1024);
	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
		struct slice got = SLICE("untouched");
		bool good = idn_domain(slice_of(domains[i].domain), &arena, &got);

		cr_assert_eq(good, domains[i].expected != NULL, "%s", domains[i].domain);
		cr_assert(slice_is(got, good ? domains[i].expected : "untouched"), "%s: %.*s",
			  domains[i].domain, SLICE_ARG(got));
	}
	arena_release(&arena);
}

Test(idn, a_nul_or_too_many_bytes_are_no_domain)
{
	static char longest[5000];
	struct arena arena;
	struct slice got;

	arena_init(&arena, 64);
	cr_assert_not(idn_domain(slice_make("\xc3\xbc\0.de", 6), &arena, &got));
	memset(longest, 'a', sizeof(longest));
	cr_assert_not(idn_domain(slice_make(longest, sizeof(longest)), &arena, &got));
	for (size_t i = 0; i < sizeof(longest); i += 2)
		memcpy(longest + i, "\xc3\xbc", 2);
	cr_assert_not(idn_domain(slice_make(longest, 1024), &arena, &got));
	cr_assert_not(idn_domain(slice_make(longest, sizeof(longest)), &arena, &got));
	arena_release(&arena);
}

static const char *const folds[][2] = {
	{ "", "" },
	{ "User.Name", "user.name" },
	{ "J\xc3\x96RG", "j\xc3\xb6rg" },
	{ "jo\xcc\x88rg", "j\xc3\xb6rg" },
	{ "STRASSE", "strasse" },
	{ "stra\xc3\x9f" "e", "strasse" },
	{ "\xce\xa3\xce\x9f\xce\xa6\xce\x9f\xce\xa3", "\xcf\x83\xce\xbf\xcf\x86\xce\xbf\xcf\x83" },
	{ "A\xff\xc3" "B", "a\xff\xc3" "b" },
};

Test(idn, folding)
{
	struct arena arena;

	arena_init(&arena, 1024);
	for (size_t i = 0; i < sizeof(folds) / sizeof(folds[0]); i++) {
		struct slice got = idn_fold(slice_of(folds[i][0]), &arena);

		cr_assert(slice_is(got, folds[i][1]), "%s: %.*s", folds[i][0], SLICE_ARG(got));
	}
	arena_release(&arena);
}

Test(idn, lower_is_right_for_each_byte_at_each_place)
{
	char text[40], copy[40];

	for (size_t len = 1; len <= sizeof(text); len++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			memset(text, 'Q', len);
			for (size_t at = 0; at < len; at++) {
				char expected = (char)(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);

				text[at] = (char)byte;
				cr_assert_eq(idn_lower(slice_make(text, len), copy), byte < 0x80);
				cr_assert_eq(copy[at], expected);
				cr_assert_eq(copy[at == 0 ? len - 1 : 0], len == 1 ? expected : 'q');
				text[at] = 'Q';
			}
		}
	}
}

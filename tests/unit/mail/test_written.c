/* SPDX-License-Identifier: ISC */
#include "daemon/mail/written.h"

#include <criterion/criterion.h>

#define LABEL60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LABEL63 LABEL60 "bbb"

#define EMPTY "it is empty"
#define CONTROL "it has a control character"
#define BLANK "it has a blank; in a pattern '?' stands for one"
#define TWO_AT "it has more than one '@'; in a pattern '?' stands for one in a local part"
#define NO_DOMAIN "it names no domain, like example.com"
#define BYTES "a domain is made of letters, digits, '-', '_' and dots"
#define DOT "its domain has a dot too many"
#define LABEL "its domain has a label of more than 63 bytes"
#define LONG "its domain is longer than 253 bytes"
#define AT "it is a name of a host, without '@'; .example.com is all below a domain"

struct row {
	const char *text, *flaw; /* NULL: none */
};

static void check(const struct row *rows, size_t count, bool glob,
		  const char *(*flaw_of)(struct slice text, bool glob))
{
	for (size_t i = 0; i < count; i++) {
		const char *flaw = flaw_of(slice_of(rows[i].text), glob);

		cr_expect((flaw == NULL) == (rows[i].flaw == NULL) &&
				  (!flaw || strcmp(flaw, rows[i].flaw) == 0),
			  "'%s': %s", rows[i].text, flaw ? flaw : "no flaw");
	}
}

#define CHECK(rows, glob, flaw_of) check(rows, sizeof(rows) / sizeof(rows[0]), glob, flaw_of)

Test(written, domains)
{
	static const struct row rows[] = {
		{ "example.com", NULL },
		{ "Example.com.", NULL },
		{ ".example.com", NULL },
		{ "com", NULL },
		{ "_dmarc.b-c.example", NULL },
		{ "b\xc3\xbc" "cher.example", NULL },
		{ LABEL63 ".example", NULL },
		{ LABEL63 "c.example", LABEL },
		{ "example." LABEL63 "c", LABEL },
		/* measured as what it becomes */
		{ "\xc3\xbc" LABEL63 ".example", NULL },
		{ LABEL60 "." LABEL60 "." LABEL60 "." LABEL60 ".abcdefgh.", NULL },
		{ LABEL60 "." LABEL60 "." LABEL60 "." LABEL60 ".abcdefghij", LONG },
		{ "", NO_DOMAIN },
		{ ".", NO_DOMAIN },
		{ "..", NO_DOMAIN },
		{ "...", DOT },
		{ "..a", DOT },
		{ "a..", DOT },
		{ "a..b", DOT },
		{ "a b", BYTES },
		{ "a,b", BYTES },
		{ "a@b", BYTES },
		{ "*.example", BYTES },
		{ "a\x01", BYTES },
		{ "[192.0.2.1]", BYTES },
	};
	static const struct row globs[] = {
		{ "*.example", NULL },
		{ "?" LABEL63 ".example", NULL },
		{ "*..example", DOT },
		{ "*.exam ple", BYTES },
	};

	CHECK(rows, false, written_domain_flaw);
	CHECK(globs, true, written_domain_flaw);
}

Test(written, hosts)
{
	static const struct row rows[] = {
		{ "example.com", NULL },     { "[192.0.2.1]", NULL },
		{ "[anything]", NULL },      { "[a b]", "it has a blank" },
		{ "[]", BYTES },             { "[192.0.2.1", BYTES },
		{ "", NO_DOMAIN },
	};

	CHECK(rows, false, written_host_flaw);
}

Test(written, addresses)
{
	static const struct row rows[] = {
		{ "user@example.com", NULL },
		{ "user+x@example.com", NULL },
		{ "user", NULL },
		{ "@example.com", NULL },
		{ "@.example.com", NULL },
		{ "user@[192.0.2.1]", NULL },
		{ "J\xc3\xb6rg@example.com", NULL },
		{ "user%example.org@example.com", NULL },
		{ "", EMPTY },
		{ "a b", BLANK },
		{ "a b@c", BLANK },
		{ " a@c", BLANK },
		{ "a\tb@c", CONTROL },
		{ "a\x7f", CONTROL },
		{ "a@b@", TWO_AT },
		{ "a@b@c", TWO_AT },
		{ "@@c", TWO_AT },
		{ "@", NO_DOMAIN },
		{ "user@", NO_DOMAIN },
		{ "user@.", NO_DOMAIN },
		{ "user@a..b", DOT },
		{ "user@a;", BYTES },
	};

	CHECK(rows, false, written_address_flaw);
}

Test(written, logins)
{
	static const struct row rows[] = {
		{ "alice", NULL },     { "alice smith", NULL }, { "a@b@example.com", NULL },
		{ "", EMPTY },         { "a\x02", CONTROL },    { "alice@", NO_DOMAIN },
		{ "alice@a b", BYTES },
	};

	CHECK(rows, false, written_login_flaw);
}

Test(written, names)
{
	static const struct row rows[] = {
		{ "ylmf-pc", NULL },     { "my host", NULL }, { ".", NULL },
		{ "[192.0.2.1]", NULL }, { "a..b", NULL },    { ".example.com", NULL },
		{ "user@host", NULL },   { "", EMPTY },       { "a\x01", CONTROL },
		{ "@example.com", AT },  { "..", NO_DOMAIN }, { ".a..b", DOT },
	};

	CHECK(rows, false, written_name_flaw);
}

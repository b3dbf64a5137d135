/* SPDX-License-Identifier: ISC */
#include "daemon/mail/site.h"

#include <criterion/criterion.h>

#include "tests/unit/mail/fixture.h"

static struct ip ip_of(const char *text)
{
	struct ip ip;

	cr_assert(ip_parse(slice_of(text), &ip));
	return ip;
}

static bool owns(struct fixture *fixture, const char *login_text, const char *sender_text)
{
	struct mail_address login = fixture_login(fixture, login_text);
	struct mail_address sender = fixture_address(fixture, sender_text);

	return site_login_owns(fixture->site, &login, &sender);
}

static struct slice account_of(struct fixture *fixture, const char *login_text)
{
	struct mail_address login = fixture_login(fixture, login_text);

	return site_login_account(fixture->site, &login);
}

Test(site, domains)
{
	struct fixture fixture;
	const struct site *site;

	fixture_init(&fixture, &(struct fixture_parts){
		.domains = FIXTURE_LIST("Example.COM", ".lists.example.com", "b\xc3\xbc" "cher.example") });
	site = fixture.site;
	cr_assert(site_has_domains(site));
	cr_assert(site_domain_is_local(site, SLICE("example.com")));
	cr_assert(site_domain_is_local(site, SLICE("xn--bcher-kva.example")));
	cr_assert(site_domain_is_local(site, SLICE("a.lists.example.com")));
	cr_assert(site_domain_is_local(site, SLICE("b.a.lists.example.com")));
	cr_assert_not(site_domain_is_local(site, SLICE("lists.example.com")));
	cr_assert_not(site_domain_is_local(site, SLICE("xlists.example.com")));
	cr_assert_not(site_domain_is_local(site, SLICE("a.example.com")));
	cr_assert_not(site_domain_is_local(site, SLICE("com")));
	cr_assert_not(site_domain_is_local(site, SLICE_EMPTY));
	cr_assert(site_domain_is_below_local(site, SLICE("example.com")));
	cr_assert(site_domain_is_below_local(site, SLICE("b.a.example.com")));
	cr_assert(site_domain_is_below_local(site, SLICE("a.lists.example.com")));
	cr_assert(site_domain_is_below_local(site, SLICE("lists.example.com")));
	cr_assert_not(site_domain_is_below_local(site, SLICE("notexample.com")));
	cr_assert_not(site_domain_is_below_local(site, SLICE("com")));
	cr_assert_not(site_domain_is_below_local(site, SLICE_EMPTY));
	fixture_release(&fixture);
}

Test(site, an_empty_one_owns_nothing)
{
	struct config config = { 0 };
	struct config_errors *errors = config_errors_new();
	struct site *site = site_new(&config, errors);
	struct ip ip = ip_of("192.0.2.1");

	cr_assert_eq(config_errors_count(errors), 0);
	cr_assert_not(site_has_domains(site));
	cr_assert_not(site_domain_is_local(site, SLICE("example.com")));
	cr_assert_not(site_domain_is_below_local(site, SLICE("example.com")));
	cr_assert_not(site_ip_is_local(site, &ip));
	cr_assert_not(site_ip_is_privileged(site, &ip));
	cr_assert_not(site_ip_is_own(site, &ip));
	cr_assert_eq(site_origin(site).len, 0);
	cr_assert_eq(site_find_delimiter(site, SLICE("a+b")), 3);
	site_free(&site);
	site_free(&site);
	config_errors_free(&errors);
}

Test(site, errors_stand_where_they_are)
{
	struct fixture fixture;
	bool warning;

	fixture_init(&fixture, &(struct fixture_parts){
		.origin = "bad..origin",
		.domains = FIXTURE_LIST("good.example", "bad..example", "."),
		.owners = FIXTURE_LIST("a@example.com alice", "onlyone@example.com", "@bad..example bob",
				       "a@example.com"),
		.logins = FIXTURE_LIST("alice a@bad..example", "bob @example.com") });
	cr_assert_eq(config_errors_count(fixture.errors), 7);
	cr_assert_str_eq(config_errors_line(fixture.errors, 0, &warning),
			 "(configuration): 'origin' needs a domain, like example.com, not "
			 "'bad..origin'");
	cr_assert(site_domain_is_local(fixture.site, SLICE("good.example")));
	fixture_release(&fixture);
}

Test(site, accounts)
{
	struct fixture fixture;

	fixture_init(&fixture, &(struct fixture_parts){
		.domains = FIXTURE_LIST("acme.example", "acme.test", "other.example", ".tenant.example"),
		.account_names = FIXTURE_LIST("acme", "tenant"),
		.account_domains = (const char *const *const[]){ FIXTURE_LIST("acme.example", "Acme.Test"),
								 FIXTURE_LIST(".tenant.example") },
		.logins = FIXTURE_LIST("jdoe jdoe@unknown.example,jdoe@acme.test",
				       "Boss@other.example @acme.example", "ghost x@unknown.example") });
	cr_assert_eq(config_errors_count(fixture.errors), 0);
	cr_assert(slice_is(site_domain_account(fixture.site, SLICE("acme.test")), "acme"));
	cr_assert(slice_is(site_domain_account(fixture.site, SLICE("a.tenant.example")), "tenant"));
	cr_assert(slice_is(site_domain_account(fixture.site, SLICE("other.example")), "other.example"));
	cr_assert_eq(site_domain_account(fixture.site, SLICE("unknown.example")).len, 0);
	cr_assert(slice_is(account_of(&fixture, "u@ACME.example"), "acme"));
	cr_assert(slice_is(account_of(&fixture, "u@other.example"), "other.example"));
	cr_assert(slice_is(account_of(&fixture, "JDoe"), "acme"));
	cr_assert(slice_is(account_of(&fixture, "boss@other.example"), "acme"));
	cr_assert_eq(account_of(&fixture, "ghost").len, 0);
	cr_assert_eq(account_of(&fixture, "nobody").len, 0);
	cr_assert_eq(account_of(&fixture, "").len, 0);
	fixture_release(&fixture);
}

Test(site, who_owns_what)
{
	struct fixture fixture;

	fixture_init(&fixture, &(struct fixture_parts){
		.domains = FIXTURE_LIST("example.com"),
		.owners = FIXTURE_LIST("info@Example.com alice,bob", "info@example.com  carol@example.net",
				       "@example.org\tstaff, alice", "ceo@example.org boss", "root alice"),
		.logins = FIXTURE_LIST("jdoe John.Doe@example.com,@doe.example", "svc bounce@example.com") });
	cr_assert_eq(config_errors_count(fixture.errors), 0);
	cr_assert(owns(&fixture, "alice@example.com", "Alice@EXAMPLE.com."));
	cr_assert(owns(&fixture, "alice", "alice+news@example.com"));
	cr_assert(owns(&fixture, "alice", "info@example.com"));
	cr_assert(owns(&fixture, "Bob", "info+x@example.com"));
	cr_assert(owns(&fixture, "carol@example.net", "info@example.com"));
	cr_assert_not(owns(&fixture, "dave", "info@example.com"));
	cr_assert(owns(&fixture, "alice", "root"));
	cr_assert(owns(&fixture, "staff", "anyone@example.org"));
	cr_assert(owns(&fixture, "boss", "ceo@example.org"));
	cr_assert(owns(&fixture, "boss", "ceo+x@example.org"));
	cr_assert_not(owns(&fixture, "staff", "ceo@example.org"), "the first listed decides");
	cr_assert(owns(&fixture, "jdoe", "john.doe@example.com"));
	cr_assert(owns(&fixture, "jdoe", "john.doe+x@example.com"));
	cr_assert(owns(&fixture, "jdoe", "any@doe.example"));
	cr_assert_not(owns(&fixture, "jdoe", "any@sub.doe.example"));
	cr_assert_not(owns(&fixture, "svc", "other@example.com"));
	cr_assert_not(owns(&fixture, "alice+x", "alice@example.com"));
	cr_assert_not(owns(&fixture, "", ""));
	cr_assert_not(owns(&fixture, "alice", ""));
	fixture_release(&fixture);
}

Test(site, networks)
{
	struct fixture fixture;
	struct ip own = ip_of("192.0.2.1"), mapped = ip_of("::ffff:192.0.2.1"), other = ip_of("192.0.2.2");
	struct ip loopback4 = ip_of("127.9.9.9"), loopback6 = ip_of("::1"), privileged = ip_of("198.51.100.7");
	struct ip local = ip_of("10.1.2.3");

	fixture_init(&fixture, &(struct fixture_parts){ .addresses = FIXTURE_LIST("192.0.2.1"),
							.privileged = FIXTURE_LIST("198.51.100.0/24") });
	cr_assert(site_ip_is_own(fixture.site, &own));
	cr_assert(site_ip_is_own(fixture.site, &mapped));
	cr_assert_not(site_ip_is_own(fixture.site, &other));
	cr_assert(site_ip_is_own(fixture.site, &loopback4));
	cr_assert(site_ip_is_own(fixture.site, &loopback6));
	cr_assert(site_ip_is_local(fixture.site, &local));
	cr_assert_not(site_ip_is_local(fixture.site, &own));
	cr_assert(site_ip_is_privileged(fixture.site, &privileged));
	cr_assert_not(site_ip_is_privileged(fixture.site, &local));
	fixture_release(&fixture);
}

/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include "tests/unit/rules/fixture.h"

#define TENANTS \
	"site:\n" \
	"  domains: [acme.example, acme.test, other.example]\n" \
	"  accounts: { acme: [acme.example, acme.test] }\n" \
	"  login_domain: acme.example\n" \
	"  owners: [\"sales@other.example bob@acme.example\", \"@shared.example bob@acme.example\"]\n" \
	"  logins: [\"u4711@nowhere.example carl@other.example\"]\n"

Test(rule_sender_login, the_whole_account_by_default)
{
	fixture_start(TENANTS "rules: [{ name: own, check: sender_login }]\n");
	cr_expect_str_eq(answer("MAIL sasl_username=bob@acme.example sender=Bob@ACME.test"), "next");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=anyone@acme.test"), "next");
	cr_expect_str_eq(answer("MAIL sasl_username=bob@acme.example sender=eve@other.example"), "bad not_owned");
	cr_expect_str_eq(reply(), "553 5.7.1 eve@other.example: not owned by bob@acme.example");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=sales+x@other.example"), "next", "owners");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=any@shared.example"), "next");
	cr_expect_str_eq(answer("MAIL sasl_username=dan@other.example sender=x@other.example"), "next",
			 "a local domain is an account of its own");
	cr_expect_str_eq(answer("MAIL sasl_username=u4711@nowhere.example sender=x@other.example"), "next",
			 "its account is that of its address");
	cr_expect_str_eq(answer("MAIL sasl_username=u4711@nowhere.example sender=x@acme.test"), "bad not_owned");
	cr_expect_str_eq(answer("MAIL sasl_username=zoe@unknown.example sender=x@acme.test"), "next unmapped");
	cr_expect_str_eq(answer("MAIL sasl_username=zoe@unknown.example sender=zoe@unknown.example"), "next");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=bob@[192.0.2.1]"), "bad not_owned");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender="), "next");
	cr_expect(rule_exempts());
	cr_expect_str_eq(answer("MAIL sender=x@acme.test"), "next");
	cr_expect(rule_exempts());
	fixture_stop();
}

Test(rule_sender_login, narrower_scopes)
{
	fixture_start(TENANTS "rules: [{ name: own, check: sender_login, scope: domain }]\n");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=eve@acme.example"), "next");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=bob@acme.test"), "bad not_owned");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=sales@other.example"), "next");
	fixture_stop();
	fixture_start(TENANTS "rules: [{ name: own, check: sender_login, scope: address }]\n");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=bob@acme.example"), "next");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=BOB+list@acme.example"), "next");
	cr_expect_str_eq(answer("MAIL sasl_username=bob sender=eve@acme.example"), "bad not_owned");
	cr_expect_str_eq(answer("MAIL sasl_username=u4711@nowhere.example sender=carl@other.example"), "next");
	cr_expect_str_eq(answer("MAIL sasl_username=zoe@unknown.example sender=x@acme.test"), "bad not_owned",
			 "a whole address can be judged without an account");
	fixture_stop();
	fixture_start("site: { domains: [acme.example], login_domain: unknown.example }\n"
		      "rules: [{ name: own, check: sender_login, scope: address }]\n");
	cr_expect_str_eq(answer("MAIL sasl_username=zoe sender=x@acme.example"), "next unmapped");
	fixture_stop();
}

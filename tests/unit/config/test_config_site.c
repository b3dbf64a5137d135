/* SPDX-License-Identifier: ISC */
/*
 * What is ours: origins, domains, accounts.
 */
#include "tests/unit/config/support.h"

#include "common/alloc.h"

Test(config_site, origins)
{
	struct config *config = load_text("site: { origin: mail.example }\n");

	cr_expect(is(config->site.origin, "mail.example"));
	cr_expect(is(config->site.login_domain, "mail.example"));
	cr_expect_eq(config->site.pos.line, 1);
	config_unref(&config);
	config = load_text("site: { origin: \"\", login_domain: users.example }\n");
	cr_expect_gt(config->site.origin.len, 0);
	cr_expect(is(config->site.login_domain, "users.example"));
	config_unref(&config);
}

Test(config_site, domains_may_hold_u_labels_and_be_below)
{
	struct config *config = load_text(
		"site: { domains: [b\303\274cher.example, .lists.example, _x.example, a.example.] }\n");

	cr_expect_eq(config->site.domains.count, 4);
	config_unref(&config);
}

Test(config_site, accounts)
{
	struct config *config = load_text(
		"site:\n  domains: [a.example, .b.example]\n"
		"  accounts: { acme: [a.example, x.b.example], \"@odd\": y.b.example, empty: }\n");

	cr_assert_eq(config->site.account_count, 3);
	cr_expect(is(config->site.accounts[0].domains.items[1], "x.b.example"));
	cr_expect(is(config->site.accounts[1].name, "@odd"));
	cr_expect_eq(config->site.accounts[2].domains.count, 0);
	config_unref(&config);
}

Test(config_site, domains_of_accounts_are_compared_with_domains)
{
	bool loaded = false;
	char *lines =
		messages_of("site:\n  domains: [A.example, .b.example]\n"
			    "  accounts: { x: [a.EXAMPLE, y.B.example, b.example, c.example] }\n",
			&loaded);

	cr_expect(loaded);
	cr_expect_str_eq(lines, "f:3:43: warning: domain 'b.example' is not in 'site.domains'\n"
				"f:3:54: warning: domain 'c.example' is not in 'site.domains'\n");
	mem_free(&lines);
}

Test(config_site, delimiters)
{
	struct config *config = load_text("site: { recipient_delimiter: \"+-\" }\n"),
		      *none = load_text("site: { recipient_delimiter: \"\" }\n");

	cr_expect(is(config->site.recipient_delimiter, "+-"));
	cr_expect_eq(none->site.recipient_delimiter.len, 0);
	config_unref(&config);
	config_unref(&none);
}

/* SPDX-License-Identifier: ISC */
/*
 * Where Reeve listens.
 */
#include "tests/unit/config/support.h"

static bool has(const struct cidr_set *set, const char *text)
{
	struct ip ip;

	cr_assert(ip_parse(slice_of(text), &ip));
	return cidr_set_contains(set, &ip);
}

Test(config_address, listeners)
{
	struct config *config = load_text(
		"listen:\n  - inet:[::1]:10045\n  - unix:/run/a.sock\n"
		"  - { address: \"unix:/run/b.sock\", mode: 0600, owner: reeve, group: postfix }\n"
		"  - { address: \"inet:0.0.0.0:10046\", allow: [192.0.2.0/24, \"2001:db8::/32\"] }\n"
		"  - inet:localhost:1\n");

	cr_assert_eq(config->listen_count, 5);
	cr_expect(is(config->listen[1].address.path, "/run/a.sock"));
	cr_expect_eq(config->listen[1].mode, 0660);
	cr_expect_eq(config->listen[2].mode, 0600);
	cr_expect(is(config->listen[2].owner, "reeve"));
	cr_expect(is(config->listen[2].group, "postfix"));
	cr_expect(has(config->listen[3].allow, "192.0.2.77"));
	cr_expect_not(has(config->listen[3].allow, "192.0.3.77"));
	cr_expect(ip_is_v4(&config->listen[4].address.ip));
	config_unref(&config);
}

/* SPDX-License-Identifier: ISC */
#include "daemon/bans/protect.h"

#include <criterion/criterion.h>

#include "tests/unit/bans/support.h"

static bool overlaps(const char *text)
{
	struct cidr cidr = network(text);
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse(
		"f",
		SLICE("site: { addresses: [198.51.100.7], privileged_networks: [203.0.113.0/24] }\n"
		      "bans: { never: [\"2001:db8:5::/48\"] }\n"),
		NULL, 0, errors);
	struct cidr_set *set;
	bool result;

	cr_assert(config);
	set = protect_set_new(config);
	result = cidr_set_overlaps(set, &cidr);
	cr_expect(result || !cidr_set_contains(set, &cidr.ip));
	cidr_set_free(&set);
	config_unref(&config);
	config_errors_free(&errors);
	return result;
}

Test(protect, networks_that_hold_or_lie_in_a_protected_one)
{
	static const char *const yes[] = { "198.51.100.7/32", "198.51.0.0/16", "203.0.113.128/25", "127.0.0.0/9",
					   "10.1.0.0/16", "::1/128", "::/64", "2001:db8:5:1::/64",
					   "2001:db8::/32", "fe80::1/128" };
	static const char *const no[] = { "198.51.100.6/32", "203.0.112.0/24", "128.0.0.0/16", "2001:db8:4::/48" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		cr_expect(overlaps(yes[i]), "%s", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		cr_expect_not(overlaps(no[i]), "%s", no[i]);
}

Test(protect, too_wide)
{
	static const char *const yes[] = { "0.0.0.0/0", "192.0.0.0/15", "::/0", "2001:d00::/31", "2001::/24" };
	static const char *const no[] = { "192.0.0.0/16", "192.0.2.1/32", "2001:db8::/32", "2001:db8::/64" };

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		struct cidr cidr = network(yes[i]);

		cr_expect(protect_is_too_wide(&cidr), "%s", yes[i]);
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		struct cidr cidr = network(no[i]);

		cr_expect_not(protect_is_too_wide(&cidr), "%s", no[i]);
	}
}

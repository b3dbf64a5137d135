/* SPDX-License-Identifier: ISC */
/*
 * The sets are the configuration's; only loopback is known by itself.
 */
#include "daemon/bans/protect.h"

#define MAPPED_BITS 96
#define WIDEST_BITS4 16
#define WIDEST_BITS6 32

static const struct cidr loopback[] = {
	{ { { [10] = 0xff, [11] = 0xff, [12] = 127 } }, MAPPED_BITS + 8 },
	{ { { [15] = 1 } }, 128 },
};

struct cidr_set *protect_set_new(const struct config *config)
{
	struct cidr_set *set = cidr_set_new();

	cidr_set_add(set, &loopback[0]);
	cidr_set_add(set, &loopback[1]);
	cidr_set_add_set(set, config->site.local_networks);
	cidr_set_add_set(set, config->site.privileged_networks);
	cidr_set_add_set(set, config->site.addresses);
	cidr_set_add_set(set, config->bans.never);
	cidr_set_seal(set);
	return set;
}

bool protect_is_too_wide(const struct cidr *network)
{
	if (ip_is_v4(&network->ip) && network->bits >= MAPPED_BITS)
		return network->bits < MAPPED_BITS + WIDEST_BITS4;
	return network->bits < WIDEST_BITS6;
}

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

bool protect_has_ip(const struct config *config, const struct ip *ip)
{
	if (!config)
		return false;
	return cidr_contains(&loopback[0], ip) || cidr_contains(&loopback[1], ip) ||
	       cidr_set_contains(config->site.local_networks, ip) ||
	       cidr_set_contains(config->site.privileged_networks, ip) ||
	       cidr_set_contains(config->site.addresses, ip) ||
	       cidr_set_contains(config->bans.never, ip);
}

bool protect_remembers(struct protect_memo *memo, const struct config *config, const struct ip *ip)
{
	if (!memo->known || !ip_equal(&memo->ip, ip)) {
		memo->ip = *ip;
		memo->is_protected = protect_has_ip(config, ip);
		memo->known = true;
	}
	return memo->is_protected;
}

bool protect_overlaps(const struct config *config, const struct cidr *network)
{
	if (!config)
		return false;
	return cidr_overlaps(&loopback[0], network) || cidr_overlaps(&loopback[1], network) ||
	       cidr_set_overlaps(config->site.local_networks, network) ||
	       cidr_set_overlaps(config->site.privileged_networks, network) ||
	       cidr_set_overlaps(config->site.addresses, network) ||
	       cidr_set_overlaps(config->bans.never, network);
}

bool protect_is_too_wide(const struct cidr *network)
{
	if (ip_is_v4(&network->ip) && network->bits >= MAPPED_BITS)
		return network->bits < MAPPED_BITS + WIDEST_BITS4;
	return network->bits < WIDEST_BITS6;
}

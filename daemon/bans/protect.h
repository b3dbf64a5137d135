/* SPDX-License-Identifier: ISC */
/*
 * Networks that are never banned: local and privileged ones, our own addresses, loopback,
 * `bans.never`; and networks that are too wide to be banned at all.
 */
#ifndef REEVE_DAEMON_BANS_PROTECT_H
#define REEVE_DAEMON_BANS_PROTECT_H

#include "config/config.h"

/* NULL config: nothing is protected yet. */
bool protect_has_ip(const struct config *config, const struct ip *ip);
/* Would a ban of `network` hit any of them? */
bool protect_overlaps(const struct config *config, const struct cidr *network);
/* Wider than /16 (IPv4) or /32 (IPv6). */
bool protect_is_too_wide(const struct cidr *network);

/* The last answer of protect_has_ip(): one request asks about its client several times. Zeroed at first, and
 * `known` cleared when the configuration changes. */
struct protect_memo {
	struct ip ip;
	bool known, is_protected;
};

bool protect_remembers(struct protect_memo *memo, const struct config *config, const struct ip *ip);

#endif

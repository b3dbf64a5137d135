/* SPDX-License-Identifier: ISC */
/*
 * Networks that are never banned: local and privileged ones, our own addresses, loopback,
 * `bans.never`; and networks that are too wide to be banned at all.
 */
#ifndef REEVE_DAEMON_BANS_PROTECT_H
#define REEVE_DAEMON_BANS_PROTECT_H

#include "config/config.h"

/* All of them, sealed: cidr_set_contains() says whether an address is protected, cidr_set_overlaps()
 * whether a ban would hit some that are. The caller's to free. */
struct cidr_set *protect_set_new(const struct config *config)
	__attribute__((returns_nonnull, warn_unused_result));
/* Wider than /16 (IPv4) or /32 (IPv6). */
bool protect_is_too_wide(const struct cidr *network);

#endif

/* SPDX-License-Identifier: ISC */
/*
 * IP addresses and networks. An IPv4 address is kept as ::ffff:a.b.c.d, so
 * that both families, and the mapped form that some front ends send, are one
 * kind of value; texts show IPv4 dotted. Prefix lengths of an IPv4 network are
 * those of the mapped form (96 more) inside `struct cidr` and plain outside. An IPv6
 * network, ::/0 included, never has an IPv4 address in it.
 */
#ifndef REEVE_COMMON_IP_H
#define REEVE_COMMON_IP_H

#include <stdint.h>

#include "common/slice.h"

#define IP_TEXT_BYTES 46      /* longest address as text, with NUL */
#define CIDR_TEXT_BYTES 50

struct ip {
	uint8_t bytes[16];
};

struct cidr {
	struct ip ip;         /* host bits are 0 */
	uint8_t bits;         /* 0 to 128, of the mapped form */
};

static inline bool ip_is_v4(const struct ip *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(ip->bytes, mapped, sizeof(mapped)) == 0;
}

static inline bool ip_equal(const struct ip *a, const struct ip *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* Dotted quad without leading zeros, or IPv6 as RFC 4291 2.2 without zone and
 * brackets. false: neither ("unknown" included). */
bool ip_parse(struct slice text, struct ip *ret_ip) __attribute__((warn_unused_result));
/* RFC 5952 for IPv6. Returns the text in `memory`, NUL-terminated. */
struct slice ip_format(const struct ip *ip, char memory[static IP_TEXT_BYTES]);
/* Keeps the first bits4 (of 32) or bits6 (of 128) bits. */
struct cidr ip_network(const struct ip *ip, unsigned bits4, unsigned bits6);

/* "192.0.2.0/24", "2001:db8::/32", "[::1]/128", or one address. `ret_why` (static text) says what is
 * wrong: no address, a bad prefix length, or host bits that are not 0. */
bool cidr_parse(struct slice text, struct cidr *ret_cidr, const char **ret_why)
	__attribute__((warn_unused_result));
struct slice cidr_format(const struct cidr *cidr, char memory[static CIDR_TEXT_BYTES]);
bool cidr_contains(const struct cidr *cidr, const struct ip *ip);
bool cidr_overlaps(const struct cidr *a, const struct cidr *b);

/* A set of networks: add all, seal once, then ask. Asking takes a binary
 * search for each prefix length in use. */
struct cidr_set;

struct cidr_set *cidr_set_new(void) __attribute__((returns_nonnull, warn_unused_result));
void cidr_set_free(struct cidr_set **set);
void cidr_set_add(struct cidr_set *set, const struct cidr *cidr);
/* All members of another; NULL: none. */
void cidr_set_add_set(struct cidr_set *set, const struct cidr_set *members);
void cidr_set_seal(struct cidr_set *set);
/* NULL set: false. */
bool cidr_set_contains(const struct cidr_set *set, const struct ip *ip);
/* Does any member overlap `cidr`? */
bool cidr_set_overlaps(const struct cidr_set *set, const struct cidr *cidr);
size_t cidr_set_count(const struct cidr_set *set);
/* The members of a sealed set: shortest prefixes first, then by address; `index` below cidr_set_count(). */
struct cidr cidr_set_at(const struct cidr_set *set, size_t index);

#endif

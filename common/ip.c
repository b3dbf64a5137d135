/* SPDX-License-Identifier: ISC */
/*
 * Addresses as text and as networks. IPv4 is read and written by hand (it is
 * on the path of every request); the grammar of IPv6 texts is left to
 * inet_pton(3). Sets of networks are in ip_set.c.
 */
#include "common/ip.h"

#include <arpa/inet.h>

#define MAPPED_BITS 96

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Reads 0 to 255 without leading zeros from `at` on; returns its end, NULL if there is none. */
static inline const char *parse_octet(const char *at, const char *end, uint8_t *ret_octet)
{
	const char *start = at;
	unsigned value = 0, digit;

	for (; at < end && (digit = (unsigned)*at - '0') <= 9; at++)
		if ((value = value * 10 + digit) > 255)
			return NULL;
	if (at == start || at - start > 3 || (*start == '0' && at - start > 1))
		return NULL;
	*ret_octet = (uint8_t)value;
	return at;
}

static bool parse_v4(struct slice text, struct ip *ret_ip)
{
	const char *at = text.data, *end = text.data + text.len;
	struct ip ip;

	memcpy(ip.bytes, mapped, sizeof(mapped));
	for (size_t i = 0; i < 4; i++) {
		if (i > 0 && (at == end || *at++ != '.'))
			return false;
		at = parse_octet(at, end, &ip.bytes[sizeof(mapped) + i]);
		if (!at)
			return false;
	}
	if (at != end)
		return false;
	*ret_ip = ip;
	return true;
}

static bool parse_v6(struct slice text, struct ip *ret_ip)
{
	char memory[IP_TEXT_BYTES];
	struct ip ip;

	if (text.len < 2 || text.len >= sizeof(memory) || memchr(text.data, '\0', text.len))
		return false;
	memcpy(memory, text.data, text.len);
	memory[text.len] = '\0';
	if (inet_pton(AF_INET6, memory, ip.bytes) != 1)
		return false;
	*ret_ip = ip;
	return true;
}

bool ip_parse(struct slice text, struct ip *ret_ip)
{
	if (text.len == 0)
		return false;
	return parse_v4(text, ret_ip) ||
	       (memchr(text.data, ':', text.len) && parse_v6(text, ret_ip));
}

static char *put_octet(char *at, uint8_t octet)
{
	if (octet >= 100)
		*at++ = (char)('0' + octet / 100);
	if (octet >= 10)
		*at++ = (char)('0' + octet / 10 % 10);
	*at++ = (char)('0' + octet % 10);
	return at;
}

static char *put_v4(char *at, const uint8_t octets[4])
{
	for (size_t i = 0; i < 4; i++) {
		if (i > 0)
			*at++ = '.';
		at = put_octet(at, octets[i]);
	}
	return at;
}

static char *put_group(char *at, unsigned group)
{
	static const char hex[] = "0123456789abcdef";

	for (int shift = 12; shift >= 0; shift -= 4)
		if (shift == 0 || group >> shift)
			*at++ = hex[group >> shift & 15];
	return at;
}

/* The first longest run of at least two groups that are 0 (RFC 5952 4.2). */
static void longest_run(const unsigned group[8], size_t *ret_start, size_t *ret_len)
{
	size_t best = 8, best_len = 1;

	for (size_t i = 0; i < 8; i++) {
		size_t len = 0;

		while (i + len < 8 && group[i + len] == 0)
			len++;
		if (len > best_len) {
			best = i;
			best_len = len;
		}
		i += len;
	}
	*ret_start = best;
	*ret_len = best < 8 ? best_len : 0;
}

/* inet_ntop(3) would show ::1:2 as ::0.1.0.2, which nobody would search for. */
static char *put_v6(char *at, const struct ip *ip)
{
	unsigned group[8];
	size_t run, run_len;

	for (size_t i = 0; i < 8; i++)
		group[i] = (unsigned)ip->bytes[2 * i] << 8 | ip->bytes[2 * i + 1];
	longest_run(group, &run, &run_len);
	for (size_t i = 0; i < 8; i++) {
		if (i == run) {
			*at++ = ':';
			i += run_len - 1;
			if (i == 7)
				*at++ = ':';
			continue;
		}
		if (i > 0)
			*at++ = ':';
		at = put_group(at, group[i]);
	}
	return at;
}

struct slice ip_format(const struct ip *ip, char memory[static IP_TEXT_BYTES])
{
	char *end = ip_is_v4(ip) ? put_v4(memory, ip->bytes + sizeof(mapped)) : put_v6(memory, ip);

	*end = '\0';
	return slice_make(memory, (size_t)(end - memory));
}

static void clear_host_bits(struct ip *ip, unsigned bits)
{
	size_t whole = bits / 8;

	if (whole >= sizeof(ip->bytes))
		return;
	ip->bytes[whole] &= (uint8_t)(0xff00U >> bits % 8);
	memset(ip->bytes + whole + 1, 0, sizeof(ip->bytes) - whole - 1);
}

struct cidr ip_network(const struct ip *ip, unsigned bits4, unsigned bits6)
{
	unsigned bits = ip_is_v4(ip) ? MAPPED_BITS + (bits4 < 32 ? bits4 : 32) : bits6;
	struct cidr cidr = {*ip, (uint8_t)(bits < 128 ? bits : 128)};

	clear_host_bits(&cidr.ip, cidr.bits);
	return cidr;
}

static bool parse_bits(struct slice text, unsigned max, unsigned *ret_bits)
{
	unsigned bits = 0;

	if (text.len == 0 || text.len > 3 || (text.len > 1 && text.data[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		bits = bits * 10 + (unsigned)(text.data[i] - '0');
	}
	if (bits > max)
		return false;
	*ret_bits = bits;
	return true;
}

/* Takes off the brackets that Postfix's tables want around IPv6. */
static bool unbracket(struct slice *text)
{
	if (text->len < 2 || text->data[0] != '[')
		return true;
	if (text->data[text->len - 1] != ']')
		return false;
	*text = slice_make(text->data + 1, text->len - 2);
	return memchr(text->data, ':', text->len);
}

bool cidr_parse(struct slice text, struct cidr *ret_cidr, const char **ret_why)
{
	struct slice address = text, prefix = SLICE_EMPTY;
	bool has_prefix = slice_split(text, '/', &address, &prefix);
	struct cidr cidr;
	unsigned bits;
	bool dotted;

	if (!unbracket(&address) || !ip_parse(address, &cidr.ip)) {
		*ret_why = "no IP address or network";
		return false;
	}
	dotted = !memchr(address.data, ':', address.len);
	bits = dotted ? 32 : 128;
	if (has_prefix && !parse_bits(prefix, bits, &bits)) {
		*ret_why = dotted ? "the prefix length must be 0 to 32"
				  : "the prefix length must be 0 to 128";
		return false;
	}
	cidr.bits = (uint8_t)(dotted ? MAPPED_BITS + bits : bits);
	*ret_cidr = cidr;
	clear_host_bits(&ret_cidr->ip, cidr.bits);
	if (ip_equal(&ret_cidr->ip, &cidr.ip))
		return true;
	*ret_why = "host bits are not 0";
	return false;
}

struct slice cidr_format(const struct cidr *cidr, char memory[static CIDR_TEXT_BYTES])
{
	bool v4 = cidr->bits >= MAPPED_BITS && ip_is_v4(&cidr->ip);
	char *at = v4 ? put_v4(memory, cidr->ip.bytes + sizeof(mapped)) : put_v6(memory, &cidr->ip);

	*at++ = '/';
	at = put_octet(at, (uint8_t)(v4 ? cidr->bits - MAPPED_BITS : cidr->bits));
	*at = '\0';
	return slice_make(memory, (size_t)(at - memory));
}

static bool same_prefix(const struct ip *a, const struct ip *b, unsigned bits)
{
	size_t whole = bits / 8;

	if (memcmp(a->bytes, b->bytes, whole) != 0)
		return false;
	if (bits % 8 == 0)
		return true;
	return ((a->bytes[whole] ^ b->bytes[whole]) & (0xff00U >> bits % 8) & 0xff) == 0;
}

/* ::/0 and its like mean IPv6 only, though IPv4 is kept below it. */
bool cidr_contains(const struct cidr *cidr, const struct ip *ip)
{
	if (cidr->bits < MAPPED_BITS && ip_is_v4(ip))
		return false;
	return same_prefix(&cidr->ip, ip, cidr->bits);
}

bool cidr_overlaps(const struct cidr *a, const struct cidr *b)
{
	const struct cidr *wide = a->bits <= b->bits ? a : b;
	const struct cidr *narrow = wide == a ? b : a;

	if (narrow->bits < MAPPED_BITS)
		return same_prefix(&wide->ip, &narrow->ip, wide->bits);
	return cidr_contains(wide, &narrow->ip);
}

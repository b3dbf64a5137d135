/* SPDX-License-Identifier: ISC */
/*
 * Addresses and networks as text, and sets of networks (ip_set.c) against a search through all members.
 */
#include "common/ip.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct ip ip_of(const char *text)
{
	struct ip ip;

	cr_assert(ip_parse(slice_of(text), &ip), "%s", text);
	return ip;
}

static struct cidr cidr_of(const char *text)
{
	struct cidr cidr;
	const char *why;

	cr_assert(cidr_parse(slice_of(text), &cidr, &why), "%s", text);
	return cidr;
}

static void shows(const char *text, const char *expected)
{
	struct ip ip = ip_of(text);
	char memory[IP_TEXT_BYTES];
	struct slice shown = ip_format(&ip, memory);

	cr_assert_str_eq(memory, expected);
	cr_assert_eq(shown.len, strlen(expected));
}

Test(ip, texts)
{
	shows("192.0.2.1", "192.0.2.1");
	shows("0.0.0.0", "0.0.0.0");
	shows("255.255.255.255", "255.255.255.255");
	shows("10.99.100.9", "10.99.100.9");
	shows("::ffff:192.0.2.1", "192.0.2.1");
	shows("::FFFF:c000:201", "192.0.2.1");
	shows("::", "::");
	shows("::1", "::1");
	shows("1::", "1::");
	shows("::1:2", "::1:2");
	shows("2001:DB8:0:0:0:0:0:1", "2001:db8::1");
	shows("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
	shows("2001:0:0:1:0:0:0:1", "2001:0:0:1::1");
	shows("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
	shows("0:0:1:2:3:4:5:6", "::1:2:3:4:5:6");
	shows("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::");
	shows("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	shows("fe80::00ab:0f00", "fe80::ab:f00");
}

Test(ip, what_is_no_address)
{
	static const char *const texts[] = {
		"",
		"unknown",
		"1.2.3",
		"1.2.3.4.",
		"1.2.3.4.5",
		".1.2.3.4",
		"1..2.3",
		"256.1.1.1",
		"01.2.3.4",
		"1.2.3.04",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.a",
		"-1.2.3.4",
		"1234.1.1.1",
		"1.2.3.4/32",
		":",
		":::",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"fe80::1%eth0",
		"[::1]",
		"::g",
		"12345::",
		"::1::",
		"::ffff:1.2.3.256",
		"IPv6:::1",
		"::ffff:01.2.3.4",
	};
	struct ip ip;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_assert_not(ip_parse(slice_of(texts[i]), &ip), "%s", texts[i]);
	cr_assert_not(ip_parse(slice_make("::1\0", 4), &ip));
	cr_assert_not(ip_parse(slice_make("1.2.3.4\0", 8), &ip));
	cr_assert_not(ip_parse(slice_make(NULL, 0), &ip));
	cr_assert(ip_parse(slice_make("1.2.3.45", 7), &ip));
}

Test(ip, round_trips)
{
	srand(1);
	for (int i = 0; i < 20000; i++) {
		struct ip ip, back;
		char memory[IP_TEXT_BYTES];

		for (size_t j = 0; j < sizeof(ip.bytes); j++)
			ip.bytes[j] = (uint8_t)(rand() % 3 ? 0 : rand());
		cr_assert(ip_parse(ip_format(&ip, memory), &back));
		cr_assert(ip_equal(&ip, &back));
	}
}

Test(ip, networks_of_addresses)
{
	struct ip v4 = ip_of("192.0.2.77"), v6 = ip_of("2001:db8:1:2:3:4:5:6");
	char memory[CIDR_TEXT_BYTES];
	struct cidr cidr = ip_network(&v4, 32, 64);

	cr_assert(ip_is_v4(&v4));
	cr_assert_not(ip_is_v4(&v6));
	cr_assert(slice_is(cidr_format(&cidr, memory), "192.0.2.77/32"));
	cidr = ip_network(&v4, 26, 64);
	cr_assert(slice_is(cidr_format(&cidr, memory), "192.0.2.64/26"));
	cidr = ip_network(&v6, 32, 64);
	cr_assert(slice_is(cidr_format(&cidr, memory), "2001:db8:1:2::/64"));
	cidr = ip_network(&v6, 32, 47);
	cr_assert(slice_is(cidr_format(&cidr, memory), "2001:db8::/47"));
	cidr = ip_network(&v6, 32, 128);
	cr_assert_eq(cidr.bits, 128);
}

static void cidr_shows(const char *text, const char *expected)
{
	struct cidr cidr = cidr_of(text);
	char memory[CIDR_TEXT_BYTES];

	cidr_format(&cidr, memory);
	cr_assert_str_eq(memory, expected);
}

Test(ip, networks_as_text)
{
	cidr_shows("192.0.2.0/24", "192.0.2.0/24");
	cidr_shows("192.0.2.1", "192.0.2.1/32");
	cidr_shows("0.0.0.0/0", "0.0.0.0/0");
	cidr_shows("[::1]/128", "::1/128");
	cidr_shows("[2001:db8::1]", "2001:db8::1/128");
	cidr_shows("2001:db8::/32", "2001:db8::/32");
	cidr_shows("fe80::/10", "fe80::/10");
	cidr_shows("::/0", "::/0");
	cidr_shows("::ffff:192.0.2.0/120", "192.0.2.0/24");
	cidr_shows("::ffff:0:0/96", "0.0.0.0/0");
}

Test(ip, what_is_no_network)
{
	static const char *const texts[][2] = {
		{"", "no IP address or network"},
		{"example.com", "no IP address or network"},
		{"[192.0.2.1]", "no IP address or network"},
		{"[::1", "no IP address or network"},
		{"[::1/128]", "no IP address or network"},
		{"/24", "no IP address or network"},
		{"192.0.2.0/33", "the prefix length must be 0 to 32"},
		{"192.0.2.0/", "the prefix length must be 0 to 32"},
		{"192.0.2.0/024", "the prefix length must be 0 to 32"},
		{"192.0.2.0/+8", "the prefix length must be 0 to 32"},
		{"192.0.2.0/24/24", "the prefix length must be 0 to 32"},
		{"192.0.2.0/255.255.255.0", "the prefix length must be 0 to 32"},
		{"::1/129", "the prefix length must be 0 to 128"},
		{"::1/1280", "the prefix length must be 0 to 128"},
		{"192.0.2.1/24", "host bits are not 0"},
		{"2001:db8::1/64", "host bits are not 0"},
		{"1.0.0.0/0", "host bits are not 0"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct cidr cidr;
		const char *why = NULL;

		cr_assert_not(cidr_parse(slice_of(texts[i][0]), &cidr, &why), "%s", texts[i][0]);
		cr_assert_str_eq(why, texts[i][1], "%s", texts[i][0]);
	}
}

static bool contains(const char *network, const char *address)
{
	struct cidr cidr = cidr_of(network);
	struct ip ip = ip_of(address);

	return cidr_contains(&cidr, &ip);
}

Test(ip, membership)
{
	cr_assert(contains("192.0.2.0/25", "192.0.2.127"));
	cr_assert_not(contains("192.0.2.0/25", "192.0.2.128"));
	cr_assert(contains("0.0.0.0/0", "203.0.113.9"));
	cr_assert_not(contains("0.0.0.0/0", "::1"));
	cr_assert(contains("::/0", "::1"));
	cr_assert_not(contains("::/0", "192.0.2.1"));
	cr_assert(contains("192.0.2.1", "::ffff:192.0.2.1"));
	cr_assert(contains("2001:db8::/47", "2001:db8:1::1"));
	cr_assert_not(contains("2001:db8::/47", "2001:db8:2::1"));
}

static bool overlaps(const char *left, const char *right)
{
	struct cidr a = cidr_of(left), b = cidr_of(right);

	cr_assert_eq(cidr_overlaps(&a, &b), cidr_overlaps(&b, &a));
	return cidr_overlaps(&a, &b);
}

Test(ip, overlaps)
{
	cr_assert(overlaps("10.0.0.0/8", "10.1.0.0/16"));
	cr_assert(overlaps("10.1.0.0/16", "10.1.0.0/16"));
	cr_assert_not(overlaps("10.0.0.0/16", "10.1.0.0/16"));
	cr_assert(overlaps("::/0", "2001:db8::/32"));
	cr_assert_not(overlaps("::/0", "10.0.0.0/8"));
	cr_assert(overlaps("0.0.0.0/0", "10.0.0.0/8"));
	cr_assert(overlaps("2001:db8::/32", "2001:db8:8000::/33"));
}

Test(ip, an_empty_set)
{
	struct cidr_set *set = cidr_set_new();
	struct ip ip = ip_of("::1");
	struct cidr all = cidr_of("::/0");

	cidr_set_seal(set);
	cr_assert_not(cidr_set_contains(set, &ip));
	cr_assert_not(cidr_set_contains(NULL, &ip));
	cr_assert_not(cidr_set_overlaps(set, &all));
	cr_assert_not(cidr_set_overlaps(NULL, &all));
	cr_assert_eq(cidr_set_count(NULL), 0);
	cidr_set_free(&set);
	cr_assert_null(set);
	cidr_set_free(&set);
}

/* Few bits vary, so that networks and addresses meet often. */
static struct cidr any_network(void)
{
	struct ip ip = ip_of(rand() % 2 ? "10.0.0.0" : "2001:db8::");
	unsigned bits = (unsigned)rand() % 9;

	ip.bytes[15] = (uint8_t)rand();
	return ip_network(&ip, rand() % 30 ? 24 + bits : 0, rand() % 30 ? 120 + bits : 0);
}

Test(ip, sets_agree_with_their_members)
{
	srand(2);
	for (int round = 0; round < 300; round++) {
		struct cidr_set *set = cidr_set_new();
		struct cidr members[20];
		size_t count = (size_t)rand() % 20;

		for (size_t i = 0; i < count; i++) {
			members[i] = any_network();
			cidr_set_add(set, &members[i]);
		}
		cidr_set_seal(set);
		cr_assert_leq(cidr_set_count(set), count);
		for (int i = 0; i < 100; i++) {
			struct cidr asked = any_network();
			bool in = false, over = false;

			for (size_t j = 0; j < count; j++) {
				in |= cidr_contains(&members[j], &asked.ip);
				over |= cidr_overlaps(&members[j], &asked);
			}
			cr_assert_eq(cidr_set_contains(set, &asked.ip), in);
			cr_assert_eq(cidr_set_overlaps(set, &asked), over);
		}
		cidr_set_free(&set);
	}
}

/* One network of each length, asked for addresses of each first byte. */
Test(ip, sets_of_ipv4_by_first_byte)
{
	for (unsigned bits = 0; bits <= 32; bits++) {
		struct ip inside = ip_of("172.16.5.6");
		struct cidr network = ip_network(&inside, bits, 128);
		struct cidr_set *set = cidr_set_new();

		cidr_set_add(set, &network);
		cidr_set_seal(set);
		for (unsigned first = 0; first < 256; first++) {
			struct ip asked = inside;

			asked.bytes[12] = (uint8_t)first;
			cr_assert_eq(cidr_set_contains(set, &asked), cidr_contains(&network, &asked));
		}
		cidr_set_free(&set);
	}
}

Test(ip, sets_keep_a_network_once)
{
	struct cidr_set *set = cidr_set_new();
	struct cidr cidr = cidr_of("192.0.2.0/24");

	cidr_set_add(set, &cidr);
	cidr_set_add(set, &cidr);
	cidr_set_seal(set);
	cr_assert_eq(cidr_set_count(set), 1);
	cidr_set_free(&set);
}

Test(ip, a_set_takes_in_another)
{
	static const char *const networks[] = { "192.0.2.0/24", "2001:db8::/32" };
	struct cidr_set *one = cidr_set_new(), *both = cidr_set_new();
	const char *why;
	struct cidr cidr;

	cr_assert(cidr_parse(slice_of(networks[0]), &cidr, &why));
	cidr_set_add(one, &cidr);
	cidr_set_seal(one);
	cr_assert(cidr_parse(slice_of(networks[1]), &cidr, &why));
	cidr_set_add(both, &cidr);
	cidr_set_add_set(both, one);
	cidr_set_add_set(both, NULL);
	cidr_set_add_set(both, one);
	cidr_set_seal(both);
	cr_assert_eq(cidr_set_count(both), 2);
	cr_assert_eq(cidr_set_count(one), 1);
	for (unsigned i = 0; i < 2; i++) {
		cr_assert(cidr_parse(slice_of(networks[i]), &cidr, &why));
		cr_assert(cidr_set_contains(both, &cidr.ip));
	}
	cidr_set_free(&one);
	cidr_set_free(&both);
}

Test(ip, members_of_a_set)
{
	static const char *const texts[] = {"2001:db8::/32", "192.0.2.0/24", "10.0.0.1", "192.0.2.9"};
	struct cidr_set *set = cidr_set_new();
	char memory[CIDR_TEXT_BYTES];

	for (size_t i = 4; i-- > 0;) {
		struct cidr cidr = cidr_of(texts[i]);

		cidr_set_add(set, &cidr);
		cidr_set_add(set, &cidr);
	}
	cidr_set_seal(set);
	cr_assert_eq(cidr_set_count(set), 4);
	for (size_t i = 0; i < 4; i++) {
		struct cidr got = cidr_set_at(set, i), wanted = cidr_of(texts[i]);

		cr_expect(got.bits == wanted.bits && ip_equal(&got.ip, &wanted.ip), "%zu: %s", i,
			cidr_format(&got, memory).data);
	}
	cidr_set_free(&set);
}

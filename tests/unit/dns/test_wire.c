/* SPDX-License-Identifier: ISC */
#include "daemon/dns/wire.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/dns/message.h"

static struct message m;
static struct arena arena;
static uint64_t ttl_ms;

static void setup(void)
{
	arena_init(&arena, 1024);
}

static void teardown(void)
{
	arena_release(&arena);
}

TestSuite(wire, .init = setup, .fini = teardown);

/* From a heap block of exactly the message's size, so that reading one byte too many is seen. */
static const struct dns_answer *read_bytes(const char *name, enum dns_type type, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	const struct dns_answer *answer;

	memcpy(copy, m.bytes, len);
	ttl_ms = 12345;
	answer = wire_read(slice_of(name), type, copy, len, &arena, &ttl_ms);
	free(copy);
	if (answer->status == DNS_UNKNOWN) {
		cr_assert_eq(ttl_ms, 0);
		cr_assert_eq(answer->count, 0);
	}
	return answer;
}

static const struct dns_answer *reads(const char *name, enum dns_type type)
{
	return read_bytes(name, type, m.len);
}

static void assert_name(struct slice name, const char *expected)
{
	cr_assert(slice_is(name, expected), "%.*s is not %s", SLICE_ARG(name), expected);
}

static void assert_ip(const struct ip *ip, const char *expected)
{
	char text[IP_TEXT_BYTES];

	assert_name(ip_format(ip, text), expected);
}

Test(wire, a_records_with_the_smallest_ttl)
{
	const struct dns_answer *answer;

	message_start(&m, "Example.ORG", TYPE_A, 0);
	message_a(&m, "example.org", 120, 192, 0, 2, 1);
	message_a(&m, "EXAMPLE.org", 60, 192, 0, 2, 2);
	answer = reads("example.org", DNS_A);
	cr_assert_eq(answer->status, DNS_FOUND);
	cr_assert_eq(answer->count, 2);
	assert_ip(&answer->records[0].ip, "192.0.2.1");
	assert_ip(&answer->records[1].ip, "192.0.2.2");
	cr_assert_eq(ttl_ms, 60000);
}

Test(wire, aaaa_record)
{
	static const uint8_t ip[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	const struct dns_answer *answer;

	message_start(&m, "a.test", TYPE_AAAA, 0);
	message_begin_rr(&m, MESSAGE_ANSWER, "a.test", TYPE_AAAA, 7);
	message_bytes(&m, ip, sizeof(ip));
	message_end_rr(&m);
	answer = reads("a.test", DNS_AAAA);
	cr_assert_eq(answer->count, 1);
	assert_ip(&answer->records[0].ip, "2001:db8::1");
}

Test(wire, mx_records_and_null_mx)
{
	const struct dns_answer *answer;

	message_start(&m, "a.test", TYPE_MX, 0);
	message_mx(&m, "a.test", 90, 10, "MX1.Example.ORG");
	message_mx(&m, "a.test", 90, 65535, "mx_2.example.org");
	answer = reads("a.test", DNS_MX);
	cr_assert_eq(answer->count, 2);
	cr_assert_eq(answer->records[0].preference, 10);
	assert_name(answer->records[0].name, "mx1.example.org");
	cr_assert_eq(answer->records[1].preference, 65535);
	assert_name(answer->records[1].name, "mx_2.example.org");

	message_start(&m, "a.test", TYPE_MX, 0);
	message_mx(&m, "a.test", 90, 0, "");
	answer = reads("a.test", DNS_MX);
	cr_assert_eq(answer->status, DNS_FOUND);
	cr_assert_eq(answer->count, 1);
	assert_name(answer->records[0].name, "");
}

Test(wire, a_name_of_nobody_is_no_ptr)
{
	message_start(&m, "1.2.0.192.in-addr.arpa", TYPE_PTR, 0);
	message_target(&m, "1.2.0.192.in-addr.arpa", TYPE_PTR, 200, "");
	cr_assert_eq(reads("1.2.0.192.in-addr.arpa", DNS_PTR)->status, DNS_UNKNOWN);
	message_target(&m, "1.2.0.192.in-addr.arpa", TYPE_PTR, 200, "host.a.test");
	cr_assert_eq(reads("1.2.0.192.in-addr.arpa", DNS_PTR)->count, 1);
}

Test(wire, odd_characters_drop_the_record_only)
{
	static const char *const odd[] = {"a b.test", "a%s.test", "a\n.test", "\xff.test",
		"a*.test", "\"a\".test", "a\\b.test", "a/b.test", "a\x01.test"};
	const struct dns_answer *answer;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		message_start(&m, "p.test", TYPE_PTR, 0);
		message_target(&m, "p.test", TYPE_PTR, 60, odd[i]);
		cr_assert_eq(reads("p.test", DNS_PTR)->status, DNS_UNKNOWN, "%s", odd[i]);
		message_target(&m, "p.test", TYPE_PTR, 60, "good.test");
		answer = reads("p.test", DNS_PTR);
		cr_assert_eq(answer->count, 1);
		assert_name(answer->records[0].name, "good.test");
	}
	/* A dot and a NUL inside a label. */
	for (unsigned byte = 0; byte <= '.'; byte += '.') {
		message_start(&m, "p.test", TYPE_PTR, 0);
		message_begin_rr(&m, MESSAGE_ANSWER, "p.test", TYPE_PTR, 60);
		message_u8(&m, 3);
		message_u8(&m, 'a');
		message_u8(&m, byte);
		message_u8(&m, 'b');
		message_u8(&m, 0);
		message_end_rr(&m);
		cr_assert_eq(reads("p.test", DNS_PTR)->status, DNS_UNKNOWN);
	}
}

Test(wire, cname_chain_of_eight_but_not_nine)
{
	char from[32], to[32];

	for (unsigned length = 1; length <= 9; length++) {
		message_start(&m, "c0.test", TYPE_A, 0);
		for (unsigned i = 0; i < length; i++) {
			snprintf(from, sizeof(from), "c%u.test", i);
			snprintf(to, sizeof(to), "c%u.test", i + 1);
			message_target(&m, from, TYPE_CNAME, 100 - i, to);
		}
		message_a(&m, to, 500, 192, 0, 2, 1);
		if (length <= WIRE_MAX_CNAMES) {
			cr_assert_eq(reads("c0.test", DNS_A)->status, DNS_FOUND);
			cr_assert_eq(ttl_ms, (101 - length) * 1000);
		} else {
			cr_assert_eq(reads("c0.test", DNS_A)->status, DNS_UNKNOWN);
		}
	}
}

Test(wire, cname_chain_in_any_order_through_odd_names)
{
	/* RFC 2317 */
	message_start(&m, "5.2.0.192.in-addr.arpa", TYPE_PTR, 0);
	message_target(&m, "5.0/25.2.0.192.in-addr.arpa", TYPE_PTR, 60, "host.a.test");
	message_target(&m, "5.2.0.192.in-addr.arpa", TYPE_CNAME, 30, "5.0/25.2.0.192.in-addr.arpa");
	cr_assert_eq(reads("5.2.0.192.in-addr.arpa", DNS_PTR)->status, DNS_FOUND);
	cr_assert_eq(ttl_ms, 30000);
}

Test(wire, cname_loops_are_unknown)
{
	message_start(&m, "a.test", TYPE_A, 0);
	message_target(&m, "a.test", TYPE_CNAME, 60, "a.test");
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);

	message_start(&m, "a.test", TYPE_A, 0);
	message_target(&m, "a.test", TYPE_CNAME, 60, "b.test");
	message_target(&m, "b.test", TYPE_CNAME, 60, "a.test");
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
}

Test(wire, a_chain_that_ends_nowhere)
{
	message_start(&m, "a.test", TYPE_A, 0);
	message_target(&m, "a.test", TYPE_CNAME, 60, "b.test");
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	message_soa(&m, "test", 300, 20);
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_NODATA);
	cr_assert_eq(ttl_ms, 20000);
	m.bytes[3] |= 3;
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_NXDOMAIN);
	cr_assert_eq(ttl_ms, 20000);
}

Test(wire, negative_answers_and_their_ttl)
{
	message_start(&m, "a.test", TYPE_MX, 3);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_NXDOMAIN);
	cr_assert_eq(ttl_ms, WIRE_NO_SOA_TTL_MS);
	message_soa(&m, "test", 300, 77);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_NXDOMAIN);
	cr_assert_eq(ttl_ms, 77000);

	message_start(&m, "a.test", TYPE_MX, 0);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_NODATA);
	cr_assert_eq(ttl_ms, WIRE_NO_SOA_TTL_MS);
	message_soa(&m, "test", 50, 77);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_NODATA);
	cr_assert_eq(ttl_ms, 50000);
}

Test(wire, a_referral_is_not_an_answer)
{
	message_start(&m, "a.test", TYPE_MX, 0);
	message_begin_rr(&m, MESSAGE_AUTHORITY, "test", TYPE_NS, 300);
	message_name(&m, "ns.test");
	message_end_rr(&m);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_UNKNOWN);
	message_soa(&m, "test", 300, 77);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_NODATA);
}

Test(wire, errors_are_unknown)
{
	for (unsigned rcode = 0; rcode < 16; rcode++) {
		message_start(&m, "a.test", TYPE_A, rcode);
		message_a(&m, "a.test", 60, 192, 0, 2, 1);
		cr_assert_eq(reads("a.test", DNS_A)->status, rcode ? DNS_UNKNOWN : DNS_FOUND);
	}
	/* BADVERS: 16, whose low bits are NOERROR */
	message_start(&m, "a.test", TYPE_A, 0);
	message_begin_rr(&m, MESSAGE_ADDITIONAL, "", TYPE_OPT, 0x01000000);
	message_end_rr(&m);
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	message_start(&m, "a.test", TYPE_A, 0);
	message_begin_rr(&m, MESSAGE_ADDITIONAL, "", TYPE_OPT, 0);
	message_end_rr(&m);
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_NODATA);
}

Test(wire, what_is_not_the_answer_to_our_question)
{
	struct message good;

	message_start(&m, "a.test", TYPE_A, 0);
	message_a(&m, "a.test", 60, 192, 0, 2, 1);
	good = m;
	cr_assert_eq(reads("b.test", DNS_A)->status, DNS_UNKNOWN);
	cr_assert_eq(reads("a.tes", DNS_A)->status, DNS_UNKNOWN);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_UNKNOWN);
	m.bytes[2] &= 0x7f;                             /* a query */
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	m = good;
	m.bytes[2] |= 0x02;                             /* TC */
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	m = good;
	m.bytes[2] |= 0x28;                             /* UPDATE */
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	m = good;
	m.bytes[5] = 0;                                 /* no question */
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	m.bytes[5] = 2;
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	m = good;
	m.bytes[12 + 8 + 3] = 3;                        /* class CH */
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
}

Test(wire, records_of_others_do_not_count)
{
	message_start(&m, "a.test", TYPE_A, 0);
	message_a(&m, "other.test", 60, 192, 0, 2, 1);
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	message_a(&m, "a.test", 60, 192, 0, 2, 2);
	cr_assert_eq(reads("a.test", DNS_A)->count, 1);
}

Test(wire, every_cut_is_unknown)
{
	message_start(&m, "a.test", TYPE_MX, 0);
	message_target(&m, "a.test", TYPE_CNAME, 60, "b.test");
	message_mx(&m, "b.test", 60, 10, "mx.b.test");
	message_soa(&m, "test", 60, 60);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_FOUND);
	for (size_t len = 0; len < m.len; len++)
		cr_assert_eq(read_bytes("a.test", DNS_MX, len)->status, DNS_UNKNOWN, "%zu", len);
}

Test(wire, every_bit_flipped_is_survived)
{
	message_start(&m, "a.test", TYPE_MX, 0);
	message_target(&m, "a.test", TYPE_CNAME, 60, "b.test");
	message_mx(&m, "b.test", 60, 10, "mx.b.test");
	message_soa(&m, "test", 60, 60);
	for (size_t bit = 0; bit < m.len * 8; bit++) {
		m.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		(void)reads("a.test", DNS_MX);
		m.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

Test(wire, counts_and_lengths_that_lie)
{
	for (size_t at = MESSAGE_ANSWER; at <= MESSAGE_ADDITIONAL; at += 2) {
		message_start(&m, "a.test", TYPE_A, 0);
		message_a(&m, "a.test", 60, 192, 0, 2, 1);
		m.bytes[at] = 400 >> 8;
		m.bytes[at + 1] = 400 & 0xff;
		cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	}
	/* An A record of three and of five bytes, an MX whose name ends early and late. */
	for (int wrong = -1; wrong <= 1; wrong += 2) {
		message_start(&m, "a.test", TYPE_A, 0);
		message_a(&m, "a.test", 60, 192, 0, 2, 1);
		message_u8(&m, 0);
		m.bytes[m.len - 6] = (uint8_t)(4 + wrong);
		cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
		message_start(&m, "a.test", TYPE_MX, 0);
		message_begin_rr(&m, MESSAGE_ANSWER, "a.test", TYPE_MX, 60);
		message_u16(&m, 10);
		message_name(&m, "mx.test");
		message_end_rr(&m);
		message_u8(&m, 0);
		m.bytes[m.len - 1 - 11 - 1] = (uint8_t)(11 + wrong);
		cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_UNKNOWN);
	}
	/* An MX without room for its preference, a SOA that is too short. */
	message_start(&m, "a.test", TYPE_MX, 0);
	message_begin_rr(&m, MESSAGE_ANSWER, "a.test", TYPE_MX, 60);
	message_u8(&m, 0);
	message_end_rr(&m);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_UNKNOWN);
	message_start(&m, "a.test", TYPE_MX, 3);
	message_begin_rr(&m, MESSAGE_AUTHORITY, "test", TYPE_SOA, 60);
	message_name(&m, "");
	message_name(&m, "");
	message_u32(&m, 1);
	message_end_rr(&m);
	cr_assert_eq(reads("a.test", DNS_MX)->status, DNS_UNKNOWN);
}

/* A PTR record whose data is a compressed name: `high` and `low` are the pointer's bytes. */
static enum dns_status pointer_status(unsigned high, unsigned low)
{
	message_start(&m, "a.test", TYPE_PTR, 0);
	message_begin_rr(&m, MESSAGE_ANSWER, "a.test", TYPE_PTR, 60);
	message_u8(&m, 1);
	message_u8(&m, 'x');
	message_u8(&m, high);
	message_u8(&m, low);
	message_end_rr(&m);
	return reads("a.test", DNS_PTR)->status;
}

Test(wire, compression)
{
	const size_t data_at = 12 + 8 + 4 + 8 + 10;

	cr_assert_eq(pointer_status(0xc0, 12), DNS_FOUND);
	assert_name(reads("a.test", DNS_PTR)->records[0].name, "x.a.test");
	cr_assert_eq(pointer_status(0xc0, data_at), DNS_UNKNOWN);       /* to itself */
	cr_assert_eq(pointer_status(0xc0, data_at + 2), DNS_UNKNOWN);
	cr_assert_eq(pointer_status(0xc0, data_at + 3), DNS_UNKNOWN);   /* forward */
	cr_assert_eq(pointer_status(0xff, 0xff), DNS_UNKNOWN);
	cr_assert_eq(pointer_status(0x80, 12), DNS_UNKNOWN);            /* no such kind */
	cr_assert_eq(pointer_status(0x40, 12), DNS_UNKNOWN);
	/* Nothing but a pointer to itself. */
	message_start(&m, "a.test", TYPE_PTR, 0);
	message_begin_rr(&m, MESSAGE_ANSWER, "a.test", TYPE_PTR, 60);
	message_u16(&m, 0xc000 | data_at);
	message_end_rr(&m);
	cr_assert_eq(reads("a.test", DNS_PTR)->status, DNS_UNKNOWN);
	/* Two owners that point to each other. */
	message_start(&m, "a.test", TYPE_A, 0);
	m.bytes[7] = 2;
	for (unsigned i = 0; i < 2; i++) {
		message_u16(&m, 0xc000 | (i == 0 ? 24 + 16 : 24));
		message_u16(&m, TYPE_A);
		message_u16(&m, 1);
		message_u32(&m, 60);
		message_u16(&m, 4);
		message_u32(&m, 0);
	}
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
}

/* `total` bytes in wire form, of labels of at most 63. */
static void add_long_name(size_t total)
{
	while (total > 1) {
		size_t len = total - 1 < 64 ? total - 2 : 63;

		if (total - 1 - (len + 1) == 1)
			len--;
		message_u8(&m, (unsigned)len);
		for (size_t i = 0; i < len; i++)
			message_u8(&m, 'x');
		total -= len + 1;
	}
	message_u8(&m, 0);
}

Test(wire, names_of_255_bytes_but_not_more)
{
	for (size_t total = 250; total < 260; total++) {
		const struct dns_answer *answer;

		message_start(&m, "a.test", TYPE_PTR, 0);
		message_begin_rr(&m, MESSAGE_ANSWER, "a.test", TYPE_PTR, 60);
		add_long_name(total);
		message_end_rr(&m);
		answer = reads("a.test", DNS_PTR);
		cr_assert_eq(answer->status, total <= 255 ? DNS_FOUND : DNS_UNKNOWN, "%zu", total);
		if (answer->count)
			cr_assert_eq(answer->records[0].name.len, total - 2);
	}
}

Test(wire, no_more_records_than_promised)
{
	message_start(&m, "a.test", TYPE_A, 0);
	for (unsigned i = 0; i < 600; i++)
		message_a(&m, "a.test", 60, 192, 0, 2, i & 0xff);
	cr_assert_eq(reads("a.test", DNS_A)->count, DNS_MAX_ANSWERS);
}

Test(wire, a_needle_in_a_haystack_is_not_absent)
{
	message_start(&m, "a.test", TYPE_A, 0);
	for (unsigned i = 0; i < 600; i++)
		message_a(&m, "other.test", 60, 192, 0, 2, i & 0xff);
	message_a(&m, "a.test", 60, 192, 0, 2, 1);
	message_soa(&m, "test", 60, 60);
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
}

Test(wire, absurd_ttl_is_zero)
{
	message_start(&m, "a.test", TYPE_A, 0);
	message_a(&m, "a.test", 0x80000000, 192, 0, 2, 1);
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_FOUND);
	cr_assert_eq(ttl_ms, 0);
}

Test(wire, records_under_nxdomain_are_nonsense)
{
	message_start(&m, "a.test", TYPE_A, 3);
	message_a(&m, "a.test", 60, 192, 0, 2, 1);
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
}

Test(wire, nothing_at_all)
{
	m.len = 0;
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
	memset(m.bytes, 0xff, 512);
	m.len = 512;
	cr_assert_eq(reads("a.test", DNS_A)->status, DNS_UNKNOWN);
}

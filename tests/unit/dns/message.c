/* SPDX-License-Identifier: ISC */
/*
 * The message builder. It remembers where the running record's length goes in the bytes in front
 * of its data, so one record at a time.
 */
#include "tests/unit/dns/message.h"

#include <criterion/criterion.h>
#include <string.h>

static size_t data_at;

void message_u8(struct message *message, unsigned value)
{
	cr_assert_lt(message->len, MESSAGE_BYTES);
	message->bytes[message->len++] = (uint8_t)value;
}

void message_u16(struct message *message, unsigned value)
{
	message_u8(message, value >> 8 & 0xff);
	message_u8(message, value & 0xff);
}

void message_u32(struct message *message, uint32_t value)
{
	message_u16(message, value >> 16);
	message_u16(message, value & 0xffff);
}

void message_bytes(struct message *message, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < len; i++)
		message_u8(message, from[i]);
}

void message_name(struct message *message, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");

		message_u8(message, (unsigned)len);
		message_bytes(message, name, len);
		name += len + (name[len] == '.');
	}
	message_u8(message, 0);
}

static void count(struct message *message, size_t at)
{
	unsigned value = (unsigned)(message->bytes[at] << 8 | message->bytes[at + 1]) + 1;

	message->bytes[at] = (uint8_t)(value >> 8);
	message->bytes[at + 1] = (uint8_t)value;
}

void message_start(struct message *message, const char *name, unsigned type, unsigned rcode)
{
	static const uint8_t header[12] = { 0x12, 0x34, 0x81, 0x80, 0, 1 };

	message->len = 0;
	message_bytes(message, header, sizeof(header));
	message->bytes[3] = (uint8_t)(0x80 | rcode);
	message_name(message, name);
	message_u16(message, type);
	message_u16(message, 1);
}

void message_begin_rr(struct message *message, enum message_section section, const char *owner,
		      unsigned type, uint32_t ttl_s)
{
	count(message, section);
	message_name(message, owner);
	message_u16(message, type);
	message_u16(message, 1);
	message_u32(message, ttl_s);
	message_u16(message, 0);
	data_at = message->len;
}

void message_end_rr(struct message *message)
{
	size_t len = message->len - data_at;

	message->bytes[data_at - 2] = (uint8_t)(len >> 8);
	message->bytes[data_at - 1] = (uint8_t)len;
}

void message_a(struct message *message, const char *owner, uint32_t ttl_s, unsigned a, unsigned b,
	       unsigned c, unsigned d)
{
	message_begin_rr(message, MESSAGE_ANSWER, owner, TYPE_A, ttl_s);
	message_u32(message, (uint32_t)a << 24 | b << 16 | c << 8 | d);
	message_end_rr(message);
}

void message_target(struct message *message, const char *owner, unsigned type, uint32_t ttl_s,
		    const char *target)
{
	message_begin_rr(message, MESSAGE_ANSWER, owner, type, ttl_s);
	message_name(message, target);
	message_end_rr(message);
}

void message_mx(struct message *message, const char *owner, uint32_t ttl_s, unsigned preference,
		const char *target)
{
	message_begin_rr(message, MESSAGE_ANSWER, owner, TYPE_MX, ttl_s);
	message_u16(message, preference);
	message_name(message, target);
	message_end_rr(message);
}

void message_soa(struct message *message, const char *owner, uint32_t ttl_s, uint32_t minimum_s)
{
	message_begin_rr(message, MESSAGE_AUTHORITY, owner, TYPE_SOA, ttl_s);
	message_name(message, "ns.example");
	message_name(message, "root.example");
	for (unsigned i = 0; i < 4; i++)
		message_u32(message, 1000 + i);
	message_u32(message, minimum_s);
	message_end_rr(message);
}

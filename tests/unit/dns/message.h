/* SPDX-License-Identifier: ISC */
/*
 * Builds DNS messages for tests, good ones and, byte by byte, bad ones. Counts in the header grow
 * with what is added; a test may overwrite any byte afterwards.
 */
#ifndef REEVE_TESTS_UNIT_DNS_MESSAGE_H
#define REEVE_TESTS_UNIT_DNS_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define MESSAGE_BYTES 65535

enum message_section { MESSAGE_ANSWER = 6, MESSAGE_AUTHORITY = 8, MESSAGE_ADDITIONAL = 10 };

enum {
	TYPE_A = 1,
	TYPE_NS = 2,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_PTR = 12,
	TYPE_MX = 15,
	TYPE_AAAA = 28,
	TYPE_OPT = 41
};

struct message {
	uint8_t bytes[MESSAGE_BYTES];
	size_t len;
};

/* Header (id 0x1234, QR RD RA, `rcode`) and the question. */
void message_start(struct message *message, const char *name, unsigned type, unsigned rcode);
void message_u8(struct message *message, unsigned value);
void message_u16(struct message *message, unsigned value);
void message_u32(struct message *message, uint32_t value);
void message_bytes(struct message *message, const void *bytes, size_t len);
/* Text with dots, uncompressed; "" is the root. */
void message_name(struct message *message, const char *name);
/* Owner, type, class IN, TTL; the length of the data is filled in by message_end_rr(). */
void message_begin_rr(struct message *message, enum message_section section, const char *owner,
		      unsigned type, uint32_t ttl_s);
void message_end_rr(struct message *message);

void message_a(struct message *message, const char *owner, uint32_t ttl_s, unsigned a, unsigned b,
	       unsigned c, unsigned d);
void message_target(struct message *message, const char *owner, unsigned type, uint32_t ttl_s,
		    const char *target);
void message_mx(struct message *message, const char *owner, uint32_t ttl_s, unsigned preference,
		const char *target);
void message_soa(struct message *message, const char *owner, uint32_t ttl_s, uint32_t minimum_s);

#endif

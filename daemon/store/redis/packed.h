/* SPDX-License-Identifier: ISC */
/*
 * Numbers as the scripts of counting take and give them: doubles of 8 bytes, lowest first. They
 * are what Lua counts with, whole up to 2^53, and neither side has digits to write or read.
 */
#ifndef REEVE_DAEMON_STORE_REDIS_PACKED_H
#define REEVE_DAEMON_STORE_REDIS_PACKED_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define PACKED_BYTES 8
#define PACKED_MAX ((INT64_C(1) << 53) - 1)

/* Each returns where the next one stands. */
static inline char *packed_put_i64(char *at, int64_t value)
{
	double number = (double)value;
	uint64_t bits;

	memcpy(&bits, &number, sizeof(bits));
	bits = htole64(bits);
	memcpy(at, &bits, sizeof(bits));
	return at + sizeof(bits);
}

/* What is larger than PACKED_MAX becomes that. */
static inline char *packed_put_u64(char *at, uint64_t value)
{
	return packed_put_i64(at, value < (uint64_t)PACKED_MAX ? (int64_t)value : PACKED_MAX);
}

/* 0: it is no number, or one that no script counts to. */
static inline int64_t packed_get(const char *at)
{
	uint64_t bits;
	double number;

	memcpy(&bits, at, sizeof(bits));
	bits = le64toh(bits);
	memcpy(&number, &bits, sizeof(number));
	return number >= (double)-PACKED_MAX && number <= (double)PACKED_MAX ? (int64_t)number : 0;
}

/* Names of 8 bytes, and of 12: any will do, as long as all nodes write them alike. */
static inline char *packed_put_name(char *at, uint64_t name)
{
	name = htole64(name);
	memcpy(at, &name, sizeof(name));
	return at + sizeof(name);
}

static inline uint64_t packed_get_name(const char *at)
{
	uint64_t name;

	memcpy(&name, at, sizeof(name));
	return le64toh(name);
}

static inline char *packed_put_u32(char *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
	return at + sizeof(value);
}

#endif

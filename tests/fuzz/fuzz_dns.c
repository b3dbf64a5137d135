/* SPDX-License-Identifier: ISC */
/*
 * A DNS message from anyone. The first byte chooses the type; the name that was asked for is the
 * message's own question where that is plain text, so that the fuzzer gets past it, else "a.test".
 */
#include "daemon/dns/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static struct slice own_question(const uint8_t *message, size_t len, char text[DNS_NAME_BYTES])
{
	size_t at = 12, to = 0;

	while (at < len && message[at] && message[at] < 64 && at + 1 + message[at] < len) {
		size_t label = message[at];

		if (to + label + 1 >= DNS_NAME_BYTES)
			return SLICE("a.test");
		if (to)
			text[to++] = '.';
		memcpy(text + to, message + at + 1, label);
		to += label;
		at += label + 1;
	}
	return to ? slice_make(text, to) : SLICE("a.test");
}

static void check_name(struct slice name)
{
	require(name.len <= 253);
	for (size_t i = 0; i < name.len; i++) {
		char c = name.data[i];

		require((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
			c == '.');
		require(c != '.' || (i > 0 && i + 1 < name.len && name.data[i - 1] != '.'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_PTR };
	char text[DNS_NAME_BYTES];
	const struct dns_answer *answer;
	struct arena arena;
	uint64_t ttl_ms = 1;
	enum dns_type type;

	if (size == 0)
		return 0;
	type = types[data[0] & 3];
	arena_init(&arena, 512);
	answer = wire_read(
		own_question(data + 1, size - 1, text), type, data + 1, size - 1, &arena, &ttl_ms);
	require(answer->status != DNS_DEAD);
	require((answer->count > 0) == (answer->status == DNS_FOUND));
	require(answer->count <= DNS_MAX_ANSWERS);
	require(answer->status != DNS_UNKNOWN || ttl_ms == 0);
	for (unsigned i = 0; i < answer->count; i++) {
		check_name(answer->records[i].name);
		require(answer->records[i].name.len > 0 || type != DNS_PTR);
	}
	arena_release(&arena);
	return 0;
}

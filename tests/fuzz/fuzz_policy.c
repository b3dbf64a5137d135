/* SPDX-License-Identifier: ISC */
/*
 * Any bytes through the policy parser: whole, and in pieces whose lengths the
 * bytes themselves choose, each time at another address. Both must say what a parser does that
 * reads byte by byte. What follows a request is then read as the next of the connection: if it passes for
 * a repeated one, it must be one.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/policy_repeat.h"
#include "tests/fuzz/policy_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
	enum policy_feed feed;
	struct policy_request request;
	size_t used;
	const char *why;
};

static void compare(
	const struct result *a, const char *a_data, const struct result *b, const char *b_data)
{
	assert(a->feed == b->feed);
	if (a->feed == POLICY_BAD)
		assert(strcmp(a->why, b->why) == 0);
	if (a->feed != POLICY_READY)
		return;
	assert(a->used == b->used && a->request.present == b->request.present &&
		a->request.state == b->request.state);
	for (size_t i = 0; i < POLICY_ATTR_COUNT; i++) {
		assert(slice_equal(a->request.attr[i], b->request.attr[i]));
		if (a->request.attr[i].len)
			assert(a->request.attr[i].data - a_data ==
				b->request.attr[i].data - b_data);
	}
}

/* `seed` chooses the pieces. Returns the copy that the result points into. */
static char *feed_in_pieces(const char *data, size_t size, uint32_t seed, struct result *ret)
{
	struct policy_parser parser;
	char *copy = NULL;

	policy_parser_reset(&parser);
	ret->feed = POLICY_MORE;
	for (size_t len = 0; len < size && ret->feed == POLICY_MORE;) {
		seed = seed * 1664525 + 1013904223;
		len += 1 + (seed >> 16) % (size < 512 ? 16 : 1 + size / 8);
		if (len > size)
			len = size;
		free(copy);
		copy = malloc(len);
		assert(copy);
		memcpy(copy, data, len);
		ret->feed = policy_parser_feed(
			&parser, copy, len, &ret->request, &ret->used, &ret->why);
	}
	return copy;
}

static void read_next(struct result *first, const char *data, size_t size)
{
	static struct policy_repeat repeat;
	struct result next = *first, expected = {0};
	const char *rest = data + first->used;

	policy_repeat_learn(&repeat, data, first->used, &next.request);
	if (!policy_repeat_take(&repeat, rest, size - first->used, &next.request, &next.used))
		return;
	expected.feed = oracle(
		rest, size - first->used, &expected.request, &expected.used, &expected.why);
	assert(expected.feed == POLICY_READY && next.used == expected.used);
	assert(next.request.present == expected.request.present);
	assert(next.request.state == expected.request.state);
	for (size_t i = 0; i < POLICY_ATTR_COUNT; i++)
		assert(slice_equal(next.request.attr[i], expected.request.attr[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const char *data = (const char *)bytes;
	struct result expected = {0}, whole = {0}, pieces = {0};
	struct policy_parser parser;
	char *copy;

	expected.feed = oracle(data, size, &expected.request, &expected.used, &expected.why);
	policy_parser_reset(&parser);
	whole.feed =
		policy_parser_feed(&parser, data, size, &whole.request, &whole.used, &whole.why);
	compare(&whole, data, &expected, data);
	if (whole.feed == POLICY_READY)
		read_next(&whole, data, size);
	copy = feed_in_pieces(data, size, (uint32_t)(size ? bytes[size / 2] : 0), &pieces);
	compare(&pieces, copy, &expected, data);
	free(copy);
	return 0;
}

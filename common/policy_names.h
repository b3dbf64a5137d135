/* SPDX-License-Identifier: ISC */
/*
 * The attributes' names as the parsers of the policy protocol compare them. Only policy_proto.c and
 * policy_repeat.c include this.
 */
#ifndef REEVE_COMMON_POLICY_NAMES_H
#define REEVE_COMMON_POLICY_NAMES_H

#include "common/policy_proto.h"

/* Of what came in one piece: below any bound on lines and requests. */
#define POLICY_WHOLE_BYTES 8192

struct policy_name {
	uint8_t len;
	char text[31];
};

/* By enum policy_attr; one more at the end, which no line begins with. */
extern const struct policy_name policy_names[POLICY_ATTR_COUNT + 1];

static inline uint64_t policy_load64(const char *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

static inline uint32_t policy_load32(const char *data)
{
	uint32_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

/* memcmp() by a few words that overlap: names have 4 to 24 bytes, and the line no fewer. */
static inline bool policy_begins_with(const char *line, const struct policy_name *name, size_t len)
{
	if (len < 8)
		return policy_load32(line) == policy_load32(name->text) &&
		       policy_load32(line + len - 4) == policy_load32(name->text + len - 4);
	if (len > 16 && policy_load64(line + 8) != policy_load64(name->text + 8))
		return false;
	return policy_load64(line) == policy_load64(name->text) &&
	       policy_load64(line + len - 8) == policy_load64(name->text + len - 8);
}

#endif

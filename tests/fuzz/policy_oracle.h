/* SPDX-License-Identifier: ISC */
/*
 * The policy protocol once more, one byte at a time and without a care for
 * speed: what common/policy_proto.c must agree with, however the bytes are split.
 */
#ifndef REEVE_TESTS_FUZZ_POLICY_ORACLE_H
#define REEVE_TESTS_FUZZ_POLICY_ORACLE_H

#include "common/policy_proto.h"

static inline const char *oracle_line(
	struct policy_request *request, struct slice line, unsigned *attributes)
{
	struct slice name, value;
	enum policy_attr attr;

	if (++*attributes > POLICY_MAX_ATTRIBUTES)
		return "more than 256 attributes";
	if (!slice_split(line, '=', &name, &value))
		return "a line without =";
	if (name.len == 0)
		return "an attribute without a name";
	for (attr = POLICY_REQUEST; attr < POLICY_ATTR_COUNT; attr++)
		if (slice_is(name, policy_attr_name(attr)))
			break;
	if (attr == POLICY_ATTR_COUNT || request->present & UINT64_C(1) << attr)
		return NULL;
	request->present |= UINT64_C(1) << attr;
	request->attr[attr] = value;
	return NULL;
}

static inline enum policy_feed oracle_end(
	struct policy_request *request, unsigned attributes, const char **ret_why)
{
	*ret_why = "an empty request";
	if (attributes == 0)
		return POLICY_BAD;
	*ret_why = "no request=smtpd_access_policy";
	if (!slice_is(request->attr[POLICY_REQUEST], "smtpd_access_policy"))
		return POLICY_BAD;
	request->state = policy_state_of(request->attr[POLICY_PROTOCOL_STATE]);
	return POLICY_READY;
}

static inline enum policy_feed oracle(const char *data, size_t len, struct policy_request *ret,
	size_t *ret_used, const char **ret_why)
{
	size_t line = 0;
	unsigned attributes = 0;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < POLICY_ATTR_COUNT; i++)
		ret->attr[i] = SLICE_EMPTY;
	for (size_t i = 0; i < len; i++) {
		*ret_why = "a NUL byte";
		if (data[i] == '\0')
			return POLICY_BAD;
		*ret_why = "a line over 16 KiB";
		if (data[i] != '\n' && i - line >= POLICY_LINE_BYTES)
			return POLICY_BAD;
		if (data[i] == '\n' && i == line) {
			*ret_used = i + 1;
			return oracle_end(ret, attributes, ret_why);
		}
		if (data[i] == '\n') {
			*ret_why = oracle_line(ret, slice_make(data + line, i - line), &attributes);
			if (*ret_why)
				return POLICY_BAD;
			line = i + 1;
		}
		*ret_why = "a request over 64 KiB";
		if (i + 1 == POLICY_REQUEST_BYTES)
			return POLICY_BAD;
	}
	return POLICY_MORE;
}

#endif

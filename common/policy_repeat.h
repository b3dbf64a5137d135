/* SPDX-License-Identifier: ISC */
/*
 * What a policy connection says again. An smtpd serves one client at a time, so from one request to the
 * next most lines are the same bytes: from protocol_name to sender, and behind size. They are kept here once; a
 * request that has them again is compared instead of parsed, and its values go on pointing here.
 *
 * It never decides what a request is: what it does not know to be one is left to the parser.
 */
#ifndef REEVE_COMMON_POLICY_REPEAT_H
#define REEVE_COMMON_POLICY_REPEAT_H

#include "common/policy_proto.h"

#define POLICY_REPEAT_BYTES 2048

/* Zeroed at first; goes with one policy_request. Holds no memory. */
struct policy_repeat {
	/* private */
	uint64_t learned; /* how often */
	bool known;
	uint16_t state_at;          /* the value of protocol_state; the same before it */
	uint16_t who_at, who_len;   /* from behind protocol_state to the line of recipient */
	uint16_t rest_at, rest_len; /* behind size, with the empty line */
	char bytes[POLICY_REPEAT_BYTES];
};

/*
 * `data` as for policy_parser_feed(), `request` as policy_repeat_learn() left it. false: that is to be asked, and
 * then policy_repeat_learn() has to come before the next request.
 */
bool policy_repeat_take(struct policy_repeat *repeat, const char *data, size_t len,
	struct policy_request *request, size_t *ret_used) __attribute__((warn_unused_result));
/*
 * The parser made `request` of the first `used` bytes of `data`. If it can be kept, its values point here from
 * now on, and request->repeat is a number that it shares only with those that repeat it.
 */
void policy_repeat_learn(struct policy_repeat *repeat, const char *data, size_t used,
	struct policy_request *request);

#endif

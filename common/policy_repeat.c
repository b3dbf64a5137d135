/* SPDX-License-Identifier: ISC */
/*
 * Only a request in Postfix's order is kept, with recipient, recipient_count, queue_id, instance and size in
 * lines that follow each other: these five and protocol_state are read anew each time, all other lines
 * are compared. Whole lines are compared, from one line's begin to another's end, so equal bytes are equal lines; a
 * NUL or a doubled name among them would have kept the first one from being kept.
 */
#include "common/policy_repeat.h"

#include "common/policy_names.h"
#include "common/scan.h"

#define STATE_BYTES 16 /* no protocol_state that we know is as long */

/* Takes the lines from recipient to size; returns what is behind them, NULL: something else came. A line that is looked
 * at has SCAN_BYTES from its begin on, or what is repeated has not come. */
static const char *take_anew(const char *data, const char *end, struct policy_request *request)
{
	unsigned attr = POLICY_RECIPIENT;
	const char *line = data;

	for (const char *at = data; end - at >= SCAN_BYTES; at += SCAN_BYTES) {
		struct scan scan = scan64(at);

		if (scan.has_nul)
			return NULL;
		for (uint64_t ends = scan.line_ends; ends; ends &= ends - 1) {
			const struct policy_name *name = &policy_names[attr];
			const char *lf = at + __builtin_ctzll(ends);
			size_t len = (size_t)(lf - line), name_len = name->len;

			if (len <= name_len || line[name_len] != '=' ||
				!policy_begins_with(line, name, name_len))
				return NULL;
			request->attr[attr] = slice_make(line + name_len + 1, len - name_len - 1);
			line = lf + 1;
			if (attr++ == POLICY_SIZE)
				return line;
		}
	}
	return NULL;
}

static bool take(const struct policy_repeat *repeat, const char *data, size_t len,
	struct policy_request *request, size_t *ret_used)
{
	const char *end = data + len, *state = data + repeat->state_at, *lf, *rest;
	enum policy_state code;

	if (len > POLICY_WHOLE_BYTES ||
		len < (size_t)repeat->state_at + STATE_BYTES + repeat->who_len ||
		memcmp(data, repeat->bytes, repeat->state_at) != 0)
		return false;
	lf = memchr(state, '\n', STATE_BYTES);
	if (!lf || memcmp(lf + 1, repeat->bytes + repeat->who_at, repeat->who_len) != 0)
		return false;
	code = policy_state_of(slice_make(state, (size_t)(lf - state)));
	if (code == POLICY_STATE_UNKNOWN)
		return false;
	rest = take_anew(lf + 1 + repeat->who_len, end, request);
	if (!rest || (size_t)(end - rest) < repeat->rest_len ||
		memcmp(rest, repeat->bytes + repeat->rest_at, repeat->rest_len) != 0)
		return false;
	request->attr[POLICY_PROTOCOL_STATE] = slice_make(state, (size_t)(lf - state));
	request->state = code;
	*ret_used = (size_t)(rest - data) + repeat->rest_len;
	return true;
}

bool policy_repeat_take(struct policy_repeat *repeat, const char *data, size_t len,
	struct policy_request *request, size_t *ret_used)
{
	/* Else the parser writes over `request`. */
	repeat->known = repeat->known && take(repeat, data, len, request, ret_used);
	return repeat->known;
}

/* Does the line of `attr` follow that of the one before it? */
static bool follows(const struct policy_request *request, unsigned attr)
{
	const struct slice *before = &request->attr[attr - 1];

	return before->data + before->len + 1 + policy_names[attr].len + 1 ==
	       request->attr[attr].data;
}

static bool can_be_kept(const struct policy_request *request, size_t used)
{
	const uint64_t anew = (UINT64_C(2) << POLICY_SIZE) - (UINT64_C(1) << POLICY_RECIPIENT);
	const uint64_t needed = anew | UINT64_C(1) << POLICY_PROTOCOL_STATE;

	if (!request->in_order || used > POLICY_REPEAT_BYTES ||
		(request->present & needed) != needed)
		return false;
	for (unsigned attr = POLICY_RECIPIENT + 1; attr <= POLICY_SIZE; attr++) {
		if (!follows(request, attr))
			return false;
	}
	return true;
}

static uint16_t behind(const char *data, struct slice value)
{
	return (uint16_t)(value.data + value.len + 1 - data);
}

void policy_repeat_learn(
	struct policy_repeat *repeat, const char *data, size_t used, struct policy_request *request)
{
	const struct slice *attr = request->attr;

	request->repeat = 0;
	repeat->known = can_be_kept(request, used);
	if (!repeat->known)
		return;
	repeat->state_at = (uint16_t)(attr[POLICY_PROTOCOL_STATE].data - data);
	repeat->who_at = behind(data, attr[POLICY_PROTOCOL_STATE]);
	repeat->who_len =
		(uint16_t)(attr[POLICY_RECIPIENT].data - policy_names[POLICY_RECIPIENT].len - 1 -
			   data - repeat->who_at);
	repeat->rest_at = behind(data, attr[POLICY_SIZE]);
	repeat->rest_len = (uint16_t)(used - repeat->rest_at);
	memcpy(repeat->bytes, data, used);
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++)
		request->attr[i].data = repeat->bytes + (request->attr[i].data - data);
	request->repeat = ++repeat->learned;
}

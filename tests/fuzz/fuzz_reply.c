/* SPDX-License-Identifier: ISC */
/*
 * Any template with any values: what compiles writes a reply that Postfix
 * reads as the action it was meant to be. Input: a byte for the kind, the text, a NUL, then the
 * values in the order of enum reply_var, each ended by a NUL.
 */
#include <assert.h>
#include <stdint.h>

#include "common/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice take(struct slice *input)
{
	struct slice all = *input, part, rest;

	if (slice_split(all, '\0', &part, &rest)) {
		*input = rest;
		return part;
	}
	*input = SLICE_EMPTY;
	return all;
}

static void check_form(struct slice reply)
{
	size_t action = sizeof("action=") - 1;

	assert(slice_starts_with(reply, SLICE("action=")));
	assert(slice_ends_with(reply, SLICE("\n\n")));
	assert(reply.len >= action + 1 + 2 && reply.len <= action + REPLY_BYTES + 2);
	for (size_t i = action; i < reply.len - 2; i++)
		assert(reply.data[i] >= 0x20 && reply.data[i] <= 0x7e);
}

/* "550 5.7.1 x": code, class and a text behind them that is not blank. */
static void check_refusal(struct slice text, char class)
{
	struct slice code, enhanced, rest;

	assert(slice_split(text, ' ', &code, &rest) && code.len == 3 && code.data[0] == class);
	assert(slice_split(rest, ' ', &enhanced, &rest) && enhanced.len >= 5 &&
		enhanced.data[0] == class);
	assert(slice_trim(rest).len > 0);
}

static void check_action(struct slice reply, enum reply_kind kind)
{
	struct slice text = slice_from(reply, sizeof("action=") - 1);

	text.len -= 2;
	switch (kind) {
	case REPLY_REJECT:
	case REPLY_DISCONNECT:
		check_refusal(text, '5');
		break;
	case REPLY_DEFER:
	case REPLY_DISCONNECT_TEMPORARY:
		check_refusal(text, '4');
		break;
	case REPLY_HOLD:
		assert(slice_starts_with(text, SLICE("HOLD ")));
		break;
	case REPLY_DISCARD:
		assert(slice_starts_with(text, SLICE("DISCARD ")));
		break;
	case REPLY_MARK:
		assert(slice_starts_with(text, SLICE("PREPEND ")) &&
			memchr(text.data, ':', text.len));
		break;
	case REPLY_NONE:
		assert(slice_is(text, "DUNNO"));
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_make((const char *)data, size), text;
	struct reply_template *template;
	struct reply_vars vars;
	struct buf out;
	char memory[1024];
	const char *why = NULL;
	enum reply_kind kind;

	if (size == 0)
		return 0;
	kind = (enum reply_kind)(data[0] % (REPLY_NONE + 1));
	input = slice_from(input, 1);
	text = take(&input);
	template = reply_template_new(
		text, kind, data[0] & 0x80 ? 452 : 0, data[0] & 0x40 ? "5.7.27" : NULL, &why);
	assert(!template == (why != NULL));
	for (size_t i = 0; i < REPLY_VARS; i++)
		vars.value[i] = take(&input);
	buf_init_fixed(&out, memory, sizeof(memory));
	reply_write(&out, template, &vars);
	assert(!out.overflow);
	check_form(buf_slice(&out));
	check_action(buf_slice(&out), template ? kind : REPLY_NONE);
	buf_reset(&out);
	reply_write_text(&out, template, &vars);
	assert(out.len <= REPLY_BYTES);
	reply_template_free(&template);
	return 0;
}

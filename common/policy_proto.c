/* SPDX-License-Identifier: ISC */
/*
 * The parser is on the path of every request. A request that comes in one read is
 * taken at once (take_whole); only if there is none, or it has a fault, the general way begins, with the
 * first byte. On both ways lines that come in Postfix's order cost one comparison with the name whose turn
 * it is; all others take a slower way. Only offsets are kept between calls, because the reader's
 * buffer may move.
 *
 * What is reported depends on the bytes alone, never on how they were split:
 * of several faults the one that is complete first counts.
 */
#include "common/policy_proto.h"

#include <limits.h>

#include "common/policy_names.h"
#include "common/scan.h"

#define EXPECTED_REQUEST "smtpd_access_policy"
#define LINE_TOO_LONG "a line over 16 KiB"

#define MOST_OTHERS (POLICY_MAX_ATTRIBUTES - POLICY_ATTR_COUNT)
#define NOT_IN_ORDER UINT_MAX

#define NAME(literal)                        \
	{                                    \
		sizeof(literal) - 1, literal \
	}

const struct policy_name policy_names[POLICY_ATTR_COUNT + 1] = {
	[POLICY_REQUEST] = NAME("request"),
	[POLICY_PROTOCOL_STATE] = NAME("protocol_state"),
	[POLICY_PROTOCOL_NAME] = NAME("protocol_name"),
	[POLICY_CLIENT_ADDRESS] = NAME("client_address"),
	[POLICY_CLIENT_NAME] = NAME("client_name"),
	[POLICY_CLIENT_PORT] = NAME("client_port"),
	[POLICY_REVERSE_CLIENT_NAME] = NAME("reverse_client_name"),
	[POLICY_SERVER_ADDRESS] = NAME("server_address"),
	[POLICY_SERVER_PORT] = NAME("server_port"),
	[POLICY_HELO_NAME] = NAME("helo_name"),
	[POLICY_SENDER] = NAME("sender"),
	[POLICY_RECIPIENT] = NAME("recipient"),
	[POLICY_RECIPIENT_COUNT] = NAME("recipient_count"),
	[POLICY_QUEUE_ID] = NAME("queue_id"),
	[POLICY_INSTANCE] = NAME("instance"),
	[POLICY_SIZE] = NAME("size"),
	[POLICY_ETRN_DOMAIN] = NAME("etrn_domain"),
	[POLICY_STRESS] = NAME("stress"),
	[POLICY_SASL_METHOD] = NAME("sasl_method"),
	[POLICY_SASL_USERNAME] = NAME("sasl_username"),
	[POLICY_SASL_SENDER] = NAME("sasl_sender"),
	[POLICY_CCERT_SUBJECT] = NAME("ccert_subject"),
	[POLICY_CCERT_ISSUER] = NAME("ccert_issuer"),
	[POLICY_CCERT_FINGERPRINT] = NAME("ccert_fingerprint"),
	[POLICY_CCERT_PUBKEY_FINGERPRINT] = NAME("ccert_pubkey_fingerprint"),
	[POLICY_ENCRYPTION_PROTOCOL] = NAME("encryption_protocol"),
	[POLICY_ENCRYPTION_CIPHER] = NAME("encryption_cipher"),
	[POLICY_ENCRYPTION_KEYSIZE] = NAME("encryption_keysize"),
	[POLICY_POLICY_CONTEXT] = NAME("policy_context"),
	[POLICY_COMPATIBILITY_LEVEL] = NAME("compatibility_level"),
	[POLICY_MAIL_VERSION] = NAME("mail_version"),
	[POLICY_TLS_SNI] = NAME("tls_sni"),
	[POLICY_ATTR_COUNT] = {.len = 255}, /* no line begins with NUL bytes */
};

static const char *const state_names[] = {
	[POLICY_STATE_UNKNOWN] = "unknown",
	[POLICY_STATE_CONNECT] = "CONNECT",
	[POLICY_STATE_EHLO] = "EHLO",
	[POLICY_STATE_MAIL] = "MAIL",
	[POLICY_STATE_RCPT] = "RCPT",
	[POLICY_STATE_DATA] = "DATA",
	[POLICY_STATE_END_OF_MESSAGE] = "END-OF-MESSAGE",
	[POLICY_STATE_VRFY] = "VRFY",
	[POLICY_STATE_ETRN] = "ETRN",
};

_Static_assert(sizeof(policy_names) / sizeof(policy_names[0]) == POLICY_ATTR_COUNT + 1, "a name for each attribute");
_Static_assert(POLICY_ATTR_COUNT == 32, "expected + 1 may be shifted by");

const char *policy_attr_name(enum policy_attr attr)
{
	return (unsigned)attr < POLICY_ATTR_COUNT ? policy_names[attr].text : NULL;
}

enum policy_attr policy_attr_of(struct slice name)
{
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++)
		if (policy_names[i].len == name.len &&
			memcmp(policy_names[i].text, name.data, name.len) == 0)
			return (enum policy_attr)i;
	return POLICY_ATTR_COUNT;
}

const char *policy_state_name(enum policy_state state)
{
	if ((unsigned)state >= sizeof(state_names) / sizeof(state_names[0]))
		return state_names[POLICY_STATE_UNKNOWN];
	return state_names[state];
}

static inline bool is_4(const char *data, const char *word)
{
	return memcmp(data, word, 4) == 0;
}

enum policy_state policy_state_of(struct slice name)
{
	switch (name.len) {
	case 4:
		if (is_4(name.data, "RCPT"))
			return POLICY_STATE_RCPT;
		if (is_4(name.data, "MAIL"))
			return POLICY_STATE_MAIL;
		if (is_4(name.data, "DATA"))
			return POLICY_STATE_DATA;
		if (is_4(name.data, "EHLO") || is_4(name.data, "HELO"))
			return POLICY_STATE_EHLO;
		if (is_4(name.data, "VRFY"))
			return POLICY_STATE_VRFY;
		return is_4(name.data, "ETRN") ? POLICY_STATE_ETRN : POLICY_STATE_UNKNOWN;
	case 7:
		return slice_is(name, "CONNECT") || slice_is(name, "XCLIENT")
			       ? POLICY_STATE_CONNECT
			       : POLICY_STATE_UNKNOWN;
	case 14:
		return slice_is(name, "END-OF-MESSAGE") ? POLICY_STATE_END_OF_MESSAGE
							: POLICY_STATE_UNKNOWN;
	default:
		return POLICY_STATE_UNKNOWN;
	}
}

void policy_parser_reset(struct policy_parser *parser)
{
	/* Places are read only where `present` says that they were set. */
	memset(parser, 0, offsetof(struct policy_parser, at));
}

/*
 * Takes whole lines from `line` on for as long as each sets the attribute whose turn it is, for
 * the first time; returns the first line that does not. No name holds a line end, so that the search for
 * it begins behind the name. The caller has room for POLICY_ATTR_COUNT more attributes.
 */
static const char *take_expected(
	struct policy_parser *parser, const char *data, const char *line, const char *end)
{
	const unsigned first = parser->expected;
	const uint64_t taken = parser->present >> first | UINT64_C(1)
								  << (POLICY_ATTR_COUNT - first);
	const unsigned stop = first + (unsigned)__builtin_ctzll(taken);
	unsigned attr = first;

	for (; attr < stop; attr++) {
		const struct policy_name *name = &policy_names[attr];
		const size_t len = name->len;
		const char *value, *lf;

		if ((size_t)(end - line) < len + 2 || line[len] != '=' ||
			!policy_begins_with(line, name, len))
			break;
		value = line + len + 1;
		lf = *value == '\n' ? value : memchr(value, '\n', (size_t)(end - value));
		if (!lf || lf - line > POLICY_LINE_BYTES)
			break;
		parser->at[attr].start = (uint32_t)(value - data);
		parser->at[attr].len = (uint32_t)(lf - value);
		line = lf + 1;
	}
	parser->present |= (UINT64_C(1) << attr) - (UINT64_C(1) << first);
	parser->attributes = (uint16_t)(parser->attributes + (attr - first));
	parser->expected = (uint8_t)attr;
	return line;
}

/* Bits of the attributes from `first` on, `end` not among them. */
static inline uint64_t bits_of(unsigned first, unsigned end)
{
	return (UINT64_C(1) << end) - (UINT64_C(1) << first);
}

static void clear_missing(struct policy_request *request, const char *data)
{
	uint64_t missing = ~request->present & bits_of(0, POLICY_ATTR_COUNT);

	for (; missing; missing &= missing - 1)
		request->attr[__builtin_ctzll(missing)] = slice_make(data, 0);
}

/*
 * A line that does not set the attribute whose turn it is. Returns whose turn is next: behind one that is
 * set here, because those between were left out, or the same after a name that means nothing to us.
 * NOT_IN_ORDER: any other line.
 */
static __attribute__((noinline)) unsigned take_other(
	struct policy_request *ret, unsigned expected, const char *line, const char *lf)
{
	const char *equals = memchr(line, '=', (size_t)(lf - line));
	enum policy_attr attr;

	if (!equals || equals == line)
		return NOT_IN_ORDER;
	attr = policy_attr_of(slice_make(line, (size_t)(equals - line)));
	if (attr == POLICY_ATTR_COUNT)
		return expected;
	if (attr < expected)
		return NOT_IN_ORDER;
	ret->attr[attr] = slice_make(equals + 1, (size_t)(lf - equals - 1));
	ret->present |= UINT64_C(1) << attr;
	return attr + 1;
}

static bool end_whole(struct policy_request *ret, const char *data)
{
	clear_missing(ret, data);
	ret->state = policy_state_of(ret->attr[POLICY_PROTOCOL_STATE]);
	ret->in_order = true;
	return slice_equal(ret->attr[POLICY_REQUEST], SLICE(EXPECTED_REQUEST));
}

/*
 * A whole request that has come in one piece and in Postfix's order, as they nearly always do: all line
 * ends of 64 bytes are found at once, the last 64 bytes overlap those before them. false: there is none, or it
 * is not in order, or something is wrong with it; then the general way says what, and `*ret` holds nothing.
 */
static bool take_whole(
	const char *data, size_t len, struct policy_request *ret, size_t *ret_used)
{
	const struct policy_name *name = policy_names;
	struct slice *slot = ret->attr;
	const char *line = data;
	unsigned first = 0, others = 0; /* `first`: from it on they have come one after the other */

	ret->present = 0;
	for (size_t at = 0; at < len; at += SCAN_BYTES) {
		size_t back = len - at < SCAN_BYTES ? SCAN_BYTES - (len - at) : 0;
		struct scan scan = scan64(data + at - back);

		if (scan.has_nul)
			return false;
		for (uint64_t ends = scan.line_ends >> back; ends; ends &= ends - 1) {
			const char *lf = data + at + __builtin_ctzll(ends);
			size_t name_len = name->len, line_len = (size_t)(lf - line);

			if (line_len > name_len && line[name_len] == '=' &&
				policy_begins_with(line, name, name_len)) {
				*slot++ = slice_make(line + name_len + 1, line_len - name_len - 1);
				name++;
				line = lf + 1;
				continue;
			}
			ret->present |= bits_of(first, (unsigned)(name - policy_names));
			if (line_len == 0) {
				*ret_used = (size_t)(lf + 1 - data);
				return end_whole(ret, data);
			}
			first = take_other(ret, (unsigned)(name - policy_names), line, lf);
			if (first == NOT_IN_ORDER || ++others > MOST_OTHERS)
				return false;
			name = &policy_names[first];
			slot = &ret->attr[first];
			line = lf + 1;
		}
	}
	return false;
}

/* Takes one line of any kind, LF not counted. Returns NULL, or what is wrong with it. */
static const char *take_line(
	struct policy_parser *parser, const char *data, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len);
	enum policy_attr attr;

	if (++parser->attributes > POLICY_MAX_ATTRIBUTES)
		return "more than 256 attributes";
	if (!equals)
		return "a line without =";
	if (equals == line)
		return "an attribute without a name";
	attr = policy_attr_of(slice_make(line, (size_t)(equals - line)));
	if (attr == POLICY_ATTR_COUNT)
		return NULL;
	parser->expected = (uint8_t)(attr + 1);
	if (parser->present & UINT64_C(1) << attr)
		return NULL;
	parser->present |= UINT64_C(1) << attr;
	parser->at[attr].start = (uint32_t)(equals + 1 - data);
	parser->at[attr].len = (uint32_t)(len - (size_t)(equals + 1 - line));
	return NULL;
}

static enum policy_feed bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return POLICY_BAD;
}

/* The empty line has come and ends before `end`. Attributes that are missing have length 0. */
static enum policy_feed finish(const struct policy_parser *parser, const char *data, size_t end,
	struct policy_request *ret, size_t *ret_used, const char **ret_why)
{
	if (parser->attributes == 0)
		return bad(ret_why, "an empty request");
	if (!(parser->present & UINT64_C(1) << POLICY_REQUEST) ||
		parser->at[POLICY_REQUEST].len != sizeof(EXPECTED_REQUEST) - 1 ||
		memcmp(data + parser->at[POLICY_REQUEST].start, EXPECTED_REQUEST,
			sizeof(EXPECTED_REQUEST) - 1) != 0)
		return bad(ret_why, "no request=" EXPECTED_REQUEST);
	for (uint64_t left = parser->present; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);

		ret->attr[i] = slice_make(data + parser->at[i].start, parser->at[i].len);
	}
	ret->present = parser->present;
	ret->in_order = false;
	clear_missing(ret, data);
	ret->state = policy_state_of(ret->attr[POLICY_PROTOCOL_STATE]);
	*ret_used = end;
	return POLICY_READY;
}

/* No further line ends before `end`: the bytes stop there, or a NUL stands there, or no more are allowed. */
static enum policy_feed pause(
	struct policy_parser *parser, size_t end, bool nul, const char **ret_why)
{
	if (end - parser->line_start > POLICY_LINE_BYTES)
		return bad(ret_why, LINE_TOO_LONG);
	if (nul)
		return bad(ret_why, "a NUL byte");
	if (end >= POLICY_REQUEST_BYTES)
		return bad(ret_why, "a request over 64 KiB");
	parser->scanned = (uint32_t)end;
	return POLICY_MORE;
}

enum policy_feed policy_parser_feed(struct policy_parser *parser, const char *data, size_t len,
	struct policy_request *ret, size_t *ret_used, const char **ret_why)
{
	const char *end = data + (len < POLICY_REQUEST_BYTES ? len : POLICY_REQUEST_BYTES);
	const char *from = data + parser->scanned;
	const char *line = data + parser->line_start;
	const char *nul;

	ret->repeat = 0;
	if (end <= from)
		return POLICY_MORE;
	if (from == data && len >= SCAN_BYTES && len <= POLICY_WHOLE_BYTES &&
		take_whole(data, len, ret, ret_used))
		return POLICY_READY;
	nul = memchr(from, '\0', (size_t)(end - from));
	if (nul)
		end = nul;
	for (;;) {
		const char *lf, *why;

		if (from == line && parser->attributes <= POLICY_MAX_ATTRIBUTES - POLICY_ATTR_COUNT)
			from = line = take_expected(parser, data, line, end);
		lf = memchr(from, '\n', (size_t)(end - from));
		if (!lf)
			break;
		from = lf + 1;
		if (lf == line)
			return finish(parser, data, (size_t)(from - data), ret, ret_used, ret_why);
		if (lf - line > POLICY_LINE_BYTES)
			return bad(ret_why, LINE_TOO_LONG);
		why = take_line(parser, data, line, (size_t)(lf - line));
		if (why)
			return bad(ret_why, why);
		line = from;
	}
	parser->line_start = (uint32_t)(line - data);
	return pause(parser, (size_t)(end - data), nul, ret_why);
}

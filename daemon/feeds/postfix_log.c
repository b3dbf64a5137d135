/* SPDX-License-Identifier: ISC */
/*
 * Each take_x() reads what must stand at the front of `rest` and moves it on; where one finds
 * something else the line is no witness. Most lines of a mail log are not smtpd's, so the frame is
 * read first and cheaply.
 */
#include "daemon/feeds/postfix_log.h"

#define MAX_TAG_BYTES 128
#define MAX_HOST_BYTES 255
#define MAX_DIGITS 9

/* SLICE() for tables. */
#define TEXT(literal)                           \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}

struct reader {
	struct slice rest;
};

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

static bool is_lower(char byte)
{
	return byte >= 'a' && byte <= 'z';
}

static bool is_upper(char byte)
{
	return byte >= 'A' && byte <= 'Z';
}

static bool is_alnum(char byte)
{
	return is_digit(byte) || is_lower(byte) || is_upper(byte);
}

static bool take(struct reader *reader, struct slice text)
{
	if (!slice_starts_with(reader->rest, text))
		return false;
	reader->rest = slice_from(reader->rest, text.len);
	return true;
}

/* What `is` accepts, at least one byte and at most `max`. */
static bool take_while(struct reader *reader, bool (*is)(char), size_t max, struct slice *ret)
{
	size_t len = 0;

	while (len < reader->rest.len && len <= max && is(reader->rest.data[len]))
		len++;
	if (len == 0 || len > max)
		return false;
	*ret = slice_first(reader->rest, len);
	reader->rest = slice_from(reader->rest, len);
	return true;
}

static bool take_number(struct reader *reader, uint32_t *ret)
{
	struct slice digits;
	uint32_t number = 0;

	if (!take_while(reader, is_digit, MAX_DIGITS, &digits))
		return false;
	for (size_t i = 0; i < digits.len; i++)
		number = number * 10 + (uint32_t)(digits.data[i] - '0');
	*ret = number;
	return true;
}

/* ---- the frame: time, host, tag */

/* `pattern`: 0 a digit, A and a a letter, _ a digit or a blank; all else is itself. */
static bool take_pattern(struct reader *reader, const char *pattern)
{
	size_t len = strlen(pattern);

	if (reader->rest.len < len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char byte = reader->rest.data[i];
		bool good = pattern[i] == '0'   ? is_digit(byte)
			    : pattern[i] == 'A' ? is_upper(byte)
			    : pattern[i] == 'a' ? is_lower(byte)
			    : pattern[i] == '_' ? is_digit(byte) || byte == ' '
						: byte == pattern[i];

		if (!good)
			return false;
	}
	reader->rest = slice_from(reader->rest, len);
	return true;
}

/* 2026-11-24T08:00:00, a fraction of a second, Z or an offset. */
static bool take_iso_time(struct reader *reader)
{
	struct slice digits;

	if (!take_pattern(reader, "0000-00-00T00:00:00"))
		return false;
	if ((take(reader, SLICE(".")) || take(reader, SLICE(","))) &&
		!take_while(reader, is_digit, MAX_DIGITS, &digits))
		return false;
	if (take(reader, SLICE("Z")))
		return true;
	return (take(reader, SLICE("+")) || take(reader, SLICE("-"))) &&
	       (take_pattern(reader, "00:00") || take_pattern(reader, "0000"));
}

static bool is_host_byte(char byte)
{
	return is_alnum(byte) || byte == '.' || byte == '-' || byte == '_' || byte == ':';
}

static bool is_tag_byte(char byte)
{
	return is_alnum(byte) || byte == '/' || byte == '-' || byte == '_' || byte == '.';
}

/* "[meta sequenceId="1"][...]" or "-" */
static bool take_structured_data(struct reader *reader)
{
	bool quoted = false;
	size_t at = 0;

	if (take(reader, SLICE("-")))
		return true;
	while (at < reader->rest.len && reader->rest.data[at] == '[') {
		for (at++; at < reader->rest.len; at++) {
			char byte = reader->rest.data[at];

			if (quoted && byte == '\\')
				at++;
			else if (byte == '"')
				quoted = !quoted;
			else if (!quoted && byte == ']')
				break;
		}
		at++;
	}
	if (at == 0 || at > reader->rest.len)
		return false;
	reader->rest = slice_from(reader->rest, at);
	return true;
}

/* "1 TIME HOST APP PROCID MSGID SD MSG", from behind the version on. */
static bool take_frame_5424(struct reader *reader, struct postfix_log_event *event)
{
	struct slice id;

	if (!take_iso_time(reader) || !take(reader, SLICE(" ")) ||
		!take_while(reader, is_host_byte, MAX_HOST_BYTES, &event->host) ||
		!take(reader, SLICE(" ")) ||
		!take_while(reader, is_tag_byte, MAX_TAG_BYTES, &event->tag) ||
		!take(reader, SLICE(" ")) || !take_number(reader, &event->process) ||
		!take(reader, SLICE(" ")) || !take_while(reader, is_tag_byte, MAX_TAG_BYTES, &id) ||
		!take(reader, SLICE(" ")) || !take_structured_data(reader) ||
		!take(reader, SLICE(" ")))
		return false;
	take(reader, SLICE("\xef\xbb\xbf"));
	return true;
}

static bool take_frame_plain(struct reader *reader, struct postfix_log_event *event)
{
	struct slice level;

	if (!take(reader, SLICE(" ")) ||
		!take_while(reader, is_host_byte, MAX_HOST_BYTES, &event->host) ||
		!take(reader, SLICE(" ")))
		return false;
	if (take(reader, SLICE("mail.")) &&
		(!take_while(reader, is_lower, MAX_DIGITS, &level) || !take(reader, SLICE(" "))))
		return false;
	return take_while(reader, is_tag_byte, MAX_TAG_BYTES, &event->tag) &&
	       take(reader, SLICE("[")) && take_number(reader, &event->process) &&
	       take(reader, SLICE("]: "));
}

static bool take_frame(struct reader *reader, struct postfix_log_event *event)
{
	uint32_t priority;

	if (take(reader, SLICE("<")) &&
		(!take_number(reader, &priority) || !take(reader, SLICE(">"))))
		return false;
	if (take(reader, SLICE("1 ")))
		return take_frame_5424(reader, event);
	if (!take_pattern(reader, "Aaa _0 00:00:00") && !take_iso_time(reader))
		return false;
	return take_frame_plain(reader, event);
}

/* ---- what smtpd says */

static bool is_name_byte(char byte)
{
	return is_alnum(byte) || byte == '.' || byte == '-' || byte == '_';
}

static bool is_address_byte(char byte)
{
	return is_alnum(byte) || byte == '.' || byte == ':';
}

/* "name[address]", and ":port" where Postfix is told to log it. */
static bool take_client(struct reader *reader, struct postfix_log_event *event)
{
	struct slice name, address, digits;
	struct reader ahead;

	if (!take_while(reader, is_name_byte, MAX_HOST_BYTES, &name) || !take(reader, SLICE("[")) ||
		!take_while(reader, is_address_byte, IP_TEXT_BYTES, &address) ||
		!take(reader, SLICE("]")))
		return false;
	event->has_client = ip_parse(address, &event->client);
	if (!event->has_client && !slice_is(address, "unknown"))
		return false;
	ahead = *reader;
	if (take(&ahead, SLICE(":")) && take_while(&ahead, is_digit, 5, &digits)) {
		uint32_t port = 0;

		for (size_t i = 0; i < digits.len; i++)
			port = port * 10 + (uint32_t)(digits.data[i] - '0');
		event->port = port <= UINT16_MAX ? (uint16_t)port : 0;
		*reader = ahead;
	} else if (take(&ahead, SLICE("unknown"))) {
		*reader = ahead;
	}
	return true;
}

static const struct slice command_words[] = {
	[POSTFIX_LOG_HELO] = TEXT("helo"),
	[POSTFIX_LOG_EHLO] = TEXT("ehlo"),
	[POSTFIX_LOG_XCLIENT] = TEXT("xclient"),
	[POSTFIX_LOG_XFORWARD] = TEXT("xforward"),
	[POSTFIX_LOG_STARTTLS] = TEXT("starttls"),
	[POSTFIX_LOG_AUTH] = TEXT("auth"),
	[POSTFIX_LOG_MAIL] = TEXT("mail"),
	[POSTFIX_LOG_RCPT] = TEXT("rcpt"),
	[POSTFIX_LOG_DATA] = TEXT("data"),
	[POSTFIX_LOG_BDAT] = TEXT("bdat"),
	[POSTFIX_LOG_RSET] = TEXT("rset"),
	[POSTFIX_LOG_NOOP] = TEXT("noop"),
	[POSTFIX_LOG_VRFY] = TEXT("vrfy"),
	[POSTFIX_LOG_ETRN] = TEXT("etrn"),
	[POSTFIX_LOG_QUIT] = TEXT("quit"),
	[POSTFIX_LOG_UNKNOWN] = TEXT("unknown"),
	[POSTFIX_LOG_HELP] = TEXT("help"),
};

static enum postfix_log_command command_of(struct slice word)
{
	for (unsigned i = 0; i < POSTFIX_LOG_OTHER; i++)
		if (slice_equal_fold(word, command_words[i]))
			return (enum postfix_log_command)i;
	return POSTFIX_LOG_OTHER;
}

/* "0/3", or "3" where all were good. */
static bool take_count(struct reader *reader, struct postfix_log_count *ret)
{
	struct postfix_log_count count;

	if (!take_number(reader, &count.good))
		return false;
	count.all = count.good;
	if (take(reader, SLICE("/")) && !take_number(reader, &count.all))
		return false;
	if (count.good > count.all)
		return false;
	*ret = count;
	return true;
}

/* "ehlo=1 rcpt=0/2 quit=1 commands=2/4": to its end, and the sum must be right, else part of it is missing. */
static bool take_counts(struct reader *reader, struct postfix_log_event *event)
{
	struct postfix_log_count sum = {0, 0}, count;
	struct slice word;

	while (reader->rest.len) {
		if (!take(reader, SLICE(" ")) || !take_while(reader, is_lower, MAX_DIGITS, &word) ||
			!take(reader, SLICE("=")) || !take_count(reader, &count))
			return false;
		if (slice_is(word, "commands")) {
			event->has_counts = true;
			return reader->rest.len == 0 && count.good == sum.good &&
			       count.all == sum.all;
		}
		event->counts[command_of(word)].good += count.good;
		event->counts[command_of(word)].all += count.all;
		sum.good += count.good;
		sum.all += count.all;
	}
	return sum.all == 0;
}

static bool read_disconnect(struct reader *reader, struct postfix_log_event *event)
{
	memset(event->counts, 0, sizeof(event->counts));
	event->has_counts = false;
	return take_client(reader, event) && take_counts(reader, event);
}

/* "RCPT from ", "DATA (0 bytes) from ": the last command that Postfix knew, in its own spelling. */
static bool take_command_from(struct reader *reader, struct slice *ret_command)
{
	struct slice command, number;

	for (command = reader->rest, command.len = 0; command.len < reader->rest.len; command.len++)
		if (!is_upper(command.data[command.len]) && command.data[command.len] != '-')
			break;
	if (command.len == 0 || command.len > 32)
		return false;
	reader->rest = slice_from(reader->rest, command.len);
	*ret_command = command;
	if (take(reader, SLICE(" (")) &&
		(!take_while(reader, is_digit, 20, &number) || !take(reader, SLICE(" bytes)"))))
		return false;
	return take(reader, SLICE(" from "));
}

static bool read_too_many_errors(struct reader *reader, struct postfix_log_event *event)
{
	struct slice command;

	return take_command_from(reader, &command) && take_client(reader, event) &&
	       reader->rest.len == 0;
}

/* Where a code follows, as it does but for bare newlines and the like. */
static bool read_refused(struct reader *reader, struct postfix_log_event *event)
{
	struct slice command;
	uint32_t code;

	if (!take_command_from(reader, &command) || !take_client(reader, event) ||
		!take(reader, SLICE(": ")))
		return false;
	event->command =
		slice_is(command, "END-OF-MESSAGE") ? POSTFIX_LOG_DATA : command_of(command);
	event->temporary = take_number(reader, &code) && code >= 400 && code <= 499;
	return true;
}

/* Behind the address: what the server behind SASL says where it is not the password that is wrong. */
static bool is_backend_trouble(struct slice reason)
{
	static const struct slice texts[] = {
		TEXT("Connection lost to authentication server"),
		TEXT("Temporary "),
		TEXT("Internal "),
		TEXT("generic failure"),
		TEXT("no mechanism available"),
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (slice_equal_fold(slice_first(reason, texts[i].len), texts[i]))
			return true;
	return false;
}

static struct slice login_behind(struct slice text, struct slice key)
{
	const char *at = text.len ? memmem(text.data, text.len, key.data, key.len) : NULL;

	if (!at)
		return SLICE_EMPTY;
	return slice_from(text, (size_t)(at - text.data) + key.len);
}

/* "name[address]: SASL LOGIN authentication failed: REASON, sasl_username=LOGIN". The method is the client's word. */
static bool read_sasl(struct reader *reader, struct postfix_log_event *event)
{
	struct slice method, tail;

	if (!take_client(reader, event) || !take(reader, SLICE(": SASL ")) ||
		!slice_split(reader->rest, ' ', &method, &tail))
		return false;
	reader->rest = tail;
	if (!take(reader, SLICE("authentication failed: ")))
		return false;
	event->temporary = is_backend_trouble(reader->rest);
	event->login = login_behind(reader->rest, SLICE(", sasl_username="));
	if (slice_is(event->login, "(unavailable)"))
		event->login = SLICE_EMPTY;
	return true;
}

/* "Recipient address rate limit exceeded: 5 from name[address] for service smtp" */
static bool read_limited(struct reader *reader, struct postfix_log_event *event)
{
	static const struct {
		struct slice text;
		enum postfix_log_command command;
	} limits[] = {
		{TEXT("Recipient address rate limit exceeded: "), POSTFIX_LOG_RCPT},
		{TEXT("Message delivery request rate limit exceeded: "), POSTFIX_LOG_MAIL},
		{TEXT("AUTH command rate limit exceeded: "), POSTFIX_LOG_AUTH},
	};
	uint32_t number;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct reader ahead = *reader;

		event->command = limits[i].command;
		event->temporary = true;
		if (take(&ahead, limits[i].text) && take_number(&ahead, &number) &&
			take(&ahead, SLICE(" from ")) && take_client(&ahead, event) &&
			take(&ahead, SLICE(" for service ")))
			return true;
	}
	return false;
}

/* Behind a queue id. */
static bool read_message(struct reader *reader, struct postfix_log_event *event)
{
	struct slice sender_key = SLICE(", sasl_sender=");
	const char *at;

	if (!take_client(reader, event))
		return false;
	event->login = SLICE_EMPTY;
	if (!take(reader, SLICE(", sasl_method=")))
		return true;
	event->login = login_behind(reader->rest, SLICE(", sasl_username="));
	at = event->login.len
		     ? memmem(event->login.data, event->login.len, sender_key.data, sender_key.len)
		     : NULL;
	if (at)
		event->login.len = (size_t)(at - event->login.data);
	return true;
}

/* "4jYRgs3rZYz1cXLF: " or "NOQUEUE: " */
static void skip_queue_id(struct reader *reader)
{
	struct reader ahead = *reader;
	struct slice id;

	if (take_while(&ahead, is_alnum, 32, &id) && !slice_is(id, "warning") &&
		take(&ahead, SLICE(": ")))
		*reader = ahead;
}

static enum postfix_log_kind read_smtpd(struct reader *reader, struct postfix_log_event *event)
{
	if (take(reader, SLICE("connect from ")))
		return take_client(reader, event) && reader->rest.len == 0 ? POSTFIX_LOG_CONNECT
									   : POSTFIX_LOG_NONE;
	if (take(reader, SLICE("disconnect from ")))
		return read_disconnect(reader, event) ? POSTFIX_LOG_DISCONNECT : POSTFIX_LOG_NONE;
	if (take(reader, SLICE("warning: "))) {
		if (read_limited(reader, event))
			return POSTFIX_LOG_LIMITED;
		return read_sasl(reader, event) ? POSTFIX_LOG_LOGIN_FAILED : POSTFIX_LOG_NONE;
	}
	skip_queue_id(reader);
	if (take(reader, SLICE("client=")))
		return read_message(reader, event) ? POSTFIX_LOG_MESSAGE : POSTFIX_LOG_NONE;
	if (take(reader, SLICE("too many errors after ")))
		return read_too_many_errors(reader, event) ? POSTFIX_LOG_TOO_MANY_ERRORS
							   : POSTFIX_LOG_NONE;
	if (take(reader, SLICE("reject: ")) || take(reader, SLICE("milter-reject: ")))
		return read_refused(reader, event) ? POSTFIX_LOG_REFUSED : POSTFIX_LOG_NONE;
	return POSTFIX_LOG_NONE;
}

enum postfix_log_kind postfix_log_parse(struct slice line, struct postfix_log_event *ret_event)
{
	struct reader reader = {line};

	ret_event->kind = POSTFIX_LOG_NONE;
	ret_event->port = 0;
	ret_event->command = POSTFIX_LOG_OTHER;
	ret_event->temporary = false;
	ret_event->login = SLICE_EMPTY;
	if (take_frame(&reader, ret_event) && slice_ends_with(ret_event->tag, SLICE("/smtpd")))
		ret_event->kind = read_smtpd(&reader, ret_event);
	return ret_event->kind;
}

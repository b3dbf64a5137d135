/* SPDX-License-Identifier: ISC */
/*
 * `explain`: a request from the command line, a file or standard input, and the answer rule by
 * rule.
 */
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "common/policy_proto.h"
#include "common/suggest.h"
#include "config/errors.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/log_request.h"
#include "daemon/ctl/show.h"
#include "daemon/ctl/table.h"

#define NAME_BYTES 80

/* ---- the request ---- */

static bool add_attribute(struct buf *request, struct slice name, struct slice value)
{
	char field[NAME_BYTES];

	if (name.len > 64)
		return true; /* an attribute of a later Postfix that we could not know */
	snprintf(field, sizeof(field), "attr.%.*s", SLICE_ARG(name));
	return ctl_request_add(request, field, value);
}

static int no_attribute(struct slice name)
{
	const char *names[POLICY_ATTR_COUNT], *near;

	for (int i = 0; i < POLICY_ATTR_COUNT; i++)
		names[i] = policy_attr_name((enum policy_attr)i);
	near = suggest_word(name, names, POLICY_ATTR_COUNT);
	return ctl_fail(EX_USAGE, "the policy protocol has no attribute '%s'%s%s%s",
		config_quote(name).text, near ? "; is it '" : "", near ? near : "",
		near ? "'?" : "");
}

/* 0: fine, else an exit code. */
static int add_argument(struct buf *request, const char *text)
{
	struct slice name, value;

	if (!slice_split(slice_of(text), '=', &name, &value))
		return ctl_misuse(&ctl_explain, "a file or -, and then name=value");
	if (policy_attr_of(name) == POLICY_ATTR_COUNT)
		return no_attribute(name);
	if (!add_attribute(request, name, value))
		return ctl_fail(EX_USAGE, "the value of '%.*s' cannot be sent", SLICE_ARG(name));
	return EX_OK;
}

/* The request that a decision in the log was about. */
static int add_log_line(struct buf *request, struct slice pairs, const char *file)
{
	char memory[POLICY_REQUEST_BYTES];
	struct slice name;
	struct buf value;

	buf_init_fixed(&value, memory, sizeof(memory));
	while (log_request_next(&pairs, &name, &value))
		if (!add_attribute(request, name, buf_slice(&value)))
			return ctl_fail(EX_DATAERR, "%s: the value of '%.*s' cannot be sent", file,
				SLICE_ARG(name));
	return EX_OK;
}

/* A recorded request: lines up to an empty one. Or the first decision of a log. */
static int add_lines(struct buf *request, struct slice text, const char *file)
{
	struct slice line, name, value;
	bool any = false;

	while (text.len) {
		if (!slice_split(text, '\n', &line, &text)) {
			line = text;
			text = SLICE_EMPTY;
		}
		if (line.len == 0 && any)
			break;
		if (line.len == 0)
			continue;
		if (log_request_begin(line, &value))
			return add_log_line(request, value, file);
		if (!any && log_request_is_log(line))
			return ctl_fail(EX_DATAERR, "%s: a line of the log, but no decision", file);
		any = true;
		if (!slice_split(line, '=', &name, &value) || !add_attribute(request, name, value))
			return ctl_fail(EX_DATAERR,
				"%s: a line that is not name=value of the policy protocol", file);
	}
	return any ? EX_OK : ctl_fail(EX_DATAERR, "%s: no request in it", file);
}

static int add_file(struct ctl *ctl, struct buf *request, const char *name)
{
	bool is_stdin = strcmp(name, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(name, "re");
	size_t room = POLICY_REQUEST_BYTES + 1, len;
	char *memory = arena_alloc(&ctl->arena, room);
	int error;

	if (!file)
		return ctl_fail(EX_NOINPUT, "%s: %s", name, strerror(errno));
	len = fread(memory, 1, room, file);
	error = ferror(file) ? EX_IOERR : EX_OK;
	if (!is_stdin)
		fclose(file);
	if (error)
		return ctl_fail(EX_IOERR, "%s: cannot be read", name);
	if (len == room)
		return ctl_fail(EX_DATAERR, "%s: longer than a request can be", name);
	return add_lines(request, slice_make(memory, len), is_stdin ? "standard input" : name);
}

/* What stands on the command line goes first, so that it outweighs the file. */
static int read_request(struct ctl *ctl, struct buf *request, int argc, char **argv)
{
	const char *file = NULL;
	int code = EX_OK;

	ctl_request_begin(request, "explain");
	for (int i = 1; i < argc && code == EX_OK; i++) {
		if (strchr(argv[i], '='))
			code = add_argument(request, argv[i]);
		else if (file)
			code = ctl_misuse(&ctl_explain, "one file at most");
		else
			file = argv[i];
	}
	if (code == EX_OK && file)
		code = add_file(ctl, request, file);
	ctl_request_end(request);
	if (code == EX_OK && request->overflow)
		code = ctl_fail(EX_DATAERR, "the request is too long");
	return code;
}

/* ---- the answer ---- */

static const char *join(struct ctl *ctl, const char *head, const struct json_value *words)
{
	char memory[512];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	buf_add(&out, slice_of(head));
	for (; words; words = words->next) {
		buf_add(&out, words->text);
		if (words->next)
			buf_add(&out, SLICE(", "));
	}
	return show_text(ctl, buf_slice(&out));
}

static const char *found_of(struct ctl *ctl, const struct json_value *rule)
{
	struct slice found = json_get_text(rule, "found"), reason = json_get_text(rule, "reason");
	const struct json_value *waits = json_get_array(rule, "waits_for");
	char memory[256];
	struct buf out;

	if (waits)
		return join(ctl, "waits for ", waits);
	if (slice_is(found, "waits"))
		return "not in this state";
	/* Nothing that it counts by is there, or the limit is none. */
	if (slice_is(found, "clear") && slice_is(json_get_text(rule, "check"), "rate"))
		return "not counted";
	if (slice_is(found, "exempt"))
		return json_get(rule, "exempt")
			       ? join(ctl, "exempt: ", json_get_array(rule, "exempt"))
			       : "exempt: except";
	buf_init_fixed(&out, memory, sizeof(memory));
	buf_add(&out, found);
	if (reason.len) {
		buf_add(&out, SLICE(": "));
		buf_add(&out, reason);
	}
	return show_text(ctl, buf_slice(&out));
}

static bool is_code(struct slice word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.data[i] != '.' && (word.data[i] < '0' || word.data[i] > '9'))
			return false;
	return word.len > 0;
}

/* A reply's codes: 550 and 5.7.1 in front of its words, which may begin with a number. */
static struct slice codes_of(struct slice reply)
{
	struct slice code, rest, enhanced;

	if (!slice_split(reply, ' ', &code, &rest) || !is_code(code))
		return SLICE_EMPTY;
	if (slice_split(rest, ' ', &enhanced, &rest) && is_code(enhanced) &&
		memchr(enhanced.data, '.', enhanced.len))
		return slice_first(reply, code.len + 1 + enhanced.len);
	return code;
}

/* Only the codes of a reply: lines of a table are to fit a screen. */
static const char *would_of(struct ctl *ctl, const struct json_value *rule, struct slice decides)
{
	struct slice would = json_get_text(rule, "would");
	struct slice codes = codes_of(json_get_text(rule, "reply"));
	const char *why = "";
	char memory[1024];
	struct buf out;

	if (would.len == 0)
		return "-";
	if (slice_equal(json_get_text(rule, "name"), decides))
		why = "=> ";
	else if (!slice_is(json_get_text(rule, "mode"), "enforce"))
		why = "(monitor) ";
	else if (json_get_bool(rule, "after"))
		why = "(not reached) ";
	buf_init_fixed(&out, memory, sizeof(memory));
	buf_add(&out, slice_of(why));
	buf_add(&out, codes.len ? codes : would);
	return show_text(ctl, buf_slice(&out));
}

static const char *counter_of(struct ctl *ctl, const struct json_value *counter)
{
	const char *free_again = show_free(ctl, counter);
	char memory[512];
	struct buf out;

	buf_init_fixed(&out, memory, sizeof(memory));
	buf_add(&out, json_get_text(counter, "subject"));
	buf_add(&out, SLICE(": "));
	buf_add(&out, slice_of(show_used(ctl, counter)));
	if (*free_again) {
		buf_add(&out, SLICE(", "));
		buf_add(&out, slice_of(free_again));
	}
	buf_add_format(
		&out, "; this request +%llu ", (unsigned long long)json_get_u64(counter, "cost"));
	buf_add(&out, json_get_text(counter, "outcome"));
	if (json_get_u64(counter, "retry_ms")) {
		buf_add(&out, SLICE(", fits in "));
		buf_add(&out, slice_of(show_duration(ctl, json_get_u64(counter, "retry_ms"))));
	}
	return show_text(ctl, buf_slice(&out));
}

struct details {
	const char *lines[80];
	unsigned count;
};

static void add_detail(struct details *details, const char *line)
{
	if (details->count < sizeof(details->lines) / sizeof(details->lines[0]))
		details->lines[details->count++] = line;
}

/* The reply of a rule that does not decide; the deciding one's stands above the table. Facts are
 * told where the rule says nothing more exact. */
static void collect(
	struct ctl *ctl, const struct json_value *rule, bool decides, struct details *details)
{
	const struct json_value *looked = json_get(rule, "looked_at"), *item;
	char memory[1024];
	struct buf out;

	details->count = 0;
	for (item = json_get_array(rule, "counters"); item; item = item->next)
		add_detail(details, counter_of(ctl, item));
	for (item = json_get_array(rule, "notes"); item; item = item->next)
		add_detail(details, show_text(ctl, item->text));
	buf_init_fixed(&out, memory, sizeof(memory));
	if (!decides && json_get_text(rule, "reply").len) {
		buf_add(&out, SLICE("reply: "));
		buf_add(&out, json_get_text(rule, "reply"));
		add_detail(details, show_text(ctl, buf_slice(&out)));
	}
	if (details->count)
		return;
	buf_init_fixed(&out, memory, sizeof(memory));
	for (item = looked ? looked->child : NULL; item; item = item->next) {
		buf_add(&out, item->key);
		buf_add_char(&out, '=');
		buf_add(&out, item->text);
		buf_add(&out, item->next ? SLICE(" ") : SLICE(""));
	}
	add_detail(details, show_text(ctl, buf_slice(&out)));
}

static void print_rules(struct ctl *ctl, const struct json_value *answer)
{
	static const char *const headings[] = {
		"rule", "check", "found", "would answer", "looked at"};
	struct slice decides = json_get_text(answer, "rule");
	const struct json_value *rule = json_get_array(answer, "rules");
	struct show_table table;
	struct details details;

	show_table_begin(&table, ctl, 5, headings);
	for (; rule; rule = rule->next) {
		collect(ctl, rule, slice_equal(json_get_text(rule, "name"), decides), &details);
		show_table_row(&table, (const char *const[]){show_member(ctl, rule, "name"),
					       show_member(ctl, rule, "check"), found_of(ctl, rule),
					       would_of(ctl, rule, decides), details.lines[0]});
		for (unsigned i = 1; i < details.count; i++)
			show_table_row(
				&table, (const char *const[]){"", "", "", "", details.lines[i]});
	}
	show_table_end(&table, "no rules");
}

static void print_answer(struct ctl *ctl, const struct json_value *answer)
{
	struct slice rule = json_get_text(answer, "rule"), reason = json_get_text(answer, "reason");

	fprintf(ctl->out, "At %s the answer is\n  %s\n", show_member(ctl, answer, "state"),
		show_member(ctl, answer, "answer"));
	if (rule.len || reason.len)
		fprintf(ctl->out, "  %s%s%s%s\n", rule.len ? "by rule " : "", show_text(ctl, rule),
			reason.len ? ": " : "", show_text(ctl, reason));
	if (json_get_bool(answer, "strikes"))
		fprintf(ctl->out, "  which would be a strike against the client\n");
	if (json_get_bool(answer, "settles"))
		fprintf(ctl->out,
			"  this message was counted at RCPT, and would only be settled\n");
	if (json_get_bool(answer, "store_failed"))
		fprintf(ctl->out, "  the store did not answer in time\n");
	fputc('\n', ctl->out);
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const struct json_value *answer;
	struct buf request;
	int code;

	if (argc < 2)
		return ctl_misuse(&ctl_explain, "what is to be explained?");
	buf_init(&request, CTL_REQUEST_BYTES);
	code = read_request(ctl, &request, argc, argv);
	answer = code == EX_OK ? client_ask(ctl, &request, &code) : NULL;
	buf_release(&request);
	if (!answer || ctl->json)
		return code;
	print_answer(ctl, answer);
	print_rules(ctl, answer);
	return EX_OK;
}

const struct ctl_command ctl_explain = {
	.name = "explain",
	.usage = "[FILE|-] [NAME=VALUE...]",
	.brief = "what would be answered to a request, and why",
	.help = "Takes the attributes of a policy request from FILE (as Postfix sends it; - is standard\n"
		"input) and from the command line, which outweighs the file, and runs it through the rules\n"
		"of the daemon, on its counters and bans as they are now. Nothing is counted and nothing\n"
		"remembered. Each rule tells what it found and what it would answer, also those that the\n"
		"answer does not depend on. protocol_state is RCPT unless it is given. FILE may also hold\n"
		"a decision of Reeve's log: what would the same get now, in a new message?\n"
		"\n"
		"  reevectl explain sasl_username=bob@example.com sender=bob@example.com\n"
		"      recipient=you@example.net client_address=192.0.2.7 server_port=587\n"
		"  journalctl -u reeved -o cat | grep decision.*bob@ | tail -n 1 | reevectl explain -\n",
	.run = run,
};

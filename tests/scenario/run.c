/* SPDX-License-Identifier: ISC */
/*
 * Runs scenario files: what a postmaster says should happen, line by line. The words
 * are told in tests/scenario/README.md. Stops a file at its first surprise and
 * goes on with the next file.
 */
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/alloc.h"
#include "common/units.h"
#include "tests/scenario/world.h"

struct script {
	const char *file;
	unsigned line;
	char *text, *at;
	struct world *world;
	char *values[POLICY_ATTR_COUNT]; /* what `set` said, and the defaults */
	unsigned peer;
	bool failed;
};

static const struct { const char *word; enum policy_attr attr; } words[] = {
	{ "state", POLICY_PROTOCOL_STATE }, { "client", POLICY_CLIENT_ADDRESS },
	{ "name", POLICY_CLIENT_NAME }, { "reverse", POLICY_REVERSE_CLIENT_NAME },
	{ "port", POLICY_CLIENT_PORT }, { "server", POLICY_SERVER_ADDRESS },
	{ "server_port", POLICY_SERVER_PORT }, { "helo", POLICY_HELO_NAME },
	{ "sender", POLICY_SENDER }, { "rcpt", POLICY_RECIPIENT },
	{ "count", POLICY_RECIPIENT_COUNT }, { "queue_id", POLICY_QUEUE_ID },
	{ "instance", POLICY_INSTANCE }, { "size", POLICY_SIZE },
	{ "login", POLICY_SASL_USERNAME }, { "context", POLICY_POLICY_CONTEXT },
	{ "tls", POLICY_ENCRYPTION_PROTOCOL },
};

static void fail(struct script *script, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void fail(struct script *script, const char *format, ...)
{
	va_list args;

	printf("%s:%u: ", script->file, script->line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n  last decision: %s\n", script->world->last_decision);
	script->failed = true;
}

static char *next_line(struct script *script)
{
	char *line = script->at, *end;

	if (!*line)
		return NULL;
	end = strchr(line, '\n');
	script->at = end ? end + 1 : line + strlen(line);
	if (end)
		*end = '\0';
	script->line++;
	return line;
}

/* Cuts the first word off; empty at the end. A word may be "quoted", and so may be the part after its `=`. */
static char *next_word(char **rest)
{
	char *word = *rest, *out, *in;
	bool quoted = false;

	while (*word == ' ' || *word == '\t')
		word++;
	for (in = out = word; *in && (quoted || (*in != ' ' && *in != '\t')); in++) {
		if (*in == '"')
			quoted = !quoted;
		else
			*out++ = *in;
	}
	*rest = *in ? in + 1 : in;
	*out = '\0';
	return word;
}

static void set_value(char **values, enum policy_attr attr, const char *text)
{
	free(values[attr]);
	values[attr] = strcmp(text, "-") == 0 ? NULL : mem_dup(slice_of(text));
}

/* "%n" becomes the number of the repetition. */
static void expand(const char *text, unsigned n, char *ret, size_t bytes)
{
	const char *at = strstr(text, "%n");

	if (at)
		snprintf(ret, bytes, "%.*s%u%s", (int)(at - text), text, n, at + 2);
	else
		snprintf(ret, bytes, "%s", text);
}

static void read_value(struct script *script, char **values, char *pair, unsigned n)
{
	char *value = strchr(pair, '='), text[4096];

	if (!value) {
		fail(script, "'%s' is no key=value", pair);
		return;
	}
	*value++ = '\0';
	expand(value, n, text, sizeof(text));
	if (strcmp(pair, "on") == 0) {
		script->peer = (unsigned)strtoul(text, NULL, 10);
		return;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, pair) == 0) {
			set_value(values, words[i].attr, text);
			return;
		}
	}
	fail(script, "no key '%s'", pair);
}

static bool reply_matches(const struct asked *asked, const char *glob)
{
	char reply[512];
	size_t len = strlen(asked->reply);

	if (strcmp(glob, "pending") == 0)
		return !asked->done;
	if (!asked->done || len < 9)
		return false;
	/* Without "action=" and the two newlines, which reply_write() is tested for. */
	snprintf(reply, sizeof(reply), "%.*s", (int)(len - 9), asked->reply + 7);
	return fnmatch(glob, reply, 0) == 0;
}

static void check_reply(struct script *script, const struct asked *asked, const char *glob)
{
	if (!reply_matches(asked, glob))
		fail(script, "expected '%s', got '%s'", glob,
		     asked->done ? asked->reply : "pending");
}

/* ask [NAME:] key=value... [=> GLOB] */
static void do_ask(struct script *script, char *rest, unsigned n)
{
	char *values[POLICY_ATTR_COUNT], *expected = strstr(rest, "=>"), *word;
	const char *name = "last";
	struct asked *asked;

	if (expected) {
		*expected = '\0';
		expected += 2;
		while (*expected == ' ')
			expected++;
	}
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++)
		values[i] = script->values[i] ? mem_dup(slice_of(script->values[i])) : NULL;
	while (*(word = next_word(&rest)) && !script->failed) {
		if (word[strlen(word) - 1] == ':') {
			word[strlen(word) - 1] = '\0';
			name = word;
		} else {
			read_value(script, values, word, n);
		}
	}
	asked = world_ask(script->world, name, values, script->peer);
	if (!asked)
		fail(script, "too many requests in one scenario");
	else if (expected)
		check_reply(script, asked, expected);
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++)
		free(values[i]);
}

static void do_times(struct script *script, char *rest)
{
	unsigned count = (unsigned)strtoul(next_word(&rest), NULL, 10);

	if (strcmp(next_word(&rest), "ask") != 0) {
		fail(script, "times N ask ...");
		return;
	}
	for (unsigned n = 1; n <= count && !script->failed; n++) {
		char *copy = mem_dup(slice_of(rest));

		do_ask(script, copy, n);
		free(copy);
		if (script->failed)
			printf("  at repetition %u\n", n);
	}
}

static bool read_duration(struct script *script, const char *text, uint64_t *ret_ms)
{
	const char *why = units_parse_duration(slice_of(text), ret_ms);

	if (why)
		fail(script, "'%s' %s", text, why);
	return !why;
}

static enum dns_type read_type(const char *text)
{
	return strcmp(text, "MX") == 0	   ? DNS_MX
	       : strcmp(text, "AAAA") == 0 ? DNS_AAAA
	       : strcmp(text, "PTR") == 0  ? DNS_PTR
					   : DNS_A;
}

/* dns TYPE NAME = RECORD[,RECORD] | NXDOMAIN | NODATA | SERVFAIL | silence [ttl DUR] [after DUR] */
static void do_dns(struct script *script, char *rest)
{
	enum dns_type type = read_type(next_word(&rest));
	const char *name = next_word(&rest), *word;
	uint64_t ttl_ms = 300000, delay_ms = 0;
	enum dns_status status = DNS_FOUND;
	char records[1024] = "";
	bool silent = false;

	while (*(word = next_word(&rest)) && !script->failed) {
		if (strcmp(word, "=") == 0)
			continue;
		if (strcmp(word, "NXDOMAIN") == 0)
			status = DNS_NXDOMAIN;
		else if (strcmp(word, "NODATA") == 0)
			status = DNS_NODATA;
		else if (strcmp(word, "SERVFAIL") == 0)
			status = DNS_UNKNOWN;
		else if (strcmp(word, "silence") == 0) {
			silent = true;
			status = DNS_UNKNOWN;
		}
		else if (strcmp(word, "ttl") == 0)
			(void)read_duration(script, next_word(&rest), &ttl_ms);
		else if (strcmp(word, "after") == 0)
			(void)read_duration(script, next_word(&rest), &delay_ms);
		else
			snprintf(records + strlen(records), sizeof(records) - strlen(records),
				 "%s%s", *records ? " " : "", word);
	}
	if (!fake_dns_set(script->world->fake_dns, type, slice_of(name), status,
			  slice_of(records), ttl_ms, delay_ms, silent))
		fail(script, "'%s' is no record of that type", records);
}

/* config and reload: the indented lines up to `end`, which may name the error it must give. */
static void do_config(struct script *script)
{
	struct buf yaml;
	const char *errors;
	char *line;

	buf_init(&yaml, 65536);
	while ((line = next_line(script)) != NULL && strncmp(line, "end", 3) != 0) {
		buf_add(&yaml, slice_of(line));
		buf_add_char(&yaml, '\n');
	}
	errors = world_configure(script->world, buf_slice(&yaml));
	buf_release(&yaml);
	if (line)
		line += strlen(line) > 3 ? 4 : 3;
	if (line && *line && (!errors || !strstr(errors, line)))
		fail(script, "expected the error '%s', got: %s", line, errors ? errors : "none");
	else if (errors && (!line || !*line))
		fail(script, "%s", errors);
}

static void do_expect(struct script *script, char *rest)
{
	const struct asked *asked = world_find(script->world, next_word(&rest));

	if (asked)
		check_reply(script, asked, rest);
	else
		fail(script, "nothing of that name was asked");
}

static bool log_has(struct script *script, const char *text)
{
	struct slice log = buf_slice(&script->world->log_text);

	return log.len && memmem(log.data, log.len, text, strlen(text)) != NULL;
}

static void do_usage(struct script *script, char *rest)
{
	struct store_usage usage = { .limit = 0 };
	uint64_t expected;

	usage.key.rule = slice_of(next_word(&rest));
	usage.key.subject = slice_of(next_word(&rest));
	if (!read_duration(script, next_word(&rest), &usage.key.window_ms))
		return;
	(void)next_word(&rest); /* = */
	expected = strtoull(next_word(&rest), NULL, 10);
	if (strcmp(next_word(&rest), "messages") == 0)
		usage.key.what = COUNT_MESSAGES;
	store_usage(script->world->store, &usage, script->world->now);
	if (usage.used != expected)
		fail(script, "expected %llu used, got %llu", (unsigned long long)expected,
		     (unsigned long long)usage.used);
}

static void do_ban(struct script *script, char *rest)
{
	const char *why;
	struct cidr network;
	uint64_t ms;

	if (!cidr_parse(slice_of(next_word(&rest)), &network, &why) ||
	    !read_duration(script, next_word(&rest), &ms))
		fail(script, "ban NETWORK DURATION REASON");
	else if (bans_add(script->world->bans, &network, script->world->now.wall_ms + ms,
			  SLICE("postmaster"), slice_of(rest), false,
			  script->world->now) != BANS_ADDED)
		fail(script, "not added");
}

static void do_set(struct script *script, char *rest)
{
	char *word;

	while (*(word = next_word(&rest)) && !script->failed)
		read_value(script, script->values, word, 0);
}

static void do_time(struct script *script, char *rest)
{
	uint64_t ms;
	char *word = next_word(&rest);

	if (read_duration(script, word + (*word == '+'), &ms))
		world_pass(script->world, ms);
}

static void do_line(struct script *script, char *rest)
{
	const char *word = next_word(&rest);

	if (*word == '\0' || *word == '#')
		return;
	if (strcmp(word, "config") == 0 || strcmp(word, "reload") == 0)
		do_config(script);
	else if (strcmp(word, "set") == 0)
		do_set(script, rest);
	else if (strcmp(word, "ask") == 0)
		do_ask(script, rest, 0);
	else if (strcmp(word, "times") == 0)
		do_times(script, rest);
	else if (strcmp(word, "dns") == 0)
		do_dns(script, rest);
	else if (strcmp(word, "time") == 0)
		do_time(script, rest);
	else if (strcmp(word, "expect") == 0)
		do_expect(script, rest);
	else if (strcmp(word, "usage") == 0)
		do_usage(script, rest);
	else if (strcmp(word, "ban") == 0)
		do_ban(script, rest);
	else if (strcmp(word, "queries") == 0) {
		unsigned long expected = strtoul(rest, NULL, 10);

		if (fake_dns_asked(script->world->fake_dns) != expected)
			fail(script, "expected %lu DNS queries, got %lu", expected,
			     (unsigned long)fake_dns_asked(script->world->fake_dns));
	} else if (strcmp(word, "decision") == 0) {
		if (!strstr(script->world->last_decision, rest))
			fail(script, "the last decision lacks '%s'", rest);
	} else if (strcmp(word, "log") == 0) {
		if (!log_has(script, rest))
			fail(script, "no log line has '%s'", rest);
	} else if (strcmp(word, "nolog") == 0) {
		if (log_has(script, rest))
			fail(script, "a log line has '%s'", rest);
	} else {
		fail(script, "no such word: '%s'", word);
	}
}

static char *read_file(const char *file)
{
	FILE *in = fopen(file, "r");
	struct buf text;
	char chunk[4096], *result;
	size_t got;

	if (!in)
		return NULL;
	buf_init(&text, 1U << 20);
	while ((got = fread(chunk, 1, sizeof(chunk), in)) > 0)
		buf_add(&text, slice_make(chunk, got));
	fclose(in);
	result = mem_dup(buf_slice(&text));
	buf_release(&text);
	return result;
}

static void set_defaults(struct script *script)
{
	static const char *const defaults[][2] = {
		{ "state", "RCPT" }, { "client", "192.0.2.1" }, { "port", "40001" },
		{ "name", "client.example.net" }, { "reverse", "client.example.net" },
		{ "server", "192.0.2.25" }, { "server_port", "25" },
		{ "helo", "client.example.net" }, { "sender", "somebody@example.net" },
		{ "rcpt", "user@example.com" }, { "instance", "1.1.1.0" }, { "size", "1000" },
		{ "count", "0" },
	};

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
		char pair[128];

		snprintf(pair, sizeof(pair), "%s=%s", defaults[i][0], defaults[i][1]);
		read_value(script, script->values, pair, 0);
	}
}

static bool run_file(const char *file)
{
	struct script script = { .file = file };
	char *line;

	script.text = script.at = read_file(file);
	if (!script.text) {
		printf("%s: cannot be read\n", file);
		return false;
	}
	script.world = world_new();
	(void)world_configure(script.world, SLICE("site: {domains: [example.com]}"));
	set_defaults(&script);
	while (!script.failed && (line = next_line(&script)) != NULL)
		do_line(&script, line);
	world_free(&script.world);
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++)
		free(script.values[i]);
	free(script.text);
	return !script.failed;
}

int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	for (int i = 1; i < argc; i++) {
		if (run_file(argv[i]))
			passed++;
		else
			failed++;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}

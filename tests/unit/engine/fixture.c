/* SPDX-License-Identifier: ISC */
/*
 * See fixture.h.
 */
#include "tests/unit/engine/fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"

#define PARTS_OF(pointer, member) LIST_ENTRY(pointer, struct fixture_parts, member)

struct fixture_parts fixture;

static char message_memory[8192];

static void keep_line(struct log_sink *sink, enum log_level level, struct slice line)
{
	struct fixture_parts *parts = PARTS_OF(sink, log);
	size_t len = strlen(parts->log_text);

	snprintf(parts->log_text + len, sizeof(parts->log_text) - len, "%s %.*s\n",
		 log_level_name(level), SLICE_ARG(line));
}

static void keep_event(struct bans_sink *sink, const struct bans_event *event,
		       struct clock_now now)
{
	static const char *const names[] = { "ban", "would_ban", "extended", "removed",
					     "storm_begin", "storm_end", "spared", "login_alarm" };
	struct fixture_parts *parts = PARTS_OF(sink, bans_sink);
	size_t len = strlen(parts->bans_said);

	(void)now;
	snprintf(parts->bans_said + len, sizeof(parts->bans_said) - len, "%s ",
		 names[event->kind]);
}

/* ---- configurations ---- */

static struct config *parse(const char *rules, const char *top, struct config_errors *errors)
{
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);
	char text[8192];

	snprintf(text, sizeof(text), "rules:\n%s\n%s\n", rules, top ? top : "");
	return config_parse_any("f", slice_of(text), checks, count, errors);
}

static const char *messages(const struct config_errors *errors)
{
	struct buf out;
	const char *line;
	bool is_warning;

	buf_init_fixed(&out, message_memory, sizeof(message_memory) - 1);
	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)); i++)
		if (!is_warning)
			buf_add_format(&out, "%s\n", line);
	message_memory[out.len] = '\0';
	return message_memory;
}

const char *fixture_errors(const char *rules, const char *top)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = parse(rules, top, errors);
	struct ruleset *ruleset = config ? ruleset_new(config, errors) : NULL;

	messages(errors);
	cr_assert((*message_memory != '\0') == !ruleset);
	ruleset_unref(&ruleset);
	config_unref(&config);
	config_errors_free(&errors);
	return message_memory;
}

static void load(const char *rules, const char *top)
{
	struct config_errors *errors = config_errors_new();

	fixture.config = parse(rules, top, errors);
	cr_assert(fixture.config, "%s", messages(errors));
	fixture.ruleset = ruleset_new(fixture.config, errors);
	cr_assert(fixture.ruleset, "%s", messages(errors));
	config_errors_free(&errors);
	bans_configure(fixture.bans, fixture.config, fixture.now);
	if (fixture.pipeline)
		pipeline_set_ruleset(fixture.pipeline, fixture.ruleset);
}

void fixture_start(const char *rules, const char *top)
{
	struct hash_key key = { 11, 12 };
	struct pipeline_services services;

	memset(&fixture, 0, sizeof(fixture));
	fixture.hash_key = key;
	fixture.now = (struct clock_now){ 1000000, FIXTURE_WALL_MS };
	fixture.log = (struct log_sink){ keep_line, LOG_LEVEL_DEBUG };
	fixture.bans_sink.event = keep_event;
	fixture.bans = bans_new(key, &fixture.bans_sink);
	fixture.connections = connections_new(100);
	fixture.transactions = transactions_new(100);
	fake_store_init(&fixture.store);
	services = (struct pipeline_services){
		.store = &fixture.store.base,
		.bans = fixture.bans,
		.connections = fixture.connections,
		.transactions = fixture.transactions,
		.log = &fixture.log,
		.hash_key = key,
	};
	fixture.pipeline = pipeline_new(&services);
	for (unsigned i = 0; i < 4; i++)
		fixture.peers[i].id = i + 1;
	load(rules, top);
}

void fixture_reload(const char *rules, const char *top)
{
	ruleset_unref(&fixture.ruleset);
	config_unref(&fixture.config);
	load(rules, top);
}

void fixture_stop(void)
{
	for (unsigned i = 0; i < fixture.asked_count; i++) {
		cancel(&fixture.asked[i]);
		arena_release(&fixture.asked[i].arena);
	}
	for (unsigned i = 0; i < fixture.script_count; i++)
		cr_assert(fixture.scripts[i].states == fixture.scripts[i].cancelled,
			  "each state is cancelled once: %s has %u, %u", fixture.scripts[i].name,
			  fixture.scripts[i].states, fixture.scripts[i].cancelled);
	cr_assert(!fake_store_is_pending(&fixture.store));
	cr_assert(pipeline_under_way(fixture.pipeline) == 0);
	pipeline_free(&fixture.pipeline);
	cr_assert(!fixture.pipeline);
	ruleset_unref(&fixture.ruleset);
	config_unref(&fixture.config);
	bans_free(&fixture.bans);
	connections_free(&fixture.connections);
	transactions_free(&fixture.transactions);
}

struct rule *rule_named(const char *name)
{
	int index = ruleset_find(fixture.ruleset, slice_of(name));

	cr_assert(index >= 0, "no rule %s", name);
	return &fixture.ruleset->rules[index];
}

struct script *script(const char *name, const char *says)
{
	struct script *found = NULL;

	for (unsigned i = 0; i < fixture.script_count; i++) {
		if (strcmp(fixture.scripts[i].name, name) == 0)
			found = &fixture.scripts[i];
	}
	if (!found) {
		cr_assert(fixture.script_count < 16);
		found = &fixture.scripts[fixture.script_count++];
		snprintf(found->name, sizeof(found->name), "%s", name);
		found->says = "next";
		found->charges = 1;
	}
	if (says)
		found->says = says;
	return found;
}

void start_one(const char *check, const char *says, const char *top)
{
	char rules[64];

	snprintf(rules, sizeof(rules), "  - {name: a, check: %s}", check);
	fixture_start(rules, top);
	script("a", says);
}

void wake(const char *name)
{
	struct script *said = script(name, NULL);

	cr_assert(said->expected);
	said->expected = false;
	waiter_forget(said->waiter);
	waiter_wake(said->waiter);
}

/* ---- requests ---- */

static void set(struct policy_request *in, enum policy_attr attr, struct slice value)
{
	in->attr[attr] = value;
	in->present |= (uint64_t)1 << attr;
}

static void set_defaults(struct policy_request *in)
{
	bool has_recipient = in->state == POLICY_STATE_RCPT || in->state == POLICY_STATE_VRFY;
	bool has_instance = in->state == POLICY_STATE_RCPT || in->state == POLICY_STATE_DATA ||
			    in->state == POLICY_STATE_END_OF_MESSAGE;

	set(in, POLICY_REQUEST, SLICE("smtpd_access_policy"));
	set(in, POLICY_PROTOCOL_STATE, slice_of(policy_state_name(in->state)));
	set(in, POLICY_CLIENT_ADDRESS, SLICE("198.51.100.7"));
	set(in, POLICY_CLIENT_PORT, SLICE("40001"));
	set(in, POLICY_SERVER_ADDRESS, SLICE("192.0.2.25"));
	set(in, POLICY_SERVER_PORT, SLICE("25"));
	set(in, POLICY_SENDER, SLICE("s@example.net"));
	set(in, POLICY_RECIPIENT, has_recipient ? SLICE("r@example.com") : SLICE_EMPTY);
	set(in, POLICY_INSTANCE, has_instance ? SLICE("1.1") : SLICE_EMPTY);
}

static void set_one(struct policy_request *in, char *word)
{
	char *value = strchr(word, '=');
	enum policy_attr attr;

	cr_assert(value, "'%s' is no attribute", word);
	*value++ = '\0';
	attr = policy_attr_of(slice_of(word));
	cr_assert(attr != POLICY_ATTR_COUNT, "no attribute '%s'", word);
	for (char *at = value; *at; at++)
		*at = *at == '~' ? ' ' : *at == '^' ? '\n' : *at;
	if (strcmp(value, "-") == 0) {
		in->attr[attr] = SLICE_EMPTY;
		in->present &= ~((uint64_t)1 << attr);
	} else {
		set(in, attr, slice_of(value));
	}
}

void read_request(const char *text, char *memory, size_t memory_bytes, struct policy_request *ret)
{
	char *at = memory, *end;

	cr_assert(strlen(text) < memory_bytes);
	snprintf(memory, memory_bytes, "%s", text);
	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < POLICY_ATTR_COUNT; i++)
		ret->attr[i] = SLICE_EMPTY;
	end = strchr(at, ' ');
	if (end)
		*end = '\0';
	ret->state = policy_state_of(slice_of(at));
	set_defaults(ret);
	for (at = end ? end + 1 : NULL; at; at = end ? end + 1 : NULL) {
		end = strchr(at, ' ');
		if (end)
			*end = '\0';
		if (*at)
			set_one(ret, at);
	}
}

static void keep_answer(void *arg, struct slice reply, const struct verdict *verdict)
{
	struct asked *asked = arg;

	asked->done = true;
	asked->calls++;
	asked->ticket = NULL;
	asked->kind = verdict->kind;
	if (verdict->rule)
		snprintf(asked->rule, sizeof(asked->rule), "%.*s", SLICE_ARG(verdict->rule->name));
	snprintf(asked->reply, sizeof(asked->reply), "%.*s", SLICE_ARG(reply));
}

struct asked *submit(const char *text, unsigned on)
{
	struct asked *asked = &fixture.asked[fixture.asked_count++];

	cr_assert(fixture.asked_count <= FIXTURE_MAX_ASKED);
	memset(asked, 0, sizeof(*asked));
	arena_init(&asked->arena, 4096);
	read_request(text, asked->text, sizeof(asked->text), &asked->in);
	asked->in.repeat = fixture.repeat;
	asked->ticket = pipeline_submit(fixture.pipeline, &asked->in, &asked->arena,
					&fixture.peers[on], fixture.now, keep_answer, asked);
	cr_assert(!asked->done, "done is never called from submit");
	return asked;
}

void run(void)
{
	pipeline_run(fixture.pipeline, fixture.now);
	cr_assert(!pipeline_has_ready(fixture.pipeline));
}

struct asked *ask(const char *text)
{
	struct asked *asked = submit(text, 0);

	run();
	return asked;
}

const char *reply_of(const struct asked *asked)
{
	static char text[512];
	size_t len = strlen(asked->reply);

	if (!asked->done)
		return "(pending)";
	cr_assert(asked->calls == 1);
	cr_assert(len > 9 && strncmp(asked->reply, "action=", 7) == 0 &&
		  strcmp(asked->reply + len - 2, "\n\n") == 0);
	snprintf(text, sizeof(text), "%.*s", (int)(len - 9), asked->reply + 7);
	return text;
}

const char *answer(const char *text)
{
	return reply_of(ask(text));
}

void cancel(struct asked *asked)
{
	pipeline_cancel(fixture.pipeline, &asked->ticket);
	cr_assert(!asked->ticket);
}

void pass_ms(uint64_t ms)
{
	fixture.now.mono_ms += ms;
	fixture.now.wall_ms += ms;
	pipeline_expire(fixture.pipeline, fixture.now);
	run();
}

const char *last_decision(void)
{
	static char line[20000];
	const char *found = NULL, *at = fixture.log_text;

	while ((at = strstr(at, "info event=decision")))
		found = at++;
	cr_assert(found, "no decision was logged");
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(found + 5, "\n"), found + 5);
	return line;
}

void is_at(int line, const char *text, const char *expected)
{
	cr_assert(strcmp(text, expected) == 0, "line %d: '%s' is not '%s'", line, text, expected);
}

void has_at(int line, const char *text, const char *part, bool wanted)
{
	cr_assert((strstr(text, part) != NULL) == wanted, "line %d: '%s' %s '%s'", line, text,
		  wanted ? "lacks" : "has", part);
}

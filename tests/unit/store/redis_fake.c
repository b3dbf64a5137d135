/* SPDX-License-Identifier: ISC */
/*
 * The queue of calls is the link's own (calls.h); replies are built as the reader of replies would.
 */
#include "tests/unit/store/redis_fake.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/units.h"
#include "daemon/store/redis/calls.h"
#include "daemon/store/redis/packed.h"
#include "daemon/store/redis/reply_reader.h"

struct fake fake;

static struct calls calls;
static struct fake_command commands[FAKE_ROOM];
static unsigned first_command, command_count;
static char kept_memory[65536];
static size_t kept_len;

static const char *const script_names[SCRIPTS] = {
	[SCRIPT_HELLO] = "hello",
	[SCRIPT_RESERVE] = "reserve",
	[SCRIPT_SETTLE] = "settle",
	[SCRIPT_REFUND] = "refund",
	[SCRIPT_ASSERT] = "assert",
	[SCRIPT_LOOK] = "look",
	[SCRIPT_RESET] = "reset",
	[SCRIPT_SEEK] = "seek",
	[SCRIPT_LIST_PULL] = "pull",
	[SCRIPT_LIST_PUT] = "put",
	[SCRIPT_LIST_REMOVE] = "remove",
	[SCRIPT_STRIKE] = "strike",
};

/* ---- what was sent ---- */

static struct slice next_word(struct slice *text)
{
	struct slice line, word;
	uint64_t len;

	cr_assert(slice_split(*text, '\n', &line, text) && line.data[0] == '$');
	cr_assert(!units_parse_u64(slice_make(line.data + 1, line.len - 2), &len));
	word = slice_first(*text, (size_t)len);
	*text = slice_from(*text, (size_t)len + 2);
	return word;
}

static const char *script_of(struct slice text, bool by_name)
{
	for (int i = 0; i < SCRIPTS; i++) {
		char sha[48];

		snprintf(sha, sizeof(sha), "%040d", i);
		if (by_name ? slice_is(text, sha)
			    : slice_equal(text, scripts_text(fake.scripts, (enum script)i)))
			return script_names[i];
	}
	return "?";
}

static void name_command(struct fake_command *command)
{
	struct slice first = command->words[0];
	bool by_name = slice_is(first, "EVALSHA");
	uint64_t keys;

	if (slice_is(first, "SCRIPT")) {
		snprintf(command->name, sizeof(command->name), "load");
	} else if (slice_is(first, "UNLINK")) {
		snprintf(command->name, sizeof(command->name), "unlink");
	} else {
		cr_assert(by_name || slice_is(first, "EVAL"));
		snprintf(command->name, sizeof(command->name), "%s",
			script_of(command->words[1], by_name));
		command->as_text = !by_name;
		cr_assert(!units_parse_u64(command->words[2], &keys));
		command->keys = (unsigned)keys;
		command->count -= 3;
		memmove(command->words, command->words + 3,
			command->count * sizeof(command->words[0]));
	}
}

static void keep_command(struct slice text)
{
	struct fake_command *command = &commands[(first_command + command_count++) % FAKE_ROOM];
	struct slice rest, line;
	uint64_t count;

	cr_assert(command_count <= FAKE_ROOM);
	*command = (struct fake_command){.memory = mem_dup(text)};
	rest = slice_make(command->memory, text.len);
	cr_assert(slice_split(rest, '\n', &line, &rest) && line.data[0] == '*');
	cr_assert(!units_parse_u64(slice_make(line.data + 1, line.len - 2), &count));
	command->words = mem_zalloc_array((size_t)count, sizeof(command->words[0]));
	while (count--)
		command->words[command->count++] = next_word(&rest);
	cr_assert(rest.len == 0);
	name_command(command);
}

static void drop_command(void)
{
	struct fake_command *command = &commands[first_command];

	free(command->words);
	free(command->memory);
	first_command = (first_command + 1) % FAKE_ROOM;
	command_count--;
}

static bool port_send(
	struct redis_port *port, struct redis_call *call, struct slice command, uint64_t timeout_ms)
{
	(void)port;
	if (fake.refuses || !fake.is_up)
		return false;
	cr_assert(timeout_ms > 0);
	keep_command(command);
	calls_add(&calls, call, fake.now.mono_ms + timeout_ms);
	return true;
}

static struct clock_now port_now(struct redis_port *port)
{
	(void)port;
	return fake.now;
}

/* ---- answers ---- */

static void answer(const struct redis_reply *reply)
{
	cr_assert(command_count > 0);
	drop_command();
	cr_assert(calls_answer(&calls, reply, fake.now.mono_ms));
}

/* Memory that lasts for one answer. */
static char *keep(size_t len)
{
	char *text = kept_memory + kept_len;

	cr_assert(kept_len + len <= sizeof(kept_memory));
	kept_len += len;
	return text;
}

/* With its blanks. */
static struct slice quoted(struct slice word)
{
	char *text = keep(word.len);

	for (size_t i = 0; i < word.len; i++)
		text[i] = (char)(word.data[i] == '^' ? ' ' : word.data[i]);
	return slice_make(text, word.len);
}

static int64_t number_of(struct slice word)
{
	char text[24];

	if (slice_is(word, "T"))
		return (int64_t)fake.now.wall_ms;
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(slice_first(word, sizeof(text) - 1)));
	return strtoll(text, NULL, 10);
}

/* Numbers with `between` between them. */
static struct slice packed(struct slice words, char between)
{
	char *text = kept_memory + kept_len;
	size_t count = 0;
	struct slice word;

	for (; words.len; count++) {
		if (!slice_split(words, between, &word, &words)) {
			word = words;
			words = SLICE_EMPTY;
		}
		packed_put_i64(keep(PACKED_BYTES), number_of(word));
	}
	return slice_make(text, count * PACKED_BYTES);
}

static struct slice packed_name(struct slice word)
{
	char *text = keep(PACKED_BYTES);

	packed_put_name(text, (uint64_t)number_of(word));
	return slice_make(text, PACKED_BYTES);
}

static struct redis_reply item_of(struct slice word)
{
	struct redis_reply item = {.type = REDIS_TYPE_STRING, .text = word};
	struct slice rest = slice_from(word, 1);

	if (slice_is(word, "~"))
		return (struct redis_reply){.type = REDIS_TYPE_NIL, .text = SLICE_EMPTY};
	if (slice_is(word, "_"))
		item.text = SLICE_EMPTY;
	else if (word.data[0] == '\'')
		item.text = quoted(rest);
	else if (word.data[0] == '#')
		item.text = packed(rest, ',');
	else if (word.data[0] == '@')
		item.text = packed_name(rest);
	else if (slice_is(word, "T") || isdigit((unsigned char)word.data[0]) ||
		 (word.data[0] == '-' && word.len > 1))
		return (struct redis_reply){.type = REDIS_TYPE_INTEGER,
			.integer = number_of(word),
			.text = SLICE_EMPTY};
	return item;
}

/* Do the answers of the oldest command's script come packed? */
static bool is_packed(void)
{
	static const char *const names[] = {
		"reserve", "settle", "refund", "assert", "look", "reset"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fake_is(names[i]))
			return true;
	return false;
}

static void say_packed(struct slice words)
{
	struct redis_reply reply = {.type = REDIS_TYPE_STRING};

	reply.text = packed(words, ' ');
	answer(&reply);
}

void fake_say(const char *words)
{
	static struct redis_reply items[FAKE_WORDS];
	static struct redis_reply *pointers[FAKE_WORDS];
	struct redis_reply array = {
		.type = REDIS_TYPE_ARRAY, .items = pointers, .text = SLICE_EMPTY};
	struct slice rest = slice_of(words), word;

	kept_len = 0;
	if (is_packed() && (slice_is(rest, "OK") || slice_starts_with(rest, SLICE("OK ")))) {
		say_packed(slice_from(rest, 3));
		return;
	}
	while (rest.len) {
		if (!slice_split(rest, ' ', &word, &rest)) {
			word = rest;
			rest = SLICE_EMPTY;
		}
		cr_assert(array.count < FAKE_WORDS);
		items[array.count] = item_of(word);
		pointers[array.count] = &items[array.count];
		array.count++;
	}
	answer(&array);
}

void fake_say_error(const char *text)
{
	answer(&(struct redis_reply){.type = REDIS_TYPE_ERROR, .text = slice_of(text)});
}

void fake_say_text(const char *text)
{
	answer(&(struct redis_reply){.type = REDIS_TYPE_STRING, .text = slice_of(text)});
}

/* ---- life ---- */

static void on_bad_key(void *arg, struct slice key)
{
	(void)arg;
	fake.bad_keys++;
	snprintf(fake.bad_key, sizeof(fake.bad_key), "%.*s", SLICE_ARG(key));
}

static void on_name_taken(void *arg)
{
	(void)arg;
	fake.taken_names++;
}

static const struct counters_events events = {on_bad_key, on_name_taken};

void fake_link_setup(void)
{
	fake = (struct fake){
		.port = {port_send, port_now},
		.options =
			{
				.prefix = SLICE("reeve"),
				.node = SLICE("mx1"),
				.timeout_ms = 300,
				.slack = 1,
				.max_counters = 1000,
				.max_transactions = 1000,
				.settle = LEDGER_SETTLE_DATA,
				.events = &events,
			},
		.now = {5000000, FAKE_BEGINS_WALL_MS},
	};
	calls_init(&calls);
	fake.scripts = scripts_new();
}

void fake_setup(void)
{
	fake_link_setup();
	fake.counters = counters_new(&fake.options, &fake.port);
	fake_turn();
}

void fake_link_down(void)
{
	fake.is_up = false;
	while (command_count)
		drop_command();
	calls_end(&calls);
}

void fake_down(void)
{
	fake_link_down();
	counters_down(fake.counters);
}

void fake_teardown(void)
{
	if (fake.is_up)
		fake_down();
	counters_free(&fake.counters);
	scripts_free(&fake.scripts);
}

static int load_number(const struct fake_command *command)
{
	for (int i = 0; i < SCRIPTS; i++)
		if (slice_equal(command->words[2], scripts_text(fake.scripts, (enum script)i)))
			return i;
	cr_assert_fail("an unknown script is loaded");
	return -1;
}

void fake_loads(void)
{
	while (fake_is("load")) {
		char sha[48];

		snprintf(sha, sizeof(sha), "%040d", load_number(fake_command(0)));
		fake_say_text(sha);
	}
}

void fake_up(void)
{
	fake.is_up = true;
	counters_up(fake.counters);
	fake_loads();
}

void fake_ready(void)
{
	fake_up();
	cr_assert(fake_is("hello"));
	fake_say("OK T 3 _ 0");
	cr_assert(counters_are_ready(fake.counters));
}

unsigned fake_out(void)
{
	return command_count;
}

const struct fake_command *fake_command(unsigned behind)
{
	return behind < command_count ? &commands[(first_command + behind) % FAKE_ROOM] : NULL;
}

bool fake_is(const char *name)
{
	return command_count && strcmp(commands[first_command].name, name) == 0;
}

struct slice fake_key(unsigned number)
{
	const struct fake_command *command = fake_command(0);

	cr_assert(command && number >= 1 && number <= command->keys);
	return command->words[number - 1];
}

struct slice fake_arg(unsigned number)
{
	const struct fake_command *command = fake_command(0);

	cr_assert(command && number >= 1 && command->keys + number <= command->count);
	return command->words[command->keys + number - 1];
}

/* ARGV[4]: its numbers and names. */
static struct slice packed_arg(void)
{
	return fake_arg(4);
}

int64_t fake_number(unsigned at)
{
	cr_assert(packed_arg().len >= (at + 1) * PACKED_BYTES);
	return packed_get(packed_arg().data + at * PACKED_BYTES);
}

/* Where the counters begin in it. */
static size_t counters_at(void)
{
	if (fake_is("reserve"))
		return 7 * PACKED_BYTES;
	if (fake_is("settle"))
		return 10 * PACKED_BYTES;
	return fake_is("refund") ? 5 * PACKED_BYTES : PACKED_BYTES;
}

const char *fake_asserts(unsigned counter)
{
	static char text[4096];
	struct slice rest = slice_from(packed_arg(), counters_at());
	int64_t said = 0;
	size_t len = 0;

	for (unsigned i = 0; i < counter; i++) {
		rest = slice_from(rest, said > 0 ? 2 * PACKED_BYTES * (size_t)said : 0);
		cr_assert(rest.len >= 3 * PACKED_BYTES + 4);
		said = packed_get(rest.data + 2 * PACKED_BYTES + 4);
		rest = slice_from(rest, 3 * PACKED_BYTES + 4);
	}
	text[0] = '\0';
	for (int64_t i = 0; i < said; i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%lld=%lld", i ? " " : "",
			(long long)packed_get(rest.data),
			(long long)packed_get(rest.data + PACKED_BYTES));
		rest = slice_from(rest, 2 * PACKED_BYTES);
	}
	return said < 0 ? "-" : text;
}

void fake_turn(void)
{
	if (fake.counters)
		counters_run(fake.counters, fake.now);
}

void fake_pass(uint64_t ms)
{
	fake.now.mono_ms += ms;
	fake.now.wall_ms += ms;
	calls_expire(&calls, fake.now.mono_ms);
	fake_turn();
}

/* ---- this side ---- */

static void on_wake(struct waiter *waiter)
{
	LIST_ENTRY(waiter, struct fake_op, waiter)->woken++;
}

struct hash128 fake_id(uint64_t number)
{
	return (struct hash128){number ? 77 : 0, number};
}

struct store_charge fake_gate(const char *rule, const char *subject, uint64_t limit)
{
	return (struct store_charge){
		.key = {slice_of(rule), slice_of(subject), COUNT_RECIPIENTS, 3600000},
		.limit = limit,
		.cost = 1,
		.gate = true,
	};
}

void fake_reserve(
	struct fake_op *op, uint64_t transaction, uint64_t recipient, struct store_charge charge)
{
	*op = (struct fake_op){.waiter = {.wake = on_wake}};
	op->charges[0] = charge;
	op->reserve = (struct store_reserve){
		.op.waiter = &op->waiter,
		.transaction = fake_id(transaction),
		.service = 25,
		.recipient = recipient,
		.asked = 1,
		.charges = op->charges,
		.count = 1,
	};
	counters_reserve(fake.counters, &op->reserve, fake.now);
	cr_assert(op->woken == 0, "never from inside the call");
}

void fake_settle(struct fake_op *op, uint64_t transaction, uint64_t recipients)
{
	*op = (struct fake_op){.waiter = {.wake = on_wake}};
	op->settle = (struct store_settle){
		.op.waiter = &op->waiter,
		.transaction = fake_id(transaction),
		.service = 25,
		.recipient_count = recipients,
		.end_of_message = true,
	};
	counters_settle(fake.counters, &op->settle, fake.now);
	cr_assert(op->woken == 0, "never from inside the call");
}

void fake_usage(struct fake_op *op, struct store_charge charge)
{
	*op = (struct fake_op){.waiter = {.wake = on_wake}};
	op->usage = (struct store_usage){
		.op.waiter = &op->waiter, .key = charge.key, .limit = charge.limit};
	counters_usage(fake.counters, &op->usage, fake.now);
	cr_assert(op->woken == 0, "never from inside the call");
}

void fake_grant(unsigned version, unsigned used)
{
	char words[128];

	cr_assert(fake_is("reserve"));
	snprintf(words, sizeof(words), "OK T %u 1 0 1 %u 0 0 %llu", version, used,
		(unsigned long long)(fake.now.wall_ms / 60000));
	fake_say(words);
}

void fake_granted(struct store_charge charge, uint64_t transaction, unsigned used)
{
	struct fake_op op;

	for (unsigned i = 1; i <= used; i++) {
		fake_reserve(&op, transaction, i, charge);
		fake_grant(i, i);
		cr_assert(op.reserve.op.state == STORE_OP_DONE && op.reserve.refused == -1);
	}
}

void fake_until(const char *name)
{
	for (unsigned i = 0; !fake_is(name); i++) {
		cr_assert(i < 100, "no %s comes", name);
		if (fake_out())
			fake_say("OK T");
		else
			fake_turn();
	}
}

bool fake_is_local(const struct fake_op *one)
{
	return one->reserve.op.state == STORE_OP_DONE && !one->reserve.op.failed;
}

struct holds {
	struct counter_key key;
	uint64_t used;
};

static void see(void *arg, const struct store_counter *counter)
{
	struct holds *holds = arg;

	if (slice_equal(counter->key.rule, holds->key.rule) &&
		slice_equal(counter->key.subject, holds->key.subject))
		holds->used = counter->used;
}

uint64_t fake_holds(struct store_charge charge)
{
	struct holds holds = {charge.key, 0};

	counters_list(fake.counters, SLICE_EMPTY, see, &holds, fake.now);
	return holds.used;
}

struct counters_health fake_health(void)
{
	struct counters_health health;

	counters_health(fake.counters, &health);
	return health;
}

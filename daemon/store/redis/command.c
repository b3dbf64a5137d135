/* SPDX-License-Identifier: ISC */
/*
 * A question becomes one command. What the scripts take stands at their heads. Counters in doubt
 * take their assertion along; it counts as made, unless the answer says otherwise.
 */
#include "daemon/store/redis/counters_parts.h"
#include "daemon/store/redis/packed.h"
#include "daemon/store/redis/resp.h"

#define FENCE_ARGUMENTS 3
#define FENCE_MS 60000
#define LEASE_MS 5000
#define MODE_SEEN 3 /* as auto, and we have seen the service settle */

/* What a script takes: "EVALSHA sha keys", the keys, the arguments that each has, and then all that
 * it is asked in one argument (counters->args), which is put together beside it. */

static bool is_by_name(const struct counters *counters, enum script script, bool as_text)
{
	return !as_text && counters->has_sha[script];
}

static void begin(struct counters *counters)
{
	buf_reset(&counters->out);
	buf_reset(&counters->args);
}

static void begin_script(
	struct counters *counters, enum script script, bool as_text, unsigned keys, unsigned args)
{
	struct buf *out = &counters->out;

	begin(counters);
	resp_command(out, 3u + keys + args);
	if (is_by_name(counters, script, as_text)) {
		buf_add(out, SLICE("$7\r\nEVALSHA\r\n"));
		resp_slice(out, slice_make(counters->sha[script], sizeof(counters->sha[script])));
	} else {
		resp_slice(out, SLICE("EVAL"));
		resp_slice(out, scripts_text(counters->scripts, script));
	}
	resp_u64(out, keys);
}

/* ---- keys ---- */

static void put_key(struct counters *counters)
{
	resp_slice(&counters->out, buf_slice(&counters->key));
}

static void put_plain_key(struct counters *counters, const char *kind, struct slice name)
{
	keys_plain(&counters->keys, kind, name, &counters->key);
	put_key(counters);
}

static void put_fence_key(struct counters *counters)
{
	buf_add(&counters->out, buf_slice(&counters->fence_key));
}

static void put_transaction_key(struct counters *counters, struct hash128 id)
{
	keys_transaction(&counters->keys, id, &counters->key);
	put_key(counters);
}

/* What the keys of a series begin with, made once. */
static const struct key_head *head_of(struct counters *counters, uint16_t number)
{
	const struct series_set *set = &counters->own->ledger->counters->series;
	const struct series *series = &set->items[number];
	struct key_head *head = &counters->key_heads[number % KEY_HEADS];
	struct counter_key key = {.rule = series_rule(set, number),
		.what = (enum counter_what)series->what,
		.window_ms = series->window_ms};

	if (head->len && head->rule_id == series->rule_id && head->what == key.what &&
		head->window_ms == key.window_ms)
		return head;
	keys_counter_head(&counters->keys, &key, &counters->key);
	*head = (struct key_head){.rule_id = series->rule_id,
		.window_ms = key.window_ms,
		.what = key.what,
		.len = counters->key.len};
	memcpy(head->text, counters->key.data, head->len);
	return head;
}

static void put_counter_key(struct counters *counters, const struct table_entry *entry)
{
	const struct counter_table *table = counters->own->ledger->counters;
	const struct key_head *head = head_of(counters, entry->series);
	char *at = resp_begin_slice(&counters->out, head->len + entry->subject_len);

	if (!at)
		return;
	memcpy(at, head->text, head->len);
	blocks_get(&table->blocks, entry->subject, at + head->len, entry->subject_len);
	resp_end_slice(&counters->out, at + head->len + entry->subject_len);
}

static void put_counter_keys(struct counters *counters, const struct ask *ask)
{
	const struct counter_table *table = counters->own->ledger->counters;

	for (unsigned i = 0; i < ask->counter_count; i++) {
		/* One that left meanwhile has a name that nobody else has. */
		static const struct counter_key gone = {{"gone", 4}, {"", 0}, COUNT_RECIPIENTS, 60};

		if (own_is_alive(counters->own, ask->refs[i].ref)) {
			put_counter_key(counters, &table->entries[ask->refs[i].ref.slot]);
			continue;
		}
		keys_counter(&counters->keys, &gone, &counters->key);
		put_key(counters);
	}
}

/* ---- arguments ---- */

static struct slice fence_of(const struct counters *counters, char memory[static 48])
{
	struct buf out;

	buf_init_fixed(&out, memory, 48);
	buf_add(&out, slice_make(counters->incarnation, INCARNATION_BYTES));
	buf_add_char(&out, '.');
	buf_add_u64(&out, counters->fence);
	return buf_slice(&out);
}

/* Both are the same until we greet Redis anew. */
void command_encode_fence(struct counters *counters)
{
	char memory[48];

	keys_plain(&counters->keys, "n", slice_make(counters->incarnation, INCARNATION_BYTES),
		&counters->key);
	buf_reset(&counters->fence_key);
	resp_slice(&counters->fence_key, buf_slice(&counters->key));
	buf_reset(&counters->fence_value);
	resp_slice(&counters->fence_value, fence_of(counters, memory));
}

/* What every script but hello begins with: FENCE_ARGUMENTS of them. */
static void put_fence(struct counters *counters)
{
	struct buf *out = &counters->out;

	buf_add(out, buf_slice(&counters->fence_value));
	resp_u64(out, store_clock(counters).wall_ms + counters->options.timeout_ms);
	resp_u64(out, counters->options.given_time ? counters->now.wall_ms : 0);
}

static uint64_t bucket_ms_of(const struct counters *counters, struct own_ref ref)
{
	const struct counter_table *table = counters->own->ledger->counters;

	return own_is_alive(counters->own, ref)
		       ? table->series.items[table->entries[ref.slot].series].bucket_ms
		       : 1;
}

/* Where `bytes` may be written, and where the last of them ended. NULL: the command is too long. */
static char *args_begin(struct counters *counters, size_t bytes)
{
	struct buf *args = &counters->args;

	return buf_reserve(args, bytes) ? args->data + args->len : NULL;
}

static void args_end(struct counters *counters, const char *at)
{
	counters->args.len = (size_t)(at - counters->args.data);
}

static char *put_values(struct counters *counters, struct own_ref ref, char *at)
{
	struct own_value values[2 * WINDOW_BUCKETS];
	unsigned count = own_values(counters->own, ref.slot, store_clock(counters).wall_ms, values);

	at = packed_put_u64(at, count);
	for (unsigned i = 0; i < count; i++)
		at = packed_put_i64(packed_put_u64(at, values[i].bucket), values[i].own);
	return at;
}

/* Length of a bucket, owner, and what is asserted. */
static void put_counters(struct counters *counters, struct ask *ask)
{
	for (unsigned i = 0; i < ask->counter_count; i++) {
		struct ask_counter *counter = &ask->refs[i];
		bool asserts = own_is_dirty(counters->own, counter->ref);
		size_t bytes = 3 * PACKED_BYTES + OWNER_BYTES;
		char *at;

		if (asserts)
			bytes += 2 * PACKED_BYTES * (size_t)(2 * WINDOW_BUCKETS);
		at = args_begin(counters, bytes);
		if (!at)
			return;
		counter->asserted = asserts;
		at = packed_put_u64(at, bucket_ms_of(counters, counter->ref));
		at = packed_put_u32(packed_put_name(at, counters->owner), counter->ref.birth);
		at = asserts ? put_values(counters, counter->ref, at) : packed_put_i64(at, -1);
		args_end(counters, at);
	}
}

/* ---- the questions ---- */

static void put_reserve(struct counters *counters, struct ask *ask)
{
	bool remembered = !hash128_is_zero(ask->transaction);
	char *at = args_begin(counters, 7 * PACKED_BYTES);

	if (!at)
		return;
	at = packed_put_u64(at, ask->counter_count);
	at = packed_put_u64(at, ask->charge_count);
	at = packed_put_u64(at, ask->request.asked);
	at = packed_put_i64(at, remembered ? (int64_t)ask->version : -1);
	at = packed_put_u64(at, ask->request.dry);
	at = packed_put_name(at, ask->request.service);
	args_end(counters, packed_put_name(at, ask->request.recipient));
	put_counters(counters, ask);
	at = args_begin(counters, ask->charge_count * (size_t)(6 * PACKED_BYTES));
	for (unsigned i = 0; at && i < ask->charge_count; i++) {
		const struct store_charge *charge = &ask->charges[i];

		at = packed_put_u64(at, ask->counter_of[i] + 1u);
		at = packed_put_u64(at, (uint64_t)charge->key.what);
		at = packed_put_u64(at, charge->limit);
		at = packed_put_u64(at, charge->cost);
		at = packed_put_u64(at, charge->warn_at);
		at = packed_put_u64(at, (charge->gate ? 1u : 0u) + (charge->one_subject ? 2u : 0u));
	}
	if (at)
		args_end(counters, at);
}

static void put_settle(struct counters *counters, struct ask *ask)
{
	enum ledger_settle mode = counters->options.settle;
	char *at = args_begin(counters, 10 * PACKED_BYTES);

	if (!at)
		return;
	at = packed_put_u64(at, ask->counter_count);
	at = packed_put_u64(at, ask->version);
	at = packed_put_u64(at, mode == LEDGER_SETTLE_AUTO && !ask->request.dry);
	at = packed_put_u64(at, ask->recipient_count);
	at = packed_put_u64(at, ask->request.asked);
	at = packed_put_u64(at, ask->size_bytes);
	at = packed_put_u64(at, ask->end_of_message);
	at = packed_put_u64(at, ask->request.dry);
	at = packed_put_name(at, ask->request.service);
	args_end(counters, packed_put_name(at, ask->request.recipient));
	put_counters(counters, ask);
}

static void put_refund(struct counters *counters, struct ask *ask)
{
	static const uint8_t kinds[] = {
		[REFUND_ALWAYS] = 0,
		[REFUND_ABANDONED] = 1,
		[REFUND_IDLE] = 2,
		[REFUND_COUNTED_HERE] = 0,
	};
	static const uint8_t modes[] = {
		[LEDGER_SETTLE_AUTO] = 0,
		[LEDGER_SETTLE_DATA] = 1,
		[LEDGER_SETTLE_NONE] = 2,
	};
	enum ledger_settle mode = counters->options.settle;
	bool seen = mode == LEDGER_SETTLE_AUTO && ask->settles;
	char *at = args_begin(counters, 5 * PACKED_BYTES);

	if (!at)
		return;
	at = packed_put_u64(at, ask->counter_count);
	at = packed_put_u64(at, ask->version);
	at = packed_put_u64(at, kinds[ask->refund]);
	at = packed_put_u64(at, seen ? MODE_SEEN : modes[mode]);
	args_end(counters, packed_put_u64(at, ask->give));
	put_counters(counters, ask);
}

static void put_plain(struct counters *counters, struct ask *ask)
{
	char *at = args_begin(counters, PACKED_BYTES);

	if (!at)
		return;
	args_end(counters, packed_put_u64(at, ask->counter_count));
	put_counters(counters, ask);
}

/* ---- sending ---- */

static bool send_out(struct counters *counters, struct redis_call *call, uint64_t timeout_ms)
{
	if (counters->out.overflow || counters->args.overflow)
		return false;
	return counters->port->send(counters->port, call, buf_slice(&counters->out), timeout_ms);
}

static enum script script_of(enum ask_kind kind)
{
	switch (kind) {
	case ASK_RESERVE:
		return SCRIPT_RESERVE;
	case ASK_SETTLE:
		return SCRIPT_SETTLE;
	case ASK_REFUND:
		return SCRIPT_REFUND;
	case ASK_LOOK:
		return SCRIPT_LOOK;
	case ASK_RESET:
		return SCRIPT_RESET;
	case ASK_ASSERT:
	case ASK_DROP:
		break;
	}
	return SCRIPT_ASSERT;
}

/* Keys of the kind, beside the fence and the counters. */
static unsigned own_keys_of(enum ask_kind kind)
{
	if (kind == ASK_RESERVE)
		return 1;
	return kind == ASK_SETTLE || kind == ASK_REFUND ? 2 : 0;
}

static void write_ask(struct counters *counters, struct ask *ask)
{
	unsigned own_keys = own_keys_of(ask->kind);

	begin_script(counters, script_of(ask->kind), ask->as_text,
		1 + own_keys + ask->counter_count, FENCE_ARGUMENTS + 1);
	put_fence_key(counters);
	if (own_keys && ask->kind == ASK_RESERVE && hash128_is_zero(ask->transaction))
		put_fence_key(counters);
	else if (own_keys)
		put_transaction_key(counters, ask->transaction);
	if (own_keys == 2)
		put_plain_key(counters, "s", SLICE_EMPTY);
	put_counter_keys(counters, ask);
	put_fence(counters);
	if (ask->kind == ASK_RESERVE)
		put_reserve(counters, ask);
	else if (ask->kind == ASK_SETTLE)
		put_settle(counters, ask);
	else if (ask->kind == ASK_REFUND)
		put_refund(counters, ask);
	else
		put_plain(counters, ask);
	resp_slice(&counters->out, buf_slice(&counters->args));
}

static bool send_drop(struct counters *counters, struct ask *ask, uint64_t timeout_ms)
{
	begin(counters);
	resp_command(&counters->out, 1u + ask->drop_count);
	resp_slice(&counters->out, SLICE("UNLINK"));
	for (unsigned i = 0; i < ask->drop_count; i++) {
		keys_transaction(&counters->keys, ask->drops[i], &counters->key);
		resp_slice(&counters->out, buf_slice(&counters->key));
	}
	return counters->port->send(
		counters->port, &ask->call, buf_slice(&counters->out), timeout_ms);
}

bool command_send(struct counters *counters, struct ask *ask, uint64_t timeout_ms)
{
	if (ask->kind == ASK_DROP)
		return send_drop(counters, ask, timeout_ms);
	write_ask(counters, ask);
	if (!send_out(counters, &ask->call, timeout_ms)) {
		for (unsigned i = 0; i < ask->counter_count; i++)
			ask->refs[i].asserted = false;
		return false;
	}
	ask->sent = true;
	ask->tries++;
	for (unsigned i = 0; i < ask->counter_count; i++) {
		own_sent(counters->own, ask->refs[i].ref);
		if (ask->refs[i].asserted)
			own_unmark(counters->own, ask->refs[i].ref);
	}
	return true;
}

bool command_load(struct counters *counters, enum script script)
{
	begin(counters);
	resp_command(&counters->out, 3);
	resp_slice(&counters->out, SLICE("SCRIPT"));
	resp_slice(&counters->out, SLICE("LOAD"));
	resp_slice(&counters->out, scripts_text(counters->scripts, script));
	return counters->port->send(counters->port, &counters->loads[script].call,
		buf_slice(&counters->out), counters->options.timeout_ms);
}

bool command_greet(struct counters *counters, bool beat, bool as_text)
{
	struct buf *out = &counters->out;
	struct slice incarnation = slice_make(counters->incarnation, INCARNATION_BYTES);

	begin_script(counters, SCRIPT_HELLO, as_text, 4, 8);
	put_fence_key(counters);
	put_plain_key(counters, "node", counters->options.node);
	put_plain_key(counters, "nodes", SLICE_EMPTY);
	put_plain_key(counters, "s", SLICE_EMPTY);
	buf_add(out, buf_slice(&counters->fence_value));
	resp_slice(out, beat ? SLICE("beat") : SLICE("hello"));
	resp_u64(out, counters->options.given_time ? counters->now.wall_ms : 0);
	resp_slice(out, incarnation);
	resp_slice(out, counters->options.node);
	resp_u64(out, FENCE_MS);
	resp_u64(out, LEASE_MS);
	keys_plain(&counters->keys, "hint", SLICE_EMPTY, &counters->key);
	resp_slice(out, buf_slice(&counters->key));
	return send_out(counters, &counters->greeting, counters->options.timeout_ms);
}

bool command_seek(struct counters *counters, struct slice cursor)
{
	begin_script(counters, SCRIPT_SEEK, false, 2, FENCE_ARGUMENTS + 1);
	put_fence_key(counters);
	put_plain_key(counters, "x", SLICE_EMPTY);
	put_fence(counters);
	resp_slice(&counters->out, cursor);
	return send_out(counters, &counters->seek, counters->options.timeout_ms);
}

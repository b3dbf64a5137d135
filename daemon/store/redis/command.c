/* SPDX-License-Identifier: ISC */
/*
 * A question becomes one command. What the scripts take stands at their heads. Counters in doubt
 * take their assertion along; it counts as made, unless the answer says otherwise.
 */
#include "daemon/store/redis/counters_parts.h"
#include "daemon/store/redis/resp.h"

#define FENCE_MS 60000
#define LEASE_MS 5000

/* ---- arguments, counted as they are written ---- */

struct writer {
	struct counters *counters;
	unsigned keys, args;
};

static void put_u64(struct writer *writer, uint64_t value)
{
	resp_u64(&writer->counters->args, value < MAX_NUMBER ? value : MAX_NUMBER);
	writer->args++;
}

static void put_i64(struct writer *writer, int64_t value)
{
	resp_i64(&writer->counters->args, value);
	writer->args++;
}

static void put(struct writer *writer, struct slice text)
{
	resp_slice(&writer->counters->args, text);
	writer->args++;
}

/* 16 hexadecimal digits; 0 is "0". */
static void put_hash(struct writer *writer, uint64_t hash)
{
	char digits[16];

	for (int i = 0; i < 16; i++)
		digits[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
	put(writer, hash ? slice_make(digits, sizeof(digits)) : SLICE("0"));
}

static void put_key(struct writer *writer)
{
	resp_slice(&writer->counters->command, buf_slice(&writer->counters->key));
	writer->keys++;
}

static void put_fence_key(struct writer *writer)
{
	struct counters *counters = writer->counters;

	keys_plain(&counters->keys, "n", slice_make(counters->incarnation, INCARNATION_BYTES),
		&counters->key);
	put_key(writer);
}

static void put_plain_key(struct writer *writer, const char *kind, struct slice name)
{
	keys_plain(&writer->counters->keys, kind, name, &writer->counters->key);
	put_key(writer);
}

static void put_transaction_key(struct writer *writer, struct hash128 id)
{
	keys_transaction(&writer->counters->keys, id, &writer->counters->key);
	put_key(writer);
}

static void put_counter_keys(struct writer *writer, const struct ask *ask)
{
	struct counters *counters = writer->counters;
	char memory[COUNTER_SUBJECT_BYTES];

	for (unsigned i = 0; i < ask->counter_count; i++) {
		struct counter_key key = {SLICE_EMPTY, SLICE_EMPTY, COUNT_RECIPIENTS, 60};

		/* One that left meanwhile has a name that nobody else has. */
		if (!own_is_alive(counters->own, ask->refs[i].ref) ||
			!table_key(counters->own->ledger->counters, ask->refs[i].ref.slot, memory,
				&key))
			key.rule = SLICE("gone");
		keys_counter(&counters->keys, &key, &counters->key);
		put_key(writer);
	}
}

static struct slice fence_of(const struct counters *counters, char memory[static 48])
{
	struct buf out;

	buf_init_fixed(&out, memory, 48);
	buf_add(&out, slice_make(counters->incarnation, INCARNATION_BYTES));
	buf_add_char(&out, '.');
	buf_add_u64(&out, counters->fence);
	return buf_slice(&out);
}

/* What every script but hello begins with. */
static void put_head(struct writer *writer)
{
	struct counters *counters = writer->counters;
	char memory[48];

	put(writer, fence_of(counters, memory));
	put_u64(writer, store_clock(counters).wall_ms + counters->options.timeout_ms);
	put_u64(writer, counters->options.given_time ? counters->now.wall_ms : 0);
	put(writer, slice_make(counters->incarnation, INCARNATION_BYTES));
}

static uint64_t bucket_ms_of(const struct counters *counters, struct own_ref ref)
{
	const struct counter_table *table = counters->own->ledger->counters;

	return own_is_alive(counters->own, ref)
		       ? table->series.items[table->entries[ref.slot].series].bucket_ms
		       : 1;
}

/* Length of a bucket, birth, and what is asserted. */
static void put_counters(struct writer *writer, struct ask *ask)
{
	struct counters *counters = writer->counters;
	struct own_value values[2 * WINDOW_BUCKETS];
	uint64_t wall_ms = store_clock(counters).wall_ms;

	for (unsigned i = 0; i < ask->counter_count; i++) {
		struct ask_counter *counter = &ask->refs[i];
		unsigned count;

		put_u64(writer, bucket_ms_of(counters, counter->ref));
		put_u64(writer, counter->ref.birth);
		counter->asserted = own_is_dirty(counters->own, counter->ref);
		if (!counter->asserted) {
			put_i64(writer, -1);
			continue;
		}
		count = own_values(counters->own, counter->ref.slot, wall_ms, values);
		put_u64(writer, count);
		for (unsigned k = 0; k < count; k++) {
			put_u64(writer, values[k].bucket);
			put_i64(writer, values[k].own);
		}
	}
}

/* ---- the questions ---- */

static void put_reserve(struct writer *writer, struct ask *ask)
{
	bool remembered = !hash128_is_zero(ask->transaction);

	if (remembered)
		put_transaction_key(writer, ask->transaction);
	else
		put_fence_key(writer);
	put_counter_keys(writer, ask);
	put_u64(writer, ask->counter_count);
	put_u64(writer, ask->charge_count);
	put_hash(writer, ask->request.service);
	put_hash(writer, ask->request.recipient);
	put_u64(writer, ask->request.asked);
	put_i64(writer, remembered ? (int64_t)ask->version : -1);
	put_u64(writer, ask->request.dry);
	put_counters(writer, ask);
	for (unsigned i = 0; i < ask->charge_count; i++) {
		const struct store_charge *charge = &ask->charges[i];

		put_u64(writer, ask->counter_of[i] + 1u);
		put_u64(writer, (uint64_t)charge->key.what);
		put_u64(writer, charge->limit);
		put_u64(writer, charge->cost);
		put_u64(writer, charge->warn_at);
		put_u64(writer, (charge->gate ? 1u : 0u) + (charge->one_subject ? 2u : 0u));
	}
}

static void put_settle(struct writer *writer, struct ask *ask)
{
	enum ledger_settle mode = writer->counters->options.settle;

	put_transaction_key(writer, ask->transaction);
	put_plain_key(writer, "s", SLICE_EMPTY);
	put_counter_keys(writer, ask);
	put_u64(writer, ask->counter_count);
	put_u64(writer, ask->version);
	put_hash(writer, ask->request.service);
	put_u64(writer, mode == LEDGER_SETTLE_AUTO);
	put_u64(writer, ask->recipient_count);
	put_u64(writer, ask->request.asked);
	put_hash(writer, ask->request.recipient);
	put_u64(writer, ask->size_bytes);
	put_u64(writer, ask->end_of_message);
	put_u64(writer, ask->request.dry);
	put_counters(writer, ask);
}

static void put_refund(struct writer *writer, struct ask *ask)
{
	static const char *const kinds[] = {
		[REFUND_ALWAYS] = "refund",
		[REFUND_ABANDONED] = "abandon",
		[REFUND_IDLE] = "idle",
	};
	static const char *const modes[] = {
		[LEDGER_SETTLE_AUTO] = "auto",
		[LEDGER_SETTLE_DATA] = "data",
		[LEDGER_SETTLE_NONE] = "none",
	};

	put_transaction_key(writer, ask->transaction);
	put_plain_key(writer, "s", SLICE_EMPTY);
	put_counter_keys(writer, ask);
	put_u64(writer, ask->counter_count);
	put_u64(writer, ask->version);
	put(writer, slice_of(kinds[ask->refund]));
	put(writer, slice_of(modes[writer->counters->options.settle]));
	put_counters(writer, ask);
}

static void put_plain(struct writer *writer, struct ask *ask)
{
	put_counter_keys(writer, ask);
	put_u64(writer, ask->counter_count);
	put_counters(writer, ask);
}

/* ---- sending ---- */

/* "EVALSHA sha keys", or the script's text, before what writer has gathered. */
static struct slice whole(
	const struct writer *writer, enum script script, bool as_text, struct buf *out)
{
	struct counters *counters = writer->counters;
	bool by_name = !as_text && counters->has_sha[script];

	resp_command(out, 3u + writer->keys + writer->args);
	resp_slice(out, by_name ? SLICE("EVALSHA") : SLICE("EVAL"));
	resp_slice(out, by_name ? slice_make(counters->sha[script], sizeof(counters->sha[script]))
				: scripts_text(counters->scripts, script));
	resp_u64(out, writer->keys);
	buf_add(out, buf_slice(&counters->command));
	buf_add(out, buf_slice(&counters->args));
	return out->overflow ? SLICE_EMPTY : buf_slice(out);
}

static bool send_script(struct writer *writer, enum script script, bool as_text,
	struct redis_call *call, uint64_t timeout_ms)
{
	struct counters *counters = writer->counters;
	struct slice text = whole(writer, script, as_text, &counters->out);

	if (counters->command.overflow || counters->args.overflow || !text.len)
		return false;
	return counters->port->send(counters->port, call, text, timeout_ms);
}

static struct writer begin(struct counters *counters)
{
	buf_reset(&counters->command);
	buf_reset(&counters->args);
	buf_reset(&counters->out);
	return (struct writer){counters, 0, 0};
}

static enum script write_ask(struct writer *writer, struct ask *ask)
{
	put_fence_key(writer);
	put_head(writer);
	switch (ask->kind) {
	case ASK_RESERVE:
		put_reserve(writer, ask);
		return SCRIPT_RESERVE;
	case ASK_SETTLE:
		put_settle(writer, ask);
		return SCRIPT_SETTLE;
	case ASK_REFUND:
		put_refund(writer, ask);
		return SCRIPT_REFUND;
	case ASK_LOOK:
		put_plain(writer, ask);
		return SCRIPT_LOOK;
	case ASK_RESET:
		put_plain(writer, ask);
		return SCRIPT_RESET;
	case ASK_ASSERT:
	case ASK_DROP:
		break;
	}
	put_plain(writer, ask);
	return SCRIPT_ASSERT;
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
	struct writer writer = begin(counters);
	enum script script;

	if (ask->kind == ASK_DROP)
		return send_drop(counters, ask, timeout_ms);
	script = write_ask(&writer, ask);
	if (!send_script(&writer, script, ask->as_text, &ask->call, timeout_ms)) {
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
	struct writer writer = begin(counters);
	char memory[48];

	put_fence_key(&writer);
	put_plain_key(&writer, "node", counters->options.node);
	put_plain_key(&writer, "nodes", SLICE_EMPTY);
	put_plain_key(&writer, "s", SLICE_EMPTY);
	put(&writer, fence_of(counters, memory));
	put(&writer, beat ? SLICE("beat") : SLICE("hello"));
	put_u64(&writer, counters->options.given_time ? counters->now.wall_ms : 0);
	put(&writer, slice_make(counters->incarnation, INCARNATION_BYTES));
	put(&writer, counters->options.node);
	put_u64(&writer, FENCE_MS);
	put_u64(&writer, LEASE_MS);
	return send_script(
		&writer, SCRIPT_HELLO, as_text, &counters->greeting, counters->options.timeout_ms);
}

bool command_seek(struct counters *counters, struct slice cursor)
{
	struct writer writer = begin(counters);

	put_fence_key(&writer);
	put_plain_key(&writer, "x", SLICE_EMPTY);
	put_head(&writer);
	put(&writer, cursor);
	return send_script(&writer, SCRIPT_SEEK, !counters->has_sha[SCRIPT_SEEK], &counters->seek,
		counters->options.timeout_ms);
}

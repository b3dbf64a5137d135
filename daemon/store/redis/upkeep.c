/* SPDX-License-Identifier: ISC */
/*
 * What goes on by itself: greeting Redis at each connection and whenever it has forgotten us, the
 * heartbeat, asserting what is in doubt (fullest counters first), transactions whose time has come,
 * and those that Redis is to forget.
 */
#include "common/alloc.h"
#include "daemon/store/redis/counters_parts.h"
#include "daemon/store/redis/packed.h"

#define GREET_AGAIN_MS 250
#define BEAT_MS 1000
#define ALIVE_MS 1000 /* a lease that has grown by so much was renewed */
#define SWEEP_TXNS 4096
#define SWEEP_ASKS 256

/* ---- greeting ---- */

static void loaded(struct redis_call *call, const struct redis_reply *reply)
{
	struct script_load *load = LIST_ENTRY(call, struct script_load, call);
	struct counters *counters = load->counters;
	struct slice sha = redis_reply_text(reply);

	if (redis_reply_type(reply) != REDIS_TYPE_STRING || sha.len != sizeof(counters->sha[0]))
		return;
	memcpy(counters->sha[load->script], sha.data, sha.len);
	counters->has_sha[load->script] = true;
}

static void load_scripts(struct counters *counters)
{
	for (int i = 0; i < SCRIPTS; i++)
		if (!redis_call_is_out(&counters->loads[i].call))
			(void)!command_load(counters, (enum script)i);
}

static void send_greeting(struct counters *counters)
{
	counters->greet_at_mono_ms = counters->now.mono_ms + GREET_AGAIN_MS;
	if (counters->greets || counters->beats)
		return; /* its answer brings us here again */
	counters->fence++;
	command_encode_fence(counters);
	counters->greets = command_greet(counters, false, counters->greeting_as_text);
}

/* Redis does not know us (any more). */
void greet(struct counters *counters)
{
	if (counters->state != COUNTERS_READY)
		return;
	counters->state = COUNTERS_GREETING;
	send_greeting(counters);
}

static void note_services(struct counters *counters, const struct redis_reply *reply)
{
	for (size_t i = 5; i + 1 < redis_reply_count(reply); i += 2) {
		struct slice name = redis_reply_text(redis_reply_item(reply, i));
		struct slice facts = redis_reply_text(redis_reply_item(reply, i + 1));
		int64_t settled_ms, in_a_row;

		if (name.len != PACKED_BYTES || facts.len != (size_t)2 * PACKED_BYTES)
			continue;
		settled_ms = packed_get(facts.data);
		in_a_row = packed_get(facts.data + PACKED_BYTES);
		if (settled_ms > 0 && in_a_row >= 0 && in_a_row < SERVICES_DOUBT)
			services_settled(&counters->own->ledger->services,
				packed_get_name(name.data), (uint64_t)settled_ms);
	}
}

/* Whoever has our name is alive if it renews its lease; a process that ended does not. */
static void note_holder(struct counters *counters, const struct redis_reply *reply)
{
	struct slice holder = redis_reply_text(redis_reply_item(reply, 3));
	int64_t left_ms = redis_reply_integer(redis_reply_item(reply, 4));
	uint64_t until_ms = counters->now.mono_ms + (uint64_t)left_ms;
	bool same;

	if (holder.len != INCARNATION_BYTES || left_ms <= 0) { /* it is ours, or no lease */
		counters->held_until_mono_ms = 0;
		return;
	}
	same = memcmp(counters->holder, holder.data, INCARNATION_BYTES) == 0;
	if (counters->held_until_mono_ms && same &&
		until_ms > counters->held_until_mono_ms + ALIVE_MS) {
		if (counters->options.events && counters->options.events->name_taken)
			counters->options.events->name_taken(counters->options.arg);
		return;
	}
	if (!counters->held_until_mono_ms || !same)
		counters->held_until_mono_ms = until_ms;
	memcpy(counters->holder, holder.data, INCARNATION_BYTES);
}

static void note_greeting(struct counters *counters, const struct redis_reply *reply)
{
	uint64_t nodes, time_ms;

	if (redis_reply_u64(redis_reply_item(reply, 1), &time_ms))
		note_time(counters, time_ms, false);
	if (!counters->options.nodes && redis_reply_u64(redis_reply_item(reply, 2), &nodes) &&
		nodes >= 1)
		counters->nodes = nodes;
	note_holder(counters, reply);
	note_services(counters, reply);
}

static void is_ready(struct counters *counters)
{
	counters->state = COUNTERS_READY;
	counters->greet_at_mono_ms = 0;
	counters->health.greetings++;
	own_mark_all(counters->own);
	counters->in_doubt = true;
	counters->assert_slot = 0;
	counters->assert_level = 0;
	counters->assert_at_mono_ms = 0;
	foreign_ready(counters);
	seek_begin(counters);
	counters_go_on(counters);
}

/* Nobody waits for it; it is asked again a little later. */
static void is_refused(struct counters *counters)
{
	counters->state = COUNTERS_REFUSED;
	counters_go_on(counters);
}

static void beat_answered(struct counters *counters, const struct redis_reply *reply)
{
	struct slice word = redis_reply_text(redis_reply_item(reply, 0));

	if (slice_is(word, "OK"))
		note_greeting(counters, reply);
	else if (slice_is(word, "STALE"))
		greet(counters);
}

static void greeted(struct redis_call *call, const struct redis_reply *reply)
{
	struct counters *counters = LIST_ENTRY(call, struct counters, greeting);
	bool beat = counters->beats, by_name = !counters->greeting_as_text;

	counters->now = counters->port->now(counters->port);
	counters->greets = counters->beats = false;
	counters->greeting_as_text = redis_reply_error(reply) == REDIS_ERROR_NOSCRIPT;
	if (counters->greeting_as_text && by_name)
		load_scripts(counters);
	if (counters->state == COUNTERS_AWAY || !reply)
		return;
	if (beat && counters->state == COUNTERS_READY) {
		beat_answered(counters, reply);
	} else if (!beat && slice_is(redis_reply_text(redis_reply_item(reply, 0)), "OK")) {
		note_greeting(counters, reply);
		is_ready(counters);
	} else if (beat || (counters->greeting_as_text && by_name)) {
		send_greeting(counters);
	} else {
		is_refused(counters);
	}
}

static void greeting_overdue(struct redis_call *call)
{
	struct counters *counters = LIST_ENTRY(call, struct counters, greeting);

	counters->now = counters->port->now(counters->port);
	if (counters->state == COUNTERS_GREETING)
		is_refused(counters);
}

void upkeep_init(struct counters *counters)
{
	counters->greeting.answered = greeted;
	counters->greeting.overdue = greeting_overdue;
	counters->greeting.writes = true;
	seek_init(counters);
	for (int i = 0; i < SCRIPTS; i++) {
		counters->loads[i].call.answered = loaded;
		counters->loads[i].counters = counters;
		counters->loads[i].script = (enum script)i;
	}
}

void counters_up(struct counters *counters)
{
	counters->now = counters->port->now(counters->port);
	counters->state = COUNTERS_GREETING;
	if (!counters->began_mono_ms)
		counters->began_mono_ms = counters->now.mono_ms;
	counters->greets = counters->beats = false;
	load_scripts(counters);
	send_greeting(counters);
}

void counters_down(struct counters *counters)
{
	counters->now = counters->port->now(counters->port);
	counters->state = COUNTERS_AWAY;
	counters->greet_at_mono_ms = 0;
	counters_go_on(counters);
}

/* ---- what is in doubt ---- */

/* The part of its limit that a counter has used, in steps: 0 is fullest. The others have used as
 * much of it, for all we know. */
static unsigned level_of(const struct table_entry *entry, uint64_t nodes)
{
	uint64_t half = entry->limit / 2 / nodes;

	if (entry->limit == 0 || entry->total > half)
		return 0;
	return entry->total > half / 10 ? 1 : 2;
}

/* Gathers counters in doubt that no other command is about; false: no more at this level. */
static bool gather(struct counters *counters, struct ask *ask, bool *ret_skipped)
{
	struct counter_table *table = counters->own->ledger->counters;

	while (ask->counter_count < ASSERTED_A_COMMAND) {
		uint32_t slot = marks_next(table->dirty, counters->assert_slot, table->high);
		struct own_ref ref;

		if (slot == MARKS_NONE)
			return false;
		counters->assert_slot = slot + 1;
		ref = (struct own_ref){slot, table->entries[slot].birth};
		if (!ref.birth) {
			table_unmark(table, slot);
			continue;
		}
		if (level_of(&table->entries[slot], counters->nodes) > counters->assert_level)
			continue;
		if (own_in_flight(counters->own, ref) || is_bad_key(counters, ref))
			*ret_skipped = *ret_skipped || own_in_flight(counters->own, ref);
		else
			ask_add(ask, ref);
	}
	return true;
}

static void assert_some(struct counters *counters)
{
	struct ask *ask = ask_new(counters, ASK_ASSERT, NULL, ASSERTED_A_COMMAND, 0);
	bool skipped = false;

	while (!gather(counters, ask, &skipped)) {
		counters->assert_slot = 0;
		if (counters->assert_level == 2)
			break;
		counters->assert_level++;
	}
	if (ask->counter_count == 0) {
		ask_free(&ask);
		counters->in_doubt = skipped || counters->asserts_out > 0;
		return;
	}
	counters->asserts_out++;
	if (!command_send(counters, ask, counters->options.timeout_ms)) {
		counters->asserts_out--;
		ask_free(&ask);
		counters->assert_at_mono_ms = counters->now.mono_ms + ASSERT_AGAIN_MS;
	}
}

static bool may_assert(const struct counters *counters)
{
	return counters->state == COUNTERS_READY && counters->in_doubt &&
	       counters->asserts_out < ASSERTS_OUT &&
	       counters->now.mono_ms >= counters->assert_at_mono_ms;
}

/* ---- what Redis is to forget ---- */

void drop_later(struct counters *counters, struct hash128 transaction)
{
	if (hash128_is_zero(transaction) || counters->drop_count >= MAX_DROPS)
		return; /* it forgets by itself after a quarter of an hour */
	if (counters->drop_count == counters->drop_room) {
		counters->drop_room = counters->drop_room ? counters->drop_room * 2 : 64;
		counters->drops =
			mem_grow(counters->drops, counters->drop_room * sizeof(*counters->drops));
	}
	counters->drops[counters->drop_count++] = transaction;
}

static void send_drops(struct counters *counters)
{
	unsigned count =
		counters->drop_count < DROPS_A_COMMAND ? counters->drop_count : DROPS_A_COMMAND;
	struct ask *ask;

	if (!count || counters->drop_out || counters->state != COUNTERS_READY)
		return;
	ask = ask_new(counters, ASK_DROP, NULL, 0, 0);
	ask->drops = mem_alloc(count * sizeof(*ask->drops));
	ask->drop_count = count;
	counters->drop_count -= count;
	memcpy(ask->drops, &counters->drops[counters->drop_count], count * sizeof(*ask->drops));
	counters->drop_out = command_send(counters, ask, counters->options.timeout_ms);
	if (counters->drop_out)
		return;
	counters->drop_count += count;
	ask_free(&ask);
}

void drop_answered(struct counters *counters, struct ask *ask, const struct redis_reply *reply)
{
	counters->drop_out = false;
	for (unsigned i = 0; !reply && i < ask->drop_count; i++)
		drop_later(counters, ask->drops[i]);
	ask_free(&ask);
}

/* ---- keys that hold what is not ours ---- */

bool is_bad_key(struct counters *counters, struct own_ref ref)
{
	for (unsigned i = 0; i < counters->bad_key_count; i++) {
		struct bad_key *bad = &counters->bad_keys[i];

		if (bad->ref.slot == ref.slot && bad->ref.birth == ref.birth &&
			counters->now.mono_ms < bad->until_mono_ms)
			return true;
	}
	return false;
}

static struct bad_key *bad_key_room(struct counters *counters)
{
	struct bad_key *first = &counters->bad_keys[0];

	if (counters->bad_key_count < MAX_BAD_KEYS)
		return &counters->bad_keys[counters->bad_key_count++];
	for (unsigned i = 1; i < MAX_BAD_KEYS; i++)
		if (counters->bad_keys[i].until_mono_ms < first->until_mono_ms)
			first = &counters->bad_keys[i];
	return first;
}

void note_bad_key(struct counters *counters, struct own_ref ref)
{
	char memory[COUNTER_SUBJECT_BYTES];
	struct counter_key key;

	if (is_bad_key(counters, ref) ||
		!table_key(counters->own->ledger->counters, ref.slot, memory, &key))
		return;
	*bad_key_room(counters) = (struct bad_key){ref, counters->now.mono_ms + key.window_ms};
	counters->health.bad_keys++;
	keys_counter(&counters->keys, &key, &counters->key);
	if (counters->options.events && counters->options.events->bad_key)
		counters->options.events->bad_key(counters->options.arg, buf_slice(&counters->key));
}

/* ---- transactions whose time has come ---- */

/* Unused for ten minutes: over. Where Redis has it, it knows whether another node used it since. */
static void end_idle(struct counters *counters, struct txn *txn)
{
	struct hash128 id = txn->id;
	const struct ledger *ledger = counters->own->ledger;

	if (txn->settled || !txn->groups ||
		!services_settles(&ledger->services, txn->service, store_clock(counters).wall_ms))
		return;
	if (txn->local)
		alone_refund(counters, id, REFUND_IDLE);
	else
		foreign_end(counters, id, REFUND_IDLE);
}

/* Once more before it is forgotten: its service may have become known since. */
static void sweep_old(struct counters *counters, enum txn_age age, int64_t keep_ms)
{
	struct txn_table *txns = counters->own->ledger->txns;
	struct txn *txn;

	for (unsigned budget = SWEEP_ASKS; budget && (txn = txn_oldest(txns, age)) != NULL &&
					   (int64_t)counters->now.mono_ms - txn->used_ms >= keep_ms;
		budget--) {
		end_idle(counters, txn);
		txn_remove(txns, txn);
	}
}

static void sweep_txns(struct counters *counters)
{
	struct txn_table *txns = counters->own->ledger->txns;
	int64_t now_ms = (int64_t)counters->now.mono_ms;
	unsigned budget = SWEEP_TXNS, asks = 0;
	struct txn *txn;

	while (budget-- && asks < SWEEP_ASKS && (txn = txn_oldest(txns, TXN_ACTIVE)) != NULL &&
		now_ms - txn->used_ms >= TXN_UNSETTLED_MS) {
		asks += !txn->settled && txn->groups;
		end_idle(counters, txn);
		txn_set_age(txns, txn, TXN_UNSETTLED);
	}
	sweep_old(counters, TXN_UNSETTLED, TXN_IDLE_MS);
	sweep_old(counters, TXN_ENDED, TXN_ENDED_MS);
}

/* ---- turns ---- */

static bool is_greeting(const struct counters *counters)
{
	return counters->state == COUNTERS_GREETING || counters->state == COUNTERS_REFUSED;
}

void upkeep_run(struct counters *counters)
{
	if (counters->greet_at_mono_ms && is_greeting(counters) &&
		counters->now.mono_ms >= counters->greet_at_mono_ms)
		send_greeting(counters);
	while (may_assert(counters)) {
		unsigned out = counters->asserts_out;

		assert_some(counters);
		if (counters->asserts_out == out)
			break;
	}
	send_drops(counters);
	foreign_run(counters);
	seek_run(counters);
}

uint64_t upkeep_next(const struct counters *counters)
{
	uint64_t next = UINT64_MAX;

	if (is_greeting(counters) && counters->greet_at_mono_ms && !counters->greets)
		next = counters->greet_at_mono_ms;
	/* What is in doubt and may not be asserted yet for other reasons waits for an answer. */
	if (counters->state == COUNTERS_READY && counters->in_doubt &&
		counters->assert_at_mono_ms > counters->now.mono_ms &&
		counters->assert_at_mono_ms < next && counters->asserts_out < ASSERTS_OUT)
		next = counters->assert_at_mono_ms;
	if (foreign_next(counters) < next)
		next = foreign_next(counters);
	return seek_next(counters) < next ? seek_next(counters) : next;
}

static void beat(struct counters *counters)
{
	if (counters->state != COUNTERS_READY || counters->greets || counters->beats)
		return;
	counters->beat_at_mono_ms = counters->now.mono_ms + BEAT_MS - 100;
	counters->beats = command_greet(counters, true, counters->greeting_as_text);
}

/* Redis began anew, as another node found out: a beat shows whether it has forgotten us, too. */
void counters_hint(struct counters *counters, struct slice payload)
{
	if (!slice_is(payload, "n"))
		return;
	counters->now = counters->port->now(counters->port);
	beat(counters);
}

void upkeep_tick(struct counters *counters)
{
	if (counters->now.mono_ms >= counters->beat_at_mono_ms)
		beat(counters);
	sweep_txns(counters);
	own_sweep(counters->own, store_clock(counters).wall_ms);
}

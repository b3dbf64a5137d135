/* SPDX-License-Identifier: ISC */
/*
 * Reserving: first all items are looked up, rolled and checked, and nothing is changed; if no
 * gate refuses, all are charged and remembered. Counters that were found are protected in
 * between, so that making a new one cannot push them out. A window is unpacked only where
 * something has left it, where a wait must be told, or where its newest bucket cannot take the
 * charge as it is.
 */
#include "daemon/counting/ledger.h"

/* ---- has it been charged before? ---- */

static bool recipient_charged(struct txn *txn, uint64_t rule_id, uint64_t recipient)
{
	const struct txn_group *groups = txn_groups(txn);
	const struct txn_member *members = txn_members(txn);

	for (unsigned i = 0; i < txn->members; i++) {
		const struct txn_group *group = &groups[members[i].group];

		if (members[i].recipient == recipient && !members[i].refunded &&
			group->rule_id == rule_id && group->what == COUNT_RECIPIENTS)
			return true;
	}
	return false;
}

static bool rule_charged(struct txn *txn, uint64_t rule_id)
{
	const struct txn_group *groups = txn_groups(txn);

	for (unsigned i = 0; i < txn->groups; i++)
		if (groups[i].rule_id == rule_id && groups[i].charged &&
			groups[i].what == COUNT_RECIPIENTS)
			return true;
	return false;
}

/* TXN_NONE: no group for this counter. */
static inline uint32_t find_group(struct txn *txn, uint32_t slot, uint32_t birth)
{
	const struct txn_group *groups = txn_groups(txn);
	unsigned count = txn->groups;

	for (unsigned i = 0; i < count; i++)
		if (groups[i].slot == slot && groups[i].birth == birth)
			return i;
	return TXN_NONE;
}

static uint32_t group_of_slot(const struct ledger *ledger, struct txn *txn, uint32_t slot)
{
	return slot == TABLE_NONE ? TXN_NONE
				  : find_group(txn, slot, ledger->counters->entries[slot].birth);
}

static bool charged_before(const struct ledger *ledger, struct txn *txn,
	const struct ledger_request *request, const struct store_charge *charge, unsigned index)
{
	uint64_t rule_id = ledger->items[index].hash.rule_id;
	uint32_t group;

	if (charge->key.what == COUNT_RECIPIENTS)
		return request->recipient ? recipient_charged(txn, rule_id, request->recipient)
					  : rule_charged(txn, rule_id);
	group = group_of_slot(ledger, txn, ledger->slots[index]);
	return group != TXN_NONE && txn_groups(txn)[group].charged;
}

/* ---- looking ---- */

static bool same_slice(struct slice a, struct slice b)
{
	return a.len == b.len && (a.data == b.data || slice_equal(a, b));
}

/* An earlier item with the same counter, which can only be one of the same rule. */
static uint32_t find_same(
	const struct ledger *ledger, const struct store_charge *charges, unsigned index)
{
	const struct counter_key *key = &charges[index].key;

	for (unsigned i = index; i-- > 0;) {
		if (ledger->items[i].hash.rule_id != ledger->items[index].hash.rule_id)
			break;
		if (charges[i].key.window_ms == key->window_ms &&
			charges[i].key.what == key->what &&
			same_slice(charges[i].key.subject, key->subject))
			return i;
	}
	return TABLE_NONE;
}

/* What rule and subject hash to; items beside each other mostly share them. */
static void hash_item(struct ledger *ledger, const struct store_charge *charges, unsigned index)
{
	struct table_hash *hash = &ledger->items[index].hash;
	const struct table_hash *last = &ledger->items[index ? index - 1 : 0].hash;

	hash->rule_id = index && same_slice(charges[index].key.rule, charges[index - 1].key.rule)
				? last->rule_id
				: series_rule_id(charges[index].key.rule);
	hash->subject =
		index && same_slice(charges[index].key.subject, charges[index - 1].key.subject)
			? last->subject
			: hash64(&ledger->counters->key, charges[index].key.subject);
}

/* The window itself, of a counter that may not be there yet. */
static struct window *load_item(
	struct ledger *ledger, const struct store_charge *charge, unsigned index, uint64_t wall_ms)
{
	struct ledger_item *item = &ledger->items[index];
	struct window *window = &ledger->windows[index];

	if (item->loaded)
		return window;
	item->loaded = true;
	if (ledger->slots[index] != TABLE_NONE) {
		table_load(ledger->counters, ledger->slots[index], wall_ms, window);
	} else {
		window_init(window, charge->key.window_ms);
		window_roll(window, wall_ms);
	}
	return window;
}

static void find_item(
	struct ledger *ledger, const struct store_charge *charges, unsigned index, uint64_t wall_ms)
{
	struct ledger_item *item = &ledger->items[index];
	uint32_t slot;

	hash_item(ledger, charges, index);
	item->loaded = false;
	item->same_as = find_same(ledger, charges, index);
	if (item->same_as != TABLE_NONE) {
		item->used = ledger->items[item->same_as].used;
		ledger->slots[index] = ledger->slots[item->same_as];
		return;
	}
	slot = ledger->slots[index] = table_find(ledger->counters, &charges[index].key, item->hash);
	item->used = 0;
	if (slot != TABLE_NONE && !table_used(ledger->counters, slot, wall_ms, &item->used))
		item->used = load_item(ledger, &charges[index], index, wall_ms)->total;
}

static void look(struct ledger *ledger, struct txn *txn, const struct ledger_request *request,
	struct store_charge *charges, unsigned index, uint64_t wall_ms)
{
	struct store_charge *charge = &charges[index];
	struct ledger_item *item = &ledger->items[index];

	find_item(ledger, charges, index, wall_ms);
	item->already = txn && charged_before(ledger, txn, request, charge, index);
	item->over = !item->already &&
		     (charge->cost > charge->limit || item->used > charge->limit - charge->cost);
	charge->outcome = item->already ? CHARGE_ALREADY : CHARGE_NONE;
	charge->used = item->used;
	charge->warn = false;
	charge->retry_ms = 0;
	if (item->over) {
		charge->retry_ms = window_wait_ms(load_item(ledger, charge, index, wall_ms),
			charge->limit, charge->cost, wall_ms);
		if (charge->gate)
			charge->outcome = CHARGE_OVER;
	}
}

/* ---- charging ---- */

static uint32_t new_group(
	struct ledger *ledger, struct txn *txn, const struct store_charge *charge, unsigned index)
{
	struct txn_group *group = txn_add_group(ledger->txns, txn);

	if (!group)
		return TXN_NONE;
	group->rule_id = ledger->items[index].hash.rule_id;
	group->slot = ledger->slots[index];
	group->birth = ledger->counters->entries[group->slot].birth;
	group->what = (uint8_t)charge->key.what;
	return txn->groups - 1u;
}

/* Does this recipient count in the group for the first time? Its charge stands (again) from now
 * on. Without `look_first` it is known that only a refunded member could be there. */
static bool note_member(
	struct ledger *ledger, struct txn *txn, uint16_t group, uint64_t recipient, bool look_first)
{
	struct txn_member *member = txn_members(txn);

	for (unsigned i = 0; i < txn->members && (look_first || txn->any_refunded); i++)
		if (member[i].recipient == recipient && member[i].group == group) {
			member[i].refunded = false;
			return false;
		}
	member = txn_add_member(ledger->txns, txn);
	if (member) {
		member->recipient = recipient;
		member->group = group;
	}
	return true;
}

/* Who shares the group: for a whole message as many as it costs. */
static void count_recipients(struct ledger *ledger, struct txn *txn, uint16_t index,
	const struct ledger_request *request, const struct store_charge *charge)
{
	struct txn_group *group = &txn_groups(txn)[index];
	bool of_recipients = charge->key.what == COUNT_RECIPIENTS;

	if (!of_recipients && !charge->one_subject)
		return;
	if (!note_member(ledger, txn, index, request->recipient, !of_recipients))
		return;
	group->recipients += request->recipient || !of_recipients ? 1 : (uint32_t)charge->cost;
	if (of_recipients)
		group->reserved += charge->cost;
}

/* Writes into the transaction what was charged to the item's counter, in `bucket`. */
static void remember(struct ledger *ledger, struct txn *txn, const struct ledger_request *request,
	const struct store_charge *charge, unsigned item, uint64_t bucket)
{
	uint32_t slot = ledger->slots[item];
	uint32_t index = group_of_slot(ledger, txn, slot);
	struct txn_group *group;

	if (index == TXN_NONE)
		index = new_group(ledger, txn, charge, item);
	if (index == TXN_NONE)
		return;
	group = &txn_groups(txn)[index];
	group->limit = charge->limit;
	group->gate = charge->gate;
	group->one_subject = charge->one_subject;
	group->charged = true;
	group->net += charge->cost;
	if (charge->key.what != COUNT_RECIPIENTS)
		group->reserved = charge->cost;
	count_recipients(ledger, txn, (uint16_t)index, request, charge);
	ledger_add_layer(ledger, txn, (uint16_t)index, bucket, charge->cost);
}

/* Two limits over one counter: the smaller one is checked when the charge is raised later. */
static void remember_limit(
	struct ledger *ledger, struct txn *txn, const struct store_charge *charge, unsigned item)
{
	uint32_t index = group_of_slot(ledger, txn, ledger->slots[item]);
	struct txn_group *group = index == TXN_NONE ? NULL : &txn_groups(txn)[index];

	if (group && charge->limit < group->limit)
		group->limit = charge->limit;
}

static void warn_if_due(struct ledger *ledger, struct store_charge *charge, uint32_t slot)
{
	if (charge->warn_at && charge->used >= charge->warn_at)
		charge->warn = table_warn_once(ledger->counters, slot);
}

/* false: there is no room for this counter. */
static bool add_to_counter(
	struct ledger *ledger, const struct store_charge *charge, unsigned index, uint64_t wall_ms)
{
	struct ledger_item *item = &ledger->items[index];
	uint32_t *slot = &ledger->slots[index];
	struct window *window;

	if (*slot == TABLE_NONE) {
		item->loaded = false;
		*slot = table_add(
			ledger->counters, &charge->key, item->hash, charge->limit, wall_ms);
		if (*slot == TABLE_NONE)
			return false;
	} else {
		table_set_limit(ledger->counters, *slot, charge->limit);
	}
	if (!item->loaded && table_bump(ledger->counters, *slot, charge->cost))
		return true;
	window = load_item(ledger, charge, index, wall_ms);
	window_add(window, charge->cost);
	table_store(ledger->counters, *slot, window, wall_ms);
	return true;
}

static void charge_one(struct ledger *ledger, struct txn *txn, const struct ledger_request *request,
	struct store_charge *charge, unsigned index, uint64_t wall_ms)
{
	struct ledger_item *item = &ledger->items[index];

	charge->outcome = item->over ? CHARGE_OVER : CHARGE_GRANTED;
	if (item->same_as != TABLE_NONE) { /* charged through the earlier item, with its cost */
		ledger->slots[index] = ledger->slots[item->same_as];
		item->used = ledger->items[item->same_as].used;
	} else {
		item->used = charge->cost > UINT64_MAX - item->used ? UINT64_MAX
								    : item->used + charge->cost;
		if (!add_to_counter(ledger, charge, index, wall_ms))
			ledger->slots[index] = TABLE_NONE;
	}
	charge->used = item->used;
	if (ledger->slots[index] == TABLE_NONE)
		return;
	warn_if_due(ledger, charge, ledger->slots[index]);
	if (txn && item->same_as != TABLE_NONE)
		remember_limit(ledger, txn, charge, index);
	else if (txn)
		remember(ledger, txn, request, charge, index,
			ledger->counters->entries[ledger->slots[index]].newest);
}

static void charge_all(struct ledger *ledger, const struct ledger_request *request,
	struct store_charge *charges, unsigned count, struct txn *txn, struct clock_now now)
{
	if (txn) {
		txn->service = request->service;
		txn->asked = request->asked ? request->asked : txn->asked;
		txn->settled = txn->settled || !request->recipient;
	}
	for (unsigned i = 0; i < count; i++) {
		if (!ledger->items[i].already)
			charge_one(ledger, txn, request, &charges[i], i, now.wall_ms);
		else if (charges[i].key.what != COUNT_RECIPIENTS && charges[i].one_subject)
			count_recipients(ledger, txn,
				(uint16_t)group_of_slot(ledger, txn, ledger->slots[i]), request,
				&charges[i]);
	}
}

/* What charge_all() would have said. */
static void pretend(struct ledger *ledger, struct store_charge *charges, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct store_charge *charge = &charges[i];
		struct ledger_item *item = &ledger->items[i];

		if (item->already)
			continue;
		charge->outcome = item->over ? CHARGE_OVER : CHARGE_GRANTED;
		if (item->same_as != TABLE_NONE)
			item->used = ledger->items[item->same_as].used;
		else
			item->used = charge->cost > UINT64_MAX - item->used
					     ? UINT64_MAX
					     : item->used + charge->cost;
		charge->used = item->used;
	}
}

static int reserve_dry(struct ledger *ledger, struct store_charge *charges, unsigned count,
	int refused, uint64_t wall_ms)
{
	for (unsigned i = 0; i < count; i++)
		charges[i].free_ms = window_next_ms(load_item(ledger, &charges[i], i, wall_ms),
			wall_ms, &charges[i].free_amount);
	if (refused < 0)
		pretend(ledger, charges, count);
	return refused;
}

int ledger_reserve(struct ledger *ledger, const struct ledger_request *request,
	struct store_charge *charges, unsigned count, struct clock_now now)
{
	bool named = !hash128_is_zero(request->transaction);
	struct txn *txn = named ? txn_find(ledger->txns, request->transaction) : NULL;
	int refused = -1;

	for (unsigned i = 0; i < count; i++) {
		look(ledger, txn, request, charges, i, now.wall_ms);
		if (refused < 0 && charges[i].outcome == CHARGE_OVER)
			refused = (int)i;
	}
	if (request->dry)
		return reserve_dry(ledger, charges, count, refused, now.wall_ms);
	if (txn)
		txn_touch(ledger->txns, txn, (int64_t)now.mono_ms);
	if (refused >= 0)
		return refused;
	if (named && !txn && count)
		txn = txn_add(ledger->txns, request->transaction, now.mono_ms);
	table_protect(ledger->counters, ledger->slots, count);
	charge_all(ledger, request, charges, count, txn, now);
	table_protect(ledger->counters, NULL, 0);
	return refused;
}

/* ---- what another store said ---- */

unsigned ledger_unknown(struct ledger *ledger, const struct ledger_request *request,
	struct store_charge *charges, unsigned count, struct clock_now now)
{
	struct txn *txn = txn_find(ledger->txns, request->transaction);
	unsigned unknown = 0;

	for (unsigned i = 0; i < count; i++) {
		look(ledger, txn, request, charges, i, now.wall_ms);
		unknown += !ledger->items[i].already;
	}
	return unknown;
}

static void book_one(struct ledger *ledger, struct txn *txn, const struct ledger_request *request,
	const struct store_charge *charge, const struct ledger_booking *booking, unsigned index)
{
	bool same = false;
	uint32_t group;

	ledger->slots[index] = TABLE_NONE;
	if (!table_is_alive(ledger->counters, booking->slot, booking->birth))
		return;
	for (unsigned i = 0; i < index; i++)
		same = same || ledger->slots[i] == booking->slot;
	ledger->slots[index] = booking->slot;
	group = ledger->counters->entries[booking->slot].series;
	ledger->items[index].hash.rule_id = ledger->counters->series.items[group].rule_id;
	if (charge->outcome == CHARGE_GRANTED || charge->outcome == CHARGE_OVER) {
		if (same)
			remember_limit(ledger, txn, charge, index);
		else
			remember(ledger, txn, request, charge, index, booking->bucket);
		return;
	}
	group = group_of_slot(ledger, txn, booking->slot);
	if (charge->outcome == CHARGE_ALREADY && charge->key.what != COUNT_RECIPIENTS &&
		charge->one_subject && group != TXN_NONE)
		count_recipients(ledger, txn, (uint16_t)group, request, charge);
}

void ledger_book(struct ledger *ledger, const struct ledger_request *request,
	const struct store_charge *charges, const struct ledger_booking *bookings, unsigned count,
	struct clock_now now)
{
	struct txn *txn = txn_find(ledger->txns, request->transaction);

	if (txn)
		txn_touch(ledger->txns, txn, (int64_t)now.mono_ms);
	else
		txn = txn_add(ledger->txns, request->transaction, now.mono_ms);
	txn->service = request->service;
	txn->asked = request->asked ? request->asked : txn->asked;
	txn->settled = txn->settled || !request->recipient;
	for (unsigned i = 0; i < count; i++)
		book_one(ledger, txn, request, &charges[i], &bookings[i], i);
}

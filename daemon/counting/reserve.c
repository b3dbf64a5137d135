/* SPDX-License-Identifier: ISC */
/*
 * Reserving: first all items are looked up, rolled and checked, and nothing is changed; if no gate
 * refuses, all are charged and remembered. Counters that were found are pinned in between, so that making
 * a new one cannot push them out.
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
static uint32_t find_group(struct txn *txn, uint32_t slot, uint32_t birth)
{
	const struct txn_group *groups = txn_groups(txn);

	for (unsigned i = 0; i < txn->groups; i++)
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
			   const struct ledger_request *request, const struct store_charge *charge,
			   const struct ledger_item *item)
{
	uint32_t group;

	if (charge->key.what == COUNT_RECIPIENTS)
		return request->recipient ? recipient_charged(txn, item->rule_id, request->recipient)
					  : rule_charged(txn, item->rule_id);
	group = group_of_slot(ledger, txn, item->slot);
	return group != TXN_NONE && txn_groups(txn)[group].charged;
}

/* ---- looking ---- */

static bool same_slice(struct slice a, struct slice b)
{
	return a.len == b.len && (a.data == b.data || slice_equal(a, b));
}

/* An earlier item with the same counter, which can only be one of the same rule. */
static uint32_t find_same(const struct ledger *ledger, const struct store_charge *charges, unsigned index)
{
	const struct counter_key *key = &charges[index].key;

	for (unsigned i = index; i-- > 0;) {
		if (ledger->items[i].rule_id != ledger->items[index].rule_id)
			break;
		if (charges[i].key.window_ms == key->window_ms && charges[i].key.what == key->what &&
		    same_slice(charges[i].key.subject, key->subject))
			return i;
	}
	return TABLE_NONE;
}

/* What rule and subject hash to; items beside each other mostly share them. */
static void hash_item(struct ledger *ledger, const struct store_charge *charges, unsigned index)
{
	struct ledger_item *item = &ledger->items[index];

	if (index && same_slice(charges[index].key.rule, charges[index - 1].key.rule))
		item->rule_id = item[-1].rule_id;
	else
		item->rule_id = series_rule_id(charges[index].key.rule);
	if (index && same_slice(charges[index].key.subject, charges[index - 1].key.subject))
		item->subject_hash = item[-1].subject_hash;
	else
		item->subject_hash = table_hash(ledger->counters, charges[index].key.subject);
}

static void look(struct ledger *ledger, struct txn *txn, const struct ledger_request *request,
		 struct store_charge *charges, unsigned index, uint64_t wall_ms)
{
	struct store_charge *charge = &charges[index];
	struct ledger_item *item = &ledger->items[index];
	const struct window *window = &item->window;

	hash_item(ledger, charges, index);
	item->same_as = find_same(ledger, charges, index);
	if (item->same_as != TABLE_NONE) {
		item->slot = ledger->items[item->same_as].slot;
		window = &ledger->items[item->same_as].window;
	} else {
		item->slot = table_find(ledger->counters, &charge->key, item->subject_hash);
		if (item->slot == TABLE_NONE) {
			window_init(&item->window, charge->key.window_ms);
			window_roll(&item->window, wall_ms);
		} else {
			table_pin(ledger->counters, item->slot, true);
			table_load(ledger->counters, item->slot, wall_ms, &item->window);
		}
	}
	item->already = txn && charged_before(ledger, txn, request, charge, item);
	item->over = !item->already && !window_fits(window, charge->limit, charge->cost);
	charge->outcome = item->already ? CHARGE_ALREADY : CHARGE_NONE;
	charge->used = window->total;
	charge->warn = false;
	charge->retry_ms = 0;
	if (item->over) {
		charge->retry_ms = window_wait_ms(window, charge->limit, charge->cost, wall_ms);
		if (charge->gate)
			charge->outcome = CHARGE_OVER;
	}
}

/* ---- charging ---- */

static uint32_t new_group(struct ledger *ledger, struct txn *txn, const struct store_charge *charge,
			  const struct ledger_item *item)
{
	struct txn_group *group = txn_add_group(ledger->txns, txn);

	if (!group)
		return TXN_NONE;
	group->rule_id = item->rule_id;
	group->slot = item->slot;
	group->birth = ledger->counters->entries[item->slot].birth;
	group->what = (uint8_t)charge->key.what;
	return txn->groups - 1u;
}

/* Does this recipient count in the group for the first time? Its charge stands (again) from now on. */
static bool note_member(struct ledger *ledger, struct txn *txn, uint16_t group, uint64_t recipient)
{
	struct txn_member *member = txn_members(txn);

	for (unsigned i = 0; i < txn->members; i++)
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

	if (charge->key.what != COUNT_RECIPIENTS && !charge->one_subject)
		return;
	if (!note_member(ledger, txn, index, request->recipient))
		return;
	group->recipients += request->recipient || charge->key.what != COUNT_RECIPIENTS
				     ? 1
				     : (uint32_t)charge->cost;
	if (charge->key.what == COUNT_RECIPIENTS)
		group->reserved += charge->cost;
}

/* Writes into the transaction what was charged to the item's counter. */
static void remember(struct ledger *ledger, struct txn *txn, const struct ledger_request *request,
		     const struct store_charge *charge, const struct ledger_item *item,
		     uint64_t bucket)
{
	uint32_t index = group_of_slot(ledger, txn, item->slot);
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
static void remember_limit(struct ledger *ledger, struct txn *txn, const struct store_charge *charge,
			   const struct ledger_item *item)
{
	uint32_t index = group_of_slot(ledger, txn, item->slot);
	struct txn_group *group = index == TXN_NONE ? NULL : &txn_groups(txn)[index];

	if (group && charge->limit < group->limit)
		group->limit = charge->limit;
}

static void warn_if_due(struct ledger *ledger, struct store_charge *charge, uint32_t slot,
			const struct window *window)
{
	if (charge->warn_at && charge->used >= charge->warn_at)
		charge->warn = table_warn_once(ledger->counters, slot, window->newest);
}

static void charge_one(struct ledger *ledger, struct txn *txn, const struct ledger_request *request,
		       struct store_charge *charge, struct ledger_item *item, uint64_t wall_ms)
{
	uint64_t bucket = window_add(&item->window, charge->cost);

	charge->outcome = item->over ? CHARGE_OVER : CHARGE_GRANTED;
	charge->used = item->window.total;
	if (item->slot == TABLE_NONE) {
		item->slot = table_add(ledger->counters, &charge->key, item->subject_hash,
				       charge->limit, wall_ms);
		if (item->slot == TABLE_NONE)
			return;
		table_pin(ledger->counters, item->slot, true);
	} else {
		table_set_limit(ledger->counters, item->slot, charge->limit);
	}
	table_store(ledger->counters, item->slot, &item->window, wall_ms);
	warn_if_due(ledger, charge, item->slot, &item->window);
	if (txn)
		remember(ledger, txn, request, charge, item, bucket);
}

/* The counter was charged through an earlier item. */
static void charge_same(struct ledger *ledger, struct txn *txn, struct store_charge *charge,
			struct ledger_item *item)
{
	const struct ledger_item *first = &ledger->items[item->same_as];

	item->slot = first->slot;
	charge->outcome = item->over ? CHARGE_OVER : CHARGE_GRANTED;
	charge->used = first->window.total;
	if (item->slot == TABLE_NONE)
		return;
	warn_if_due(ledger, charge, item->slot, &first->window);
	if (txn)
		remember_limit(ledger, txn, charge, item);
}

static void charge_all(struct ledger *ledger, const struct ledger_request *request,
		       struct store_charge *charges, unsigned count, struct txn *txn,
		       struct clock_now now)
{
	if (txn) {
		txn->service = request->service;
		txn->asked = request->asked ? request->asked : txn->asked;
		txn->settled = txn->settled || !request->recipient;
	}
	for (unsigned i = 0; i < count; i++) {
		struct ledger_item *item = &ledger->items[i];

		if (!item->already && item->same_as != TABLE_NONE)
			charge_same(ledger, txn, &charges[i], item);
		else if (!item->already)
			charge_one(ledger, txn, request, &charges[i], item, now.wall_ms);
		else if (charges[i].key.what != COUNT_RECIPIENTS && charges[i].one_subject)
			count_recipients(ledger, txn,
					 (uint16_t)group_of_slot(ledger, txn, item->slot), request,
					 &charges[i]);
	}
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
	if (txn)
		txn_touch(ledger->txns, txn, (int64_t)now.mono_ms);
	if (refused < 0) {
		if (named && !txn && count)
			txn = txn_add(ledger->txns, request->transaction, now.mono_ms);
		charge_all(ledger, request, charges, count, txn, now);
	}
	for (unsigned i = 0; i < count; i++)
		if (ledger->items[i].slot != TABLE_NONE)
			table_pin(ledger->counters, ledger->items[i].slot, false);
	return refused;
}

/* SPDX-License-Identifier: ISC */
/*
 * Settling: from what each counter was charged to what it should have been charged, now that
 * Postfix says how many recipients there are and how long the message is. First all raises of
 * gates are checked together; if one does not fit, nothing is raised and all that the transaction
 * charged goes back.
 *
 * Whose recipients some were free of a rule is seen from numbers alone: more were asked about
 * than the counter has as members. Then Postfix's count cannot say how many of them are left,
 * only that it is not more than both.
 */
#include "daemon/counting/ledger.h"

static bool has_member(struct txn *txn, unsigned group, uint64_t recipient)
{
	const struct txn_member *members = txn_members(txn);

	for (unsigned i = 0; i < txn->members; i++)
		if (members[i].group == group && members[i].recipient == recipient)
			return true;
	return false;
}

/* What the group stands for if nothing more is known than what was reserved. */
static uint64_t as_reserved(const struct txn_group *group)
{
	return group->what == COUNT_MESSAGES ? 1 : group->reserved;
}

static uint64_t settled_amount(
	struct txn_group *group, const struct ledger_settlement *settlement, unsigned asked)
{
	uint64_t count = settlement->recipient_count;

	switch ((enum counter_what)group->what) {
	case COUNT_RECIPIENTS:
		return asked > group->recipients && group->reserved < count ? group->reserved
									    : count;
	case COUNT_MESSAGES:
		return count > 0;
	case COUNT_BYTES:
		if (settlement->end_of_message)
			group->reserved = settlement->size_bytes;
		return count ? group->reserved : 0;
	}
	return group->net;
}

static uint64_t target_of(
	struct txn *txn, unsigned index, const struct ledger_settlement *settlement)
{
	struct txn_group *group = &txn_groups(txn)[index];
	unsigned asked = settlement->asked ? settlement->asked : txn->asked;

	if (group->one_subject) {
		if (settlement->recipient_count == 1 && settlement->recipient &&
			!has_member(txn, index, settlement->recipient))
			return 0;
		if (settlement->recipient_count > 1 && (!asked || asked > group->recipients))
			return as_reserved(group);
	}
	return settled_amount(group, settlement, asked);
}

/* A gate that is to be raised, and does it fit? */
static bool raise_fits(const struct ledger *ledger, const struct txn_group *group, uint64_t more,
	struct window *window, uint64_t wall_ms)
{
	if (!group->gate || !more || !table_is_alive(ledger->counters, group->slot, group->birth))
		return true;
	table_load(ledger->counters, group->slot, wall_ms, window);
	return window_fits(window, group->limit, more);
}

/* All raises of gates together. Leaves the targets in ledger->amounts. */
static bool check_raises(struct ledger *ledger, struct txn *txn,
	struct ledger_settlement *settlement, uint64_t wall_ms)
{
	struct window window;

	settlement->refused = false;
	settlement->retry_ms = 0;
	for (unsigned i = 0; i < txn->groups; i++) {
		struct txn_group *group = &txn_groups(txn)[i];
		uint64_t reserved = group->reserved;
		uint64_t target = target_of(txn, i, settlement);
		uint64_t more = target > group->net ? target - group->net : 0;
		uint64_t wait_ms;

		if (settlement->dry)
			group->reserved = reserved;
		ledger->amounts[i] = target;
		if (raise_fits(ledger, group, more, &window, wall_ms))
			continue;
		if (!settlement->refused) {
			settlement->refused = true;
			settlement->refused_slot = group->slot;
			settlement->used = window.total;
			settlement->limit = group->limit;
		}
		wait_ms = window_wait_ms(&window, group->limit, more, wall_ms);
		if (wait_ms > settlement->retry_ms)
			settlement->retry_ms = wait_ms;
	}
	return !settlement->refused;
}

static void raise_group(
	struct ledger *ledger, struct txn *txn, unsigned index, uint64_t more, uint64_t wall_ms)
{
	const struct txn_group *group = &txn_groups(txn)[index];
	struct window window;
	uint64_t bucket;

	if (!table_is_alive(ledger->counters, group->slot, group->birth))
		return;
	table_load(ledger->counters, group->slot, wall_ms, &window);
	bucket = window_add(&window, more);
	table_store(ledger->counters, group->slot, &window, wall_ms);
	ledger_add_layer(ledger, txn, (uint16_t)index, bucket, more);
}

/* ledger->amounts holds targets; lowering is done for all groups in one walk over the layers. */
static uint64_t apply(struct ledger *ledger, struct txn *txn, uint64_t wall_ms)
{
	uint64_t refunded = 0;

	for (unsigned i = 0; i < txn->groups; i++) {
		struct txn_group *group = &txn_groups(txn)[i];
		uint64_t target = ledger->amounts[i];
		uint64_t less = group->net > target ? group->net - target : 0;

		if (target > group->net)
			raise_group(ledger, txn, i, target - group->net, wall_ms);
		if (group->what == COUNT_RECIPIENTS && less > refunded)
			refunded = less;
		ledger->amounts[i] = less;
		group->net = target;
		group->charged = true;
	}
	ledger_take_back(ledger, txn, wall_ms);
	return refunded;
}

/* Members stand charged again, so that a recipient who is asked about once more is not charged
 * beside the total. */
static void members_stand(struct txn *txn)
{
	struct txn_member *members = txn_members(txn);

	for (unsigned i = 0; i < txn->members; i++)
		members[i].refunded = false;
	txn->any_refunded = false;
}

void ledger_settle(
	struct ledger *ledger, struct ledger_settlement *settlement, struct clock_now now)
{
	struct txn *txn = txn_find(ledger->txns, settlement->transaction);

	settlement->refused = false;
	settlement->refunded = 0;
	settlement->unknown = !txn || txn->groups == 0;
	if (settlement->dry) {
		if (!settlement->unknown)
			(void)check_raises(ledger, txn, settlement, now.wall_ms);
		return;
	}
	services_settled(&ledger->services, settlement->service, now.wall_ms);
	if (!txn)
		return;
	txn->ended = txn->ended || settlement->end_of_message;
	txn_touch(ledger->txns, txn, (int64_t)now.mono_ms);
	if (settlement->unknown)
		return;
	if (!check_raises(ledger, txn, settlement, now.wall_ms)) {
		settlement->refunded = ledger_refund_all(ledger, txn, now.wall_ms);
		return;
	}
	settlement->refunded = apply(ledger, txn, now.wall_ms);
	txn->settled = true;
	members_stand(txn);
}

/* SPDX-License-Identifier: ISC */
/*
 * The entries stand beside a `struct recent`, which finds them and knows
 * their last use. An entry has room for one recipient and two marks, which is
 * what most messages need; only more of them are on the heap. Recipients on the heap are counted over the
 * whole table: beyond the bound the longest unused transactions leave, when one is added.
 *
 * An ended transaction is over sooner than those used before it: it goes when
 * it is asked for, or when it has become the longest unused.
 */
#include "daemon/mail/transactions.h"

#include "common/alloc.h"
#include "daemon/mail/recent.h"

#define CLEARED_AT_ONCE 3
#define RECIPIENTS_PER_ENTRY 8
#define FIRST_RECIPIENTS 4
#define INLINE_MARKS 2
#define MAX_MARKS 32

struct transaction {
	struct transactions *table;
	union {
		uint64_t one;
		uint64_t *many;      /* room is not 1 */
	} recipient;
	union {
		uint32_t few[INLINE_MARKS];
		uint32_t *many;      /* MAX_MARKS of them: there are more than INLINE_MARKS */
	} mark;
	uint32_t more_recipients;    /* not told apart */
	uint16_t recipient_count, recipient_room;
	uint8_t mark_count;
	bool ended;
};

struct transactions {
	struct recent *recent;
	struct transaction *entries;
	size_t recipients_on_heap, max_recipients_on_heap; /* room for them */
};

struct transactions *transactions_new(size_t max_entries)
{
	struct transactions *transactions = mem_zalloc(sizeof(*transactions));

	transactions->recent = recent_new(max_entries);
	transactions->entries = mem_zalloc_array(max_entries, sizeof(*transactions->entries));
	transactions->max_recipients_on_heap = max_entries * RECIPIENTS_PER_ENTRY;
	return transactions;
}

static void remove_entry(struct transactions *transactions, uint32_t number)
{
	struct transaction *transaction = &transactions->entries[number];

	if (transaction->recipient_room > 1) {
		transactions->recipients_on_heap -= transaction->recipient_room;
		mem_free(&transaction->recipient.many);
	}
	if (transaction->mark_count > INLINE_MARKS)
		mem_free(&transaction->mark.many);
	recent_remove(transactions->recent, number);
}

void transactions_free(struct transactions **transactions)
{
	if (!*transactions)
		return;
	while (recent_count((*transactions)->recent))
		remove_entry(*transactions, recent_oldest((*transactions)->recent));
	recent_free(&(*transactions)->recent);
	free((*transactions)->entries);
	mem_free(transactions);
}

static bool is_over(const struct transactions *transactions, uint32_t number, uint64_t mono_ms)
{
	uint64_t last_use_mono_ms = recent_last_use(transactions->recent, number);
	uint64_t kept_ms = transactions->entries[number].ended ? TRANSACTIONS_ENDED_MS
							       : TRANSACTIONS_IDLE_MS;

	return mono_ms > last_use_mono_ms && mono_ms - last_use_mono_ms >= kept_ms;
}

struct transaction *transactions_find(struct transactions *transactions, struct hash128 id,
				      uint64_t mono_ms)
{
	uint32_t number;

	if (hash128_is_zero(id))
		return NULL;
	number = recent_find(transactions->recent, id);
	if (number == RECENT_NONE)
		return NULL;
	if (is_over(transactions, number, mono_ms)) {
		remove_entry(transactions, number);
		return NULL;
	}
	recent_touch(transactions->recent, number, mono_ms);
	return &transactions->entries[number];
}

const struct transaction *transactions_peek(const struct transactions *transactions,
					    struct hash128 id, uint64_t mono_ms)
{
	uint32_t number = hash128_is_zero(id) ? RECENT_NONE : recent_find(transactions->recent, id);

	return number == RECENT_NONE || is_over(transactions, number, mono_ms)
		       ? NULL
		       : &transactions->entries[number];
}

static void make_room(struct transactions *transactions, uint64_t mono_ms)
{
	struct recent *recent = transactions->recent;

	for (unsigned i = 0; i < CLEARED_AT_ONCE && recent_count(recent); i++) {
		if (!is_over(transactions, recent_oldest(recent), mono_ms))
			break;
		remove_entry(transactions, recent_oldest(recent));
	}
	while (recent_is_full(recent) ||
	       (recent_count(recent) &&
		transactions->recipients_on_heap > transactions->max_recipients_on_heap))
		remove_entry(transactions, recent_oldest(recent));
}

struct transaction *transactions_get(struct transactions *transactions, struct hash128 id,
				     uint64_t mono_ms)
{
	struct transaction *transaction = transactions_find(transactions, id, mono_ms);

	if (transaction || hash128_is_zero(id))
		return transaction;
	make_room(transactions, mono_ms);
	transaction = &transactions->entries[recent_add(transactions->recent, id, mono_ms)];
	*transaction = (struct transaction){ .table = transactions, .recipient_room = 1 };
	return transaction;
}

static uint64_t *recipients_of(struct transaction *transaction)
{
	return transaction->recipient_room == 1 ? &transaction->recipient.one
						: transaction->recipient.many;
}

/* Its place; recipient_count if it is not there. */
static size_t find_recipient(const struct transaction *transaction, uint64_t recipient)
{
	const uint64_t *recipients = transaction->recipient_room == 1
					     ? &transaction->recipient.one
					     : transaction->recipient.many;
	size_t i = 0;

	while (i < transaction->recipient_count && recipients[i] != recipient)
		i++;
	return i;
}

unsigned transaction_recipients(const struct transaction *transaction)
{
	return transaction->recipient_count + transaction->more_recipients;
}

unsigned transaction_recipients_with(const struct transaction *transaction, uint64_t recipient)
{
	bool known = find_recipient(transaction, recipient) < transaction->recipient_count;

	return transaction_recipients(transaction) + !known;
}

static void grow_recipients(struct transaction *transaction)
{
	uint16_t room = transaction->recipient_room;
	uint16_t new_room = room == 1 ? FIRST_RECIPIENTS : (uint16_t)(room * 2);
	uint64_t *recipients = mem_grow(room == 1 ? NULL : transaction->recipient.many,
					new_room * sizeof(*recipients));

	if (room == 1)
		recipients[0] = transaction->recipient.one;
	else
		transaction->table->recipients_on_heap -= room;
	transaction->table->recipients_on_heap += new_room;
	transaction->recipient.many = recipients;
	transaction->recipient_room = new_room;
}

void transaction_add_recipient(struct transaction *transaction, uint64_t recipient)
{
	if (find_recipient(transaction, recipient) < transaction->recipient_count)
		return;
	if (transaction->recipient_count == TRANSACTIONS_MAX_RECIPIENTS) {
		if (transaction->more_recipients < UINT32_MAX / 2)
			transaction->more_recipients++;
		return;
	}
	if (transaction->recipient_count == transaction->recipient_room)
		grow_recipients(transaction);
	recipients_of(transaction)[transaction->recipient_count++] = recipient;
}

/* One past the cap that was refused may never have been added: the sum does not shrink by it. */
void transaction_remove_recipient(struct transaction *transaction, uint64_t recipient)
{
	size_t at = find_recipient(transaction, recipient);
	uint64_t *recipients = recipients_of(transaction);

	if (at < transaction->recipient_count)
		recipients[at] = recipients[--transaction->recipient_count];
}

static bool has_mark(const struct transaction *transaction, uint32_t what)
{
	const uint32_t *marks = transaction->mark_count > INLINE_MARKS ? transaction->mark.many
								       : transaction->mark.few;

	for (size_t i = 0; i < transaction->mark_count; i++) {
		if (marks[i] == what)
			return true;
	}
	return false;
}

bool transaction_is_first(const struct transaction *transaction, uint32_t what)
{
	return transaction->mark_count < MAX_MARKS && !has_mark(transaction, what);
}

bool transaction_first(struct transaction *transaction, uint32_t what)
{
	if (!transaction_is_first(transaction, what))
		return false;
	if (transaction->mark_count == INLINE_MARKS) {
		uint32_t *marks = mem_alloc(MAX_MARKS * sizeof(*marks));

		memcpy(marks, transaction->mark.few, sizeof(transaction->mark.few));
		transaction->mark.many = marks;
	}
	if (transaction->mark_count < INLINE_MARKS)
		transaction->mark.few[transaction->mark_count++] = what;
	else
		transaction->mark.many[transaction->mark_count++] = what;
	return true;
}

void transaction_end(struct transaction *transaction)
{
	transaction->ended = true;
}

size_t transactions_count(const struct transactions *transactions)
{
	return recent_count(transactions->recent);
}

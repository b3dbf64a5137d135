/* SPDX-License-Identifier: ISC */
/*
 * Entries lie in chunks, made as they are needed and never moved; a table of chains finds them,
 * and two lists (plain and notable ones) hold them in the order in which they were last seen.
 */
#include "daemon/bans/strikes.h"

#include <assert.h>

#include "common/alloc.h"
#include "common/sip.h"

#define CHUNK_ENTRIES 256

struct strikes {
	struct hash_key key;
	size_t max_entries, used, fresh, chunk_count;
	struct strikes_entry **chunks;
	uint32_t *heads;                /* number + 1; 0: empty */
	size_t mask;
	uint32_t first_free;            /* number + 1 */
	struct list seen[2];            /* by is_notable; the longest unseen first */
	struct strikes_entry *last;     /* that strikes_get() gave; NULL: it is gone */
	uint64_t window_ms[STRIKES_COUNTS];
	uint64_t part_ms[STRIKES_COUNTS];
	uint64_t keep_ms[2];            /* by is_notable */
};

static struct strikes_entry *entry_at(const struct strikes *strikes, uint32_t number)
{
	return &strikes->chunks[number / CHUNK_ENTRIES][number % CHUNK_ENTRIES];
}

struct strikes *strikes_new(struct hash_key key, size_t max_entries)
{
	struct strikes *strikes = mem_zalloc(sizeof(*strikes));
	size_t heads = 64;

	while (heads < max_entries)
		heads *= 2;
	strikes->key = key;
	strikes->max_entries = max_entries;
	strikes->heads = mem_zalloc_array(heads, sizeof(strikes->heads[0]));
	strikes->mask = heads - 1;
	list_init(&strikes->seen[false]);
	list_init(&strikes->seen[true]);
	for (size_t what = 0; what < STRIKES_COUNTS; what++)
		strikes->part_ms[what] = 1;
	return strikes;
}

void strikes_free(struct strikes **strikes)
{
	struct strikes *old = *strikes;

	if (!old)
		return;
	for (size_t i = 0; i < old->chunk_count; i++)
		free(old->chunks[i]);
	free(old->chunks);
	free(old->heads);
	free(old);
	*strikes = NULL;
}

/* Never shorter than a millisecond. */
static uint64_t part_ms_of(uint64_t window_ms)
{
	return window_ms >= STRIKES_PARTS ? window_ms / STRIKES_PARTS : 1;
}

void strikes_set_windows(struct strikes *strikes, const uint64_t window_ms[static STRIKES_COUNTS],
			 uint64_t keep_notable_ms)
{
	uint64_t longest_ms = 0;

	for (size_t what = 0; what < STRIKES_COUNTS; what++) {
		if (window_ms[what] > longest_ms)
			longest_ms = window_ms[what];
		if (strikes->window_ms[what] == window_ms[what])
			continue;
		strikes->window_ms[what] = window_ms[what];
		strikes->part_ms[what] = part_ms_of(window_ms[what]);
		for (uint32_t i = 0; i < strikes->fresh; i++)
			strikes_clear(entry_at(strikes, i), (enum strikes_count)what);
	}
	strikes->keep_ms[false] = longest_ms;
	strikes->keep_ms[true] = keep_notable_ms > longest_ms ? keep_notable_ms : longest_ms;
}

/* SipHash of the key's two words; they are all there is, so no length is needed. */
static uint32_t *head_of(const struct strikes *strikes, const struct ip *key)
{
	struct sip sip = sip_start64(&strikes->key);

	sip_word(&sip, sip_load64((const char *)key->bytes));
	sip_word(&sip, sip_load64((const char *)key->bytes + 8));
	return &strikes->heads[sip_end64(sip) & strikes->mask];
}

static struct strikes_entry *find_in(
	const struct strikes *strikes, uint32_t head, const struct ip *key)
{
	for (uint32_t at = head; at;) {
		struct strikes_entry *entry = entry_at(strikes, at - 1);

		if (ip_equal(&entry->key, key))
			return entry;
		at = entry->next;
	}
	return NULL;
}

struct strikes_entry *strikes_find(struct strikes *strikes, const struct ip *key)
{
	return find_in(strikes, *head_of(strikes, key), key);
}

static void forget(struct strikes *strikes, struct strikes_entry *entry)
{
	uint32_t *link = head_of(strikes, &entry->key);

	while (*link != entry->number + 1)
		link = &entry_at(strikes, *link - 1)->next;
	*link = entry->next;
	list_remove(&entry->node);
	if (entry == strikes->last)
		strikes->last = NULL;
	entry->next = strikes->first_free;
	strikes->first_free = entry->number + 1;
	strikes->used--;
}

static struct strikes_entry *longest_unseen(const struct strikes *strikes, bool notable)
{
	const struct list *head = &strikes->seen[notable];

	return list_is_empty(head) ? NULL : LIST_ENTRY(head->next, struct strikes_entry, node);
}

static struct strikes_entry *take_entry(struct strikes *strikes)
{
	struct strikes_entry *entry;

	if (strikes->used == strikes->max_entries) {
		entry = longest_unseen(strikes, false);
		if (!entry)
			entry = longest_unseen(strikes, true);
		assert(entry);
		forget(strikes, entry);
	}
	strikes->used++;
	if (strikes->first_free) {
		entry = entry_at(strikes, strikes->first_free - 1);
		strikes->first_free = entry->next;
		return entry;
	}
	if (strikes->fresh == strikes->chunk_count * CHUNK_ENTRIES) {
		strikes->chunks = mem_grow(strikes->chunks, (strikes->chunk_count + 1) *
								    sizeof(struct strikes_entry *));
		strikes->chunks[strikes->chunk_count++] =
			mem_alloc(CHUNK_ENTRIES * sizeof(struct strikes_entry));
	}
	entry = entry_at(strikes, (uint32_t)strikes->fresh);
	entry->number = (uint32_t)strikes->fresh++;
	return entry;
}

/* The entry may take the place of one in the same chain, so the head is read again. */
static struct strikes_entry *add_at(
	struct strikes *strikes, uint32_t *head, const struct ip *key)
{
	struct strikes_entry *entry = take_entry(strikes);
	uint32_t number = entry->number;

	*entry = (struct strikes_entry){ .number = number, .key = *key };
	list_init(&entry->node);
	entry->next = *head;
	*head = number + 1;
	return entry;
}

/* One request asks for the same entry again and again. */
static bool is_last(const struct strikes *strikes, const struct ip *key)
{
	return strikes->last && ip_equal(&strikes->last->key, key);
}

struct strikes_entry *strikes_get(struct strikes *strikes, const struct ip *key, uint64_t mono_ms)
{
	struct strikes_entry *entry = strikes->last;
	uint32_t *head;

	if (!is_last(strikes, key)) {
		head = head_of(strikes, key);
		entry = find_in(strikes, *head, key);
		if (!entry)
			entry = add_at(strikes, head, key);
		strikes->last = entry;
	}
	entry->seen_mono_ms = mono_ms;
	list_remove(&entry->node);
	list_append(&strikes->seen[entry->is_notable], &entry->node);
	return entry;
}

void strikes_mark_notable(struct strikes *strikes, struct strikes_entry *entry)
{
	if (entry->is_notable)
		return;
	entry->is_notable = true;
	list_remove(&entry->node);
	list_append(&strikes->seen[true], &entry->node);
}

static uint64_t part_number(const struct strikes *strikes, enum strikes_count what,
			    uint64_t mono_ms)
{
	return mono_ms / strikes->part_ms[what];
}

uint64_t strikes_sum(const struct strikes *strikes, const struct strikes_entry *entry,
		     enum strikes_count what, uint64_t mono_ms)
{
	const struct strikes_window *window = &entry->windows[what];
	uint64_t now = part_number(strikes, what, mono_ms), sum = 0;

	for (uint64_t i = 0; i < STRIKES_PARTS && i <= window->newest; i++)
		if (window->newest - i + STRIKES_PARTS > now)
			sum += window->part[(window->newest - i) % STRIKES_PARTS];
	return sum;
}

void strikes_note(struct strikes *strikes, struct strikes_entry *entry, enum strikes_count what,
		  uint32_t times, uint64_t mono_ms)
{
	struct strikes_window *window = &entry->windows[what];
	uint64_t now = part_number(strikes, what, mono_ms);
	uint16_t *part;

	if (now >= window->newest + STRIKES_PARTS) {
		memset(window->part, 0, sizeof(window->part));
		window->newest = now;
	}
	while (window->newest < now)
		window->part[++window->newest % STRIKES_PARTS] = 0;
	if (what < STRIKES_SHARED)
		entry->unshared[what] += times;
	part = &window->part[now % STRIKES_PARTS];
	*part = times < (uint32_t)(UINT16_MAX - *part) ? (uint16_t)(*part + times) : UINT16_MAX;
}

uint64_t strikes_add(struct strikes *strikes, struct strikes_entry *entry, enum strikes_count what,
		     uint32_t times, uint64_t mono_ms)
{
	strikes_note(strikes, entry, what, times, mono_ms);
	return strikes_sum(strikes, entry, what, mono_ms);
}

void strikes_clear(struct strikes_entry *entry, enum strikes_count what)
{
	entry->windows[what] = (struct strikes_window){ 0 };
	if (what < STRIKES_SHARED)
		entry->unshared[what] = 0;
}

void strikes_each(const struct strikes *strikes,
	void (*each)(void *arg, const struct ip *key, const struct strikes_entry *entry), void *arg)
{
	for (int notable = 0; notable < 2; notable++) {
		const struct list *head = &strikes->seen[notable];

		for (struct list *node = head->next; node != head; node = node->next) {
			const struct strikes_entry *entry =
				LIST_ENTRY(node, struct strikes_entry, node);

			each(arg, &entry->key, entry);
		}
	}
}

void strikes_tick(struct strikes *strikes, uint64_t mono_ms)
{
	for (int notable = 0; notable < 2; notable++) {
		struct strikes_entry *entry;

		while ((entry = longest_unseen(strikes, notable)) &&
		       mono_ms - entry->seen_mono_ms >= strikes->keep_ms[notable])
			forget(strikes, entry);
	}
}

size_t strikes_entries(const struct strikes *strikes)
{
	return strikes->used;
}

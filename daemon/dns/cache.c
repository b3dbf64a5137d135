/* SPDX-License-Identifier: ISC */
/*
 * A chained hash table of fixed size and a list in order of use. The hash is the caller's, keyed
 * and kept in the entry. An entry, its answer and all names are one block of memory.
 */
#include "daemon/dns/cache.h"

#include <assert.h>
#include <stdalign.h>

#include "common/alloc.h"

#define SWEEP_MS 5000
#define SWEEP_PARTS 64

static size_t answer_bytes(const struct dns_answer *answer)
{
	size_t bytes = sizeof(*answer) + answer->count * sizeof(answer->records[0]);

	for (unsigned i = 0; i < answer->count; i++)
		bytes += answer->records[i].name.len;
	return bytes;
}

static struct slice put_text(char **end, struct slice text)
{
	struct slice copy = SLICE_EMPTY;

	if (!text.len)
		return copy;
	memcpy(*end, text.data, text.len);
	copy = slice_make(*end, text.len);
	*end += text.len;
	return copy;
}

struct dns_entry *dns_entry_new(enum dns_type type, struct slice name, uint64_t hash,
	const struct dns_answer *answer, uint64_t expires_mono_ms)
{
	size_t bytes = sizeof(struct dns_entry) + answer_bytes(answer) + name.len;
	struct dns_entry *entry = mem_alloc(bytes);
	struct dns_answer *copy = (struct dns_answer *)(void *)(entry + 1);
	char *end = (char *)&copy->records[answer->count];

	static_assert(
		sizeof(struct dns_entry) % alignof(struct dns_answer) == 0, "answer is aligned");
	copy->status = answer->status;
	copy->count = answer->count;
	for (unsigned i = 0; i < answer->count; i++) {
		copy->records[i] = answer->records[i];
		copy->records[i].name = put_text(&end, answer->records[i].name);
	}
	*entry = (struct dns_entry){
		.hash = hash,
		.expires_mono_ms = expires_mono_ms,
		.answer = copy,
		.bytes = bytes,
		.refs = 1,
		.type = (uint16_t)type,
		.name_len = (uint16_t)name.len,
	};
	entry->name = put_text(&end, name).data;
	list_init(&entry->lru);
	return entry;
}

void dns_entry_unref(struct dns_entry **entry)
{
	struct dns_entry *old = *entry;

	*entry = NULL;
	if (!old)
		return;
	assert(old->refs > 0);
	if (--old->refs == 0)
		free(old);
}

void dns_cache_init(struct dns_cache *cache, size_t max_entries)
{
	size_t buckets = 64;

	while (buckets < max_entries && buckets < (size_t)1 << 24)
		buckets *= 2;
	*cache = (struct dns_cache){
		.buckets = mem_zalloc_array(buckets, sizeof(struct dns_entry *)),
		.mask = buckets - 1,
		.max_entries = max_entries,
		.max_bytes = max_entries * DNS_CACHE_ENTRY_BYTES,
	};
	list_init(&cache->lru);
}

static uint64_t load64(const char *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

/*
 * Bytes from its begin, its middle and its end, its length and the type; one place for all that are
 * too short for that. Names often differ in the middle only: the mail hosts of a provider's domains.
 */
static unsigned recent_place(uint16_t type, struct slice name)
{
	const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t word;

	if (name.len < sizeof(word))
		return 0;
	word = load64(name.data) * odd ^ load64(name.data + name.len - sizeof(word));
	word = word * odd ^ load64(name.data + (name.len - sizeof(word)) / 2);
	return (unsigned)((word + name.len + ((uint64_t)type << 32)) * odd >> 32) %
	       DNS_CACHE_RECENT;
}

static struct dns_entry **recent_of(struct dns_cache *cache, const struct dns_entry *entry)
{
	struct slice name = slice_make(entry->name, entry->name_len);

	return &cache->recent[recent_place(entry->type, name)];
}

static void drop(struct dns_cache *cache, struct dns_entry *entry)
{
	struct dns_entry **at = &cache->buckets[entry->hash & cache->mask];
	struct dns_entry **recent = recent_of(cache, entry);

	if (*recent == entry)
		*recent = NULL;

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	entry->next = NULL;
	list_remove(&entry->lru);
	cache->count--;
	cache->bytes -= entry->bytes;
	dns_entry_unref(&entry);
}

void dns_cache_release(struct dns_cache *cache)
{
	if (!cache->buckets)
		return;
	while (!list_is_empty(&cache->lru))
		drop(cache, LIST_ENTRY(cache->lru.next, struct dns_entry, lru));
	mem_free(&cache->buckets);
}

static bool is_about(const struct dns_entry *entry, enum dns_type type, struct slice name)
{
	return entry->type == (uint16_t)type && entry->name_len == name.len &&
	       memcmp(entry->name, name.data, name.len) == 0;
}

static struct dns_entry *find(
	struct dns_cache *cache, enum dns_type type, struct slice name, uint64_t hash)
{
	struct dns_entry *entry = cache->buckets[hash & cache->mask];

	for (; entry; entry = entry->next) {
		if (entry->hash == hash && is_about(entry, type, name))
			return entry;
	}
	return NULL;
}

static void use(struct dns_cache *cache, struct dns_entry *entry)
{
	if (entry->lru.next == &cache->lru)
		return;
	list_remove(&entry->lru);
	list_append(&cache->lru, &entry->lru);
}

struct dns_entry *dns_cache_recall(
	struct dns_cache *cache, enum dns_type type, struct slice name, uint64_t mono_ms)
{
	struct dns_entry *entry = cache->recent[recent_place((uint16_t)type, name)];

	if (!entry || !is_about(entry, type, name) || entry->expires_mono_ms <= mono_ms)
		return NULL;
	use(cache, entry);
	return entry;
}

struct dns_entry *dns_cache_get(struct dns_cache *cache, enum dns_type type, struct slice name,
	uint64_t hash, uint64_t mono_ms)
{
	struct dns_entry *entry = find(cache, type, name, hash);

	if (!entry)
		return NULL;
	if (entry->expires_mono_ms <= mono_ms) {
		drop(cache, entry);
		return NULL;
	}
	use(cache, entry);
	*recent_of(cache, entry) = entry;
	return entry;
}

void dns_cache_put(struct dns_cache *cache, struct dns_entry *entry)
{
	struct slice name = slice_make(entry->name, entry->name_len);
	struct dns_entry *old = find(cache, (enum dns_type)entry->type, name, entry->hash);
	struct dns_entry **bucket = &cache->buckets[entry->hash & cache->mask];

	if (old)
		drop(cache, old);
	entry->refs++;
	entry->next = *bucket;
	*bucket = entry;
	list_append(&cache->lru, &entry->lru);
	cache->count++;
	cache->bytes += entry->bytes;
	while (cache->count > cache->max_entries || cache->bytes > cache->max_bytes)
		drop(cache, LIST_ENTRY(cache->lru.next, struct dns_entry, lru));
}

void dns_cache_sweep(struct dns_cache *cache, uint64_t mono_ms)
{
	size_t buckets = (cache->mask + 1) / SWEEP_PARTS;

	if (mono_ms < cache->sweep_mono_ms)
		return;
	cache->sweep_mono_ms = mono_ms + SWEEP_MS;
	for (size_t i = 0; i < buckets; i++) {
		struct dns_entry *entry = cache->buckets[cache->sweep_at];

		while (entry) {
			struct dns_entry *next = entry->next;

			if (entry->expires_mono_ms <= mono_ms)
				drop(cache, entry);
			entry = next;
		}
		cache->sweep_at = (cache->sweep_at + 1) & cache->mask;
	}
}

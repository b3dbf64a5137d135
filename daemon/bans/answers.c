/* SPDX-License-Identifier: ISC */
/*
 * Numbers come from mail/recent.c, the entries lie in an array beside it.
 */
#include "daemon/bans/answers.h"

#include "common/alloc.h"
#include "daemon/mail/recent.h"

struct answers {
	struct hash_key hash_key;
	struct recent *recent;
	struct answers_entry *entries;
};

struct answers *answers_new(struct hash_key key)
{
	struct answers *answers = mem_zalloc(sizeof(*answers));

	answers->hash_key = key;
	answers->recent = recent_new(ANSWERS_MAX_ENTRIES);
	answers->entries = mem_zalloc_array(ANSWERS_MAX_ENTRIES, sizeof(answers->entries[0]));
	return answers;
}

void answers_free(struct answers **answers)
{
	if (!*answers)
		return;
	recent_free(&(*answers)->recent);
	free((*answers)->entries);
	mem_free(answers);
}

static struct hash128 key_of(
	const struct answers *answers, uint32_t process, const struct ip *client)
{
	char text[sizeof(client->bytes) + sizeof(process)];

	memcpy(text, client->bytes, sizeof(client->bytes));
	memcpy(text + sizeof(client->bytes), &process, sizeof(process));
	return hash128(&answers->hash_key, slice_make(text, sizeof(text)));
}

static bool is_over(const struct answers *answers, uint32_t number, uint64_t mono_ms)
{
	return mono_ms - recent_last_use(answers->recent, number) >= ANSWERS_IDLE_MS;
}

static struct answers_entry *find(struct answers *answers, struct hash128 key, uint64_t mono_ms)
{
	uint32_t number = recent_find(answers->recent, key);

	if (number == RECENT_NONE)
		return NULL;
	if (is_over(answers, number, mono_ms)) {
		recent_remove(answers->recent, number);
		return NULL;
	}
	recent_touch(answers->recent, number, mono_ms);
	return &answers->entries[number];
}

struct answers_entry *answers_find(
	struct answers *answers, uint32_t process, const struct ip *client, uint64_t mono_ms)
{
	return find(answers, key_of(answers, process, client), mono_ms);
}

struct answers_entry *answers_get(
	struct answers *answers, uint32_t process, const struct ip *client, uint64_t mono_ms)
{
	struct hash128 key = key_of(answers, process, client);
	struct answers_entry *entry = find(answers, key, mono_ms);

	if (entry)
		return entry;
	if (recent_is_full(answers->recent))
		recent_remove(answers->recent, recent_oldest(answers->recent));
	entry = &answers->entries[recent_add(answers->recent, key, mono_ms)];
	*entry = (struct answers_entry){0};
	return entry;
}

void answers_drop(struct answers *answers, uint32_t process, const struct ip *client)
{
	uint32_t number = recent_find(answers->recent, key_of(answers, process, client));

	if (number != RECENT_NONE)
		recent_remove(answers->recent, number);
}

size_t answers_count(const struct answers *answers)
{
	return recent_count(answers->recent);
}

static int hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

uint32_t answers_process(struct slice instance)
{
	struct slice head, tail;
	uint32_t process = 0;

	if (!slice_split(instance, '.', &head, &tail) || head.len > 7)
		return 0;
	for (size_t i = 0; i < head.len; i++) {
		int digit = hex_digit(head.data[i]);

		if (digit < 0)
			return 0;
		process = process << 4 | (uint32_t)digit;
	}
	return process;
}

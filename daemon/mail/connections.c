/* SPDX-License-Identifier: ISC */
/*
 * The entries stand beside a `struct recent`, which finds them and knows
 * their last use. All have the same life time, so the longest unused is always
 * the first to be over: a few of those are cleared away at each addition.
 */
#include "daemon/mail/connections.h"

#include "common/alloc.h"
#include "daemon/mail/recent.h"

#define CLEARED_AT_ONCE 3

struct connections {
	struct recent *recent;
	struct smtp_connection *entries;
};

struct connections *connections_new(size_t max_entries)
{
	struct connections *connections = mem_zalloc(sizeof(*connections));

	connections->recent = recent_new(max_entries);
	connections->entries = mem_zalloc_array(max_entries, sizeof(*connections->entries));
	return connections;
}

void connections_free(struct connections **connections)
{
	if (!*connections)
		return;
	recent_free(&(*connections)->recent);
	free((*connections)->entries);
	mem_free(connections);
}

static bool is_over(const struct connections *connections, uint32_t entry, uint64_t mono_ms)
{
	uint64_t last_use_mono_ms = recent_last_use(connections->recent, entry);

	return mono_ms > last_use_mono_ms && mono_ms - last_use_mono_ms >= CONNECTIONS_IDLE_MS;
}

struct smtp_connection *connections_find(struct connections *connections, struct hash128 key,
					 uint64_t mono_ms)
{
	uint32_t entry = recent_find(connections->recent, key);

	if (entry == RECENT_NONE)
		return NULL;
	if (is_over(connections, entry, mono_ms)) {
		recent_remove(connections->recent, entry);
		return NULL;
	}
	recent_touch(connections->recent, entry, mono_ms);
	return &connections->entries[entry];
}

const struct smtp_connection *connections_peek(const struct connections *connections,
					       struct hash128 key, uint64_t mono_ms)
{
	uint32_t entry = recent_find(connections->recent, key);

	return entry == RECENT_NONE || is_over(connections, entry, mono_ms)
		       ? NULL
		       : &connections->entries[entry];
}

static void make_room(struct connections *connections, uint64_t mono_ms)
{
	struct recent *recent = connections->recent;

	for (unsigned i = 0; i < CLEARED_AT_ONCE && recent_count(recent); i++) {
		if (!is_over(connections, recent_oldest(recent), mono_ms))
			break;
		recent_remove(recent, recent_oldest(recent));
	}
	if (recent_is_full(recent))
		recent_remove(recent, recent_oldest(recent));
}

struct smtp_connection *connections_get(struct connections *connections, struct hash128 key,
					uint64_t mono_ms)
{
	struct smtp_connection *connection = connections_find(connections, key, mono_ms);

	if (connection)
		return connection;
	make_room(connections, mono_ms);
	connection = &connections->entries[recent_add(connections->recent, key, mono_ms)];
	*connection = (struct smtp_connection){ 0 };
	return connection;
}

size_t connections_count(const struct connections *connections)
{
	return recent_count(connections->recent);
}

/* SPDX-License-Identifier: ISC */
/*
 * What a reload cannot change. Compared are the values, not the texts: a default
 * that is now written out is no change.
 */
#include "config/config_parts.h"

static bool same_address(const struct config_address *a, const struct config_address *b)
{
	if (a->is_unix != b->is_unix)
		return false;
	return a->is_unix ? slice_equal(a->path, b->path)
			  : a->port == b->port && ip_equal(&a->ip, &b->ip);
}

static bool same_listen(const struct config *a, const struct config *b)
{
	if (a->listen_count != b->listen_count)
		return false;
	for (size_t i = 0; i < a->listen_count; i++) {
		const struct config_listener *x = &a->listen[i], *y = &b->listen[i];

		if (!same_address(&x->address, &y->address) || x->mode != y->mode ||
			!slice_equal(x->owner, y->owner) || !slice_equal(x->group, y->group) ||
			!slice_equal(x->allow_text, y->allow_text))
			return false;
	}
	return true;
}

static bool same_metrics(const struct config *a, const struct config *b)
{
	if (a->has_metrics != b->has_metrics)
		return false;
	return !a->has_metrics || same_address(&a->metrics, &b->metrics);
}

static bool same_store(const struct config_store *a, const struct config_store *b)
{
	return slice_equal(a->url, b->url) && slice_equal(a->password_file, b->password_file) &&
	       slice_equal(a->prefix, b->prefix) && slice_equal(a->node, b->node) &&
	       a->timeout_ms == b->timeout_ms && a->on_failure == b->on_failure &&
	       a->nodes == b->nodes && !(a->slack < b->slack || a->slack > b->slack) &&
	       a->max_keys == b->max_keys;
}

static bool same_dns(const struct config_dns *a, const struct config_dns *b)
{
	if (a->servers.count != b->servers.count || a->timeout_ms != b->timeout_ms ||
		a->tries != b->tries || a->cache_entries != b->cache_entries)
		return false;
	for (size_t i = 0; i < a->servers.count; i++)
		if (!slice_equal(a->servers.items[i], b->servers.items[i]))
			return false;
	return true;
}

size_t config_restart_needed(
	const struct config *old, const struct config *new, const char *ret_names[static 8])
{
	size_t count = 0;

	if (!same_listen(old, new))
		ret_names[count++] = "listen";
	if (!same_address(&old->control, &new->control))
		ret_names[count++] = "control";
	if (!same_metrics(old, new))
		ret_names[count++] = "metrics";
	if (!same_store(&old->store, &new->store))
		ret_names[count++] = "store";
	if (!same_dns(&old->dns, &new->dns))
		ret_names[count++] = "dns";
	if (old->max_connections != new->max_connections)
		ret_names[count++] = "max_connections";
	return count;
}

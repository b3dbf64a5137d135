/* SPDX-License-Identifier: ISC */
/*
 * The list of bans in memory: found by address in a few memory accesses, ended in order of their
 * time, bounded. Automatic bans that have ended stay for a while as *former* ones, so that the
 * next ban of the same network knows that it is not the first; they are never found, and the
 * first to leave when room is needed. Pure: the wall clock comes in. Who calls decides what a ban
 * is; nothing is reported from here.
 */
#ifndef REEVE_DAEMON_BANS_LIST_H
#define REEVE_DAEMON_BANS_LIST_H

#include "common/hash.h"
#include "daemon/store/store.h"

struct ban_list;

struct ban_list *ban_list_new(struct hash_key key, size_t max_entries)
	__attribute__((returns_nonnull, warn_unused_result));
void ban_list_free(struct ban_list **list);
/* What is too much afterwards is for ban_list_evict(). */
void ban_list_set_max(struct ban_list *list, size_t max_entries);

/* The ban of `ip` that lasts longest; NULL: none. `automatic`: those too, else only the ones
 * made by hand. */
const struct ban *ban_list_find(const struct ban_list *list, const struct ip *ip, uint64_t wall_ms,
				bool automatic);
/* The entry of exactly this network, a former one included; NULL: none. */
const struct ban *ban_list_get(const struct ban_list *list, const struct cidr *network);
/* Adds, or replaces the entry of the same network, and returns it; it is live, whatever its
 * time says. NULL: no room, ban_list_evict() first. */
const struct ban *ban_list_put(struct ban_list *list, const struct ban *ban);
/* Copies it to `ret_ban` if that is not NULL. false: it is not there. */
bool ban_list_remove(struct ban_list *list, const struct cidr *network, struct ban *ret_ban);

/* No room for one more? */
bool ban_list_is_full(const struct ban_list *list);
/* More than the maximum, since that was lowered? */
bool ban_list_is_over(const struct ban_list *list);
/* Takes out the next to leave: the longest ended, else the automatic one that ends first.
 * `ret_was_live` says which. false: only bans made by hand are left. */
bool ban_list_evict(struct ban_list *list, struct ban *ret_ban, bool *ret_was_live);
/* The next ban whose time has come, while there is one: those made by hand are taken out, automatic
 * ones become former. */
bool ban_list_expire(struct ban_list *list, uint64_t wall_ms, struct ban *ret_ban);
/* Takes out the next former one that had ended at `ended_wall_ms`. */
bool ban_list_forget(struct ban_list *list, uint64_t ended_wall_ms, struct ban *ret_ban);

/* Are there `count` live automatic bans of `bits` within an IPv6 network of at least /48? */
bool ban_list_has_within(const struct ban_list *list, const struct cidr *network, unsigned bits,
			 unsigned count);
/* The live ones, in no order. `each` changes nothing. */
void ban_list_each(const struct ban_list *list, void (*each)(void *arg, const struct ban *ban),
		   void *arg);
size_t ban_list_count(const struct ban_list *list); /* live */

#endif

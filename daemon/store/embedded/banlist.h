/* SPDX-License-Identifier: ISC */
/*
 * The bans that the store keeps: by network, in slots whose numbers are the record numbers on
 * disk. Who is banned, and how many at most, is decided elsewhere (daemon/bans/); the bound here
 * only keeps memory in hand.
 */
#ifndef REEVE_DAEMON_STORE_EMBEDDED_BANLIST_H
#define REEVE_DAEMON_STORE_EMBEDDED_BANLIST_H

#include "daemon/store/store.h"

#define BANLIST_NONE UINT32_MAX

struct banlist;

struct banlist *banlist_new(size_t max, struct hash_key key) __attribute__((warn_unused_result));
void banlist_free(struct banlist **list);

/* Adds, or replaces what is kept for the same network. false: the list is full. */
bool banlist_put(struct banlist *list, const struct ban *ban);
void banlist_remove(struct banlist *list, const struct cidr *network);
/* Into that slot, clean, between banlist_new() and banlist_restored(). false: taken, too far, or
 * known. */
bool banlist_restore(struct banlist *list, uint32_t slot, const struct ban *ban)
	__attribute__((warn_unused_result));
void banlist_restored(struct banlist *list);

size_t banlist_count(const struct banlist *list);
/* NULL: the slot is free. */
const struct ban *banlist_at(const struct banlist *list, uint32_t slot);
/* The first slot that is not used and never was; for walking. */
uint32_t banlist_high(const struct banlist *list);

bool banlist_is_dirty(const struct banlist *list);
/* The next dirty slot from `from` on, clean after it; BANLIST_NONE: no more. It may be free by
 * now. */
uint32_t banlist_next_dirty(struct banlist *list, uint32_t from);
void banlist_mark(struct banlist *list, uint32_t slot);

#endif

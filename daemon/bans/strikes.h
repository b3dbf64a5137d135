/* SPDX-License-Identifier: ISC */
/*
 * What was seen of single addresses (or logins) in the last while: counts in sliding windows, in
 * one bounded table. When it is full, the longest unseen leaves, first of those that only ever
 * connected, then of those with strikes, failed or good logins: a flood of fresh addresses does
 * not wash away what is known. Keys are 16 bytes: a network's first address, or a hash. Pure:
 * monotonic time comes in.
 *
 * A window is counted in 30 parts, the running one included, so that a count never holds what is
 * older than the window; it may miss up to a 30th of it.
 */
#ifndef REEVE_DAEMON_BANS_STRIKES_H
#define REEVE_DAEMON_BANS_STRIKES_H

#include <stdint.h>

#include "common/hash.h"
#include "common/ip.h"
#include "common/list.h"

#define STRIKES_PARTS 30

enum strikes_count {
	STRIKES_STRIKES,
	STRIKES_BY_LOG,         /* of these: by what Postfix's log shows */
	STRIKES_SENT,           /* recipients, and failed commands */
	STRIKES_BAD,            /* of these: refused */
	STRIKES_AUTH_FAILURES,
	STRIKES_SHARED,         /* those before it may be counted over several nodes */
	STRIKES_CONNECTIONS = STRIKES_SHARED,
	STRIKES_COUNTS
};

/* Parts hold up to 65535 and stay there. */
struct strikes_window {
	uint64_t newest;                /* number of the newest part */
	uint16_t part[STRIKES_PARTS];
};

/* One address or login. The times are 0: never. */
struct strikes_entry {
	uint64_t good_login_mono_ms;
	uint64_t noticed_mono_ms;       /* last notice about it */
	uint64_t shadow_until_mono_ms;  /* monitor mode: it would be banned until then */
	uint64_t passed_mono_ms;        /* last recipient that passed */
	uint64_t good_login_told_mono_ms;
	uint32_t unshared[STRIKES_SHARED]; /* that other nodes have not heard of */
	uint32_t generation;            /* of what led to a ban, and is forgotten after it */
	/* private */
	struct list node;
	uint64_t seen_mono_ms;
	struct ip key;
	uint32_t number, next;          /* next: number + 1 */
	bool is_notable;
	struct strikes_window windows[STRIKES_COUNTS];
};

struct strikes;

/* `max_entries` is at least 1. */
struct strikes *strikes_new(struct hash_key key, size_t max_entries)
	__attribute__((returns_nonnull, warn_unused_result));
void strikes_free(struct strikes **strikes);
/* A changed window begins empty, in all entries. Entries unseen for the longest window are
 * forgotten by strikes_tick(), notable ones not before `keep_notable_ms`. */
void strikes_set_windows(struct strikes *strikes, const uint64_t window_ms[static STRIKES_COUNTS],
			 uint64_t keep_notable_ms);

/* NULL: nothing is known. Valid until the next strikes_get(), strikes_tick() or
 * strikes_set_windows(). */
struct strikes_entry *strikes_find(struct strikes *strikes, const struct ip *key);
/* Finds or adds. Never NULL. */
struct strikes_entry *strikes_get(struct strikes *strikes, const struct ip *key, uint64_t mono_ms)
	__attribute__((returns_nonnull));
/* Adds `times`. */
void strikes_note(struct strikes *strikes, struct strikes_entry *entry, enum strikes_count what,
		  uint32_t times, uint64_t mono_ms);
/* The same; returns the count with them. */
uint64_t strikes_add(struct strikes *strikes, struct strikes_entry *entry, enum strikes_count what,
		     uint32_t times, uint64_t mono_ms);
uint64_t strikes_sum(const struct strikes *strikes, const struct strikes_entry *entry,
		     enum strikes_count what, uint64_t mono_ms);
void strikes_clear(struct strikes_entry *entry, enum strikes_count what);
/* It has something that must not be lost lightly. */
void strikes_mark_notable(struct strikes *strikes, struct strikes_entry *entry);
/* All of them, in no order. `each` changes nothing. */
void strikes_each(const struct strikes *strikes,
	void (*each)(void *arg, const struct ip *key, const struct strikes_entry *entry), void *arg);
void strikes_tick(struct strikes *strikes, uint64_t mono_ms);
size_t strikes_entries(const struct strikes *strikes);

#endif

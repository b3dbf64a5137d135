/* SPDX-License-Identifier: ISC */
/*
 * What the counters of one limit have in common (the rule's name, what is counted, the window),
 * kept once and known by a small number. A series without counters is forgotten and its number
 * given to another. Names come from the configuration, not from strangers, so their hash needs no
 * key; it stands for the rule in what transactions remember, on disk too.
 */
#ifndef REEVE_DAEMON_COUNTING_SERIES_H
#define REEVE_DAEMON_COUNTING_SERIES_H

#include "daemon/counting/counter.h"

#define SERIES_MAX 8192
#define SERIES_NONE UINT16_MAX
#define SERIES_RULE_BYTES 64

struct series {
	uint64_t window_ms, bucket_ms;
	uint64_t rule_id;
	uint32_t counters; /* how many are in this series; 0: the place is free */
	uint8_t what;      /* enum counter_what */
	uint8_t rule_len;
	char name[SERIES_RULE_BYTES];
};

struct series_set {
	struct series *items; /* SERIES_MAX of room */
	uint16_t *index;      /* open addressing; number + 1, 0: free */
	uint16_t used;        /* places below it may be taken */
};

/* The hash of a rule's name. */
uint64_t series_rule_id(struct slice rule);

void series_init(struct series_set *set);
void series_release(struct series_set *set);

/* SERIES_NONE: there is none. `rule_id` is that of the key's rule. */
uint16_t series_find(const struct series_set *set, const struct counter_key *key, uint64_t rule_id);
/* Finds or adds, with no counters yet: the caller counts up at once. SERIES_NONE: full, or the
 * name is empty or longer than SERIES_RULE_BYTES. */
uint16_t series_get(struct series_set *set, const struct counter_key *key, uint64_t rule_id);
/* One counter fewer. */
void series_drop(struct series_set *set, uint16_t number);

static inline struct slice series_rule(const struct series_set *set, uint16_t number)
{
	return slice_make(set->items[number].name, set->items[number].rule_len);
}

#endif

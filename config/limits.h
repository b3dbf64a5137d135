/* SPDX-License-Identifier: ISC */
/*
 * `limits:` and `limit:` of the rules `rate` and `recipients`: a list in
 * which the first entry that matches decides. An entry has conditions and one or several rates that all hold,
 * or is unlimited, or is a file of lines "subject 500/1h,2000/1d". For `recipients` a limit is a plain number
 * (window_ms 0). And the conditions themselves, which `match` and `except` share.
 */
#ifndef REEVE_CONFIG_LIMITS_H
#define REEVE_CONFIG_LIMITS_H

#include "config/schema.h"

#define CONFIG_MAX_RATES 8         /* windows in one limit */

/* All conditions that are set hold. Unset: list count 0, CONFIG_UNSET, ports_count 0, ... */
struct config_conditions {
	struct config_pos pos;
	enum config_tristate authenticated, client_local, client_privileged, sender_local,
		recipient_local, tls;
	struct config_strings login, client_name, sender, recipient, helo, context;
	struct cidr_set *client;           /* NULL: unset */
	struct cidr_set *client_not;       /* networks with `!` in front; NULL: none */
	struct config_strings server_port; /* numbers, checked */
	unsigned states;                   /* bits 1 << enum policy_state; 0: unset */
	struct { uint64_t bytes; int compare; } size;  /* compare -1 '<', +1 '>', 0 unset */
	bool uses_login;                   /* authenticated or login is set */
};

/* A map is one entry, a list of maps several, one of which holds. count 0: the key was absent. */
struct config_condition_list {
	struct config_conditions *items;
	size_t count;
};

struct config_limit {
	struct config_pos pos;
	struct config_conditions when;     /* nothing set: always */
	struct rate rates[CONFIG_MAX_RATES];
	size_t rate_count;
	bool unlimited;
	bool in_bytes;                     /* a rate was written with a unit of size: only for `count: bytes` */
	uint64_t until_wall_ms;            /* 0: no end */
	struct slice subject;              /* of a line of a file: only this subject; else empty */
};

struct config_limits {
	struct config_limit *items;
	size_t count;
};

#define CONFIG_MIN_WINDOW_MS UINT64_C(1000)
#define CONFIG_MAX_WINDOW_MS (UINT64_C(366) * 24 * 3600 * 1000)
#define CONFIG_MAX_LIMIT_ENTRIES 200000    /* of one rule, lines of files included */

/* A condition whose list was given but came out empty (an empty file, say) must not hold for everybody: it
 * gets an empty `client`, which never holds, and a warning. `[]` written in place is as good as absent,
 * and so is an empty map. */
void config_read_conditions(struct config_reader *reader, const struct config_node *node,
			    struct config_condition_list *ret);
/* `plain`: numbers without a window (rule `recipients`). */
void config_read_limits(struct config_reader *reader, const struct config_node *node, bool plain,
			struct config_limits *ret);
/* `node` is what `limit` holds in an entry: a rate, a list of rates, `unlimited`, or a plain number. */
void config_read_one_limit(struct config_reader *reader, const struct config_node *node, bool plain,
			   struct config_limits *ret);
/* An entry of `limits`: its conditions, and what its `limit` and `until` hold. false: no `limit` (and an error). */
bool config_read_limit_map(struct config_reader *reader, const struct config_node *map,
			   struct config_conditions *ret_when, const struct config_node **ret_limit,
			   uint64_t *ret_until_wall_ms);
/* "200/1h" within the bounds above, or "unlimited". */
bool config_parse_rate(struct slice text, struct rate *ret) __attribute__((warn_unused_result));

#endif

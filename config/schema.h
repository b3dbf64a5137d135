/* SPDX-License-Identifier: ISC */
/*
 * Typed key tables: what a map may hold, how each value is read, and where it
 * goes. One table serves the reader, the defaults, the manual's check and the
 * suggestions for misspelt keys. Checks of rules hand in their own tables.
 */
#ifndef REEVE_CONFIG_SCHEMA_H
#define REEVE_CONFIG_SCHEMA_H

#include <stdint.h>

#include "common/ip.h"
#include "common/list.h"
#include "common/list.h"
#include "common/units.h"
#include "config/tree.h"

enum config_type {
	CONFIG_TYPE_BOOL,          /* bool */
	CONFIG_TYPE_TRISTATE,      /* enum config_tristate; for conditions */
	CONFIG_TYPE_U64,           /* uint64_t, min..max */
	CONFIG_TYPE_DURATION,      /* uint64_t ms, min..max in ms */
	CONFIG_TYPE_SIZE,          /* uint64_t bytes */
	CONFIG_TYPE_PERCENT,       /* unsigned */
	CONFIG_TYPE_DECIMAL,       /* double */
	CONFIG_TYPE_RATE,          /* struct rate; with CONFIG_OR_OFF `off` gives limit 0 */
	CONFIG_TYPE_WORD,          /* int, index into `words` (NULL-terminated) */
	CONFIG_TYPE_TEXT,          /* struct slice */
	CONFIG_TYPE_STRINGS,       /* struct config_strings; `file:` and `list:` resolved; the first word of a file's line */
	CONFIG_TYPE_LINES,         /* struct config_strings; as STRINGS, but whole lines (key and value) */
	CONFIG_TYPE_NETWORKS,      /* struct cidr_set * (owned by the config); sealed and never NULL, even if absent */
	CONFIG_TYPE_DATE,          /* uint64_t wall ms; 0 = never */
	CONFIG_TYPE_LIMITS,        /* struct config_limits; config/limits.h */
	CONFIG_TYPE_NODE           /* const struct config_node *, read by hand; NULL if absent */
};

enum config_tristate { CONFIG_UNSET, CONFIG_NO, CONFIG_YES };

enum config_flag {
	CONFIG_OR_OFF = 1 << 0,    /* `off` is also legal */
	CONFIG_REQUIRED = 1 << 1,
	CONFIG_RESTART = 1 << 2,   /* a change is named as needing a restart */
	CONFIG_RESERVED = 1 << 3,  /* "not yet supported" */
	CONFIG_OR_AUTO = 1 << 4,   /* U64: `auto` is also legal and gives 0 */
	CONFIG_PLAIN_LIMITS = 1 << 5, /* LIMITS: plain numbers without a window (rule `recipients`) */
	CONFIG_ONE_LIMIT = 1 << 6, /* LIMITS: the value is that of `limit` in a list of one entry without conditions:
				    * `limit: 200/1h`, `limit: [200/1h, 1000/1d]`, with PLAIN_LIMITS `limit: 100` */
	CONFIG_MAY_LACK_FILES = 1 << 7 /* LINES: a file that cannot be read is a warning, and told by `incomplete` */
};

/*
 * Keys of one table with the same type and offset are alternatives: one of them may be given, the fallback
 * of the first that has one holds if none is, and CONFIG_REQUIRED on the first asks for any of them. A rule that counts says
 *	{ "limits", CONFIG_TYPE_LIMITS, offsetof(struct options, limits), .flags = CONFIG_REQUIRED },
 *	{ "limit", CONFIG_TYPE_LIMITS, offsetof(struct options, limits), .flags = CONFIG_ONE_LIMIT },
 */

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;             /* into the struct the table describes */
	const char *fallback;      /* default, as one would write it (YAML flow text); NULL: zeroed */
	uint64_t min, max;         /* 0, 0: no bounds */
	const char *const *words;
	unsigned flags;
};

/* One entry of a list, and where it came from (file:, list: or in place). */
struct config_strings {
	struct slice *items;
	struct config_pos *pos;
	size_t count;
	bool incomplete;                      /* with CONFIG_MAY_LACK_FILES: one could not be read */
};

/* What readers need beside the node: memory and the `lists` section. */
struct config_reader {
	struct arena *arena;                  /* of the config; all that is read lives there */
	struct config_errors *errors;
	const struct config_node *lists;      /* NULL: none */
	bool no_files;                        /* text from strangers: `file:` is an error, nothing is opened */
	/* private */
	struct list *owned_sets;              /* cidr sets to free with the config */
	struct config_list *list_items;       /* of `lists`, read once by config_read_lists() */
};

/* Reads `map` (NULL: absent, all defaults) into `*target`, which the caller zeroed. Unknown keys,
 * wrong types and bounds become errors; the rest is read all the same.
 * `what` names the map in messages ("store", "rule hourly"). */
void config_read_map(struct config_reader *reader, const struct config_node *map, const char *what,
		     const struct config_key *keys, size_t key_count, void *target);
/* The same for a map whose keys come from two tables (the common ones of a rule, and its check's). */
void config_read_map2(struct config_reader *reader, const struct config_node *map, const char *what,
		      const struct config_key *keys, size_t key_count, void *target,
		      const struct config_key *more, size_t more_count, void *more_target);
/* As config_read_map(), but keys that stand in no table are passed over. */
void config_read_known(struct config_reader *reader, const struct config_node *map, const char *what,
		       const struct config_key *keys, size_t key_count, void *target);
/* NULL if absent. */
const struct config_node *config_map_get(const struct config_node *map, const char *key);

/* "'name' needs <what>, not '<the node's text>'" (or "not a list" and so on). */
void config_need(const struct config_reader *reader, const struct config_node *node, const char *name,
		 const char *what);
/* The index in `words` (NULL-terminated), or -1 with an error that names them and the nearest. */
int config_read_word(const struct config_reader *reader, const struct config_node *node, const char *name,
		     const char *const *words);

/* What the types STRINGS, LINES and NETWORKS do, for values read by hand (config/strings.c).
 * A scalar is a list of one; nothing at all is an empty list. */
void config_read_strings(struct config_reader *reader, const struct config_node *node, const char *name,
			 struct config_strings *ret);
void config_read_lines(struct config_reader *reader, const struct config_node *node, const char *name,
		       struct config_strings *ret);
/* As config_read_lines(), with CONFIG_MAY_LACK_FILES: others write these files, and mail goes on without them. */
void config_read_maps(struct config_reader *reader, const struct config_node *node, const char *name,
		      struct config_strings *ret);
struct cidr_set *config_read_networks(struct config_reader *reader, const struct config_node *node,
				      const char *name)
	__attribute__((returns_nonnull, warn_unused_result));
/* With `!` in front allowed: those go to `ret_not`. Each is NULL if it has no network. */
void config_read_networks_signed(struct config_reader *reader, const struct config_node *node,
				 const char *name, struct cidr_set **ret, struct cidr_set **ret_not);
/* An empty set that the config owns; add and seal. */
struct cidr_set *config_new_set(struct config_reader *reader)
	__attribute__((returns_nonnull, warn_unused_result));
/* Frees the sets; the list is empty afterwards. */
void config_free_sets(struct list *owned_sets);
/* Reads and checks the section `lists`; call it before all else that may use it. */
void config_read_lists(struct config_reader *reader, const struct config_node *lists);
/* After all else was read: what is wrong with lists that nobody has used. */
void config_check_lists(struct config_reader *reader);
/* The lines of a `file:` entry (without comments and empty ones; a line that begins with a blank continues the
 * one before, as in Postfix's maps), or the entry itself, or those of a list. */
void config_read_entry(struct config_reader *reader, const struct config_node *entry, const char *name,
		       struct config_strings *ret_lines);

#endif

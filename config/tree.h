/* SPDX-License-Identifier: ISC */
/*
 * A YAML document as a tree with positions. All scalars stay text: no type is
 * guessed from their looks. Made by config/yaml.c from libyaml's events, which stops at
 * depth 32, aliases, anchors, tags, merge keys, duplicate keys, a second document and 1 MiB.
 * The tree lives in the arena that was handed in; its texts too.
 */
#ifndef REEVE_CONFIG_TREE_H
#define REEVE_CONFIG_TREE_H

#include "common/arena.h"
#include "common/slice.h"
#include "config/errors.h"

enum config_kind { CONFIG_SCALAR, CONFIG_LIST, CONFIG_MAP };

struct config_node {
	enum config_kind kind;
	struct config_pos pos;
	struct slice text;             /* SCALAR; NUL-terminated besides */
	bool quoted;                   /* SCALAR in quotes: "" is a text, nothing at all is not */
	size_t count;                  /* LIST, MAP */
	struct config_node **items;    /* LIST: count items. MAP: count values ... */
	struct config_node **keys;     /* ... and their keys (scalars) */
};

#define CONFIG_MAX_FILE_BYTES (1024 * 1024)
#define CONFIG_MAX_DEPTH 32

/* NULL: errors has at least one line. An empty file is an empty map. `file` is copied into the arena.
 * With duplicate keys the tree comes back without the later ones, and errors tells them: the caller
 * can go on and find what else is wrong, but must fail in the end. */
struct config_node *config_tree_parse(const char *file, struct slice text, struct arena *arena,
				      struct config_errors *errors)
	__attribute__((warn_unused_result));
/* Reads the file (1 MiB at most; a pipe will do) and parses it. */
struct config_node *config_tree_load(const char *file, struct arena *arena,
				     struct config_errors *errors)
	__attribute__((warn_unused_result));

/* A key with nothing behind it: empty and not quoted. */
static inline bool config_node_is_empty(const struct config_node *node)
{
	return node->kind == CONFIG_SCALAR && node->text.len == 0 && !node->quoted;
}

#endif

/* SPDX-License-Identifier: ISC */
/*
 * What cannot be read from a configuration and has to be tried: lookups in Postfix's maps, lines of files, who may
 * enter a folder, which addresses this host has. A table of functions, so that all who judge stay pure; the real
 * ones are in probe_real.c.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_PROBE_H
#define REEVE_DAEMON_CTL_POSTFIX_PROBE_H

#include "common/ip.h"
#include "daemon/ctl/postfix/text.h"

enum probe_answer { PROBE_NOT_FOUND, PROBE_FOUND, PROBE_FAILED };

enum probe_access {
	PROBE_REACHED,
	PROBE_MISSING,  /* the folder is open, but nothing is there: Reeve may not be running */
	PROBE_NO_FOLDER,
	PROBE_CLOSED,   /* `*ret_where` may not be entered, or the socket not written */
	PROBE_UNKNOWN   /* no such user, or not ours to look at */
};

struct probe {
	void *context;
	/* One key in one map, as Postfix looks: postmap -q. `*ret_value` only for PROBE_FOUND; in `arena`. */
	enum probe_answer (*look_up)(void *context, struct arena *arena, struct slice map, struct slice key,
				     struct slice *ret_value);
	/* Which of `keys` are there: one call for all. Values are not told. false: the map cannot be asked. */
	bool (*look_up_all)(void *context, struct arena *arena, struct slice map, const struct text_list *keys,
			    struct text_list *ret_found);
	/* All keys of a map; false: maps of this type cannot be listed. */
	bool (*list_keys)(void *context, struct arena *arena, struct slice map, struct text_list *ret_keys);
	/* The lines of a file without comments and empty ones; false: not readable. */
	bool (*read_lines)(void *context, struct arena *arena, struct slice path, struct text_list *ret_lines);
	/* May `user`, with its own group and no other, connect to this unix socket? */
	enum probe_access (*reach)(void *context, struct arena *arena, struct slice path, struct slice user,
				   struct slice *ret_where);
	/* Addresses of this host's interfaces. */
	const struct ip *own;
	size_t own_count;
};

#endif

/* SPDX-License-Identifier: ISC */
/*
 * What a configuration of Reeve asks of Postfix: where to ask, how long to wait, which rules need something that only
 * Postfix can do. Pure; lives in the arena that was handed in and points into the configuration.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_WANT_H
#define REEVE_DAEMON_CTL_POSTFIX_WANT_H

#include "config/config.h"
#include "daemon/ctl/postfix/text.h"

struct want {
	const struct config *config;
	bool enforce;              /* not `mode: monitor` */

	struct text_list sockets;  /* all of `listen`, in every form in which Postfix may write them */
	struct slice socket;       /* the one to write: a unix socket in the queue first, then loopback */
	struct slice socket_path;  /* its path, if it is a unix socket; else empty */
	unsigned timeout_s;        /* of a question */

	bool has_limits;           /* a rate rule that is not off */
	bool settles;              /* not `settle: none` */
	bool has_ptr;              /* a ptr rule that is not off */
	bool has_early;            /* a rule with `early: yes` */
	bool has_literals;         /* an address_literal rule that is not off */
	bool has_catchall;         /* a catchall rule that is not off ... */
	bool catchall_has_maps;    /* ... with something in `maps` */
	struct slice catchall_context; /* "context:NAME" there: the policy_context by which Postfix tells; else empty */

	struct text_list catchall_keys; /* "@example.com" as far as its maps hold them */

	uint64_t max_recipients;   /* the highest limit of the `recipients` rules that refuse; 0: none, or unlimited */
	uint64_t hard_errors;      /* bans.disconnect_at, where it is enforced; 0: none */
	struct text_list helo_names;   /* of the helo rules that refuse without conditions; negated ones with their `!` */
	struct text_list helo_skipped; /* rules that cannot be told to Postfix */
	struct ip *literals;       /* site.addresses and `accept` as far as they are single addresses */
	size_t literal_count;
	struct slice banner;       /* %LOCALDOMAIN% filled in */
	bool banner_has_time;      /* %TIME% was there, and left out */
};

/* `queue_directory` is Postfix's. */
void want_read(struct arena *arena, const struct config *config, struct slice queue_directory,
	       struct want *ret_want);

#endif

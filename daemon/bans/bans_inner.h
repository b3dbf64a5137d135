/* SPDX-License-Identifier: ISC */
/*
 * What bans.c (the list, and the making of bans) and seen.c (what is seen of addresses) share.
 * Nobody else includes this.
 */
#ifndef REEVE_DAEMON_BANS_BANS_INNER_H
#define REEVE_DAEMON_BANS_BANS_INNER_H

#include "daemon/bans/bans.h"
#include "daemon/bans/brake.h"
#include "daemon/bans/list.h"
#include "daemon/bans/protect.h"
#include "daemon/bans/strikes.h"
#include "daemon/bans/traffic.h"

struct bans {
	struct hash_key key;
	struct bans_sink *sink;
	struct bans_share *share;       /* NULL: alone */
	struct config *config;          /* NULL before bans_configure() */
	int mode;                       /* enum config_mode, with the top one folded in */
	struct ban_list *list;
	struct strikes *addresses, *logins;
	struct answers *answers;        /* NULL: bans.maillog is off */
	struct traffic traffic;         /* everybody's */
	struct brake brake;
	struct cidr_set *protected;     /* NULL before bans_configure() */
	struct {                        /* the last answer of bans_is_protected() */
		struct ip ip;
		bool is_known, is_protected;
	} memo;
};

void bans_tell(const struct bans *bans, enum bans_event_kind kind, const struct ban *ban,
	       uint64_t count, const char *why, struct clock_now now);
/* An automatic ban as it would be; `times` and length follow from the one before. */
void bans_make(const struct bans *bans, const struct cidr *network, struct slice reason,
	       struct clock_now now, struct ban *ret_ban);
/* An automatic ban of the network of `ip`, after all that speaks for the address has been asked. */
void bans_impose(struct bans *bans, struct strikes_entry *entry, const struct ip *ip,
		 const struct ban *ban, uint64_t count, const char *why, struct clock_now now);

/* What led to a ban is used up, here and on other nodes. */
void bans_use_up(struct bans *bans, struct strikes_entry *entry, const struct ip *unit,
		 struct clock_now now);
void bans_use_up_here(struct strikes_entry *entry);

/* ---- share.c */
enum bans_share_event { SHARE_NO_ANSWER, SHARE_STRIKE, SHARE_AUTH_FAILURE, SHARE_LOGIN };
/* What the entry has that other nodes have not heard of. true: bans_struck() will be called. */
bool bans_share_address(struct bans *bans, struct strikes_entry *entry, const struct ip *unit,
			enum bans_share_event event, const struct ip *ip, struct slice why,
			struct clock_now now);
bool bans_share_login(struct bans *bans, struct strikes_entry *entry, struct slice login,
		      struct clock_now now);
void bans_share_good_login(struct bans *bans, struct strikes_entry *entry, const struct ip *unit,
			   struct clock_now now);
void bans_share_forget(struct bans *bans, const struct ip *unit, struct clock_now now);

#endif

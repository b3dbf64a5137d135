/* SPDX-License-Identifier: ISC */
/*
 * Who is refused for a while, and how one gets there: strikes over connections
 * (bans/strikes.h), the list of bans (bans/list.h) and the storm brake, behind one door.
 * Pure: `now` comes in, what happened goes out through struct bans_sink, which may
 * not call back into this module. Only connection addresses and logins are ever counted, never
 * names that a client can choose.
 */
#ifndef REEVE_DAEMON_BANS_BANS_H
#define REEVE_DAEMON_BANS_BANS_H

#include "common/clock.h"
#include "common/hash.h"
#include "config/config.h"
#include "daemon/bans/evidence.h"
#include "daemon/store/store.h"

enum bans_event_kind {
	BANS_BANNED,            /* put on the list (enforce) */
	BANS_WOULD_BAN,         /* bans.mode: monitor */
	BANS_EXTENDED,          /* by hand, or again while it was listed */
	BANS_REMOVED,
	BANS_STORM_BEGIN,       /* more than max_per_minute: automatic bans stop */
	BANS_STORM_END,
	BANS_SPARED,            /* enough was seen, but something spoke for it; once an hour per address */
	BANS_LOGIN_ALARM,       /* login_strikes reached; once per window and login */
	BANS_ENDED              /* an automatic one: its time is over; it is still remembered */
};

struct bans_event {
	enum bans_event_kind kind;
	const struct ban *ban;  /* BANNED, WOULD_BAN, EXTENDED, REMOVED, ENDED, SPARED */
	struct slice login;     /* LOGIN_ALARM */
	uint64_t count;         /* strikes, bans of the storm */
	/* A static word. BANNED, WOULD_BAN, EXTENDED: "strikes", "disconnect",
	 * "auth_failures", "by_hand". SPARED: "bad_share", "max_share", "good_login",
	 * "protected" (only for what the log shows). REMOVED: "removed" (by
	 * hand), "protected" (by a reload), "full", "expired" (made by hand, its time is
	 * over), "forgotten". ENDED: "expired". An automatic ban that has ended is remembered for
	 * bans.max_duration, because another one soon after lasts longer, and then "forgotten".
	 * So what is kept on BANNED and EXTENDED and dropped on REMOVED is what
	 * bans_restore() wants to see. */
	const char *why;
};

struct bans_sink {
	void (*event)(struct bans_sink *sink, const struct bans_event *event, struct clock_now now);
};

struct bans;

struct bans *bans_new(struct hash_key key, struct bans_sink *sink)
	__attribute__((warn_unused_result));
void bans_free(struct bans **bans);
/* At start and after each reload; strikes and bans stay. Automatic bans that now hit a
 * protected network (local, privileged, own addresses, bans.never) end. `config` is referenced
 * until the next call. Call it before all else. The mode at the top is folded into bans.mode. */
void bans_configure(struct bans *bans, struct config *config, struct clock_now now);

/* The longest-lasting live ban that covers this address; NULL: none. Under 200 ns with 100,000
 * bans. Valid until the next call. Expired ones are dropped by bans_tick(), and never answered
 * before. Automatic ones are answered in mode enforce only. */
const struct ban *bans_find(const struct bans *bans, const struct ip *ip, struct clock_now now);
/* Is the address one that is never banned automatically? */
bool bans_is_protected(const struct bans *bans, const struct ip *ip);

/* What was seen of an address; `bad` of a recipient: refused with a strike. Protected
 * addresses are passed over. */
void bans_note_connection(struct bans *bans, const struct ip *ip, struct clock_now now);
void bans_note_recipient(struct bans *bans, const struct ip *ip, bool bad, struct clock_now now);
/* A recipient of this client passed all rules. */
void bans_note_passed(struct bans *bans, const struct ip *ip, struct clock_now now);
/* Who had recipients pass in the last hour, and would be hit by a ban of `network`; an IPv6 client by
 * its bans.ipv6_prefix. Protected addresses are not looked at, and with bans.mode off nobody is. Goes
 * through all that is known: for a person's question. */
struct bans_hit {
	struct cidr network;
	uint64_t connections;   /* in the last hour */
	uint64_t passed_ms;     /* since the last recipient that passed */
};
void bans_each_hit(const struct bans *bans, const struct cidr *network, struct clock_now now,
		   void (*each)(void *arg, const struct bans_hit *hit), void *arg);
/* A strike outside authenticated sessions. `why` (static or checked ASCII) becomes the ban's
 * reason. */
void bans_strike(struct bans *bans, const struct ip *ip, struct slice why, struct clock_now now);
/* disconnect_at was reached in one connection; bans at once if on_disconnect says so. */
void bans_disconnected(struct bans *bans, const struct ip *ip, struct slice why,
		       struct clock_now now);
void bans_strike_login(struct bans *bans, struct slice login, struct clock_now now);
/* From the log follower. */
void bans_auth_failure(struct bans *bans, const struct ip *ip, struct clock_now now);
void bans_auth_success(struct bans *bans, const struct ip *ip, struct clock_now now);

/* What Reeve answered, so that bans_session() can tell it apart. Nothing happens while bans.maillog is off. */
enum bans_answer_kind {
	BANS_ASKED,             /* a new SMTP connection, or nothing to speak of */
	BANS_PASSED_RECIPIENT,  /* each once */
	BANS_REFUSED_RECIPIENT,
	BANS_REFUSED_COMMAND,
	BANS_REFUSED_CONNECTION /* at CONNECT */
};
struct bans_answer {
	enum bans_answer_kind kind;
	uint32_t process;       /* answers_process() of `instance`; 0: Postfix did not say */
	struct ip client;
	bool temporary;         /* a refusal with 4xx */
	bool struck;
};
void bans_note_answer(struct bans *bans, const struct bans_answer *answer, struct clock_now now);
/* From the log follower: an SMTP connection is over. What others refused in it for good is a strike each, failed
 * logins count as such, and where they reach disconnect_at, or Postfix cut the connection off after at least
 * three, bans_disconnected() follows. What Reeve refused itself is left out. An address with a
 * good login in the last trust_login is spared what only the log shows. `ret_evidence`: what counted. */
void bans_session(struct bans *bans, const struct bans_session *session, struct clock_now now,
		  struct evidence *ret_evidence);

enum bans_add { BANS_ADDED, BANS_ADD_PROTECTED, BANS_ADD_TOO_WIDE, BANS_ADD_FULL };
/* By hand. Too wide: under /16 (IPv4), /32 (IPv6). Protected: it overlaps a protected network
 * and not `force`. */
enum bans_add bans_add(struct bans *bans, const struct cidr *network, uint64_t until_wall_ms,
		       struct slice by, struct slice reason, bool force, struct clock_now now)
	__attribute__((warn_unused_result));
/* false: it was not listed. */
bool bans_remove(struct bans *bans, const struct cidr *network, struct clock_now now);
/* From the store, at start or when another node made or changed it: no events, no brake; absurd ones are dropped (false). */
bool bans_restore(struct bans *bans, const struct ban *ban, struct clock_now now);
/* The store has it no longer, since another node took it off: no event. It may not be known. */
void bans_forget(struct bans *bans, const struct cidr *network);

/* Where several nodes see parts of what an address does: strikes go out as they are seen, and what all
 * nodes saw comes back to bans_struck(), where the node that hears of enough bans. While that cannot
 * be asked, each node judges by what it saw itself. */
struct bans_share {
	/* As in struct store_ops. */
	bool (*strike)(struct bans_share *share, const struct store_strikes *strikes,
		       struct clock_now now);
};
/* NULL, as at first: this node is alone. */
void bans_set_share(struct bans *bans, struct bans_share *share);
/* As in struct store_watcher. */
void bans_struck(struct bans *bans, const struct store_strikes *asked,
		 const struct store_totals *totals, struct clock_now now);
void bans_each(const struct bans *bans, void (*each)(void *arg, const struct ban *), void *arg);
size_t bans_count(const struct bans *bans);
bool bans_in_storm(const struct bans *bans);
/* About once a second. */
void bans_tick(struct bans *bans, struct clock_now now);

#endif

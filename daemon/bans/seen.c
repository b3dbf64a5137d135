/* SPDX-License-Identifier: ISC */
/*
 * What is seen of addresses and logins, and whether that is enough for a ban: strikes over
 * connections, one bad connection, failed logins, and what speaks for an address. The ban itself is
 * made in bans.c.
 */
#include "daemon/bans/bans_inner.h"

#define HOUR_MS UINT64_C(3600000)

/* max_share is looked at from so many connections an hour on. */
#define MIN_TRAFFIC 1000

/* Under stress Postfix cuts off at the first error, so that alone says little. */
#define HARD_LIMIT_FAILURES 3

/* What Reeve's rules did not see. */
#define LOG_REASON SLICE("failed commands and recipients")

static struct cidr unit_of(const struct bans *bans, const struct ip *ip)
{
	return ip_network(ip, 32, (unsigned)bans->config->bans.ipv6_prefix);
}

/* One request asks about its client several times. */
static bool is_protected(struct bans *bans, const struct ip *ip)
{
	if (!bans->memo.is_known || !ip_equal(&bans->memo.ip, ip)) {
		bans->memo.ip = *ip;
		bans->memo.is_protected = bans_is_protected(bans, ip);
		bans->memo.is_known = true;
	}
	return bans->memo.is_protected;
}

/* NULL: nothing is counted of this address. */
static struct strikes_entry *watched(struct bans *bans, const struct ip *ip, struct clock_now now)
{
	struct cidr unit;

	if (bans->mode == CONFIG_OFF || is_protected(bans, ip))
		return NULL;
	unit = unit_of(bans, ip);
	return strikes_get(bans->addresses, &unit.ip, now.mono_ms);
}

static bool is_shadowed(const struct strikes_entry *entry, struct clock_now now)
{
	return entry->shadow_until_mono_ms > now.mono_ms;
}

void bans_note_connection(struct bans *bans, const struct ip *ip, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, ip, now);

	traffic_add(&bans->traffic, now.mono_ms);
	if (entry)
		strikes_note(bans->addresses, entry, STRIKES_CONNECTIONS, 1, now.mono_ms);
}

void bans_note_recipient(struct bans *bans, const struct ip *ip, bool bad, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, ip, now);

	if (!entry || !bans->config->bans.ban_at.limit)
		return;
	strikes_note(bans->addresses, entry, STRIKES_SENT, 1, now.mono_ms);
	if (bad)
		strikes_note(bans->addresses, entry, STRIKES_BAD, 1, now.mono_ms);
}

void bans_note_passed(struct bans *bans, const struct ip *ip, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, ip, now);

	if (entry)
		entry->passed_mono_ms = now.mono_ms ? now.mono_ms : 1;
}

struct hits {
	const struct bans *bans;
	const struct cidr *network;
	struct clock_now now;
	void (*each)(void *arg, const struct bans_hit *hit);
	void *arg;
};

static void look_at_hit(void *arg, const struct ip *key, const struct strikes_entry *entry)
{
	const struct hits *hits = arg;
	struct bans_hit hit = { .network = unit_of(hits->bans, key) };

	if (!entry->passed_mono_ms || !cidr_overlaps(hits->network, &hit.network))
		return;
	hit.passed_ms = hits->now.mono_ms - entry->passed_mono_ms;
	if (hit.passed_ms >= HOUR_MS)
		return;
	hit.connections = strikes_sum(hits->bans->addresses, entry, STRIKES_CONNECTIONS,
				      hits->now.mono_ms);
	hits->each(hits->arg, &hit);
}

void bans_each_hit(const struct bans *bans, const struct cidr *network, struct clock_now now,
		   void (*each)(void *arg, const struct bans_hit *hit), void *arg)
{
	struct hits hits = { bans, network, now, each, arg };

	if (bans->config)
		strikes_each(bans->addresses, look_at_hit, &hits);
}

static bool is_trusted(const struct bans *bans, const struct strikes_entry *entry,
		       struct clock_now now)
{
	return entry->good_login_mono_ms &&
	       now.mono_ms - entry->good_login_mono_ms < bans->config->bans.trust_login_ms;
}

/* What an address is judged by: seen by this node, or by all of them. */
static void tally_own(const struct bans *bans, const struct strikes_entry *entry,
		      struct clock_now now, struct store_totals *ret)
{
	for (int what = 0; what < STRIKES_SHARED; what++)
		ret->count[what] = strikes_sum(bans->addresses, entry, (enum strikes_count)what,
					       now.mono_ms);
	ret->good_login = is_trusted(bans, entry, now);
}

/* Reeve's own rules alone would not have been enough. */
static bool is_by_log(const struct bans *bans, const struct store_totals *tally)
{
	return tally->count[STRIKES_STRIKES] <
	       bans->config->bans.ban_at.limit + tally->count[STRIKES_BY_LOG];
}

/* Why an address with enough strikes is let off; NULL: it is not. */
static const char *mercy(const struct bans *bans, const struct strikes_entry *entry,
			 const struct store_totals *tally, struct clock_now now)
{
	const struct config_bans *config = &bans->config->bans;
	uint64_t all = traffic_sum(&bans->traffic, now.mono_ms), own;

	if (tally->count[STRIKES_BAD] * 100 < tally->count[STRIKES_SENT] * config->min_bad_share)
		return "bad_share";
	if (tally->good_login && is_by_log(bans, tally))
		return "good_login";
	own = strikes_sum(bans->addresses, entry, STRIKES_CONNECTIONS, now.mono_ms);
	if (all >= MIN_TRAFFIC && own * 100 > all * config->max_share)
		return "max_share";
	return NULL;
}

static void spare(const struct bans *bans, struct strikes_entry *entry, const struct ban *ban,
		  uint64_t count, const char *why, struct clock_now now)
{
	if (entry->noticed_mono_ms && now.mono_ms - entry->noticed_mono_ms < HOUR_MS)
		return;
	entry->noticed_mono_ms = now.mono_ms ? now.mono_ms : 1;
	bans_tell(bans, BANS_SPARED, ban, count, why, now);
}

/* `ret_ban` as it would be. */
static void ban_of(const struct bans *bans, const struct ip *ip, struct slice why,
		   struct clock_now now, struct ban *ret_ban)
{
	struct cidr unit = unit_of(bans, ip);

	bans_make(bans, &unit, why, now, ret_ban);
}

/* Is that enough? true: it was banned, or would have been. */
static bool judge(struct bans *bans, struct strikes_entry *entry, const struct ip *ip,
		  const struct store_totals *tally, struct slice why, struct clock_now now)
{
	uint64_t strikes = tally->count[STRIKES_STRIKES], limit = bans->config->bans.ban_at.limit;
	const char *mercy_why;
	struct ban ban;

	if (!limit || strikes < limit || is_shadowed(entry, now))
		return false;
	ban_of(bans, ip, why, now, &ban);
	mercy_why = mercy(bans, entry, tally, now);
	if (mercy_why)
		spare(bans, entry, &ban, strikes, mercy_why, now);
	else
		bans_impose(bans, entry, ip, &ban, strikes, "strikes", now);
	return !mercy_why;
}

/* Judged at once, or when all nodes' strikes are known. true: it was banned at once. */
static bool weigh_strikes(struct bans *bans, struct strikes_entry *entry, const struct ip *ip,
			  struct slice why, struct clock_now now)
{
	struct cidr unit = unit_of(bans, ip);
	struct store_totals tally;

	if (bans_share_address(bans, entry, &unit.ip, SHARE_STRIKE, ip, why, now))
		return false;
	tally_own(bans, entry, now, &tally);
	return judge(bans, entry, ip, &tally, why, now);
}

void bans_strike(struct bans *bans, const struct ip *ip, struct slice why, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, ip, now);

	if (!entry || !bans->config->bans.ban_at.limit)
		return;
	strikes_mark_notable(bans->addresses, entry);
	strikes_note(bans->addresses, entry, STRIKES_STRIKES, 1, now.mono_ms);
	(void)weigh_strikes(bans, entry, ip, why, now);
}

void bans_disconnected(struct bans *bans, const struct ip *ip, struct slice why,
		       struct clock_now now)
{
	struct strikes_entry *entry;
	struct ban ban;

	if (!bans->config || !bans->config->bans.on_disconnect)
		return;
	entry = watched(bans, ip, now);
	if (!entry || is_shadowed(entry, now))
		return;
	strikes_mark_notable(bans->addresses, entry);
	ban_of(bans, ip, why, now, &ban);
	bans_impose(bans, entry, ip, &ban, bans->config->bans.disconnect_at, "disconnect", now);
}

static void judge_logins(struct bans *bans, struct strikes_entry *entry, const struct ip *ip,
			 const struct store_totals *tally, struct clock_now now)
{
	uint64_t count = tally->count[STRIKES_AUTH_FAILURES];
	uint64_t limit = bans->config->bans.auth_failures.limit;
	struct ban ban;

	if (!limit || count < limit || is_shadowed(entry, now))
		return;
	ban_of(bans, ip, SLICE("failed logins"), now, &ban);
	if (tally->good_login)
		spare(bans, entry, &ban, count, "good_login", now);
	else
		bans_impose(bans, entry, ip, &ban, count, "auth_failures", now);
}

static void add_auth_failures(struct bans *bans, const struct ip *ip, uint32_t failures,
			      struct clock_now now)
{
	struct strikes_entry *entry = failures ? watched(bans, ip, now) : NULL;
	struct store_totals tally;
	struct cidr unit;

	if (!entry || !bans->config->bans.auth_failures.limit)
		return;
	unit = unit_of(bans, ip);
	strikes_mark_notable(bans->addresses, entry);
	strikes_note(bans->addresses, entry, STRIKES_AUTH_FAILURES, failures, now.mono_ms);
	if (bans_share_address(bans, entry, &unit.ip, SHARE_AUTH_FAILURE, ip, SLICE_EMPTY, now))
		return;
	tally_own(bans, entry, now, &tally);
	judge_logins(bans, entry, ip, &tally, now);
}

void bans_auth_failure(struct bans *bans, const struct ip *ip, struct clock_now now)
{
	add_auth_failures(bans, ip, 1, now);
}

void bans_auth_success(struct bans *bans, const struct ip *ip, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, ip, now);
	struct cidr unit;

	if (!entry)
		return;
	strikes_mark_notable(bans->addresses, entry);
	entry->good_login_mono_ms = now.mono_ms ? now.mono_ms : 1;
	unit = unit_of(bans, ip);
	bans_share_good_login(bans, entry, &unit.ip, now);
}

static struct strikes_entry *login_entry(struct bans *bans, struct slice login,
					 struct clock_now now)
{
	struct hash128 hash = hash128(&bans->key, login);
	struct ip key;

	memcpy(key.bytes, &hash, sizeof(key.bytes));
	return strikes_get(bans->logins, &key, now.mono_ms);
}

static void judge_login(struct bans *bans, struct strikes_entry *entry, struct slice login,
			uint64_t count, struct clock_now now)
{
	const struct rate *limit = &bans->config->bans.login_strikes;
	struct bans_event event = {
		.kind = BANS_LOGIN_ALARM, .login = login, .count = count, .why = "login_strikes",
	};

	if (!limit->limit || count < limit->limit ||
	    (entry->noticed_mono_ms && now.mono_ms - entry->noticed_mono_ms < limit->window_ms))
		return;
	strikes_mark_notable(bans->logins, entry);
	entry->noticed_mono_ms = now.mono_ms ? now.mono_ms : 1;
	if (bans->sink)
		bans->sink->event(bans->sink, &event, now);
}

static void strike_login(struct bans *bans, struct slice login, uint32_t strikes,
			 struct clock_now now)
{
	struct strikes_entry *entry;
	uint64_t count;

	if (bans->mode == CONFIG_OFF || !bans->config->bans.login_strikes.limit)
		return;
	entry = login_entry(bans, login, now);
	count = strikes_add(bans->logins, entry, STRIKES_STRIKES, strikes, now.mono_ms);
	if (!bans_share_login(bans, entry, login, now))
		judge_login(bans, entry, login, count, now);
}

void bans_strike_login(struct bans *bans, struct slice login, struct clock_now now)
{
	strike_login(bans, login, 1, now);
}

/* ---- what all nodes saw */

static void struck_login(struct bans *bans, const struct store_strikes *asked,
			 const struct store_totals *totals, struct clock_now now)
{
	struct slice login = slice_of(asked->reason);
	struct strikes_entry *entry = login_entry(bans, login, now);

	judge_login(bans, entry, login,
		    totals ? totals->count[STRIKES_STRIKES]
			   : strikes_sum(bans->logins, entry, STRIKES_STRIKES, now.mono_ms),
		    now);
}

/* An answer to what was asked before a ban counts what led to that ban. */
static void struck_address(struct bans *bans, const struct store_strikes *asked,
			   const struct store_totals *totals, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, &asked->ip, now);
	struct store_totals tally;

	if (!entry || entry->generation != asked->generation)
		return;
	tally_own(bans, entry, now, &tally);
	if (totals) {
		memcpy(tally.count, totals->count, sizeof(tally.count));
		tally.good_login = tally.good_login || totals->good_login;
	}
	if (asked->event == SHARE_AUTH_FAILURE)
		judge_logins(bans, entry, &asked->ip, &tally, now);
	else
		(void)judge(bans, entry, &asked->ip, &tally, slice_of(asked->reason), now);
}

void bans_struck(struct bans *bans, const struct store_strikes *asked,
		 const struct store_totals *totals, struct clock_now now)
{
	if (bans->mode == CONFIG_OFF)
		return;
	if (asked->event == SHARE_LOGIN)
		struck_login(bans, asked, totals, now);
	else
		struck_address(bans, asked, totals, now);
}

/* ---- what Postfix's log shows */

void bans_note_answer(struct bans *bans, const struct bans_answer *answer, struct clock_now now)
{
	struct answers_entry *entry;

	if (!bans->answers)
		return;
	entry = answers_get(bans->answers, answer->process, &answer->client, now.mono_ms);
	entry->asked = true;
	entry->strikes += answer->struck;
	switch (answer->kind) {
	case BANS_ASKED:
		break;
	case BANS_PASSED_RECIPIENT:
		entry->recipients++;
		break;
	case BANS_REFUSED_RECIPIENT:
		entry->recipients++;
		entry->refused_recipients[answer->temporary]++;
		break;
	case BANS_REFUSED_CONNECTION:
		entry->refused_connection = true;
		break;
	case BANS_REFUSED_COMMAND:
		entry->refused_commands[answer->temporary]++;
		break;
	}
}

/* The connection was one that disconnect_at is about, and nobody has said so yet. */
static bool reached_the_limit(const struct config_bans *config, const struct bans_session *session,
			      const struct evidence *evidence, const struct answers_entry *own)
{
	if (config->disconnect_at == 0 || (own && own->strikes >= config->disconnect_at))
		return false;
	if (session->too_many_errors && evidence->in_connection >= HARD_LIMIT_FAILURES)
		return true;
	/* Which failures came before the message that forgave them is not known. */
	return !session->message_passed && evidence->in_connection >= config->disconnect_at;
}

/* A protected address: nothing follows, but the postmaster should know. */
static void tell_of_protected(struct bans *bans, const struct ip *ip, uint32_t failures,
			      struct clock_now now)
{
	struct cidr unit = unit_of(bans, ip);
	struct strikes_entry *entry = strikes_get(bans->addresses, &unit.ip, now.mono_ms);
	uint64_t count = strikes_add(bans->addresses, entry, STRIKES_STRIKES, failures, now.mono_ms);
	struct ban ban;

	if (!bans->config->bans.ban_at.limit || count < bans->config->bans.ban_at.limit)
		return;
	bans_make(bans, &unit, LOG_REASON, now, &ban);
	spare(bans, entry, &ban, count, "protected", now);
}

static void charge_address(struct bans *bans, const struct bans_session *session,
			   const struct evidence *evidence, bool reached_limit, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, &session->client, now);
	uint32_t failures = evidence->recipients + evidence->commands;
	bool banned = false;
	struct ban ban;

	if (!entry)
		return;
	strikes_add(bans->addresses, entry, STRIKES_SENT,
		    evidence->unasked_recipients + evidence->commands, now.mono_ms);
	if (failures && bans->config->bans.ban_at.limit) {
		strikes_mark_notable(bans->addresses, entry);
		strikes_add(bans->addresses, entry, STRIKES_BAD, failures, now.mono_ms);
		strikes_add(bans->addresses, entry, STRIKES_BY_LOG, failures, now.mono_ms);
		strikes_note(bans->addresses, entry, STRIKES_STRIKES, failures, now.mono_ms);
		banned = weigh_strikes(bans, entry, &session->client, LOG_REASON, now);
	}
	if (!reached_limit || banned || !bans->config->bans.on_disconnect)
		return;
	ban_of(bans, &session->client, LOG_REASON, now, &ban);
	if (is_trusted(bans, entry, now))
		spare(bans, entry, &ban, evidence->in_connection, "good_login", now);
	else
		bans_disconnected(bans, &session->client, LOG_REASON, now);
}

static void weigh(struct bans *bans, const struct bans_session *session, struct clock_now now,
		  struct evidence *ret_evidence, bool *ret_reached_limit)
{
	struct answers_entry *own = answers_find(bans->answers, session->process, &session->client,
						 now.mono_ms);
	struct answers_entry *pool =
		answers_find(bans->answers, 0, &session->client, now.mono_ms);

	if (!own && !pool)
		bans_note_connection(bans, &session->client, now);
	evidence_weigh(session, own, pool, ret_evidence);
	*ret_reached_limit = reached_the_limit(&bans->config->bans, session, ret_evidence, own);
	answers_drop(bans->answers, session->process, &session->client);
}

void bans_session(struct bans *bans, const struct bans_session *session, struct clock_now now,
		  struct evidence *ret_evidence)
{
	bool reached_limit;
	uint32_t failures;

	*ret_evidence = (struct evidence){ .recipients = 0 };
	if (!bans->answers || bans->mode == CONFIG_OFF)
		return;
	weigh(bans, session, now, ret_evidence, &reached_limit);
	add_auth_failures(bans, &session->client, ret_evidence->logins, now);
	failures = ret_evidence->recipients + ret_evidence->commands;
	if (session->authenticated) {
		bans_auth_success(bans, &session->client, now);
		if (failures && session->login.len)
			strike_login(bans, session->login, failures, now);
	} else if (!bans_is_protected(bans, &session->client)) {
		charge_address(bans, session, ret_evidence, reached_limit, now);
	} else if (failures) {
		tell_of_protected(bans, &session->client, failures, now);
	}
}

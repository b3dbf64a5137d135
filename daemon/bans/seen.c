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

static struct cidr unit_of(const struct bans *bans, const struct ip *ip)
{
	return ip_network(ip, 32, (unsigned)bans->config->bans.ipv6_prefix);
}

/* NULL: nothing is counted of this address. */
static struct strikes_entry *watched(struct bans *bans, const struct ip *ip, struct clock_now now)
{
	struct cidr unit;

	if (bans->mode == CONFIG_OFF || protect_remembers(&bans->memo, bans->config, ip))
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
		strikes_add(bans->addresses, entry, STRIKES_CONNECTIONS, now.mono_ms);
}

void bans_note_recipient(struct bans *bans, const struct ip *ip, bool bad, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, ip, now);

	if (!entry || !bans->config->bans.ban_at.limit)
		return;
	strikes_add(bans->addresses, entry, STRIKES_RECIPIENTS, now.mono_ms);
	if (bad)
		strikes_add(bans->addresses, entry, STRIKES_BAD_RECIPIENTS, now.mono_ms);
}

/* Why an address with enough strikes is let off; NULL: it is not. */
static const char *mercy(const struct bans *bans, const struct strikes_entry *entry,
			 struct clock_now now)
{
	const struct config_bans *config = &bans->config->bans;
	uint64_t recipients = strikes_sum(bans->addresses, entry, STRIKES_RECIPIENTS, now.mono_ms);
	uint64_t bad = strikes_sum(bans->addresses, entry, STRIKES_BAD_RECIPIENTS, now.mono_ms);
	uint64_t all = traffic_sum(&bans->traffic, now.mono_ms), own;

	if (bad * 100 < recipients * config->min_bad_share)
		return "bad_share";
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

void bans_strike(struct bans *bans, const struct ip *ip, struct slice why, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, ip, now);
	const char *mercy_why;
	struct cidr unit;
	struct ban ban;
	uint64_t count;

	if (!entry || !bans->config->bans.ban_at.limit)
		return;
	strikes_mark_notable(bans->addresses, entry);
	count = strikes_add(bans->addresses, entry, STRIKES_STRIKES, now.mono_ms);
	if (count < bans->config->bans.ban_at.limit || is_shadowed(entry, now))
		return;
	unit = unit_of(bans, ip);
	bans_make(bans, &unit, why, now, &ban);
	mercy_why = mercy(bans, entry, now);
	if (mercy_why)
		spare(bans, entry, &ban, count, mercy_why, now);
	else
		bans_impose(bans, entry, ip, &ban, count, "strikes", now);
}

void bans_disconnected(struct bans *bans, const struct ip *ip, struct slice why,
		       struct clock_now now)
{
	struct strikes_entry *entry;
	struct cidr unit;
	struct ban ban;

	if (!bans->config || !bans->config->bans.on_disconnect)
		return;
	entry = watched(bans, ip, now);
	if (!entry || is_shadowed(entry, now))
		return;
	strikes_mark_notable(bans->addresses, entry);
	unit = unit_of(bans, ip);
	bans_make(bans, &unit, why, now, &ban);
	bans_impose(bans, entry, ip, &ban, bans->config->bans.disconnect_at, "disconnect", now);
}

void bans_auth_failure(struct bans *bans, const struct ip *ip, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, ip, now);
	const struct config_bans *config;
	struct cidr unit;
	struct ban ban;
	uint64_t count;

	if (!entry || !bans->config->bans.auth_failures.limit)
		return;
	config = &bans->config->bans;
	strikes_mark_notable(bans->addresses, entry);
	count = strikes_add(bans->addresses, entry, STRIKES_AUTH_FAILURES, now.mono_ms);
	if (count < config->auth_failures.limit || is_shadowed(entry, now))
		return;
	if (entry->good_login_mono_ms &&
	    now.mono_ms - entry->good_login_mono_ms < config->trust_login_ms)
		return;
	unit = unit_of(bans, ip);
	bans_make(bans, &unit, SLICE("failed logins"), now, &ban);
	bans_impose(bans, entry, ip, &ban, count, "auth_failures", now);
}

void bans_auth_success(struct bans *bans, const struct ip *ip, struct clock_now now)
{
	struct strikes_entry *entry = watched(bans, ip, now);

	if (!entry)
		return;
	strikes_mark_notable(bans->addresses, entry);
	entry->good_login_mono_ms = now.mono_ms ? now.mono_ms : 1;
}

void bans_strike_login(struct bans *bans, struct slice login, struct clock_now now)
{
	struct hash128 hash = hash128(&bans->key, login);
	struct bans_event event = {
		.kind = BANS_LOGIN_ALARM, .login = login, .why = "login_strikes",
	};
	const struct rate *limit;
	struct strikes_entry *entry;
	struct ip key;

	if (bans->mode == CONFIG_OFF || !bans->config->bans.login_strikes.limit)
		return;
	limit = &bans->config->bans.login_strikes;
	memcpy(key.bytes, &hash, sizeof(key.bytes));
	entry = strikes_get(bans->logins, &key, now.mono_ms);
	event.count = strikes_add(bans->logins, entry, STRIKES_STRIKES, now.mono_ms);
	if (event.count < limit->limit ||
	    (entry->noticed_mono_ms && now.mono_ms - entry->noticed_mono_ms < limit->window_ms))
		return;
	strikes_mark_notable(bans->logins, entry);
	entry->noticed_mono_ms = now.mono_ms ? now.mono_ms : 1;
	if (bans->sink)
		bans->sink->event(bans->sink, &event, now);
}

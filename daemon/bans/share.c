/* SPDX-License-Identifier: ISC */
/*
 * What is told to other nodes: with a strike, a failed login or a good one all that this node has seen
 * of the address and not told yet, as far as its own windows still hold it. Nothing else is told, so
 * that mail without strikes costs nothing; but where Postfix's log is read, a good login is told once an
 * hour and address.
 */
#include "daemon/bans/bans_inner.h"

#include <stdio.h>

_Static_assert((int)STRIKES_SHARED == STORE_STRIKE_KINDS, "the kinds are those of the store");
_Static_assert(STRIKES_STRIKES == 0 && STRIKES_BY_LOG == 1 && STRIKES_AUTH_FAILURES == 4,
	       "the store forgets these after a ban");

#define GOOD_LOGIN_AGAIN_MS UINT64_C(3600000)

void bans_set_share(struct bans *bans, struct bans_share *share)
{
	bans->share = share;
}

static void set_windows(const struct bans *bans, struct store_strikes *strikes)
{
	const struct config_bans *config = &bans->config->bans;

	for (int what = 0; what < STRIKES_SHARED; what++)
		strikes->window_ms[what] = config->ban_at.window_ms;
	strikes->window_ms[STRIKES_AUTH_FAILURES] = config->auth_failures.window_ms;
	strikes->good_login_ms = config->trust_login_ms;
}

static void take_unshared(const struct strikes *table, const struct strikes_entry *entry,
			  struct store_strikes *strikes, struct clock_now now)
{
	for (int what = 0; what < STRIKES_SHARED; what++) {
		uint64_t own = strikes_sum(table, entry, (enum strikes_count)what, now.mono_ms);

		strikes->more[what] =
			entry->unshared[what] < own ? entry->unshared[what] : (uint32_t)own;
	}
}

static bool send(struct bans *bans, struct strikes_entry *entry,
		 const struct store_strikes *strikes, struct clock_now now)
{
	if (!bans->share->strike(bans->share, strikes, now))
		return false;
	memset(entry->unshared, 0, sizeof(entry->unshared));
	return true;
}

static void copy_reason(struct store_strikes *strikes, struct slice why)
{
	snprintf(strikes->reason, sizeof(strikes->reason), "%.*s", SLICE_ARG(why));
}

bool bans_share_address(struct bans *bans, struct strikes_entry *entry, const struct ip *unit,
			enum bans_share_event event, const struct ip *ip, struct slice why,
			struct clock_now now)
{
	struct store_strikes strikes = {
		.of = 'a', .key = *unit, .event = event, .ip = *ip, .generation = entry->generation,
	};

	if (!bans->share)
		return false;
	set_windows(bans, &strikes);
	take_unshared(bans->addresses, entry, &strikes, now);
	copy_reason(&strikes, why);
	return send(bans, entry, &strikes, now);
}

/* It speaks against what only Postfix's log shows, so without that nobody has to know. */
void bans_share_good_login(struct bans *bans, struct strikes_entry *entry, const struct ip *unit,
			   struct clock_now now)
{
	struct store_strikes strikes = {
		.of = 'a', .key = *unit, .event = SHARE_NO_ANSWER, .good_login = true,
	};

	if (!bans->share || !bans->answers || (entry->good_login_told_mono_ms &&
			     now.mono_ms - entry->good_login_told_mono_ms < GOOD_LOGIN_AGAIN_MS))
		return;
	set_windows(bans, &strikes);
	take_unshared(bans->addresses, entry, &strikes, now);
	if (send(bans, entry, &strikes, now))
		entry->good_login_told_mono_ms = now.mono_ms ? now.mono_ms : 1;
}

void bans_share_forget(struct bans *bans, const struct ip *unit, struct clock_now now)
{
	struct store_strikes strikes = {
		.of = 'a', .key = *unit, .event = SHARE_NO_ANSWER, .forget = true,
	};

	if (!bans->share)
		return;
	set_windows(bans, &strikes);
	(void)bans->share->strike(bans->share, &strikes, now);
}

/* The answer has to bring the login back, so a very long one is counted on each node alone. The key is
 * the same on all nodes, and what it is a hash of stands in their logs anyway. */
bool bans_share_login(struct bans *bans, struct strikes_entry *entry, struct slice login,
		      struct clock_now now)
{
	static const struct hash_key fixed = { 0, 0 };
	struct store_strikes strikes = { .of = 'l', .event = SHARE_LOGIN };
	struct hash128 hash = hash128(&fixed, login);

	if (!bans->share || login.len >= sizeof(strikes.reason))
		return false;
	memcpy(strikes.key.bytes, &hash, sizeof(strikes.key.bytes));
	for (int what = 0; what < STRIKES_SHARED; what++)
		strikes.window_ms[what] = bans->config->bans.login_strikes.window_ms;
	take_unshared(bans->logins, entry, &strikes, now);
	copy_reason(&strikes, login);
	return send(bans, entry, &strikes, now);
}

/* SPDX-License-Identifier: ISC */
/*
 * The rules of who is banned. An address comes here by strikes over connections, by one bad
 * connection (on_disconnect) or by failed logins; what may save it is asked in this order: it is
 * protected, it is banned already, most of its recipients were good, it carries much of all
 * traffic, and the storm brake. In mode monitor all is done but the ban itself.
 *
 * How strangers are counted is in strikes.c, the list in list.c, the brake in brake.c.
 */
#include "daemon/bans/bans_inner.h"

#include "common/alloc.h"

#define MAX_ADDRESSES 65536
#define MAX_LOGINS 16384
#define LIST_BEFORE_CONFIGURE 64


/* So many banned networks make their /48 banned. */
#define WIDEN_AT 8
#define WIDE_BITS6 48

#define MAPPED_BITS 96

struct bans *bans_new(struct hash_key key, struct bans_sink *sink)
{
	struct bans *bans = mem_zalloc(sizeof(*bans));

	bans->key = key;
	bans->sink = sink;
	bans->mode = CONFIG_OFF;
	bans->list = ban_list_new(key, LIST_BEFORE_CONFIGURE);
	bans->addresses = strikes_new(key, MAX_ADDRESSES);
	bans->logins = strikes_new(key, MAX_LOGINS);
	brake_init(&bans->brake);
	return bans;
}

void bans_free(struct bans **bans)
{
	struct bans *old = *bans;

	if (!old)
		return;
	ban_list_free(&old->list);
	strikes_free(&old->addresses);
	strikes_free(&old->logins);
	answers_free(&old->answers);
	brake_release(&old->brake);
	cidr_set_free(&old->protected);
	config_unref(&old->config);
	free(old);
	*bans = NULL;
}

void bans_tell(const struct bans *bans, enum bans_event_kind kind, const struct ban *ban,
		 uint64_t count, const char *why, struct clock_now now)
{
	struct bans_event event = {
		.kind = kind, .ban = ban, .login = SLICE_EMPTY, .count = count, .why = why,
	};

	if (bans->sink)
		bans->sink->event(bans->sink, &event, now);
}

bool bans_is_protected(const struct bans *bans, const struct ip *ip)
{
	return cidr_set_contains(bans->protected, ip);
}

/* ---- configuration */

static void set_windows(struct bans *bans)
{
	const struct config_bans *config = &bans->config->bans;
	const uint64_t addresses[STRIKES_COUNTS] = {
		[STRIKES_STRIKES] = config->ban_at.window_ms,
		[STRIKES_BY_LOG] = config->ban_at.window_ms,
		[STRIKES_SENT] = config->ban_at.window_ms,
		[STRIKES_BAD] = config->ban_at.window_ms,
		[STRIKES_AUTH_FAILURES] = config->auth_failures.window_ms,
		[STRIKES_CONNECTIONS] = TRAFFIC_WINDOW_MS,
	};
	const uint64_t logins[STRIKES_COUNTS] = {
		[STRIKES_STRIKES] = config->login_strikes.window_ms,
	};

	strikes_set_windows(bans->addresses, addresses, config->trust_login_ms);
	strikes_set_windows(bans->logins, logins, 0);
}

struct collected {
	const struct bans *bans;
	struct cidr *networks;
	size_t count;
};

static void collect_protected(void *arg, const struct ban *ban)
{
	struct collected *collected = arg;

	if (!ban->manual && cidr_set_overlaps(collected->bans->protected, &ban->network))
		collected->networks[collected->count++] = ban->network;
}

static void end_protected(struct bans *bans, struct clock_now now)
{
	struct collected collected = { bans, NULL, 0 };

	collected.networks =
		mem_zalloc_array(ban_list_count(bans->list) + 1, sizeof(collected.networks[0]));
	ban_list_each(bans->list, collect_protected, &collected);
	for (size_t i = 0; i < collected.count; i++) {
		struct ban gone;

		if (ban_list_remove(bans->list, &collected.networks[i], &gone))
			bans_tell(bans, BANS_REMOVED, &gone, 0, "protected", now);
	}
	free(collected.networks);
}

/* Takes out who leaves first; false: nobody does. */
static bool evict(struct bans *bans, struct clock_now now)
{
	struct ban gone;
	bool was_live;

	if (!ban_list_evict(bans->list, &gone, &was_live))
		return false;
	bans_tell(bans, BANS_REMOVED, &gone, 0, was_live ? "full" : "forgotten", now);
	return true;
}

void bans_configure(struct bans *bans, struct config *config, struct clock_now now)
{
	struct config *old = bans->config;

	bans->config = config_ref(config);
	cidr_set_free(&bans->protected);
	bans->protected = protect_set_new(config);
	bans->memo.is_known = false;
	config_unref(&old);
	bans->mode = config->bans.mode;
	if (bans->mode == CONFIG_ENFORCE && config->mode != CONFIG_ENFORCE)
		bans->mode = CONFIG_MONITOR;
	set_windows(bans);
	if (slice_is(config->bans.maillog, "off"))
		answers_free(&bans->answers);
	else if (!bans->answers)
		bans->answers = answers_new(bans->key);
	ban_list_set_max(bans->list, config->bans.max_entries);
	while (ban_list_is_over(bans->list) && evict(bans, now))
		;
	end_protected(bans, now);
}

/* ---- making a ban */

static void copy_text(char *to, size_t bytes, struct slice text)
{
	size_t len = text.len < bytes ? text.len : bytes - 1;

	for (size_t i = 0; i < len; i++)
		to[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
	to[len] = '\0';
}

/* `former` was not the last by itself if it ended lately. */
static bool is_in_a_row(const struct bans *bans, const struct ban *former, struct clock_now now)
{
	if (!former || former->manual)
		return false;
	return former->until_wall_ms > now.wall_ms ||
	       now.wall_ms - former->until_wall_ms < bans->config->bans.max_duration_ms;
}

static uint64_t duration_of(const struct config_bans *config, uint32_t times)
{
	uint64_t duration_ms = config->duration_ms;

	while (--times && duration_ms < config->max_duration_ms)
		duration_ms *= 2;
	return duration_ms < config->max_duration_ms ? duration_ms : config->max_duration_ms;
}

/* An automatic ban as it would be; `times` and length follow from the one before. */
void bans_make(const struct bans *bans, const struct cidr *network, struct slice reason,
		     struct clock_now now, struct ban *ret_ban)
{
	const struct config *config = bans->config;
	const struct ban *before = ban_list_get(bans->list, network);
	struct ban ban = { .network = *network, .since_wall_ms = now.wall_ms, .times = 1 };

	if (is_in_a_row(bans, before, now))
		ban.times = before->times < UINT32_MAX ? before->times + 1 : before->times;
	ban.until_wall_ms = now.wall_ms + duration_of(&config->bans, ban.times);
	if (before && !before->manual && before->until_wall_ms > now.wall_ms) {
		ban.since_wall_ms = before->since_wall_ms;
		if (before->until_wall_ms > ban.until_wall_ms)
			ban.until_wall_ms = before->until_wall_ms;
	}
	copy_text(ban.by, sizeof(ban.by), SLICE("auto"));
	copy_text(ban.node, sizeof(ban.node), config->store.node);
	copy_text(ban.reason, sizeof(ban.reason), reason);
	*ret_ban = ban;
}

static bool is_live(const struct ban *ban, struct clock_now now)
{
	return ban && ban->until_wall_ms > now.wall_ms;
}

/* Puts it on the list. false: the list is full of bans by hand. */
static bool list_ban(struct bans *bans, const struct ban *ban, uint64_t count, const char *why,
		     struct clock_now now)
{
	const struct ban *before = ban_list_get(bans->list, &ban->network);
	bool extends = is_live(before, now);

	while (!before && ban_list_is_full(bans->list))
		if (!evict(bans, now))
			return false;
	ban = ban_list_put(bans->list, ban);
	if (!ban)
		return false;
	bans_tell(bans, extends ? BANS_EXTENDED : BANS_BANNED, ban, count, why, now);
	return true;
}

/* Many networks of one /48 are one stranger with a large prefix. */
static void widen(struct bans *bans, const struct ip *ip, const char *why, struct clock_now now)
{
	struct cidr wide = ip_network(ip, 32, WIDE_BITS6);
	unsigned bits = (unsigned)bans->config->bans.ipv6_prefix;
	struct ban ban;

	if (ip_is_v4(ip) || bits <= WIDE_BITS6 || cidr_set_overlaps(bans->protected, &wide) ||
	    is_live(ban_list_get(bans->list, &wide), now) ||
	    !ban_list_has_within(bans->list, &wide, bits, WIDEN_AT))
		return;
	bans_make(bans, &wide, SLICE("many banned networks in one /48"), now, &ban);
	list_ban(bans, &ban, WIDEN_AT, why, now);
}

static bool brake_allows(struct bans *bans, const struct ip *ip, struct clock_now now)
{
	uint64_t max = bans->config->bans.max_per_minute;

	switch (brake_ask(&bans->brake, ip, max, now.mono_ms)) {
	case BRAKE_GO:
		return true;
	case BRAKE_STORM_BEGINS:
		bans_tell(bans, BANS_STORM_BEGIN, NULL, max + 1, "max_per_minute", now);
		return false;
	case BRAKE_STORM:
		break;
	}
	return false;
}

/* Something that lasts covers the network already, so that this ban would change nothing. */
static bool is_covered(const struct bans *bans, const struct ip *ip, const struct cidr *network,
		       struct clock_now now)
{
	const struct ban *ban = ban_list_find(bans->list, ip, now.wall_ms, true);

	return ban && (ban->manual || ban->network.bits < network->bits);
}

/* An automatic ban of the network of `ip`, after all that speaks for the address has been asked. */
void bans_impose(struct bans *bans, struct strikes_entry *entry, const struct ip *ip,
		   const struct ban *ban, uint64_t count, const char *why, struct clock_now now)
{
	if (cidr_set_overlaps(bans->protected, &ban->network) ||
	    is_covered(bans, ip, &ban->network, now) || !brake_allows(bans, ip, now))
		return;
	if (bans->mode == CONFIG_ENFORCE) {
		if (!list_ban(bans, ban, count, why, now))
			return;
		widen(bans, ip, why, now);
	} else {
		entry->shadow_until_mono_ms = now.mono_ms + (ban->until_wall_ms - now.wall_ms);
		bans_tell(bans, BANS_WOULD_BAN, ban, count, why, now);
	}
	bans_use_up(bans, entry, &ban->network.ip, now);
}

void bans_use_up_here(struct strikes_entry *entry)
{
	strikes_clear(entry, STRIKES_STRIKES);
	strikes_clear(entry, STRIKES_BY_LOG);
	strikes_clear(entry, STRIKES_AUTH_FAILURES);
	entry->generation++;
}

void bans_use_up(struct bans *bans, struct strikes_entry *entry, const struct ip *unit,
		 struct clock_now now)
{
	bans_use_up_here(entry);
	bans_share_forget(bans, unit, now);
}

/* ---- by hand, and from the store */

enum bans_add bans_add(struct bans *bans, const struct cidr *network, uint64_t until_wall_ms,
		       struct slice by, struct slice reason, bool force, struct clock_now now)
{
	const struct ban *before = ban_list_get(bans->list, network);
	struct ban ban = {
		.network = *network,
		.since_wall_ms = is_live(before, now) ? before->since_wall_ms : now.wall_ms,
		.until_wall_ms = until_wall_ms,
		.times = before ? before->times : 1,
		.manual = true,
	};

	if (protect_is_too_wide(network))
		return BANS_ADD_TOO_WIDE;
	if (!force && cidr_set_overlaps(bans->protected, network))
		return BANS_ADD_PROTECTED;
	copy_text(ban.by, sizeof(ban.by), by);
	copy_text(ban.reason, sizeof(ban.reason), reason);
	if (bans->config)
		copy_text(ban.node, sizeof(ban.node), bans->config->store.node);
	return list_ban(bans, &ban, 0, "by_hand", now) ? BANS_ADDED : BANS_ADD_FULL;
}

bool bans_remove(struct bans *bans, const struct cidr *network, struct clock_now now)
{
	struct ban gone;
	bool was_live;

	if (!ban_list_remove(bans->list, network, &gone))
		return false;
	was_live = is_live(&gone, now);
	bans_tell(bans, BANS_REMOVED, &gone, 0, was_live ? "removed" : "forgotten", now);
	return was_live;
}

static bool is_text(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\0')
			return true;
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return false;
}

/* What may be restored; a file or another program may hold anything. */
static bool is_sane(const struct bans *bans, const struct ban *ban, struct clock_now now)
{
	uint64_t keep_ms = bans->config ? bans->config->bans.max_duration_ms : 0;
	struct cidr clean;

	if (ban->network.bits > 128 || protect_is_too_wide(&ban->network) ||
	    ban->until_wall_ms < ban->since_wall_ms || !is_text(ban->by, sizeof(ban->by)) ||
	    !is_text(ban->node, sizeof(ban->node)) || !is_text(ban->reason, sizeof(ban->reason)))
		return false;
	clean = ip_is_v4(&ban->network.ip) && ban->network.bits >= MAPPED_BITS
			? ip_network(&ban->network.ip, ban->network.bits - MAPPED_BITS, 0)
			: ip_network(&ban->network.ip, 0, ban->network.bits);
	if (!ip_equal(&clean.ip, &ban->network.ip))
		return false;
	if (ban->manual)
		return ban->until_wall_ms > now.wall_ms;
	if (ban->until_wall_ms == UINT64_MAX || cidr_set_overlaps(bans->protected, &ban->network))
		return false;
	return ban->until_wall_ms > now.wall_ms || now.wall_ms - ban->until_wall_ms < keep_ms;
}

/* Another node's: the storm brake counts it if it is new, and what this node saw went into it. */
static void note_others_ban(struct bans *bans, const struct ban *ban, struct clock_now now)
{
	struct strikes_entry *entry = strikes_find(bans->addresses, &ban->network.ip);

	if (ban->since_wall_ms <= now.wall_ms &&
	    now.wall_ms - ban->since_wall_ms < BRAKE_MINUTE_MS)
		brake_note(&bans->brake, &ban->network.ip, now.mono_ms);
	if (entry)
		bans_use_up_here(entry);
}

bool bans_restore(struct bans *bans, const struct ban *ban, struct clock_now now)
{
	struct ban copy = *ban;
	bool was_live;

	if (!is_sane(bans, ban, now))
		return false;
	if (copy.times == 0)
		copy.times = 1;
	/* max_duration was lowered, or the clock was wrong when it was made. */
	if (!copy.manual && bans->config && copy.until_wall_ms > now.wall_ms &&
	    copy.until_wall_ms - now.wall_ms > bans->config->bans.max_duration_ms)
		copy.until_wall_ms = now.wall_ms + bans->config->bans.max_duration_ms;
	while (ban_list_is_full(bans->list) && !ban_list_get(bans->list, &copy.network))
		if (!ban_list_evict(bans->list, NULL, &was_live))
			return false;
	if (!copy.manual && is_live(&copy, now))
		note_others_ban(bans, &copy, now);
	return ban_list_put(bans->list, &copy) != NULL;
}

void bans_forget(struct bans *bans, const struct cidr *network)
{
	(void)ban_list_remove(bans->list, network, NULL);
}

/* ---- asking */

const struct ban *bans_find(const struct bans *bans, const struct ip *ip, struct clock_now now)
{
	return ban_list_find(bans->list, ip, now.wall_ms, bans->mode == CONFIG_ENFORCE);
}

void bans_each(const struct bans *bans, void (*each)(void *arg, const struct ban *), void *arg)
{
	ban_list_each(bans->list, each, arg);
}

size_t bans_count(const struct bans *bans)
{
	return ban_list_count(bans->list);
}

bool bans_in_storm(const struct bans *bans)
{
	return brake_in_storm(&bans->brake);
}

void bans_tick(struct bans *bans, struct clock_now now)
{
	uint64_t keep_ms = bans->config ? bans->config->bans.max_duration_ms : 0, refused;
	struct ban gone;

	while (ban_list_expire(bans->list, now.wall_ms, &gone))
		bans_tell(bans, gone.manual ? BANS_REMOVED : BANS_ENDED, &gone, 0, "expired", now);
	while (now.wall_ms > keep_ms && ban_list_forget(bans->list, now.wall_ms - keep_ms, &gone))
		bans_tell(bans, BANS_REMOVED, &gone, 0, "forgotten", now);
	if (brake_tick(&bans->brake, now.mono_ms, &refused))
		bans_tell(bans, BANS_STORM_END, NULL, refused, "max_per_minute", now);
	strikes_tick(bans->addresses, now.mono_ms);
	strikes_tick(bans->logins, now.mono_ms);
}

/* SPDX-License-Identifier: ISC */
/*
 * A reader that remembers whether it ever ran short; each record is void unless it ends exactly
 * with its last field. Counts are checked against what the table can hold before anything is
 * taken over.
 */
#include "daemon/store/embedded/codec.h"

#include <endian.h>

#define VERSION 1 /* of each record */
#define FORMAT 2  /* 1: each record had a value of its own */

struct reader {
	struct slice rest;
	bool bad;
};

static inline char *put_u8(char *at, uint64_t value)
{
	*at = (char)(uint8_t)value;
	return at + 1;
}

static inline char *put_u16(char *at, uint64_t value)
{
	uint16_t word = htole16((uint16_t)value);

	memcpy(at, &word, sizeof(word));
	return at + sizeof(word);
}

static inline char *put_u32(char *at, uint64_t value)
{
	uint32_t word = htole32((uint32_t)value);

	memcpy(at, &word, sizeof(word));
	return at + sizeof(word);
}

static inline char *put_u64(char *at, uint64_t value)
{
	uint64_t word = htole64(value);

	memcpy(at, &word, sizeof(word));
	return at + sizeof(word);
}

static inline char *put_bytes(char *at, const void *bytes, size_t len)
{
	memcpy(at, bytes, len);
	return at + len;
}

static inline char *put_text(char *at, struct slice text)
{
	return put_bytes(put_u8(at, text.len), text.data, text.len);
}

static struct slice get_bytes(struct reader *in, size_t len)
{
	struct slice bytes = slice_first(in->rest, len);

	if (bytes.len < len)
		in->bad = true;
	in->rest = slice_from(in->rest, bytes.len);
	return bytes;
}

/* Little-endian, `bytes` of them; 0 where it runs short. */
static uint64_t get_number(struct reader *in, unsigned bytes)
{
	struct slice from = get_bytes(in, bytes);
	uint64_t value = 0;

	if (in->bad)
		return 0;
	for (unsigned i = bytes; i-- > 0;)
		value = value << 8 | (uint8_t)from.data[i];
	return value;
}

static bool get_bool(struct reader *in)
{
	uint64_t value = get_number(in, 1);

	if (value > 1)
		in->bad = true;
	return value == 1;
}

static struct slice get_text(struct reader *in)
{
	return get_bytes(in, get_number(in, 1));
}

static bool is_version(struct reader *in)
{
	return get_number(in, 1) == VERSION;
}

static bool is_over(const struct reader *in)
{
	return !in->bad && in->rest.len == 0;
}

/* ---- counters ---- */

char *codec_put_counter(char *at, const struct table_record *record)
{
	at = put_u8(at, VERSION);
	at = put_u8(at, record->key.what);
	at = put_u8(at, record->has_warned);
	at = put_u32(at, record->birth);
	at = put_u32(at, record->warned);
	at = put_u64(at, record->key.window_ms);
	at = put_u64(at, record->newest);
	at = put_u64(at, record->limit);
	at = put_text(at, record->key.rule);
	at = put_text(at, record->key.subject);
	at = put_u16(at, record->packed_len);
	return put_bytes(at, record->packed, record->packed_len);
}

bool codec_get_counter(struct slice value, struct table_record *ret)
{
	struct reader in = {.rest = value};
	struct slice subject, packed;
	uint64_t what;

	if (!is_version(&in))
		return false;
	what = get_number(&in, 1);
	ret->has_warned = get_bool(&in);
	ret->birth = (uint32_t)get_number(&in, 4);
	ret->warned = (uint32_t)get_number(&in, 4);
	ret->key.window_ms = get_number(&in, 8);
	ret->newest = get_number(&in, 8);
	ret->limit = get_number(&in, 8);
	ret->key.rule = get_text(&in);
	subject = get_text(&in);
	packed = get_bytes(&in, get_number(&in, 2));
	if (!is_over(&in) || what > COUNT_BYTES || !ret->birth || !ret->key.window_ms ||
		ret->newest > UINT64_MAX / 2 / window_bucket_ms(ret->key.window_ms) ||
		ret->key.rule.len == 0 || ret->key.rule.len > SERIES_RULE_BYTES ||
		subject.len == 0 || subject.len > COUNTER_SUBJECT_BYTES ||
		packed.len > PACK_MAX_BYTES ||
		!pack_is_valid((const uint8_t *)packed.data, packed.len))
		return false;
	memcpy(ret->subject, subject.data, subject.len);
	memcpy(ret->packed, packed.data, packed.len);
	ret->key.subject = slice_make(ret->subject, subject.len);
	ret->key.what = (enum counter_what)what;
	ret->packed_len = packed.len;
	return true;
}

/* ---- transactions ---- */

#define TXN_BYTES (3 + 4 * 8 + 4 + 3 * 2)
#define GROUP_BYTES (4 * 8 + 3 * 4 + 4)
#define LAYER_BYTES (8 + 4 + 2)
#define MEMBER_BYTES (8 + 2 + 1)

static char *put_group(char *at, const struct txn_group *group)
{
	at = put_u64(at, group->rule_id);
	at = put_u64(at, group->limit);
	at = put_u64(at, group->reserved);
	at = put_u64(at, group->net);
	at = put_u32(at, group->slot);
	at = put_u32(at, group->birth);
	at = put_u32(at, group->recipients);
	at = put_u8(at, group->what);
	at = put_u8(at, group->gate);
	at = put_u8(at, group->one_subject);
	return put_u8(at, group->charged);
}

static char *put_lists(char *at, struct txn *txn)
{
	const struct txn_group *groups = txn_groups(txn);
	const struct txn_layer *layers = txn_layers(txn);
	const struct txn_member *members = txn_members(txn);

	for (unsigned i = 0; i < txn->groups; i++)
		at = put_group(at, &groups[i]);
	for (unsigned i = 0; i < txn->layers; i++) {
		at = put_u64(at, layers[i].amount);
		at = put_u32(at, layers[i].bucket);
		at = put_u16(at, layers[i].group);
	}
	for (unsigned i = 0; i < txn->members; i++) {
		at = put_u64(at, members[i].recipient);
		at = put_u16(at, members[i].group);
		at = put_u8(at, members[i].refunded);
	}
	return at;
}

size_t codec_transaction_bytes(const struct txn *txn)
{
	return TXN_BYTES + (size_t)txn->groups * GROUP_BYTES + (size_t)txn->layers * LAYER_BYTES +
	       (size_t)txn->members * MEMBER_BYTES;
}

char *codec_put_transaction(char *at, struct txn *txn, struct clock_now now)
{
	int64_t age_ms = (int64_t)now.mono_ms - txn->used_ms;
	uint64_t used_wall_ms = now.wall_ms - (age_ms > 0 ? (uint64_t)age_ms : 0);

	at = put_u8(at, VERSION);
	at = put_u8(at, txn->settled);
	at = put_u8(at, txn->ended);
	at = put_u64(at, txn->id.lo);
	at = put_u64(at, txn->id.hi);
	at = put_u64(at, txn->service);
	at = put_u64(at, used_wall_ms);
	at = put_u32(at, txn->asked);
	at = put_u16(at, txn->groups);
	at = put_u16(at, txn->layers);
	at = put_u16(at, txn->members);
	return put_lists(at, txn);
}

struct counts {
	size_t groups, layers, members;
};

static void get_group(struct reader *in, struct txn_group *group)
{
	*group = (struct txn_group){.rule_id = get_number(in, 8)};
	group->limit = get_number(in, 8);
	group->reserved = get_number(in, 8);
	group->net = get_number(in, 8);
	group->slot = (uint32_t)get_number(in, 4);
	group->birth = (uint32_t)get_number(in, 4);
	group->recipients = (uint32_t)get_number(in, 4);
	group->what = (uint8_t)get_number(in, 1);
	group->gate = get_bool(in);
	group->one_subject = get_bool(in);
	group->charged = get_bool(in);
	if (group->what > COUNT_BYTES)
		in->bad = true;
}

static void get_layer(struct reader *in, const struct counts *counts, struct txn_layer *layer)
{
	*layer = (struct txn_layer){.amount = get_number(in, 8)};
	layer->bucket = (uint32_t)get_number(in, 4);
	layer->group = (uint16_t)get_number(in, 2);
	if (layer->group >= counts->groups || !layer->amount)
		in->bad = true;
}

static void get_member(struct reader *in, const struct counts *counts, struct txn_member *member)
{
	*member = (struct txn_member){.recipient = get_number(in, 8)};
	member->group = (uint16_t)get_number(in, 2);
	member->refunded = get_bool(in);
	if (member->group >= counts->groups)
		in->bad = true;
}

/* The lists are as long as their counts say: the caller has checked. */
static void get_lists(
	struct reader *in, const struct counts *counts, struct txn_table *table, struct txn *txn)
{
	for (size_t i = 0; i < counts->groups; i++)
		get_group(in, txn_add_group(table, txn));
	for (size_t i = 0; i < counts->layers; i++)
		get_layer(in, counts, txn_add_layer(table, txn));
	for (size_t i = 0; i < counts->members; i++) {
		struct txn_member *member = txn_add_member(table, txn);

		get_member(in, counts, member);
		txn->any_refunded = txn->any_refunded || member->refunded;
	}
}

static int64_t used_mono_ms(uint64_t used_wall_ms, struct clock_now now)
{
	uint64_t age_ms = now.wall_ms > used_wall_ms ? now.wall_ms - used_wall_ms : 0;

	if (age_ms > TXN_IDLE_MS)
		age_ms = TXN_IDLE_MS;
	return (int64_t)now.mono_ms - (int64_t)age_ms;
}

bool codec_get_transaction(
	struct slice value, struct txn_table *table, uint32_t slot, struct clock_now now)
{
	struct reader in = {.rest = value};
	struct txn head = {.older = 0};
	struct counts counts;
	uint64_t used_wall_ms;
	struct txn *txn;

	if (!is_version(&in))
		return false;
	head.settled = get_bool(&in);
	head.ended = get_bool(&in);
	head.id.lo = get_number(&in, 8);
	head.id.hi = get_number(&in, 8);
	head.service = get_number(&in, 8);
	used_wall_ms = get_number(&in, 8);
	head.asked = (uint32_t)get_number(&in, 4);
	counts.groups = get_number(&in, 2);
	counts.layers = get_number(&in, 2);
	counts.members = get_number(&in, 2);
	if (in.bad || counts.groups > TXN_MAX_ITEMS || counts.layers > TXN_MAX_ITEMS ||
		counts.members > TXN_MAX_ITEMS ||
		in.rest.len != counts.groups * GROUP_BYTES + counts.layers * LAYER_BYTES +
				       counts.members * MEMBER_BYTES)
		return false;
	txn = txn_restore(table, slot, head.id);
	if (!txn)
		return false;
	txn->settled = head.settled;
	txn->ended = head.ended;
	txn->service = head.service;
	txn->asked = head.asked;
	txn->used_ms = used_mono_ms(used_wall_ms, now);
	get_lists(&in, &counts, table, txn);
	if (!in.bad)
		return true;
	txn_remove(table, txn);
	return false;
}

/* ---- bans ---- */

char *codec_put_ban(char *at, const struct ban *ban)
{
	at = put_u8(at, VERSION);
	at = put_u8(at, ban->manual);
	at = put_u8(at, ban->network.bits);
	at = put_bytes(at, ban->network.ip.bytes, sizeof(ban->network.ip.bytes));
	at = put_u64(at, ban->since_wall_ms);
	at = put_u64(at, ban->until_wall_ms);
	at = put_u32(at, ban->times);
	at = put_text(at, slice_make(ban->by, strnlen(ban->by, sizeof(ban->by) - 1)));
	at = put_text(at, slice_make(ban->node, strnlen(ban->node, sizeof(ban->node) - 1)));
	return put_text(at, slice_make(ban->reason, strnlen(ban->reason, sizeof(ban->reason) - 1)));
}

static void get_printable(struct reader *in, char *memory, size_t bytes)
{
	struct slice text = get_text(in);

	if (text.len >= bytes) {
		in->bad = true;
		return;
	}
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < 0x20 || text.data[i] > 0x7e)
			in->bad = true;
	if (text.len)
		memcpy(memory, text.data, text.len);
	memory[text.len] = '\0';
}

bool codec_get_ban(struct slice value, struct ban *ret)
{
	struct reader in = {.rest = value};
	struct ban ban;
	struct slice ip;

	memset(&ban, 0, sizeof(ban));
	if (!is_version(&in))
		return false;
	ban.manual = get_bool(&in);
	ban.network.bits = (uint8_t)get_number(&in, 1);
	ip = get_bytes(&in, sizeof(ban.network.ip.bytes));
	if (in.bad || ban.network.bits > 128)
		return false;
	memcpy(ban.network.ip.bytes, ip.data, sizeof(ban.network.ip.bytes));
	ban.since_wall_ms = get_number(&in, 8);
	ban.until_wall_ms = get_number(&in, 8);
	ban.times = (uint32_t)get_number(&in, 4);
	get_printable(&in, ban.by, sizeof(ban.by));
	get_printable(&in, ban.node, sizeof(ban.node));
	get_printable(&in, ban.reason, sizeof(ban.reason));
	if (!is_over(&in))
		return false;
	*ret = ban;
	return true;
}

/* ---- live limits ---- */

char *codec_put_override(char *at, const struct override *override)
{
	at = put_u8(at, VERSION);
	at = put_u8(at, override->rate_count);
	for (unsigned i = 0; i < override->rate_count; i++) {
		at = put_u64(at, override->rates[i].limit);
		at = put_u64(at, override->rates[i].window_ms);
	}
	at = put_u64(at, override->since_wall_ms);
	at = put_u64(at, override->until_wall_ms);
	at = put_text(at, slice_of(override->rule));
	at = put_text(at, slice_of(override->subject));
	return put_text(at, slice_of(override->by));
}

/* Any bytes but NUL. */
static void get_plain(struct reader *in, char *memory, size_t bytes)
{
	struct slice text = get_text(in);

	if (text.len == 0 || text.len >= bytes || memchr(text.data, '\0', text.len)) {
		in->bad = true;
		return;
	}
	memcpy(memory, text.data, text.len);
	memory[text.len] = '\0';
}

bool codec_get_override(struct slice value, struct override *ret)
{
	struct reader in = {.rest = value};
	struct override override;

	memset(&override, 0, sizeof(override));
	if (!is_version(&in))
		return false;
	override.rate_count = (unsigned)get_number(&in, 1);
	if (in.bad || override.rate_count > OVERRIDE_RATES)
		return false;
	for (unsigned i = 0; i < override.rate_count; i++) {
		override.rates[i].limit = get_number(&in, 8);
		override.rates[i].window_ms = get_number(&in, 8);
		if (override.rates[i].limit > RATE_MAX_LIMIT ||
			override.rates[i].window_ms == 0)
			in.bad = true;
	}
	override.since_wall_ms = get_number(&in, 8);
	override.until_wall_ms = get_number(&in, 8);
	get_plain(&in, override.rule, sizeof(override.rule));
	get_plain(&in, override.subject, sizeof(override.subject));
	get_printable(&in, override.by, sizeof(override.by));
	if (!is_over(&in))
		return false;
	*ret = override;
	return true;
}

/* ---- meta ---- */

char *codec_put_services(char *at, const struct services *services)
{
	at = put_u8(at, VERSION);
	at = put_u8(at, services->count);
	for (uint32_t i = 0; i < services->count; i++) {
		at = put_u64(at, services->items[i].name);
		at = put_u64(at, services->items[i].settled_wall_ms);
	}
	return at;
}

bool codec_get_services(struct slice value, struct services *ret)
{
	struct reader in = {.rest = value};
	uint64_t count;

	if (!is_version(&in))
		return false;
	count = get_number(&in, 1);
	if (in.bad || count > SERVICES_MAX || in.rest.len != count * 16)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		ret->items[i] = (struct service){.name = get_number(&in, 8)};
		ret->items[i].settled_wall_ms = get_number(&in, 8);
	}
	ret->count = (uint32_t)count;
	return true;
}

char *codec_put_hash_key(char *at, struct hash_key key)
{
	at = put_u8(at, VERSION);
	at = put_u64(at, key.k0);
	return put_u64(at, key.k1);
}

bool codec_get_hash_key(struct slice value, struct hash_key *ret)
{
	struct reader in = {.rest = value};
	struct hash_key key;

	if (!is_version(&in))
		return false;
	key.k0 = get_number(&in, 8);
	key.k1 = get_number(&in, 8);
	if (!is_over(&in))
		return false;
	*ret = key;
	return true;
}

char *codec_put_format(char *at)
{
	return put_u8(put_bytes(at, "reeve", 5), FORMAT);
}

bool codec_is_format(struct slice value)
{
	struct reader in = {.rest = value};

	return slice_is(get_bytes(&in, 5), "reeve") && get_number(&in, 1) == FORMAT && is_over(&in);
}

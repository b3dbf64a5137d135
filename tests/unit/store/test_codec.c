/* SPDX-License-Identifier: ISC */
/*
 * Records on disk: they come back whole; cut anywhere, or with any byte changed, they are refused
 * or at least harmless. The batch and the list of bans are here too, groups in test_group.c.
 */
#include "daemon/store/embedded/codec.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/alloc.h"
#include "daemon/store/embedded/banlist.h"
#include "daemon/store/embedded/batch.h"

static struct slice made(const char *bytes, const char *end)
{
	return slice_make(bytes, (size_t)(end - bytes));
}

static struct table_record record_of(void)
{
	struct table_record record = {.birth = 77,
		.warned = 5,
		.has_warned = true,
		.newest = 28333333,
		.limit = 200,
		.packed_len = 5};
	static const uint8_t packed[] = {0x13, 0x00, 20, 0x80, 0x01};

	memcpy(record.packed, packed, sizeof(packed));
	memcpy(record.subject, "anna@example.com", 16);
	record.key = (struct counter_key){
		SLICE("hourly"), slice_make(record.subject, 16), COUNT_BYTES, 3600000};
	return record;
}

Test(codec, a_counter_comes_back)
{
	struct table_record record = record_of(), again;
	char bytes[CODEC_COUNTER_BYTES];

	record.key.subject.data = record.subject;
	cr_assert(codec_get_counter(made(bytes, codec_put_counter(bytes, &record)), &again));
	cr_assert(slice_is(again.key.rule, "hourly"));
	cr_assert(slice_is(again.key.subject, "anna@example.com"));
	cr_assert_eq(again.key.what, COUNT_BYTES);
	cr_assert_eq(again.key.window_ms, 3600000);
	cr_assert_eq(again.birth, 77);
	cr_assert_eq(again.newest, 28333333);
	cr_assert_eq(again.limit, 200);
	cr_assert(again.has_warned);
	cr_assert_eq(again.packed_len, 5);
	cr_assert_arr_eq(again.packed, record.packed, 5);
}

/* The longest there can be fits what is kept free for it. */
Test(codec, the_longest_counter_comes_back)
{
	struct table_record record = record_of(), again;
	char rule[SERIES_RULE_BYTES], bytes[CODEC_COUNTER_BYTES];
	struct window window;
	struct slice value;

	window_init(&window, 60 * 61);
	window.newest = 61;
	for (unsigned i = 0; i < WINDOW_BUCKETS; i++)
		window.count[i] = UINT64_MAX / 100;
	window.live = (UINT64_C(1) << WINDOW_BUCKETS) - 1;
	memset(rule, 'r', sizeof(rule));
	memset(record.subject, 's', sizeof(record.subject));
	record.key.rule = slice_make(rule, sizeof(rule));
	record.key.subject = slice_make(record.subject, sizeof(record.subject));
	record.packed_len = pack_window(&window, record.packed);
	value = made(bytes, codec_put_counter(bytes, &record));
	cr_assert_leq(value.len, sizeof(bytes));
	cr_assert(codec_get_counter(value, &again));
	cr_assert(slice_equal(again.key.subject, record.key.subject));
	cr_assert_arr_eq(again.packed, record.packed, record.packed_len);
}

/* All cuts, and each byte with each value. What is accepted must be usable. */
static void torment(struct slice whole, void (*look)(struct slice))
{
	char *copy;

	for (size_t len = 0; len < whole.len; len++) {
		copy = mem_dup(slice_first(whole, len));
		look(slice_make(copy, len));
		mem_free(&copy);
	}
	copy = mem_dup(whole);
	for (size_t i = 0; i < whole.len; i++)
		for (unsigned value = 0; value < 256; value++) {
			copy[i] = (char)value;
			look(slice_make(copy, whole.len));
			copy[i] = whole.data[i];
		}
	mem_free(&copy);
}

static void look_at_counter(struct slice value)
{
	struct table_record record;
	struct counter_table *table;
	struct window window;
	uint32_t slot;

	if (!codec_get_counter(value, &record))
		return;
	table = table_new(8, (struct hash_key){1, 2});
	cr_assert(table_restore(table, 3, &record));
	slot = table_find(table, &record.key, table_hash(table, &record.key));
	cr_assert_eq(slot, 3);
	table_load(table, slot, UINT64_C(1700000000000), &window);
	window_add(&window, 1);
	table_store(table, slot, &window, UINT64_C(1700000000000));
	table_free(&table);
}

Test(codec, a_damaged_counter_is_refused_or_harmless)
{
	struct table_record record = record_of();
	char bytes[CODEC_COUNTER_BYTES];
	struct slice value;

	record.key.subject.data = record.subject;
	value = made(bytes, codec_put_counter(bytes, &record));
	for (size_t len = 0; len < value.len; len++)
		cr_assert_not(codec_get_counter(slice_first(value, len), &record));
	torment(value, look_at_counter);
	bytes[value.len] = 'x';
	value.len++;
	cr_assert_not(codec_get_counter(value, &record), "a byte too many");
}

static const struct clock_now now = {100000000, UINT64_C(1700000000000)};

static struct slice make_transaction(char *bytes, size_t room)
{
	struct slice value;
	struct txn_table *table = txn_table_new(8);
	struct txn *txn = txn_add(table, (struct hash128){5, 6}, now.mono_ms - 60000);

	txn->service = 25;
	txn->asked = 4;
	txn->settled = true;
	for (unsigned i = 0; i < 3; i++) {
		struct txn_group *group = txn_add_group(table, txn);

		*group = (struct txn_group){.rule_id = 100 + i,
			.limit = 200,
			.reserved = 4,
			.net = 3,
			.slot = i,
			.birth = i + 1,
			.recipients = 4,
			.what = (uint8_t)i,
			.gate = i == 1,
			.one_subject = i == 2,
			.charged = i != 0};
		*txn_add_layer(table, txn) =
			(struct txn_layer){.amount = 3, .bucket = 9 + i, .group = (uint16_t)i};
	}
	for (unsigned i = 0; i < 9; i++)
		*txn_add_member(table, txn) =
			(struct txn_member){1000 + i, (uint16_t)(i % 3), i == 4};
	cr_assert_leq(codec_transaction_bytes(txn), room);
	value = made(bytes, codec_put_transaction(bytes, txn, now));
	cr_assert_eq(value.len, codec_transaction_bytes(txn));
	txn_table_free(&table);
	return value;
}

Test(codec, a_transaction_comes_back)
{
	struct txn_table *table = txn_table_new(8);
	struct clock_now later = {5, now.wall_ms + 30000};
	char bytes[1024];
	struct slice value = make_transaction(bytes, sizeof(bytes));
	struct txn *txn;

	cr_assert(codec_get_transaction(value, table, 4, later));
	cr_assert_not(codec_get_transaction(value, table, 5, later), "the same id twice");
	txn_restored(table);
	txn = txn_find(table, (struct hash128){5, 6});
	cr_assert(txn && txn_slot(table, txn) == 4);
	cr_assert_eq(txn->used_ms, 5 - 90000);
	cr_assert_eq(txn->service, 25);
	cr_assert_eq(txn->asked, 4);
	cr_assert(txn->settled && !txn->ended && txn->any_refunded);
	cr_assert(txn->groups == 3 && txn->layers == 3 && txn->members == 9);
	cr_assert_eq(txn_groups(txn)[2].rule_id, 102);
	cr_assert(txn_groups(txn)[2].one_subject && !txn_groups(txn)[2].gate);
	cr_assert_eq(txn_layers(txn)[1].bucket, 10);
	cr_assert_eq(txn_members(txn)[8].recipient, 1008);
	cr_assert(txn_members(txn)[4].refunded && !txn_members(txn)[5].refunded);
	txn_table_free(&table);
}

static void look_at_transaction(struct slice value)
{
	struct ledger_options options = {.max_counters = 8, .max_transactions = 8};
	struct ledger *ledger = ledger_new(&options);

	if (codec_get_transaction(value, ledger->txns, 4, now)) {
		struct txn *txn = txn_at(ledger->txns, 4);
		struct hash128 id = txn->id;
		struct ledger_settlement settlement = {.transaction = id, .recipient_count = 2};

		txn_restored(ledger->txns);
		ledger_settle(ledger, &settlement, now);
		ledger_refund(ledger, id, now);
	}
	ledger_free(&ledger);
}

Test(codec, a_damaged_transaction_is_refused_or_harmless)
{
	char bytes[1024];

	torment(make_transaction(bytes, sizeof(bytes)), look_at_transaction);
}

static struct ban ban_of(unsigned number)
{
	struct ban ban;

	memset(&ban, 0, sizeof(ban));
	memcpy(ban.network.ip.bytes, &number, sizeof(number));
	ban.network.bits = 64;
	ban.times = number;
	memset(ban.reason, 'r', sizeof(ban.reason) - 1);
	memset(ban.by, 'b', sizeof(ban.by) - 1);
	return ban;
}

static void look_at_ban(struct slice value)
{
	struct ban ban;

	if (!codec_get_ban(value, &ban))
		return;
	cr_assert(ban.network.bits <= 128);
	cr_assert(memchr(ban.reason, '\0', sizeof(ban.reason)) &&
		  memchr(ban.by, '\0', sizeof(ban.by)) && memchr(ban.node, '\0', sizeof(ban.node)));
}

Test(codec, a_ban_comes_back_and_damage_is_refused_or_harmless)
{
	struct ban ban = ban_of(300), again;
	char bytes[CODEC_BAN_BYTES];
	struct slice value;

	memset(ban.node, 'n', sizeof(ban.node) - 1);
	value = made(bytes, codec_put_ban(bytes, &ban));
	cr_assert_leq(value.len, sizeof(bytes), "all texts are as long as they can be");
	cr_assert(codec_get_ban(value, &again));
	cr_assert_eq(memcmp(&ban, &again, sizeof(ban)), 0);
	for (size_t len = 0; len < value.len; len++)
		cr_assert_not(codec_get_ban(slice_first(value, len), &again));
	torment(value, look_at_ban);
	ban.reason[3] = '\n';
	value = made(bytes, codec_put_ban(bytes, &ban));
	cr_assert_not(codec_get_ban(value, &again), "not printable");
}

Test(codec, an_override_comes_back_and_damage_is_refused)
{
	struct override override = {.rule = "hourly",
		.subject = "j\xc3\xb6rg@example.com",
		.by = "uid 1000",
		.rates = {{500, 3600000}, {2000, 86400000}},
		.rate_count = 2,
		.since_wall_ms = 1000,
		.until_wall_ms = UINT64_MAX};
	struct override again;
	char bytes[CODEC_OVERRIDE_BYTES];
	struct slice value = made(bytes, codec_put_override(bytes, &override));

	cr_assert(codec_get_override(value, &again));
	cr_assert(memcmp(&override, &again, sizeof(again)) == 0);
	for (size_t len = 0; len < value.len; len++)
		cr_assert_not(codec_get_override(slice_first(value, len), &again));
	bytes[value.len] = 'x';
	cr_assert_not(codec_get_override(slice_make(bytes, value.len + 1), &again), "too long");
	bytes[1] = OVERRIDE_RATES + 1;
	cr_assert_not(codec_get_override(value, &again), "too many limits");
	override.rates[0].window_ms = 0;
	value = made(bytes, codec_put_override(bytes, &override));
	cr_assert_not(codec_get_override(value, &again), "no window");
	override.rates[0].window_ms = 1;
	override.rates[0].limit = RATE_MAX_LIMIT;
	value = made(bytes, codec_put_override(bytes, &override));
	cr_assert(codec_get_override(value, &again));
	override.rates[0].limit++;
	value = made(bytes, codec_put_override(bytes, &override));
	cr_assert_not(codec_get_override(value, &again), "too high a limit");
	override.rates[0].limit = 1;
	override.subject[0] = '\0';
	value = made(bytes, codec_put_override(bytes, &override));
	cr_assert_not(codec_get_override(value, &again), "no subject");
}

Test(codec, the_longest_override_comes_back)
{
	struct override override, again;
	char bytes[CODEC_OVERRIDE_BYTES];
	struct slice value;

	memset(&override, 0, sizeof(override));
	memset(override.rule, 'r', OVERRIDE_RULE_BYTES);
	memset(override.subject, 's', COUNTER_SUBJECT_BYTES);
	memset(override.by, 'b', OVERRIDE_BY_BYTES);
	for (; override.rate_count < OVERRIDE_RATES; override.rate_count++)
		override.rates[override.rate_count] = (struct rate){1, 2};
	value = made(bytes, codec_put_override(bytes, &override));
	cr_assert_leq(value.len, sizeof(bytes));
	cr_assert(codec_get_override(value, &again));
	cr_assert(memcmp(&override, &again, sizeof(again)) == 0);
}

Test(codec, services)
{
	struct services services, again;
	char bytes[CODEC_SERVICES_BYTES];
	struct slice value;

	services_init(&services, LEDGER_SETTLE_AUTO);
	services_init(&again, LEDGER_SETTLE_AUTO);
	for (unsigned i = 0; i < SERVICES_MAX; i++)
		services_settled(&services, 25 + i, 1000 + i);
	value = made(bytes, codec_put_services(bytes, &services));
	cr_assert_eq(value.len, sizeof(bytes), "as many as there can be");
	cr_assert(codec_get_services(value, &again));
	cr_assert(services_settles(&again, 25 + SERVICES_MAX - 1, 2000));
	cr_assert_not(codec_get_services(slice_first(value, value.len - 1), &again));
}

Test(codec, hash_key_and_format)
{
	struct hash_key key = {1, UINT64_MAX}, got;
	char bytes[CODEC_HASH_KEY_BYTES];
	struct slice value = made(bytes, codec_put_hash_key(bytes, key));

	cr_assert_eq(value.len, sizeof(bytes));
	cr_assert(codec_get_hash_key(value, &got));
	cr_assert(got.k0 == 1 && got.k1 == UINT64_MAX);
	cr_assert_not(codec_get_hash_key(slice_first(value, 16), &got));
	value = made(bytes, codec_put_format(bytes));
	cr_assert_eq(value.len, CODEC_FORMAT_BYTES);
	cr_assert(codec_is_format(value));
	bytes[value.len - 1]++;
	cr_assert_not(codec_is_format(value));
}

Test(batch, records_come_back_in_order)
{
	struct batch batch;
	struct batch_record record;
	size_t at = 0;
	char *room;

	batch_init(&batch);
	room = batch_begin(&batch, BATCH_COUNTERS, 7, 100);
	memcpy(room, "seven", 5);
	batch_end(&batch, room + 5);
	batch_remove(&batch, BATCH_BANS, 8);
	batch_end(&batch, batch_begin(&batch, BATCH_META, 9, 0));
	cr_assert_eq(batch.records, 3);
	cr_assert(batch_next(&batch, &at, &record));
	cr_assert(record.db == BATCH_COUNTERS && record.key == 7 && !record.remove);
	cr_assert(slice_is(record.value, "seven"));
	cr_assert(batch_next(&batch, &at, &record));
	cr_assert(record.db == BATCH_BANS && record.key == 8 && record.remove);
	cr_assert(batch_next(&batch, &at, &record));
	cr_assert(record.db == BATCH_META && record.key == 9 && record.value.len == 0);
	cr_assert_not(batch_next(&batch, &at, &record));
	batch_reset(&batch);
	at = 0;
	cr_assert_not(batch_next(&batch, &at, &record));
	batch_release(&batch);
}

Test(batch, grows_and_keeps_what_it_has)
{
	enum { RECORDS = 3000 };
	struct batch batch;
	struct batch_record record;
	size_t at = 0;

	batch_init(&batch);
	for (uint32_t i = 0; i < RECORDS; i++) {
		char *room = batch_begin(&batch, BATCH_TRANSACTIONS, i, 2000);

		memset(room, (int)(i % 251), i % 2000);
		batch_end(&batch, room + i % 2000);
	}
	for (uint32_t i = 0; i < RECORDS; i++) {
		cr_assert(batch_next(&batch, &at, &record));
		cr_assert(record.key == i && record.value.len == i % 2000);
		cr_assert(i % 2000 == 0 || (uint8_t)record.value.data[i % 2000 - 1] == i % 251);
	}
	cr_assert_not(batch_next(&batch, &at, &record));
	batch_reset(&batch);
	cr_assert(batch.len == 0 && batch.cap == 0, "much memory is not kept");
	batch_release(&batch);
}

Test(banlist, random_putting_and_removing)
{
	enum { BANS = 700 };
	static bool there[BANS];
	struct banlist *list = banlist_new(BANS, (struct hash_key){1, 2});
	uint64_t random = 9;
	unsigned count = 0, walked = 0;

	for (unsigned step = 0; step < 30000; step++) {
		struct ban ban;
		unsigned which;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
		which = (unsigned)(random >> 33) % BANS;
		ban = ban_of(which);
		if (there[which])
			banlist_remove(list, &ban.network);
		else
			cr_assert(banlist_put(list, &ban));
		count += there[which] ? -1u : 1u;
		there[which] = !there[which];
		cr_assert_eq(banlist_count(list), count);
	}
	for (uint32_t slot = 0; slot < banlist_high(list); slot++) {
		const struct ban *ban = banlist_at(list, slot);

		walked += ban != NULL;
		cr_assert(!ban || there[ban->times]);
	}
	cr_assert_eq(walked, count);
	banlist_free(&list);
}

Test(banlist, is_bounded_and_marks_changes)
{
	struct banlist *list = banlist_new(2, (struct hash_key){1, 2});
	struct ban ban = ban_of(1);

	cr_assert(banlist_put(list, &ban));
	ban = ban_of(2);
	cr_assert(banlist_put(list, &ban));
	cr_assert(banlist_put(list, &ban), "replacing needs no room");
	ban = ban_of(3);
	cr_assert_not(banlist_put(list, &ban));
	cr_assert_eq(banlist_next_dirty(list, 0), 0);
	cr_assert_eq(banlist_next_dirty(list, 1), 1);
	cr_assert_not(banlist_is_dirty(list));
	ban = ban_of(1);
	banlist_remove(list, &ban.network);
	cr_assert(banlist_is_dirty(list));
	cr_assert_eq(banlist_next_dirty(list, 0), 0);
	cr_assert_eq(banlist_next_dirty(list, 0), BANLIST_NONE);
	banlist_free(&list);
}

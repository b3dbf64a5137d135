/* SPDX-License-Identifier: ISC */
/*
 * A million logins with two limits each, as a big provider has them: what the table takes of the
 * machine's memory, by the kernel's own account, and that nothing is lost while there is room.
 */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "daemon/counting/ledger.h"

/* Under a sanitizer all is ten times slower; `make PROFILE=release unit-run LAYER=counting` has
 * the full number. */
#if defined(__SANITIZE_ADDRESS__)
#define LOGINS 200000u
#else
#define LOGINS 1000000u
#endif
#define HOUR_MS UINT64_C(3600000)
#define START_MS UINT64_C(1700000000000)

static uint64_t resident_bytes(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long size, resident;
	int got;

	cr_assert(statm);
	got = fscanf(statm, "%lu %lu", &size, &resident);
	fclose(statm);
	cr_assert_eq(got, 2);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 20 to 35 bytes, 26 on average. */
static struct slice login(char *memory, size_t bytes, unsigned number)
{
	int len = snprintf(memory, bytes, "user%u%.*s@customer%u.example", number,
		(int)(number % 12), "-department-x", number % 9973);

	return slice_make(memory, (size_t)len);
}

static unsigned charge_logins(struct ledger *ledger, struct clock_now now)
{
	unsigned granted = 0;

	for (unsigned i = 0; i < LOGINS; i++) {
		char memory[64];
		struct slice subject = login(memory, sizeof(memory), i);
		struct store_charge charges[2] = {
			{.key = {SLICE("hourly"), subject, COUNT_RECIPIENTS, HOUR_MS},
				.limit = 200,
				.cost = 1,
				.gate = true},
			{.key = {SLICE("hourly"), subject, COUNT_RECIPIENTS, 24 * HOUR_MS},
				.limit = 1000,
				.cost = 1,
				.gate = true},
		};
		struct ledger_request request = {.recipient = 1, .asked = 1};

		granted += ledger_reserve(ledger, &request, charges, 2, now) < 0;
	}
	return granted;
}

static void measure(size_t max_counters, unsigned rounds)
{
	struct ledger_options options = {
		.max_counters = max_counters, .max_transactions = 1000, .key = {11, 12}};
	uint64_t before = resident_bytes(), after;
	struct ledger *ledger = ledger_new(&options);
	struct clock_now now = {HOUR_MS, START_MS};
	double begun = seconds();

	for (unsigned i = 0; i < rounds; i++) {
		cr_assert_eq(charge_logins(ledger, now), LOGINS);
		now.wall_ms += 7 * 60000;
	}
	after = resident_bytes();
	fprintf(stderr,
		"memory: max_keys %zu, %u rounds: %u counters, %.1f bytes each by the kernel, "
		"%.1f by count, "
		"%" PRIu64 " evictions, %.2f us a request of two\n",
		max_counters, rounds, ledger->counters->count,
		(double)(after - before) / ledger->counters->count,
		(double)table_bytes(ledger->counters) / ledger->counters->count,
		ledger->counters->evictions, (seconds() - begun) * 1e6 / LOGINS / rounds);
	cr_assert_leq(table_bytes(ledger->counters), (uint64_t)max_counters * TABLE_COUNTER_BYTES);
	cr_assert_leq(after - before, (uint64_t)max_counters * TABLE_COUNTER_BYTES + (8 << 20));
	if (max_counters >= 2 * LOGINS)
		cr_assert_eq(ledger->counters->evictions, 0);
	else
		cr_assert_eq(ledger->counters->count, max_counters);
	ledger_free(&ledger);
}

Test(memory, two_counters_a_login_fit)
{
	measure(2 * LOGINS, 1);
}

Test(memory, half_of_them_are_kept_and_the_least_used_leave)
{
	measure(LOGINS, 1);
}

Test(memory, with_several_live_buckets)
{
	measure(2 * LOGINS, 3);
}

/* The worst subjects and windows there are: fewer counters, never more memory. */
Test(memory, the_worst_keys_take_no_more)
{
	enum { MAX = 20000 };
	struct counter_table *table = table_new(MAX, (struct hash_key){5, 6});
	char memory[COUNTER_SUBJECT_BYTES];

	memset(memory, 'x', sizeof(memory));
	for (unsigned i = 0; i < 2 * MAX; i++) {
		struct counter_key key = {
			SLICE("r"), slice_make(memory, sizeof(memory)), COUNT_BYTES, HOUR_MS};
		uint32_t slot;

		memcpy(memory, &i, sizeof(i));
		slot = table_add(table, &key, table_hash(table, &key), UINT64_MAX, START_MS);
		cr_assert_neq(slot, TABLE_NONE);
		for (unsigned k = 0; k < 61; k += 4) {
			struct window window;
			uint64_t wall_ms = START_MS + k * 60000;

			table_load(table, slot, wall_ms, &window);
			window_add(&window, UINT64_C(1) << 40);
			table_store(table, slot, &window, wall_ms);
		}
	}
	cr_assert_leq(table_bytes(table), (uint64_t)MAX * TABLE_COUNTER_BYTES);
	fprintf(stderr, "memory: worst keys: %u counters of %d, %.1f bytes each of max_keys\n",
		table->count, MAX, (double)table_bytes(table) / MAX);
	table_free(&table);
}

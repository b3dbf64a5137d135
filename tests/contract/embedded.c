/* SPDX-License-Identifier: ISC */
/*
 * The embedded store in its three forms: memory alone, a disk written in place, a disk written by
 * a thread.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/store/embedded.h"
#include "tests/contract/contract.h"
#include "tests/contract/thread_worker.h"

struct place {
	char folder[64];
	struct thread_worker worker;
	bool on_disk, threaded;
};

static void begin(struct contract_backend *backend)
{
	struct place *place = backend->data;

	thread_worker_init(&place->worker);
	if (!place->on_disk)
		return;
	snprintf(place->folder, sizeof(place->folder), "/tmp/reeve-contract-XXXXXX");
	cr_assert(mkdtemp(place->folder));
}

static void end(struct contract_backend *backend)
{
	static const char *const files[] = {"data.mdb", "lock.mdb", "reeve.lock"};
	const struct place *place = backend->data;
	char path[96];

	if (!place->on_disk)
		return;
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", place->folder, files[i]);
		unlink(path);
	}
	cr_assert_eq(rmdir(place->folder), 0);
}

static struct store *open_store(
	struct contract_backend *backend, const struct contract_setup *setup, struct clock_now now)
{
	static const enum embedded_settle settles[] = {
		[CONTRACT_AUTO] = EMBEDDED_SETTLE_AUTO,
		[CONTRACT_DATA] = EMBEDDED_SETTLE_DATA,
		[CONTRACT_NONE] = EMBEDDED_SETTLE_NONE,
	};
	struct place *place = backend->data;
	struct embedded_options options = {.folder = slice_of(place->folder),
		.max_counters = setup->max_counters,
		.max_transactions = setup->max_transactions,
		.settle = settles[setup->settles]};
	struct store *store;
	char why[256];

	store = store_embedded_open(
		&options, place->threaded ? &place->worker.worker : NULL, now, why);
	cr_assert(store, "%s", why);
	return store;
}

static bool pump(struct contract_backend *backend)
{
	return thread_worker_turn(&((struct place *)backend->data)->worker);
}

static void sync_store(struct contract_backend *backend, struct store *store, struct clock_now now)
{
	store->ops->tick(store, now);
	while (pump(backend))
		;
}

static struct place memory_place;
static struct contract_backend memory = {
	"embedded in memory", begin, end, open_store, pump, sync_store, &memory_place};

#define CASE(name)                                      \
	Test(embedded_memory, name)                     \
	{                                               \
		contract_run(&memory, contract_##name); \
	}
CONTRACT_CASES(CASE)
#undef CASE

static struct place disk_place = {.on_disk = true};
static struct contract_backend disk = {
	"embedded on disk", begin, end, open_store, pump, sync_store, &disk_place};

#define CASE(name)                                    \
	Test(embedded_disk, name)                     \
	{                                             \
		contract_run(&disk, contract_##name); \
	}
CONTRACT_CASES(CASE)
CONTRACT_DURABLE_CASES(CASE)
#undef CASE

static struct place threaded_place = {.on_disk = true, .threaded = true};
static struct contract_backend threaded = {
	"embedded with a thread", begin, end, open_store, pump, sync_store, &threaded_place};

#define CASE(name)                                        \
	Test(embedded_threaded, name)                     \
	{                                                 \
		contract_run(&threaded, contract_##name); \
	}
CONTRACT_CASES(CASE)
CONTRACT_DURABLE_CASES(CASE)
#undef CASE

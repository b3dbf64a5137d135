/* SPDX-License-Identifier: ISC */
/*
 * The embedded store around its disk: who may open what, damage, a disk that is full, the
 * worker's turns, kill -9 at any moment. What it answers is tested in tests/contract/.
 */
#include "daemon/store/embedded.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/store/embedded/disk.h"
#include "daemon/store/embedded/snapshot.h"

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)

static char folder[64];
static char why[256];
static struct clock_now now;

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/reeve-embedded-XXXXXX");
	cr_assert(mkdtemp(folder));
	now = (struct clock_now){HOUR_MS, UINT64_C(1700000000000)};
}

static void in_folder(char *path, size_t bytes, const char *name)
{
	snprintf(path, bytes, "%s/%s", folder, name);
}

static void teardown(void)
{
	static const char *const names[] = {"data.mdb", "lock.mdb", "reeve.lock", "file"};
	char path[128];

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		in_folder(path, sizeof(path), names[i]);
		unlink(path);
	}
	rmdir(folder);
}

TestSuite(embedded, .init = setup, .fini = teardown);

static struct store *open_in(const char *where, struct worker *worker, size_t max_counters)
{
	struct embedded_options options = {.folder = slice_of(where),
		.max_counters = max_counters,
		.max_transactions = max_counters};

	return store_embedded_open(&options, worker, now, why);
}

static struct store *open_store(struct worker *worker)
{
	struct store *store = open_in(folder, worker, 10000);

	cr_assert(store, "%s", why);
	return store;
}

static void close_store(struct store **store)
{
	(*store)->ops->close(*store);
	*store = NULL;
}

static void tick(struct store *store, uint64_t ms)
{
	now.mono_ms += ms;
	now.wall_ms += ms;
	store->ops->tick(store, now);
}

static struct hash128 id(uint64_t number)
{
	return (struct hash128){number * UINT64_C(0x9e3779b97f4a7c15) + 1, number};
}

static struct store_charge reserve(struct store *store, uint64_t txn, const char *subject)
{
	struct store_charge charge = {
		.key = {SLICE("hourly"), slice_of(subject), COUNT_RECIPIENTS, HOUR_MS},
		.limit = 1000000,
		.cost = 1,
		.gate = true};
	struct store_reserve op = {.transaction = txn ? id(txn) : (struct hash128){0, 0},
		.recipient = 1,
		.asked = 1,
		.charges = &charge,
		.count = 1};

	store_reserve(store, &op, now);
	cr_assert_eq(op.op.state, STORE_OP_DONE);
	cr_assert_eq(op.refused, -1);
	return charge;
}

static uint64_t used(struct store *store, const char *subject)
{
	struct store_usage op = {
		.key = {SLICE("hourly"), slice_of(subject), COUNT_RECIPIENTS, HOUR_MS}};

	store_usage(store, &op, now);
	return op.used;
}

static struct embedded_health health(const struct store *store)
{
	struct embedded_health ret;

	store_embedded_health(store, &ret);
	return ret;
}

/* ---- opening ---- */

Test(embedded, says_why_it_cannot_open)
{
	char path[128];
	struct store *store;
	int fd;

	in_folder(path, sizeof(path), "missing/store");
	cr_assert_null(open_in(path, NULL, 10));
	cr_assert(strstr(why, path) && strstr(why, "the folder it is in does not exist; make it, for the user"), "%s", why);
	in_folder(path, sizeof(path), "file");
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	cr_assert(fd >= 0);
	close(fd);
	cr_assert_null(open_in(path, NULL, 10));
	cr_assert(strstr(why, path) && strstr(why, "not a folder"), "%s", why);
	store = open_store(NULL);
	cr_assert_null(open_in(folder, NULL, 10));
	cr_assert(strstr(why, folder) && strstr(why, "in use by another"), "%s", why);
	close_store(&store);
	store = open_store(NULL);
	close_store(&store);
}

Test(embedded, makes_its_folder)
{
	char path[128];
	struct stat status;
	struct store *store;

	in_folder(path, sizeof(path), "file");
	store = open_in(path, NULL, 10);
	cr_assert(store, "%s", why);
	cr_assert_eq(stat(path, &status), 0);
	cr_assert_eq(status.st_mode & 0777, 0750);
	close_store(&store);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = {
			"file/data.mdb", "file/lock.mdb", "file/reeve.lock"};

		in_folder(path, sizeof(path), names[i]);
		unlink(path);
	}
	in_folder(path, sizeof(path), "file");
	rmdir(path);
}

static void write_file(const char *name, const char *bytes, size_t len)
{
	char path[128];
	int fd;

	in_folder(path, sizeof(path), name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	cr_assert(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

Test(embedded, refuses_a_file_that_is_not_its_own)
{
	static char bytes[8192];

	memset(bytes, 'x', sizeof(bytes));
	write_file("data.mdb", bytes, sizeof(bytes));
	cr_assert_null(open_in(folder, NULL, 10));
	cr_assert(strstr(why, folder) && strstr(why, "not an LMDB file"), "%s", why);
}

Test(embedded, a_file_that_was_cut_off_does_not_crash)
{
	struct store *store = open_store(NULL);
	char path[128], subject[32];
	struct stat status;

	for (unsigned i = 0; i < 3000; i++) {
		snprintf(subject, sizeof(subject), "user%u@example.com", i);
		reserve(store, i + 1, subject);
	}
	close_store(&store);
	in_folder(path, sizeof(path), "data.mdb");
	cr_assert_eq(stat(path, &status), 0);
	for (off_t keep = status.st_size - 4096; keep > 2 * 4096; keep -= status.st_size / 7) {
		cr_assert_eq(truncate(path, keep), 0);
		store = open_in(folder, NULL, 10000);
		if (store)
			close_store(&store);
		else
			cr_assert(strstr(why, folder), "%s", why);
	}
}

Test(embedded, keeps_its_hash_key)
{
	struct store *store = open_store(NULL);
	struct hash_key key = store_embedded_hash_key(store), again;

	cr_assert(key.k0 || key.k1);
	close_store(&store);
	store = open_store(NULL);
	again = store_embedded_hash_key(store);
	cr_assert(key.k0 == again.k0 && key.k1 == again.k1);
	close_store(&store);
	store = open_in("", NULL, 10);
	again = store_embedded_hash_key(store);
	cr_assert(key.k0 != again.k0 && (again.k0 || again.k1));
	close_store(&store);
}

/* ---- records ---- */

static void put_raw(enum batch_db db, uint32_t key, struct slice value)
{
	struct disk *disk = disk_open(slice_of(folder), (size_t)1 << 30, why);
	struct batch batch;
	char *at;

	cr_assert(disk, "%s", why);
	batch_init(&batch);
	at = batch_begin(&batch, db, key, value.len);
	memcpy(at, value.data, value.len);
	batch_end(&batch, at + value.len);
	cr_assert(disk_write(disk, &batch, why), "%s", why);
	batch_release(&batch);
	disk_close(&disk);
}

Test(embedded, drops_damaged_and_foreign_records)
{
	struct store *store = open_store(NULL);

	reserve(store, 1, "anna");
	reserve(store, 2, "bert");
	close_store(&store);
	put_raw(BATCH_COUNTERS, 0, SLICE("\x01garbage"));
	put_raw(BATCH_COUNTERS, 5000, SLICE("\x01"));
	put_raw(BATCH_COUNTERS, UINT32_MAX, SLICE("\x02"));
	put_raw(BATCH_TRANSACTIONS, 7, SLICE("\x01\x01\x01"));
	put_raw(BATCH_BANS, 7, SLICE("x"));
	put_raw(BATCH_META, META_SERVICES, SLICE("\x01\xff"));
	put_raw(BATCH_META, 999, SLICE("from a later version"));
	store = open_store(NULL);
	cr_assert_eq(health(store).dropped_records, 6);
	cr_assert_eq(used(store, "anna"), 0);
	cr_assert_eq(used(store, "bert"), 1);
	cr_assert_eq(health(store).loaded_transactions, 2);
	close_store(&store);
	store = open_store(NULL);
	cr_assert_eq(health(store).dropped_records, 0, "they were deleted");
	cr_assert_eq(used(store, "bert"), 1);
	close_store(&store);
}

/* Where the value lies in the file that holds only the record of `subject` in its group: behind
 * the ends of all its records, which are equal then. */
static long place_of_group(FILE *file, const char *subject)
{
	static char bytes[1 << 20];
	size_t len = fread(bytes, 1, sizeof(bytes), file);
	const char *at = memmem(bytes, len, subject, strlen(subject));
	uint32_t ends[16];

	cr_assert(at && len < sizeof(bytes));
	do {
		at--;
		cr_assert(at > bytes);
		memcpy(ends, at, sizeof(ends));
	} while (!ends[0] || memcmp(&ends[0], &ends[1], sizeof(ends) - sizeof(ends[0])) != 0);
	return at - bytes;
}

/* Each byte of the value, with a few values. Whatever is read, the store goes on with it, and
 * what was found to be void is gone at the next start. */
Test(embedded, a_damaged_group_is_dropped_or_harmless)
{
	struct store *store = open_store(NULL);
	char path[128], byte;
	unsigned dropped = 0;
	long begin;
	FILE *file;

	reserve(store, 0, "anna@example.com");
	close_store(&store);
	in_folder(path, sizeof(path), "data.mdb");
	for (long i = 0; i < 130; i++) {
		file = fopen(path, "r+b");
		cr_assert(file);
		begin = place_of_group(file, "anna@example.com");
		fseek(file, begin + i, SEEK_SET);
		cr_assert_eq(fread(&byte, 1, 1, file), 1);
		byte = (char)(byte ^ (1 << i % 8));
		fseek(file, begin + i, SEEK_SET);
		cr_assert_eq(fwrite(&byte, 1, 1, file), 1);
		fclose(file);
		store = open_store(NULL);
		dropped += health(store).dropped_records > 0;
		close_store(&store);
		store = open_store(NULL);
		cr_assert_eq(health(store).dropped_records, 0, "byte %ld", i);
		close_store(&store);
		teardown();
		cr_assert_eq(mkdir(folder, 0700), 0);
		store = open_store(NULL);
		reserve(store, 0, "anna@example.com");
		close_store(&store);
	}
	cr_assert_gt(dropped, 60, "all damage to the ends is seen");
}

Test(embedded, refuses_another_version)
{
	static const char *const others[] = {"reeve\x01", "reeve\x03", "reeve"};
	struct store *store = open_store(NULL);

	close_store(&store);
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		put_raw(BATCH_META, META_FORMAT, slice_of(others[i]));
		cr_assert_null(open_in(folder, NULL, 10));
		cr_assert(strstr(why, folder) && strstr(why, "another version"), "%s", why);
	}
}

Test(embedded, drops_what_is_long_over)
{
	struct store *store = open_store(NULL);

	reserve(store, 0, "anna");
	tick(store, 30 * MINUTE_MS);
	reserve(store, 0, "bert");
	close_store(&store);
	now.wall_ms += 50 * MINUTE_MS;
	store = open_store(NULL);
	cr_assert_eq(health(store).counters, 1);
	cr_assert_eq(used(store, "bert"), 1);
	close_store(&store);
}

Test(embedded, a_smaller_table_keeps_what_it_can)
{
	struct store *store = open_store(NULL);
	char subject[32];

	for (unsigned i = 0; i < 200; i++) {
		snprintf(subject, sizeof(subject), "user%u", i);
		reserve(store, 0, subject);
	}
	close_store(&store);
	for (int round = 0; round < 2; round++) {
		store = open_in(folder, NULL, 150);
		cr_assert(store, "%s", why);
		cr_assert_eq(health(store).counters, 150);
		cr_assert_eq(used(store, "user149"), 1);
		close_store(&store);
	}
}

Test(embedded, a_counter_that_is_gone_is_deleted)
{
	struct store *store = open_store(NULL);

	reserve(store, 0, "anna");
	tick(store, 1000);
	tick(store, 2 * HOUR_MS); /* swept; and written */
	cr_assert_eq(health(store).counters, 0);
	tick(store, 1000);
	now.wall_ms -= 2 * HOUR_MS; /* so that its age is no reason to drop it */
	close_store(&store);
	store = open_store(NULL);
	cr_assert_eq(health(store).counters, 0);
	cr_assert_eq(health(store).dropped_records, 0);
	close_store(&store);
}

/* ---- a worker whose turns are the test's ---- */

struct manual {
	struct worker worker;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
	unsigned runs;
};

static void manual_run(
	struct worker *base, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct manual *manual = (struct manual *)(void *)base;

	cr_assert(!manual->work, "one at a time");
	manual->work = work;
	manual->done = done;
	manual->arg = arg;
	manual->runs++;
}

static void manual_turn(struct manual *manual)
{
	void (*work)(void *arg) = manual->work;

	cr_assert(work);
	work(manual->arg);
	manual->work = NULL;
	manual->done(manual->arg);
}

static void manual_wait(struct worker *base)
{
	struct manual *manual = (struct manual *)(void *)base;

	while (manual->work)
		manual_turn(manual);
}

static const struct manual fresh_manual = {.worker = {manual_run, manual_wait}};

static struct ban ban_of(uint8_t last)
{
	struct ban ban;

	memset(&ban, 0, sizeof(ban));
	ban.network.bits = 128;
	ban.network.ip.bytes[0] = 0x20;
	ban.network.ip.bytes[15] = last;
	return ban;
}

Test(embedded, commits_once_a_second_and_bans_at_once)
{
	struct manual manual = fresh_manual;
	struct store *store = open_store(&manual.worker);
	struct ban ban = ban_of(1);

	tick(store, 1000);
	cr_assert_eq(manual.runs, 0, "nothing to write");
	reserve(store, 1, "anna");
	tick(store, 1000);
	cr_assert_eq(manual.runs, 1);
	reserve(store, 2, "anna");
	tick(store, 1000);
	cr_assert_eq(manual.runs, 1, "one is under way");
	manual_turn(&manual);
	tick(store, 100);
	cr_assert_eq(manual.runs, 2);
	manual_turn(&manual);
	reserve(store, 3, "anna");
	tick(store, 100);
	cr_assert_eq(manual.runs, 2, "not more than once a second");
	store->ops->ban_put(store, &ban, now);
	cr_assert_eq(manual.runs, 3);
	ban = ban_of(2);
	store->ops->ban_put(store, &ban, now);
	cr_assert_eq(manual.runs, 3);
	manual_turn(&manual);
	cr_assert_eq(manual.runs, 4, "the second ban follows the first");
	manual_turn(&manual);
	cr_assert_eq(health(store).commits, 4);
	cr_assert_null(manual.work);
	close_store(&store);
	store = open_store(NULL);
	cr_assert_eq(used(store, "anna"), 3);
	cr_assert_eq(health(store).bans, 2);
	close_store(&store);
}

struct syncing {
	struct store_sync sync;
	struct waiter waiter;
	unsigned woken;
};

static void note_wake(struct waiter *waiter)
{
	LIST_ENTRY(waiter, struct syncing, waiter)->woken++;
}

static void begin_sync(struct store *store, struct syncing *syncing)
{
	*syncing = (struct syncing){.waiter = {.wake = note_wake}};
	syncing->sync.op.waiter = &syncing->waiter;
	store_sync(store, &syncing->sync, now);
}

static bool is_pending(const struct syncing *syncing)
{
	bool pending = syncing->sync.op.state == STORE_OP_PENDING;

	cr_assert_eq(syncing->waiter.expected, pending);
	return pending;
}

static bool is_kept(const struct syncing *syncing)
{
	return syncing->sync.op.state == STORE_OP_DONE && !syncing->sync.op.failed;
}

Test(embedded, who_waits_for_the_disk_is_told_when_it_is_there)
{
	struct manual manual = fresh_manual;
	struct store *store = open_store(&manual.worker);
	struct ban ban = ban_of(1);
	struct syncing nothing, first, second, gone;

	begin_sync(store, &nothing);
	cr_assert(is_kept(&nothing) && nothing.woken == 0, "at once, without a call");
	store->ops->ban_put(store, &ban, now);
	begin_sync(store, &first);
	ban = ban_of(2);
	store->ops->ban_put(store, &ban, now);
	begin_sync(store, &second);
	begin_sync(store, &gone);
	cr_assert(is_pending(&first) && is_pending(&second) && is_pending(&gone));
	store_forget(store, &gone.sync.op);
	cr_assert_not(is_pending(&gone));
	manual_turn(&manual);
	cr_assert(is_kept(&first) && first.woken == 1);
	cr_assert(is_pending(&second), "it is in the next batch");
	manual_turn(&manual);
	cr_assert(is_kept(&second) && second.woken == 1);
	cr_assert_eq(gone.woken, 0);
	close_store(&store);
}

Test(embedded, who_waits_for_a_disk_that_hangs_is_told_after_a_while)
{
	struct manual manual = fresh_manual;
	struct store *store = open_store(&manual.worker);
	struct ban ban = ban_of(1);
	struct syncing syncing;

	store->ops->ban_put(store, &ban, now);
	begin_sync(store, &syncing);
	tick(store, 4999);
	cr_assert(is_pending(&syncing));
	tick(store, 1);
	cr_assert_not(is_pending(&syncing));
	cr_assert(syncing.sync.op.failed);
	cr_assert_eq(syncing.woken, 1);
	manual_turn(&manual);
	cr_assert_eq(syncing.woken, 1);
	close_store(&store);
}

Test(embedded, what_changes_while_it_is_written_is_written_next)
{
	struct manual manual = fresh_manual;
	struct store *store = open_store(&manual.worker);

	reserve(store, 1, "anna");
	tick(store, 1000);
	reserve(store, 2, "anna"); /* the batch holds 1 */
	manual_turn(&manual);
	tick(store, 1000);
	manual_turn(&manual);
	cr_assert_eq(health(store).commits, 2);
	close_store(&store);
	store = open_store(NULL);
	cr_assert_eq(used(store, "anna"), 2);
	close_store(&store);
}

Test(embedded, closing_waits_and_writes_the_rest)
{
	struct manual manual = fresh_manual;
	struct store *store = open_store(&manual.worker);
	struct ban ban = ban_of(1);

	reserve(store, 1, "anna");
	tick(store, 1000);
	reserve(store, 2, "anna");
	store->ops->ban_put(store, &ban, now);
	close_store(&store);
	store = open_store(NULL);
	cr_assert_eq(used(store, "anna"), 2);
	cr_assert_eq(health(store).bans, 1);
	close_store(&store);
}

Test(embedded, more_than_one_snapshot_holds)
{
	struct manual manual = fresh_manual;
	struct store *store = open_in(folder, &manual.worker, 200000);
	char subject[64];

	cr_assert(store, "%s", why);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(subject, sizeof(subject), "a-rather-long-name-%u@department.example.com",
			i);
		reserve(store, i % 2 ? i + 1 : 0, subject);
	}
	tick(store, 1000);
	cr_assert_eq(manual.runs, 1);
	manual_turn(&manual);
	cr_assert_eq(manual.runs, 2, "the rest does not wait for the next second");
	manual_wait(&manual.worker);
	cr_assert_eq(manual.runs, 3, "transactions beside each other are one value");
	close_store(&store);
	store = open_in(folder, NULL, 200000);
	cr_assert(store, "%s", why);
	cr_assert_eq(health(store).loaded_counters, 100000);
	cr_assert_eq(health(store).loaded_transactions, 50000);
	close_store(&store);
}

/* ---- a full disk ---- */

static void fill(struct store *store, unsigned from, unsigned count)
{
	char subject[32];

	for (unsigned i = from; i < from + count; i++) {
		snprintf(subject, sizeof(subject), "user%u@example.com", i);
		reserve(store, i + 1, subject);
	}
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void check_failing(struct store *store)
{
	struct embedded_health ill;

	/* Nobody notices but the figures. */
	fill(store, 0, 5000);
	tick(store, 1000);
	ill = health(store);
	cr_assert(ill.disk_failing);
	cr_assert_eq(ill.commit_failures, 1);
	cr_assert(strstr(ill.last_error, "store "), "%s", ill.last_error);
	for (unsigned i = 0; i < 5; i++) {
		fill(store, 5000 + i, 1);
		tick(store, 100);
	}
	cr_assert_eq(health(store).commit_failures, 1, "not tried again at once");
	tick(store, 1000);
	cr_assert_eq(health(store).commit_failures, 2);
	tick(store, 1000);
	cr_assert_eq(health(store).commit_failures, 2, "the pauses grow");
	cr_assert_eq(used(store, "user3@example.com"), 1);
}

static void check_recovered(struct store *store)
{
	tick(store, EMBEDDED_RETRY_MS);
	cr_assert_not(health(store).disk_failing, "%s", health(store).last_error);
	cr_assert_eq(health(store).commits, 1);
	cr_assert_geq(health(store).commit_failures, 2);
}

Test(embedded, a_disk_that_takes_no_more_disturbs_nobody)
{
	struct store *store = open_store(NULL);
	struct ban ban = ban_of(1);

	signal(SIGXFSZ, SIG_IGN);
	limit_files(64 * 1024);
	check_failing(store);
	store->ops->ban_put(store, &ban, now);
	limit_files(RLIM_INFINITY);
	check_recovered(store);
	close_store(&store);
	store = open_store(NULL);
	cr_assert_eq(health(store).loaded_counters, 5005);
	cr_assert_eq(health(store).bans, 1);
	close_store(&store);
}

/* With a real file system that is full, where we may mount; in a namespace of this test's own. */
Test(embedded, a_full_file_system_disturbs_nobody)
{
	struct store *store;

	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("reeve-test", folder, "tmpfs", 0, "size=256k") != 0) {
		cr_log_warn("cannot mount a tmpfs here (%s)", strerror(errno));
		return;
	}
	store = open_store(NULL);
	check_failing(store);
	cr_assert(strstr(health(store).last_error, "full") ||
			  strstr(health(store).last_error, "No space"),
		"%s", health(store).last_error);
	cr_assert_eq(mount("reeve-test", folder, "tmpfs", MS_REMOUNT, "size=64m"), 0);
	check_recovered(store);
	close_store(&store);
	store = open_store(NULL);
	cr_assert_eq(health(store).loaded_counters, 5005);
	close_store(&store);
	cr_assert_eq(umount2(folder, MNT_DETACH), 0);
}

Test(embedded, closes_with_a_full_disk)
{
	struct store *store = open_store(NULL);

	signal(SIGXFSZ, SIG_IGN);
	limit_files(64 * 1024);
	fill(store, 0, 5000);
	close_store(&store);
	limit_files(RLIM_INFINITY);
	store = open_store(NULL);
	cr_assert_eq(health(store).counters, 0);
	close_store(&store);
}

/* ---- kill -9 ---- */

/* Charges one message after the other, with a tick now and then, and reports each through the
 * pipe. */
static void charge_until_killed(int report)
{
	struct store *store = open_in(folder, NULL, 10000);

	for (uint64_t txn = 1; store; txn++) {
		reserve(store, txn, "anna");
		if (txn % 7 == 0)
			tick(store, 1000);
		if (write(report, "x", 1) != 1)
			break;
	}
	_exit(1);
}

static unsigned kill_after(unsigned messages)
{
	char bytes[1];
	unsigned seen = 0;
	int ends[2], status;
	pid_t child;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	cr_assert(child >= 0);
	if (child == 0) {
		close(ends[0]);
		charge_until_killed(ends[1]);
	}
	close(ends[1]);
	while (seen < messages && read(ends[0], bytes, 1) == 1)
		seen++;
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	cr_assert(WIFSIGNALED(status));
	while (read(ends[0], bytes, 1) == 1)
		seen++;
	close(ends[0]);
	return seen;
}

Test(embedded, after_kill_a_repeat_is_known_or_was_not_counted)
{
	for (unsigned messages = 1; messages < 120; messages += 9) {
		unsigned seen = kill_after(messages), known = 0;
		struct store *store = open_store(NULL);
		uint64_t counted = used(store, "anna");

		for (uint64_t txn = 1; txn <= seen + 1; txn++)
			known += reserve(store, txn, "anna").outcome == CHARGE_ALREADY;
		cr_assert_eq(known, counted, "%u known, %u counted", known, (unsigned)counted);
		cr_assert(counted + 7 >= seen, "more than a second was lost: %u of %u",
			(unsigned)counted, seen);
		cr_assert_eq(used(store, "anna"), seen + 1);
		close_store(&store);
		teardown();
		cr_assert_eq(mkdir(folder, 0700), 0);
	}
}

/* SPDX-License-Identifier: ISC */
/*
 * LMDB in its default, durable mode: a transaction that was committed is on disk, one that was
 * not has never been. After a failure that LMDB calls fatal (MDB_PANIC) only opening the
 * environment again helps.
 */
#include "daemon/store/embedded/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "daemon/store/embedded/group.h"

#define FOLDER_MODE 0750
#define FILE_MODE 0640
#define MAX_VALUE_BYTES ((size_t)64 << 20) /* far above a group of the longest transactions */
/* Values; for each the kernel maps 64 KiB of the file. */
#define UNLOAD_AFTER 64
#define FOREIGN (-1) /* beside LMDB's own codes, which are far below */

static const char *const db_names[BATCH_DBS] = {
	"meta", "counters", "transactions", "bans", "overrides"};

struct disk {
	char *folder;
	size_t map_bytes;
	int lock;     /* descriptor of reeve.lock */
	MDB_env *env; /* NULL: closed after a fatal error */
	MDB_dbi dbs[BATCH_DBS];
	struct buf value; /* the group that is being written */
	size_t touched;   /* values read and written since the environment was opened */
};

static bool failed(
	char why[static DISK_WHY_BYTES], const char *path, const char *file, const char *what)
{
	snprintf(why, DISK_WHY_BYTES, "store %.150s%s: %.80s", path, file, what);
	return false;
}

static bool failed_mdb(char why[static DISK_WHY_BYTES], const struct disk *disk, int rc)
{
	switch (rc) {
	case FOREIGN:
		return failed(why, disk->folder, "/data.mdb", "holds another program's data");
	case MDB_INVALID:
		return failed(why, disk->folder, "/data.mdb",
			"not an LMDB file; move it away to begin afresh");
	case MDB_VERSION_MISMATCH:
		return failed(why, disk->folder, "/data.mdb", "of another version of LMDB");
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
		return failed(
			why, disk->folder, "/data.mdb", "damaged; move it away to begin afresh");
	case EIO: /* LMDB's word for a short write, too */
		return failed(why, disk->folder, "", "Input/output error (is the disk full?)");
	default:
		return failed(why, disk->folder, "", mdb_strerror(rc));
	}
}

/* ---- opening ---- */

/* With what a person can do about it: this is read at night. */
static bool failed_errno(
	char why[static DISK_WHY_BYTES], const struct disk *disk, const char *name, int error)
{
	char text[160];

	switch (error) {
	case EACCES:
	case EPERM:
		snprintf(text, sizeof(text), "%s; give it to the user that runs reeved (uid %u)",
			strerror(error), (unsigned)geteuid());
		return failed(why, disk->folder, name, text);
	case ENOENT:
		return failed(why, disk->folder, name,
			"the folder it is in does not exist; make it, for the user that runs reeved");
	case EROFS:
		snprintf(text, sizeof(text), "%s; under systemd: ReadWritePaths= in a drop-in",
			strerror(error));
		return failed(why, disk->folder, name, text);
	default:
		return failed(why, disk->folder, name, strerror(error));
	}
}

static bool make_folder(struct disk *disk, char why[static DISK_WHY_BYTES])
{
	struct stat status;

	if (mkdir(disk->folder, FOLDER_MODE) == 0)
		return true;
	if (errno != EEXIST || stat(disk->folder, &status) != 0)
		return failed_errno(why, disk, "", errno);
	return S_ISDIR(status.st_mode) || failed(why, disk->folder, "", "not a folder");
}

static int open_in(const struct disk *disk, const char *name, int flags)
{
	int folder = open(disk->folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	int fd, error;

	if (folder < 0)
		return -1;
	fd = openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	error = errno;
	close(folder);
	errno = error;
	return fd;
}

static bool take_lock(struct disk *disk, char why[static DISK_WHY_BYTES])
{
	disk->lock = open_in(disk, "reeve.lock", O_RDWR | O_CREAT);
	if (disk->lock < 0)
		return failed_errno(why, disk, "/reeve.lock", errno);
	if (flock(disk->lock, LOCK_EX | LOCK_NB) == 0)
		return true;
	if (errno == EWOULDBLOCK)
		return failed(why, disk->folder, "/reeve.lock",
			"in use by another reeved; each needs a store.url of its own");
	return failed_errno(why, disk, "/reeve.lock", errno);
}

/* A file that was cut off would end the process (SIGBUS) where its missing pages are read; as
 * zeros they are found out. */
static int fill_up(const struct disk *disk)
{
	MDB_envinfo info;
	MDB_stat stat_env;
	struct stat status;
	off_t whole;
	int fd, rc;

	rc = mdb_env_get_fd(disk->env, &fd);
	if (rc == 0)
		rc = mdb_env_info(disk->env, &info);
	if (rc == 0)
		rc = mdb_env_stat(disk->env, &stat_env);
	if (rc != 0)
		return rc;
	whole = (off_t)(info.me_last_pgno + 1) * (off_t)stat_env.ms_psize;
	if (fstat(fd, &status) != 0 || (status.st_size < whole && ftruncate(fd, whole) != 0))
		return errno;
	return 0;
}

/* Something is in there, but not our meta: it belongs to another program. */
static bool is_foreign(MDB_txn *txn)
{
	MDB_dbi root, meta;
	MDB_stat status;

	return mdb_dbi_open(txn, NULL, 0, &root) == 0 && mdb_stat(txn, root, &status) == 0 &&
	       status.ms_entries > 0 &&
	       mdb_dbi_open(txn, db_names[BATCH_META], 0, &meta) == MDB_NOTFOUND;
}

static int open_dbs(struct disk *disk, MDB_txn *txn)
{
	if (is_foreign(txn))
		return FOREIGN;
	for (int db = 0; db < BATCH_DBS; db++) {
		int rc = mdb_dbi_open(
			txn, db_names[db], MDB_CREATE | MDB_INTEGERKEY, &disk->dbs[db]);

		if (rc != 0)
			return rc;
	}
	return 0;
}

static int open_env(struct disk *disk)
{
	MDB_txn *txn = NULL;
	int rc = mdb_env_create(&disk->env);

	if (rc != 0)
		return rc;
	rc = mdb_env_set_mapsize(disk->env, disk->map_bytes);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(disk->env, BATCH_DBS);
	if (rc == 0)
		rc = mdb_env_open(disk->env, disk->folder, MDB_NOTLS, FILE_MODE);
	if (rc == 0)
		rc = fill_up(disk);
	if (rc == 0)
		rc = mdb_txn_begin(disk->env, NULL, 0, &txn);
	if (rc == 0)
		rc = open_dbs(disk, txn);
	if (rc == 0) {
		rc = mdb_txn_commit(txn);
		txn = NULL;
	}
	if (txn)
		mdb_txn_abort(txn);
	if (rc != 0) {
		mdb_env_close(disk->env);
		disk->env = NULL;
	}
	return rc;
}

struct disk *disk_open(struct slice folder, size_t map_bytes, char ret_why[static DISK_WHY_BYTES])
{
	struct disk *disk = mem_zalloc(sizeof(*disk));
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int rc;

	disk->folder = mem_dup(folder);
	disk->map_bytes = (map_bytes + page - 1) / page * page;
	disk->lock = -1;
	buf_init(&disk->value, MAX_VALUE_BYTES);
	if (make_folder(disk, ret_why) && take_lock(disk, ret_why)) {
		rc = open_env(disk);
		if (rc == 0)
			return disk;
		failed_mdb(ret_why, disk, rc);
	}
	disk_close(&disk);
	return NULL;
}

void disk_close(struct disk **disk)
{
	struct disk *old = *disk;

	if (!old)
		return;
	if (old->env)
		mdb_env_close(old->env);
	if (old->lock >= 0)
		close(old->lock);
	buf_release(&old->value);
	mem_free(&old->folder);
	mem_free(disk);
}

const char *disk_folder(const struct disk *disk)
{
	return disk->folder;
}

/* ---- reading ---- */

struct reading {
	void (*each)(void *arg, uint32_t key, struct slice value);
	void *arg;
	unsigned size; /* of groups */
};

/* A damaged group is handed out as one record that is void. */
static void read_group(const struct reading *reading, uint32_t number, struct slice value)
{
	struct slice records[GROUP_MAX];
	uint32_t first = number * reading->size;

	if (!group_read(value, reading->size, records)) {
		reading->each(reading->arg, first, SLICE_EMPTY);
		return;
	}
	for (unsigned i = 0; i < reading->size; i++)
		if (records[i].len)
			reading->each(reading->arg, first + i, records[i]);
}

static int read_all(MDB_cursor *cursor, const struct reading *reading)
{
	MDB_val key, value;
	uint32_t number;
	int rc;

	while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
		struct slice bytes = slice_make(value.mv_data, value.mv_size);

		if (key.mv_size != sizeof(number))
			continue;
		memcpy(&number, key.mv_data, sizeof(number));
		if (reading->size == 1)
			reading->each(reading->arg, number, bytes);
		else if (number <= UINT32_MAX / reading->size)
			read_group(reading, number, bytes);
	}
	return rc == MDB_NOTFOUND ? 0 : rc;
}

bool disk_read(struct disk *disk, enum batch_db db,
	void (*each)(void *arg, uint32_t key, struct slice value), void *arg,
	char ret_why[static DISK_WHY_BYTES])
{
	MDB_txn *txn = NULL;
	MDB_cursor *cursor = NULL;
	struct reading reading = {each, arg, group_size(db)};
	int rc = mdb_txn_begin(disk->env, NULL, MDB_RDONLY, &txn);

	if (rc == 0)
		rc = mdb_cursor_open(txn, disk->dbs[db], &cursor);
	if (rc == 0)
		rc = read_all(cursor, &reading);
	if (cursor)
		mdb_cursor_close(cursor);
	if (txn)
		mdb_txn_abort(txn);
	return rc == 0 || failed_mdb(ret_why, disk, rc);
}

void disk_unload(struct disk *disk)
{
	mdb_env_close(disk->env);
	disk->env = NULL;
	disk->touched = 0;
	malloc_trim(0);
	(void)!open_env(disk); /* or the next write tries */
}

/* ---- writing ---- */

/* A batch as it is written, record by record; the one that comes next is read already. */
struct writing {
	struct disk *disk;
	const struct batch *batch;
	size_t at;
	struct batch_record next;
	bool has_next;
	MDB_cursor *cursors[BATCH_DBS]; /* LMDB frees them with the transaction */
};

static void step(struct writing *writing)
{
	writing->has_next = batch_next(writing->batch, &writing->at, &writing->next);
}

/* The value of a key, or of none: MDB_NOTFOUND. */
static int find(MDB_cursor *cursor, uint32_t *number, MDB_val *ret_value)
{
	MDB_val key = {sizeof(*number), number};

	return mdb_cursor_get(cursor, &key, ret_value, MDB_SET);
}

/* Where find() has been: puts `bytes` there, or deletes what is there if they are empty. */
static int replace(MDB_cursor *cursor, uint32_t *number, struct slice bytes, bool found)
{
	MDB_val key = {sizeof(*number), number};
	MDB_val value = {bytes.len, NULL};
	int rc;

	if (bytes.len == 0)
		return found ? mdb_cursor_del(cursor, 0) : 0;
	rc = mdb_cursor_put(cursor, &key, &value, MDB_RESERVE | (found ? MDB_CURRENT : 0));
	if (rc == 0)
		memcpy(value.mv_data, bytes.data, bytes.len);
	return rc;
}

/* All changes of one group that follow each other, and what else is in it. */
static void gather(struct writing *writing, struct slice old, unsigned size)
{
	enum batch_db db = writing->next.db;
	uint32_t group = writing->next.key / size;
	struct slice records[GROUP_MAX];

	(void)!group_read(old, size, records); /* damaged: nothing is left of it */
	do {
		records[writing->next.key % size] =
			writing->next.remove ? SLICE_EMPTY : writing->next.value;
		step(writing);
	} while (writing->has_next && writing->next.db == db && writing->next.key / size == group);
	buf_reset(&writing->disk->value);
	group_write(&writing->disk->value, size, records);
}

static int write_next(struct writing *writing)
{
	unsigned size = group_size(writing->next.db);
	MDB_cursor *cursor = writing->cursors[writing->next.db];
	uint32_t number = writing->next.key / size;
	MDB_val old = {0, NULL};
	int rc = find(cursor, &number, &old);
	bool found = rc == 0;

	writing->disk->touched++;
	if (!found && rc != MDB_NOTFOUND)
		return rc;
	if (size > 1) {
		gather(writing, slice_make(old.mv_data, old.mv_size), size);
		return replace(cursor, &number, buf_slice(&writing->disk->value), found);
	}
	rc = replace(
		cursor, &number, writing->next.remove ? SLICE_EMPTY : writing->next.value, found);
	step(writing);
	return rc;
}

static int write_records(struct disk *disk, MDB_txn *txn, const struct batch *batch)
{
	struct writing writing = {.disk = disk, .batch = batch};
	int rc = 0;

	for (int db = 0; rc == 0 && db < BATCH_DBS; db++)
		rc = mdb_cursor_open(txn, disk->dbs[db], &writing.cursors[db]);
	step(&writing);
	while (rc == 0 && writing.has_next)
		rc = write_next(&writing);
	return rc;
}

bool disk_write(struct disk *disk, const struct batch *batch, char ret_why[static DISK_WHY_BYTES])
{
	MDB_txn *txn = NULL;
	int rc = disk->env ? 0 : open_env(disk);

	if (rc == 0)
		rc = mdb_txn_begin(disk->env, NULL, 0, &txn);
	if (rc == 0)
		rc = write_records(disk, txn, batch);
	if (rc == 0) {
		rc = mdb_txn_commit(txn);
		txn = NULL;
	}
	if (txn)
		mdb_txn_abort(txn);
	if (rc == MDB_PANIC && disk->env) {
		mdb_env_close(disk->env);
		disk->env = NULL;
	}
	/* What was read lies in our map, what was written in a heap of LMDB's own; it would keep
	 * both. */
	if (rc == 0 && disk->touched >= UNLOAD_AFTER)
		disk_unload(disk);
	return rc == 0 || failed_mdb(ret_why, disk, rc);
}

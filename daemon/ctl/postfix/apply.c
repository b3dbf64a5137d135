/* SPDX-License-Identifier: ISC */
/*
 * From wishes to files.
 */
#include "daemon/ctl/postfix/apply.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/ctl/postfix/keep.h"

#define WORDS_A_CALL 32
#define FILES 3

enum { MAIN, MASTER, REEVE };

struct applying {
	struct ctl *ctl;
	struct job *job;
	struct slice stage; /* the folder of the copies */
	struct keep_file files[FILES];
	struct apply_result *result;
};

static bool is_ours(const struct wish *wish)
{
	return !wish->met && !wish->by_hand;
}

static struct slice word_of(struct arena *arena, const struct wish *wish)
{
	if (wish->kind == PLAN_MAIN)
		return text_format(
			arena, "%.*s = %.*s", SLICE_ARG(wish->name), SLICE_ARG(wish->value));
	if (wish->kind == PLAN_MASTER)
		return text_format(
			arena, "%.*s=%.*s", SLICE_ARG(wish->service), SLICE_ARG(wish->value));
	return text_format(arena, "%.*s/%.*s=%.*s", SLICE_ARG(wish->service), SLICE_ARG(wish->name),
		SLICE_ARG(wish->value));
}

/* Postfix's tools wait a second or two with a main.cf that may be half written; this one is ours alone. */
static void date_back(const struct applying *to)
{
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	const char *path = text_format(to->job->arena, "%s/main.cf", to->stage.data).data;

	(void)utimensat(AT_FDCWD, path, times, 0);
}

static int run_words(struct applying *to, struct slice *words, size_t count)
{
	struct slice out, why;

	if (count < 2)
		return EX_OK;
	date_back(to);
	if (!job_postconf(to->job->arena, to->stage.data, words, count, &out, &why))
		return ctl_fail(EX_UNAVAILABLE, "nothing was changed: %.*s", SLICE_ARG(why));
	return EX_OK;
}

/* All wishes of one kind, as few calls as will do. */
static int change(struct applying *to, enum plan_kind kind, const char *option, size_t *count)
{
	const struct plan *plan = &to->job->plan;
	struct slice words[WORDS_A_CALL + 1] = {slice_of(option)};
	size_t filled = 1;

	for (size_t i = 0; i < plan->count; i++) {
		const struct wish *wish = &plan->wishes[i];

		if (wish->kind != kind || !is_ours(wish))
			continue;
		(*count)++;
		words[filled++] = word_of(to->job->arena, wish);
		if (filled == WORDS_A_CALL) {
			int code = run_words(to, words, filled);

			if (code != EX_OK)
				return code;
			filled = 1;
		}
	}
	return run_words(to, words, filled);
}

static int change_all(struct applying *to)
{
	int code = change(to, PLAN_MAIN, "-e", &to->result->main_count);

	if (code == EX_OK)
		code = change(to, PLAN_MASTER, "-M", &to->result->master_count);
	if (code == EX_OK)
		code = change(to, PLAN_SERVICE, "-P", &to->result->master_count);
	for (size_t i = 0; i < to->job->plan.count; i++)
		if (to->job->plan.wishes[i].kind == PLAN_REEVE && is_ours(&to->job->plan.wishes[i]))
			to->result->reeve_count++;
	return code;
}

/* Where the files are, and what they say now. */
static int read_files(struct applying *to)
{
	struct arena *arena = to->job->arena;
	struct slice folder = job_folder(to->job);
	char *reeve = realpath(to->job->file, NULL);
	char *etc = realpath(text_terminated(arena, folder), NULL);
	const char *why;

	to->files[MAIN] = (struct keep_file){.name = "main.cf",
		.path = text_format(arena, "%s/main.cf", etc ? etc : folder.data)};
	to->files[MASTER] = (struct keep_file){.name = "master.cf",
		.path = text_format(arena, "%s/master.cf", etc ? etc : folder.data)};
	to->files[REEVE] = (struct keep_file){.name = "reeve.yaml",
		.path = text_format(arena, "%s", reeve ? reeve : to->job->file)};
	free(reeve);
	free(etc);
	for (size_t i = 0; i < FILES; i++)
		if (!keep_read(arena, to->files[i].path.data, &to->files[i].before, &why))
			return ctl_fail(EX_NOINPUT, "%s: %s", to->files[i].path.data, why);
	if (!slice_equal(to->files[REEVE].before, to->job->text))
		return ctl_fail(EX_TEMPFAIL, "%s was changed while we looked at it", to->job->file);
	return EX_OK;
}

static int cannot_make(const char *path)
{
	int error = errno;
	bool closed = error == EACCES || error == EPERM;

	return ctl_fail(closed ? EX_NOPERM : EX_CANTCREAT, "nothing was changed: %s: %s%s", path,
		strerror(error), closed ? "\n  run it as root" : "");
}

static int make_stage(struct applying *to)
{
	struct arena *arena = to->job->arena;
	struct slice all = text_format(arena, "%.*s/" KEEP_FOLDER, SLICE_ARG(job_folder(to->job)));
	const char *why;

	if (mkdir(all.data, 0755) != 0 && errno != EEXIST)
		return cannot_make(all.data);
	to->stage = text_format(arena, "%.*s/stage-%ld", SLICE_ARG(all), (long)getpid());
	if (mkdir(to->stage.data, 0700) != 0)
		return cannot_make(to->stage.data);
	for (size_t i = MAIN; i <= MASTER; i++)
		if (!keep_write(arena,
			    text_format(arena, "%s/%s", to->stage.data, to->files[i].name),
			    to->files[i].before, &why))
			return ctl_fail(EX_CANTCREAT, "%s: %s", to->stage.data, why);
	return EX_OK;
}

static void drop_stage(const struct applying *to)
{
	DIR *dir = to->stage.len ? opendir(to->stage.data) : NULL;
	struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			(void)unlinkat(dirfd(dir), entry->d_name, 0);
	(void)closedir(dir);
	(void)rmdir(to->stage.data);
}

/* The plan of what the copies say must have nothing left to do. */
static int prove(struct applying *to)
{
	struct job *again = arena_zalloc(to->job->arena, sizeof(*again));
	int code;

	date_back(to);
	code = job_open(again, to->ctl, to->stage.data, &to->job->new_text);

	for (size_t i = 0; code == EX_OK && i < again->plan.count; i++) {
		const struct wish *wish = &again->plan.wishes[i];

		if (is_ours(wish))
			code = ctl_fail(EX_SOFTWARE,
				"nothing was changed: after all changes there would still be: %.*s",
				SLICE_ARG(wish->message));
	}
	job_close(again);
	return code;
}

static int read_results(struct applying *to)
{
	struct arena *arena = to->job->arena;
	const char *why;

	for (size_t i = MAIN; i <= MASTER; i++)
		if (!keep_read(arena,
			    text_format(arena, "%s/%s", to->stage.data, to->files[i].name).data,
			    &to->files[i].after, &why))
			return ctl_fail(
				EX_IOERR, "nothing was changed: %s: %s", to->stage.data, why);
	to->files[REEVE].after = to->job->new_text;
	return EX_OK;
}

/* Postfix's tools took a while: what an editor saved meanwhile must not be lost. */
static int still_as_read(const struct applying *to)
{
	struct slice now;
	const char *why;

	for (size_t i = 0; i < FILES; i++) {
		if (!keep_read(to->job->arena, to->files[i].path.data, &now, &why))
			return ctl_fail(EX_NOINPUT, "nothing was changed: %s: %s",
				to->files[i].path.data, why);
		if (!slice_equal(now, to->files[i].before))
			return ctl_fail(EX_TEMPFAIL,
				"nothing was changed: %s was changed meanwhile; try again",
				to->files[i].path.data);
	}
	return EX_OK;
}

static int put_in_place(struct applying *to)
{
	struct arena *arena = to->job->arena;
	const char *why;

	if (!keep_save(arena, job_folder(to->job), to->files, FILES, &to->result->folder, &why))
		return ctl_fail(
			EX_CANTCREAT, "nothing was changed: no copies could be kept: %s", why);
	for (size_t i = 0; i < FILES; i++) {
		if (slice_equal(to->files[i].before, to->files[i].after))
			continue;
		if (!keep_replace(arena, to->files[i].path, to->files[i].after, &why))
			return ctl_fail(EX_CANTCREAT,
				"%s: %s; `reevectl postfix apply --undo` takes back the rest",
				to->files[i].path.data, why);
	}
	return EX_OK;
}

static bool has_work(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (is_ours(&plan->wishes[i]))
			return true;
	return false;
}

int apply_plan(struct ctl *ctl, struct job *job, struct apply_result *ret_result)
{
	struct applying to = {.ctl = ctl, .job = job, .result = ret_result};
	int code;

	*ret_result = (struct apply_result){0};
	if (!has_work(&job->plan))
		return EX_OK;
	code = read_files(&to);
	if (code == EX_OK)
		code = make_stage(&to);
	if (code == EX_OK)
		code = change_all(&to);
	if (code == EX_OK)
		code = prove(&to);
	if (code == EX_OK)
		code = read_results(&to);
	if (code == EX_OK)
		code = still_as_read(&to);
	if (code == EX_OK)
		code = put_in_place(&to);
	drop_stage(&to);
	return code;
}

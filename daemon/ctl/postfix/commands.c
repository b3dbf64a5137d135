/* SPDX-License-Identifier: ISC */
/*
 * `postfix print`, `postfix check`, `postfix apply`.
 */
#include <sysexits.h>

#include "common/json.h"
#include "daemon/ctl/postfix/apply.h"
#include "daemon/ctl/postfix/keep.h"
#include "daemon/ctl/postfix/report.h"
#include "daemon/ctl/table.h"

#define MAX_OUTPUT_BYTES ((size_t)4 * 1024 * 1024)

#define COMMON_HELP \
	"  --config-dir DIR  another Postfix than the system's: where its main.cf lies\n"

static bool take_dir(int *argc, char **argv, const char **ret_dir)
{
	bool missing;

	*ret_dir = ctl_take_option(argc, argv, "config-dir", &missing);
	return !missing && *argc == 1;
}

static void flush(struct ctl *ctl, struct buf *out)
{
	fwrite(buf_slice(out).data, 1, out->len, ctl->out);
	buf_release(out);
}

static int run_print(struct ctl *ctl, int argc, char **argv)
{
	struct report_names names = {.file = ctl->file};
	struct job job;
	struct buf out;
	int code;

	if (!take_dir(&argc, argv, &names.config_dir))
		return ctl_misuse(&ctl_postfix_print, "--config-dir DIR is all it takes");
	code = job_open(&job, ctl, names.config_dir, NULL);
	if (code == EX_OK) {
		buf_init(&out, MAX_OUTPUT_BYTES);
		if (ctl->json)
			report_print_json(&job.plan, &out);
		else
			report_print(&job.plan, &names, &out);
		flush(ctl, &out);
	}
	job_close(&job);
	return code;
}

static int run_check(struct ctl *ctl, int argc, char **argv)
{
	struct report_names names = {.file = ctl->file};
	struct report_counts counts;
	struct job job;
	struct buf out;
	int code;

	if (!take_dir(&argc, argv, &names.config_dir))
		return ctl_misuse(&ctl_postfix_check, "--config-dir DIR is all it takes");
	code = job_open(&job, ctl, names.config_dir, NULL);
	if (code == EX_OK) {
		buf_init(&out, MAX_OUTPUT_BYTES);
		if (ctl->json)
			report_check_json(&job.plan, &names, &out);
		else
			report_check(&job.plan, &names, &out);
		flush(ctl, &out);
		report_count(&job.plan, &counts);
		code = counts.mistakes ? EX_CONFIG : EX_OK;
	}
	job_close(&job);
	return code;
}

static void print_changes(struct ctl *ctl, const struct job *job, const struct report_names *names,
	const struct apply_result *result)
{
	struct report_counts counts;

	report_count(&job->plan, &counts);
	if (result->folder.len == 0)
		fputs("nothing to change\n", ctl->out);
	for (size_t i = 0; i < job->plan.count && result->folder.len; i++) {
		const struct wish *wish = &job->plan.wishes[i];

		if (!wish->met && !wish->by_hand)
			fprintf(ctl->out, "%.*s\n",
				SLICE_ARG(report_line(job->arena, names, wish)));
	}
	if (result->folder.len)
		fprintf(ctl->out,
			"changed: %zu in main.cf, %zu in master.cf, %zu in %s; the old files are kept in %.*s\n"
			"now: postfix reload%s\n",
			result->main_count, result->master_count, result->reeve_count, ctl->file,
			SLICE_ARG(result->folder), result->reeve_count ? "; reevectl reload" : "");
	if (counts.mistakes + counts.warnings > counts.mendable)
		fprintf(ctl->out, "left to do by hand: %zu; `reevectl postfix check` tells what\n",
			counts.mistakes + counts.warnings - counts.mendable);
}

static void print_changes_json(struct ctl *ctl, const struct job *job,
	const struct report_names *names, const struct apply_result *result)
{
	struct json json;
	struct buf out;

	buf_init(&out, MAX_OUTPUT_BYTES);
	json_init(&json, &out);
	json_object(&json, NULL);
	json_bool(&json, "changed", result->folder.len > 0);
	json_u64(&json, "main", result->main_count);
	json_u64(&json, "master", result->master_count);
	json_u64(&json, "reeve", result->reeve_count);
	json_slice(&json, "kept", result->folder);
	json_array(&json, "lines");
	for (size_t i = 0; i < job->plan.count && result->folder.len; i++)
		if (!job->plan.wishes[i].met && !job->plan.wishes[i].by_hand)
			json_slice(
				&json, NULL, report_line(job->arena, names, &job->plan.wishes[i]));
	json_end_array(&json);
	json_end_object(&json);
	buf_add_char(&out, '\n');
	flush(ctl, &out);
}

static int run_changes(struct ctl *ctl, const struct report_names *names)
{
	struct apply_result result;
	struct job job;
	int code = job_open(&job, ctl, names->config_dir, NULL);

	if (code == EX_OK)
		code = apply_plan(ctl, &job, &result);
	if (code == EX_OK && ctl->json)
		print_changes_json(ctl, &job, names, &result);
	else if (code == EX_OK)
		print_changes(ctl, &job, names, &result);
	job_close(&job);
	return code;
}

/* Where main.cf lies, without a look at anything else: a broken configuration must not stand in the way. */
static bool find_folder(struct ctl *ctl, const char *config_dir, struct slice *ret_folder)
{
	struct slice words[] = {SLICE("-h"), SLICE("config_directory")}, why;

	if (config_dir) {
		*ret_folder = slice_of(config_dir);
		return true;
	}
	if (!job_postconf(&ctl->arena, NULL, words, 2, ret_folder, &why)) {
		(void)ctl_fail(EX_UNAVAILABLE, "Postfix's configuration cannot be read: %.*s",
			SLICE_ARG(why));
		return false;
	}
	if (ret_folder->len && ret_folder->data[ret_folder->len - 1] == '\n')
		ret_folder->len--;
	return true;
}

static void print_restored(struct ctl *ctl, const struct text_list *restored)
{
	struct json json;
	struct buf out;

	buf_init(&out, MAX_OUTPUT_BYTES);
	if (ctl->json) {
		json_init(&json, &out);
		json_object(&json, NULL);
		json_array(&json, "restored");
		for (size_t i = 0; i < restored->count; i++)
			json_slice(&json, NULL, restored->items[i]);
		json_end_array(&json);
		json_end_object(&json);
		buf_add_char(&out, '\n');
	} else {
		for (size_t i = 0; i < restored->count; i++)
			buf_add_format(&out, "as before: %.*s\n", SLICE_ARG(restored->items[i]));
		buf_add(&out, SLICE("now: postfix reload; reevectl reload\n"));
	}
	flush(ctl, &out);
}

static int run_undo(struct ctl *ctl, const struct report_names *names, bool force)
{
	struct slice folder, path = SLICE_EMPTY;
	struct text_list restored = {0};
	const char *why = "";

	if (!find_folder(ctl, names->config_dir, &folder))
		return EX_UNAVAILABLE;
	switch (keep_undo(&ctl->arena, folder, force, &restored, &path, &why)) {
	case KEEP_NOTHING:
		return ctl_fail(
			EX_NOINPUT, "nothing to undo below %.*s/" KEEP_FOLDER, SLICE_ARG(folder));
	case KEEP_CHANGED:
		return ctl_fail(EX_TEMPFAIL,
			"%.*s was changed since; with --force those changes are lost",
			SLICE_ARG(path));
	case KEEP_FAILED:
		return ctl_fail(EX_IOERR, "%.*s: %s", SLICE_ARG(path), why);
	case KEEP_DONE:
		break;
	}
	print_restored(ctl, &restored);
	return EX_OK;
}

static int run_apply(struct ctl *ctl, int argc, char **argv)
{
	struct report_names names = {.file = ctl->file};
	bool undo = ctl_take_flag(&argc, argv, "undo");
	bool force = ctl_take_flag(&argc, argv, "force");

	if (!take_dir(&argc, argv, &names.config_dir) || (force && !undo))
		return ctl_misuse(
			&ctl_postfix_apply, "unknown argument, or --force without --undo");
	return undo ? run_undo(ctl, &names, force) : run_changes(ctl, &names);
}

const struct ctl_command ctl_postfix_print = {
	.name = "postfix print",
	.usage = "[--config-dir DIR]",
	.brief = "show how Postfix should be set up, service by service",
	.help = "Shows main.cf and master.cf as they should be for this configuration and this\n"
		"Postfix, service by service. What differs from now is marked. Changes nothing.\n"
		"\n" COMMON_HELP,
	.run = run_print,
};

const struct ctl_command ctl_postfix_check = {
	.name = "postfix check",
	.usage = "[--config-dir DIR]",
	.brief = "name what is wired wrong, with the lines that mend it",
	.help = "Reads Postfix's configuration with postconf and names each mistake, with the line\n"
		"that mends it. Exits 78 if there is a mistake; warnings alone do not count.\n"
		"\n" COMMON_HELP,
	.run = run_check,
};

const struct ctl_command ctl_postfix_apply = {
	.name = "postfix apply",
	.usage = "[--config-dir DIR] [--undo [--force]]",
	.brief = "set Postfix up, or take that back",
	.help = "Makes the changes that `postfix check` asks for, with postconf, and writes into the\n"
		"configuration what must agree with Postfix. The old files are kept in reeve-undo\n"
		"beside main.cf. A second run changes nothing. Nothing is reloaded.\n"
		"\n" COMMON_HELP
		"  --undo            put the files of before the last apply back, byte by byte\n"
		"  --force           ... even if they were changed since\n",
	.run = run_apply,
};

/* SPDX-License-Identifier: ISC */
/*
 * Reading Postfix through postconf(1) and Reeve through its configuration. What Postfix knows better is put into the
 * configuration first (in memory), so that the plan is that of the pair as it should be.
 */
#include "daemon/ctl/postfix/job.h"

#include <stdio.h>
#include <sysexits.h>

#include "common/buf.h"
#include "daemon/ctl/postfix/keep.h"
#include "daemon/ctl/postfix/run.h"

#define MAX_WORDS 48

static struct slice last_fatal(struct slice err)
{
	struct slice line, found = SLICE_EMPTY;

	while (text_line(&err, &line))
		if (memmem(line.data, line.len, "fatal:", strlen("fatal:")))
			found = line;
	return found;
}

bool job_postconf(struct arena *arena, const char *config_dir, const struct slice *words,
	size_t count, struct slice *ret_out, struct slice *ret_why)
{
	const char *argv[MAX_WORDS + 4] = {"postconf"};
	struct run_output output;
	const char *why;
	size_t n = 1;

	if (config_dir) {
		argv[n++] = "-c";
		argv[n++] = config_dir;
	}
	for (size_t i = 0; i < count && i < MAX_WORDS; i++)
		argv[n++] = text_terminated(arena, words[i]);
	if (!run_program(arena, argv, SLICE_EMPTY, &output, &why)) {
		*ret_why = text_format(arena, "postconf %s", why);
		return false;
	}
	*ret_out = output.out;
	*ret_why = last_fatal(output.err);
	if (output.status != 0 && ret_why->len == 0)
		*ret_why = text_format(arena, "postconf ended with %d", output.status);
	return output.status == 0;
}

static int read_postfix(struct job *job)
{
	struct model_texts texts = {0};
	const struct {
		const char *option, *word;
		struct slice *to;
	} questions[] = {
		{"-d", "mail_version", &texts.version},
		{"-n", NULL, &texts.settings},
		{NULL, NULL, &texts.defaults},
		{"-M", NULL, &texts.services},
		{"-P", NULL, &texts.overrides},
		{"-m", NULL, &texts.map_types},
	};

	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		struct slice words[2], why;
		size_t count = 0;

		if (questions[i].option)
			words[count++] = slice_of(questions[i].option);
		if (questions[i].word)
			words[count++] = slice_of(questions[i].word);
		if (!job_postconf(job->arena, job->config_dir, words, count, questions[i].to, &why))
			return ctl_fail(EX_UNAVAILABLE,
				"Postfix's configuration cannot be read: %.*s", SLICE_ARG(why));
	}
	job->model = model_new(job->arena, &texts);
	return EX_OK;
}

static void print_errors(const struct config_errors *errors)
{
	const char *line;
	bool is_warning;

	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)) != NULL; i++)
		if (!is_warning)
			fprintf(stderr, "%s\n", line);
}

/* NULL: the errors were printed. */
static struct ruleset *read_rules(const char *file, struct slice text)
{
	struct config_errors *errors = config_errors_new();
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);
	struct config *config = config_parse(file, text, checks, count, errors);
	struct ruleset *ruleset = config ? ruleset_new(config, errors) : NULL;

	if (!ruleset)
		print_errors(errors);
	config_unref(&config);
	config_errors_free(&errors);
	return ruleset;
}

static int read_reeve(struct job *job, const struct slice *text)
{
	const char *why;

	if (text)
		job->text = *text;
	else if (!keep_read(job->arena, job->file, &job->text, &why))
		return ctl_fail(EX_NOINPUT, "%s: %s", job->file, why);
	job->ruleset = read_rules(job->file, job->text);
	if (!job->ruleset)
		return ctl_fail(EX_CONFIG, "%s is wrong; `reevectl check` says more", job->file);
	return EX_OK;
}

static int learn(struct job *job)
{
	learn_read(job->arena, job->model, &job->probe, job->ruleset->config, job->text,
		&job->learned);
	job->new_text = learn_edit(job->arena, &job->learned, job->text, &job->failed);
	job->new_ruleset = read_rules(job->file, job->new_text);
	if (!job->new_ruleset)
		return ctl_fail(EX_SOFTWARE, "%s: what Postfix has does not fit in", job->file);
	return EX_OK;
}

int job_open(struct job *job, struct ctl *ctl, const char *config_dir, const struct slice *text)
{
	int code;

	*job = (struct job){.arena = &ctl->arena, .config_dir = config_dir, .file = ctl->file};
	probe_real_init(&job->real, config_dir, &job->probe);
	code = read_reeve(job, text);
	if (code == EX_OK)
		code = read_postfix(job);
	if (code == EX_OK)
		code = learn(job);
	if (code != EX_OK)
		return code;
	want_read(job->arena, job->new_ruleset->config,
		model_value(job->model, NULL, "queue_directory"), &job->want);
	plan_make(
		job->arena, job->model, &job->want, &job->probe, &job->learned.domains, &job->plan);
	learn_wishes(&job->learned, &job->failed, &job->plan);
	return EX_OK;
}

void job_close(struct job *job)
{
	ruleset_unref(&job->ruleset);
	ruleset_unref(&job->new_ruleset);
	model_free(&job->model);
	probe_real_release(&job->real);
}

struct slice job_folder(const struct job *job)
{
	if (job->config_dir)
		return slice_of(job->config_dir);
	return model_value(job->model, NULL, "config_directory");
}

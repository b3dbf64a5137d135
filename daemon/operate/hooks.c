/* SPDX-License-Identifier: ISC */
/*
 * Two runners, so that a slow mail does not hold up a firewall. Each runs one program at a time: an
 * `unban` never overtakes the `ban` before it.
 */
#include "daemon/operate/hooks.h"

#include "common/alloc.h"
#include "common/list.h"
#include "daemon/operate/ban_report.h"
#include "daemon/operate/notify.h"
#include "daemon/operate/runner.h"

#define MAX_TEXT_BYTES 16384

struct hooks {
	struct log_sink sink; /* what others write to */
	struct log_sink *log; /* where it goes */
	struct loop *loop;
	const char *sendmail;
	struct config *config; /* NULL: not configured yet */
	struct runner *ban_runner, *notify_runner;
	struct notify_brake brake;
	struct buf text;
	bool notifies;
};

static void run_command(
	struct runner *runner, const struct config_strings *command, struct slice input)
{
	if (command->count)
		runner_run(runner, command->items, command->count, input);
}

static void send_mail(struct hooks *hooks, const struct notification *notification)
{
	const struct config_strings *to = &hooks->config->notify.mail_to;
	struct slice argv[RUNNER_MAX_ARGUMENTS] = {
		slice_of(hooks->sendmail), SLICE("-i"), SLICE("--")};
	size_t argc = 3;

	if (to->count == 0)
		return;
	for (size_t i = 0; i < to->count && argc < RUNNER_MAX_ARGUMENTS; i++)
		argv[argc++] = to->items[i];
	buf_reset(&hooks->text);
	notify_mail(&hooks->text, notification, to);
	runner_run(hooks->notify_runner, argv, argc, buf_slice(&hooks->text));
}

static void notify(struct hooks *hooks, enum log_level level, struct slice line)
{
	struct notification notification = {
		.line = line,
		.level = level,
		.node = hooks->config->store.node,
		.now = loop_now(hooks->loop),
	};

	if (!notify_brake_ask(&hooks->brake, notification.now.mono_ms, &notification.left_out))
		return;
	buf_reset(&hooks->text);
	notify_json(&hooks->text, &notification);
	run_command(hooks->notify_runner, &hooks->config->notify.command, buf_slice(&hooks->text));
	send_mail(hooks, &notification);
}

static void on_write(struct log_sink *sink, enum log_level level, struct slice line)
{
	struct hooks *hooks = LIST_ENTRY(sink, struct hooks, sink);

	if (log_wants(hooks->log, level))
		hooks->log->write(hooks->log, level, line);
	if (hooks->notifies && notify_wants(line))
		notify(hooks, level, line);
}

struct hooks *hooks_new(struct loop *loop, struct log_sink *log, const char *sendmail)
{
	struct hooks *hooks = mem_zalloc(sizeof(*hooks));

	hooks->sink.write = on_write;
	hooks->sink.level = log->level;
	hooks->log = log;
	hooks->loop = loop;
	hooks->sendmail = sendmail;
	hooks->ban_runner = runner_new(loop_uv(loop), "on_ban", log, 0);
	hooks->notify_runner = runner_new(loop_uv(loop), "notify", log, 0);
	buf_init(&hooks->text, MAX_TEXT_BYTES);
	return hooks;
}

struct log_sink *hooks_log(struct hooks *hooks)
{
	return &hooks->sink;
}

void hooks_configure(struct hooks *hooks, struct config *config)
{
	struct config *old = hooks->config;

	hooks->config = config_ref(config);
	config_unref(&old);
	hooks->notifies = config->notify.command.count + config->notify.mail_to.count > 0;
	hooks->sink.level = hooks->log->level;
	/* Notifications do not depend on what is logged. */
	if (hooks->notifies && hooks->sink.level < LOG_LEVEL_NOTICE)
		hooks->sink.level = LOG_LEVEL_NOTICE;
}

void hooks_ban(struct hooks *hooks, const struct bans_event *event, struct clock_now now)
{
	if (!hooks->config || hooks->config->bans.on_ban.count == 0)
		return;
	buf_reset(&hooks->text);
	if (ban_report_json(&hooks->text, event, now))
		run_command(
			hooks->ban_runner, &hooks->config->bans.on_ban, buf_slice(&hooks->text));
}

void hooks_close(struct hooks *hooks)
{
	if (!hooks)
		return;
	hooks->notifies = false;
	runner_close(hooks->ban_runner);
	runner_close(hooks->notify_runner);
}

void hooks_free(struct hooks **hooks)
{
	if (!*hooks)
		return;
	runner_free(&(*hooks)->ban_runner);
	runner_free(&(*hooks)->notify_runner);
	buf_release(&(*hooks)->text);
	config_unref(&(*hooks)->config);
	mem_free(hooks);
}

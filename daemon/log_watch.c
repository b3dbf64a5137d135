/* SPDX-License-Identifier: ISC */
/*
 * The sink of feeds/witness.h. Logins that failed are told at once, the rest of a connection when it
 * is over.
 */
#include "daemon/log_watch.h"

#include "common/alloc.h"
#include "common/list.h"

struct log_watch {
	struct witness_sink sink;
	struct bans *bans;
	struct log_sink *log;
	struct maillog *maillog;
};

static void add_count(struct buf *line, const char *key, uint64_t count)
{
	if (count)
		logline_u64(line, key, count);
}

static void on_session(
	struct witness_sink *sink, const struct bans_session *session, struct clock_now now)
{
	struct log_watch *watch = LIST_ENTRY(sink, struct log_watch, sink);
	char memory[512], text[IP_TEXT_BYTES];
	struct evidence evidence;
	struct buf line;

	bans_session(watch->bans, session, now, &evidence);
	if (!log_wants(watch->log, LOG_LEVEL_INFO) ||
		evidence.recipients + evidence.commands + evidence.logins == 0)
		return;
	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", "smtp_failures");
	logline_slice(&line, "client", ip_format(&session->client, text));
	logline_u64(&line, "process", session->process);
	if (session->login.len)
		logline_slice(&line, "login", session->login);
	add_count(&line, "commands", evidence.commands);
	add_count(&line, "recipients", evidence.recipients);
	add_count(&line, "logins", evidence.logins);
	if (session->too_many_errors)
		logline_text(&line, "too_many_errors", "yes");
	watch->log->write(watch->log, LOG_LEVEL_INFO, buf_slice(&line));
}

static void on_login_failed(
	struct witness_sink *sink, const struct witness_login *login, struct clock_now now)
{
	struct log_watch *watch = LIST_ENTRY(sink, struct log_watch, sink);
	char memory[512], text[IP_TEXT_BYTES];
	struct buf line;

	if (!login->temporary)
		bans_auth_failure(watch->bans, &login->client, now);
	if (!log_wants(watch->log, LOG_LEVEL_INFO))
		return;
	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", "login_failed");
	logline_slice(&line, "client", ip_format(&login->client, text));
	if (login->login.len)
		logline_slice(&line, "login", login->login);
	if (login->temporary)
		logline_text(&line, "temporary", "yes");
	watch->log->write(watch->log, LOG_LEVEL_INFO, buf_slice(&line));
}

struct log_watch *log_watch_new(struct loop *loop, struct bans *bans, struct log_sink *log)
{
	struct log_watch *watch = mem_zalloc(sizeof(*watch));

	watch->sink.session = on_session;
	watch->sink.login_failed = on_login_failed;
	watch->bans = bans;
	watch->log = log;
	watch->maillog = maillog_new(loop, &watch->sink, log);
	return watch;
}

void log_watch_configure(struct log_watch *watch, const struct config *config)
{
	maillog_configure(watch->maillog,
		config->bans.mode == CONFIG_OFF ? SLICE("off") : config->bans.maillog);
}

void log_watch_health(const struct log_watch *watch, struct maillog_health *ret)
{
	maillog_health(watch->maillog, ret);
}

void log_watch_close(struct log_watch *watch)
{
	if (watch)
		maillog_close(watch->maillog);
}

void log_watch_free(struct log_watch **watch)
{
	if (!*watch)
		return;
	maillog_free(&(*watch)->maillog);
	mem_free(watch);
}

/* SPDX-License-Identifier: ISC */
/*
 * Start: DNS, store, bans, pipeline, listeners, in this order, so that the first
 * request finds everything. Stop: the reverse, after the running requests have had their
 * answers. What a loop turn does stands in on_turn(), on_expire() and on_tick().
 */
#include "daemon/daemon.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/alloc.h"
#include "daemon/dns/dns_ares.h"
#include "daemon/engine/load.h"
#include "daemon/log_watch.h"
#include "daemon/operate/ban_report.h"
#include "daemon/operate/control.h"
#include "daemon/operate/hooks.h"
#include "daemon/operate/systemd.h"
#include "daemon/storage.h"

#define MAX_SMTP_CONNECTIONS 200000
#define MAX_TRANSACTIONS 200000
#define MAX_DNS_IN_FLIGHT 1000
#define SPARE_DESCRIPTORS 96       /* DNS sockets, LMDB, log, listeners */
#define DRAIN_SPARE_MS 1000

struct reload {
	const char *file;
	struct config_errors *errors;
	struct ruleset *ruleset;
	uint64_t number; /* of the one that runs, or ran last */
	bool running, again;
};

struct daemon {
	const char *file;
	struct loop *loop;
	struct worker *store_worker, *reload_worker;
	struct log *log;
	struct hooks *hooks;
	struct ruleset *ruleset;
	struct config *listen_config;  /* what the listeners were opened with */
	struct storage *storage;
	struct dns *dns;
	struct dns_ares *ares;
	struct bans_sink bans_sink;
	struct bans *bans;
	struct log_watch *log_watch;
	struct connections *connections;
	struct transactions *transactions;
	struct pipeline *pipeline;
	struct server *server;
	struct reload reload;
	struct loads loads;
	struct operate operate;
	struct control *control;
	bool draining, stopping;
	uint64_t drain_until_mono_ms;
	int code;                      /* to exit with */
	bool dns_dead;                 /* told so */
	uint64_t dns_dead_since_ms;
};

static struct log_sink *sink(struct daemon *daemon)
{
	return hooks_log(daemon->hooks);
}

static void log_number(struct daemon *daemon, enum log_level level, const char *event,
		       const char *key, uint64_t value)
{
	char memory[256];
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", event);
	logline_u64(&line, key, value);
	sink(daemon)->write(sink(daemon), level, buf_slice(&line));
}

/* --- bans: what happened goes to the log and the store --- */

static void on_ban_event(struct bans_sink *bans_sink, const struct bans_event *event,
			 struct clock_now now)
{
	struct daemon *daemon = LIST_ENTRY(bans_sink, struct daemon, bans_sink);

	ban_report_log(sink(daemon), event);
	hooks_ban(daemon->hooks, event, now);
	storage_note_ban(daemon->storage, event, now);
}

/* --- the loop's hooks --- */

static void run_ready(struct daemon *daemon, struct clock_now now)
{
	storage_run(daemon->storage, now);
	control_run(daemon->control);
	pipeline_run(daemon->pipeline, now);
	store_flush(storage_store(daemon->storage));
}

static void on_turn(void *arg, struct clock_now now)
{
	struct daemon *daemon = arg;

	if (!daemon->stopping)
		run_ready(daemon, now);
	log_flush(daemon->log);
	if (daemon->draining && !daemon->stopping &&
	    (server_is_drained(daemon->server) || now.mono_ms >= daemon->drain_until_mono_ms)) {
		daemon->stopping = true;
		loop_stop(daemon->loop);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a ? a : b;
	return a < b ? a : b;
}

static uint64_t on_expire(void *arg, struct clock_now now)
{
	struct daemon *daemon = arg;
	uint64_t next;

	log_set_now(daemon->log, now);
	if (daemon->stopping)
		return 0;
	dns_set_now(daemon->dns, now);
	next = earlier(dns_expire(daemon->dns), server_expire(daemon->server, now));
	next = earlier(next, pipeline_expire(daemon->pipeline, now));
	next = earlier(next, control_expire(daemon->control, now));
	next = earlier(next, store_next(storage_store(daemon->storage)));
	return daemon->draining ? earlier(next, daemon->drain_until_mono_ms) : next;
}

static void watch_dns(struct daemon *daemon, struct clock_now now)
{
	struct dns_health health;

	dns_health(daemon->dns, &health);
	if (health.dead == daemon->dns_dead)
		return;
	daemon->dns_dead = health.dead;
	if (health.dead) {
		daemon->dns_dead_since_ms = now.mono_ms;
		log_event(sink(daemon), LOG_LEVEL_WARNING, "dns_dead", "advice",
			  SLICE("no answer from any resolver; rules pass what they cannot look up"));
	} else {
		log_number(daemon, LOG_LEVEL_NOTICE, "dns_alive", "dead_ms",
			   now.mono_ms - daemon->dns_dead_since_ms);
	}
}

static void on_tick(void *arg, struct clock_now now)
{
	struct daemon *daemon = arg;

	log_set_now(daemon->log, now);
	if (daemon->stopping)
		return;
	storage_tick(daemon->storage, now);
	bans_tick(daemon->bans, now);
	watch_dns(daemon, now);
}

/* --- reload --- */

static void reload_work(void *arg)
{
	struct reload *reload = arg;

	reload->ruleset = ruleset_load(reload->file, reload->errors);
}

static void log_errors(struct daemon *daemon, const struct config_errors *errors)
{
	const char *line;
	bool is_warning;

	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)) != NULL; i++)
		log_event(sink(daemon), is_warning ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
			  is_warning ? "config_warning" : "config_error", "message",
			  slice_of(line));
}

static void adopt_ruleset(struct daemon *daemon, struct ruleset *ruleset, struct load *load)
{
	struct config *config = ruleset->config;

	pipeline_set_ruleset(daemon->pipeline, ruleset);
	bans_configure(daemon->bans, config, loop_now(daemon->loop));
	storage_configure(daemon->storage, ruleset);
	log_watch_configure(daemon->log_watch, config);
	server_configure(daemon->server, config);
	log_configure(daemon->log, (enum log_target)config->log.to,
		      (enum log_level)config->log.level);
	hooks_configure(daemon->hooks, config);
	ruleset_unref(&daemon->ruleset);
	daemon->ruleset = ruleset;
	load->good = true;
	load->restart_count = config_restart_needed(daemon->listen_config, config, load->restart);
	for (size_t i = 0; i < load->restart_count; i++)
		log_event(sink(daemon), LOG_LEVEL_WARNING, "restart_needed", "setting",
			  slice_of(load->restart[i]));
	log_number(daemon, LOG_LEVEL_NOTICE, "reloaded", "rules", ruleset->count);
}

static void start_reload(struct daemon *daemon);

static void reload_done(void *arg)
{
	struct reload *reload = arg;
	struct daemon *daemon = LIST_ENTRY(reload, struct daemon, reload);
	struct load load = { .errors = reload->errors, .wall_ms = loop_now(daemon->loop).wall_ms };

	reload->running = false;
	log_errors(daemon, reload->errors);
	if (daemon->stopping)
		ruleset_unref(&reload->ruleset);
	else if (reload->ruleset)
		adopt_ruleset(daemon, reload->ruleset, &load);
	else
		log_event(sink(daemon), LOG_LEVEL_ERROR, "reload_failed", "kept",
			  SLICE("the old configuration stays whole"));
	reload->ruleset = NULL;
	reload->errors = NULL;
	loads_note(&daemon->loads, &load);
	systemd_notify("READY=1");
	if (!daemon->stopping)
		control_reloaded(daemon->control, reload->number);
	if (reload->again && !daemon->draining)
		start_reload(daemon);
}

/* A second SIGHUP during a reload is one more reload after it, however many came. */
static void start_reload(struct daemon *daemon)
{
	struct reload *reload = &daemon->reload;

	reload->again = reload->running;
	if (reload->running)
		return;
	reload->running = true;
	reload->number++;
	reload->file = daemon->file;
	reload->errors = config_errors_new();
	systemd_notify_reloading();
	daemon->reload_worker->run(daemon->reload_worker, reload_work, reload_done, reload);
}

static uint64_t asked_to_reload(void *host)
{
	struct daemon *daemon = host;

	if (daemon->draining)
		return 0;
	start_reload(daemon);
	return daemon->reload.number + daemon->reload.again;
}

static void drain(struct daemon *daemon, struct clock_now now)
{
	if (daemon->draining)
		return;
	log_number(daemon, LOG_LEVEL_NOTICE, "stopping", "under_way",
		   pipeline_under_way(daemon->pipeline));
	systemd_notify("STOPPING=1");
	daemon->draining = true;
	daemon->drain_until_mono_ms =
		now.mono_ms + daemon->ruleset->config->deadline_ms + DRAIN_SPARE_MS;
	server_drain(daemon->server);
}

static void on_signal(void *arg, int signum, struct clock_now now)
{
	struct daemon *daemon = arg;

	log_set_now(daemon->log, now);
	if (signum != SIGHUP)
		drain(daemon, now);
	else if (!daemon->draining)
		start_reload(daemon);
}

/* --- start and stop --- */

/* libuv drops the backlog when descriptors run out, so they are secured before the first connection. */
static void secure_descriptors(struct daemon *daemon)
{
	struct rlimit limit;
	uint64_t wanted = daemon->listen_config->max_connections + SPARE_DESCRIPTORS;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) != 0 ||
		    getrlimit(RLIMIT_NOFILE, &limit) != 0)
			return;
	}
	if (limit.rlim_cur >= wanted)
		return;
	wanted = limit.rlim_cur > SPARE_DESCRIPTORS + 16 ? limit.rlim_cur - SPARE_DESCRIPTORS : 16;
	server_limit(daemon->server, wanted);
	log_number(daemon, LOG_LEVEL_WARNING, "max_connections_lowered", "max_connections", wanted);
}

static bool open_dns(struct daemon *daemon)
{
	const struct config_dns *config = &daemon->ruleset->config->dns;
	struct dns_ares_options ares = {
		.servers = config->servers,
		.timeout_ms = config->timeout_ms,
		.tries = config->tries,
	};
	struct dns_options options = {
		.cache_entries = config->cache_entries,
		.total_ms = config->timeout_ms * config->tries,
		.hash_key = hash_key_random(),
		.max_in_flight = MAX_DNS_IN_FLIGHT,
	};
	const char *why = NULL;

	daemon->ares = dns_ares_new(loop_uv(daemon->loop), &ares, &why);
	if (!daemon->ares) {
		log_event(sink(daemon), LOG_LEVEL_ERROR, "dns_failed", "why", slice_of(why));
		return false;
	}
	daemon->dns = dns_new(&options, dns_ares_backend(daemon->ares));
	dns_set_now(daemon->dns, loop_now(daemon->loop));
	return true;
}

static void on_name_taken(void *arg)
{
	struct daemon *daemon = arg;

	daemon->code = EX_CONFIG;
	drain(daemon, loop_now(daemon->loop));
}

static bool open_storage(struct daemon *daemon)
{
	const struct storage_options options = {
		.config = daemon->listen_config,
		.loop = daemon->loop,
		.worker = daemon->store_worker,
		.dns = daemon->dns,
		.max_transactions = MAX_TRANSACTIONS,
		.log = sink(daemon),
		.name_taken = on_name_taken,
		.arg = daemon,
	};

	daemon->storage = storage_open(&options);
	return daemon->storage != NULL;
}

static void open_engine(struct daemon *daemon)
{
	struct hash_key key = storage_hash_key(daemon->storage);
	struct pipeline_services services;

	daemon->bans_sink.event = on_ban_event;
	daemon->bans = bans_new(hash_key_random(), &daemon->bans_sink);
	bans_configure(daemon->bans, daemon->ruleset->config, loop_now(daemon->loop));
	storage_attach(daemon->storage, daemon->bans);
	storage_configure(daemon->storage, daemon->ruleset);
	daemon->log_watch = log_watch_new(daemon->loop, daemon->bans, sink(daemon));
	daemon->connections = connections_new(MAX_SMTP_CONNECTIONS);
	daemon->transactions = transactions_new(MAX_TRANSACTIONS);
	services = (struct pipeline_services){
		.store = storage_store(daemon->storage),
		.dns = daemon->dns,
		.bans = daemon->bans,
		.connections = daemon->connections,
		.transactions = daemon->transactions,
		.log = sink(daemon),
		.hash_key = key,
		.clock_ns = uv_hrtime,
	};
	daemon->pipeline = pipeline_new(&services);
	pipeline_set_ruleset(daemon->pipeline, daemon->ruleset);
}

static void tell_maillog(void *host, struct operate_maillog *ret)
{
	const struct daemon *daemon = host;
	struct maillog_health health;

	log_watch_health(daemon->log_watch, &health);
	*ret = (struct operate_maillog){.source = health.source,
		.followed = health.followed,
		.why = health.why,
		.lines = health.counts.lines,
		.connections = health.counts.sessions,
		.logins = health.counts.logins};
}

static void open_control(struct daemon *daemon)
{
	daemon->operate = (struct operate){
		.loop = daemon->loop,
		.log = daemon->log,
		.store = storage_store(daemon->storage),
		.dns = daemon->dns,
		.bans = daemon->bans,
		.pipeline = daemon->pipeline,
		.server = daemon->server,
		.loads = &daemon->loads,
		.file = daemon->file,
		.started = loop_now(daemon->loop),
		.reload = asked_to_reload,
		.maillog = tell_maillog,
		.host = daemon,
	};
	daemon->control = control_new(&daemon->operate);
}

static int open_server(struct daemon *daemon)
{
	char why[512];

	daemon->server = server_new(daemon->loop, daemon->pipeline, sink(daemon));
	open_control(daemon);
	if (!server_listen(daemon->server, daemon->listen_config, why)) {
		log_event(sink(daemon), LOG_LEVEL_ERROR, "listen_failed", "why", slice_of(why));
		return EX_UNAVAILABLE;
	}
	control_listen(daemon->control, daemon->listen_config);
	secure_descriptors(daemon);
	log_watch_configure(daemon->log_watch, daemon->listen_config);
	return EX_OK;
}

static void init(struct daemon *daemon, const char *file, struct ruleset *ruleset)
{
	const struct loop_hooks hooks = {
		.turn = on_turn,
		.expire = on_expire,
		.tick = on_tick,
		.signal = on_signal,
		.arg = daemon,
	};

	daemon->file = file;
	daemon->ruleset = ruleset;
	daemon->listen_config = config_ref(ruleset->config);
	daemon->loop = loop_new(&hooks);
	daemon->store_worker = loop_worker(daemon->loop);
	daemon->reload_worker = loop_worker(daemon->loop);
	daemon->log = log_new((enum log_target)ruleset->config->log.to,
			      (enum log_level)ruleset->config->log.level);
	daemon->hooks = hooks_new(daemon->loop, log_sink(daemon->log), HOOKS_SENDMAIL);
	hooks_configure(daemon->hooks, ruleset->config);
	log_set_now(daemon->log, loop_now(daemon->loop));
}

static struct slice store_name(const struct config_store *config)
{
	if (config->kind == CONFIG_STORE_REDIS)
		return config->url;
	return config->path.len ? config->path : SLICE("memory");
}

static void log_ready(struct daemon *daemon)
{
	char memory[512];
	struct buf line;

	buf_init_fixed(&line, memory, sizeof(memory));
	logline_text(&line, "event", "ready");
	logline_u64(&line, "listeners", daemon->listen_config->listen_count);
	logline_u64(&line, "rules", daemon->ruleset->count);
	logline_text(&line, "mode",
		     daemon->ruleset->config->mode == CONFIG_MONITOR ? "monitor" : "enforce");
	logline_slice(&line, "store", store_name(&daemon->listen_config->store));
	logline_u64(&line, "bans", bans_count(daemon->bans));
	sink(daemon)->write(sink(daemon), LOG_LEVEL_NOTICE, buf_slice(&line));
	log_flush(daemon->log);
	systemd_notify("READY=1");
}

static void run(struct daemon *daemon)
{
	loop_watch_signal(daemon->loop, SIGTERM);
	loop_watch_signal(daemon->loop, SIGINT);
	loop_watch_signal(daemon->loop, SIGHUP);
	log_ready(daemon);
	loop_run(daemon->loop);
	log_event(sink(daemon), LOG_LEVEL_NOTICE, "stopped", NULL, SLICE_EMPTY);
}

/* libuv gives the signals back their default with its handles: an impatient second SIGTERM would then kill
 * a daemon that is about to exit 0. Its threads never take signals (loop.c). */
static void hold_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

/* Accepts whatever start() got to. From here on the hooks only write the log. */
static void stop(struct daemon *daemon)
{
	hold_signals();
	daemon->stopping = true;
	if (daemon->server)
		server_close(daemon->server);
	control_close(daemon->control);
	log_watch_close(daemon->log_watch);
	hooks_close(daemon->hooks);
	/* A reload under way ends on its own and is dropped; the store writes out what is left. */
	daemon->reload_worker->wait(daemon->reload_worker);
	storage_close(&daemon->storage);
	if (daemon->ares)
		dns_ares_close(&daemon->ares);
	dns_free(&daemon->dns);
	loop_free(&daemon->loop); /* libuv lets go of everything here */
	control_free(&daemon->control);
	pipeline_free(&daemon->pipeline);
	server_free(&daemon->server);
	log_watch_free(&daemon->log_watch);
	bans_free(&daemon->bans);
	connections_free(&daemon->connections);
	transactions_free(&daemon->transactions);
	ruleset_unref(&daemon->ruleset);
	config_unref(&daemon->listen_config);
	loads_release(&daemon->loads);
	hooks_free(&daemon->hooks);
	log_free(&daemon->log);
}

int daemon_run(const char *file, struct ruleset *ruleset, struct config_errors *errors)
{
	struct daemon daemon = { 0 };
	struct load load = { .errors = errors, .good = true };

	signal(SIGPIPE, SIG_IGN);
	init(&daemon, file, ruleset);
	load.wall_ms = loop_now(daemon.loop).wall_ms;
	loads_note(&daemon.loads, &load);
	if (!open_dns(&daemon) || !open_storage(&daemon))
		daemon.code = EX_UNAVAILABLE;
	if (daemon.code == EX_OK) {
		open_engine(&daemon);
		daemon.code = open_server(&daemon);
	}
	if (daemon.code == EX_OK)
		run(&daemon);
	stop(&daemon);
	return daemon.code;
}

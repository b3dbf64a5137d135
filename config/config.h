/* SPDX-License-Identifier: ISC */
/*
 * The whole configuration, read and checked once, then never changed:
 * everything that runs under it holds a reference. What needs the mail or
 * engine layers (patterns, site tables, reply texts) is compiled from it when
 * a ruleset is built. All keys, with their defaults, stand in config/reeve.yaml.
 */
#ifndef REEVE_CONFIG_CONFIG_H
#define REEVE_CONFIG_CONFIG_H

#include <sys/types.h>

#include "config/limits.h"

enum config_mode { CONFIG_ENFORCE, CONFIG_MONITOR, CONFIG_OFF };
enum config_on_error { CONFIG_PASS, CONFIG_DEFER };
enum config_action {
	CONFIG_ACTION_DEFAULT,     /* not given: the check's own */
	CONFIG_ACTION_REJECT, CONFIG_ACTION_DEFER, CONFIG_ACTION_DISCONNECT, CONFIG_ACTION_HOLD,
	CONFIG_ACTION_DISCARD, CONFIG_ACTION_MARK, CONFIG_ACTION_WARN, CONFIG_ACTION_PASS
};

/* "inet:host:port" or "unix:/path". */
struct config_address {
	struct config_pos pos;
	bool is_unix;
	struct slice path;         /* unix */
	struct ip ip;              /* inet; 127.0.0.1 for "localhost"; other names are an error */
	uint16_t port;
};

struct config_listener {
	struct config_address address;
	struct cidr_set *allow;    /* NULL: only where the address is loopback or unix */
	struct slice allow_text;   /* private: the networks as written, to see a change */
	mode_t mode;               /* unix; 0660 by default */
	struct slice owner, group; /* unix; empty: left alone */
};

enum config_store_kind { CONFIG_STORE_EMBEDDED, CONFIG_STORE_REDIS };

struct config_redis_host {
	struct slice host;         /* address or name, without brackets */
	uint16_t port;
};

/* What a redis url says; never a password, which stands in a file. */
struct config_redis {
	bool tls;                  /* rediss:// */
	struct slice user;         /* empty: the default user */
	struct slice unix_path;    /* redis+unix://; else empty */
	struct slice master;       /* redis+sentinel://: its name there, and hosts are sentinels; else empty */
	struct config_redis_host *hosts;
	size_t host_count;
	unsigned db;
};

struct config_store {
	enum config_store_kind kind;
	struct slice path;         /* embedded: folder; empty: memory only */
	struct slice url;          /* as written */
	struct slice password_file, prefix, node;
	uint64_t timeout_ms;
	int on_failure;            /* 0 local, 1 pass, 2 defer */
	uint64_t nodes;            /* 0: auto */
	double slack;
	uint64_t max_keys;
	struct config_pos url_pos;
	struct config_redis redis; /* kind CONFIG_STORE_REDIS */
};

struct config_dns {
	struct config_strings servers;     /* "ip:port"; count 0: system */
	uint64_t timeout_ms, tries, cache_entries;
};

struct config_account {
	struct slice name;
	struct config_strings domains;
};

struct config_site {
	struct slice origin, login_domain; /* defaults resolved (mailname, host name) */
	struct config_pos origin_pos, login_domain_pos; /* of the section where the key is absent */
	struct config_strings domains;
	struct config_account *accounts;
	size_t account_count;
	struct config_strings owners;      /* lines "address login[,login...]" */
	struct config_strings logins;      /* lines "login address[,@domain...]" */
	struct cidr_set *addresses, *local_networks, *privileged_networks;
	struct slice recipient_delimiter;
	struct config_pos pos;             /* of the section; line 0 if it is absent */
};

struct config_bans {
	int mode;                          /* enum config_mode */
	struct config_pos pos;             /* of the section */
	uint64_t disconnect_at;
	bool on_disconnect;
	struct rate ban_at, auth_failures, login_strikes; /* limit 0: off */
	unsigned min_bad_share, max_share; /* percent */
	uint64_t trust_login_ms, duration_ms, max_duration_ms, max_entries, max_per_minute, ipv6_prefix;
	struct cidr_set *never;
	struct slice maillog;              /* "off" or file:... or journal: */
	struct config_strings on_ban;
};

struct config_postfix {
	struct slice banner;
	struct config_strings hide_clients;
};

struct config_notify {
	struct config_strings command, mail_to;
};

struct config_log {
	int to;                            /* 0 stderr, 1 syslog */
	int level;                         /* enum log_level */
	int decisions;                     /* 0 all, 1 refusals, 2 none */
};

/* A `check:`; tables of these are handed to config_load(). */
struct config_check {
	const char *name;
	const struct config_key *keys;
	size_t key_count;
	size_t options_bytes;              /* of the struct the keys describe */
	/* What one key cannot know; NULL: nothing. */
	void (*validate)(const void *options, struct config_pos pos, struct config_errors *errors);
};

struct config_rule {
	struct config_pos pos;
	struct slice name;
	const struct config_check *check;
	int mode;                          /* enum config_mode, the rule's own; the top one is not folded in */
	struct config_condition_list match, except;
	bool default_exemptions, early, temporary, strike;
	int action;                        /* enum config_action */
	struct slice reply;                /* empty: the check's own */
	struct config_pos reply_pos;
	int on_error;                      /* enum config_on_error */
	bool on_error_given;
	uint64_t until_wall_ms;
	const void *options;               /* check->options_bytes of it */
	bool broken;                       /* some of its keys are wrong; check may be NULL then */
};

struct config {
	int mode;                          /* CONFIG_ENFORCE or CONFIG_MONITOR */
	struct config_listener *listen;
	size_t listen_count;
	uint64_t max_connections, request_timeout_ms, idle_timeout_ms, deadline_ms;
	int settle;                        /* 0 auto, 1 data, 2 none */
	struct config_address control;
	bool has_metrics;
	struct config_address metrics;
	struct config_store store;
	struct config_dns dns;
	struct config_site site;
	struct config_rule *rules;
	size_t rule_count;
	struct config_bans bans;
	struct config_postfix postfix;
	struct config_notify notify;
	struct config_log log;
	bool broken;                       /* from config_load_any() only: it has errors and cannot run */
	/* private */
	struct arena arena;
	struct list owned_sets;
	_Atomic unsigned references;
};

/*
 * Of the default rules those whose check is not among `checks` are left out, so that tests can bring a few.
 *
 * Reads FILE (NULL: no file, all defaults) and everything it names. NULL: `errors` has at least one line.
 * Warnings may be there either way. May block on files: run it at start or on a worker thread.
 */
struct config *config_load(const char *file, const struct config_check *const *checks,
			   size_t check_count, struct config_errors *errors)
	__attribute__((warn_unused_result));
/*
 * As config_load(), but one with errors comes back too, marked `broken`: what is compiled from it (ruleset_new())
 * then tells the rest of what is wrong in the same run. Values that could not be read are absent or have their
 * defaults. NULL: there is no map of keys to read.
 */
struct config *config_load_any(const char *file, const struct config_check *const *checks,
			       size_t check_count, struct config_errors *errors)
	__attribute__((warn_unused_result));
/* The same from text (tests, fuzzing); `file` is the name for messages. */
struct config *config_parse(const char *file, struct slice text,
			    const struct config_check *const *checks, size_t check_count,
			    struct config_errors *errors) __attribute__((warn_unused_result));
struct config *config_parse_any(const char *file, struct slice text,
				const struct config_check *const *checks, size_t check_count,
				struct config_errors *errors) __attribute__((warn_unused_result));
/* As config_parse_any() for text from strangers (fuzzing): nothing is opened, neither files nor /etc/mailname nor the host name. */
struct config *config_parse_closed(const char *file, struct slice text,
				   const struct config_check *const *checks, size_t check_count,
				   struct config_errors *errors) __attribute__((warn_unused_result));
struct config *config_ref(struct config *config);
void config_unref(struct config **config);

/* Names (static) of the settings that differ and need a restart: listen, control, metrics, store, dns,
 * max_connections. Returns how many of `ret_names` (room for 8) were filled. */
size_t config_restart_needed(const struct config *old, const struct config *new,
			     const char *ret_names[static 8]);

#endif

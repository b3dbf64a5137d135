/* SPDX-License-Identifier: ISC */
/*
 * The shipped config/reeve.yaml says what an empty file says: both are turned into
 * one text each, without places, and the texts are compared. The run happens in the repository's
 * root, as `make unit` does.
 */
#include "tests/unit/config/support.h"

#include "common/alloc.h"
#include "tests/unit/config/checks.h"

static void show_strings(struct buf *out, const char *name, const struct config_strings *strings)
{
	buf_add_format(out, "%s:", name);
	for (size_t i = 0; i < strings->count; i++)
		buf_add_format(out, " [%.*s]", SLICE_ARG(strings->items[i]));
	buf_add_char(out, '\n');
}

/* Sets cannot be listed: their size, and who is in. */
static void show_set(struct buf *out, const char *name, const struct cidr_set *set)
{
	static const char *const probes[] = {"127.0.0.1", "127.255.0.1", "10.9.9.9", "172.31.0.1",
		"172.32.0.1", "192.168.7.7", "169.254.1.1", "192.0.2.1", "::1", "::2", "fd00::1",
		"fe80::1", "fec0::1", "2001:db8::1"};

	buf_add_format(
		out, "%s: %s %zu ", name, set ? "set" : "none", set ? cidr_set_count(set) : 0);
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		struct ip ip;

		cr_assert(ip_parse(slice_of(probes[i]), &ip));
		buf_add_char(out, cidr_set_contains(set, &ip) ? 'y' : 'n');
	}
	buf_add_char(out, '\n');
}

static void show_rate(struct buf *out, const char *name, struct rate rate)
{
	buf_add_format(out, "%s: %llu/%llu\n", name, (unsigned long long)rate.limit,
		(unsigned long long)rate.window_ms);
}

static void show_u64(struct buf *out, const char *name, uint64_t value)
{
	buf_add_format(out, "%s: %llu\n", name, (unsigned long long)value);
}

static void show_text(struct buf *out, const char *name, struct slice text)
{
	buf_add_format(out, "%s: [%.*s]\n", name, SLICE_ARG(text));
}

static void show_conditions(struct buf *out, const struct config_conditions *when)
{
	const int states[] = {(int)when->authenticated, (int)when->client_local,
		(int)when->client_privileged, (int)when->sender_local, (int)when->recipient_local,
		(int)when->tls, (int)when->states, when->size.compare, when->uses_login};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		buf_add_format(out, " %d", states[i]);
	show_strings(out, " login", &when->login);
	show_strings(out, " ports", &when->server_port);
	show_set(out, " client", when->client);
}

static void show_limits(struct buf *out, const struct config_limits *limits)
{
	for (size_t i = 0; i < limits->count; i++) {
		const struct config_limit *limit = &limits->items[i];

		show_conditions(out, &limit->when);
		for (size_t j = 0; j < limit->rate_count; j++)
			show_rate(out, "  rate", limit->rates[j]);
		show_u64(out, "  unlimited", limit->unlimited);
		show_u64(out, "  until", limit->until_wall_ms);
	}
}

static void show_options(struct buf *out, const struct config_rule *rule)
{
	for (size_t i = 0; i < rule->check->key_count; i++) {
		const struct config_key *key = &rule->check->keys[i];
		const void *at = (const char *)rule->options + key->offset;

		if (key->type == CONFIG_TYPE_BOOL)
			show_u64(out, key->name, *(const bool *)at);
		else if (key->type == CONFIG_TYPE_WORD)
			show_u64(out, key->name, (uint64_t) * (const int *)at);
		else if (key->type == CONFIG_TYPE_PERCENT)
			show_u64(out, key->name, *(const unsigned *)at);
		else if (key->type == CONFIG_TYPE_LIMITS)
			show_limits(out, at);
		else
			show_strings(out, key->name, at);
	}
}

static void show_rules(struct buf *out, const struct config *config)
{
	for (size_t i = 0; i < config->rule_count; i++) {
		const struct config_rule *rule = &config->rules[i];

		buf_add_format(out, "rule %.*s %s %d %d %d %d %d %d %d %d\n", SLICE_ARG(rule->name),
			rule->check->name, rule->mode, rule->action, rule->on_error,
			rule->on_error_given, rule->default_exemptions, rule->early,
			rule->temporary, rule->strike);
		show_text(out, "reply", rule->reply);
		for (size_t j = 0; j < rule->match.count; j++)
			show_conditions(out, &rule->match.items[j]);
		for (size_t j = 0; j < rule->except.count; j++)
			show_conditions(out, &rule->except.items[j]);
		show_options(out, rule);
	}
}

static void show_site(struct buf *out, const struct config_site *site)
{
	show_text(out, "origin", site->origin);
	show_text(out, "login_domain", site->login_domain);
	show_text(out, "recipient_delimiter", site->recipient_delimiter);
	show_strings(out, "domains", &site->domains);
	show_strings(out, "owners", &site->owners);
	show_strings(out, "logins", &site->logins);
	show_u64(out, "accounts", site->account_count);
	show_set(out, "addresses", site->addresses);
	show_set(out, "local_networks", site->local_networks);
	show_set(out, "privileged_networks", site->privileged_networks);
}

static void show_bans(struct buf *out, const struct config_bans *bans)
{
	show_rate(out, "ban_at", bans->ban_at);
	show_rate(out, "auth_failures", bans->auth_failures);
	show_rate(out, "login_strikes", bans->login_strikes);
	buf_add_format(out, "bans %d %d %u %u\n", bans->mode, bans->on_disconnect,
		bans->min_bad_share, bans->max_share);
	show_u64(out, "disconnect_at", bans->disconnect_at);
	show_u64(out, "trust_login", bans->trust_login_ms);
	show_u64(out, "duration", bans->duration_ms);
	show_u64(out, "max_duration", bans->max_duration_ms);
	show_u64(out, "max_entries", bans->max_entries);
	show_u64(out, "max_per_minute", bans->max_per_minute);
	show_u64(out, "ipv6_prefix", bans->ipv6_prefix);
	show_set(out, "never", bans->never);
	show_text(out, "maillog", bans->maillog);
	show_strings(out, "on_ban", &bans->on_ban);
}

static void show_store(struct buf *out, const struct config_store *store)
{
	buf_add_format(out, "store %d %d %g\n", (int)store->kind, store->on_failure, store->slack);
	show_text(out, "path", store->path);
	show_text(out, "url", store->url);
	show_text(out, "password_file", store->password_file);
	show_text(out, "prefix", store->prefix);
	show_text(out, "node", store->node);
	show_u64(out, "timeout", store->timeout_ms);
	show_u64(out, "nodes", store->nodes);
	show_u64(out, "max_keys", store->max_keys);
}

static void show_rest(struct buf *out, const struct config *config)
{
	buf_add_format(out, "config %d %d %d\n", config->mode, config->settle, config->has_metrics);
	show_u64(out, "max_connections", config->max_connections);
	show_u64(out, "request_timeout", config->request_timeout_ms);
	show_u64(out, "idle_timeout", config->idle_timeout_ms);
	show_u64(out, "deadline", config->deadline_ms);
	show_text(out, "control", config->control.path);
	for (size_t i = 0; i < config->listen_count; i++)
		buf_add_format(out, "listen %d %u %o\n", config->listen[i].address.is_unix,
			config->listen[i].address.port, config->listen[i].mode);
	show_strings(out, "servers", &config->dns.servers);
	show_u64(out, "dns timeout", config->dns.timeout_ms);
	show_u64(out, "tries", config->dns.tries);
	show_u64(out, "cache_entries", config->dns.cache_entries);
	show_text(out, "banner", config->postfix.banner);
	show_strings(out, "hide_clients", &config->postfix.hide_clients);
	show_strings(out, "command", &config->notify.command);
	show_strings(out, "mail_to", &config->notify.mail_to);
	buf_add_format(
		out, "log %d %d %d\n", config->log.to, config->log.level, config->log.decisions);
}

static char *show(const struct config *config)
{
	struct buf out;
	char *text;

	buf_init(&out, 1 << 20);
	show_rest(&out, config);
	show_store(&out, &config->store);
	show_site(&out, &config->site);
	show_bans(&out, &config->bans);
	show_rules(&out, config);
	cr_assert_not(out.overflow);
	text = mem_dup(buf_slice(&out));
	buf_release(&out);
	return text;
}

static struct config *load_file(const char *path)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_load(path, checks, CHECK_COUNT, errors);
	bool is_warning;

	cr_assert_not_null(config, "%s", config_errors_line(errors, 0, &is_warning));
	config_errors_free(&errors);
	return config;
}

Test(config_shipped, the_full_file_is_the_defaults)
{
	struct config *empty = load_text(""), *full = load_file("config/reeve.yaml");
	char *defaults = show(empty), *shipped = show(full);

	cr_expect_gt(strlen(defaults), 2000);
	cr_expect_str_eq(shipped, defaults);
	mem_free(&defaults);
	mem_free(&shipped);
	config_unref(&empty);
	config_unref(&full);
}

Test(config_shipped, the_minimal_file_loads_as_packaged)
{
	struct config *config = load_file("config/reeve-minimal.yaml");

	cr_expect(is(config->store.path, "/var/lib/reeve"));
	cr_expect_eq(config->listen_count, 1);
	cr_expect_eq(config->mode, CONFIG_ENFORCE);
	cr_expect_eq(config->rule_count, 11);
	config_unref(&config);
}

/* SPDX-License-Identifier: ISC */
/*
 * Sections: defaults, what is read, what a reload cannot change.
 */
#include "tests/unit/config/support.h"

#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/config/checks.h"

#define DAY_MS UINT64_C(86400000)

static bool has(const struct cidr_set *set, const char *text)
{
	struct ip ip;

	cr_assert(ip_parse(slice_of(text), &ip));
	return cidr_set_contains(set, &ip);
}

Test(config, single_keys_have_defaults)
{
	struct config *config = load_text("");

	cr_expect_eq(config->mode, CONFIG_ENFORCE);
	cr_expect_eq(config->max_connections, 4096);
	cr_expect_eq(config->request_timeout_ms, 10000);
	cr_expect_eq(config->idle_timeout_ms, 3600000);
	cr_expect_eq(config->deadline_ms, 3000);
	cr_expect_eq(config->settle, 0);
	cr_assert_eq(config->listen_count, 1);
	cr_expect_eq(config->listen[0].address.port, 10045);
	cr_expect_not(config->listen[0].address.is_unix);
	cr_expect_null(config->listen[0].allow);
	cr_expect(config->control.is_unix);
	cr_expect(is(config->control.path, "/run/reeve/control.sock"));
	cr_expect_not(config->has_metrics);
	config_unref(&config);
}

Test(config, sections_have_defaults)
{
	struct config *config =
		load_text("store:\ndns:\nsite:\nlists:\nbans:\npostfix:\nnotify:\nlog:\n");

	cr_expect_eq(config->store.kind, CONFIG_STORE_EMBEDDED);
	cr_expect(is(config->store.path, "/var/lib/reeve"));
	cr_expect(is(config->store.prefix, "reeve"));
	cr_expect_gt(config->store.node.len, 0);
	cr_expect_eq(config->store.timeout_ms, 300);
	cr_expect_eq(config->store.nodes, 0);
	cr_expect_float_eq(config->store.slack, 1.0, 1e-9);
	cr_expect_eq(config->store.max_keys, 1000000);
	cr_expect_eq(config->dns.servers.count, 0);
	cr_expect_eq(config->dns.timeout_ms, 1000);
	cr_expect_eq(config->dns.tries, 2);
	cr_expect_eq(config->dns.cache_entries, 100000);
	cr_expect(is(config->site.recipient_delimiter, "+"));
	cr_expect_gt(config->site.origin.len, 0);
	cr_expect(slice_equal(config->site.login_domain, config->site.origin));
	cr_expect_eq(cidr_set_count(config->site.local_networks), 8);
	cr_expect_eq(config->bans.mode, CONFIG_MONITOR);
	cr_expect_eq(config->bans.disconnect_at, 20);
	cr_expect_eq(config->bans.ban_at.limit, 40);
	cr_expect_eq(config->bans.auth_failures.limit, 20);
	cr_expect_eq(config->bans.login_strikes.limit, 100);
	cr_expect_eq(config->bans.min_bad_share, 80);
	cr_expect_eq(config->bans.max_share, 5);
	cr_expect_eq(config->bans.trust_login_ms, DAY_MS);
	cr_expect_eq(config->bans.max_duration_ms, DAY_MS);
	cr_expect_eq(config->bans.ipv6_prefix, 64);
	cr_expect(is(config->bans.maillog, "off"));
	cr_expect(is(config->postfix.banner, "$myhostname ESMTP"));
	cr_expect_eq(config->log.level, 3);
	config_unref(&config);
}

Test(config, sections_are_read)
{
	struct config *config = load_text(
		"mode: monitor\nsettle: none\ndeadline: 5s\nmetrics: inet:127.0.0.1:9145\ncontrol: unix:/tmp/c\n"
		"store: { url: \"embedded:\", node: mx1, timeout: 1s, on_failure: defer, nodes: 3, slack: 1.5 }\n"
		"dns: { servers: [127.0.0.1, \"127.0.0.2:5353\", \"::1\", \"[2001:db8::1]:54\"], tries: 3 }\n"
		"site:\n  origin: mail.example\n  login_domain: users.example\n  domains: [a.example, .b.example, c.example]\n"
		"  accounts: { acme: [A.example, x.b.example], solo: c.example }\n  addresses: 192.0.2.1\n"
		"  recipient_delimiter: \"+-\"\n"
		"bans: { mode: enforce, disconnect_at: 0, ban_at: off, maillog: \"journal:\", on_ban: [/bin/x, y],\n"
		"  never: [198.51.100.0/24], ipv6_prefix: 56 }\n"
		"postfix: { banner: \"%LOCALDOMAIN% ESMTP\", hide_clients: [submission] }\n"
		"notify: { command: /bin/page, mail_to: postmaster@example.com }\nlog: { to: syslog, decisions: refusals }\n");

	cr_expect_eq(config->mode, CONFIG_MONITOR);
	cr_expect_eq(config->settle, 2);
	cr_expect(config->has_metrics);
	cr_expect_eq(config->metrics.port, 9145);
	cr_expect_eq(config->store.path.len, 0);
	cr_expect(is(config->store.node, "mx1"));
	cr_expect_eq(config->store.on_failure, 2);
	cr_expect_eq(config->store.nodes, 3);
	cr_assert_eq(config->dns.servers.count, 4);
	cr_expect(is(config->dns.servers.items[0], "127.0.0.1:53"));
	cr_expect(is(config->dns.servers.items[1], "127.0.0.2:5353"));
	cr_expect(is(config->dns.servers.items[2], "[::1]:53"));
	cr_expect(is(config->dns.servers.items[3], "[2001:db8::1]:54"));
	cr_expect(is(config->site.origin, "mail.example"));
	cr_expect(is(config->site.login_domain, "users.example"));
	cr_assert_eq(config->site.account_count, 2);
	cr_expect(is(config->site.accounts[0].name, "acme"));
	cr_expect_eq(config->site.accounts[0].domains.count, 2);
	cr_expect(has(config->site.addresses, "192.0.2.1"));
	cr_expect_eq(config->bans.ban_at.limit, 0);
	cr_expect(has(config->bans.never, "198.51.100.7"));
	cr_expect_eq(config->bans.on_ban.count, 2);
	cr_expect_eq(config->bans.ipv6_prefix, 56);
	cr_expect_eq(config->log.to, 1);
	cr_expect_eq(config->log.decisions, 1);
	config_unref(&config);
}

Test(config, warnings_do_not_fail_a_load)
{
	bool loaded = false;
	char *lines = messages_of(
		"deadline: 400ms\nstore: { url: \"embedded:\", password_file: /etc/x }\n"
		"site: { domains: a.example, accounts: { x: [b.example] } }\n",
		&loaded);

	cr_expect(loaded);
	cr_expect_str_eq(lines,
		"f:2:15: warning: 'deadline' leaves rules no time to look: it should be more than "
		"'store.timeout' and 200 ms\n"
		"f:2:43: warning: 'password_file' is of no use with an embedded store\n"
		"f:3:45: warning: domain 'b.example' is not in 'site.domains'\n");
	mem_free(&lines);
}

Test(config, all_errors_in_one_run)
{
	char *lines = messages_of(
		"mode: x\ndeadline: 1\nlog: { levle: info }\nrules: [{ name: a, check: bna }]\nmode: y\n",
		NULL);

	cr_expect_str_eq(lines,
		"f:1:7: 'mode' needs enforce or monitor, not 'x'\n"
		"f:2:11: 'deadline' needs a duration with a unit, like 300ms, 90s, 15m, 1h or 7d, not '1'\n"
		"f:3:8: unknown key 'levle' in log (did you mean 'level'?)\n"
		"f:4:27: unknown check 'bna' (did you mean 'ban'?)\n"
		"f:5:1: key 'mode' is given twice (first in line 1)\n");
	mem_free(&lines);
}

Test(config, loaded_from_a_file_or_none)
{
	struct config_errors *errors = config_errors_new();
	char *path = make_file("mode: monitor\n", 14);
	struct config *config = config_load(path, checks, CHECK_COUNT, errors);

	cr_assert_not_null(config);
	cr_expect_eq(config->mode, CONFIG_MONITOR);
	config_unref(&config);
	remove_file(&path);
	config = config_load(NULL, checks, CHECK_COUNT, errors);
	cr_assert_not_null(config);
	cr_expect_eq(config->mode, CONFIG_ENFORCE);
	config_unref(&config);
	cr_expect_null(config_load("/nonexistent/reeve.yaml", checks, CHECK_COUNT, errors));
	cr_expect_eq(config_errors_count(errors), 1);
	config_errors_free(&errors);
}

Test(config, references_keep_it)
{
	struct config *config = load_text(""), *second = config_ref(config);

	cr_expect_eq(config, second);
	config_unref(&config);
	cr_expect_null(config);
	cr_expect_eq(second->rule_count, 11);
	config_unref(&second);
	config_unref(&second);
}

Test(config, a_broken_one_for_those_who_look_on)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse_any("f",
		SLICE("deadline: 1\nrules: [{ name: a, check: ban }, { name: b, check: bna }]\n"),
		checks, CHECK_COUNT, errors);

	cr_assert_not_null(config);
	cr_expect(config->broken);
	cr_expect_eq(config->deadline_ms, 3000, "the default");
	cr_assert_eq(config->rule_count, 2);
	cr_expect(!config->rules[0].broken);
	cr_expect(config->rules[1].broken && !config->rules[1].check);
	config_unref(&config);
	config = config_parse_any("f", SLICE("mode: monitor\n"), checks, CHECK_COUNT, errors);
	cr_assert_not_null(config);
	cr_expect(!config->broken);
	config_unref(&config);
	cr_expect_null(config_parse_any("f", SLICE("[]"), checks, CHECK_COUNT, errors));
	config_errors_free(&errors);
}

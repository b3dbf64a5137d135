/* SPDX-License-Identifier: ISC */
/*
 * Plans of the recorded configurations: what is wished, what is found wrong, and that fulfilling it leaves nothing.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "daemon/ctl/postfix/report.h"
#include "tests/unit/ctl/recorded.h"

#define SITE "site: { origin: example.com, domains: [example.com] }\n"
#define HIDE SITE "postfix: { hide_clients: [submission] }\n"

static struct bench bench;

static void close_bench(void)
{
	bench_close(&bench);
}

TestSuite(plan, .fini = close_bench);

static void is(struct slice got, const char *wanted)
{
	cr_assert(slice_is(got, wanted), "'%.*s', not '%s'", SLICE_ARG(got), wanted);
}

static size_t count_unmet(void)
{
	size_t count = 0;

	for (size_t i = 0; i < bench.plan.count; i++)
		count += !bench.plan.wishes[i].met;
	return count;
}

static void settled(const char *what)
{
	const struct wish *left = NULL;

	for (size_t i = 0; i < bench.plan.count && !left; i++)
		if (!bench.plan.wishes[i].met)
			left = &bench.plan.wishes[i];
	cr_assert_null(left, "%s: %s: %.*s", what, left ? left->id : "",
		left ? (int)left->message.len : 0, left ? left->message.data : "");
}

Test(plan, stock_configuration)
{
	bench_open(&bench, &recorded_37, SITE);
	bench_plan(&bench);
	is(bench_wish(&bench, NULL, "smtpd_recipient_restrictions")->value, "$reeve");
	is(bench_wish(&bench, NULL, "reeve_socket")->value, "inet:127.0.0.1:10045");
	is(bench_wish(&bench, "submission/inet", "smtpd_recipient_restrictions")->value,
		"$reeve,permit_sasl_authenticated,reject");
	cr_assert_str_eq(bench_wish(&bench, "submission/inet", "smtpd_recipient_restrictions")->id,
		"limits-unasked");
	/* DATA is inherited, so main.cf's line does. */
	cr_assert_null(bench_wish(&bench, "submission/inet", "smtpd_data_restrictions"));
	bench_apply(&bench);
	settled("applied");
}

Test(plan, newer_postfix_hides_by_itself)
{
	bench_open(&bench, &recorded_310, HIDE);
	bench_plan(&bench);
	is(bench_wish(&bench, "submission/inet", "smtpd_hide_client_session")->value, "yes");
	cr_assert_null(bench_wish(&bench, NULL, "reeve_hide_checks"));
	bench_apply(&bench);
	settled("applied");
}

Test(plan, older_postfix_gets_a_second_cleanup)
{
	bench_open(&bench, &recorded_37, HIDE);
	bench_main(&bench, "header_checks = regexp:/etc/postfix/header_checks");
	bench_plan(&bench);
	cr_assert_null(bench_wish(&bench, "submission/inet", "smtpd_hide_client_session"));
	is(bench_wish(&bench, "submission/inet", "cleanup_service_name")->value, "reeve-hide");
	is(bench_wish(&bench, "reeve-hide/unix", "header_checks")->value,
		"$reeve_hide_checks,regexp:/etc/postfix/header_checks");
	is(bench_wish(&bench, "reeve-hide/unix", "nested_header_checks")->value,
		"regexp:/etc/postfix/header_checks");
	is(bench_wish(&bench, NULL, "reeve_hide_checks")->value,
		"regexp:{ { /^Received: from .*[[:space:]]by (mx\\.example\\.com) \\(Postfix\\) with ([A-Z0-9]+) id "
		"([0-9A-Za-z]+)(.*)$$/ REPLACE Received: by $$1 (Postfix) with $$2 id $$3$$4 } }");
	bench_apply(&bench);
	settled("applied");
	/* A check that does not do its work is told, whatever the letters say. */
	bench.answer = SLICE("REPLACE Received: from laptop-of-nobody.invalid by mx.example.com");
	bench_plan(&bench);
	cr_assert_not_null(bench_finding(&bench, "foreign-received"));
}

Test(plan, calls_and_their_faults)
{
	static const struct {
		const char *main, *service, *id;
	} cases[] = {
		{"reeve_socket = inet:127.0.0.1:1", "", "socket"},
		{"reeve_socket = unix:/run/reeve/policy.sock", "", "socket-chroot"},
		{"reeve_default_action = REJECT", "", "default-action"},
		{"reeve_default_action = OK", "", "default-action"},
		{"reeve_default_action = 451 4.3.0 x", "", "default-action"},
		{"smtpd_policy_service_try_limit = 1", "", "try-limit"},
		{"reeve = check_policy_service { $reeve_socket, timeout=1s }", "", "timeout"},
		{"reeve = check_policy_service $reeve_socket", "", "timeout"},
		{"reeve = permit", "", "not-asked"},
		{"", "submission/inet/reeve_default_action = DUNNO", "default-action"},
		{"smtpd_recipient_restrictions = permit_mynetworks, $reeve", "", "behind-permit"},
		{"smtpd_recipient_restrictions = reject, $reeve", "", "never-runs"},
		{"smtpd_data_restrictions =", "", "data-unwired"},
		{"smtpd_end_of_data_restrictions = permit", "", "end-unwired"},
		{"", "smtp/inet/smtpd_recipient_restrictions = permit_mynetworks", "overridden"},
		{"smtpd_relay_before_recipient_restrictions = no", "", "relay-order"},
		{"smtpd_relay_restrictions = permit", "", "open-relay"},
		{"mynetworks = [::]/0", "", "open-relay"},
		{"smtpd_peername_lookup = no", "", "peername"},
		{"smtpd_recipient_limit = 10", "", "recipient-limit"},
		{"smtpd_banner = hello", "", "banner"},
		{"luser_relay = root", "", "luser_relay"},
		{"local_recipient_maps =", "", "local_recipient_maps"},
	};

	bench_open(&bench, &recorded_37, SITE);
	bench_plan(&bench);
	bench_apply(&bench);
	settled("applied");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model_texts good = bench.texts;
		const struct wish *found;

		bench_main(&bench, cases[i].main);
		bench_service(&bench, cases[i].service);
		bench_plan(&bench);
		found = bench_finding(&bench, cases[i].id);
		cr_assert_not_null(
			found, "%s%s: no %s", cases[i].main, cases[i].service, cases[i].id);
		cr_assert_gt(found->message.len, 0, "%s", cases[i].main);
		if (!found->by_hand) {
			bench_apply(&bench);
			cr_assert_null(bench_finding(&bench, cases[i].id), "%s", cases[i].main);
		}
		bench.texts = good;
	}
}

Test(plan, reinjection_is_left_out)
{
	bench_open(&bench, &recorded_37, SITE);
	bench.texts.services = text_format(&bench.arena,
		"%.*s127.0.0.1:10025 inet n - y - - smtpd\n", SLICE_ARG(bench.texts.services));
	bench_service(
		&bench, "127.0.0.1:10025/inet/smtpd_relay_restrictions = permit_mynetworks,reject");
	bench_plan(&bench);
	is(bench_wish(&bench, "127.0.0.1:10025/inet", "smtpd_end_of_data_restrictions")->value, "");
	cr_assert_str_eq(bench_finding(&bench, "asked-twice")->id, "asked-twice");
	bench_apply(&bench);
	settled("applied");
	bench_service(&bench, "127.0.0.1:10025/inet/smtpd_data_restrictions = $reeve");
	bench_plan(&bench);
	cr_assert_eq(count_unmet(), 1);
	cr_assert_not_null(bench_finding(&bench, "asked-twice"));
}

Test(plan, values_with_blanks_get_a_name_in_main_cf)
{
	bench_open(&bench, &recorded_37, SITE);
	bench_service(&bench,
		"submission/inet/smtpd_recipient_restrictions = check_policy_service { unix:other, "
		"{ default_action = 450 4.7.1 x } }, permit_sasl_authenticated, reject");
	bench_service(&bench,
		"submission/inet/smtpd_relay_restrictions = permit_sasl_authenticated,reject");
	bench_plan(&bench);
	is(bench_wish(&bench, "submission/inet", "smtpd_recipient_restrictions")->value,
		"$reeve_submission_inet_smtpd_recipient_restrictions");
	cr_assert_not_null(
		bench_wish(&bench, NULL, "reeve_submission_inet_smtpd_recipient_restrictions"));
	bench_apply(&bench);
	settled("applied");
}

Test(plan, monitor_refuses_nothing)
{
	bench_open(&bench, &recorded_37, "mode: monitor\n" SITE);
	bench_plan(&bench);
	cr_assert_null(bench_wish(&bench, NULL, "smtpd_command_filter"));
	cr_assert_null(bench_wish(&bench, NULL, "smtpd_recipient_limit"));
	cr_assert_null(bench_wish(&bench, "submission/inet", "reeve_default_action"));
	bench_apply(&bench);
	settled("applied");
}

static const char *log_finding(const char *maillog, const char *main)
{
	const struct wish *found;
	char text[1000];

	bench_close(&bench);
	snprintf(text, sizeof(text), "bans: { maillog: \"%s\" }\n" SITE, maillog);
	bench_open(&bench, &recorded_37, text);
	bench_main(&bench, main);
	bench_plan(&bench);
	found = bench_finding(&bench, "maillog");
	return !found ? "" : found->level == PLAN_MISTAKE ? "mistake" : "warning";
}

Test(plan, the_log_is_followed_where_it_is_written)
{
	cr_expect_str_eq(log_finding("journal:", ""), "");
	cr_expect_str_eq(log_finding("journal:", "syslog_facility = mail"), "");
	cr_expect_str_eq(log_finding("journal:", "syslog_facility = local1"), "mistake");
	cr_expect_str_eq(log_finding("journal:", "maillog_file = /var/log/postfix.log"), "mistake");
	cr_expect_str_eq(log_finding("file:/var/log/mail.log", ""), "");
	cr_expect_str_eq(
		log_finding("file:/var/log/mail.log", "maillog_file = /var/log/mail.log"), "");
	cr_expect_str_eq(
		log_finding("file:/var/log/mail.log", "maillog_file = /var/log/postfix.log"),
		"warning");
	cr_expect_str_eq(log_finding("off", "maillog_file = /var/log/postfix.log"), "");
}

Test(plan, sockets)
{
	bench_open(&bench, &recorded_37,
		"listen: [inet:127.0.0.1:10045, unix:/var/spool/postfix/reeve/policy.sock]\n" SITE);
	bench.access = PROBE_CLOSED;
	bench.where = SLICE("/var/spool/postfix/reeve");
	bench_plan(&bench);
	is(bench_wish(&bench, NULL, "reeve_socket")->value, "unix:reeve/policy.sock");
	is(bench_finding(&bench, "socket-access")->value,
		"chgrp postfix /var/spool/postfix/reeve && chmod g+x /var/spool/postfix/reeve");
	bench.access = PROBE_NO_FOLDER;
	bench_plan(&bench);
	is(bench_finding(&bench, "socket-access")->value,
		"install -d -o reeve -g postfix -m 0750 /var/spool/postfix/reeve");
	bench.access = PROBE_REACHED;
	bench_plan(&bench);
	cr_assert_null(bench_finding(&bench, "socket-access"));
	/* Either of the two addresses will do. */
	bench_apply(&bench);
	bench_main(&bench, "reeve_socket = inet:127.0.0.1:10045");
	bench_plan(&bench);
	settled("the other listener");
}

Test(plan, ehlo_names_as_patterns)
{
	bench_open(&bench, &recorded_37,
		SITE
		"rules: [{ name: e, check: helo, names: [ylmf-pc, \"*.x.example\", .y.example, \"!ok.x.example\", local*] }]\n");
	bench_plan(&bench);
	is(bench_wish(&bench, NULL, "smtpd_command_filter")->value,
		"pcre:{ {/^((HELO|EHLO)[[:space:]]+(ok\\.x\\.example)\\.?[[:space:]]*)$$/ $$1} "
		"{/^(HELO|EHLO)[[:space:]]+(ylmf-pc|[^ ]*\\.x\\.example|.+\\.y\\.example)\\.?[[:space:]]*$$/ Refused: EHLO $$2} }");
	cr_assert_not_null(
		bench_finding(&bench, "ehlo-names"), "local* is what programs of this host say");
	/* Somebody else's filter is left alone. */
	bench_main(&bench, "smtpd_command_filter = pcre:/etc/postfix/filter");
	bench_plan(&bench);
	cr_assert_null(bench_wish(&bench, NULL, "smtpd_command_filter"));
	cr_assert_eq(bench_finding(&bench, "ehlo-filter")->level, PLAN_WARNING);
}

Test(plan, rules_with_conditions_stay_with_reeve)
{
	bench_open(&bench, &recorded_37,
		SITE
		"rules: [{ name: e, check: helo, names: [ylmf-pc], match: { client: [192.0.2.0/24] } }]\n");
	bench_plan(&bench);
	cr_assert_null(bench_wish(&bench, NULL, "smtpd_command_filter"));
	cr_assert_not_null(bench_finding(&bench, "ehlo-names"));
}

Test(plan, reports)
{
	struct report_names names = {"/etc/post fix", "reeve.yaml"};
	struct report_counts counts;
	struct buf out;

	bench_open(&bench, &recorded_37, SITE);
	bench_plan(&bench);
	bench_apply(&bench);
	bench_main(&bench, "smtpd_data_restrictions =\nluser_relay = root");
	bench_plan(&bench);
	report_count(&bench.plan, &counts);
	cr_assert_eq(counts.mistakes, 1);
	cr_assert_eq(counts.warnings, 1);
	cr_assert_eq(counts.mendable, 1);
	buf_init(&out, 1 << 20);
	report_check(&bench.plan, &names, &out);
	is(buf_slice(&out),
		"mistake: smtp/inet, submission/inet: smtpd_data_restrictions does not ask Reeve, so what Postfix refuses later "
		"stays counted [data-unwired]\n"
		"    postconf -c '/etc/post fix' -e 'smtpd_data_restrictions = $reeve'\n"
		"warning: luser_relay = root takes mail for every unknown local user [luser_relay]\n"
		"    postconf -c '/etc/post fix' -e 'luser_relay = '\n"
		"1 mistake, 1 warning; `reevectl postfix apply` mends 1 of them\n");
	buf_release(&out);
}

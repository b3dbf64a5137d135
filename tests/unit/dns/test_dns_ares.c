/* SPDX-License-Identifier: ISC */
/*
 * c-ares on a real loop against a real server on loopback. Every test ends with a loop that closes
 * clean and with as many descriptors as it began with.
 */
#include "daemon/dns/dns_ares.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "tests/unit/dns/server.h"

#define TRY_MS 100
#define TRIES 2
#define TOTAL_MS 3000
/* Two tries of 100 and 200 ms, ticks of 50 ms, and a busy machine. */
#define BOUND_MS 2000

struct asker {
	struct waiter waiter;
	struct dns_query query;
	bool woken;
};

static struct server server;
static uv_loop_t loop;
static uv_timer_t timer;
static struct dns_ares *ares;
static struct dns *dns;
static bool inside_ask;
static unsigned fds_before;

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void set_now(void)
{
	dns_set_now(dns, (struct clock_now){ uv_now(&loop), uv_now(&loop) });
}

static void on_timer(uv_timer_t *handle)
{
	(void)handle;
	if (dns) {
		set_now();
		(void)dns_expire(dns);
	}
}

static void start_with(const struct dns_ares_options *options)
{
	struct dns_options dns_options = {.cache_entries = 5000,
		.total_ms = TOTAL_MS,
		.hash_key = {1, 2},
		.max_in_flight = 1000};
	const char *why = "";

	uv_loop_init(&loop);
	uv_timer_init(&loop, &timer);
	uv_timer_start(&timer, on_timer, 10, 10);
	ares = dns_ares_new(&loop, options, &why);
	cr_assert_not_null(ares, "%s", why);
	dns = dns_new(&dns_options, dns_ares_backend(ares));
	set_now();
}

static void start(const char *servers)
{
	struct slice items[1] = { slice_of(servers) };

	start_with(&(struct dns_ares_options){ .servers = { .items = items, .count = 1 },
					       .timeout_ms = TRY_MS, .tries = TRIES });
}

static void start_server(void)
{
	char text[64];

	/* libuv keeps two descriptors for signals from its first loop on. */
	uv_loop_init(&loop);
	uv_loop_close(&loop);
	fds_before = count_fds();
	cr_assert(server_start(&server, "127.0.0.1", 0));
	snprintf(text, sizeof(text), "127.0.0.1:%u", server.port);
	start(text);
}

static void close_loop(void)
{
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&loop), 0);
	server_stop(&server);
	if (fds_before)
		cr_assert_eq(count_fds(), fds_before);
}

static void stop(void)
{
	dns_free(&dns);
	dns_ares_close(&ares);
	cr_assert_null(ares);
	close_loop();
}

static void on_wake(struct waiter *waiter)
{
	cr_assert(!inside_ask, "woken from inside dns_ask()");
	((struct asker *)(void *)waiter)->woken = true;
}

static const struct dns_answer *ask(struct asker *asker, enum dns_type type, const char *name)
{
	const struct dns_answer *answer;

	asker->waiter.wake = on_wake;
	inside_ask = true;
	answer = dns_ask(dns, &asker->query, type, slice_of(name), &asker->waiter);
	inside_ask = false;
	return answer;
}

static void turn(void)
{
	uv_run(&loop, UV_RUN_ONCE);
	set_now();
}

/* Runs the loop until the answer is there. */
static const struct dns_answer *wait_for(struct asker *asker, enum dns_type type, const char *name)
{
	const struct dns_answer *answer = ask(asker, type, name);
	uint64_t start_ms = uv_hrtime() / 1000000;

	while (!answer) {
		turn();
		cr_assert_lt(uv_hrtime() / 1000000 - start_ms, BOUND_MS, "%s took too long", name);
		answer = ask(asker, type, name);
		cr_assert(!asker->woken || answer);
	}
	return answer;
}

static enum dns_status status_of(const char *name)
{
	struct asker asker = { .woken = false };
	enum dns_status status = wait_for(&asker, DNS_A, name)->status;

	dns_cancel(&asker.query);
	return status;
}

TestSuite(dns_ares, .timeout = 60);

Test(dns_ares, all_types)
{
	struct asker a = { .woken = false }, aaaa = a, mx = a, ptr = a;
	const struct dns_answer *answer;
	char text[IP_TEXT_BYTES];

	start_server();
	answer = wait_for(&a, DNS_A, "good.test");
	cr_assert_eq(answer->status, DNS_FOUND);
	cr_assert(slice_is(ip_format(&answer->records[0].ip, text), "192.0.2.1"));
	answer = wait_for(&aaaa, DNS_AAAA, "good.test");
	cr_assert(slice_is(ip_format(&answer->records[0].ip, text), "2001:db8::1"));
	answer = wait_for(&mx, DNS_MX, "good.test");
	cr_assert_eq(answer->records[0].preference, 10);
	cr_assert(slice_is(answer->records[0].name, "mx.example.org"));
	answer = wait_for(&ptr, DNS_PTR, "1.2.0.192.in-addr.arpa");
	cr_assert(slice_is(answer->records[0].name, "host.example.org"));
	dns_cancel(&a.query);
	dns_cancel(&aaaa.query);
	dns_cancel(&mx.query);
	dns_cancel(&ptr.query);
	stop();
	cr_assert_eq(server.udp_questions, 4);
}

Test(dns_ares, absent_with_the_ttl_of_the_soa)
{
	start_server();
	cr_assert_eq(status_of("nx.test"), DNS_NXDOMAIN);
	cr_assert_eq(status_of("nodata.test"), DNS_NODATA);
	dns_set_now(dns, (struct clock_now){ uv_now(&loop) + 32000, 0 });
	for (unsigned i = 0; i < 2; i++) {
		struct asker asker = { .woken = false };

		cr_assert_eq(ask(&asker, DNS_A, "nodata.test")->status, DNS_NODATA);
		dns_cancel(&asker.query);
	}
	dns_set_now(dns, (struct clock_now){ uv_now(&loop) + 76000, 0 });
	for (unsigned i = 0; i < 2; i++) {
		struct asker asker = { .woken = false };

		cr_assert_eq(ask(&asker, DNS_A, "nx.test")->status, DNS_NXDOMAIN);
		dns_cancel(&asker.query);
	}
	dns_set_now(dns, (struct clock_now){ uv_now(&loop) + 78000, 0 });
	struct asker asker = { .woken = false };
	cr_assert_null(ask(&asker, DNS_A, "nx.test"));
	dns_cancel(&asker.query);
	stop();
}

Test(dns_ares, what_is_no_answer_is_unknown)
{
	static const char *const names[] = {
		"servfail.test",
		"refused.test",
		"formerr.test",
		"notimp.test",
		"silent.test",
		"emptyonly.test",
		"wrongid.test",
		"wrongname.test",
		"wrongtype.test",
		"garbage.test",
		"cut.test",
	};

	start_server();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char good[64];

		cr_assert_eq(status_of(names[i]), DNS_UNKNOWN, "%s", names[i]);
		/* Keeps the breaker closed. */
		snprintf(good, sizeof(good), "good%zu.test", i);
		cr_assert_eq(status_of(good), DNS_FOUND);
	}
	stop();
}

Test(dns_ares, bad_datagrams_do_not_hide_the_good_one)
{
	start_server();
	cr_assert_eq(status_of("empty.test"), DNS_FOUND);
	cr_assert_eq(status_of("second.test"), DNS_FOUND);
	stop();
}

Test(dns_ares, truncated_answers_come_by_tcp)
{
	struct asker a = { .woken = false };

	start_server();
	cr_assert_eq(wait_for(&a, DNS_A, "tc.test")->count, DNS_MAX_ANSWERS);
	dns_cancel(&a.query);
	stop();
	cr_assert_eq(server.udp_questions, 1);
	cr_assert_eq(server.tcp_questions, 1);
}

Test(dns_ares, dead_tcp_is_unknown)
{
	start_server();
	cr_assert_eq(status_of("tcdead.test"), DNS_UNKNOWN);
	cr_assert_eq(status_of("tchang.test"), DNS_UNKNOWN);
	cr_assert_eq(status_of("good.test"), DNS_FOUND);
	stop();
}

/* Nothing listens there: errors come at once, some from inside the question, for others too. */
Test(dns_ares, a_refused_port)
{
	struct asker askers[100] = { { .woken = false } };

	fds_before = 0;
	start("127.0.0.1:1");
	for (unsigned i = 0; i < 100; i++) {
		char name[64];

		snprintf(name, sizeof(name), "n%u.test", i);
		(void)ask(&askers[i], DNS_A, name);
	}
	for (unsigned i = 0; i < 100; i++) {
		char name[64];

		snprintf(name, sizeof(name), "n%u.test", i);
		cr_assert_eq(wait_for(&askers[i], DNS_A, name)->status, DNS_UNKNOWN);
		dns_cancel(&askers[i].query);
	}
	stop();
}

/* The socket's error is the answer: no try is waited for. */
Test(dns_ares, a_refused_port_is_noticed_at_once)
{
	struct slice items[1] = { SLICE("127.0.0.1:1") };

	start_with(&(struct dns_ares_options){ .servers = { .items = items, .count = 1 },
					       .timeout_ms = 60000, .tries = 2 });
	cr_assert_eq(status_of("a.test"), DNS_UNKNOWN);
	stop();
}

Test(dns_ares, closing_ends_what_was_kept_for_later)
{
	struct asker askers[100] = { { .woken = false } };
	struct dns_health health;

	start("127.0.0.1:1");
	for (unsigned i = 0; i < 100; i++) {
		char name[64];

		snprintf(name, sizeof(name), "n%u.test", i);
		(void)ask(&askers[i], DNS_A, name);
	}
	dns_ares_close(&ares);
	dns_health(dns, &health);
	cr_assert_eq(health.in_flight, 0);
	for (unsigned i = 0; i < 100; i++)
		dns_cancel(&askers[i].query);
	dns_free(&dns);
	close_loop();
}

Test(dns_ares, the_next_server_is_asked)
{
	char text[64];

	cr_assert(server_start(&server, "127.0.0.1", 0));
	snprintf(text, sizeof(text), "127.0.0.1:1,127.0.0.1:%u", server.port);
	start(text);
	cr_assert_eq(status_of("good.test"), DNS_FOUND);
	stop();
}

Test(dns_ares, a_server_by_ipv6)
{
	char text[64];

	if (!server_start(&server, "::1", 0))
		cr_skip_test("no IPv6 on loopback");
	snprintf(text, sizeof(text), "[::1]:%u", server.port);
	start(text);
	cr_assert_eq(status_of("good.test"), DNS_FOUND);
	cr_assert_eq(status_of("tc.test"), DNS_FOUND);
	stop();
}

Test(dns_ares, a_server_that_is_no_address)
{
	struct slice items[1] = { SLICE("resolver") };
	struct dns_ares_options options = {
		.servers = {.items = items, .count = 1}, .timeout_ms = 1, .tries = 1};
	const char *why = NULL;

	uv_loop_init(&loop);
	cr_assert_null(dns_ares_new(&loop, &options, &why));
	cr_assert_not_null(why);
	cr_assert_eq(uv_loop_close(&loop), 0);
}

Test(dns_ares, closing_ends_what_is_out)
{
	struct asker asker = { .woken = false };

	start_server();
	cr_assert_null(ask(&asker, DNS_A, "silent.test"));
	for (unsigned i = 0; i < 3; i++)
		turn();
	dns_ares_close(&ares);
	cr_assert(asker.woken);
	cr_assert_eq(ask(&asker, DNS_A, "silent.test")->status, DNS_UNKNOWN);
	dns_cancel(&asker.query);
	dns_free(&dns);
	close_loop();
}

Test(dns_ares, the_service_may_go_first)
{
	struct asker asker = { .woken = false };

	start_server();
	cr_assert_null(ask(&asker, DNS_A, "silent.test"));
	dns_cancel(&asker.query);
	cr_assert_null(ask(&asker, DNS_A, "good.test"));
	dns_cancel(&asker.query);
	dns_free(&dns);
	for (unsigned i = 0; i < 20; i++)
		uv_run(&loop, UV_RUN_ONCE);
	stop();
}

/* One that is never answered stays out all the time, so that no socket would ever be idle. */
Test(dns_ares, many_questions_from_many_ports)
{
	enum { ALL = 3000 };
	struct slice items[1];
	char text[64], name[64];
	unsigned found = 0;

	cr_assert(server_start(&server, "127.0.0.1", 0));
	snprintf(text, sizeof(text), "127.0.0.1:%u", server.port);
	items[0] = slice_of(text);
	start_with(&(struct dns_ares_options){ .servers = { .items = items, .count = 1 },
					       .timeout_ms = 60000, .tries = 1 });
	for (unsigned i = 0; i < ALL; i++) {
		struct asker silent = { .woken = false };

		snprintf(name, sizeof(name), "silent.test%u", i);
		if (i % 100 == 0)
			cr_assert_null(ask(&silent, DNS_A, name));
		dns_cancel(&silent.query);
		snprintf(name, sizeof(name), "n%u.test", i);
		found += status_of(name) == DNS_FOUND;
	}
	cr_assert_eq(found, ALL);
	stop();
	cr_assert_geq(server.source_ports, ALL / 1000);
}

Test(dns_ares, sockets_of_single_questions_go)
{
	char name[64];
	unsigned fds;

	start_server();
	fds = count_fds();
	for (unsigned i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%u.test", i);
		cr_assert_eq(status_of(name), DNS_FOUND);
		if (i == 25)
			fds = count_fds();
	}
	cr_assert_leq(count_fds(), fds + 1);
	stop();
	cr_assert_gt(server.source_ports, 25);
}

Test(dns_ares, no_descriptor_left)
{
	struct rlimit old, none;

	start_server();
	cr_assert_eq(status_of("good.test"), DNS_FOUND);
	for (unsigned i = 0; i < 5; i++)
		turn();
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (unsigned spare = 0; spare < 2; spare++) {
		char name[64];

		none = old;
		none.rlim_cur = count_fds() - 3 + spare;
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
		snprintf(name, sizeof(name), "n%u.test", spare);
		cr_assert_eq(status_of(name), DNS_UNKNOWN);
		cr_assert_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	}
	cr_assert_eq(status_of("good2.test"), DNS_FOUND);
	stop();
}

/* resolv.conf knows no ports, so this needs 53 on an address that nobody else listens on. */
Test(dns_ares, resolv_conf_is_followed)
{
	char path[] = "/tmp/reeve-resolv-XXXXXX";
	struct asker asker = { .woken = false };
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	if (!server_start(&server, "127.77.66.55", 53)) {
		unlink(path);
		cr_skip_test("port 53 cannot be had");
	}
	dprintf(fd, "nameserver 127.77.66.54\n");
	start_with(&(struct dns_ares_options){
		.timeout_ms = TRY_MS, .tries = TRIES, .resolv_conf = path});
	close(fd);
	fd = open(path, O_WRONLY | O_TRUNC);
	dprintf(fd, "# a comment, so that the size differs\nnameserver 127.77.66.55\n");
	close(fd);
	cr_assert_eq(wait_for(&asker, DNS_A, "good.test")->status, DNS_FOUND);
	dns_cancel(&asker.query);
	unlink(path);
	stop();
	cr_assert_eq(server.udp_questions, 1);
}

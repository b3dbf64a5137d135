/* SPDX-License-Identifier: ISC */
/*
 * Addresses at once, names out of the DNS, and a link that goes to a name.
 */
#include "daemon/store/redis/lookup.h"

#include "tests/fake/fake_dns.h"
#include "tests/unit/store/redis_rig.h"

static struct fake_dns *fake;
static struct dns *dns;
static uint64_t now_ms;

static void begin(void)
{
	struct dns_options options = {.cache_entries = 100, .total_ms = 2000, .max_in_flight = 100};

	rig_setup();
	now_ms = rig_mono_ms();
	fake = fake_dns_new();
	dns = dns_new(&options, fake_dns_backend(fake));
	dns_set_now(dns, (struct clock_now){now_ms, now_ms});
	fake_dns_advance(fake, now_ms);
}

static void end(void)
{
	rig_teardown();
	dns_free(&dns);
	fake_dns_free(&fake);
}

TestSuite(redis_lookup, .init = begin, .fini = end, .timeout = 30);

static void advance(uint64_t ms)
{
	now_ms += ms;
	dns_set_now(dns, (struct clock_now){now_ms, now_ms});
	fake_dns_advance(fake, now_ms);
	(void)dns_expire(dns);
}

static void is_ip(const struct ip *ip, const char *want)
{
	char text[IP_TEXT_BYTES];

	ip_format(ip, text);
	cr_assert_str_eq(text, want);
}

Test(redis_lookup, addresses_need_no_dns)
{
	static const char *const hosts[][2] = {
		{"192.0.2.1", "192.0.2.1"},
		{"::1", "::1"},
		{"localhost", "127.0.0.1"},
		{"LocalHost", "127.0.0.1"},
	};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct lookup lookup = {0};
		struct ip ip;

		lookup_start(&lookup, NULL, slice_of(hosts[i][0]));
		cr_assert(lookup_is_woken(&lookup));
		cr_assert(lookup_step(&lookup, 7, &ip) == LOOKUP_FOUND);
		is_ip(&ip, hosts[i][1]);
		lookup_cancel(&lookup);
	}
}

Test(redis_lookup, names_come_late_and_take_turns)
{
	struct lookup lookup = {0};
	struct ip ip;

	cr_assert(fake_dns_set(fake, DNS_A, SLICE("redis.example"), DNS_FOUND,
		SLICE("192.0.2.1,192.0.2.2"), 60000, 10, false));
	cr_assert(fake_dns_set(fake, DNS_AAAA, SLICE("redis.example"), DNS_FOUND,
		SLICE("2001:db8::1"), 60000, 30, false));
	lookup_start(&lookup, dns, SLICE("redis.example"));
	cr_assert(lookup_step(&lookup, 0, &ip) == LOOKUP_PENDING);
	cr_assert(!lookup_is_woken(&lookup));
	advance(15);
	cr_assert(lookup_is_woken(&lookup));
	cr_assert(lookup_step(&lookup, 0, &ip) == LOOKUP_PENDING);
	advance(20);
	cr_assert(lookup_step(&lookup, 0, &ip) == LOOKUP_FOUND);
	is_ip(&ip, "192.0.2.1");
	for (unsigned turn = 0; turn < 6; turn++) {
		static const char *const want[] = {"192.0.2.1", "192.0.2.2", "2001:db8::1"};

		lookup_start(&lookup, dns, SLICE("redis.example"));
		cr_assert(lookup_step(&lookup, turn, &ip) == LOOKUP_FOUND);
		is_ip(&ip, want[turn % 3]);
	}
}

Test(redis_lookup, absent_is_not_failed)
{
	struct lookup lookup = {0};
	struct ip ip;

	lookup_start(&lookup, dns, SLICE("nowhere.example"));
	cr_assert(lookup_step(&lookup, 0, &ip) == LOOKUP_PENDING);
	advance(1);
	cr_assert(lookup_step(&lookup, 0, &ip) == LOOKUP_ABSENT);
	fake_dns_set_silent(fake, true);
	lookup_start(&lookup, dns, SLICE("silent.example"));
	cr_assert(lookup_step(&lookup, 0, &ip) == LOOKUP_PENDING);
	advance(4000);
	cr_assert(lookup_step(&lookup, 0, &ip) == LOOKUP_FAILED);
}

Test(redis_lookup, cancelled_while_it_is_out)
{
	struct lookup lookup = {0};
	struct ip ip;

	lookup_start(&lookup, dns, SLICE("nowhere.example"));
	cr_assert(lookup_step(&lookup, 0, &ip) == LOOKUP_PENDING);
	lookup_cancel(&lookup);
	advance(10);
	cr_assert(!lookup_is_woken(&lookup));
	lookup_cancel(&lookup);
}

Test(redis_lookup, a_link_to_a_name)
{
	struct redis_server *server = redis_server_start(NULL);

	cr_assert(fake_dns_set(fake, DNS_A, SLICE("redis.example"), DNS_FOUND, SLICE("127.0.0.1"),
		1000, 0, false));
	rig_to_port(redis_server_port(server));
	rig.hosts[0].host = SLICE("redis.example");
	rig.options.dns = dns;
	rig_link();
	rig_turn();
	cr_assert(rig_health().attempts == 0);
	advance(1);
	RIG_UNTIL(rig.ups == 1);
	redis_server_end(&server);
}

/* The DNS falls silent, and then the connection ends: Redis is where it was. */
Test(redis_lookup, a_link_to_a_name_that_cannot_be_looked_up_any_more)
{
	struct redis_server *server = redis_server_start(NULL);
	struct slice name = SLICE("redis.example");

	cr_assert(fake_dns_set(fake, DNS_A, name, DNS_FOUND, SLICE("127.0.0.1"), 1000, 0, false));
	rig_to_port(redis_server_port(server));
	rig.hosts[0].host = name;
	rig.options.dns = dns;
	rig_link();
	rig_turn();
	advance(1);
	RIG_UNTIL(rig.ups == 1);
	cr_assert(fake_dns_set(fake, DNS_A, name, DNS_UNKNOWN, SLICE_EMPTY, 0, 0, false));
	advance(3600000);
	redis_server_say(server, "CLIENT", "KILL", "TYPE", "normal", NULL);
	RIG_UNTIL(rig.downs == 1);
	RIG_UNTIL((advance(1), rig.ups == 2));
	redis_server_end(&server);
}

Test(redis_lookup, a_link_to_no_name)
{
	rig_to_port(6379);
	rig.hosts[0].host = SLICE("nowhere.example");
	rig.options.dns = dns;
	rig_link();
	rig_turn();
	advance(1);
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_NAME);
	cr_assert_str_eq(rig_health().detail, "no such name");
}

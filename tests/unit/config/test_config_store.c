/* SPDX-License-Identifier: ISC */
/*
 * Urls of the store, servers of DNS.
 */
#include "tests/unit/config/support.h"

#include "common/alloc.h"

static struct config *load_url(const char *url)
{
	struct buf text;
	struct config *config;
	char *copy;

	buf_init(&text, 1000);
	buf_add_format(&text, "store: { url: \"%s\" }\n", url);
	copy = mem_dup(buf_slice(&text));
	config = load_text(copy);
	mem_free(&copy);
	buf_release(&text);
	return config;
}

Test(config_store, urls_of_redis)
{
	struct config *config = load_url("redis://user@127.0.0.1:6380/5");
	const struct config_redis *redis = &config->store.redis;

	cr_expect_eq(config->store.kind, CONFIG_STORE_REDIS);
	cr_expect(is(config->store.url, "redis://user@127.0.0.1:6380/5"));
	cr_expect_eq(config->store.path.len, 0);
	cr_expect(is(redis->user, "user"));
	cr_assert_eq(redis->host_count, 1);
	cr_expect(is(redis->hosts[0].host, "127.0.0.1"));
	cr_expect_eq(redis->hosts[0].port, 6380);
	cr_expect_eq(redis->db, 5);
	config_unref(&config);

	config = load_url("rediss://[::1]");
	cr_expect(config->store.redis.tls);
	cr_expect(is(config->store.redis.hosts[0].host, "::1"));
	cr_expect_eq(config->store.redis.hosts[0].port, 6379);
	config_unref(&config);

	config = load_url("redis+unix:///run/redis/redis.sock?db=2");
	cr_expect(is(config->store.redis.unix_path, "/run/redis/redis.sock"));
	cr_expect_eq(config->store.redis.db, 2);
	config_unref(&config);

	config = load_url("redis+sentinel://10.0.0.1:26379,sentinel-b,[::1]:7/mymaster?db=1");
	redis = &config->store.redis;
	cr_assert_eq(redis->host_count, 3);
	cr_expect(is(redis->master, "mymaster"));
	cr_expect(is(redis->hosts[1].host, "sentinel-b"));
	cr_expect_eq(redis->hosts[1].port, 26379);
	cr_expect_eq(redis->hosts[2].port, 7);
	cr_expect_eq(redis->db, 1);
	config_unref(&config);
}

Test(config_store, bad_urls)
{
	static const char *const urls[] = {"redis://", "redis://:6379/0", "redis://a:b:c/0",
		"redis://a/0/1", "redis://a/70000", "redis+unix://", "redis+unix:///x?x=1",
		"redis+sentinel:///m", "redis+sentinel://a,/m", "embedded", "embedded:relative", "",
		"redis://@host/0", "redis://[::1/0"};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct buf text;
		char *copy, *lines;
		bool loaded = true;

		buf_init(&text, 1000);
		buf_add_format(&text, "store: { url: \"%s\" }\n", urls[i]);
		copy = mem_dup(buf_slice(&text));
		lines = messages_of(copy, &loaded);
		cr_expect_not(loaded, "%s", urls[i]);
		cr_expect_eq(strncmp(lines, "f:1:15: ", 8), 0, "%s: %s", urls[i], lines);
		mem_free(&lines);
		mem_free(&copy);
		buf_release(&text);
	}
}

Test(config_store, dns_servers_get_their_port)
{
	struct config *config = load_text(
		"dns: { servers: [127.0.0.1, \"127.0.0.2:5353\", \"::1\", \"[2001:db8::1]:54\"] }\n");

	cr_assert_eq(config->dns.servers.count, 4);
	cr_expect(is(config->dns.servers.items[0], "127.0.0.1:53"));
	cr_expect(is(config->dns.servers.items[1], "127.0.0.2:5353"));
	cr_expect(is(config->dns.servers.items[2], "[::1]:53"));
	cr_expect(is(config->dns.servers.items[3], "[2001:db8::1]:54"));
	config_unref(&config);
}

Test(config_store, bad_dns_servers)
{
	static const char *const servers[] = {
		"127.0.0.1:", "[::1", "[::1]53", "127.0.0.1:0", "a.example", "::1:"};

	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		struct buf text;
		char *copy, *lines;
		bool loaded = true;

		buf_init(&text, 1000);
		buf_add_format(&text, "dns: { servers: [\"%s\"] }\n", servers[i]);
		copy = mem_dup(buf_slice(&text));
		lines = messages_of(copy, &loaded);
		cr_expect_not(loaded, "%s", servers[i]);
		mem_free(&lines);
		mem_free(&copy);
		buf_release(&text);
	}
}

Test(config_store, the_node_is_the_host_unless_said)
{
	struct config *config = load_text("store: { node: \"\" }\n"),
		      *named = load_text("store: { node: mx1 }\n");

	cr_expect_gt(config->store.node.len, 0);
	cr_expect(is(named->store.node, "mx1"));
	config_unref(&config);
	config_unref(&named);
}

/* SPDX-License-Identifier: ISC */
/*
 * `store` and `dns`: where counters live, and who is asked. A url of Redis is
 * parsed whole although the daemon may be built without it, so that `reevectl check`
 * says the same everywhere. Passwords never stand in the configuration.
 */
#include "config/config_parts.h"

#include <unistd.h>

#define MAX_REDIS_HOSTS 16
#define MAX_REDIS_DB 65535
#define REDIS_PORT 6379
#define SENTINEL_PORT 26379
#define DNS_PORT 53
#define MAX_DNS_SERVERS 16
#define MAX_NAME_BYTES 64
#define SECOND_MS UINT64_C(1000)

static const char *const on_failure_words[] = {"local", "pass", "defer", NULL};

struct raw_store {
	const struct config_node *url, *password_file, *prefix, *node;
};

#define IN_STORE(field) offsetof(struct config_store, field)

static const struct config_key store_keys[] = {
	{"timeout", CONFIG_TYPE_DURATION, IN_STORE(timeout_ms), "300ms", 10, 10 * SECOND_MS, NULL,
		CONFIG_RESTART},
	{"on_failure", CONFIG_TYPE_WORD, IN_STORE(on_failure), "local", 0, 0, on_failure_words,
		CONFIG_RESTART},
	{"nodes", CONFIG_TYPE_U64, IN_STORE(nodes), "auto", 1, 1000, NULL,
		CONFIG_RESTART | CONFIG_OR_AUTO},
	{"slack", CONFIG_TYPE_DECIMAL, IN_STORE(slack), "1.0", 0, 100, NULL, CONFIG_RESTART},
	{"max_keys", CONFIG_TYPE_U64, IN_STORE(max_keys), "1000000", 1000, 100000000, NULL,
		CONFIG_RESTART},
};

#define RAW_STORE(key)                                                                            \
	{                                                                                         \
		.name = #key, .type = CONFIG_TYPE_NODE, .offset = offsetof(struct raw_store, key) \
	}

static const struct config_key raw_store_keys[] = {
	RAW_STORE(url),
	RAW_STORE(password_file),
	RAW_STORE(prefix),
	RAW_STORE(node),
};

/* Letters, digits, '-', '_', '.': safe in keys, log lines and metric labels. */
static bool is_name(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char byte = text.data[i];

		if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
			    (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
			    byte == '.'))
			return false;
	}
	return text.len > 0 && text.len <= MAX_NAME_BYTES;
}

struct slice config_host_name(struct config_reader *reader)
{
	char name[MAX_NAME_BYTES + 1] = "";

	if (reader->no_files || gethostname(name, sizeof(name)) != 0)
		return SLICE("localhost");
	name[MAX_NAME_BYTES] = '\0';
	if (!is_name(slice_of(name)))
		return SLICE("localhost");
	return arena_dup(reader->arena, slice_of(name));
}

/* ---- urls */

static void bad_url(struct config_reader *reader, const struct config_node *node, const char *form)
{
	config_error(reader->errors, node->pos, "the url needs the form %s, not '%s'", form,
		config_quote(node->text).text);
}

/* "/5" or "" */
static bool parse_db(struct slice text, unsigned *ret)
{
	uint64_t db = 0;

	if (text.len && (units_parse_u64(text, &db) || db > MAX_REDIS_DB))
		return false;
	*ret = (unsigned)db;
	return true;
}

/* "host", "host:port", "[::1]:port" */
static bool parse_host(struct slice text, uint16_t standard_port, struct config_redis_host *ret)
{
	struct config_redis_host host = {text, standard_port};
	struct slice port;
	struct ip ip;

	if (text.len && text.data[0] == '[') {
		struct slice rest;

		if (!slice_split(slice_from(text, 1), ']', &host.host, &rest) ||
			!ip_parse(host.host, &ip))
			return false;
		if (rest.len && (rest.data[0] != ':' ||
					!config_parse_port(slice_from(rest, 1), &host.port)))
			return false;
	} else {
		if (slice_split(text, ':', &host.host, &port) &&
			!config_parse_port(port, &host.port))
			return false;
		if (!config_is_domain(host.host))
			return false;
	}
	*ret = host;
	return true;
}

/* Takes "user@" off the front. A password there is an error of its own. */
static bool take_user(struct config_reader *reader, const struct config_node *node,
	struct slice *rest, struct slice *ret_user)
{
	struct slice user, tail, before, after;

	if (!slice_split_last(*rest, '@', &user, &tail))
		return true;
	if (slice_split(user, ':', &before, &after)) {
		config_error(reader->errors, node->pos,
			"a password does not belong here; put it into a file and name that in 'password_file'");
		return false;
	}
	if (!is_name(user)) {
		config_error(reader->errors, node->pos, "'%s' is no user name for Redis",
			config_quote(user).text);
		return false;
	}
	*ret_user = user;
	*rest = tail;
	return true;
}

/* redis://[user@]host[:port][/db] */
static void read_redis(struct config_reader *reader, const struct config_node *node,
	struct slice rest, struct config_redis *redis)
{
	struct slice host = rest, db = SLICE_EMPTY;

	if (!take_user(reader, node, &host, &redis->user))
		return;
	slice_split(host, '/', &host, &db);
	redis->hosts = arena_zalloc(reader->arena, sizeof(redis->hosts[0]));
	redis->host_count = 1;
	if (!parse_host(host, REDIS_PORT, &redis->hosts[0]) || !parse_db(db, &redis->db))
		bad_url(reader, node,
			redis->tls ? "rediss://[user@]host:port/db"
				   : "redis://[user@]host:port/db");
}

/* Takes "?db=5" off the end. */
static bool take_db(struct slice *rest, unsigned *ret)
{
	struct slice head, query;

	if (!slice_split_last(*rest, '?', &head, &query))
		return true;
	*rest = head;
	return slice_starts_with(query, SLICE("db=")) && query.len > 3 &&
	       parse_db(slice_from(query, 3), ret);
}

/* redis+unix://[user@]/path[?db=N] */
static void read_redis_unix(struct config_reader *reader, const struct config_node *node,
	struct slice rest, struct config_redis *redis)
{
	struct slice path = rest;

	if (path.len && path.data[0] != '/' && !take_user(reader, node, &path, &redis->user))
		return;
	if (!take_db(&path, &redis->db) || path.len < 2 || path.data[0] != '/')
		bad_url(reader, node, "redis+unix:///path or redis+unix:///path?db=N");
	else
		redis->unix_path = path;
}

/* redis+sentinel://[user@]host:port[,host:port...]/name[?db=N] */
static void read_sentinel(struct config_reader *reader, const struct config_node *node,
	struct slice rest, struct config_redis *redis)
{
	static const char form[] = "redis+sentinel://host:port,host:port/name";
	struct slice hosts, host;
	bool more = true, good;

	if (!take_user(reader, node, &rest, &redis->user))
		return;
	good = take_db(&rest, &redis->db) && slice_split(rest, '/', &hosts, &redis->master) &&
	       is_name(redis->master);
	redis->hosts = arena_zalloc(reader->arena, MAX_REDIS_HOSTS * sizeof(redis->hosts[0]));
	while (good && more) {
		more = slice_split(hosts, ',', &host, &hosts);
		if (redis->host_count == MAX_REDIS_HOSTS) {
			config_error(reader->errors, node->pos, "there can be at most %d sentinels",
				MAX_REDIS_HOSTS);
			return;
		}
		good = parse_host(
			more ? host : hosts, SENTINEL_PORT, &redis->hosts[redis->host_count++]);
	}
	if (!good)
		bad_url(reader, node, form);
}

static void read_embedded(struct config_reader *reader, const struct config_node *node,
	struct slice path, struct config_store *store)
{
	if (path.len && (path.data[0] != '/' || path.len > 1024))
		bad_url(reader, node,
			"embedded:/path, or \"embedded:\" to keep everything in memory");
	else
		store->path = path;
}

static void read_url(
	struct config_reader *reader, const struct config_node *node, struct config_store *store)
{
	static const struct {
		const char *scheme;
		bool tls;
		void (*read)(struct config_reader *, const struct config_node *, struct slice,
			struct config_redis *);
	} schemes[] = {
		{"redis://", false, read_redis},
		{"rediss://", true, read_redis},
		{"redis+unix://", false, read_redis_unix},
		{"redis+sentinel://", false, read_sentinel},
	};
	struct slice text = node->text;

	store->url_pos = node->pos;
	if (node->kind == CONFIG_SCALAR)
		store->url = text;
	if (node->kind == CONFIG_SCALAR && slice_starts_with(text, SLICE("embedded:"))) {
		read_embedded(reader, node, slice_from(text, strlen("embedded:")), store);
		return;
	}
	for (size_t i = 0; node->kind == CONFIG_SCALAR && i < sizeof(schemes) / sizeof(schemes[0]);
		i++) {
		if (!slice_starts_with(text, slice_of(schemes[i].scheme)))
			continue;
		store->kind = CONFIG_STORE_REDIS;
		store->redis.tls = schemes[i].tls;
		schemes[i].read(
			reader, node, slice_from(text, strlen(schemes[i].scheme)), &store->redis);
		return;
	}
	config_need(reader, node, "url",
		"embedded:/path, redis://, rediss://, redis+unix:// or redis+sentinel://");
}

static void read_password_file(
	struct config_reader *reader, const struct config_node *node, struct config_store *store)
{
	if (node->kind != CONFIG_SCALAR || node->text.len < 2 || node->text.data[0] != '/') {
		config_need(reader, node, "password_file", "an absolute path");
		return;
	}
	store->password_file = node->text;
	if (store->kind == CONFIG_STORE_EMBEDDED)
		config_warning(reader->errors, node->pos,
			"'password_file' is of no use with an embedded store");
}

static void read_store_name(struct config_reader *reader, const struct config_node *node,
	const char *name, struct slice *ret)
{
	if (node->kind != CONFIG_SCALAR || !is_name(node->text))
		config_need(reader, node, name, "letters, digits, '-', '_' and '.', at most 64");
	else
		*ret = node->text;
}

void config_read_store(
	struct config_reader *reader, const struct config_node *node, struct config_store *store)
{
	struct raw_store raw = {0};

	store->kind = CONFIG_STORE_EMBEDDED;
	store->url = SLICE("embedded:/var/lib/reeve");
	store->path = SLICE("/var/lib/reeve");
	store->url_pos = (struct config_pos){"(default)", 0, 0};
	store->password_file = SLICE_EMPTY;
	store->prefix = SLICE("reeve");
	store->redis = (struct config_redis){
		.user = SLICE_EMPTY,
		.unix_path = SLICE_EMPTY,
		.master = SLICE_EMPTY,
	};
	config_read_map2(reader, node, "store", CONFIG_KEYS(store_keys), store,
		CONFIG_KEYS(raw_store_keys), &raw);
	if (raw.url)
		read_url(reader, raw.url, store);
	if (raw.password_file)
		read_password_file(reader, raw.password_file, store);
	if (raw.prefix)
		read_store_name(reader, raw.prefix, "prefix", &store->prefix);
	if (raw.node &&
		!(raw.node->kind == CONFIG_SCALAR && raw.node->quoted && raw.node->text.len == 0))
		read_store_name(reader, raw.node, "node", &store->node);
	if (store->slack <= 0)
		config_need(reader, config_map_get(node, "slack"), "slack",
			"a number above 0, like 1.0");
	if (!store->node.len)
		store->node = config_host_name(reader);
	if (store->kind == CONFIG_STORE_REDIS)
		store->path = SLICE_EMPTY;
}

/* ---- dns */

#define IN_DNS(field) offsetof(struct config_dns, field)

static const struct config_key dns_keys[] = {
	{"servers", CONFIG_TYPE_STRINGS, IN_DNS(servers), NULL, 0, 0, NULL, CONFIG_RESTART},
	{"timeout", CONFIG_TYPE_DURATION, IN_DNS(timeout_ms), "1s", 10, 30 * SECOND_MS, NULL,
		CONFIG_RESTART},
	{"tries", CONFIG_TYPE_U64, IN_DNS(tries), "2", 1, 10, NULL, CONFIG_RESTART},
	{"cache_entries", CONFIG_TYPE_U64, IN_DNS(cache_entries), "100000", 100, 10000000, NULL,
		CONFIG_RESTART},
};

/* "127.0.0.1", "127.0.0.1:53", "::1", "[::1]:53": always kept with its port. */
static bool parse_server(struct config_reader *reader, struct slice text, struct slice *ret)
{
	struct slice host = text, port = SLICE_EMPTY;
	uint16_t number = DNS_PORT;
	char memory[IP_TEXT_BYTES], whole[IP_TEXT_BYTES + 16];
	struct buf out;
	struct ip ip;

	if (text.len && text.data[0] == '[') {
		if (!slice_split(slice_from(text, 1), ']', &host, &port) ||
			(port.len && port.data[0] != ':'))
			return false;
		port = slice_from(port, 1);
	} else if (!ip_parse(text, &ip)) {
		slice_split(text, ':', &host, &port);
	}
	if (!ip_parse(host, &ip) || (port.len && !config_parse_port(port, &number)) ||
		(!port.len && text.data[text.len - 1] == ':' && !slice_equal(host, text)))
		return false;
	buf_init_fixed(&out, whole, sizeof(whole));
	buf_add(&out, ip_is_v4(&ip) ? SLICE_EMPTY : SLICE("["));
	buf_add(&out, ip_format(&ip, memory));
	buf_add_format(&out, "%s:%u", ip_is_v4(&ip) ? "" : "]", (unsigned)number);
	*ret = arena_dup(reader->arena, buf_slice(&out));
	return true;
}

void config_read_dns(
	struct config_reader *reader, const struct config_node *node, struct config_dns *dns)
{
	struct config_strings *servers = &dns->servers;

	config_read_map(reader, node, "dns", CONFIG_KEYS(dns_keys), dns);
	if (servers->count == 1 && slice_is(servers->items[0], "system"))
		servers->count = 0;
	if (servers->count > MAX_DNS_SERVERS)
		config_error(reader->errors, servers->pos[MAX_DNS_SERVERS],
			"there can be at most %d servers", MAX_DNS_SERVERS);
	for (size_t i = 0; i < servers->count; i++)
		if (!parse_server(reader, servers->items[i], &servers->items[i]))
			config_error(reader->errors, servers->pos[i],
				"'servers' needs 'system' or addresses like 127.0.0.1:53, not '%s'",
				config_quote(servers->items[i]).text);
}

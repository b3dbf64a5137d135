/* SPDX-License-Identifier: ISC */
/*
 * The measure for reeved: a policy server on libuv that only looks for the empty line and answers
 * DUNNO with uv_try_write. With --parse it also splits the request into its attributes and finds
 * each name in a table. What reeved costs more than this is what its rules cost.
 *
 * With --redis TEMPLATE PORT it also sends one command to the Redis on that port for each request, with
 * hiredis and its adapter for libuv, and answers when that has: what any daemon with such a script costs
 * at least. TEMPLATE holds one argument a line; @L in it is the login, @R 16 digits out of the recipient,
 * @X 32 digits out of the instance.
 *
 * usage: responder [--parse | --redis TEMPLATE PORT] inet:HOST:PORT | unix:/path. Prints READY when it listens; SIGTERM
 * ends it. It trusts its peer, and counts on there being one request under way as with Postfix,
 * so it is fit for the benchmark only.
 */
#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define BUFFER_BYTES 65536

struct peer {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} u;
	size_t used;
	char buf[BUFFER_BYTES];
};

struct late_reply {
	uv_write_t req;
	size_t bytes;
};

static const char reply[] = "action=DUNNO\n\n";
static bool parse_requests;

#define MAX_ARGUMENTS 128
#define ARGUMENT_BYTES 512

static struct {
	redisAsyncContext *link; /* NULL: not asked */
	int count;
	char template[MAX_ARGUMENTS][ARGUMENT_BYTES];
	char argument[MAX_ARGUMENTS][ARGUMENT_BYTES];
	const char *argv[MAX_ARGUMENTS];
	size_t len[MAX_ARGUMENTS];
	bool varies[MAX_ARGUMENTS];
} redis;

/* In the order in which Postfix sends them. */
static const char *const names[] = {"request", "protocol_state", "protocol_name", "client_address",
	"client_name", "client_port", "reverse_client_name", "server_address", "server_port",
	"helo_name", "sender", "recipient", "recipient_count", "queue_id", "instance", "size",
	"etrn_domain", "stress", "sasl_method", "sasl_username", "sasl_sender", "ccert_subject", "ccert_issuer",
	"ccert_fingerprint", "ccert_pubkey_fingerprint", "encryption_protocol", "encryption_cipher",
	"encryption_keysize", "policy_context"};
#define NAMES (sizeof(names) / sizeof(names[0]))

struct values {
	const char *at[NAMES];
	size_t len[NAMES];
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void peer_close(struct peer *peer)
{
	if (!uv_is_closing(&peer->u.handle))
		uv_close(&peer->u.handle, on_closed);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *ret_buf)
{
	struct peer *peer = handle->data;
	(void)hint;
	*ret_buf = uv_buf_init(peer->buf + peer->used, (unsigned)(BUFFER_BYTES - peer->used));
}

static void on_written(uv_write_t *req, int status)
{
	if (status != 0)
		peer_close(req->handle->data);
	free(req);
}

static void peer_answer(struct peer *peer)
{
	/* libuv does not write through this pointer, but its type is char *. */
	static char bytes[sizeof(reply)];
	memcpy(bytes, reply, sizeof(reply));
	uv_buf_t buf = uv_buf_init(bytes, sizeof(reply) - 1);
	int n = uv_try_write(&peer->u.stream, &buf, 1);
	if (n == (int)buf.len)
		return;
	size_t done = n > 0 ? (size_t)n : 0;
	struct late_reply *late = malloc(sizeof(*late));
	if (late == NULL)
		abort();
	buf = uv_buf_init(bytes + done, (unsigned)(sizeof(reply) - 1 - done));
	if (uv_write(&late->req, &peer->u.stream, &buf, 1, on_written) != 0) {
		free(late);
		peer_close(peer);
	}
}

static size_t name_index(const char *name, size_t len, size_t expected)
{
	for (size_t i = 0; i < NAMES; i++) {
		size_t k = (expected + i) % NAMES;
		if (strlen(names[k]) == len && memcmp(names[k], name, len) == 0)
			return k;
	}
	return NAMES;
}

static bool parse(const char *text, size_t len, struct values *ret_values)
{
	const char *end = text + len - 1;
	for (size_t n = 0; text < end; n++) {
		const char *line = memchr(text, '\n', (size_t)(end - text));
		const char *equals = line == NULL ? NULL : memchr(text, '=', (size_t)(line - text));
		if (equals == NULL)
			return false;
		size_t k = name_index(text, (size_t)(equals - text), n);
		if (k < NAMES) {
			ret_values->at[k] = equals + 1;
			ret_values->len[k] = (size_t)(line - equals - 1);
		}
		text = line + 1;
	}
	return true;
}

/* ---- Redis ---- */

static uint64_t digest(const char *text, size_t len, uint64_t seed)
{
	for (size_t i = 0; i < len; i++)
		seed = (seed ^ (unsigned char)text[i]) * UINT64_C(0x9e3779b97f4a7c15);
	return seed ^ seed >> 29;
}

static void fill(int index, const struct values *values)
{
	enum { RECIPIENT = 11, INSTANCE = 14, LOGIN = 19 };
	char *out = redis.argument[index];
	size_t room = ARGUMENT_BYTES;
	const char *at = strchr(redis.template[index], '@');
	int n = snprintf(out, room, "%.*s", (int)(at - redis.template[index]), redis.template[index]);
	const char *instance = values->at[INSTANCE];
	size_t len = values->len[INSTANCE];
	if (at[1] == 'L')
		n += snprintf(out + n, room - (size_t)n, "%.*s", (int)values->len[LOGIN], values->at[LOGIN]);
	else if (at[1] == 'R')
		n += snprintf(out + n, room - (size_t)n, "%016llx",
			(unsigned long long)digest(values->at[RECIPIENT], values->len[RECIPIENT], 1));
	else
		n += snprintf(out + n, room - (size_t)n, "%016llx%016llx",
			(unsigned long long)digest(instance, len, 2), (unsigned long long)digest(instance, len, 3));
	n += snprintf(out + n, room - (size_t)n, "%s", at + 2);
	redis.argv[index] = out;
	redis.len[index] = (size_t)n;
}

static void on_redis(redisAsyncContext *link, void *from, void *arg)
{
	const redisReply *answer = from;
	(void)link;
	if (answer == NULL || answer->type != REDIS_REPLY_ARRAY || answer->elements < 3 ||
	    strcmp(answer->element[0]->str, "OK") != 0) {
		fprintf(stderr, "redis: %s\n", answer != NULL && answer->str != NULL ? answer->str : "no OK");
		exit(EXIT_FAILURE);
	}
	peer_answer(arg);
}

static void ask_redis(struct peer *peer, const struct values *values)
{
	for (int i = 0; i < redis.count; i++)
		if (redis.varies[i])
			fill(i, values);
	redisAsyncCommandArgv(redis.link, on_redis, peer, redis.count, redis.argv, redis.len);
}

static bool open_redis(uv_loop_t *loop, const char *path, const char *port)
{
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return false;
	while (redis.count < MAX_ARGUMENTS && fgets(redis.template[redis.count], ARGUMENT_BYTES, file)) {
		int i = redis.count++;
		redis.template[i][strcspn(redis.template[i], "\n")] = '\0';
		redis.varies[i] = strchr(redis.template[i], '@') != NULL;
		redis.argv[i] = redis.template[i];
		redis.len[i] = strlen(redis.template[i]);
	}
	fclose(file);
	redis.link = redisAsyncConnect("127.0.0.1", (int)strtol(port, NULL, 10));
	return redis.link != NULL && !redis.link->err && redisLibuvAttach(redis.link, loop) == REDIS_OK;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *peer = stream->data;
	struct values values;
	(void)buf;
	if (n < 0) {
		peer_close(peer);
		return;
	}
	peer->used += (size_t)n;
	if (peer->used >= 2 && memcmp(peer->buf + peer->used - 2, "\n\n", 2) == 0) {
		if (parse_requests && !parse(peer->buf, peer->used, &values)) {
			peer_close(peer);
			return;
		}
		peer->used = 0;
		if (redis.link != NULL)
			ask_redis(peer, &values);
		else
			peer_answer(peer);
	} else if (peer->used == BUFFER_BYTES) {
		peer_close(peer);
	}
}

static void on_connection(uv_stream_t *listener, int status)
{
	if (status != 0)
		return;
	struct peer *peer = malloc(sizeof(*peer));
	if (peer == NULL)
		abort();
	peer->used = 0;
	if (listener->type == UV_TCP) {
		uv_tcp_init(listener->loop, &peer->u.tcp);
		uv_tcp_nodelay(&peer->u.tcp, 1);
	} else {
		uv_pipe_init(listener->loop, &peer->u.pipe, 0);
	}
	peer->u.handle.data = peer;
	if (uv_accept(listener, &peer->u.stream) != 0 ||
	    uv_read_start(&peer->u.stream, on_alloc, on_read) != 0)
		peer_close(peer);
}

static int listen_at(uv_loop_t *loop, struct peer *listener, const char *address)
{
	if (strncmp(address, "unix:", 5) == 0) {
		unlink(address + 5);
		uv_pipe_init(loop, &listener->u.pipe, 0);
		int err = uv_pipe_bind(&listener->u.pipe, address + 5);
		return err != 0 ? err : uv_listen(&listener->u.stream, 1024, on_connection);
	}
	char host[64];
	const char *colon = strrchr(address, ':');
	if (strncmp(address, "inet:", 5) != 0 || colon < address + 5 ||
	    (size_t)(colon - address - 5) >= sizeof(host))
		return UV_EINVAL;
	memcpy(host, address + 5, (size_t)(colon - address - 5));
	host[colon - address - 5] = '\0';
	struct sockaddr_in sin;
	int err = uv_ip4_addr(host, (int)strtol(colon + 1, NULL, 10), &sin);
	if (err != 0)
		return err;
	uv_tcp_init(loop, &listener->u.tcp);
	err = uv_tcp_bind(&listener->u.tcp, (const struct sockaddr *)&sin, 0);
	return err != 0 ? err : uv_listen(&listener->u.stream, 1024, on_connection);
}

static void on_term(uv_signal_t *signal, int number)
{
	(void)number;
	uv_stop(signal->loop);
}

int main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	uv_signal_t term;
	static struct peer listener;
	bool ask = argc == 5 && strcmp(argv[1], "--redis") == 0;
	parse_requests = ask || (argc == 3 && strcmp(argv[1], "--parse") == 0);
	if (argc != 2 && !parse_requests) {
		fprintf(stderr, "usage: responder [--parse | --redis TEMPLATE PORT] inet:HOST:PORT | unix:/path\n");
		return 64;
	}
	if (ask && !open_redis(loop, argv[2], argv[3])) {
		fprintf(stderr, "%s, port %s: no template, or no Redis\n", argv[2], argv[3]);
		return EXIT_FAILURE;
	}
	const char *address = argv[argc - 1];
	int err = listen_at(loop, &listener, address);
	if (err != 0) {
		fprintf(stderr, "%s: %s\n", address, uv_strerror(err));
		return EXIT_FAILURE;
	}
	uv_signal_init(loop, &term);
	uv_signal_start(&term, on_term, SIGTERM);
	puts("READY");
	fflush(stdout);
	uv_run(loop, UV_RUN_DEFAULT);
	return EXIT_SUCCESS;
}

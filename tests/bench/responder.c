/* SPDX-License-Identifier: ISC */
/*
 * The measure for reeved: a policy server on libuv that only looks for the empty line and answers
 * DUNNO with uv_try_write. With --parse it also splits the request into its attributes and finds
 * each name in a table. What reeved costs more than this is what its rules cost.
 *
 * With --redis TEMPLATE PORT it also sends one command to the Redis on that port for each request, with
 * hiredis and its adapter for libuv, and answers when that has: what any daemon with such scripts costs
 * at least. TEMPLATE holds three commands, for RCPT, DATA and END-OF-MESSAGE, with an empty line behind
 * each: one argument a line, %41 is a byte, @L the login, @C the client, @D the sender's domain, @X 32 digits
 * out of the instance, @R 8 bytes out of the recipient, @N recipient_count and @S size as doubles.
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

#define COMMANDS 3
#define MAX_ARGUMENTS 32
#define MAX_PIECES 16
#define ARGUMENT_BYTES 1024

struct piece {
	char kind; /* '\0': the text itself */
	const char *text;
	size_t len;
};

struct argument {
	char memory[ARGUMENT_BYTES]; /* of the texts */
	struct piece pieces[MAX_PIECES];
	int count;
};

struct command {
	struct argument arguments[MAX_ARGUMENTS];
	int count;
};

static struct {
	redisAsyncContext *link; /* NULL: not asked */
	struct command commands[COMMANDS];
	char filled[MAX_ARGUMENTS][ARGUMENT_BYTES];
	const char *argv[MAX_ARGUMENTS];
	size_t len[MAX_ARGUMENTS];
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

enum { STATE = 1, CLIENT = 3, SENDER = 10, RECIPIENT = 11, COUNT = 12, INSTANCE = 14, SIZE = 15, LOGIN = 19 };

static size_t put_double(char *out, const char *digits)
{
	double number = (double)strtoul(digits, NULL, 10); /* a newline follows */
	memcpy(out, &number, sizeof(number));
	return sizeof(number);
}

static size_t put_hash(char *out, const char *text, size_t len, uint64_t seed)
{
	uint64_t hash = len == 0 ? 0 : digest(text, len, seed);
	memcpy(out, &hash, sizeof(hash));
	return sizeof(hash);
}

static size_t put_hex(char *out, const char *text, size_t len, uint64_t seed)
{
	uint64_t hash = digest(text, len, seed);
	for (int i = 0; i < 16; i++)
		out[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
	return 16;
}

static size_t put_text(char *out, const char *text, size_t len)
{
	memcpy(out, text, len);
	return len;
}

static size_t put_piece(char *out, const struct piece *piece, const struct values *values)
{
	const char *at;
	switch (piece->kind) {
	case 'L':
		return put_text(out, values->at[LOGIN], values->len[LOGIN]);
	case 'C':
		return put_text(out, values->at[CLIENT], values->len[CLIENT]);
	case 'D':
		at = memchr(values->at[SENDER], '@', values->len[SENDER]);
		return at == NULL ? 0 : put_text(out, at + 1, values->len[SENDER] - (size_t)(at + 1 - values->at[SENDER]));
	case 'X':
		put_hex(out, values->at[INSTANCE], values->len[INSTANCE], 2);
		return 16 + put_hex(out + 16, values->at[INSTANCE], values->len[INSTANCE], 3);
	case 'R':
		return put_hash(out, values->at[RECIPIENT], values->len[RECIPIENT], 1);
	case 'N':
		return put_double(out, values->at[COUNT]);
	case 'S':
		return put_double(out, values->at[SIZE]);
	default:
		return put_text(out, piece->text, piece->len);
	}
}

static void fill(int index, const struct argument *argument, const struct values *values)
{
	char *out = redis.filled[index];
	size_t len = 0;
	if (argument->count == 1 && argument->pieces[0].kind == '\0') {
		redis.argv[index] = argument->pieces[0].text;
		redis.len[index] = argument->pieces[0].len;
		return;
	}
	for (int i = 0; i < argument->count; i++)
		len += put_piece(out + len, &argument->pieces[i], values);
	redis.argv[index] = out;
	redis.len[index] = len;
}

static void on_redis(redisAsyncContext *link, void *from, void *arg)
{
	const redisReply *answer = from;
	(void)link;
	/* Numbers: it is done. A word: it is not. */
	if (answer == NULL || answer->type != REDIS_REPLY_STRING) {
		fprintf(stderr, "redis: %s\n",
			answer == NULL                      ? "gone"
			: answer->type == REDIS_REPLY_ARRAY ? answer->element[0]->str
							    : answer->str);
		exit(EXIT_FAILURE);
	}
	peer_answer(arg);
}

static void ask_redis(struct peer *peer, const struct values *values)
{
	const char state = values->at[STATE][0];
	const struct command *command = &redis.commands[state == 'R' ? 0 : state == 'D' ? 1 : 2];
	for (int i = 0; i < command->count; i++)
		fill(i, &command->arguments[i], values);
	redisAsyncCommandArgv(redis.link, on_redis, peer, command->count, redis.argv, redis.len);
}

static int hex_value(char digit)
{
	return digit <= '9' ? digit - '0' : digit - 'a' + 10;
}

/* Of a line without its end. */
static bool read_argument(struct argument *argument, const char *line)
{
	char *out = argument->memory;
	struct piece *text = NULL;
	for (; *line != '\0'; line++) {
		if (argument->count == MAX_PIECES)
			return false;
		if (*line == '@') {
			argument->pieces[argument->count++].kind = *++line;
			text = NULL;
			continue;
		}
		if (text == NULL) {
			text = &argument->pieces[argument->count++];
			text->text = out;
		}
		if (*line == '%') {
			*out++ = (char)(hex_value(line[1]) * 16 + hex_value(line[2]));
			line += 2;
		} else {
			*out++ = *line;
		}
		text->len++;
	}
	return true;
}

static bool read_template(FILE *file)
{
	char line[3 * ARGUMENT_BYTES];
	int number = 0;
	while (number < COMMANDS && fgets(line, sizeof(line), file) != NULL) {
		struct command *command = &redis.commands[number];
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '\0')
			number++;
		else if (strlen(line) >= ARGUMENT_BYTES || command->count == MAX_ARGUMENTS ||
			 !read_argument(&command->arguments[command->count++], line))
			return false;
	}
	return number == COMMANDS;
}

static bool open_redis(uv_loop_t *loop, const char *path, const char *port)
{
	FILE *file = fopen(path, "r");
	bool whole = file != NULL && read_template(file);
	if (file != NULL)
		fclose(file);
	if (!whole)
		return false;
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

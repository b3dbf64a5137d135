/* SPDX-License-Identifier: ISC */
/*
 * The measure for reeved: a policy server on libuv that only looks for the empty line and answers
 * DUNNO with uv_try_write. With --parse it also splits the request into its attributes and finds
 * each name in a table. What reeved costs more than this is what its rules cost.
 *
 * usage: responder [--parse] inet:HOST:PORT | unix:/path. Prints READY when it listens; SIGTERM
 * ends it. It trusts its peer, and counts on there being one request under way as with Postfix,
 * so it is fit for the benchmark only.
 */
#include <stdbool.h>
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
	parse_requests = argc == 3 && strcmp(argv[1], "--parse") == 0;
	if (argc != 2 && !parse_requests) {
		fprintf(stderr, "usage: responder [--parse] inet:HOST:PORT | unix:/path\n");
		return 64;
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

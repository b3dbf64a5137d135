/* SPDX-License-Identifier: ISC */
/*
 * What it means when the daemon cannot be reached or says no. Every failure says what to do next.
 */
#include "daemon/ctl/client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "daemon/ctl/show.h"
#include "daemon/ctl/where.h"

#define TIMEOUT_S 60
#define CONNECT_TIMEOUT_S 5

struct client {
	int fd;
	const char *path;
	struct buf in;
	size_t used; /* of `in`, by lines that were handed out */
};

static void tell_errors(const struct config_errors *errors)
{
	const char *line;
	bool is_warning;

	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)) != NULL; i++)
		if (!is_warning)
			fprintf(stderr, "%s\n", line);
}

/* Nobody is there. That a daemon runs elsewhere is likely where the file is not the one that it began with. */
static int explain_nobody(const struct ctl *ctl, const struct where *where)
{
	if (!where->errors)
		return ctl_fail(EX_UNAVAILABLE,
			"reeved is not running: nobody listens at %s\n"
			"  start it (systemctl start reeved); or say where it listens (--socket PATH or -c FILE),"
			" if 'control' was changed since it started",
			where->path);
	tell_errors(where->errors);
	return ctl_fail(EX_CONFIG,
		"%s is broken, and nobody listens at %s, %s\n"
		"  mend it first; a reeved that runs has kept the configuration it has, and can be asked with --socket PATH",
		ctl->file, where->path,
		where->guessed ? "which it would be by default" : "which it names");
}

static int explain_connect(const struct ctl *ctl, const struct where *where, int error)
{
	const char *path = where->path;

	if (error == ENOENT || error == ECONNREFUSED)
		return explain_nobody(ctl, where);
	if (error == EACCES || error == EPERM)
		return ctl_fail(EX_NOPERM,
			"no permission for %s\n"
			"  run it as root, or as a member of the daemon's group (reeve)",
			path);
	if (error == EAGAIN)
		return ctl_fail(
			EX_TEMPFAIL, "%s: reeved does not take connections now\n  try again", path);
	return ctl_fail(EX_UNAVAILABLE, "%s: %s", path, strerror(error));
}

/* false: *ret_exit is set, and why was told. */
static bool connect_to(
	struct ctl *ctl, const struct where *where, struct client *client, int *ret_exit)
{
	const struct timeval short_timeout = {.tv_sec = CONNECT_TIMEOUT_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(where->path) >= sizeof(address.sun_path)) {
		*ret_exit = ctl_fail(EX_USAGE, "%s: longer than %zu bytes", where->path,
			sizeof(address.sun_path) - 1);
		return false;
	}
	memcpy(address.sun_path, where->path, strlen(where->path) + 1);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* connect() waits where the backlog is full: of a daemon that hangs, for ever. */
	if (client->fd >= 0)
		setsockopt(
			client->fd, SOL_SOCKET, SO_SNDTIMEO, &short_timeout, sizeof(short_timeout));
	if (client->fd >= 0 &&
		connect(client->fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return true;
	*ret_exit = explain_connect(ctl, where, errno);
	if (client->fd >= 0)
		close(client->fd);
	return false;
}

static bool open_client(struct ctl *ctl, struct client *client, int *ret_exit)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	struct where where;
	bool good;

	where_find(ctl, &where);
	*client = (struct client){.path = where.path};
	good = connect_to(ctl, &where, client, ret_exit);
	if (good && where.guessed)
		fprintf(stderr,
			"reevectl: %s cannot be read, so reeved is asked at %s"
			" (--socket PATH names another)\n",
			ctl->file, where.path);
	where_release(&where);
	if (!good)
		return false;
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	buf_init(&client->in, CTL_ANSWER_BYTES + 1);
	return true;
}

static void close_client(struct client *client)
{
	close(client->fd);
	buf_release(&client->in);
}

static bool send_all(struct client *client, struct slice bytes)
{
	while (bytes.len) {
		ssize_t sent = send(client->fd, bytes.data, bytes.len, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		bytes = slice_from(bytes, (size_t)sent);
	}
	return true;
}

/* The next line, without its LF. 1: there is one, 0: the end, -1: no answer in time or an error
 * (errno). */
static int read_line(struct client *client, struct slice *ret_line)
{
	size_t scanned = client->used;

	for (;;) {
		struct slice rest = slice_from(buf_slice(&client->in), scanned);
		const char *end = rest.len ? memchr(rest.data, '\n', rest.len) : NULL;
		char piece[16384];
		ssize_t got;

		if (end) {
			size_t stop = (size_t)(end - client->in.data);

			*ret_line = slice_make(client->in.data + client->used, stop - client->used);
			client->used = stop + 1;
			return 1;
		}
		if (client->used) {
			buf_consume(&client->in, client->used);
			client->used = 0;
		}
		scanned = client->in.len;
		got = recv(client->fd, piece, sizeof(piece), 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 && errno != ECONNRESET ? -1 : 0;
		buf_add(&client->in, slice_make(piece, (size_t)got));
		if (client->in.overflow) {
			errno = EMSGSIZE;
			return -1;
		}
	}
}

/* The whole of what the daemon said no with. */
static int told_no(struct ctl *ctl, const struct json_value *value)
{
	const char *error = show_member(ctl, value, "error");
	const char *advice = show_member(ctl, value, "advice");
	int code = (int)(json_get_u64(value, "exit") & 0xff);

	if (*advice)
		return ctl_fail(code ? code : EX_SOFTWARE, "%s\n  %s", error, advice);
	return ctl_fail(code ? code : EX_SOFTWARE, "%s", error);
}

static const struct json_value *read_value(
	struct ctl *ctl, struct client *client, struct slice *ret_line, int *ret_exit)
{
	const struct json_value *value;
	const char *why = NULL;
	int got = read_line(client, ret_line);

	if (got < 0) {
		*ret_exit = ctl_fail(EX_TEMPFAIL, "no answer from reeved in %d s (%s)", TIMEOUT_S,
			strerror(errno));
		return NULL;
	}
	if (got == 0) {
		*ret_exit = ctl_fail(EX_TEMPFAIL,
			"reeved closed the connection without an answer\n"
			"  too many reevectl at once, or it is stopping: try again");
		return NULL;
	}
	value = json_parse(*ret_line, &ctl->arena, &why);
	if (!value)
		*ret_exit = ctl_fail(EX_PROTOCOL,
			"not an answer of reeved: %s\n"
			"  is %s its control socket?",
			why, client->path);
	return value;
}

static const struct json_value *ask(struct ctl *ctl, struct client *client,
	const struct buf *request, struct slice *ret_line, int *ret_exit)
{
	const struct json_value *value;

	/* A daemon that is full closes before it has read: then its silence is what is told. */
	(void)!send_all(client, buf_slice(request));
	value = read_value(ctl, client, ret_line, ret_exit);
	if (!value)
		return NULL;
	if (json_get_bool(value, "ok"))
		return value;
	if (ctl->json)
		fprintf(ctl->out, "%.*s\n", SLICE_ARG(*ret_line));
	*ret_exit = told_no(ctl, value);
	return NULL;
}

const struct json_value *client_ask(struct ctl *ctl, const struct buf *request, int *ret_exit)
{
	const struct json_value *value;
	struct client client;
	struct slice line;

	if (!open_client(ctl, &client, ret_exit))
		return NULL;
	value = ask(ctl, &client, request, &line, ret_exit);
	if (value) {
		/* The tree points into the line, which goes with the client. */
		struct slice copy = arena_dup(&ctl->arena, line);
		const char *why;

		value = json_parse(copy, &ctl->arena, &why);
		if (ctl->json)
			fprintf(ctl->out, "%.*s\n", SLICE_ARG(copy));
	}
	close_client(&client);
	return value;
}

const struct json_value *client_ask_plain(struct ctl *ctl, const char *command, int *ret_exit)
{
	const struct json_value *value;
	char memory[128];
	struct buf request;

	buf_init_fixed(&request, memory, sizeof(memory));
	ctl_request_begin(&request, command);
	ctl_request_end(&request);
	value = client_ask(ctl, &request, ret_exit);
	return value;
}

int client_stream(struct ctl *ctl, const struct buf *request,
	bool (*each)(void *arg, const struct json_value *value, struct slice line), void *arg)
{
	static const struct timeval forever = {0};
	struct client client;
	struct slice line;
	int code = EX_OK, got;
	bool more;

	if (!open_client(ctl, &client, &code))
		return code;
	if (!ask(ctl, &client, request, &line, &code)) {
		close_client(&client);
		return code;
	}
	setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
	while ((got = read_line(&client, &line)) > 0) {
		const char *why;
		const struct json_value *value;

		struct arena arena;

		arena_init(&arena, 16384);
		value = json_parse(line, &arena, &why);
		more = value && each(arg, value, line);
		arena_release(&arena);
		if (!more)
			break;
	}
	if (got == 0)
		code = ctl_fail(EX_TEMPFAIL, "reeved closed the stream\n"
					     "  it stopped, or this terminal was too slow for it");
	close_client(&client);
	return code;
}

void client_warn_unkept(const struct ctl *ctl, const struct json_value *answer)
{
	if (!ctl->json && json_get(answer, "kept") && !json_get_bool(answer, "kept"))
		fprintf(stderr,
			"reevectl: it holds, but is not on the disk yet and would not outlive the "
			"daemon: see `reevectl status`\n");
}

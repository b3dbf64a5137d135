/* SPDX-License-Identifier: ISC */
/*
 * Opening listeners, and accepting while there is room. libuv has no pause for a listener:
 * not calling uv_accept is the pause, and calling it later takes the held descriptor and
 * resumes. A stale unix socket of ours is removed, anything else at its path is not.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "daemon/server/connection.h"
#include "daemon/server/unix_path.h"

#define BACKLOG 511
#define WHY_BYTES 512

static bool is_full(const struct server *server)
{
	return server->connections >= server->max_connections;
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct listener *listener = stream->data;
	struct server *server = listener->server;

	if (status < 0 || server->draining)
		return;
	if (!is_full(server)) {
		connection_accept(listener);
		return;
	}
	listener->pending = true;
	if (!server->health.full) {
		server->health.full = true;
		log_event(server->log, LOG_LEVEL_WARNING, "connections_full", "advice",
			  SLICE("raise max_connections"));
	}
}

void listener_resume(struct server *server)
{
	for (size_t i = 0; i < server->listener_count && !server->draining; i++) {
		struct listener *listener = &server->listeners[i];

		if (is_full(server))
			return;
		if (!listener->pending)
			continue;
		listener->pending = false;
		connection_accept(listener);
	}
	if (server->health.full && !is_full(server)) {
		server->health.full = false;
		log_event(server->log, LOG_LEVEL_NOTICE, "connections_free", NULL, SLICE_EMPTY);
	}
}

static bool set_owner(const struct config_listener *config, const char *path,
		      char ret_why[static WHY_BYTES])
{
	char *owner = mem_dup(config->owner), *group = mem_dup(config->group);
	const struct passwd *user = *owner ? getpwnam(owner) : NULL;
	const struct group *members = *group ? getgrnam(group) : NULL;
	bool fine = true;

	if (*owner && !user) {
		snprintf(ret_why, WHY_BYTES, "unix:%s: no user '%s'", path, owner);
		fine = false;
	} else if (*group && !members) {
		snprintf(ret_why, WHY_BYTES, "unix:%s: no group '%s'", path, group);
		fine = false;
	} else if ((user || members) &&
		   lchown(path, user ? user->pw_uid : (uid_t)-1,
			  members ? members->gr_gid : (gid_t)-1) != 0) {
		snprintf(ret_why, WHY_BYTES, "unix:%s: cannot give it to %s:%s: %s%s", path, owner,
			 group, strerror(errno),
			 errno == EPERM ? "; the user that runs reeved must be a member of the group, "
					  "another owner takes root"
					: "");
		fine = false;
	}
	free(owner);
	free(group);
	return fine;
}

static bool open_unix(struct listener *listener, uv_loop_t *uv, char ret_why[static WHY_BYTES])
{
	char *path = mem_dup(listener->config->address.path);
	bool fine;

	uv_pipe_init(uv, &listener->uv.pipe, 0);
	listener->open = true;
	/* Nobody may connect before mode and owner are as they should be. */
	fine = unix_path_bind(&listener->uv.pipe, path, ret_why);
	fine = fine && set_owner(listener->config, path, ret_why);
	if (fine && chmod(path, listener->config->mode) != 0) {
		snprintf(ret_why, WHY_BYTES, "unix:%s: chmod: %s", path, strerror(errno));
		fine = false;
	}
	free(path);
	return fine;
}

/* The usual three with what to do about them. */
static void say_inet(const struct config_address *config, int status, char ret_why[static WHY_BYTES])
{
	const char *remedy = "";
	char text[IP_TEXT_BYTES];

	if (status == UV_EADDRINUSE)
		remedy = "; `ss -ltnp` says by whom";
	else if (status == UV_EADDRNOTAVAIL)
		remedy = "; `ip address` shows those of this host";
	else if (status == UV_EACCES)
		remedy = "; ports below 1024 take CAP_NET_BIND_SERVICE";
	ip_format(&config->ip, text);
	snprintf(ret_why, WHY_BYTES, "inet:%s:%u: %s%s", text, config->port, uv_strerror(status), remedy);
}

static bool open_inet(struct listener *listener, uv_loop_t *uv, char ret_why[static WHY_BYTES])
{
	const struct config_address *config = &listener->config->address;
	char text[IP_TEXT_BYTES];
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	int status;

	ip_format(&config->ip, text);
	uv_tcp_init(uv, &listener->uv.tcp);
	listener->open = true;
	if (ip_is_v4(&config->ip)) {
		uv_ip4_addr(text, config->port, &v4);
		status = uv_tcp_bind(&listener->uv.tcp, (struct sockaddr *)&v4, 0);
	} else {
		uv_ip6_addr(text, config->port, &v6);
		status = uv_tcp_bind(&listener->uv.tcp, (struct sockaddr *)&v6, UV_TCP_IPV6ONLY);
	}
	if (status == 0)
		return true;
	say_inet(config, status, ret_why);
	return false;
}

static bool open_one(struct listener *listener, char ret_why[static WHY_BYTES])
{
	uv_loop_t *uv = loop_uv(listener->server->loop);
	bool fine = listener->config->address.is_unix ? open_unix(listener, uv, ret_why)
						      : open_inet(listener, uv, ret_why);
	int status;

	listener->uv.handle.data = listener;
	if (!fine)
		return false;
	/* libuv reports EADDRINUSE of an inet socket only here. */
	status = uv_listen(&listener->uv.stream, BACKLOG, on_connection);
	if (status == 0)
		return true;
	if (listener->config->address.is_unix)
		snprintf(ret_why, WHY_BYTES, "unix:%.*s: %s",
			 SLICE_ARG(listener->config->address.path), uv_strerror(status));
	else
		say_inet(&listener->config->address, status, ret_why);
	return false;
}

bool server_listen(struct server *server, const struct config *config, char ret_why[static 512])
{
	server->listeners = mem_zalloc_array(config->listen_count + 1, sizeof(*server->listeners));
	server_configure(server, config);
	server->max_connections = config->max_connections;
	for (size_t i = 0; i < config->listen_count; i++) {
		struct listener *listener = &server->listeners[server->listener_count++];

		listener->server = server;
		listener->config = &config->listen[i];
		if (!open_one(listener, ret_why))
			return false;
	}
	return true;
}

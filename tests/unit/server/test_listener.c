/* SPDX-License-Identifier: ISC */
/*
 * Opening listeners: what stands in the way, what is left alone, modes and owners, and who may
 * connect.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/server/fixture.h"

#define DUNNO "action=DUNNO\n\n"
#define GOOD request_text("host.example", "a@good.example")

TestSuite(listener, .fini = server_stop, .timeout = 60);

static void serves_unix(void)
{
	struct client *client = client_unix();

	client_text(client, GOOD);
	read_text(client, DUNNO);
	client_free(&client);
}

static void serves_inet(void)
{
	struct client *client = client_inet();

	client_text(client, GOOD);
	read_text(client, DUNNO);
	client_free(&client);
}

static void refuses(const char *listen, const char *why)
{
	cr_assert(!server_start(listen, NULL));
	cr_assert(strstr(parts.why, why), "'%s' lacks '%s'", parts.why, why);
}

/* A socket at the path; the descriptor, which does not listen yet. */
static int bind_at_path(int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	server_prepare();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", parts.socket_path);
	cr_assert(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

Test(listener, unix_and_inet_together)
{
	cr_assert(server_start("[\"unix:%D/sock\", \"inet:127.0.0.1:%P\"]", NULL), "%s", parts.why);
	serves_unix();
	serves_inet();
}

Test(listener, a_stale_socket_is_removed)
{
	close(bind_at_path(SOCK_STREAM));
	cr_assert(server_start(NULL, NULL), "%s", parts.why);
	serves_unix();
}

Test(listener, a_socket_somebody_listens_at_is_left_alone)
{
	int fd = bind_at_path(SOCK_STREAM);

	cr_assert(listen(fd, 5) == 0);
	refuses(NULL, "/sock: in use by another process");
	cr_assert(access(parts.socket_path, F_OK) == 0);
	server_close(parts.server);
	turns();
	cr_assert(access(parts.socket_path, F_OK) == 0, "also when this server closes");
	close(fd);
}

Test(listener, a_socket_of_another_kind_is_left_alone)
{
	int fd = bind_at_path(SOCK_DGRAM);

	refuses(NULL, "/sock: in use by another process");
	cr_assert(access(parts.socket_path, F_OK) == 0);
	close(fd);
}

Test(listener, what_is_no_socket_is_left_alone)
{
	int fd;

	server_prepare();
	fd = open(parts.socket_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert(write(fd, "precious", 8) == 8);
	close(fd);
	refuses(NULL, "/sock: there is something that is no socket");
	cr_assert(access(parts.socket_path, F_OK) == 0);
}

Test(listener, a_symbolic_link_is_not_followed)
{
	char other[128];

	close(bind_at_path(SOCK_STREAM));
	snprintf(other, sizeof(other), "%s/other", parts.folder);
	cr_assert(rename(parts.socket_path, other) == 0);
	cr_assert(symlink(other, parts.socket_path) == 0);
	refuses(NULL, "there is something that is no socket");
	cr_assert(unlink(other) == 0);
}

Test(listener, a_folder_that_is_missing)
{
	refuses("\"unix:%D/missing/sock\"", "/missing/sock: its folder does not exist; make it, for the user that runs reeved");
}

Test(listener, modes)
{
	struct stat status;

	cr_assert(server_start("[{address: \"unix:%D/sock\", mode: \"0606\"}]", NULL), "%s", parts.why);
	cr_assert(stat(parts.socket_path, &status) == 0);
	cr_assert((status.st_mode & 07777) == 0606);
	serves_unix();
}

Test(listener, the_default_mode_is_for_owner_and_group)
{
	struct stat status;

	umask(0);
	cr_assert(server_start(NULL, NULL), "%s", parts.why);
	cr_assert(stat(parts.socket_path, &status) == 0);
	cr_assert((status.st_mode & 07777) == 0660);
	cr_assert(umask(0) == 0, "the process's mask is as it was");
}

Test(listener, an_owner_who_does_not_exist)
{
	refuses("[{address: \"unix:%D/sock\", owner: no-such-user-here}]",
		"/sock: no user 'no-such-user-here'");
	server_close(parts.server);
	turns();
	cr_assert(access(parts.socket_path, F_OK) != 0, "nothing is left over");
}

Test(listener, a_group_who_does_not_exist)
{
	refuses("[{address: \"unix:%D/sock\", group: no-such-group-here}]",
		"/sock: no group 'no-such-group-here'");
}

Test(listener, an_owner)
{
	struct stat status;

	if (geteuid() != 0) {
		cr_assert(server_start(NULL, NULL), "%s", parts.why);
		return;
	}
	cr_assert(server_start("[{address: \"unix:%D/sock\", owner: nobody, group: daemon}]", NULL), "%s",
		  parts.why);
	cr_assert(stat(parts.socket_path, &status) == 0);
	cr_assert(status.st_uid == 65534 && status.st_gid == 1);
}

Test(listener, a_port_in_use)
{
	struct server *second;
	char why[128];

	cr_assert(server_start("[\"inet:127.0.0.1:%P\"]", NULL), "%s", parts.why);
	second = server_new(parts.loop, parts.pipeline, &parts.log);
	snprintf(why, sizeof(why), "inet:127.0.0.1:%u: address already in use; `ss -ltnp` says by whom", parts.port);
	cr_assert(!server_listen(second, parts.config, parts.why));
	cr_assert(strcmp(parts.why, why) == 0, "%s", parts.why);
	server_close(second);
	turns();
	server_free(&second);
	serves_inet();
}

Test(listener, peers_that_are_allowed)
{
	cr_assert(server_start("[{address: \"inet:127.0.0.1:%P\", allow: [192.0.2.0/24, 127.0.0.0/8]}]", NULL),
		  "%s", parts.why);
	serves_inet();
	cr_assert(health().refused == 0);
}

Test(listener, peers_that_are_not)
{
	struct client *client;

	cr_assert(server_start("[{address: \"inet:127.0.0.1:%P\", allow: [192.0.2.0/24]}]", NULL), "%s",
		  parts.why);
	client = client_inet();
	client_text(client, GOOD);
	read_end(client, "");
	turn_until(health().connections == 0);
	cr_assert(health().refused == 1);
	cr_assert(strstr(parts.log_text, "warning event=peer_not_allowed why=\"not in allow\" "
					 "sample=127.0.0.1\n"),
		  "%s", parts.log_text);
	client_free(&client);
}

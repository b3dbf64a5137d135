/* SPDX-License-Identifier: ISC */
/*
 * Notices to the supervisor: where they go, and that nothing happens where there is none.
 */
#include "daemon/operate/systemd.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/reeve-notify-XXXXXX";
static int supervisor = -1;

/* `name` begins with / or, for an abstract address, with @. */
static void listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	memcpy(address.sun_path, name, len);
	if (*name == '@')
		address.sun_path[0] = '\0';
	supervisor = socket(AF_UNIX, SOCK_DGRAM, 0);
	cr_assert(supervisor >= 0);
	cr_assert(bind(supervisor, (struct sockaddr *)&address,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static const char *received(void)
{
	static char text[256];
	ssize_t got = recv(supervisor, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

/* Until the supervisor's queue takes no more. */
static void fill_queue(void)
{
	struct sockaddr_un address;
	socklen_t len = sizeof(address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	cr_assert(getsockname(supervisor, (struct sockaddr *)&address, &len) == 0);
	for (unsigned i = 0; i < 100000; i++)
		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&address, len) < 0)
			break;
	cr_assert(sendto(fd, "x", 1, 0, (struct sockaddr *)&address, len) < 0);
	close(fd);
}

Test(systemd, a_path)
{
	char path[64];

	cr_assert(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/notify", folder);
	listen_at(path);
	systemd_notify("READY=1");
	cr_assert(strcmp(received(), "READY=1") == 0);
	close(supervisor);
	systemd_notify("STOPPING=1"); /* nobody is there any more */
	unlink(path);
	systemd_notify("STOPPING=1");
	rmdir(folder);
}

Test(systemd, an_abstract_address)
{
	char name[64];

	snprintf(name, sizeof(name), "@reeve-test-%ld", (long)getpid());
	listen_at(name);
	systemd_notify_reloading();
	cr_assert(strncmp(received(), "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
	close(supervisor);
}

Test(systemd, a_supervisor_that_hangs, .timeout = 60)
{
	char name[64];
	unsigned kept = 0;

	snprintf(name, sizeof(name), "@reeve-hangs-%ld", (long)getpid());
	listen_at(name);
	fill_queue();
	systemd_notify("READY=1");
	while (*received())
		kept++;
	cr_assert(kept > 0);
	systemd_notify("READY=1");
	cr_assert(strcmp(received(), "READY=1") == 0);
	close(supervisor);
}

Test(systemd, none)
{
	unsetenv("NOTIFY_SOCKET");
	systemd_notify("READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	systemd_notify("READY=1");
	setenv("NOTIFY_SOCKET", "", 1);
	systemd_notify("READY=1");
}

/* SPDX-License-Identifier: ISC */
/*
 * First labels: nx, nodata, servfail, refused, formerr, notimp, silent, empty (an empty datagram,
 * then the answer), emptyonly, wrongid, wrongname, wrongtype, garbage, cut; second (answers when
 * asked again); tc (cut by UDP, whole by TCP), tcdead (TCP is closed), tchang (TCP is silent).
 * Anything else is answered well, by type.
 */
#include "tests/unit/dns/server.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/dns/message.h"

struct question {
	unsigned type, id;
	char name[256];
	bool tcp, again;
};

static bool read_question(const uint8_t *bytes, size_t len, struct question *ret)
{
	size_t at = 12, to = 0;

	memset(ret, 0, sizeof(*ret));
	if (len < 17)
		return false;
	ret->id = (unsigned)(bytes[0] << 8 | bytes[1]);
	while (at < len && bytes[at]) {
		size_t label = bytes[at];

		if (at + 1 + label + 4 >= len)
			return false;
		if (to)
			ret->name[to++] = '.';
		for (size_t i = 1; i <= label; i++)
			ret->name[to++] = (char)tolower(bytes[at + i]);
		at += label + 1;
	}
	ret->type = (unsigned)(bytes[at + 1] << 8 | bytes[at + 2]);
	return true;
}

static bool begins(const struct question *question, const char *label)
{
	size_t len = strlen(label);

	return strncmp(question->name, label, len) == 0 && question->name[len] == '.';
}

static void put_answer(struct message *m, const struct question *question)
{
	static const uint8_t ip[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };

	message_start(m, question->name, question->type, 0);
	if (question->type == TYPE_A) {
		for (unsigned i = 0; i < (question->tcp ? 100 : 1); i++)
			message_a(m, question->name, 120, 192, 0, 2, i + 1);
	} else if (question->type == TYPE_AAAA) {
		message_begin_rr(m, MESSAGE_ANSWER, question->name, TYPE_AAAA, 60);
		message_bytes(m, ip, sizeof(ip));
		message_end_rr(m);
	} else if (question->type == TYPE_MX) {
		message_target(m, question->name, TYPE_CNAME, 30, "alias.test");
		message_mx(m, "alias.test", 90, 10, "Mx.Example.ORG");
	} else {
		message_target(m, question->name, TYPE_PTR, 200, "host.example.org");
	}
}

static void put_negative(
	struct message *m, const struct question *question, unsigned rcode, uint32_t soa_s)
{
	message_start(m, question->name, question->type, rcode);
	if (soa_s)
		message_soa(m, "test", soa_s, soa_s);
}

static void put_garbage(struct message *m)
{
	m->len = 0;
	for (unsigned i = 0; i < 200; i++)
		message_u8(m, (7 * i + 13) & 0xff);
}

/* false: say nothing. */
static bool put_misdeed(struct message *m, const struct question *question)
{
	put_answer(m, question);
	if (begins(question, "wrongname")) {
		message_start(m, "other.test", question->type, 3);
	} else if (begins(question, "wrongtype")) {
		message_start(m, question->name, TYPE_NS, 3);
	} else if (begins(question, "garbage")) {
		put_garbage(m);
	} else if (begins(question, "cut")) {
		m->len -= 3;
	} else if (begins(question, "tc") || begins(question, "tcdead") ||
		   begins(question, "tchang")) {
		if (!question->tcp) {
			message_start(m, question->name, question->type, 0);
			m->bytes[2] |= 0x02;
		}
	} else if (begins(question, "second")) {
		return question->again;
	}
	return !begins(question, "silent") && !begins(question, "emptyonly");
}

static bool put_reply(struct message *m, const struct question *question)
{
	if (begins(question, "nx"))
		put_negative(m, question, 3, 77);
	else if (begins(question, "nodata"))
		put_negative(m, question, 0, 33);
	else if (begins(question, "servfail"))
		put_negative(m, question, 2, 0);
	else if (begins(question, "refused"))
		put_negative(m, question, 5, 0);
	else if (begins(question, "formerr"))
		put_negative(m, question, 1, 0);
	else if (begins(question, "notimp"))
		put_negative(m, question, 4, 0);
	else if (!put_misdeed(m, question))
		return false;
	m->bytes[0] = (uint8_t)(question->id >> 8 ^ (begins(question, "wrongid") ? 0xff : 0));
	m->bytes[1] = (uint8_t)question->id;
	return true;
}

static unsigned port_of(const struct sockaddr_storage *from)
{
	return ntohs(((const struct sockaddr_in *)(const void *)from)->sin_port);
}

static void serve_udp(struct server *server, struct message *m)
{
	static char last[256];
	uint8_t bytes[1024];
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	struct sockaddr *to = (struct sockaddr *)(void *)&from;
	struct question question;
	ssize_t got = recvfrom(server->udp, bytes, sizeof(bytes), 0, to, &from_len);

	if (got < 0 || !read_question(bytes, (size_t)got, &question))
		return;
	server->udp_questions++;
	server->source_ports += !server->seen[port_of(&from)];
	server->seen[port_of(&from)] = 1;
	question.again = strcmp(last, question.name) == 0;
	memcpy(last, question.name, sizeof(last));
	if (begins(&question, "empty") || begins(&question, "emptyonly"))
		(void)sendto(server->udp, bytes, 0, 0, to, from_len);
	if (put_reply(m, &question))
		(void)sendto(server->udp, m->bytes, m->len, 0, to, from_len);
}

static bool read_all(int fd, uint8_t *to, size_t len)
{
	while (len) {
		ssize_t got = read(fd, to, len);

		if (got <= 0)
			return false;
		to += got;
		len -= (size_t)got;
	}
	return true;
}

static void serve_tcp(struct server *server, struct message *m)
{
	uint8_t bytes[1024], length[2];
	struct question question;
	int fd = accept(server->tcp, NULL, NULL);

	if (fd < 0)
		return;
	while (read_all(fd, length, 2)) {
		size_t len = (size_t)(length[0] << 8 | length[1]);

		if (len > sizeof(bytes) || !read_all(fd, bytes, len) ||
		    !read_question(bytes, len, &question))
			break;
		server->tcp_questions++;
		question.tcp = true;
		if (begins(&question, "tcdead"))
			break;
		if (begins(&question, "tchang"))
			continue;      /* until the client goes */
		put_reply(m, &question);
		length[0] = (uint8_t)(m->len >> 8);
		length[1] = (uint8_t)m->len;
		if (write(fd, length, 2) != 2 || write(fd, m->bytes, m->len) != (ssize_t)m->len)
			break;
	}
	close(fd);
}

static void *serve(void *arg)
{
	struct server *server = arg;
	struct message *m = malloc(sizeof(*m));
	struct pollfd fds[] = { { server->udp, POLLIN, 0 }, { server->tcp, POLLIN, 0 },
				{ server->stop[0], POLLIN, 0 } };

	while (poll(fds, 3, -1) > 0 && !fds[2].revents) {
		if (fds[0].revents)
			serve_udp(server, m);
		if (fds[1].revents)
			serve_tcp(server, m);
	}
	free(m);
	return NULL;
}

static socklen_t make_address(struct sockaddr_storage *to, const char *text, unsigned port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)to;

	memset(to, 0, sizeof(*to));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1 ? sizeof(*v6) : 0;
}

/* The same port for both. */
static bool bind_both(struct server *server, const char *address, unsigned port)
{
	struct sockaddr_storage storage;
	struct sockaddr *at = (struct sockaddr *)(void *)&storage;
	socklen_t len = make_address(&storage, address, port);

	server->udp = socket(storage.ss_family, SOCK_DGRAM, 0);
	server->tcp = socket(storage.ss_family, SOCK_STREAM, 0);
	if (bind(server->udp, at, len) == 0 && getsockname(server->udp, at, &len) == 0 &&
	    bind(server->tcp, at, len) == 0 && listen(server->tcp, 16) == 0) {
		server->port = port_of(&storage);
		return true;
	}
	close(server->udp);
	close(server->tcp);
	return false;
}

bool server_start(struct server *server, const char *address, unsigned port)
{
	pthread_t thread;
	bool bound = false;

	memset(server, 0, sizeof(*server));
	for (unsigned i = 0; i < 100 && !bound; i++)
		bound = bind_both(server, address, port);
	if (!bound)
		return false;
	if (pipe(server->stop) != 0 || pthread_create(&thread, NULL, serve, server) != 0)
		abort();
	server->thread = thread;
	return true;
}

void server_stop(struct server *server)
{
	if (!server->thread)
		return;
	close(server->stop[1]);
	pthread_join(server->thread, NULL);
	close(server->stop[0]);
	close(server->udp);
	close(server->tcp);
	server->thread = 0;
}

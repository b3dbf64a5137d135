/* SPDX-License-Identifier: ISC */
/*
 * A name server for the benchmark: every name exists. MX is 10 mail.<name>, A is 192.0.2.1, PTR is
 * mail.example.net, other types have no records. Answers live for an hour.
 *
 * usage: dnsstub PORT, on 127.0.0.1 over UDP. Prints READY when it listens; a signal ends it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_BYTES 12
#define PACKET_BYTES 512

enum { TYPE_A = 1, TYPE_PTR = 12, TYPE_MX = 15 };

struct packet {
	uint8_t bytes[PACKET_BYTES];
	size_t len;
};

static void put16(struct packet *p, unsigned value)
{
	p->bytes[p->len++] = (uint8_t)(value >> 8);
	p->bytes[p->len++] = (uint8_t)(value & 0xff);
}

static void put(struct packet *p, const void *bytes, size_t len)
{
	memcpy(p->bytes + p->len, bytes, len);
	p->len += len;
}

/* The length of the question section's one entry; 0 if it is not well formed. */
static size_t question_bytes(const struct packet *p)
{
	size_t at = HEADER_BYTES;
	while (at < p->len && p->bytes[at] != 0 && p->bytes[at] < 64)
		at += p->bytes[at] + 1u;
	if (at + 5 > p->len || p->bytes[at] != 0)
		return 0;
	return at + 5 - HEADER_BYTES;
}

static void put_answer(struct packet *p, unsigned type)
{
	static const uint8_t ttl[] = {0, 0, 0x0e, 0x10};
	static const uint8_t address[] = {192, 0, 2, 1};
	static const char ptr[] = "\4mail\7example\3net";
	static const uint8_t mx[] = {0, 10, 4, 'm', 'a', 'i', 'l', 0xc0, HEADER_BYTES};
	put16(p, 0xc000 | HEADER_BYTES);
	put16(p, type);
	put16(p, 1);
	put(p, ttl, sizeof(ttl));
	switch (type) {
	case TYPE_A:
		put16(p, sizeof(address));
		put(p, address, sizeof(address));
		break;
	case TYPE_PTR:
		put16(p, sizeof(ptr));
		put(p, ptr, sizeof(ptr));
		break;
	default:
		put16(p, sizeof(mx));
		put(p, mx, sizeof(mx));
		break;
	}
}

/* Turns a query into its answer, in place; false: not a query to answer. */
static bool answer(struct packet *p)
{
	size_t question = p->len > HEADER_BYTES ? question_bytes(p) : 0;
	if (question == 0 || HEADER_BYTES + question + 64 > PACKET_BYTES)
		return false;
	unsigned type = (unsigned)p->bytes[HEADER_BYTES + question - 4] << 8 |
		p->bytes[HEADER_BYTES + question - 3];
	bool found = type == TYPE_A || type == TYPE_PTR || type == TYPE_MX;
	p->bytes[2] = 0x85;
	p->bytes[3] = 0x80;
	p->len = 4;
	put16(p, 1);
	put16(p, found ? 1 : 0);
	put16(p, 0);
	put16(p, 0);
	p->len = HEADER_BYTES + question;
	if (found)
		put_answer(p, type);
	return true;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: dnsstub PORT\n");
		return 64;
	}
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
		perror("dnsstub");
		return EXIT_FAILURE;
	}
	puts("READY");
	fflush(stdout);
	for (;;) {
		struct packet p;
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, p.bytes, sizeof(p.bytes), 0, (struct sockaddr *)&from,
			&from_len);
		if (n <= 0)
			continue;
		p.len = (size_t)n;
		if (answer(&p))
			(void)sendto(fd, p.bytes, p.len, 0, (const struct sockaddr *)&from,
				from_len);
	}
}

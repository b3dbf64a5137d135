/* SPDX-License-Identifier: ISC */
/*
 * A DNS server on loopback, UDP and TCP, in a thread of its own. The first label of a name
 * says what it does with a question; see server.c.
 */
#ifndef REEVE_TESTS_UNIT_DNS_SERVER_H
#define REEVE_TESTS_UNIT_DNS_SERVER_H

#include <stdbool.h>

#define SERVER_PORTS 4096

struct server {
	/* private */
	int udp, tcp, stop[2];
	unsigned long thread;
	/* readable after server_stop() */
	unsigned udp_questions, tcp_questions;
	unsigned source_ports;         /* different ones seen, by UDP */
	unsigned char seen[65536];
	/* readable at once */
	unsigned port;
};

/* `address` is "127.0.0.1", "::1" or the like, `port` 0 for any. false: cannot be had here. */
bool server_start(struct server *server, const char *address, unsigned port)
	__attribute__((warn_unused_result));
void server_stop(struct server *server);

#endif

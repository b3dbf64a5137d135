/* SPDX-License-Identifier: ISC */
/*
 * c-ares (1.18 to 1.34) as the backend, on the daemon's loop. Follows resolv.conf when `servers`
 * is empty. Truncated answers are asked again over TCP. The only file that knows <ares.h>.
 *
 * Source ports: the socket goes after each burst of questions, and after a thousand questions in
 * any case, so that who would forge an answer has to guess the port anew as well as the id.
 */
#ifndef REEVE_DAEMON_DNS_DNS_ARES_H
#define REEVE_DAEMON_DNS_DNS_ARES_H

#include "config/schema.h"
#include "daemon/dns/dns.h"

struct uv_loop_s;
struct dns_ares;

struct dns_ares_options {
	struct config_strings servers;   /* "ip", "ip:port" or "[ip]:port"; count 0: the system's */
	uint64_t timeout_ms, tries; /* of the first try; each further one waits twice as long */
	const char *resolv_conf;         /* NULL: /etc/resolv.conf */
};

/* NULL: c-ares would not start; `ret_why` is its text (static). */
struct dns_ares *dns_ares_new(struct uv_loop_s *loop, const struct dns_ares_options *options,
			      const char **ret_why) __attribute__((warn_unused_result));
struct dns_backend *dns_ares_backend(struct dns_ares *ares);
/* Stops: the flights that are out end UNKNOWN, here and now, in this call. The memory goes when
 * libuv has closed its handles (run the loop until then). Not from a callback of libuv's poll
 * handles. */
void dns_ares_close(struct dns_ares **ares);

#endif

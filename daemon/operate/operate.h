/* SPDX-License-Identifier: ISC */
/*
 * What daemon.c hands to the control socket and the metrics: the services to look at, and the few
 * things only it can do.
 */
#ifndef REEVE_DAEMON_OPERATE_OPERATE_H
#define REEVE_DAEMON_OPERATE_OPERATE_H

#include "daemon/engine/pipeline.h"
#include "daemon/loop/loop.h"
#include "daemon/operate/loads.h"
#include "daemon/operate/log.h"
#include "daemon/server/server.h"

#ifndef REEVE_VERSION
#define REEVE_VERSION "0.1.0"
#endif

/* How Postfix's log is followed. The texts live until the next turn of the loop. */
struct operate_maillog {
	const char *source; /* as configured; "off" */
	bool followed;
	const char *why; /* it is not, though it should be; may be "" */
	uint64_t lines, connections, logins;
};

struct operate {
	struct loop *loop;
	struct log *log;
	struct store *store;
	struct dns *dns;
	struct bans *bans;
	struct pipeline *pipeline;
	struct server *server;
	const struct loads *loads;
	const char *file; /* of the configuration */
	struct clock_now started;
	/* Begins a reload, or one more after the one that runs; returns its number, which comes back
	 * in control_reloaded(). 0: the daemon is stopping. */
	uint64_t (*reload)(void *host);
	void (*maillog)(void *host, struct operate_maillog *ret);
	void *host;
};

#endif

/* SPDX-License-Identifier: ISC */
/*
 * The probe that asks the real Postfix and the real file system.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_PROBE_REAL_H
#define REEVE_DAEMON_CTL_POSTFIX_PROBE_REAL_H

#include "daemon/ctl/postfix/probe.h"

struct probe_real {
	const char *config_dir; /* NULL: Postfix's own */
	struct ip *own;
};

/* Reads the addresses of this host's interfaces. Release with probe_real_release(). */
void probe_real_init(struct probe_real *real, const char *config_dir, struct probe *ret_probe);
void probe_real_release(struct probe_real *real);

#endif

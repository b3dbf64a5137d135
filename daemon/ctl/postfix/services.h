/* SPDX-License-Identifier: ISC */
/*
 * The services of master.cf that run smtpd(8), and what each is for.
 */
#ifndef REEVE_DAEMON_CTL_POSTFIX_SERVICES_H
#define REEVE_DAEMON_CTL_POSTFIX_SERVICES_H

#include "daemon/ctl/postfix/restrict.h"

enum service_kind {
	SERVICE_MX,             /* takes mail from anybody, perhaps from logins too */
	SERVICE_SUBMISSION,     /* takes mail from logins */
	SERVICE_REINJECTION     /* takes back what a content filter has looked at */
};

struct service {
	const struct model_service *at;
	enum service_kind kind;
	unsigned port;          /* 0: another name than those of mail, or a pass service */
	bool is_loopback;       /* listens on a loopback address only */
	bool has_auth;
};

struct services {
	struct service *items;
	size_t count;
};

void services_read(const struct model *model, const struct restrict_reeve *reeve, struct services *ret_services);
const char *service_kind_text(enum service_kind kind); /* "takes mail from outside" */
/* Does `name` (of postfix.hide_clients) mean this service? By its name, its id, the part behind the address, or its port. */
bool service_is_named(const struct service *service, struct slice name);

#endif

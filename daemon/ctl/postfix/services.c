/* SPDX-License-Identifier: ISC */
/*
 * What a service is for can only be guessed from how it is set up; the guesses follow Debian's template and the
 * recipes for content filters.
 */
#include "daemon/ctl/postfix/services.h"

#include "common/ip.h"
#include "common/units.h"

enum { PORT_SMTP = 25, PORT_SUBMISSIONS = 465, PORT_SUBMISSION = 587 };

static unsigned port_of(struct slice name)
{
	uint64_t number;

	if (slice_is(name, "smtp"))
		return PORT_SMTP;
	if (slice_is(name, "submission"))
		return PORT_SUBMISSION;
	if (slice_is(name, "submissions") || slice_is(name, "smtps"))
		return PORT_SUBMISSIONS;
	return units_parse_u64(name, &number) == NULL && number < 65536 ? (unsigned)number : 0;
}

/* "127.0.0.1:10025", "[::1]:10025", "submission". `*ret_host` is empty where there is none. */
static void split_name(struct slice name, struct slice *ret_host, struct slice *ret_port)
{
	*ret_host = SLICE_EMPTY;
	if (!slice_split_last(name, ':', ret_host, ret_port))
		*ret_port = name;
	if (ret_host->len > 2 && ret_host->data[0] == '[')
		*ret_host = slice_make(ret_host->data + 1, ret_host->len - 2);
}

static bool is_loopback(struct slice host)
{
	static const struct ip v6 = {{[15] = 1}};
	struct ip ip;

	if (slice_is(host, "localhost"))
		return true;
	return ip_parse(host, &ip) &&
	       (ip_equal(&ip, &v6) || (ip_is_v4(&ip) && ip.bytes[12] == 127));
}

static bool is_closed(const struct model *model, const struct model_service *at,
	const struct restrict_reeve *reeve, const char *permit)
{
	static const char *const lists[] = {"smtpd_client_restrictions", "smtpd_relay_restrictions",
		"smtpd_recipient_restrictions"};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct restrict_list list = {0};

		restrict_read(model, at, lists[i], reeve, &list);
		if (restrict_is_closed(&list) && restrict_has(&list, permit))
			return true;
	}
	return false;
}

static bool takes_back(const struct model *model, const struct model_service *at)
{
	struct slice options = model_value(model, at, "receive_override_options"), option;

	if (model_value(model, NULL, "content_filter").len &&
		model_origin(model, at, "content_filter") == MODEL_SERVICE &&
		model_value(model, at, "content_filter").len == 0)
		return true;
	if (model_origin(model, at, "receive_override_options") != MODEL_SERVICE)
		return false;
	while (text_item(&options, &option))
		if (slice_is(option, "no_unknown_recipient_checks") ||
			slice_is(option, "no_header_body_checks"))
			return true;
	return false;
}

static enum service_kind kind_of(const struct model *model, const struct restrict_reeve *reeve,
	const struct service *service)
{
	const struct model_service *at = service->at;

	if (slice_is(at->type, "pass") || service->port == PORT_SMTP)
		return SERVICE_MX;
	if (service->has_auth &&
		(service->port == PORT_SUBMISSION || service->port == PORT_SUBMISSIONS))
		return SERVICE_SUBMISSION;
	if (service->has_auth && is_closed(model, at, reeve, "permit_sasl_authenticated"))
		return SERVICE_SUBMISSION;
	if (takes_back(model, at))
		return SERVICE_REINJECTION;
	if (service->is_loopback && is_closed(model, at, reeve, "permit_mynetworks"))
		return SERVICE_REINJECTION;
	return SERVICE_MX;
}

void services_read(const struct model *model, const struct restrict_reeve *reeve,
	struct services *ret_services)
{
	struct services services = {0};

	services.items =
		arena_zalloc(model->arena, (model->service_count + 1) * sizeof(*services.items));
	for (size_t i = 0; i < model->service_count; i++) {
		struct service *service = &services.items[services.count];
		const struct model_service *at = &model->services[i];
		struct slice host, port;

		if (!slice_is(at->program, "smtpd"))
			continue;
		split_name(at->name, &host, &port);
		*service = (struct service){
			.at = at,
			.port = slice_is(at->type, "inet") ? port_of(port) : 0,
			.is_loopback = is_loopback(host),
			.has_auth = model_is_yes(model, at, "smtpd_sasl_auth_enable"),
		};
		service->kind = kind_of(model, reeve, service);
		services.count++;
	}
	*ret_services = services;
}

const char *service_kind_text(enum service_kind kind)
{
	switch (kind) {
	case SERVICE_MX:
		return "takes mail from outside";
	case SERVICE_SUBMISSION:
		return "takes mail from logins";
	case SERVICE_REINJECTION:
		return "takes mail back from a content filter";
	}
	return "";
}

bool service_is_named(const struct service *service, struct slice name)
{
	struct slice host, port, wanted_host, wanted_port;

	if (slice_equal(service->at->name, name) || slice_equal(service->at->id, name))
		return true;
	split_name(service->at->name, &host, &port);
	split_name(name, &wanted_host, &wanted_port);
	if (wanted_host.len)
		return slice_equal(host, wanted_host) && port_of(port) &&
		       port_of(port) == port_of(wanted_port);
	return slice_equal(port, name) || (port_of(port) && port_of(port) == port_of(name));
}

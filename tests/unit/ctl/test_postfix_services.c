/* SPDX-License-Identifier: ISC */
#include "daemon/ctl/postfix/services.h"

#include <criterion/criterion.h>

#include "tests/unit/ctl/recorded.h"

#define AUTH "/smtpd_sasl_auth_enable = yes\n"
#define ONLY_LOGINS "/smtpd_recipient_restrictions = permit_sasl_authenticated, reject\n"
#define ONLY_OURS "/smtpd_relay_restrictions = permit_mynetworks,reject\n"

static const struct {
	const char *line, *options;
	enum service_kind kind;
	unsigned port;
} cases[] = {
	{"smtp inet n - y - - smtpd", "", SERVICE_MX, 25},
	{"smtp inet n - y - - smtpd", "smtp/inet" AUTH, SERVICE_MX, 25},
	{"127.0.0.1:25 inet n - y - - smtpd", "127.0.0.1:25/inet" ONLY_OURS, SERVICE_MX, 25},
	{"smtpd pass - - y - - smtpd", "", SERVICE_MX, 0},
	{"587 inet n - y - - smtpd", "587/inet" AUTH, SERVICE_SUBMISSION, 587},
	{"[::1]:submission inet n - y - - smtpd", "[::1]:submission/inet" AUTH, SERVICE_SUBMISSION,
		587},
	{"smtps inet n - y - - smtpd", "smtps/inet" AUTH, SERVICE_SUBMISSION, 465},
	{"2525 inet n - y - - smtpd", "2525/inet" AUTH "2525/inet" ONLY_LOGINS, SERVICE_SUBMISSION,
		2525},
	{"2525 inet n - y - - smtpd", "2525/inet" AUTH, SERVICE_MX, 2525},
	{"127.0.0.1:10025 inet n - y - - smtpd", "127.0.0.1:10025/inet" ONLY_OURS,
		SERVICE_REINJECTION, 10025},
	{"127.0.0.1:10025 inet n - y - - smtpd", "", SERVICE_MX, 10025},
	{"10.0.0.5:10025 inet n - y - - smtpd", "10.0.0.5:10025/inet" ONLY_OURS, SERVICE_MX, 10025},
	{"10.0.0.5:10025 inet n - y - - smtpd", "10.0.0.5:10025/inet/content_filter =\n",
		SERVICE_REINJECTION, 10025},
	{"10025 inet n - y - - smtpd",
		"10025/inet/receive_override_options = no_milters, no_unknown_recipient_checks\n",
		SERVICE_REINJECTION, 10025},
	{"10025 inet n - y - - smtpd",
		"10025/inet/receive_override_options = no_address_mappings\n", SERVICE_MX, 10025},
};

Test(services, kinds)
{
	struct text_list none = {0};
	struct restrict_reeve reeve = {&none};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model_texts texts = recorded_37;
		struct services services;
		struct arena arena;
		struct model *model;

		arena_init(&arena, 1024);
		texts.services = text_format(
			&arena, "pickup unix n - y 60 1 pickup\n%s -o x=y\n", cases[i].line);
		texts.overrides = slice_of(cases[i].options);
		texts.settings = SLICE("content_filter = scan:[127.0.0.1]:10024\n");
		model = model_new(&arena, &texts);
		services_read(model, &reeve, &services);
		cr_assert_eq(services.count, 1, "%s", cases[i].line);
		cr_expect_eq(services.items[0].kind, cases[i].kind, "%s %s", cases[i].line,
			cases[i].options);
		cr_expect_eq(services.items[0].port, cases[i].port, "%s", cases[i].line);
		model_free(&model);
		arena_release(&arena);
	}
}

Test(services, names)
{
	static const struct {
		const char *service, *name;
		bool is;
	} names[] = {
		{"submission", "submission", true},
		{"submission", "587", true},
		{"587", "submission", true},
		{"192.0.2.1:submission", "submission", true},
		{"submission", "submission/inet", true},
		{"submission", "submissions", false},
		{"smtps", "submissions", true},
		{"submission", "192.0.2.1:587", false},
		{"192.0.2.1:587", "192.0.2.1:submission", true},
		{"[::1]:2525", "2525", true},
		{"smtp", "imaginary", false},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct arena arena;
		struct model_service at = {
			.name = slice_of(names[i].service), .type = SLICE("inet")};
		struct service service = {.at = &at};

		arena_init(&arena, 256);
		at.id = text_format(&arena, "%s/inet", names[i].service);
		cr_expect_eq(service_is_named(&service, slice_of(names[i].name)), names[i].is,
			"%s %s", names[i].service, names[i].name);
		arena_release(&arena);
	}
}

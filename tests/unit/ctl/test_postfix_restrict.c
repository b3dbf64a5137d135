/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include "tests/unit/ctl/recorded.h"

static struct arena arena;
static struct model *model;
static struct text_list sockets;
static struct restrict_reeve reeve = {&sockets};

static void read_list(const char *list, struct restrict_list *ret)
{
	struct model_texts texts = recorded_37;

	texts.settings = text_format(&arena,
		"reeve = check_policy_service { inet:127.0.0.1:10045, timeout=10s, { default_action = DUNNO } }\n"
		"mua = $reeve, permit_sasl_authenticated, reject\n"
		"smtpd_restriction_classes = known, round\nknown = $reeve, permit\nround = round\n"
		"smtpd_recipient_restrictions = %s\n",
		list);
	model_free(&model);
	model = model_new(&arena, &texts);
	restrict_read(model, NULL, "smtpd_recipient_restrictions", &reeve, ret);
}

static void open_lists(void)
{
	arena_init(&arena, 4096);
	sockets = (struct text_list){0};
	text_add(&arena, &sockets, SLICE("inet:127.0.0.1:10045"));
}

static void close_lists(void)
{
	model_free(&model);
	arena_release(&arena);
}

TestSuite(restrict, .init = open_lists, .fini = close_lists);

Test(restrict, reach)
{
	static const struct {
		const char *list;
		enum restrict_reach reach;
		const char *before;
	} cases[] = {
		{"", RESTRICT_NOT_ASKED, NULL},
		{"permit_mynetworks, reject_unauth_destination", RESTRICT_NOT_ASKED, NULL},
		{"$reeve", RESTRICT_ASKED, NULL},
		{"$mua", RESTRICT_ASKED, NULL},
		{"reject_unauth_destination reject_unlisted_recipient $reeve permit",
			RESTRICT_ASKED, NULL},
		{"reject_rbl_client permit, $reeve", RESTRICT_ASKED,
			NULL}, /* `permit` is a zone here */
		{"warn_if_reject reject, $reeve", RESTRICT_ASKED, NULL},
		{"sleep 1, $reeve", RESTRICT_ASKED, NULL},
		{"permit_mynetworks, $reeve", RESTRICT_BEHIND, "permit_mynetworks"},
		{"permit_sasl_authenticated,PERMIT_MYNETWORKS,$reeve", RESTRICT_BEHIND,
			"permit_sasl_authenticated"},
		{"check_client_access hash:/x, $reeve", RESTRICT_BEHIND, "check_client_access"},
		{"hash:/x, $reeve", RESTRICT_BEHIND, "hash:/x"},
		{"check_policy_service inet:127.0.0.1:10023, $reeve", RESTRICT_BEHIND,
			"inet:127.0.0.1:10023"},
		{"permit_mynetworks, reject, $reeve", RESTRICT_NEVER, "reject"},
		{"permit, $reeve", RESTRICT_NEVER, "permit"},
		{"known", RESTRICT_ASKED, NULL},
		{"permit_mynetworks known", RESTRICT_BEHIND, "permit_mynetworks"},
		{"round, $reeve", RESTRICT_ASKED, NULL},
		{"check_policy_service inet:127.0.0.1:10045", RESTRICT_ASKED, NULL},
		{"check_policy_service", RESTRICT_NOT_ASKED, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct restriction *before;
		struct restrict_list list;

		read_list(cases[i].list, &list);
		cr_expect_eq(restrict_reach(&list, &before), cases[i].reach, "%s", cases[i].list);
		if (cases[i].before)
			cr_expect(
				before && slice_equal_fold(before->word, slice_of(cases[i].before)),
				"%s", cases[i].list);
		else
			cr_expect_null(before, "%s", cases[i].list);
	}
}

Test(restrict, guard)
{
	static const struct {
		const char *list;
		enum restrict_guard guard;
	} cases[] = {
		{"", RESTRICT_OPEN},
		{"permit_mynetworks, reject_unauth_destination", RESTRICT_GUARDED},
		{"permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination",
			RESTRICT_GUARDED},
		{"$mua", RESTRICT_GUARDED},
		{"$reeve, reject_unauth_destination", RESTRICT_GUARDED},
		{"check_client_access hash:/x, reject_unauth_destination", RESTRICT_GUARDED},
		{"check_sender_access hash:/x, reject_unauth_destination", RESTRICT_MAYBE_OPEN},
		{"check_policy_service unix:private/other, reject_unauth_destination",
			RESTRICT_MAYBE_OPEN},
		{"permit, reject_unauth_destination", RESTRICT_OPEN},
		{"warn_if_reject reject_unauth_destination", RESTRICT_OPEN},
		{"permit_mynetworks", RESTRICT_OPEN},
		{"known, reject", RESTRICT_OPEN},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct restriction *before;
		struct restrict_list list;

		read_list(cases[i].list, &list);
		cr_expect_eq(restrict_guard(&list, &before), cases[i].guard, "%s", cases[i].list);
	}
}

Test(restrict, what_a_call_is_told)
{
	const struct restriction *call;
	struct restrict_list list;

	read_list(
		"check_policy_service { inet:127.0.0.1:10045, timeout=3s, try_limit=1, smtpd_policy_service_policy_context=a b, "
		"{ default_action = 451 4.3.0 later } }",
		&list);
	call = restrict_call_of(&list);
	cr_assert(call && call->call.is_reeve);
	cr_assert(slice_is(call->call.timeout, "3s"));
	cr_assert(slice_is(call->call.try_limit, "1"));
	cr_assert(slice_is(call->call.default_action, "451 4.3.0 later"));
	read_list("check_policy_service inet:127.0.0.1:10046", &list);
	cr_assert_null(restrict_call_of(&list));
	cr_assert_not(list.items[0].call.is_reeve);
}

Test(restrict, putting_reeve_in_front)
{
	static const char *const cases[][2] = {
		{"", "$reeve"},
		{"permit_mynetworks, reject", "$reeve, permit_mynetworks, reject"},
		{"permit_mynetworks, $reeve, reject", "$reeve, permit_mynetworks, reject"},
		{"permit_mynetworks check_policy_service inet:127.0.0.1:10045 reject",
			"$reeve, permit_mynetworks, reject"},
		{"$mua", "$reeve, $mua"},
		{"check_sender_access hash:/x, warn_if_reject reject_unknown_sender_domain",
			"$reeve, check_sender_access hash:/x, warn_if_reject reject_unknown_sender_domain"},
		{"check_policy_service { unix:other, timeout=3s }",
			"$reeve, check_policy_service { unix:other, timeout=3s }"},
	};
	struct text_list front = {0}, nothing = {0};
	struct restrict_list list;

	text_add(&arena, &front, SLICE("$reeve"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice got;

		read_list(cases[i][0], &list);
		got = restrict_with_reeve(
			model, NULL, "smtpd_recipient_restrictions", &reeve, &front);
		cr_expect(slice_is(got, cases[i][1]), "%s: %.*s", cases[i][0], SLICE_ARG(got));
	}
	read_list("$reeve, permit_mynetworks, reject", &list);
	cr_assert(slice_is(
		restrict_with_reeve(model, NULL, "smtpd_recipient_restrictions", &reeve, &nothing),
		"permit_mynetworks, reject"));
}

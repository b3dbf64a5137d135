/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>

#include "tests/unit/ctl/recorded.h"

static struct arena arena;
static struct model *model;

static void open_model(void)
{
	arena_init(&arena, 4096);
	model = model_new(&arena, &recorded_37);
}

static void close_model(void)
{
	model_free(&model);
	arena_release(&arena);
}

TestSuite(model, .init = open_model, .fini = close_model);

static void is(struct slice got, const char *wanted)
{
	cr_assert(slice_is(got, wanted), "'%.*s', not '%s'", SLICE_ARG(got), wanted);
}

Test(model, version_services_and_origins)
{
	const struct model_service *submission = model_find(model, SLICE("submission/inet"));

	cr_assert_eq(model->version, MODEL_VERSION(3, 7));
	cr_assert(submission && submission->chroot);
	is(submission->program, "smtpd");
	is(submission->columns, "n - y - -");
	cr_assert_not(model_find(model, SLICE("qmgr/unix"))->chroot);
	cr_assert_eq(model_origin(model, submission, "smtpd_sasl_auth_enable"), MODEL_SERVICE);
	cr_assert_eq(model_origin(model, submission, "smtpd_banner"), MODEL_MAIN);
	cr_assert_eq(model_origin(model, NULL, "smtpd_sasl_auth_enable"), MODEL_DEFAULT);
	cr_assert_eq(model_origin(model, NULL, "no_such_thing"), MODEL_ABSENT);
	cr_assert(model_is_yes(model, submission, "smtpd_sasl_auth_enable"));
	cr_assert_not(model_is_yes(model, NULL, "smtpd_sasl_auth_enable"));
	cr_assert(model_has_map_type(model, "pcre"));
	cr_assert_not(model_has_map_type(model, "mysql"));
}

Test(model, newer_versions_compare_as_numbers)
{
	struct model *newer = model_new(&arena, &recorded_310);

	cr_assert_geq(newer->version, MODEL_VERSION(3, 10));
	cr_assert_lt(model->version, MODEL_VERSION(3, 10));
	model_free(&newer);
}

Test(model, expansion)
{
	static const char *const cases[][2] = {
		{"$myhostname ESMTP", "mx.example.com ESMTP"},
		{"${myhostname}x", "mx.example.comx"},
		{"$(mydomain)", "example.com"},
		{"a $$b $", "a $b $"},
		{"$nothing.", "."},
		{"${stress?{1}:{20}}", "20"},
		{"${myorigin?{1}:{20}}", "1"},
		{"${myorigin?yes}", "yes"},
		{"${nothing:no}", "no"},
		{"${myorigin:no}", ""},
		{"${{$compatibility_level} <level {3.6} ? {no} : {yes}}", "yes"},
		{"${{$compatibility_level} <level {3.10} ? {no} : {yes}}", "no"},
		{"${{$myorigin} == {example.com} ? {same} : {other}}", "same"},
		{"${{a} != {a} ? {other}}", ""},
		{"${{10} > {9} ? {number} : {text}}", "number"},
		{"$mydestination", "mx.example.com, localhost"},
		{"${unclosed", "${unclosed"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice got = model_expand(model, NULL, slice_of(cases[i][0]));

		cr_expect(slice_is(got, cases[i][1]), "%s: '%.*s', not '%s'", cases[i][0],
			SLICE_ARG(got), cases[i][1]);
	}
}

Test(model, services_override_what_a_name_means)
{
	struct model_texts texts = recorded_37;
	const struct model_service *submission;
	struct model *one;

	texts.settings = SLICE("reeve = { $reeve_action }\nreeve_action = DUNNO\n");
	texts.overrides = SLICE(
		"submission/inet/reeve_action = 451 4.3.0 later\nsubmission/inet/reeve_action = 450 last\n"
		"nobody/inet/reeve_action = x\n");
	one = model_new(&arena, &texts);
	submission = model_find(one, SLICE("submission/inet"));
	is(model_value(one, NULL, "reeve"), "{ DUNNO }");
	/* Of two -o the later counts. */
	is(model_value(one, submission, "reeve"), "{ 450 last }");
	model_free(&one);
}

Test(model, names_that_lead_to_themselves_end)
{
	struct model_texts texts = recorded_37;
	struct model *one;

	texts.settings = SLICE(
		"a = x$b\nb = y$a\n"
		"c0=$c1$c1$c1$c1$c1$c1$c1$c1\nc1=$c2$c2$c2$c2$c2$c2$c2$c2\nc2=$c3$c3$c3$c3$c3$c3$c3$c3\n"
		"c3=$c4$c4$c4$c4$c4$c4$c4$c4\nc4=$c5$c5$c5$c5$c5$c5$c5$c5\nc5=$c6$c6$c6$c6$c6$c6$c6$c6\n"
		"c6=$c7$c7$c7$c7$c7$c7$c7$c7\nc7=$c8$c8$c8$c8$c8$c8$c8$c8\nc8=\n");
	one = model_new(&arena, &texts);
	cr_assert_lt(model_value(one, NULL, "a").len, 100);
	is(model_value(one, NULL, "c0"), "");
	model_free(&one);
}

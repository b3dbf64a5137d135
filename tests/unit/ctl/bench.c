/* SPDX-License-Identifier: ISC */
/*
 * The bench for plans: a model out of texts, a configuration out of a line, a probe that says what it is told.
 */
#include <criterion/criterion.h>

#include "tests/unit/ctl/recorded.h"

static enum probe_answer look_up(void *context, struct arena *arena, struct slice map,
	struct slice key, struct slice *ret_value)
{
	const struct bench *bench = context;

	(void)arena;
	(void)map;
	(void)key;
	if (bench->answer.len == 0)
		return PROBE_NOT_FOUND;
	*ret_value = bench->answer;
	return PROBE_FOUND;
}

/* Finds all keys, or none. */
static bool look_up_all(void *context, struct arena *arena, struct slice map,
	const struct text_list *keys, struct text_list *ret_found)
{
	const struct bench *bench = context;

	(void)map;
	for (size_t i = 0; bench->answer.len && i < keys->count; i++)
		text_add(arena, ret_found, keys->items[i]);
	return true;
}

static bool list_keys(
	void *context, struct arena *arena, struct slice map, struct text_list *ret_keys)
{
	(void)context;
	(void)map;
	text_add(arena, ret_keys, SLICE("listed.example"));
	text_add(arena, ret_keys, SLICE("someone@listed.example"));
	text_add(arena, ret_keys, SLICE("@listed.example"));
	text_add(arena, ret_keys, SLICE("barename"));
	return true;
}

static bool read_lines(
	void *context, struct arena *arena, struct slice path, struct text_list *ret_lines)
{
	(void)context;
	if (slice_is(path, "/missing"))
		return false;
	text_add(arena, ret_lines, SLICE("filed.example and more"));
	return true;
}

static enum probe_access reach(void *context, struct arena *arena, struct slice path,
	struct slice user, struct slice *ret_where)
{
	const struct bench *bench = context;

	(void)arena;
	(void)path;
	cr_assert(slice_is(user, "postfix"));
	*ret_where = bench->where;
	return bench->access;
}

static struct config *config_of(const char *text)
{
	struct config_errors *errors = config_errors_new();
	const struct config_check *const *checks;
	size_t count = ruleset_checks(&checks);
	struct config *config =
		config_parse_closed("reeve.yaml", slice_of(text), checks, count, errors);
	bool is_warning;

	if (!config)
		cr_assert_fail("%s", config_errors_line(errors, 0, &is_warning));
	config_errors_free(&errors);
	return config;
}

void bench_open(struct bench *bench, const struct model_texts *texts, const char *reeve)
{
	*bench = (struct bench){.texts = *texts, .access = PROBE_REACHED};
	arena_init(&bench->arena, 4096);
	bench->config = config_of(reeve);
	bench->probe =
		(struct probe){bench, look_up, look_up_all, list_keys, read_lines, reach, NULL, 0};
}

void bench_main(struct bench *bench, const char *lines)
{
	bench->texts.settings =
		text_format(&bench->arena, "%.*s%s\n", SLICE_ARG(bench->texts.settings), lines);
}

void bench_service(struct bench *bench, const char *lines)
{
	bench->texts.overrides =
		text_format(&bench->arena, "%.*s%s\n", SLICE_ARG(bench->texts.overrides), lines);
}

void bench_plan(struct bench *bench)
{
	struct text_list domains = {0};

	model_free(&bench->model);
	bench->model = model_new(&bench->arena, &bench->texts);
	text_add(&bench->arena, &domains, SLICE("example.com"));
	want_read(&bench->arena, bench->config, SLICE("/var/spool/postfix"), &bench->want);
	plan_make(&bench->arena, bench->model, &bench->want, &bench->probe, &domains, &bench->plan);
}

void bench_close(struct bench *bench)
{
	model_free(&bench->model);
	config_unref(&bench->config);
	arena_release(&bench->arena);
}

const struct wish *bench_wish(const struct bench *bench, const char *service, const char *name)
{
	for (size_t i = 0; i < bench->plan.count; i++) {
		const struct wish *wish = &bench->plan.wishes[i];

		if (!slice_is(wish->name, name) ||
			wish->kind != (service ? PLAN_SERVICE : PLAN_MAIN))
			continue;
		if (!service || slice_is(wish->service, service))
			return wish;
	}
	return NULL;
}

const struct wish *bench_finding(const struct bench *bench, const char *id)
{
	for (size_t i = 0; i < bench->plan.count; i++)
		if (!bench->plan.wishes[i].met && strcmp(bench->plan.wishes[i].id, id) == 0)
			return &bench->plan.wishes[i];
	return NULL;
}

void bench_apply(struct bench *bench)
{
	for (size_t i = 0; i < bench->plan.count; i++) {
		const struct wish *wish = &bench->plan.wishes[i];
		struct arena *arena = &bench->arena;

		if (wish->met || wish->by_hand)
			continue;
		if (wish->kind == PLAN_MAIN)
			bench_main(bench, text_format(arena, "%.*s = %.*s", SLICE_ARG(wish->name),
						  SLICE_ARG(wish->value))
						  .data);
		else if (wish->kind == PLAN_SERVICE)
			bench_service(bench,
				text_format(arena, "%.*s/%.*s = %.*s", SLICE_ARG(wish->service),
					SLICE_ARG(wish->name), SLICE_ARG(wish->value))
					.data);
		else if (wish->kind == PLAN_MASTER)
			bench->texts.services = text_format(arena, "%.*s%.*s\n",
				SLICE_ARG(bench->texts.services), SLICE_ARG(wish->value));
	}
	bench_plan(bench);
}

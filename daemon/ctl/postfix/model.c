/* SPDX-License-Identifier: ISC */
/*
 * The model of a Postfix configuration, read from what postconf prints. Expansion is in expand.c.
 */
#include "daemon/ctl/postfix/model.h"

#include "common/units.h"

#define FIRST_ROOM 8
#define MAX_SERVICES 2000
#define COLUMNS 5 /* private, unpriv, chroot, wakeup, maxproc */

static void read_settings(struct arena *arena, struct strmap *map, struct slice text)
{
	struct slice line, name, value;

	while (text_line(&text, &line)) {
		struct slice *kept;

		if (!text_setting(line, &name, &value))
			continue;
		kept = arena_alloc(arena, sizeof(*kept));
		*kept = arena_dup(arena, value);
		strmap_set(map, name, kept);
	}
}

/* "mail_version = 3.7.11", or "3.12-20260821". */
static void read_version(struct model *model, struct slice text)
{
	struct slice line = SLICE_EMPTY, name, value, major, rest;
	uint64_t numbers[2] = {0};
	size_t len = 0;

	(void)text_line(&text, &line);
	if (!text_setting(line, &name, &value))
		value = slice_trim(line);
	model->version_text = arena_dup(model->arena, value);
	if (!slice_split(value, '.', &major, &rest))
		return;
	while (len < rest.len && rest.data[len] >= '0' && rest.data[len] <= '9')
		len++;
	if (units_parse_u64(major, &numbers[0]) ||
		units_parse_u64(slice_first(rest, len), &numbers[1]) || numbers[0] > 99 ||
		numbers[1] > 999)
		return;
	model->version = MODEL_VERSION((unsigned)numbers[0], (unsigned)numbers[1]);
}

static struct slice base_name(struct slice path)
{
	struct slice folder, name;

	return slice_split_last(path, '/', &folder, &name) ? name : path;
}

/* "submission inet  n  -  y  -  -  smtpd -o a=b ..." */
static bool read_service(struct arena *arena, struct slice line, struct model_service *ret)
{
	struct slice word, columns[COLUMNS];
	struct slice name, type;

	if (!text_item(&line, &name) || !text_item(&line, &type))
		return false;
	for (size_t i = 0; i < COLUMNS; i++)
		if (!text_item(&line, &columns[i]))
			return false;
	if (!text_item(&line, &word))
		return false;
	*ret = (struct model_service){
		.id = text_format(arena, "%.*s/%.*s", SLICE_ARG(name), SLICE_ARG(type)),
		.name = arena_dup(arena, name),
		.type = arena_dup(arena, type),
		.columns = text_format(arena, "%.*s %.*s %.*s %.*s %.*s", SLICE_ARG(columns[0]),
			SLICE_ARG(columns[1]), SLICE_ARG(columns[2]), SLICE_ARG(columns[3]),
			SLICE_ARG(columns[4])),
		.chroot = slice_is(columns[2], "y"),
		.program = arena_dup(arena, base_name(word)),
	};
	return true;
}

static void read_services(struct model *model, struct slice text)
{
	struct slice rest = text, line;
	size_t lines = 0;

	while (text_line(&rest, &line))
		lines++;
	model->services = arena_zalloc(model->arena, (lines + 1) * sizeof(*model->services));
	while (model->service_count < MAX_SERVICES && text_line(&text, &line))
		if (read_service(model->arena, line, &model->services[model->service_count]))
			model->service_count++;
}

static void add_override(
	struct model *model, struct model_service *service, struct slice name, struct slice value)
{
	if (service->setting_count == service->setting_room) {
		size_t room = service->setting_room ? service->setting_room * 2 : FIRST_ROOM;
		struct model_setting *settings =
			arena_alloc(model->arena, room * sizeof(*settings));

		if (service->setting_count)
			memcpy(settings, service->settings,
				service->setting_count * sizeof(*settings));
		service->settings = settings;
		service->setting_room = room;
	}
	service->settings[service->setting_count++] = (struct model_setting){
		arena_dup(model->arena, name), arena_dup(model->arena, value)};
}

/* "127.0.0.1:10025/inet/mynetworks = 127.0.0.0/8": the name of a unix service may hold slashes. */
static void read_overrides(struct model *model, struct slice text)
{
	struct slice line, path, value, id, name;

	while (text_line(&text, &line)) {
		if (!text_setting(line, &path, &value) || !slice_split_last(path, '/', &id, &name))
			continue;
		for (size_t i = 0; i < model->service_count; i++)
			if (slice_equal(model->services[i].id, id))
				add_override(model, &model->services[i], name, value);
	}
}

struct model *model_new(struct arena *arena, const struct model_texts *texts)
{
	struct model *model = arena_zalloc(arena, sizeof(*model));
	struct slice types = texts->map_types, line;

	model->arena = arena;
	model->settings = strmap_new();
	model->defaults = strmap_new();
	read_version(model, texts->version);
	read_settings(arena, model->settings, texts->settings);
	read_settings(arena, model->defaults, texts->defaults);
	read_services(model, texts->services);
	read_overrides(model, texts->overrides);
	while (text_line(&types, &line))
		text_add(arena, &model->map_types, arena_dup(arena, slice_trim(line)));
	return model;
}

void model_free(struct model **model)
{
	if (!*model)
		return;
	strmap_free(&(*model)->settings);
	strmap_free(&(*model)->defaults);
	*model = NULL;
}

static const struct slice *find_override(const struct model_service *service, struct slice name)
{
	/* Of two -o with one name the later counts. */
	for (size_t i = service ? service->setting_count : 0; i > 0; i--)
		if (slice_equal(service->settings[i - 1].name, name))
			return &service->settings[i - 1].value;
	return NULL;
}

static enum model_origin look_up(const struct model *model, const struct model_service *service,
	struct slice name, struct slice *ret_value)
{
	const struct slice *value = find_override(service, name);
	enum model_origin origin = MODEL_SERVICE;

	if (!value) {
		value = strmap_get(model->settings, name);
		origin = MODEL_MAIN;
	}
	if (!value) {
		value = strmap_get(model->defaults, name);
		origin = MODEL_DEFAULT;
	}
	*ret_value = value ? *value : SLICE_EMPTY;
	return value ? origin : MODEL_ABSENT;
}

struct slice model_raw_slice(
	const struct model *model, const struct model_service *service, struct slice name)
{
	struct slice value;

	(void)look_up(model, service, name, &value);
	return value;
}

struct slice model_raw(
	const struct model *model, const struct model_service *service, const char *name)
{
	return model_raw_slice(model, service, slice_of(name));
}

enum model_origin model_origin(
	const struct model *model, const struct model_service *service, const char *name)
{
	struct slice value;

	return look_up(model, service, slice_of(name), &value);
}

struct slice model_value(
	const struct model *model, const struct model_service *service, const char *name)
{
	return model_expand(model, service, model_raw(model, service, name));
}

bool model_is_yes(const struct model *model, const struct model_service *service, const char *name)
{
	return slice_equal_fold(model_value(model, service, name), SLICE("yes"));
}

bool model_number(const struct model *model, const struct model_service *service, const char *name,
	uint64_t *ret_number)
{
	return units_parse_u64(model_value(model, service, name), ret_number) == NULL;
}

const struct model_service *model_find(const struct model *model, struct slice id)
{
	for (size_t i = 0; i < model->service_count; i++)
		if (slice_equal(model->services[i].id, id))
			return &model->services[i];
	return NULL;
}

bool model_has_map_type(const struct model *model, const char *type)
{
	return text_holds(&model->map_types, slice_of(type));
}

/* SPDX-License-Identifier: ISC */
/*
 * Puts the configuration together: the single keys and the order of the
 * sections stand here, each section is read in a file of its own. `lists` comes
 * first, for all others may use it; what needs several sections is checked last.
 */
#include "config/config.h"

#include "common/alloc.h"
#include "config/config_parts.h"

#define FIRST_BLOCK_BYTES (16 * 1024)
#define SECOND_MS UINT64_C(1000)
#define DAY_MS (24 * 3600 * SECOND_MS)
#define LOOK_RESERVE_MS 200 /* design: looking rules end at deadline - store.timeout - 200 ms */

struct sections {
	const struct config_node *listen, *control, *metrics, *store, *dns, *site, *lists, *rules,
		*bans, *postfix, *notify, *log;
	uint64_t version;
};

static const char *const mode_words[] = {"enforce", "monitor", NULL};
static const char *const settle_words[] = {"auto", "data", "none", NULL};

#define IN_CONFIG(field) offsetof(struct config, field)

static const struct config_key single_keys[] = {
	{"mode", CONFIG_TYPE_WORD, IN_CONFIG(mode), "enforce", 0, 0, mode_words, 0},
	{"max_connections", CONFIG_TYPE_U64, IN_CONFIG(max_connections), "4096", 1, 1000000, NULL,
		CONFIG_RESTART},
	{"request_timeout", CONFIG_TYPE_DURATION, IN_CONFIG(request_timeout_ms), "10s", 100,
		3600 * SECOND_MS, NULL, 0},
	{"idle_timeout", CONFIG_TYPE_DURATION, IN_CONFIG(idle_timeout_ms), "1h", 1000 * SECOND_MS,
		30 * DAY_MS, NULL, 0},
	{"deadline", CONFIG_TYPE_DURATION, IN_CONFIG(deadline_ms), "3s", 100, 60 * SECOND_MS, NULL,
		0},
	{"settle", CONFIG_TYPE_WORD, IN_CONFIG(settle), "auto", 0, 0, settle_words, 0},
};

#define SECTION(key)                                                                             \
	{                                                                                        \
		.name = #key, .type = CONFIG_TYPE_NODE, .offset = offsetof(struct sections, key) \
	}

static const struct config_key section_keys[] = {
	{.name = "version",
		.type = CONFIG_TYPE_U64,
		.offset = offsetof(struct sections, version),
		.fallback = "1",
		.min = 1,
		.max = 1},
	SECTION(listen),
	SECTION(control),
	SECTION(metrics),
	SECTION(store),
	SECTION(dns),
	SECTION(site),
	SECTION(lists),
	SECTION(rules),
	SECTION(bans),
	SECTION(postfix),
	SECTION(notify),
	SECTION(log),
};

static void check_times(struct config_errors *errors, const struct config *config)
{
	if (config->deadline_ms <= config->store.timeout_ms + LOOK_RESERVE_MS)
		config_warning(errors, config->store.url_pos,
			"'deadline' leaves rules no time to look: it should be more than 'store.timeout' "
			"and %d ms",
			LOOK_RESERVE_MS);
}

static void read_all(struct config_reader *reader, const struct config_node *root,
	const struct config_check *const *checks, size_t check_count, struct config *config)
{
	struct sections sections = {0};
	size_t errors_before = config_errors_count(reader->errors);

	config_read_map2(reader, root, "the configuration", CONFIG_KEYS(single_keys), config,
		CONFIG_KEYS(section_keys), &sections);
	config_read_lists(reader, sections.lists);
	config_read_listen(reader, sections.listen, config);
	config_read_endpoints(reader, sections.control, sections.metrics, config);
	config_read_store(reader, sections.store, &config->store);
	config_read_dns(reader, sections.dns, &config->dns);
	config_read_site(reader, sections.site, &config->site);
	config_read_bans(reader, sections.bans, &config->bans);
	config_read_postfix(reader, sections.postfix, &config->postfix);
	config_read_notify(reader, sections.notify, &config->notify);
	config_read_log(reader, sections.log, &config->log);
	config_read_rules(reader, sections.rules, checks, check_count, config);
	config_check_lists(reader);
	if (config_errors_count(reader->errors) == errors_before) {
		check_times(reader->errors, config);
		config_warn_idle_rules(reader->errors, config);
	}
}

static struct config *config_new(void)
{
	struct config *config = mem_zalloc(sizeof(*config));

	arena_init(&config->arena, FIRST_BLOCK_BYTES);
	list_init(&config->owned_sets);
	config->references = 1;
	return config;
}

/* `root` NULL: it could not be read, and errors says why. Takes over `config`. */
static struct config *finish(struct config *config, const struct config_node *root, bool no_files,
	const struct config_check *const *checks, size_t check_count, struct config_errors *errors,
	size_t errors_before)
{
	struct config_reader reader = {
		.arena = &config->arena,
		.errors = errors,
		.no_files = no_files,
		.owned_sets = &config->owned_sets,
	};

	if (root && root->kind == CONFIG_MAP) {
		read_all(&reader, root, checks, check_count, config);
		config->broken = config_errors_count(errors) != errors_before;
		return config;
	}
	if (root)
		config_error(errors, root->pos,
			"a configuration is a map of keys, like 'mode: enforce', not a %s",
			root->kind == CONFIG_LIST ? "list" : "text");
	config_unref(&config);
	return NULL;
}

static struct config *without_broken(struct config *config)
{
	if (config && config->broken)
		config_unref(&config);
	return config;
}

struct config *config_load_any(const char *file, const struct config_check *const *checks,
	size_t check_count, struct config_errors *errors)
{
	size_t errors_before = config_errors_count(errors);
	struct config *config;

	if (!file)
		return config_parse_any("(defaults)", SLICE_EMPTY, checks, check_count, errors);
	config = config_new();
	return finish(config, config_tree_load(file, &config->arena, errors), false, checks,
		check_count, errors, errors_before);
}

struct config *config_load(const char *file, const struct config_check *const *checks,
	size_t check_count, struct config_errors *errors)
{
	return without_broken(config_load_any(file, checks, check_count, errors));
}

static struct config *parse(const char *file, struct slice text, bool no_files,
	const struct config_check *const *checks, size_t check_count, struct config_errors *errors)
{
	size_t errors_before = config_errors_count(errors);
	struct config *config = config_new();

	return finish(config, config_tree_parse(file, text, &config->arena, errors), no_files,
		checks, check_count, errors, errors_before);
}

struct config *config_parse_any(const char *file, struct slice text,
	const struct config_check *const *checks, size_t check_count, struct config_errors *errors)
{
	return parse(file, text, false, checks, check_count, errors);
}

struct config *config_parse(const char *file, struct slice text,
	const struct config_check *const *checks, size_t check_count, struct config_errors *errors)
{
	return without_broken(parse(file, text, false, checks, check_count, errors));
}

struct config *config_parse_closed(const char *file, struct slice text,
	const struct config_check *const *checks, size_t check_count, struct config_errors *errors)
{
	return parse(file, text, true, checks, check_count, errors);
}

struct config *config_ref(struct config *config)
{
	config->references++;
	return config;
}

void config_unref(struct config **config)
{
	if (!*config)
		return;
	if (--(*config)->references == 0) {
		config_free_sets(&(*config)->owned_sets);
		arena_release(&(*config)->arena);
		free(*config);
	}
	*config = NULL;
}

/* SPDX-License-Identifier: ISC */
/*
 * The tree: kinds, texts, positions, and the bounds that end it.
 */
#include "tests/unit/config/support.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "config/schema.h"

struct world {
	struct arena arena;
	struct config_errors *errors;
};

static void begin(struct world *world)
{
	arena_init(&world->arena, 1024);
	world->errors = config_errors_new();
}

static void end(struct world *world)
{
	config_errors_free(&world->errors);
	arena_release(&world->arena);
}

static struct config_node *parse(struct world *world, const char *text)
{
	return config_tree_parse("f", slice_of(text), &world->arena, world->errors);
}

static void expect_first(struct world *world, const char *expected)
{
	bool is_warning;
	const char *line = config_errors_line(world->errors, 0, &is_warning);

	cr_assert_not_null(line);
	cr_expect_str_eq(line, expected);
}

Test(config_yaml, scalars_stay_texts)
{
	struct world world;
	const struct config_node *root, *node;

	begin(&world);
	root = parse(&world, "a: no\nb: 0x10\nc: ~\nd: \"\"\ne:\nf: |\n  two\n  lines\n");
	cr_assert_not_null(root);
	cr_expect_eq(root->kind, CONFIG_MAP);
	cr_expect_eq(root->count, 6);
	cr_expect(is(config_map_get(root, "a")->text, "no"));
	cr_expect(is(config_map_get(root, "b")->text, "0x10"));
	cr_expect(is(config_map_get(root, "c")->text, "~"));
	node = config_map_get(root, "d");
	cr_expect(node->quoted && node->text.len == 0 && !config_node_is_empty(node));
	cr_expect(config_node_is_empty(config_map_get(root, "e")));
	cr_expect_str_eq(config_map_get(root, "f")->text.data, "two\nlines\n");
	cr_expect_null(config_map_get(root, "g"));
	end(&world);
}

Test(config_yaml, positions_count_characters_from_one)
{
	struct world world;
	const struct config_node *root, *list;

	begin(&world);
	root = parse(&world, "first: x\nl\303\244nder: [\"\303\266\303\266\", b]\n");
	cr_assert_not_null(root);
	cr_expect_eq(root->pos.line, 1);
	cr_expect_str_eq(root->pos.file, "f");
	cr_expect_eq(root->keys[1]->pos.line, 2);
	list = root->items[1];
	cr_expect_eq(list->kind, CONFIG_LIST);
	cr_expect_eq(list->pos.column, 9);
	cr_expect_eq(list->items[1]->pos.column, 16);
	end(&world);
}

Test(config_yaml, an_empty_file_is_an_empty_map)
{
	static const char *const texts[] = {
		"", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "\xef\xbb\xbf"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct world world;
		const struct config_node *root;

		begin(&world);
		root = parse(&world, texts[i]);
		cr_assert_not_null(root, "%zu", i);
		cr_expect_eq(root->kind, CONFIG_MAP);
		cr_expect_eq(root->count, 0);
		end(&world);
	}
}

Test(config_yaml, the_file_name_is_a_copy)
{
	struct world world;
	char name[] = "name.yaml";
	const struct config_node *root;

	begin(&world);
	root = config_tree_parse(name, SLICE("a: b"), &world.arena, world.errors);
	name[0] = 'X';
	cr_assert_not_null(root);
	cr_expect_str_eq(root->items[0]->pos.file, "name.yaml");
	end(&world);
}

Test(config_yaml, duplicates_are_told_and_the_first_is_kept)
{
	struct world world;
	const struct config_node *root;

	begin(&world);
	root = parse(&world, "b: 1\na: 2\nb: 3\nc: 4\n");
	cr_assert_not_null(root);
	cr_expect_eq(root->count, 3);
	cr_expect(is(config_map_get(root, "b")->text, "1"));
	cr_expect(is(root->keys[2]->text, "c"));
	cr_expect_eq(config_errors_count(world.errors), 1);
	end(&world);
}

Test(config_yaml, depth_ends_at_32)
{
	struct world world;
	char text[80];

	begin(&world);
	memset(text, '[', 32);
	memset(text + 32, ']', 32);
	cr_expect_not_null(
		config_tree_parse("f", slice_make(text, 64), &world.arena, world.errors));
	memset(text, '[', 33);
	memset(text + 33, ']', 33);
	cr_expect_null(config_tree_parse("f", slice_make(text, 66), &world.arena, world.errors));
	expect_first(&world, "f:1:33: maps and lists are nested more than 32 deep");
	end(&world);
}

/* 200 KB of brackets, and a text of just over 1 MiB. */
Test(config_yaml, hostile_sizes)
{
	size_t len = CONFIG_MAX_FILE_BYTES + 1;
	char *text = mem_alloc(len);
	struct world world;

	begin(&world);
	memset(text, '[', len);
	cr_expect_null(
		config_tree_parse("f", slice_make(text, 200000), &world.arena, world.errors));
	expect_first(&world, "f:1:33: maps and lists are nested more than 32 deep");
	end(&world);
	begin(&world);
	cr_expect_null(config_tree_parse("f", slice_make(text, len), &world.arena, world.errors));
	expect_first(&world, "f: is larger than 1 MiB");
	end(&world);
	begin(&world);
	memset(text, '#', len);
	cr_expect_not_null(
		config_tree_parse("f", slice_make(text, len - 1), &world.arena, world.errors));
	end(&world);
	mem_free(&text);
}

Test(config_yaml, many_keys_are_no_burden)
{
	struct world world;
	struct buf text;
	const struct config_node *root;

	begin(&world);
	buf_init(&text, CONFIG_MAX_FILE_BYTES);
	for (unsigned i = 0; i < 60000; i++)
		buf_add_format(&text, "key%u: x\n", i);
	root = config_tree_parse("f", buf_slice(&text), &world.arena, world.errors);
	cr_assert_not_null(root);
	cr_expect_eq(root->count, 60000);
	buf_release(&text);
	end(&world);
}

Test(config_yaml, files_are_read)
{
	struct world world;
	char *path = make_file("a: b\n", 5);
	const struct config_node *root;

	begin(&world);
	root = config_tree_load(path, &world.arena, world.errors);
	cr_assert_not_null(root);
	cr_expect(is(config_map_get(root, "a")->text, "b"));
	cr_expect_str_eq(root->pos.file, path);
	remove_file(&path);
	cr_expect_null(config_tree_load("/nonexistent/reeve.yaml", &world.arena, world.errors));
	expect_first(&world, "/nonexistent/reeve.yaml: cannot be read: No such file or directory");
	end(&world);
	begin(&world);
	cr_expect_null(config_tree_load("/tmp", &world.arena, world.errors));
	expect_first(&world, "/tmp: cannot be read: Is a directory");
	end(&world);
}

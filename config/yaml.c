/* SPDX-License-Identifier: ISC */
/*
 * libyaml's events into a tree; nothing else here knows libyaml. Containers
 * that are being built wait on a stack of fixed depth, and are copied into the
 * arena when they end. What YAML allows and a configuration does not need (aliases, tags,
 * merge keys, a second document) is refused where it stands; the first such
 * thing that would change the meaning of the rest ends the reading.
 *
 * libyaml counts lines and columns from 0, columns in characters. Of bytes that are no UTF-8 it
 * knows only the offset, so their line is counted here.
 */
#include "config/tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <yaml.h>

#include "common/alloc.h"

struct nodes {
	struct config_node **items;
	size_t count, room;
};

/* A list or map that has begun. */
struct frame {
	struct config_node *node;
	struct nodes values, keys; /* a key without its value yet: keys.count == values.count + 1 */
};

struct builder {
	yaml_parser_t parser;
	const char *file;
	struct slice text;
	struct arena *arena;
	struct config_errors *errors;
	struct frame frames[CONFIG_MAX_DEPTH];
	unsigned depth, documents;
	struct config_node *root;
	bool failed; /* the tree is no good */
	bool ended;
};

static struct config_pos pos_of(const struct builder *builder, yaml_mark_t mark)
{
	return (struct config_pos){
		builder->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static struct slice slice_of_yaml(const yaml_char_t *text)
{
	return slice_of((const char *)text);
}

static void nodes_push(struct nodes *nodes, struct config_node *node)
{
	if (nodes->count == nodes->room) {
		nodes->room = nodes->room ? 2 * nodes->room : 8;
		nodes->items = mem_grow(nodes->items, nodes->room * sizeof(nodes->items[0]));
	}
	nodes->items[nodes->count++] = node;
}

static struct config_node **nodes_keep(struct nodes *nodes, struct arena *arena)
{
	size_t bytes = nodes->count * sizeof(nodes->items[0]);
	struct config_node **kept = arena_alloc(arena, bytes ? bytes : 1);

	if (bytes)
		memcpy(kept, nodes->items, bytes);
	mem_free(&nodes->items);
	return kept;
}

static struct config_node *node_new(
	struct builder *builder, enum config_kind kind, yaml_mark_t mark)
{
	struct config_node *node = arena_zalloc(builder->arena, sizeof(*node));

	node->kind = kind;
	node->pos = pos_of(builder, mark);
	node->text = SLICE_EMPTY;
	return node;
}

/* ---- what libyaml itself refuses */

struct hint {
	const char *context, *problem; /* NULL: any */
	bool at_context;               /* that is the place to look at */
	const char *message;
};

static const struct hint hints[] = {
	{"while scanning a quoted scalar", NULL, true,
		"the quoted text that begins here is never closed"},
	{"while scanning an alias", NULL, true,
		"aliases are not supported; a text that begins with '*' needs quotes"},
	{"while scanning an anchor", NULL, true,
		"anchors are not supported; a text that begins with '&' needs quotes"},
	{"while scanning a tag", NULL, true,
		"tags are not supported; a text that begins with '!' needs quotes"},
	{"while parsing a tag", NULL, true,
		"tags are not supported; a text that begins with '!' needs quotes"},
	{"while parsing a node", "found undefined tag handle", true,
		"tags are not supported; a text that begins with '!' needs quotes"},
	{"while scanning a block scalar", NULL, true,
		"a text that begins with '>' or '|' needs quotes"},
	{NULL, "mapping values are not allowed in this context", false,
		"no ':' can stand here: a text that holds ': ' needs quotes, or a line is indented wrongly"},
};

static const struct hint *find_hint(const yaml_parser_t *parser)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		if (hints[i].context &&
			(!parser->context || strcmp(parser->context, hints[i].context) != 0))
			continue;
		if (hints[i].problem && strcmp(parser->problem, hints[i].problem) != 0)
			continue;
		return &hints[i];
	}
	return NULL;
}

/* The position of a byte that the reader could not take. */
static struct config_pos pos_of_offset(const struct builder *builder, size_t offset)
{
	struct config_pos pos = {builder->file, 1, 1};

	for (size_t i = 0; i < offset && i < builder->text.len; i++) {
		unsigned char byte = (unsigned char)builder->text.data[i];

		if (byte == '\n') {
			pos.line++;
			pos.column = 1;
		} else if ((byte & 0xc0) != 0x80) {
			pos.column++;
		}
	}
	return pos;
}

static void report_reader(const struct builder *builder)
{
	const yaml_parser_t *parser = &builder->parser;
	size_t offset = parser->problem_offset;
	unsigned byte = offset < builder->text.len ? (unsigned char)builder->text.data[offset] : 0;
	bool is_control = strcmp(parser->problem, "control characters are not allowed") == 0;

	config_error(builder->errors, pos_of_offset(builder, offset),
		is_control ? "the byte 0x%02x is a control character"
			   : "the byte 0x%02x is not UTF-8",
		byte);
}

/* Tab, '@', '`' and '%' cannot begin a plain text. */
static void report_start(const struct builder *builder)
{
	yaml_mark_t mark = builder->parser.problem_mark;
	size_t at = mark.index;
	size_t from = 0;
	unsigned line = 0;

	/* index counts characters; find the byte by its line instead, which is plain ASCII up to it or not. */
	while (line < mark.line && from < builder->text.len)
		if (builder->text.data[from++] == '\n')
			line++;
	for (at = from; mark.column > 0 && at < builder->text.len; mark.column--)
		for (at++; at < builder->text.len &&
			   ((unsigned char)builder->text.data[at] & 0xc0) == 0x80;)
			at++;
	if (at < builder->text.len && builder->text.data[at] == '\t')
		config_error(builder->errors, pos_of(builder, builder->parser.problem_mark),
			"a tab stands here; YAML is indented with blanks only");
	else
		config_error(builder->errors, pos_of(builder, builder->parser.problem_mark),
			"a text that begins with '%s' needs quotes",
			config_quote(slice_first(slice_from(builder->text, at), 1)).text);
}

static void report_syntax(const struct builder *builder)
{
	const yaml_parser_t *parser = &builder->parser;
	const struct hint *hint;

	if (parser->error == YAML_READER_ERROR) {
		report_reader(builder);
		return;
	}
	if (!parser->problem) {
		config_error(builder->errors, (struct config_pos){builder->file, 0, 0},
			"cannot be read as YAML");
		return;
	}
	if (strcmp(parser->problem, "found character that cannot start any token") == 0) {
		report_start(builder);
		return;
	}
	hint = find_hint(parser);
	if (hint)
		config_error(builder->errors,
			pos_of(builder,
				hint->at_context ? parser->context_mark : parser->problem_mark),
			"%s", hint->message);
	else if (parser->context)
		config_error(builder->errors, pos_of(builder, parser->problem_mark),
			"%s, %s (which began in line %zu, column %zu)", parser->problem,
			parser->context, parser->context_mark.line + 1,
			parser->context_mark.column + 1);
	else
		config_error(builder->errors, pos_of(builder, parser->problem_mark), "%s",
			parser->problem);
}

/* ---- duplicate keys */

struct key_at {
	struct slice text;
	size_t index;
};

static int compare_keys(const void *a, const void *b)
{
	const struct key_at *x = a, *y = b;
	size_t len = x->text.len < y->text.len ? x->text.len : y->text.len;
	int order = len ? memcmp(x->text.data, y->text.data, len) : 0;

	if (order)
		return order;
	if (x->text.len != y->text.len)
		return x->text.len < y->text.len ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* Sorted, so that a map with many thousand keys stays cheap. The first of its name is kept. */
static void drop_duplicates(struct builder *builder, struct frame *frame)
{
	size_t count = frame->keys.count, kept = 0;
	struct config_node **keys = frame->keys.items;
	struct key_at *sorted;

	if (count < 2)
		return;
	sorted = mem_zalloc_array(count, sizeof(*sorted));
	for (size_t i = 0; i < count; i++)
		sorted[i] = (struct key_at){keys[i]->text, i};
	qsort(sorted, count, sizeof(*sorted), compare_keys);
	for (size_t i = 1, first = 0; i < count; i++) {
		if (!slice_equal(sorted[i].text, sorted[first].text)) {
			first = i;
			continue;
		}
		config_error(builder->errors, keys[sorted[i].index]->pos,
			"key '%s' is given twice (first in line %u)",
			config_quote(sorted[i].text).text, keys[sorted[first].index]->pos.line);
		frame->values.items[sorted[i].index] = NULL;
	}
	for (size_t i = 0; i < count; i++) {
		if (!frame->values.items[i])
			continue;
		keys[kept] = keys[i];
		frame->values.items[kept++] = frame->values.items[i];
	}
	frame->keys.count = frame->values.count = kept;
	mem_free(&sorted);
}

/* ---- events */

static void fail(struct builder *builder, yaml_mark_t mark, const char *message)
{
	config_error(builder->errors, pos_of(builder, mark), "%s", message);
	builder->failed = true;
}

static bool wants_key(const struct builder *builder)
{
	const struct frame *frame;

	if (builder->depth == 0)
		return false;
	frame = &builder->frames[builder->depth - 1];
	return frame->node->kind == CONFIG_MAP && frame->keys.count == frame->values.count;
}

static void place(struct builder *builder, struct config_node *node)
{
	struct frame *frame;

	if (builder->depth == 0) {
		builder->root = node;
		return;
	}
	frame = &builder->frames[builder->depth - 1];
	nodes_push(wants_key(builder) ? &frame->keys : &frame->values, node);
}

static void refuse_properties(struct builder *builder, const yaml_event_t *event,
	const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor) {
		config_error(builder->errors, pos_of(builder, event->start_mark),
			"anchors are not supported ('&%s'); a text that begins with '&' needs quotes",
			config_quote(slice_of_yaml(anchor)).text);
		builder->failed = true;
	}
	if (tag) {
		config_error(builder->errors, pos_of(builder, event->start_mark),
			"tags are not supported ('%s'); a text that begins with '!' needs quotes",
			config_quote(slice_of_yaml(tag)).text);
		builder->failed = true;
	}
}

static void on_scalar(struct builder *builder, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	struct config_node *node = node_new(builder, CONFIG_SCALAR, event->start_mark);
	char *copy = arena_alloc(builder->arena, len + 1);

	refuse_properties(builder, event, event->data.scalar.anchor, event->data.scalar.tag);
	if (len && memchr(text, '\0', len))
		fail(builder, event->start_mark, "a text cannot hold a NUL");
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	if (wants_key(builder) && !node->quoted && len == 2 && memcmp(text, "<<", 2) == 0)
		fail(builder, event->start_mark, "merge keys ('<<') are not supported");
	if (len)
		memcpy(copy, text, len);
	copy[len] = '\0';
	node->text = slice_make(copy, len);
	place(builder, node);
}

static void on_start(struct builder *builder, const yaml_event_t *event, enum config_kind kind)
{
	bool is_map = kind == CONFIG_MAP;

	if (is_map)
		refuse_properties(builder, event, event->data.mapping_start.anchor,
			event->data.mapping_start.tag);
	else
		refuse_properties(builder, event, event->data.sequence_start.anchor,
			event->data.sequence_start.tag);
	if (wants_key(builder)) {
		fail(builder, event->start_mark,
			is_map ? "a key cannot be a map; a text in braces needs quotes"
			       : "a key cannot be a list");
		builder->ended = true;
		return;
	}
	if (builder->depth == CONFIG_MAX_DEPTH) {
		fail(builder, event->start_mark, "maps and lists are nested more than 32 deep");
		builder->ended = true;
		return;
	}
	builder->frames[builder->depth++] =
		(struct frame){.node = node_new(builder, kind, event->start_mark)};
}

static void on_end(struct builder *builder)
{
	struct frame *frame;

	assert(builder->depth > 0);
	frame = &builder->frames[builder->depth - 1];
	if (frame->node->kind == CONFIG_MAP) {
		assert(frame->keys.count == frame->values.count);
		drop_duplicates(builder, frame);
		frame->node->keys = nodes_keep(&frame->keys, builder->arena);
	}
	frame->node->count = frame->values.count;
	frame->node->items = nodes_keep(&frame->values, builder->arena);
	builder->depth--;
	place(builder, frame->node);
}

static void on_alias(struct builder *builder, const yaml_event_t *event)
{
	config_error(builder->errors, pos_of(builder, event->start_mark),
		"aliases are not supported ('*%s'); a text that begins with '*' needs quotes",
		config_quote(slice_of_yaml(event->data.alias.anchor)).text);
	builder->failed = true;
	place(builder, node_new(builder, CONFIG_SCALAR, event->start_mark));
}

static void on_event(struct builder *builder, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		on_scalar(builder, event);
		break;
	case YAML_ALIAS_EVENT:
		on_alias(builder, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		on_start(builder, event, CONFIG_LIST);
		break;
	case YAML_MAPPING_START_EVENT:
		on_start(builder, event, CONFIG_MAP);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_end(builder);
		break;
	case YAML_DOCUMENT_START_EVENT:
		if (builder->documents++) {
			fail(builder, event->start_mark,
				"a second document begins here; a file holds one");
			builder->ended = true;
		}
		break;
	case YAML_STREAM_END_EVENT:
		builder->ended = true;
		break;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
}

static void run(struct builder *builder)
{
	while (!builder->ended) {
		yaml_event_t event;

		if (!yaml_parser_parse(&builder->parser, &event)) {
			report_syntax(builder);
			builder->failed = true;
			return;
		}
		on_event(builder, &event);
		yaml_event_delete(&event);
	}
}

struct config_node *config_tree_parse(
	const char *file, struct slice text, struct arena *arena, struct config_errors *errors)
{
	size_t file_bytes = strlen(file) + 1;
	char *file_copy = arena_alloc(arena, file_bytes);
	struct builder builder = {.text = text, .arena = arena, .errors = errors};

	memcpy(file_copy, file, file_bytes);
	builder.file = file_copy;
	if (text.len > CONFIG_MAX_FILE_BYTES) {
		config_error(errors, (struct config_pos){file_copy, 0, 0}, "is larger than 1 MiB");
		return NULL;
	}
	if (!yaml_parser_initialize(&builder.parser))
		abort(); /* out of memory, as in common/alloc.c */
	yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text.data, text.len);
	run(&builder);
	yaml_parser_delete(&builder.parser);
	for (unsigned i = 0; i < builder.depth; i++) {
		mem_free(&builder.frames[i].values.items);
		mem_free(&builder.frames[i].keys.items);
	}
	if (builder.failed)
		return NULL;
	if (!builder.root || config_node_is_empty(builder.root))
		builder.root = node_new(&builder, CONFIG_MAP, (yaml_mark_t){0, 0, 0});
	return builder.root;
}

/* Reads until the end, one byte more than allowed at most. -1: errno says why not. */
static ssize_t read_all(int fd, char *memory, size_t room)
{
	size_t used = 0;

	while (used < room) {
		ssize_t got = read(fd, memory + used, room - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

struct config_node *config_tree_load(
	const char *file, struct arena *arena, struct config_errors *errors)
{
	struct config_node *root = NULL;
	size_t room = CONFIG_MAX_FILE_BYTES + 1;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	char *memory = mem_alloc(room);
	ssize_t used = fd < 0 ? -1 : read_all(fd, memory, room);

	if (used < 0)
		config_error(errors, (struct config_pos){file, 0, 0}, "cannot be read: %s",
			strerror(errno));
	else
		root = config_tree_parse(file, slice_make(memory, (size_t)used), arena, errors);
	if (fd >= 0)
		close(fd);
	mem_free(&memory);
	return root;
}

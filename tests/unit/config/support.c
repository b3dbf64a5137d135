/* SPDX-License-Identifier: ISC */
/*
 * See support.h.
 */
#include "tests/unit/config/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/config/checks.h"

static char *lines_of(const struct config_errors *errors)
{
	struct buf out;
	const char *line;
	char *text;
	bool is_warning;

	buf_init(&out, 1 << 20);
	for (size_t i = 0; (line = config_errors_line(errors, i, &is_warning)); i++)
		if (!strstr(line, "warning: rule '"))
			buf_add_format(&out, "%s\n", line);
	text = mem_dup(buf_slice(&out));
	buf_release(&out);
	return text;
}

char *messages_of(const char *text, bool *ret_loaded)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse("f", slice_of(text), checks, CHECK_COUNT, errors);
	char *lines = lines_of(errors);

	cr_expect_eq(config == NULL, config_errors_count(errors) > 0);
	if (ret_loaded)
		*ret_loaded = config != NULL;
	config_unref(&config);
	config_errors_free(&errors);
	return lines;
}

void expect_messages(const struct message_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool loaded = true;
		char *lines = messages_of(cases[i].text, &loaded);

		cr_expect_not(loaded, "%s: was loaded", cases[i].name);
		cr_expect_str_eq(lines, cases[i].expected, "%s:\n%s", cases[i].name, lines);
		mem_free(&lines);
	}
}

struct config *load_text(const char *text)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse("f", slice_of(text), checks, CHECK_COUNT, errors);
	char *lines = lines_of(errors);

	cr_assert_not_null(config, "%s", lines);
	mem_free(&lines);
	config_errors_free(&errors);
	return config;
}

char *make_file(const char *text, size_t len)
{
	char folder[] = "/tmp/reeve-config-XXXXXX";
	char *path = mem_alloc(sizeof(folder) + 8);
	FILE *file;

	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(folder) + 8, "%s/file", folder);
	file = fopen(path, "wb");
	cr_assert_not_null(file);
	cr_assert_eq(fwrite(text, 1, len, file), len);
	fclose(file);
	return path;
}

void remove_file(char **path)
{
	char *slash = strrchr(*path, '/');

	unlink(*path);
	*slash = '\0';
	rmdir(*path);
	mem_free(path);
}

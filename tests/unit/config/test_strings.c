/* SPDX-License-Identifier: ISC */
/*
 * Lists: in place, from files, from `lists`; networks.
 */
#include "tests/unit/config/support.h"

#include <stdio.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/unit/config/checks.h"

/* `format` with the path for %s. */
static char *with_path(const char *format, const char *path)
{
	struct buf out;
	char *text, *at;
	struct slice rest = slice_of(format);

	buf_init(&out, 100000);
	while (rest.len && (at = memmem(rest.data, rest.len, "PATH", 4))) {
		buf_add(&out, slice_first(rest, (size_t)(at - rest.data)));
		buf_add(&out, slice_of(path));
		rest = slice_from(rest, (size_t)(at - rest.data) + 4);
	}
	buf_add(&out, rest);
	text = mem_dup(buf_slice(&out));
	buf_release(&out);
	return text;
}

static struct config *load_with_file(const char *file, const char *format, char **ret_path)
{
	char *path = make_file(file, strlen(file)), *text = with_path(format, path);
	struct config *config = load_text(text);

	mem_free(&text);
	if (ret_path)
		*ret_path = path;
	else
		remove_file(&path);
	return config;
}

static void expect_file_message(
	const char *file, size_t file_len, const char *format, const char *expected)
{
	char *path = make_file(file, file_len), *text = with_path(format, path);
	char *wanted = with_path(expected, path), *lines = messages_of(text, NULL);

	cr_expect_str_eq(lines, wanted, "%s", lines);
	mem_free(&lines);
	mem_free(&wanted);
	mem_free(&text);
	remove_file(&path);
}

static bool has(const struct cidr_set *set, const char *text)
{
	struct ip ip;

	cr_assert(ip_parse(slice_of(text), &ip));
	return cidr_set_contains(set, &ip);
}

Test(config_strings, a_scalar_is_a_list_of_one_and_nothing_is_none)
{
	struct config *config = load_text("site:\n  domains: example.com\n  owners:\n");

	cr_assert_eq(config->site.domains.count, 1);
	cr_expect(is(config->site.domains.items[0], "example.com"));
	cr_expect_eq(config->site.domains.pos[0].line, 2);
	cr_expect_eq(config->site.domains.pos[0].column, 12);
	cr_expect_eq(config->site.owners.count, 0);
	config_unref(&config);
}

Test(config_strings, files_give_first_words_with_their_lines)
{
	char *path;
	struct config *config = load_with_file(
		"# ours\nexample.com  OK\n\n \t\nexample.org # note\n#x\nlast.example",
		"site: { domains: [a.example, \"file:PATH\", z.example] }\n", &path);
	const struct config_strings *domains = &config->site.domains;

	cr_assert_eq(domains->count, 5);
	cr_expect(is(domains->items[0], "a.example"));
	cr_expect(is(domains->items[1], "example.com"));
	cr_expect_eq(domains->pos[1].line, 2);
	cr_expect_eq(domains->pos[1].column, 1);
	cr_expect_str_eq(domains->pos[1].file, path);
	cr_expect(is(domains->items[2], "example.org"));
	cr_expect_eq(domains->pos[2].line, 5);
	cr_expect(is(domains->items[3], "last.example"));
	cr_expect_eq(domains->pos[3].line, 7);
	cr_expect(is(domains->items[4], "z.example"));
	cr_expect_str_eq(domains->pos[4].file, "f");
	remove_file(&path);
	config_unref(&config);
}

Test(config_strings, lines_are_whole_and_may_go_on)
{
	struct config *config =
		load_with_file("\xef\xbb\xbf"
			       "a@example.com alice\r\nb@example.com\n  bob,\n\tcarol\n",
			"site:\n  owners: [\"file:PATH\", \"x@example.com dave\"]\n", NULL);
	const struct config_strings *owners = &config->site.owners;

	cr_assert_eq(owners->count, 3);
	cr_expect(is(owners->items[0], "a@example.com alice"));
	cr_expect_eq(owners->items[1].len, strlen("b@example.com   bob, \tcarol"));
	cr_expect_eq(owners->pos[1].line, 2);
	cr_expect(is(owners->items[2], "x@example.com dave"));
	config_unref(&config);
}

Test(config_strings, errors_in_files_name_their_line)
{
	expect_file_message("a.example\n\n  \nb..example x\n", 26,
		"site:\n  domains: [\"file:PATH\"]\n",
		"PATH:4:1: 'domains' needs domains, like example.com or .lists.example.com, not "
		"'b..example'\n");
	expect_file_message("a.example\nb\0c\n", 14, "site:\n  domains: [\"file:PATH\"]\n",
		"PATH:2:1: a line cannot hold a NUL\n");
	expect_file_message("10.0.0.0/8\n10.0.0.1/8\n", 22,
		"site: { addresses: [\"file:PATH\"] }\n",
		"PATH:2:1: '10.0.0.1/8' is no network: host bits are not 0\n");
	expect_file_message("a@example.com alice\nb@example.com\n", 34,
		"site: { owners: \"file:PATH\" }\n",
		"PATH:2:1: 'owners' needs entries like 'address login[,login...]', not 'b@example.com'\n");
}

Test(config_strings, the_same_mistake_is_told_once)
{
	expect_file_message("10.0.0.1/8\n", 11,
		"lists: { n: [\"file:PATH\"] }\nsite: { addresses: [\"list:n\"], "
		"privileged_networks: [\"list:n\"] }\nbans: { never: [\"list:n\"] }\n",
		"PATH:1:1: '10.0.0.1/8' is no network: host bits are not 0\n");
}

Test(config_strings, lists_are_used_by_name)
{
	struct config *config = load_with_file("c.example\n",
		"lists:\n  ours: [b.example, \"file:PATH\"]\n  none: []\n  one: d.example\n"
		"site:\n  domains: [a.example, \"list:ours\", \"list:none\", \"list:one\"]\n",
		NULL);
	const struct config_strings *domains = &config->site.domains;

	cr_assert_eq(domains->count, 4);
	cr_expect(is(domains->items[1], "b.example"));
	cr_expect_eq(domains->pos[1].line, 2);
	cr_expect(is(domains->items[2], "c.example"));
	cr_expect(is(domains->items[3], "d.example"));
	config_unref(&config);
}

/* An unused list is checked all the same. */
Test(config_strings, unused_lists_are_checked)
{
	char *lines = messages_of("lists:\n  a: [\"file:/nonexistent/a\"]\n", NULL);

	cr_expect_str_eq(
		lines, "f:2:7: '/nonexistent/a' cannot be read: No such file or directory\n");
	mem_free(&lines);
}

Test(config_strings, networks)
{
	struct config *config = load_with_file("192.0.2.0/24 # office\n2001:db8::/32\n",
		"site:\n  privileged_networks: [10.1.2.3, \"file:PATH\", \"[::5]/128\"]\n", NULL);
	const struct config_site *site = &config->site;

	cr_expect_eq(cidr_set_count(site->privileged_networks), 4);
	cr_expect(has(site->privileged_networks, "10.1.2.3"));
	cr_expect(has(site->privileged_networks, "192.0.2.200"));
	cr_expect(has(site->privileged_networks, "2001:db8::1"));
	cr_expect_not(has(site->privileged_networks, "10.1.2.4"));
	cr_assert_not_null(site->addresses);
	cr_expect_eq(cidr_set_count(site->addresses), 0);
	cr_expect(has(site->local_networks, "::1"));
	cr_expect(has(site->local_networks, "169.254.3.4"));
	config_unref(&config);
}

/* A FIFO must not block the load, and a device must not fill the memory. */
Test(config_strings, only_regular_files)
{
	char *lines = messages_of("site: { domains: [\"file:/dev/zero\"] }\n", NULL);

	cr_expect_str_eq(lines, "f:1:19: '/dev/zero' cannot be read: is no regular file\n");
	mem_free(&lines);
}

Test(config_strings, closed_text_opens_nothing)
{
	struct config_errors *errors = config_errors_new();
	struct config *config = config_parse_closed(
		"f", SLICE("site: { domains: [\"file:/etc/mailname\"] }"), NULL, 0, errors);
	bool is_warning;

	cr_assert_not_null(config);
	cr_expect(config->broken);
	config_unref(&config);
	cr_expect_str_eq(
		config_errors_line(errors, 0, &is_warning), "f:1:19: 'file:' is not allowed here");
	config_errors_free(&errors);
	errors = config_errors_new();
	config = config_parse_closed("f", SLICE_EMPTY, NULL, 0, errors);
	cr_assert_not_null(config);
	cr_expect(is(config->site.origin, "localhost"));
	cr_expect(is(config->store.node, "localhost"));
	config_unref(&config);
	config_errors_free(&errors);
}

Test(config_strings, an_empty_file_is_an_empty_list)
{
	struct config *config = load_with_file("", "site: { domains: [\"file:PATH\"] }\n", NULL);

	cr_expect_eq(config->site.domains.count, 0);
	config_unref(&config);
}

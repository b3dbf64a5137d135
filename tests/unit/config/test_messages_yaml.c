/* SPDX-License-Identifier: ISC */
/*
 * What is said about files that are no good YAML, or more of YAML than a
 * configuration takes.
 */
#include "tests/unit/config/support.h"

static const struct message_case cases[] = {
	{"unknown_key",
		"limmit: 3\n"
		"mode: enforce\n",
		"f:1:1: unknown key 'limmit' in the configuration\n"},
	{"misspelt_key",
		"store:\n"
		"  timout: 300ms\n",
		"f:2:3: unknown key 'timout' in store (did you mean 'timeout'?)\n"},
	{"unknown_far",
		"store:\n"
		"  zzzzzzzzzz: 1\n",
		"f:2:3: unknown key 'zzzzzzzzzz' in store\n"},
	{"duplicate_key",
		"listen: inet:127.0.0.1:10045\n"
		"mode: enforce\n"
		"listen: inet:127.0.0.1:10046\n",
		"f:3:1: key 'listen' is given twice (first in line 1)\n"},
	{"duplicate_inner",
		"bans:\n"
		"  never: []\n"
		"  mode: off\n"
		"  mode: off\n"
		"  mode: off\n",
		"f:4:3: key 'mode' is given twice (first in line 3)\n"
		"f:5:3: key 'mode' is given twice (first in line 3)\n"},
	{"alias",
		"site: &x\n"
		"  origin: a.example\n"
		"store: *x\n",
		"f:1:7: anchors are not supported ('&x'); a text that begins with '&' needs quotes\n"
		"f:3:8: aliases are not supported ('*x'); a text that begins with '*' needs quotes\n"},
	{"alias_star",
		"site:\n"
		"  domains: [*.example.com]\n",
		"f:2:13: aliases are not supported; a text that begins with '*' needs quotes\n"},
	{"tag",
		"rules:\n"
		"  - { name: a, check: ban, match: { login: [!user@example.com] } }\n",
		"f:2:45: tags are not supported; a text that begins with '!' needs quotes\n"},
	{"merge",
		"store:\n"
		"  <<: { prefix: x }\n",
		"f:2:3: merge keys ('<<') are not supported\n"},
	{"second_document",
		"mode: enforce\n"
		"---\n"
		"mode: monitor\n",
		"f:2:1: a second document begins here; a file holds one\n"},
	{"at_sign",
		"site:\n"
		"  domains:\n"
		"    - @example.com\n",
		"f:3:7: a text that begins with '@' needs quotes\n"},
	{"percent",
		"postfix:\n"
		"  banner: %LOCALDOMAIN% ESMTP\n",
		"f:2:11: a text that begins with '%' needs quotes\n"},
	{"tab",
		"store:\n"
		"\turl: embedded:\n",
		"f:2:1: a tab stands here; YAML is indented with blanks only\n"},
	{"unclosed",
		"mode: enforce\n"
		"site:\n"
		"  origin: \"example.com\n"
		"  domains: []\n",
		"f:3:11: the quoted text that begins here is never closed\n"},
	{"colon",
		"rules:\n"
		"  - name: a\n"
		"    check: ban\n"
		"    reply: 550 5.7.1 go: away\n",
		"f:4:24: no ':' can stand here: a text that holds ': ' needs quotes, or a line is indented wrongly\n"},
	{"block",
		"rules:\n"
		"  - { name: a, check: ban }\n"
		"  - name: b\n"
		"    check: ban\n"
		"    match:\n"
		"      size: >10MiB\n",
		"f:6:13: a text that begins with '>' or '|' needs quotes\n"},
	{"indent",
		"rules:\n"
		"  - name: a\n"
		"    check: ban\n"
		"   - name: b\n",
		"f:4:4: did not find expected '-' indicator, while parsing a block collection (which began in line 2, column 3)\n"},
	{"flow_open",
		"site:\n"
		"  domains: [a.example, b.example\n",
		"f:3:1: did not find expected ',' or ']', while parsing a flow sequence (which began in line 2, column 12)\n"},
	{"utf8",
		"mode: enforce\n"
		"site:\n"
		"  origin: ex\377.com\n",
		"f:3:13: the byte 0xff is not UTF-8\n"},
	{"control", "mode: en\001force\n", "f:1:9: the byte 0x01 is a control character\n"},
	{"nul",
		"site:\n"
		"  origin: \"a\\0b\"\n",
		"f:2:11: a text cannot hold a NUL\n"},
	{"deep",
		"x: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
		"f:1:35: maps and lists are nested more than 32 deep\n"},
	{"key_map", "{a: 1}: 2\n", "f:1:1: a key cannot be a map; a text in braces needs quotes\n"},
	{"top_list",
		"- a\n"
		"- b\n",
		"f:1:1: a configuration is a map of keys, like 'mode: enforce', not a list\n"},
	{"top_text", "hello\n",
		"f:1:1: a configuration is a map of keys, like 'mode: enforce', not a text\n"},
};

Test(config_messages_yaml, every_message_stands_at_its_place)
{
	expect_messages(cases, sizeof(cases) / sizeof(cases[0]));
}

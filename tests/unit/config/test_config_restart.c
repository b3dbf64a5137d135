/* SPDX-License-Identifier: ISC */
/*
 * What a reload cannot change.
 */
#include "tests/unit/config/support.h"

/* `wanted`: names with a blank behind each. */
static void expect_restart(const char *old_text, const char *new_text, const char *wanted)
{
	struct config *old = load_text(old_text), *new = load_text(new_text);
	const char *names[8];
	size_t count = config_restart_needed(old, new, names);
	struct buf got;

	buf_init(&got, 1000);
	for (size_t i = 0; i < count; i++)
		buf_add_format(&got, "%s ", names[i]);
	cr_expect(is(buf_slice(&got), wanted), "%s -> %s: %.*s", old_text, new_text,
		SLICE_ARG(buf_slice(&got)));
	buf_release(&got);
	config_unref(&old);
	config_unref(&new);
}

Test(config_restart, what_needs_a_restart)
{
	expect_restart("",
		"listen: inet:127.0.0.1:10045\nmax_connections: 4096\nstore: { timeout: 300ms }\n",
		"");
	expect_restart("",
		"mode: monitor\nrules: []\nsite: { domains: x }\ndeadline: 4s\nlog: { level: debug }\n",
		"");
	expect_restart("", "listen: inet:127.0.0.1:10046\n", "listen ");
	expect_restart("", "listen: [inet:127.0.0.1:10045, \"unix:/a\"]\n", "listen ");
	expect_restart("listen: { address: \"unix:/a\" }\n",
		"listen: { address: \"unix:/a\", mode: 0600 }\n", "listen ");
	expect_restart("listen: { address: \"inet:192.0.2.1:1\", allow: [10.0.0.0/8] }\n",
		"listen: { address: \"inet:192.0.2.1:1\", allow: [10.0.0.0/8, 192.0.2.0/24] }\n",
		"listen ");
	expect_restart("", "control: unix:/a\nmetrics: inet:127.0.0.1:1\n", "control metrics ");
	expect_restart("metrics: inet:127.0.0.1:1\n", "metrics: inet:127.0.0.1:2\n", "metrics ");
	expect_restart("", "store: { url: \"embedded:\" }\ndns: { tries: 3 }\nmax_connections: 5\n",
		"store dns max_connections ");
	expect_restart("", "store: { slack: 2 }\ndns: { servers: 127.0.0.1 }\n", "store dns ");
	expect_restart("",
		"listen: unix:/x\ncontrol: unix:/y\nmetrics: unix:/z\nstore: { nodes: 2 }\n"
		"dns: { timeout: 2s }\nmax_connections: 1\n",
		"listen control metrics store dns max_connections ");
}

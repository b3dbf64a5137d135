/* SPDX-License-Identifier: ISC */
#include "daemon/ctl/postfix/learn.h"

#include <criterion/criterion.h>

#include "tests/unit/ctl/recorded.h"

enum { ORIGIN, DELIMITER, DOMAINS, NETWORKS, ADDRESSES };

static struct bench bench;
static struct learned learned;

static void learn(const char *reeve, const char *main)
{
	bench_open(&bench, &recorded_37, reeve);
	bench_main(&bench, main);
	bench.model = model_new(&bench.arena, &bench.texts);
	learn_read(
		&bench.arena, bench.model, &bench.probe, bench.config, slice_of(reeve), &learned);
}

static void close_bench(void)
{
	bench_close(&bench);
}

TestSuite(learn, .fini = close_bench);

static void asks(size_t key, const char *value)
{
	cr_assert_not(learned.keys[key].met, "%s", learned.keys[key].key);
	cr_assert(slice_is(learned.keys[key].value, value), "%s: %.*s", learned.keys[key].key,
		SLICE_ARG(learned.keys[key].value));
}

Test(learn, what_fits_is_left)
{
	learn("site: { origin: example.com, domains: [mx.example.com, localhost, more.example], "
	      "privileged_networks: [127.0.0.0/8, 192.0.2.0/24] }\n",
		"inet_interfaces = loopback-only");
	for (size_t i = 0; i < LEARN_KEYS; i++)
		cr_assert(learned.keys[i].met, "%s: %.*s", learned.keys[i].key,
			SLICE_ARG(learned.keys[i].message));
}

Test(learn, what_is_missing_is_added)
{
	learn("site: { origin: old.example, domains: [\"list:ours\", .example.com], addresses: [192.0.2.1] }\n"
	      "lists: { ours: [a.example] }\n",
		"mydestination = mx.example.com, a.example, /some/file, b.example, !c.example\n"
		"mynetworks = 127.0.0.0/8, [2001:db8::]/32, !192.0.2.9, hash:/x\n"
		"recipient_delimiter = -+\n"
		"inet_interfaces = 192.0.2.1, 192.0.2.2, 127.0.0.1\n"
		"proxy_interfaces = [2001:db8::5], natted.example");
	asks(ORIGIN, "example.com");
	asks(DELIMITER, "\"-+\"");
	asks(DOMAINS, "[\"list:ours\", \".example.com\", filed.example, b.example]");
	asks(NETWORKS, "[127.0.0.0/8, \"2001:db8::/32\"]");
	asks(ADDRESSES, "[\"192.0.2.1\", \"192.0.2.2\", \"2001:db8::5\"]");
}

/* Who is privileged may do what strangers may not, so nobody becomes it whom Postfix leaves out. */
Test(learn, a_network_with_a_hole_is_left_to_a_human)
{
	learn("site: { privileged_networks: [127.0.0.0/8] }\n",
		"mynetworks = !10.0.0.5, 127.0.0.0/8, 10.0.0.0/8, 192.0.2.0/24, ![2001:db8::1], "
		"[2001:db8::]/32");
	asks(NETWORKS, "[127.0.0.0/8, 192.0.2.0/24]");
	cr_assert_eq(learned.left_out.count, 2);
	cr_assert(slice_is(learned.left_out.items[0], "10.0.0.0/8"));
}

Test(learn, domains_out_of_maps)
{
	learn("site: { domains: [example.com] }\n",
		"mydestination =\nvirtual_mailbox_domains = proxy:hash:/x\n"
		"virtual_alias_maps = hash:/y");
	/* An alias map holds domains, addresses and bare names; only the first are domains. */
	asks(DOMAINS, "[example.com, listed.example, \"barename\"]");
	cr_assert_eq(learned.unlisted.count, 0);
}

Test(learn, accepted_literals_are_no_news)
{
	learn("rules: [{ name: l, check: address_literal, accept: [\"[192.0.2.7]\"] }]\n",
		"proxy_interfaces = 192.0.2.7");
	cr_assert(learned.keys[ADDRESSES].met);
}

Test(learn, edit_fills_the_file)
{
	static const char text[] =
		"# mine\nsite:\n  domains: [mx.example.com] # one\nmode: enforce\n";
	struct text_list failed = {0};
	struct slice out;

	learn(text, "inet_interfaces = loopback-only");
	out = learn_edit(&bench.arena, &learned, slice_of(text), &failed);
	cr_assert_eq(failed.count, 0);
	cr_assert(memmem(out.data, out.len, "# one\nmode: enforce\n", 20), "%.*s", SLICE_ARG(out));
	cr_assert(
		memmem(out.data, out.len, "  domains: [mx.example.com, \"localhost\"] # one\n", 46),
		"%.*s", SLICE_ARG(out));
	cr_assert(memmem(out.data, out.len, "  privileged_networks: [127.0.0.0/8]\n", 37));
}

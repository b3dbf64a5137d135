/* SPDX-License-Identifier: ISC */
#include "daemon/mail/smtp_ids.h"

#include <criterion/criterion.h>

static const struct hash_key hash_key = { 1, 2 };

static const struct smtp_names usual = {
	.server_address = { "192.0.2.1", 9 },
	.server_port = { "25", 2 },
	.client_address = { "198.51.100.1", 12 },
	.client_port = { "1000", 4 },
	.instance = { "1a2b.5f.3c.0", 12 },
};

static struct smtp_ids ids_of(struct smtp_names names, uint64_t policy_connection)
{
	struct smtp_ids ids;

	smtp_ids_read(&ids, &hash_key, &names, policy_connection);
	return ids;
}

static bool same_connection(struct smtp_ids a, struct smtp_ids b)
{
	return hash128_equal(a.connection, b.connection);
}

static bool same_transaction(struct smtp_ids a, struct smtp_ids b)
{
	return hash128_equal(a.transaction, b.transaction);
}

Test(smtp_ids, each_is_its_own_parts)
{
	struct smtp_ids first = ids_of(usual, 1), other;
	struct smtp_names names = usual;

	other = ids_of(names, 2);
	cr_assert(same_connection(first, other) && same_transaction(first, other) &&
		  first.service == other.service);
	names.instance = SLICE("1a2b.5f.3c.1");
	other = ids_of(names, 1);
	cr_assert(same_connection(first, other) && first.service == other.service);
	cr_assert_not(same_transaction(first, other));
	names = usual;
	names.client_port = SLICE("1001");
	other = ids_of(names, 1);
	cr_assert_not(same_connection(first, other) || same_transaction(first, other));
	cr_assert(first.service == other.service);
	names = usual;
	names.client_address = SLICE("198.51.100.2");
	other = ids_of(names, 1);
	cr_assert_not(same_connection(first, other) || same_transaction(first, other));
	names = usual;
	names.server_port = SLICE("587");
	other = ids_of(names, 1);
	cr_assert_not(same_connection(first, other) || first.service == other.service);
	cr_assert(same_transaction(first, other));
	names = usual;
	names.server_address = SLICE("192.0.2.2");
	other = ids_of(names, 1);
	cr_assert_not(same_connection(first, other) || same_transaction(first, other) ||
		      first.service == other.service);
}

Test(smtp_ids, without_a_client_port_the_policy_connection_counts)
{
	struct smtp_names none = usual, unknown = usual;

	none.client_port = SLICE_EMPTY;
	unknown.client_port = SLICE("unknown");
	cr_assert_not(same_connection(ids_of(none, 1), ids_of(none, 2)));
	cr_assert(same_connection(ids_of(none, 1), ids_of(unknown, 1)));
	cr_assert(same_transaction(ids_of(none, 1), ids_of(none, 2)));
}

Test(smtp_ids, no_instance_or_no_client_is_no_transaction)
{
	struct smtp_names names = usual;

	cr_assert_not(hash128_is_zero(ids_of(names, 1).transaction));
	names.instance = slice_make(NULL, 0);
	cr_assert(hash128_is_zero(ids_of(names, 1).transaction));
	names = usual;
	names.client_address = SLICE_EMPTY;
	cr_assert(hash128_is_zero(ids_of(names, 1).transaction));
	cr_assert_not(hash128_is_zero(ids_of(names, 1).connection));
}

/* Where one text ends and the next begins makes a difference, whatever bytes stand there. */
Test(smtp_ids, parts_do_not_run_together)
{
	/* One word of text, then a text of no bytes, against both as one text of the same words. */
	static const char bytes[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct smtp_names a = usual, b = usual;

	a.client_port = SLICE("ab");
	a.instance = SLICE("c");
	b.client_port = SLICE("a");
	b.instance = SLICE("bc");
	cr_assert_not(same_transaction(ids_of(a, 1), ids_of(b, 1)));
	for (size_t cut = 0; cut < sizeof(bytes); cut++) {
		a.client_port = slice_make(bytes, cut);
		a.instance = slice_make(bytes + cut, sizeof(bytes) - cut);
		for (size_t other = 0; other < cut; other++) {
			b.client_port = slice_make(bytes, other);
			b.instance = slice_make(bytes + other, sizeof(bytes) - other);
			cr_assert_not(same_transaction(ids_of(a, 1), ids_of(b, 1)));
		}
	}
}

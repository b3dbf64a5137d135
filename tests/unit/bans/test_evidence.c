/* SPDX-License-Identifier: ISC */
#include "daemon/bans/evidence.h"

#include <criterion/criterion.h>

static struct evidence weigh(struct bans_session session, const struct answers_entry *own,
			     struct answers_entry *pool)
{
	struct evidence evidence;

	evidence_weigh(&session, own, pool, &evidence);
	return evidence;
}

Test(evidence, without_reeve_all_that_failed_for_good_counts)
{
	struct evidence evidence = weigh(
		(struct bans_session){
			.recipients = 9, .refused_recipients = 5, .temporary_recipients = 2,
			.failed_commands = 4, .temporary_commands = 1, .failed_logins = 3,
			.reported_logins = 1 },
		NULL, NULL);

	cr_expect_eq(evidence.recipients, 3);
	cr_expect_eq(evidence.commands, 3);
	cr_expect_eq(evidence.logins, 2);
	cr_expect_eq(evidence.unasked_recipients, 9);
	cr_expect_eq(evidence.in_connection, 9, "all failed logins are of the connection");
}

Test(evidence, what_reeve_refused_is_left_out)
{
	const struct answers_entry own = {
		.recipients = 7, .refused_recipients = { 2, 1 }, .refused_commands = { 1, 0 },
		.strikes = 2,
	};
	struct evidence evidence = weigh(
		(struct bans_session){ .recipients = 8, .refused_recipients = 5,
				       .temporary_recipients = 1, .failed_commands = 1 },
		&own, NULL);

	cr_expect_eq(evidence.recipients, 2, "of 5 Reeve refused 2, and 1 with a 4xx");
	cr_expect_eq(evidence.commands, 0);
	cr_expect_eq(evidence.unasked_recipients, 1);
	cr_expect_eq(evidence.in_connection, 4, "with the strikes");
}

Test(evidence, a_4xx_of_reeve_whose_line_is_missing_is_left_out_too)
{
	const struct answers_entry own = { .refused_recipients = { 0, 3 } };

	cr_expect_eq(weigh((struct bans_session){ .refused_recipients = 4 }, &own, NULL).recipients,
		     1);
	cr_expect_eq(weigh((struct bans_session){ .refused_recipients = 4,
						  .temporary_recipients = 4 },
			   &own, NULL)
			     .recipients,
		     0);
}

Test(evidence, never_below_nothing)
{
	const struct answers_entry own = {
		.recipients = 50, .refused_recipients = { 20, 20 }, .refused_commands = { 9, 9 },
	};
	struct evidence evidence = weigh(
		(struct bans_session){ .recipients = 3, .refused_recipients = 3,
				       .failed_commands = 2, .failed_logins = 1,
				       .reported_logins = 4 },
		&own, NULL);

	cr_expect_eq(evidence.recipients + evidence.commands + evidence.logins +
			     evidence.unasked_recipients,
		     0);
}

Test(evidence, refusals_of_an_unknown_process_are_used_up)
{
	struct answers_entry pool = { .refused_commands = { 2, 2 } };

	cr_expect_eq(weigh((struct bans_session){ .failed_commands = 3 }, NULL, &pool).commands, 0);
	cr_expect_eq(weigh((struct bans_session){ .failed_commands = 3 }, NULL, &pool).commands, 2);
	cr_expect_eq(weigh((struct bans_session){ .failed_commands = 3 }, NULL, &pool).commands, 3);
}

Test(evidence, all_fails_after_a_refusal_at_connect_and_none_of_it_counts_again)
{
	struct answers_entry pool = { .refused_connection = true };
	struct bans_session session = { .refused_recipients = 4, .failed_commands = 6 };

	cr_expect_eq(weigh(session, NULL, &pool).in_connection, 0);
	cr_expect_eq(weigh(session, NULL, &pool).in_connection, 10, "the next connection is its own");
}

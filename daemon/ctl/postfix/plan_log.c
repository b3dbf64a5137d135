/* SPDX-License-Identifier: ISC */
/*
 * Does Postfix write its log to where bans.maillog looks for it? Whoever follows a file that nobody writes to is told of
 * nothing, and the daemon cannot know that something is amiss.
 */
#include "daemon/ctl/postfix/plan.h"

static void note(struct plan *plan, enum plan_level level, struct slice message, struct slice todo)
{
	plan_note(plan, "maillog", level, SLICE_EMPTY, message, todo);
}

/* The journal gets what goes to syslog, and is read for facility mail. */
static void check_journal(struct plan *plan, struct slice file, struct slice facility)
{
	if (file.len)
		note(plan, PLAN_MISTAKE,
			plan_text(plan,
				"Postfix writes its log to %.*s (maillog_file), so there is none in the journal that bans.maillog names",
				SLICE_ARG(file)),
			plan_text(plan, "bans: maillog: \"file:%.*s\"", SLICE_ARG(file)));
	else if (facility.len && !slice_is(facility, "mail"))
		note(plan, PLAN_MISTAKE,
			plan_text(plan,
				"Postfix logs with syslog_facility = %.*s, and of the journal Reeve reads mail only",
				SLICE_ARG(facility)),
			SLICE("main.cf: syslog_facility = mail"));
}

/* A link may make the two the same. */
static void check_file(struct plan *plan, struct slice path, struct slice file)
{
	if (file.len && !slice_equal(path, file))
		note(plan, PLAN_WARNING,
			plan_text(plan,
				"Postfix writes its log to %.*s (maillog_file), and bans.maillog names %.*s",
				SLICE_ARG(file), SLICE_ARG(path)),
			plan_text(plan, "bans: maillog: \"file:%.*s\"", SLICE_ARG(file)));
}

void plan_log(struct plan *plan)
{
	const struct config_bans *bans = &plan->want->config->bans;
	struct slice file = model_value(plan->model, NULL, "maillog_file"), scheme = SLICE("file:");

	if (bans->mode == CONFIG_OFF)
		return;
	if (slice_is(bans->maillog, "journal:"))
		check_journal(plan, file, model_value(plan->model, NULL, "syslog_facility"));
	else if (slice_starts_with(bans->maillog, scheme))
		check_file(plan, slice_from(bans->maillog, scheme.len), file);
}

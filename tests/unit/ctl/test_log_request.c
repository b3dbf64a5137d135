/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <stdio.h>

#include "common/logline.h"
#include "daemon/ctl/log_request.h"

/* All attributes of a line, as "name=value " one after the other; "-" where it is no decision. */
static const char *attributes_of(const char *text)
{
	static char memory[1000];
	char value_memory[200];
	struct slice pairs, name;
	struct buf all, value;

	buf_init_fixed(&all, memory, sizeof(memory) - 1);
	buf_init_fixed(&value, value_memory, sizeof(value_memory));
	if (!log_request_begin(slice_of(text), &pairs))
		return "-";
	while (log_request_next(&pairs, &name, &value)) {
		buf_add(&all, name);
		buf_add_char(&all, '=');
		buf_add(&all, buf_slice(&value));
		buf_add_char(&all, ' ');
	}
	memory[all.len] = '\0';
	return memory;
}

Test(log_request, a_whole_line)
{
	cr_assert_str_eq(
		attributes_of(
			"time=2026-11-24T12:09:08.489Z level=info event=decision state=RCPT "
			"action=defer rule=hourly reason=over_limit reply=\"450 4.7.1 client=1.2.3.4 is "
			"full\" client=203.0.113.5 client_name=mail.example.net helo=\"a b\" sender=<> "
			"recipient=x@far.example recipients=3 login=alice queue_id=A instance=1.2.3.0 "
			"context=sub counters=hourly/1h:200/200 time_us=12"),
		"protocol_state=RCPT client_address=203.0.113.5 client_name=mail.example.net "
		"helo_name=a b sender= recipient=x@far.example recipient_count=3 "
		"sasl_username=alice policy_context=sub ");
}

Test(log_request, of_syslog_and_the_journal)
{
	cr_assert_str_eq(attributes_of("Nov 24 12:09:08 mx reeved[12]: event=decision state=DATA"),
		"protocol_state=DATA ");
	cr_assert_str_eq(attributes_of("event=decision state=EHLO helo=\"\""),
		"protocol_state=EHLO helo_name= ");
}

Test(log_request, what_is_no_decision)
{
	cr_assert_str_eq(attributes_of(""), "-");
	cr_assert_str_eq(attributes_of("event=ready listeners=1"), "-");
	cr_assert_str_eq(attributes_of("event=decision"), "-");
	cr_assert_str_eq(attributes_of("xevent=decision state=RCPT"), "-");
	cr_assert_str_eq(attributes_of("event=decision state"), "");
	cr_assert_str_eq(attributes_of("event=decision helo=\"cut off"), "");
}

Test(log_request, what_is_of_the_log)
{
	cr_assert(log_request_is_log(SLICE("time=x level=info event=ready listeners=1")));
	cr_assert(log_request_is_log(SLICE("event=ready")));
	cr_assert_not(log_request_is_log(SLICE("request=smtpd_access_policy")));
	cr_assert_not(log_request_is_log(SLICE("sender=event=x")));
}

/* Whatever stands in a value comes back as it was. */
Test(log_request, every_byte_comes_back)
{
	char line_memory[2000], value_memory[200];
	struct buf line, value;

	for (int byte = 1; byte < 256; byte++) {
		char helo[] = {'a', (char)byte, '"', 'b', '=', (char)byte};
		struct slice pairs, name;

		buf_init_fixed(&line, line_memory, sizeof(line_memory));
		buf_init_fixed(&value, value_memory, sizeof(value_memory));
		logline_text(&line, "event", "decision");
		logline_slice(&line, "helo", slice_make(helo, sizeof(helo)));
		logline_text(&line, "state", "RCPT");
		cr_assert(log_request_begin(buf_slice(&line), &pairs));
		cr_assert(log_request_next(&pairs, &name, &value));
		cr_assert(slice_equal(buf_slice(&value), slice_make(helo, sizeof(helo))), "byte %d",
			byte);
		cr_assert(log_request_next(&pairs, &name, &value));
		cr_assert(slice_is(buf_slice(&value), "RCPT"));
		cr_assert_not(log_request_next(&pairs, &name, &value));
	}
}

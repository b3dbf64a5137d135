/* SPDX-License-Identifier: ISC */
/*
 * Pure: bytes in, bytes out. The daemon's side of it meets bytes of local users, so everything is
 * bounded before it is looked at.
 */
#include "common/ctl_proto.h"

static bool is_name(struct slice name)
{
	if (name.len == 0 || name.len > 64)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
			    c == '-'))
			return false;
	}
	return true;
}

static const char *add_field(struct ctl_request *request, struct slice line, unsigned number)
{
	struct ctl_field field;

	if (line.len > CTL_LINE_BYTES)
		return "a line is too long";
	if (!slice_split(line, '=', &field.name, &field.value) || !is_name(field.name))
		return "a line is not name=value";
	if (number == 0)
		return slice_is(field.name, "reeve") && slice_is(field.value, CTL_VERSION)
			       ? NULL
			       : "not this version of the control protocol";
	if (number == 1) {
		request->command = field.value;
		return slice_is(field.name, "command") && is_name(field.value)
			       ? NULL
			       : "the second line is not command=NAME";
	}
	if (request->count == CTL_MAX_FIELDS)
		return "too many lines";
	request->fields[request->count++] = field;
	return NULL;
}

static const char *parse_lines(struct slice lines, struct ctl_request *request)
{
	unsigned number = 0;
	struct slice line;
	const char *why;

	request->count = 0;
	request->command = SLICE_EMPTY;
	while (slice_split(lines, '\n', &line, &lines)) {
		why = add_field(request, line, number++);
		if (why)
			return why;
	}
	return number < 2 ? "no command" : NULL;
}

/* Only the end of what has come is looked at until the request is whole: a peer that drips costs nothing. */
enum ctl_feed ctl_request_parse(struct slice data, struct ctl_request *ret, const char **ret_why)
{
	*ret_why = NULL;
	if (data.len > CTL_REQUEST_BYTES)
		*ret_why = "the request is too long";
	else if (!slice_ends_with(data, SLICE("\n\n")))
		return CTL_MORE;
	else if (memchr(data.data, '\0', data.len))
		*ret_why = "a NUL in the request";
	else
		*ret_why = parse_lines(slice_first(data, data.len - 1), ret);
	return *ret_why ? CTL_BAD : CTL_READY;
}

bool ctl_request_find(const struct ctl_request *request, const char *name, struct slice *ret)
{
	for (unsigned i = 0; i < request->count; i++) {
		if (slice_is(request->fields[i].name, name)) {
			*ret = request->fields[i].value;
			return true;
		}
	}
	return false;
}

struct slice ctl_request_get(const struct ctl_request *request, const char *name)
{
	struct slice value = SLICE_EMPTY;

	(void)ctl_request_find(request, name, &value);
	return value;
}

bool ctl_request_add(struct buf *out, const char *name, struct slice value)
{
	if (value.len &&
		(memchr(value.data, '\n', value.len) || memchr(value.data, '\0', value.len)))
		return false;
	if (strlen(name) + 1 + value.len > CTL_LINE_BYTES)
		return false;
	buf_add(out, slice_of(name));
	buf_add_char(out, '=');
	buf_add(out, value);
	buf_add_char(out, '\n');
	return true;
}

void ctl_request_begin(struct buf *out, const char *command)
{
	buf_add(out, SLICE("reeve=" CTL_VERSION "\ncommand="));
	buf_add(out, slice_of(command));
	buf_add_char(out, '\n');
}

void ctl_request_end(struct buf *out)
{
	buf_add_char(out, '\n');
}

void ctl_answer_begin(struct json *json, struct buf *out)
{
	json_init(json, out);
	json_object(json, NULL);
	json_bool(json, "ok", true);
}

void ctl_answer_end(struct json *json)
{
	json_end_object(json);
	buf_add_char(json->out, '\n');
}

void ctl_answer_error(struct buf *out, int exit_code, struct slice error, struct slice advice)
{
	struct json json;

	json_init(&json, out);
	json_object(&json, NULL);
	json_bool(&json, "ok", false);
	json_i64(&json, "exit", exit_code);
	json_slice(&json, "error", error);
	json_slice(&json, "advice", advice);
	ctl_answer_end(&json);
}

/* SPDX-License-Identifier: ISC */
/*
 * What comes over the control socket and the metrics port, and what reevectl reads back: requests,
 * HTTP, JSON. A request that is accepted can be written again and is then the same; whatever goes
 * into the JSON writer is read back by its reader.
 */
#include <stdlib.h>

#include "common/ctl_proto.h"
#include "common/json_read.h"
#include "daemon/operate/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void write_again(const struct ctl_request *request)
{
	static struct ctl_request again;
	char name[65], command[65];
	const char *why;
	struct buf out;

	buf_init(&out, 2 * CTL_REQUEST_BYTES);
	memcpy(command, request->command.data, request->command.len);
	command[request->command.len] = '\0';
	ctl_request_begin(&out, command);
	for (unsigned i = 0; i < request->count; i++) {
		memcpy(name, request->fields[i].name.data, request->fields[i].name.len);
		name[request->fields[i].name.len] = '\0';
		check(ctl_request_add(&out, name, request->fields[i].value));
	}
	ctl_request_end(&out);
	check(ctl_request_parse(buf_slice(&out), &again, &why) == CTL_READY);
	check(again.count == request->count && slice_equal(again.command, request->command));
	for (unsigned i = 0; i < again.count; i++)
		check(slice_equal(again.fields[i].value, request->fields[i].value));
	buf_release(&out);
}

static void read_json(struct slice input)
{
	const struct json_value *value;
	const char *why = NULL;
	struct arena arena;
	struct json json;
	struct buf out;

	arena_init(&arena, 4096);
	value = json_parse(input, &arena, &why);
	check(value != NULL || why != NULL);
	buf_init(&out, 16 + 6 * input.len);
	json_init(&json, &out);
	json_slice(&json, NULL, input);
	check(!out.overflow);
	value = json_parse(buf_slice(&out), &arena, &why);
	check(value && value->type == JSON_STRING && value->text.len >= input.len);
	buf_release(&out);
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ctl_request request;
	struct slice input = slice_make((const char *)data, size);
	const char *why;
	struct buf out;

	if (ctl_request_parse(input, &request, &why) == CTL_READY)
		write_again(&request);
	buf_init(&out, 4096);
	http_write(&out, http_read(input), SLICE("body"));
	check(!out.overflow);
	buf_release(&out);
	read_json(input);
	return 0;
}

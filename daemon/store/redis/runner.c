/* SPDX-License-Identifier: ISC */
/*
 * The name is what SCRIPT LOAD answers. What is sent after it on the same connection finds the
 * script there, so a name that is known from an earlier connection is used at once.
 */
#include "daemon/store/redis/runner.h"

#include <assert.h>

#include "common/alloc.h"
#include "daemon/store/redis/resp.h"

#define NAME_BYTES 40
#define LOAD_TIMEOUT_MS 1000

struct loaded {
	struct redis_call call;
	char name[NAME_BYTES];
	bool has_name;
};

struct redis_runner {
	const struct scripts *scripts;
	enum script first;
	size_t count;
	struct buf out;
	struct loaded loaded[SCRIPTS];
};

struct redis_runner *redis_runner_new(
	const struct scripts *scripts, enum script first, enum script last)
{
	struct redis_runner *runner = mem_zalloc(sizeof(*runner));

	runner->scripts = scripts;
	runner->first = first;
	runner->count = (size_t)(last - first) + 1;
	buf_init(&runner->out, (size_t)1 << 20);
	return runner;
}

void redis_runner_free(struct redis_runner **runner)
{
	if (!*runner)
		return;
	buf_release(&(*runner)->out);
	mem_free(runner);
}

static struct loaded *loaded_of(struct redis_runner *runner, enum script script)
{
	assert(script >= runner->first && script - runner->first < runner->count);
	return &runner->loaded[script - runner->first];
}

static void on_loaded(struct redis_call *call, const struct redis_reply *reply)
{
	struct loaded *loaded = LIST_ENTRY(call, struct loaded, call);
	struct slice name = redis_reply_text(reply);

	if (redis_reply_type(reply) != REDIS_TYPE_STRING || name.len != NAME_BYTES)
		return;
	memcpy(loaded->name, name.data, NAME_BYTES);
	loaded->has_name = true;
}

void redis_runner_up(struct redis_runner *runner, struct redis_port *port)
{
	for (size_t i = 0; i < runner->count; i++) {
		struct loaded *loaded = &runner->loaded[i];

		buf_reset(&runner->out);
		resp_command(&runner->out, 3);
		resp_slice(&runner->out, SLICE("SCRIPT"));
		resp_slice(&runner->out, SLICE("LOAD"));
		resp_slice(&runner->out,
			scripts_text(runner->scripts, (enum script)(runner->first + i)));
		loaded->call.answered = on_loaded;
		if (!redis_call_is_out(&loaded->call))
			(void)!port->send(
				port, &loaded->call, buf_slice(&runner->out), LOAD_TIMEOUT_MS);
	}
}

void redis_runner_begin(struct redis_runner *runner, enum script script, size_t keys,
	size_t arguments, struct buf *out)
{
	const struct loaded *loaded = loaded_of(runner, script);

	resp_command(out, 3 + keys + arguments);
	if (loaded->has_name) {
		resp_slice(out, SLICE("EVALSHA"));
		resp_slice(out, slice_make(loaded->name, NAME_BYTES));
	} else {
		resp_slice(out, SLICE("EVAL"));
		resp_slice(out, scripts_text(runner->scripts, script));
	}
	resp_u64(out, keys);
}

void redis_runner_forget(struct redis_runner *runner, enum script script)
{
	loaded_of(runner, script)->has_name = false;
}

/* SPDX-License-Identifier: ISC */
/*
 * The files of scripts/ become part of the program as they are; a script is a few of them, one
 * after the other. The makefile knows that this file depends on them.
 * tests/integration/redis_server.py reads the table below, too.
 *
 * Built with -DREEVE_TEST_NO_FENCE the scripts lack what protects them from commands of other
 * times: a build for tests only, which must see that their checker finds that out.
 */
#include "daemon/store/redis/scripts.h"

#include "common/alloc.h"
#include "common/buf.h"

#define MAX_PARTS 10 /* and an empty one behind the last */
#define MAX_BYTES 65536

#define PART(name)                                                       \
	__asm__(".section .rodata\n"                                     \
		".global redis_script_" #name "\n"                       \
		".global redis_script_" #name "_end\n"                   \
		"redis_script_" #name ":\n"                              \
		".incbin \"daemon/store/redis/scripts/" #name ".lua\"\n" \
		"redis_script_" #name "_end:\n"                          \
		".byte 0\n"                                              \
		".previous\n");                                          \
	extern const char redis_script_##name[], redis_script_##name##_end[];

PART(fence)
PART(time)
PART(late)
PART(window)
PART(wait)
PART(txn)
PART(back)
PART(hello)
PART(reserve)
PART(settle)
PART(refund)
PART(assert)
PART(look)
PART(reset)
PART(seek)
PART(list)
PART(list_pull)
PART(list_put)
PART(list_remove)
PART(strike)

struct part {
	const char *begin, *end;
};

#define P(name)                                                \
	{                                                      \
		redis_script_##name, redis_script_##name##_end \
	}
#ifdef REEVE_TEST_NO_FENCE
#define FENCED P(time)
#else
#define FENCED P(fence), P(time), P(late)
#endif

static const struct part parts[SCRIPTS][MAX_PARTS] = {
	[SCRIPT_HELLO] = {P(time), P(hello)},
	[SCRIPT_RESERVE] = {FENCED, P(window), P(wait), P(txn), P(reserve)},
	[SCRIPT_SETTLE] = {FENCED, P(window), P(wait), P(txn), P(back), P(settle)},
	[SCRIPT_REFUND] = {FENCED, P(window), P(txn), P(back), P(refund)},
	[SCRIPT_ASSERT] = {FENCED, P(window), P(assert)},
	[SCRIPT_LOOK] = {FENCED, P(window), P(wait), P(look)},
	[SCRIPT_RESET] = {FENCED, P(window), P(reset)},
	[SCRIPT_SEEK] = {FENCED, P(window), P(txn), P(seek)},
	[SCRIPT_LIST_PULL] = {P(time), P(list), P(list_pull)},
	[SCRIPT_LIST_PUT] = {P(time), P(list), P(list_put)},
	[SCRIPT_LIST_REMOVE] = {P(time), P(list), P(list_remove)},
	[SCRIPT_STRIKE] = {P(time), P(strike)},
};

struct scripts {
	struct buf text[SCRIPTS];
};

struct scripts *scripts_new(void)
{
	struct scripts *scripts = mem_zalloc(sizeof(*scripts));

	for (int i = 0; i < SCRIPTS; i++) {
		buf_init(&scripts->text[i], MAX_BYTES);
		for (const struct part *part = parts[i]; part->begin; part++)
			buf_add(&scripts->text[i],
				slice_make(part->begin, (size_t)(part->end - part->begin)));
	}
	return scripts;
}

void scripts_free(struct scripts **scripts)
{
	if (!*scripts)
		return;
	for (int i = 0; i < SCRIPTS; i++)
		buf_release(&(*scripts)->text[i]);
	mem_free(scripts);
}

struct slice scripts_text(const struct scripts *scripts, enum script script)
{
	return buf_slice(&scripts->text[script]);
}

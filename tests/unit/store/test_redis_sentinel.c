/* SPDX-License-Identifier: ISC */
/*
 * A master, two replicas and three sentinels, all real: the master is found through them, and
 * found again after a fail-over. Then sentinels that are down, lie, or want a password.
 */
#include <stdio.h>

#include "tests/unit/store/redis_rig.h"

#define SENTINELS 3

static struct redis_server *master, *replicas[2], *sentinels[SENTINELS];

static void end(void)
{
	rig_teardown();
	for (int i = 0; i < SENTINELS; i++)
		redis_server_end(&sentinels[i]);
	redis_server_end(&replicas[0]);
	redis_server_end(&replicas[1]);
	redis_server_end(&master);
}

TestSuite(redis_sentinel, .init = rig_setup, .fini = end, .timeout = 60);

static void start_sentinel(int i, const char *name, const char *more)
{
	char lines[512];

	snprintf(lines, sizeof(lines),
		"sentinel monitor %s 127.0.0.1 %u 2\nsentinel down-after-milliseconds %s 500\n"
		"sentinel failover-timeout %s 5000\n%s",
		name, redis_server_port(master), name, name, more);
	sentinels[i] = redis_server_start_sentinel(lines);
}

static void ask_them(void)
{
	rig.where.master = SLICE("mail");
	rig.where.host_count = SENTINELS;
	for (int i = 0; i < SENTINELS; i++)
		rig.hosts[i] = (struct config_redis_host){
			SLICE("127.0.0.1"), sentinels[i] ? redis_server_port(sentinels[i]) : 1};
}

static void start_all(void)
{
	char lines[64];

	master = redis_server_start(NULL);
	snprintf(lines, sizeof(lines), "replicaof 127.0.0.1 %u", redis_server_port(master));
	for (int i = 0; i < 2; i++)
		replicas[i] = redis_server_start(lines);
	for (int i = 0; i < SENTINELS; i++)
		start_sentinel(i, "mail", "");
	ask_them();
}

static bool sentinels_know_all(void)
{
	for (int i = 0; i < SENTINELS; i++) {
		const char *text =
			redis_server_say(sentinels[i], "SENTINEL", "MASTER", "mail", NULL);

		if (!strstr(text, "num-slaves 2") || !strstr(text, "num-other-sentinels 2"))
			return false;
	}
	return true;
}

static unsigned address_port(void)
{
	unsigned port = 0;

	cr_assert(sscanf(rig_health().address, "127.0.0.1:%u", &port) == 1);
	return port;
}

/* Criterion's clock is ours: how long nobody was there is printed. */
static void fail_over(void (*break_it)(struct redis_server *))
{
	uint64_t begun;

	start_all();
	rig_link();
	RIG_UNTIL(rig.ups == 1);
	cr_assert(address_port() == redis_server_port(master));
	RIG_UNTIL(sentinels_know_all());
	break_it(master);
	begun = rig_mono_ms();
	RIG_UNTIL(rig.ups == 2);
	cr_log_info("without a master for %d ms", (int)(rig_mono_ms() - begun));
	cr_assert(address_port() == redis_server_port(replicas[0]) ||
		  address_port() == redis_server_port(replicas[1]));
	cr_assert(rig.notices >= 1 && rig.notice == REDIS_NOTICE_MASTER);
}

Test(redis_sentinel, fail_over_after_kill)
{
	fail_over(redis_server_kill);
}

Test(redis_sentinel, fail_over_after_freeze)
{
	struct probe probe = {0};

	fail_over(redis_server_freeze);
	/* The old one comes back and becomes a replica; nobody goes there. */
	redis_server_thaw(master);
	RIG_UNTIL(strstr(redis_server_say(master, "ROLE", NULL), "slave"));
	cr_assert(probe_send(&probe, 1000, "SET", "{reeve}:a", "x", NULL));
	RIG_UNTIL(probe.answered);
	cr_assert(probe.type == REDIS_TYPE_STATUS && rig.ups == 2);
}

/* By hand, with the old master alive: it closes our connection, or the sentinels tell. */
Test(redis_sentinel, fail_over_by_hand)
{
	start_all();
	rig_link();
	RIG_UNTIL(rig.ups == 1);
	RIG_UNTIL(sentinels_know_all());
	RIG_UNTIL(strcmp(redis_server_say(sentinels[0], "SENTINEL", "FAILOVER", "mail", NULL),
			  "OK") == 0);
	RIG_UNTIL(rig.ups >= 2 && address_port() != redis_server_port(master));
}

Test(redis_sentinel, dead_ones_are_passed_over)
{
	master = redis_server_start(NULL);
	start_sentinel(2, "mail", "");
	ask_them();
	rig_link();
	RIG_UNTIL(rig.ups == 1);
}

/* One that was left behind names what is no longer there, for ever, and answers first. */
Test(redis_sentinel, one_that_names_a_dead_master_is_passed_over)
{
	master = redis_server_start(NULL);
	sentinels[0] = redis_server_start_sentinel("sentinel monitor mail 127.0.0.1 1 2\n");
	start_sentinel(1, "mail", "");
	ask_them();
	rig_link();
	RIG_UNTIL(rig.ups == 1);
	cr_assert(address_port() == redis_server_port(master));
}

Test(redis_sentinel, a_silent_one_is_passed_over)
{
	uint64_t begun;

	master = redis_server_start(NULL);
	start_sentinel(0, "mail", "");
	start_sentinel(2, "mail", "");
	redis_server_freeze(sentinels[0]);
	ask_them();
	rig_link();
	begun = rig_mono_ms();
	RIG_UNTIL(rig.ups == 1);
	cr_assert(rig_mono_ms() - begun < 1500);
	redis_server_thaw(sentinels[0]);
}

Test(redis_sentinel, no_sentinel)
{
	ask_them();
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_NO_MASTER);
	cr_assert_str_eq(rig_health().detail, "sentinel 127.0.0.1:1: Connection refused");
}

Test(redis_sentinel, an_unknown_name)
{
	master = redis_server_start(NULL);
	for (int i = 0; i < SENTINELS; i++)
		start_sentinel(i, "other", "");
	ask_them();
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_NO_MASTER);
	cr_assert(strstr(rig_health().detail, "knows no master of that name"));
}

/* They are gone, the master is not: it is used on. */
Test(redis_sentinel, the_known_master_is_used_without_them)
{
	master = redis_server_start(NULL);
	start_sentinel(1, "mail", "");
	ask_them();
	rig_link();
	RIG_UNTIL(rig.ups == 1);
	redis_server_kill(sentinels[1]);
	redis_server_say(master, "CLIENT", "KILL", "TYPE", "normal", NULL);
	RIG_UNTIL(rig.downs == 1);
	RIG_UNTIL(rig.ups == 2);
}

Test(redis_sentinel, with_a_password)
{
	rig.options.password_file = rig_file("secret\n");
	master = redis_server_start("requirepass secret");
	start_sentinel(1, "mail", "requirepass secret\nsentinel auth-pass mail secret");
	ask_them();
	rig_link();
	RIG_UNTIL(rig.ups == 1);
}

Test(redis_sentinel, a_password_that_they_do_not_have)
{
	rig.options.password_file = rig_file("secret\n");
	master = redis_server_start("requirepass secret");
	start_sentinel(0, "mail", "sentinel auth-pass mail secret");
	ask_them();
	rig_link();
	RIG_UNTIL(rig.ups == 1);
}

Test(redis_sentinel, a_redis_that_is_no_sentinel)
{
	master = redis_server_start(NULL);
	sentinels[0] = redis_server_start(NULL);
	ask_them();
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_NO_MASTER);
}

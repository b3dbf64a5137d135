/* SPDX-License-Identifier: ISC */
/*
 * The link against a real redis-server: coming up, commands, and everything that can go wrong with
 * it: refused, frozen, paused, killed, wrong password, a replica, loading.
 */
#include <signal.h>
#include <unistd.h>

#include "tests/unit/store/redis_rig.h"

static struct redis_server *server;

static void end(void)
{
	rig_teardown();
	redis_server_end(&server);
}

TestSuite(redis_link, .init = rig_setup, .fini = end, .timeout = 60);

static void start(const char *lines)
{
	server = redis_server_start(lines);
	rig_to_unix(redis_server_socket(server));
	rig_link();
	RIG_UNTIL(rig.ups == 1);
}

Test(redis_link, comes_up_over_a_unix_socket_and_answers_in_order)
{
	struct probe set = {0}, get = {0}, none = {0}, list = {0};

	start(NULL);
	cr_assert(rig_health().trouble == REDIS_TROUBLE_NONE && rig_health().up);
	cr_assert(probe_send(&set, 1000, "SET", "{reeve}:a", "hello", NULL));
	cr_assert(probe_send(&get, 1000, "GET", "{reeve}:a", NULL));
	cr_assert(probe_send(&none, 1000, "GET", "{reeve}:b", NULL));
	cr_assert(probe_send(&list, 1000, "STRLEN", "{reeve}:a", NULL));
	cr_assert(set.answered == 0, "nothing is called from inside");
	RIG_UNTIL(list.answered);
	cr_assert(set.answered == 1 && set.type == REDIS_TYPE_STATUS);
	cr_assert(get.answered == 1 && get.type == REDIS_TYPE_STRING);
	cr_assert_str_eq(get.text, "hello");
	cr_assert(none.answered == 1 && none.type == REDIS_TYPE_NIL && !none.ended);
	cr_assert(list.type == REDIS_TYPE_INTEGER && list.integer == 5);
	cr_assert(rig_health().out == 0 && rig_health().replies == 4);
}

Test(redis_link, comes_up_over_tcp)
{
	server = redis_server_start(NULL);
	rig_to_port(redis_server_port(server));
	rig_link();
	RIG_UNTIL(rig.ups == 1);
	cr_assert(strncmp(rig_health().address, "127.0.0.1:", 10) == 0);
}

Test(redis_link, one_write_a_turn)
{
	struct probe probes[200] = {0};
	uint64_t writes;

	start(NULL);
	writes = rig_health().writes;
	for (int i = 0; i < 200; i++)
		cr_assert(probe_send(&probes[i], 1000, "INCR", "{reeve}:n", NULL));
	RIG_UNTIL(probes[199].answered);
	cr_assert(probes[199].integer == 200);
	cr_assert(rig_health().writes == writes + 1, "%d writes",
		(int)(rig_health().writes - writes));
}

Test(redis_link, a_callback_may_send)
{
	struct probe second = {0}, first = {.then = &second};

	start(NULL);
	cr_assert(probe_send(&first, 1000, "PING", NULL));
	RIG_UNTIL(second.answered);
	cr_assert(first.then_sent && !second.ended);
	cr_assert_str_eq(second.text, "PONG");
}

Test(redis_link, errors_are_answers)
{
	struct probe wrong = {0}, script = {0};

	start(NULL);
	redis_server_say(server, "SET", "{reeve}:a", "x", NULL);
	cr_assert(probe_send(&wrong, 1000, "HGETALL", "{reeve}:a", NULL));
	cr_assert(probe_send(
		&script, 1000, "EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0", NULL));
	RIG_UNTIL(script.answered);
	cr_assert(wrong.error == REDIS_ERROR_WRONGTYPE);
	cr_assert(script.error == REDIS_ERROR_NOSCRIPT);
	cr_assert(rig.downs == 0);
	cr_assert(rig_health().errors[REDIS_ERROR_NOSCRIPT] == 1);
}

Test(redis_link, turns_without_its_loop)
{
	struct probe second = {0}, first = {.then = &second};

	start(NULL);
	cr_assert(probe_send(&first, 1000, "INCR", "{reeve}:n", NULL));
	while (redis_link_turn(rig.link, 5000))
		;
	cr_assert(first.answered && first.integer == 1);
	cr_assert(second.answered && !second.ended, "what a callback sends goes too");
	cr_assert_not(redis_link_turn(rig.link, 5000), "nothing is out: no waiting");
}

Test(redis_link, frozen_it_does_not_turn_for_longer_than_it_was_told)
{
	struct probe probe = {0};

	start(NULL);
	redis_server_freeze(server);
	cr_assert(probe_send(&probe, 60000, "PING", NULL));
	cr_assert_not(redis_link_turn(rig.link, 1));
	cr_assert_not(probe.answered);
	redis_link_forget(rig.link, &probe.call);
	redis_server_thaw(server);
}

Test(redis_link, selects_its_database)
{
	struct probe probe = {0};

	rig.where.db = 5;
	start(NULL);
	cr_assert(probe_send(&probe, 1000, "SET", "{reeve}:a", "in five", NULL));
	RIG_UNTIL(probe.answered);
	redis_server_say(server, "SELECT", "5", NULL);
	cr_assert_str_eq(redis_server_say(server, "GET", "{reeve}:a", NULL), "in five");
}

Test(redis_link, a_database_that_is_not_there)
{
	server = redis_server_start(NULL);
	rig_to_unix(redis_server_socket(server));
	rig.where.db = 77;
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_FORBIDDEN);
	cr_assert_str_eq(rig_health().detail, "ERR DB index is out of range");
}

/* ---- not there ---- */

Test(redis_link, refused_and_there_later)
{
	struct probe probe = {0};

	server = redis_server_start(NULL);
	redis_server_kill(server);
	rig_to_port(redis_server_port(server));
	rig_link();
	RIG_UNTIL(rig_health().attempts >= 3);
	cr_assert(rig_health().trouble == REDIS_TROUBLE_CONNECT);
	cr_assert_str_eq(rig_health().detail, "Connection refused");
	cr_assert(!probe_send(&probe, 1000, "PING", NULL), "refused at once");
	cr_assert(probe.answered == 0);
	redis_server_again(server);
	RIG_UNTIL(rig.ups == 1);
}

Test(redis_link, no_such_socket)
{
	rig_to_unix("/tmp/reeve-there-is-no-such-socket");
	rig_link();
	RIG_UNTIL(rig_health().attempts >= 2);
	cr_assert(rig_health().trouble == REDIS_TROUBLE_CONNECT);
	cr_assert_str_eq(rig_health().detail, "No such file or directory");
	cr_assert_str_eq(rig_health().address, "unix:/tmp/reeve-there-is-no-such-socket");
}

Test(redis_link, a_socket_path_that_is_too_long)
{
	static char path[200];

	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	rig_to_unix(path);
	rig_link();
	RIG_UNTIL(rig_health().attempts >= 1);
	cr_assert_str_eq(rig_health().detail, "File name too long");
}

/* A stopped server still takes connections: that is not being up. */
Test(redis_link, frozen_before_the_first_word)
{
	uint64_t begun;

	server = redis_server_start(NULL);
	redis_server_freeze(server);
	rig_to_unix(redis_server_socket(server));
	rig_link();
	begun = rig_mono_ms();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_TIMEOUT);
	cr_assert(rig_mono_ms() - begun >= 500 && rig_mono_ms() - begun < 1500);
	cr_assert(rig.ups == 0);
	redis_server_thaw(server);
	RIG_UNTIL(rig.ups == 1);
}

/* ---- there, and then not ---- */

Test(redis_link, killed_with_calls_out)
{
	struct probe probes[50] = {0}, late = {0};

	start(NULL);
	redis_server_freeze(server);
	for (int i = 0; i < 50; i++)
		cr_assert(probe_send(&probes[i], 5000, "INCR", "{reeve}:n", NULL));
	probes[0].then = &late;
	rig_turn();
	redis_server_kill(server);
	RIG_UNTIL(rig.downs == 1);
	for (int i = 0; i < 50; i++)
		cr_assert(probes[i].answered == 1 && probes[i].ended, "%d", i);
	cr_assert(!probes[0].then_sent && late.answered == 0, "refused from within the end, too");
	cr_assert(rig_health().trouble == REDIS_TROUBLE_CLOSED ||
		  rig_health().trouble == REDIS_TROUBLE_CONNECT);
	redis_server_again(server);
	RIG_UNTIL(rig.ups == 2);
	cr_assert(rig.connection == 2);
}

Test(redis_link, frozen_with_calls_out_is_given_up_after_three)
{
	struct probe probes[4] = {0};
	uint64_t begun;

	start(NULL);
	redis_server_freeze(server);
	begun = rig_mono_ms();
	for (int i = 0; i < 4; i++)
		cr_assert(probe_send(&probes[i], 300, "PING", NULL));
	RIG_UNTIL(rig.downs == 1);
	cr_assert(rig_mono_ms() - begun >= 300 && rig_mono_ms() - begun < 900);
	for (int i = 0; i < 4; i++)
		cr_assert(probes[i].overdue == 1 && probes[i].answered == 1 && probes[i].ended);
	cr_assert(!probe_send(&probes[0], 300, "PING", NULL), "nobody waits again");
	cr_assert(rig_health().trouble == REDIS_TROUBLE_SILENT);
	redis_server_thaw(server);
	RIG_UNTIL(rig.ups == 2);
}

Test(redis_link, frozen_with_one_call_out_is_given_up_after_a_second)
{
	struct probe probe = {0};
	uint64_t begun;

	start(NULL);
	redis_server_freeze(server);
	begun = rig_mono_ms();
	cr_assert(probe_send(&probe, 300, "PING", NULL));
	RIG_UNTIL(probe.overdue);
	cr_assert(!probe.answered && rig.downs == 0 && redis_call_is_out(&probe.call));
	RIG_UNTIL(rig.downs == 1);
	cr_assert(rig_mono_ms() - begun >= 1000 && rig_mono_ms() - begun < 2000);
	cr_assert(probe.ended && probe.overdue == 1);
}

/* Nothing to do: a PING finds out. */
Test(redis_link, frozen_while_idle)
{
	uint64_t begun;

	start(NULL);
	redis_server_freeze(server);
	begun = rig_mono_ms();
	RIG_UNTIL(rig.downs == 1);
	cr_assert(rig_mono_ms() - begun < 3500);
	cr_assert(rig_health().trouble == REDIS_TROUBLE_SILENT);
}

Test(redis_link, idle_and_well_stays_up)
{
	uint64_t calls;

	start(NULL);
	calls = rig_health().calls;
	RIG_UNTIL(rig_health().replies >= calls + 2);
	cr_assert(rig.downs == 0);
}

/* Silence without an end of the connection. The late reply still comes to its call. */
Test(redis_link, a_pause_shorter_than_a_second)
{
	struct probe probe = {0}, after = {0};

	start(NULL);
	redis_server_say(server, "CLIENT", "PAUSE", "600", NULL);
	cr_assert(probe_send(&probe, 300, "INCR", "{reeve}:n", NULL));
	RIG_UNTIL(probe.overdue);
	RIG_UNTIL(probe.answered);
	cr_assert(!probe.ended && probe.integer == 1 && rig.downs == 0);
	cr_assert(probe_send(&after, 300, "INCR", "{reeve}:n", NULL));
	RIG_UNTIL(after.answered);
	cr_assert(after.overdue == 0 && after.integer == 2);
}

Test(redis_link, a_forgotten_call_keeps_the_order)
{
	struct probe *gone = calloc(1, sizeof(*gone)), before = {0}, after = {0};

	start(NULL);
	cr_assert(probe_send(&before, 1000, "ECHO", "one", NULL));
	cr_assert(probe_send(gone, 1000, "ECHO", "two", NULL));
	cr_assert(probe_send(&after, 1000, "ECHO", "three", NULL));
	redis_link_forget(rig.link, &gone->call);
	cr_assert(!redis_call_is_out(&gone->call));
	free(gone);
	RIG_UNTIL(after.answered);
	cr_assert_str_eq(before.text, "one");
	cr_assert_str_eq(after.text, "three");
}

Test(redis_link, closing_ends_what_is_out)
{
	struct probe probe = {0};

	start(NULL);
	redis_server_freeze(server);
	cr_assert(probe_send(&probe, 5000, "PING", NULL));
	rig_turn();
	redis_link_close(&rig.link);
	cr_assert(probe.answered == 1 && probe.ended);
	cr_assert(rig.downs == 0, "no event follows");
}

/* ---- what it says ---- */

Test(redis_link, with_a_password)
{
	struct probe probe = {0};

	rig.options.password_file = rig_file("secret word\n");
	start("requirepass \"secret word\"");
	cr_assert(probe_send(&probe, 1000, "PING", NULL));
	RIG_UNTIL(probe.answered);
	cr_assert_str_eq(probe.text, "PONG");
}

Test(redis_link, a_wrong_password_is_not_tried_again_soon)
{
	server = redis_server_start("requirepass right");
	rig_to_unix(redis_server_socket(server));
	rig.options.password_file = rig_file("wrong");
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_PASSWORD);
	cr_assert_str_eq(rig_health().detail, "WRONGPASS: user or password is wrong");
	cr_assert(redis_link_next(rig.link) >= rig_mono_ms() + 7000);
	cr_assert(rig_health().attempts == 1);
}

/* Redis tells the arguments of a command that it does not know, the password among them. */
Test(redis_link, a_password_is_never_told)
{
	server = redis_server_start("rename-command AUTH \"\"");
	rig_to_unix(redis_server_socket(server));
	rig.where.user = SLICE("anna");
	rig.options.password_file = rig_file("hush-hush");
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_PASSWORD);
	cr_assert(!strstr(rig_health().detail, "hush"), "%s", rig_health().detail);
	cr_assert_str_eq(
		rig_health().detail, "AUTH is refused: no password is set there, or no users");
}

Test(redis_link, a_password_where_none_is_set)
{
	server = redis_server_start(NULL);
	rig_to_unix(redis_server_socket(server));
	rig.options.password_file = rig_file("hush-hush");
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_PASSWORD);
	cr_assert_str_eq(
		rig_health().detail, "AUTH is refused: no password is set there, or no users");
}

Test(redis_link, what_only_serves_to_be_sure_may_be_renamed)
{
	start("rename-command ROLE \"\"\nrename-command INFO \"\"");
	cr_assert(rig.notices == 2 && rig.notice == REDIS_NOTICE_UNCHECKED);
	redis_server_kill(server);
	RIG_UNTIL(rig.downs == 1);
	redis_server_again(server);
	RIG_UNTIL(rig.ups == 2);
	cr_assert(rig.notices == 2, "once each");
}

Test(redis_link, no_password_where_one_is_needed)
{
	server = redis_server_start("requirepass right");
	rig_to_unix(redis_server_socket(server));
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_PASSWORD);
	cr_assert_str_eq(rig_health().detail, "NOAUTH Authentication required.");
}

Test(redis_link, a_password_file_that_is_not_there)
{
	server = redis_server_start(NULL);
	rig_to_unix(redis_server_socket(server));
	rig.options.password_file = SLICE("/tmp/reeve-no-such-secret");
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_PASSWORD);
	cr_assert_str_eq(rig_health().detail, "No such file or directory");
}

/* A user that may do what Reeve needs and nothing else. */
Test(redis_link, a_user_with_few_rights)
{
	struct probe good = {0}, bad = {0};

	rig.where.user = SLICE("reeve");
	rig.options.password_file = rig_file("secret");
	start("user reeve on >secret ~{reeve}:* resetchannels -@all +set +ping");
	cr_assert(rig.notices == 2 && rig.notice == REDIS_NOTICE_UNCHECKED);
	cr_assert_str_eq(rig.notice_detail, "INFO");
	good.call.writes = true;
	cr_assert(probe_send(&good, 1000, "SET", "{reeve}:a", "x", NULL));
	cr_assert(probe_send(&bad, 1000, "SET", "other", "x", NULL));
	RIG_UNTIL(bad.answered);
	cr_assert(good.type == REDIS_TYPE_STATUS && bad.error == REDIS_ERROR_NOPERM);
	cr_assert(rig.downs == 0 && rig_health().trouble == REDIS_TROUBLE_FORBIDDEN);
	cr_assert(probe_send(&good, 1000, "SET", "{reeve}:a", "x", NULL));
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_NONE);
}

Test(redis_link, an_eviction_policy_is_told)
{
	start("maxmemory-policy allkeys-lru");
	cr_assert(rig.notices == 1 && rig.notice == REDIS_NOTICE_EVICTION);
	cr_assert_str_eq(rig.notice_detail, "allkeys-lru");
}

Test(redis_link, out_of_memory_is_no_end)
{
	struct probe probe = {.call.writes = true}, again = {.call.writes = true};

	start(NULL);
	redis_server_say(server, "CONFIG", "SET", "maxmemory", "1", NULL);
	cr_assert(probe_send(&probe, 1000, "SET", "{reeve}:a", "x", NULL));
	RIG_UNTIL(probe.answered);
	cr_assert(probe.error == REDIS_ERROR_OOM && rig.downs == 0);
	cr_assert(rig_health().up && rig_health().trouble == REDIS_TROUBLE_REFUSES_WRITES);
	redis_server_say(server, "CONFIG", "SET", "maxmemory", "0", NULL);
	cr_assert(probe_send(&again, 1000, "SET", "{reeve}:a", "x", NULL));
	RIG_UNTIL(again.answered);
	cr_assert(rig_health().trouble == REDIS_TROUBLE_NONE);
}

Test(redis_link, a_replica_is_not_used)
{
	struct redis_server *master = redis_server_start(NULL);
	char lines[64];

	snprintf(lines, sizeof(lines), "replicaof 127.0.0.1 %u", redis_server_port(master));
	server = redis_server_start(lines);
	rig_to_unix(redis_server_socket(server));
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_NO_MASTER);
	cr_assert_str_eq(rig_health().detail, "the role there is slave");
	cr_assert(rig.ups == 0);
	redis_server_say(server, "REPLICAOF", "NO", "ONE", NULL);
	RIG_UNTIL(rig.ups == 1);
	redis_server_end(&master);
}

/* Redis closes connections of users when it becomes a replica, or the first write is refused. */
Test(redis_link, a_master_that_becomes_a_replica_is_left)
{
	struct redis_server *master = redis_server_start(NULL);
	char port[16];

	start(NULL);
	snprintf(port, sizeof(port), "%u", redis_server_port(master));
	redis_server_say(server, "REPLICAOF", "127.0.0.1", port, NULL);
	while (rig.downs == 0) {
		struct probe probe = {0};

		cr_assert(probe_send(&probe, 1000, "SET", "{reeve}:a", "x", NULL));
		RIG_UNTIL(probe.answered);
	}
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_NO_MASTER);
	redis_server_end(&master);
}

Test(redis_link, loading_is_waited_for)
{
	server = redis_server_start("enable-debug-command yes\nkey-load-delay 200\n"
				    "loading-process-events-interval-bytes 1024");
	redis_server_say(server, "DEBUG", "POPULATE", "20000", "k", "200", NULL);
	rig_to_unix(redis_server_socket(server));
	rig_link();
	RIG_UNTIL(rig.ups == 1);
	redis_server_tell(server, "DEBUG", "RELOAD", NULL);
	RIG_UNTIL(rig.downs == 1);
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_LOADING);
	RIG_UNTIL(rig.ups == 2);
}

/* Said in place of the answer to AUTH, it is not about the password: the next attempt comes soon. */
Test(redis_link, too_many_clients)
{
	server = redis_server_start(NULL);
	redis_server_say(server, "CONFIG", "SET", "requirepass", "secret", NULL);
	redis_server_say(server, "CONFIG", "SET", "maxclients", "1", NULL);
	rig_to_unix(redis_server_socket(server));
	rig.options.password_file = rig_file("secret");
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_CONNECT);
	cr_assert_str_eq(rig_health().detail, "max number of clients reached");
	cr_assert(redis_link_next(rig.link) < rig_mono_ms() + 2000);
	redis_server_say(server, "CONFIG", "SET", "maxclients", "100", NULL);
	RIG_UNTIL(rig.ups == 1);
}

/* ---- the subscriber ---- */

Test(redis_link, hears_what_is_published)
{
	struct probe probe = {0};

	rig.options.channel = SLICE("{reeve}:hint");
	start(NULL);
	cr_assert(!probe_send(&probe, 1000, "PING", NULL), "it takes no commands");
	redis_server_say(server, "PUBLISH", "{reeve}:other", "no", NULL);
	redis_server_say(server, "PUBLISH", "{reeve}:hint", "17", NULL);
	RIG_UNTIL(rig.messages == 1);
	cr_assert_str_eq(rig.message, "17");
	RIG_UNTIL(rig_health().replies >= 2); /* PONGs */
	redis_server_kill(server);
	RIG_UNTIL(rig.downs == 1);
	redis_server_again(server);
	RIG_UNTIL(rig.ups == 2);
	redis_server_say(server, "PUBLISH", "{reeve}:hint", "18", NULL);
	RIG_UNTIL(rig.messages == 2);
}

Test(redis_link, a_frozen_channel_is_noticed)
{
	rig.options.channel = SLICE("{reeve}:hint");
	start(NULL);
	redis_server_freeze(server);
	RIG_UNTIL(rig.downs == 1);
	redis_server_thaw(server);
	RIG_UNTIL(rig.ups == 2);
}

Test(redis_link, a_channel_that_is_forbidden)
{
	server = redis_server_start("user default on nopass ~* resetchannels +@all");
	rig_to_unix(redis_server_socket(server));
	rig.options.channel = SLICE("{reeve}:hint");
	rig_link();
	RIG_UNTIL(rig_health().trouble == REDIS_TROUBLE_FORBIDDEN);
}

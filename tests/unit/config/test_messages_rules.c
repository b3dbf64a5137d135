/* SPDX-License-Identifier: ISC */
/*
 * What is said about rules, conditions and limits, and the sections around
 * them.
 */
#include "tests/unit/config/support.h"

static const struct message_case cases[] = {
	{"rule_no_name",
		"rules:\n"
		"  - { check: ban }\n",
		"f:2:5: a rule needs 'name'\n"},
	{"rule_no_check",
		"rules:\n"
		"  - { name: a }\n",
		"f:2:5: a rule needs 'check'\n"},
	{"rule_check",
		"rules:\n"
		"  - { name: a, check: bann }\n"
		"  - { name: b, check: whatever }\n",
		"f:2:23: unknown check 'bann' (did you mean 'ban'?)\n"
		"f:3:23: unknown check 'whatever'\n"},
	{"rule_name",
		"rules:\n"
		"  - { name: A_b, check: ban }\n",
		"f:2:13: 'name' needs small letters, digits and '-', at most 32, not 'A_b'\n"},
	{"rule_twice",
		"rules:\n"
		"  - { name: a, check: ban }\n"
		"  - { name: a, check: ptr }\n",
		"f:3:13: rule 'a' is there already (first in line 2)\n"},
	{"rule_key",
		"rules:\n"
		"  - { name: hourly, check: rate, per: login, limmit: 200/1h }\n",
		"f:2:5: rule 'hourly' needs 'limits' or 'limit'\n"
		"f:2:46: unknown key 'limmit' in rule 'hourly' (did you mean 'limit'?)\n"},
	{"rule_scalar",
		"rules:\n"
		"  - banned\n",
		"f:2:5: 'rules' needs a map like { name: banned, check: ban } for each rule, not 'banned'\n"},
	{"rules_empty", "rules:\n",
		"f:1:7: 'rules' has nothing behind it: [] means no rules, without the key the default rules apply\n"},
	{"rules_map", "rules: { name: a }\n", "f:1:8: 'rules' needs a list of rules, not a map\n"},
	{"rule_action",
		"rules:\n"
		"  - { name: a, check: ban, action: refuse }\n",
		"f:2:36: 'action' needs reject, defer, disconnect, hold, discard, mark, warn or pass, not 'refuse'\n"},
	{"rule_early",
		"rules:\n"
		"  - { name: a, check: ban, early: yes }\n"
		"  - { name: b, check: ban, early: yes, match: { server_port: [25, 587] } }\n",
		"f:2:35: 'early: yes' needs 'match: { server_port: [25] }': elsewhere clients may still log in\n"
		"f:3:35: 'early: yes' needs 'match: { server_port: [25] }': elsewhere clients may still log in\n"},
	{"rule_temporary",
		"rules:\n"
		"  - { name: a, check: ban, action: reject, temporary: yes }\n",
		"f:2:55: 'temporary: yes' is for 'action: disconnect' only\n"},
	{"rule_reply",
		"rules:\n"
		"  - name: a\n"
		"    check: ban\n"
		"    reply: {sender}\n",
		"f:4:12: 'reply' needs a text, not a map; a text with braces or ': ' needs quotes\n"},
	{"rule_until",
		"rules:\n"
		"  - { name: a, check: ban, until: tomorrow }\n"
		"  - { name: b, check: ban, until: 2030-02-30 }\n",
		"f:2:35: 'until' needs a date, like 2030-12-31, not 'tomorrow'\n"
		"f:3:35: 'until' needs a date, like 2030-12-31, not '2030-02-30'\n"},
	{"reserved",
		"rules:\n"
		"  - { name: a, check: rate, per: login, count: networks, limit: 5/1h }\n"
		"  - { name: b, check: ban, escalate: x, notify: y, bcc: z }\n",
		"f:2:48: 'count: networks' is not yet supported\n"
		"f:3:28: 'escalate' is not yet supported\n"
		"f:3:41: 'notify' is not yet supported\n"
		"f:3:52: 'bcc' is not yet supported\n"},
	{"reserved_greeter", "postfix: { greeter: yes }\n",
		"f:1:12: 'greeter' is not yet supported\n"},
	{"cond_unknown",
		"rules:\n"
		"  - { name: a, check: ban, match: { senders: [\"a@b.example\"] } }\n",
		"f:2:37: unknown key 'senders' in the conditions (did you mean 'sender'?)\n"},
	{"cond_state",
		"rules:\n"
		"  - { name: a, check: ban, match: { state: [RCTP, HALLO] } }\n",
		"f:2:45: 'RCTP' is no state of Postfix (did you mean 'RCPT'?)\n"
		"f:2:51: 'HALLO' is no state of Postfix: CONNECT, EHLO, MAIL, RCPT, DATA, END-OF-MESSAGE, VRFY or ETRN\n"},
	{"cond_size",
		"rules:\n"
		"  - { name: a, check: ban, match: { size: 10MiB } }\n"
		"  - { name: b, check: ban, match: { size: \">10\" } }\n",
		"f:2:43: 'size' needs '<' or '>' and a size with a unit, like \">10MiB\", not '10MiB'\n"
		"f:3:43: 'size' needs '<' or '>' and a size with a unit, like \">10MiB\", not '>10'\n"},
	{"cond_port",
		"rules:\n"
		"  - { name: a, check: ban, match: { server_port: smtp } }\n",
		"f:2:50: 'server_port' needs a whole number from 1 to 65535, not 'smtp'\n"},
	{"cond_empty",
		"rules:\n"
		"  - { name: a, check: ban, match: [{}, x] }\n",
		"f:2:36: a map without conditions would always hold\n"
		"f:2:40: conditions are a map, like { authenticated: yes }, or a list of maps\n"},
	{"cond_tls",
		"rules:\n"
		"  - { name: a, check: ban, match: { tls: perhaps, client: [10.0.0.1/8] } }\n",
		"f:2:42: 'tls' needs yes or no, not 'perhaps'\n"
		"f:2:60: '10.0.0.1/8' is no network: host bits are not 0\n"},
	{"limit_bare",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limit: 200 }\n",
		"f:2:48: 'limit' needs a rate with a window, like 200/1h, not '200'\n"},
	{"limit_letters",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limit: 1O0/1h }\n",
		"f:2:48: 'limit' needs a rate, like 200/1h or 10MiB/1d, or unlimited, not '1O0/1h'\n"},
	{"limit_window",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limit: 5/10ms }\n",
		"f:2:48: 'limit' needs a window from 1s to 366d, not '5/10ms'\n"},
	{"limit_overflow",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limit: 9999999999999999/1h }\n",
		"f:2:48: 'limit' needs a limit below 2^53, not '9999999999999999/1h'\n"},
	{"limits_numbers",
		"rules:\n"
		"  - name: a\n"
		"    check: rate\n"
		"    per: login\n"
		"    limits: [2, 500]\n",
		"f:5:14: 'limits' needs a map like { limit: 200/1h } or file:/path for each entry, not '2'\n"
		"f:5:17: 'limits' needs a map like { limit: 200/1h } or file:/path for each entry, not '500'\n"},
	{"limits_missing",
		"rules:\n"
		"  - { name: a, check: rate, per: login }\n",
		"f:2:5: rule 'a' needs 'limits' or 'limit'\n"},
	{"limits_both",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limit: 1/1h, limits: [{ limit: 2/1h }] }\n",
		"f:2:41: 'limits' and 'limit' cannot both be given\n"},
	{"limits_no_limit",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limits: [{ login: x }] }\n",
		"f:2:50: an entry of 'limits' needs 'limit'\n"},
	{"limits_empty",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limits: [] }\n",
		"f:2:49: 'limits' needs at least one entry\n"},
	{"limits_window_twice",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limit: [200/1h, 100/60m] }\n",
		"f:2:57: '100/60m' has the window of another limit beside it\n"},
	{"limits_unlimited",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limit: [unlimited, 100/60m] }\n",
		"f:2:48: 'unlimited' cannot stand beside other limits\n"},
	{"limit_plain_rate",
		"rules:\n"
		"  - { name: a, check: recipients, limit: 100/1h }\n",
		"f:2:42: 'limit' needs a whole number, like 100, or unlimited, not '100/1h'\n"},
	{"limit_bytes",
		"rules:\n"
		"  - { name: a, check: rate, per: login, limit: 10MiB/1h }\n",
		"f:2:5: a limit in bytes needs 'count: bytes'\n"},
	{"limit_per",
		"rules:\n"
		"  - { name: a, check: rate, limit: 10/1h }\n",
		"f:2:5: rule 'a' needs 'per'\n"},
	{"bans_order", "bans: { duration: 2d }\n", "f:1:19: 'max_duration' is below 'duration'\n"},
	{"maillog", "bans: { maillog: /var/log/mail.log }\n",
		"f:1:18: 'maillog' needs file:/path, journal or off, not '/var/log/mail.log'\n"},
	{"command",
		"bans: { on_ban: [nft-ban] }\n"
		"notify: { command: [page], mail_to: [-f] }\n",
		"f:1:18: 'on_ban' needs a program with its absolute path first, not 'nft-ban'\n"
		"f:2:21: 'command' needs a program with its absolute path first, not 'page'\n"
		"f:2:38: 'mail_to' needs mail addresses, like postmaster@example.com, not '-f'\n"},
	{"banner", "postfix: { banner: \"a\\nb\" }\n",
		"f:1:20: 'banner' needs a line of printable ASCII, like \"$myhostname ESMTP\", not 'a\\x0Ab'\n"},
};

Test(config_messages_rules, every_message_stands_at_its_place)
{
	expect_messages(cases, sizeof(cases) / sizeof(cases[0]));
}

/* SPDX-License-Identifier: ISC */
/*
 * What is said about values and sections: where, what was expected, what
 * stood there.
 */
#include "tests/unit/config/support.h"

static const struct message_case cases[] = {
	{"duration_bare", "deadline: 60\n",
		"f:1:11: 'deadline' needs a duration with a unit, like 300ms, 90s, 15m, 1h or 7d, not '60'\n"},
	{"duration_unit",
		"store:\n"
		"  timeout: 1hour30\n",
		"f:2:12: 'timeout' needs a duration with a unit, like 300ms, 90s, 15m, 1h or 7d, not '1hour30'\n"},
	{"duration_range", "deadline: 70s\n",
		"f:1:11: 'deadline' needs a duration from 100ms to 1m, not '70s'\n"},
	{"idle", "idle_timeout: 900s\n",
		"f:1:15: 'idle_timeout' needs a duration from 1000s to 30d, not '900s'\n"},
	{"u64", "max_connections: many\n",
		"f:1:18: 'max_connections' needs a whole number from 1 to 1000000, not 'many'\n"},
	{"u64_range", "max_connections: 0\n",
		"f:1:18: 'max_connections' needs a whole number from 1 to 1000000, not '0'\n"},
	{"overflow",
		"bans:\n"
		"  max_entries: 99999999999999999999\n",
		"f:2:16: 'max_entries' needs a whole number from 1 to 10000000, not '99999999999999999999'\n"},
	{"negative",
		"bans:\n"
		"  disconnect_at: -1\n",
		"f:2:18: 'disconnect_at' needs a whole number from 0 to 1000000, not '-1'\n"},
	{"bool",
		"bans:\n"
		"  on_disconnect: maybe\n",
		"f:2:18: 'on_disconnect' needs yes or no, not 'maybe'\n"},
	{"percent_bare",
		"bans:\n"
		"  min_bad_share: 80\n",
		"f:2:18: 'min_bad_share' needs a percentage, like 80%, not '80'\n"},
	{"percent_range",
		"bans:\n"
		"  max_share: 120%\n",
		"f:2:14: 'max_share' needs a percentage, like 80%, not '120%'\n"},
	{"rate_bare",
		"bans:\n"
		"  ban_at: 40\n",
		"f:2:11: 'ban_at' needs a rate, like 200/1h, or off, not '40'\n"},
	{"rate_zero",
		"bans:\n"
		"  ban_at: 0/1h\n",
		"f:2:11: 'ban_at' needs a rate, like 200/1h, or off, not '0/1h'\n"},
	{"rate_bytes",
		"bans:\n"
		"  auth_failures: 10MiB/1h\n",
		"f:2:18: 'auth_failures' needs a rate, like 200/1h, or off, not '10MiB/1h'\n"},
	{"word", "mode: enforced\n",
		"f:1:7: 'mode' needs enforce or monitor, not 'enforced' (did you mean 'enforce'?)\n"},
	{"word_far",
		"log:\n"
		"  to: nowhere-at-all\n",
		"f:2:7: 'to' needs stderr or syslog, not 'nowhere-at-all'\n"},
	{"word_list", "mode: [enforce]\n", "f:1:7: 'mode' needs enforce or monitor, not a list\n"},
	{"no_value",
		"mode:\n"
		"log:\n"
		"  level:\n",
		"f:1:6: 'mode' needs enforce or monitor, but nothing stands here\n"
		"f:3:9: 'level' needs error, warning, notice, info or debug, but nothing stands here\n"},
	{"decimal",
		"store:\n"
		"  slack: much\n",
		"f:2:10: 'slack' needs a number from 0 to 100, like 1.0, not 'much'\n"},
	{"slack_zero",
		"store:\n"
		"  slack: 0\n",
		"f:2:10: 'slack' needs a number above 0, like 1.0, not '0'\n"},
	{"section_list", "store: [a]\n", "f:1:8: 'store' needs a map of keys, not a list\n"},
	{"version", "version: 2\n", "f:1:10: 'version' needs a whole number that is 1, not '2'\n"},
	{"list_map",
		"site:\n"
		"  domains: { a: b }\n",
		"f:2:12: 'domains' needs a list, not a map\n"},
	{"list_in_list",
		"site:\n"
		"  domains: [a.example, [b.example]]\n",
		"f:2:24: 'domains' needs a text for each entry, not a list\n"},
	{"empty_entry",
		"site:\n"
		"  domains: [\"\"]\n",
		"f:2:13: 'domains' has an empty entry\n"},
	{"listen_form", "listen: 127.0.0.1:10045\n",
		"f:1:9: 'listen' needs inet:host:port or unix:/path, not '127.0.0.1:10045'\n"},
	{"listen_port", "listen: inet:127.0.0.1:99999\n",
		"f:1:9: a port is a whole number from 1 to 65535, not '99999'\n"},
	{"listen_port0", "listen: inet:127.0.0.1:0\n",
		"f:1:9: a port is a whole number from 1 to 65535, not '0'\n"},
	{"listen_name", "listen: inet:mail.example.com:10045\n",
		"f:1:9: 'mail.example.com' is no IP address (of names, only 'localhost' is known)\n"},
	{"listen_v6", "listen: inet:::1:10045\n",
		"f:1:9: an IPv6 address needs brackets, like inet:[::1]:10045\n"},
	{"listen_open",
		"listen:\n"
		"  - inet:0.0.0.0:10045\n",
		"f:2:5: an address that is not loopback needs 'allow', like { address: \"inet:192.0.2.9:10045\", "
		"allow: [192.0.2.0/24] }\n"},
	{"listen_twice",
		"listen:\n"
		"  - inet:127.0.0.1:10045\n"
		"  - inet:localhost:10045\n",
		"f:3:5: this address is given twice (first in line 2)\n"},
	{"listen_none", "listen: []\n",
		"f:1:9: 'listen' needs at least one address and at most 64\n"},
	{"listen_mode", "listen: { address: \"unix:/run/x\", mode: rw, group: \"\" }\n",
		"f:1:41: 'mode' needs the mode of a file, like \"0660\", not 'rw'\n"
		"f:1:52: 'group' needs the name of a user or group, not ''\n"},
	{"listen_keys", "listen: { address: \"inet:127.0.0.1:1\", owner: reeve }\n",
		"f:1:47: 'owner' is for unix addresses only\n"},
	{"listen_allow", "listen: { address: \"unix:/run/x\", allow: [10.0.0.0/8] }\n",
		"f:1:42: 'allow' is for inet addresses only\n"},
	{"listen_no_address", "listen: { mode: \"0660\" }\n",
		"f:1:9: an entry of 'listen' needs 'address'\n"},
	{"listen_path", "listen: unix:relative\n",
		"f:1:9: 'listen' needs an absolute path behind 'unix:', not 'relative'\n"},
	{"listen_long",
		"listen: "
		"unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
		"f:1:9: the path of a unix socket has at most 107 bytes, not 121\n"},
	{"control_inet", "control: inet:127.0.0.1:9000\n",
		"f:1:10: 'control' needs unix:/path, for whoever reaches it commands Reeve, not 'inet:127.0.0.1:9000'\n"},
	{"metrics_bad", "metrics: on\n",
		"f:1:10: 'metrics' needs inet:host:port or unix:/path, not 'on'\n"},
	{"url_scheme",
		"store:\n"
		"  url: mysql://localhost\n",
		"f:2:8: 'url' needs embedded:/path, redis://, rediss://, redis+unix:// or redis+sentinel://, not "
		"'mysql://localhost'\n"},
	{"url_path", "store: { url: \"embedded:var/lib\" }\n",
		"f:1:15: the url needs the form embedded:/path, or \"embedded:\" to keep everything in memory, "
		"not 'embedded:var/lib'\n"},
	{"url_password",
		"store:\n"
		"  url: redis://user:secret@127.0.0.1:6379/0\n",
		"f:2:8: a password does not belong here; put it into a file and name that in 'password_file'\n"},
	{"url_db",
		"store:\n"
		"  url: redis://127.0.0.1:6379/x\n",
		"f:2:8: the url needs the form redis://[user@]host:port/db, not 'redis://127.0.0.1:6379/x'\n"},
	{"url_sentinel",
		"store:\n"
		"  url: redis+sentinel://127.0.0.1:26379\n",
		"f:2:8: the url needs the form redis+sentinel://host:port,host:port/name, not 'redis+sentinel://127.0.0.1:26379'\n"},
	{"url_unix",
		"store:\n"
		"  url: redis+unix://run/redis.sock\n",
		"f:2:8: the url needs the form redis+unix:///path or redis+unix:///path?db=N, not 'redis+unix://run/redis.sock'\n"},
	{"store_name",
		"store:\n"
		"  prefix: \"a b\"\n"
		"  password_file: secret\n",
		"f:2:11: 'prefix' needs letters, digits, '-', '_' and '.', at most 64, not 'a b'\n"
		"f:3:18: 'password_file' needs an absolute path, not 'secret'\n"},
	{"dns_server",
		"dns:\n"
		"  servers: [127.0.0.1, resolver.example, \"127.0.0.1:0\"]\n",
		"f:2:24: 'servers' needs 'system' or addresses like 127.0.0.1:53, not 'resolver.example'\n"
		"f:2:42: 'servers' needs 'system' or addresses like 127.0.0.1:53, not '127.0.0.1:0'\n"},
	{"domain_bad",
		"site:\n"
		"  origin: a@b\n"
		"  domains: [a..b, \"@example.com\"]\n",
		"f:2:11: 'origin' needs a domain, like example.com, not 'a@b'\n"
		"f:3:13: 'domains' needs domains, like example.com or .lists.example.com, not 'a..b'\n"
		"f:3:19: 'domains' needs domains, like example.com or .lists.example.com, not '@example.com'\n"},
	{"account_twice",
		"site:\n"
		"  domains: [a.example]\n"
		"  accounts:\n"
		"    x: [a.example]\n"
		"    y: [A.example]\n",
		"f:5:9: domain 'A.example' belongs to an account already (line 4)\n"},
	{"account_name",
		"site:\n"
		"  accounts: { \"a b\": [] }\n",
		"f:2:15: the name of an account is a word of at most 128 bytes, not 'a b'\n"},
	{"accounts_list",
		"site:\n"
		"  accounts: [a]\n",
		"f:2:13: 'accounts' needs a map, like { acme: [acme.example, acme.test] }, not a list\n"},
	{"owners",
		"site:\n"
		"  owners: [\"a@example.com\"]\n",
		"f:2:12: 'owners' needs entries like 'address login[,login...]', not 'a@example.com'\n"},
	{"network",
		"site:\n"
		"  addresses: [192.0.2.300, 192.0.2.1/24, 10.0.0.0/33]\n",
		"f:2:15: '192.0.2.300' is no network: no IP address or network\n"
		"f:2:28: '192.0.2.1/24' is no network: host bits are not 0\n"
		"f:2:42: '10.0.0.0/33' is no network: the prefix length must be 0 to 32\n"},
	{"network_not",
		"site:\n"
		"  local_networks: [\"!10.0.0.0/8\"]\n",
		"f:2:20: '!' in front of a network is possible in conditions only\n"},
	{"delimiter",
		"site:\n"
		"  recipient_delimiter: \"@\"\n",
		"f:2:24: 'recipient_delimiter' needs at most 8 characters, like \"+\" or \"+-\", not '@'\n"},
	{"list_unknown",
		"lists: { bulk: [\"@a.example\"] }\n"
		"site:\n"
		"  domains: [\"list:bulks\"]\n",
		"f:3:13: there is no list 'bulks' in 'lists' (did you mean 'bulk'?)\n"},
	{"list_nested",
		"lists:\n"
		"  a: [x]\n"
		"  b: [\"list:a\"]\n",
		"f:3:7: a list cannot hold another list ('list:a')\n"},
	{"list_bad", "lists: { \"a b\": [x], c: { d: e } }\n",
		"f:1:10: the name of a list needs letters, digits, '-', '_' and '.' only, not 'a b'\n"
		"f:1:25: 'c' needs a list, not a map\n"},
	{"file_relative",
		"site:\n"
		"  domains: [\"file:domains\"]\n",
		"f:2:13: 'file:' needs an absolute path, not 'domains'\n"},
	{"file_absent",
		"site:\n"
		"  domains: [\"file:/nonexistent/domains\"]\n",
		"f:2:13: '/nonexistent/domains' cannot be read: No such file or directory\n"},
	{"tables_of_postfix",
		"site:\n"
		"  domains: [hash:/etc/postfix/d, \"mysql:/etc/d.cf\", \"proxy:mysql:/d\"]\n"
		"bans: { on_ban: [/bin/x, hash:x, \"lmdb:\", pcre, \"unix:/run/x\"] }\n",
		"f:2:13: 'domains' needs file:/etc/postfix/d, the text that Postfix's table is made of, "
		"not 'hash:/etc/postfix/d'\n"
		"f:2:34: 'domains' cannot read 'mysql:/etc/d.cf'; it reads text, one item a line: "
		"file:/path\n"
		"f:2:53: 'domains' cannot read 'proxy:mysql:/d'; it reads text, one item a line: "
		"file:/path\n"},
	{"file_folder",
		"site:\n"
		"  domains: [\"file:/etc\"]\n",
		"f:2:13: '/etc' cannot be read: is no regular file\n"},
};

Test(config_messages_values, every_message_stands_at_its_place)
{
	expect_messages(cases, sizeof(cases) / sizeof(cases[0]));
}

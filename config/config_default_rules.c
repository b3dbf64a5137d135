/* SPDX-License-Identifier: ISC */
/*
 * The rules of a configuration that has no `rules`: YAML like any other, so that
 * there is one way to read rules. The same list stands in config/reeve.yaml; a test
 * compares the two.
 */
#include "config/config_parts.h"

const char config_default_rules[] =
	"- { name: banned, check: ban }\n"
	"- { name: ehlo-names, check: helo, names: [ylmf-pc] }\n"
	"- { name: local-sender, check: local_sender, allow: authenticated, subdomains: no, mode: monitor }\n"
	"- { name: own-account, check: sender_login, scope: account, mode: monitor }\n"
	"- { name: sender-domain, check: sender_domain, on_error: defer }\n"
	"- { name: ptr, check: ptr, on_missing: mark, confirm: no }\n"
	"- { name: literals, check: address_literal, accept: [] }\n"
	"- { name: catchall, check: catchall, maps: [] }\n"
	"- { name: per-message, check: recipients, limit: 100 }\n"
	"- name: hourly\n"
	"  check: rate\n"
	"  per: login\n"
	"  count: recipients\n"
	"  limits:\n"
	"    - { limit: [200/1h, 1000/1d] }\n"
	"  warn_at: 80%\n"
	"  action: defer\n"
	"- name: relay-clients\n"
	"  check: rate\n"
	"  per: client\n"
	"  match: { client_privileged: yes, authenticated: no }\n"
	"  limits: [{ limit: 1000/1h }]\n"
	"  mode: monitor\n";

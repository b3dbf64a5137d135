#!/bin/sh
# SPDX-License-Identifier: ISC
# Plants each kind of violation in a small tree of its own and sees that the lints find it,
# and that they are silent about the same tree without it.
lint=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d) || exit 1
trap 'rm -rf "$tree"' EXIT
status=0

fresh() {
	rm -rf "$tree" && mkdir -p "$tree/common" "$tree/config" "$tree/daemon/mail" "$tree/daemon/rules" \
		"$tree/daemon/engine" "$tree/daemon/dns" "$tree/daemon/ctl" "$tree/packaging/man"
	for file in common/a.c common/a.h config/c.h daemon/mail/m.c daemon/rules/ban.c daemon/rules/table.c \
		daemon/engine/pipeline.h daemon/engine/rule.h daemon/engine/services.h daemon/dns/dns_ares.c daemon/ctl/main.c; do
		printf '/* SPDX-License-Identifier: ISC */\n/* An example. */\n' >"$tree/$file"
	done
	echo '#include "daemon/engine/services.h"' >>"$tree/daemon/engine/rule.h"
	echo '#include "daemon/engine/services.h"' >>"$tree/daemon/rules/ban.c"
	echo '#include <unistd.h>' >>"$tree/common/a.c"
	echo '#include <ares.h>' >>"$tree/daemon/dns/dns_ares.c"
	printf 'rules:\n  - { name: banned, check: ban }\n' >"$tree/config/reeve.yaml"
	echo 'rules name check ban' >"$tree/packaging/man/reeve.yaml.5"
	printf '.Sh FILES\n.It Cm none No (info)\n.Sh LOG\n.It Cm ready , told No (notice)\n.It Cm no_event\n' >"$tree/packaging/man/reeved.8"
	echo 'void tell(int level, const char *event);' >>"$tree/common/a.h"
	echo 'void f(void) { logline_text(&line, "event", "ready"); tell(g(1, 2), "told"); /* tell(1, "not"); */ }' >>"$tree/common/a.c"
}

# finds LINT 'text of the message' FILE 'line to plant'
finds() {
	fresh
	printf '%b\n' "$4" >>"$tree/$3"
	out=$("$lint/$1" "$tree" 2>&1) && out="no violation found; $out"
	case $out in
	*"$2"*) ;;
	*)
		echo "selftest: $1 does not find '$4' in $3; it says: $out"
		status=1
		;;
	esac
}

fresh
for script in layers.py source.py docs.py events.py; do
	out=$("$lint/$script" "$tree" 2>&1) || {
		echo "selftest: $script finds fault with a good tree: $out"
		status=1
	}
done
finds layers.py 'common may not include' common/a.c '#include "config/c.h"'
finds layers.py 'daemon/mail may not include' daemon/mail/m.c '#include "daemon/dns/dns.h"'
finds layers.py 'daemon/rules may not include' daemon/rules/ban.c '#include "daemon/engine/pipeline.h"'
finds layers.py 'daemon/engine may not include' daemon/engine/rule.h '#include "daemon/rules/table.h"'
finds layers.py 'daemon/ctl may not include' daemon/ctl/main.c '#include "daemon/store/store.h"'
finds layers.py 'belongs in' common/a.c '#include <uv.h>'
finds layers.py 'belongs in' daemon/mail/m.c '#include <unistr.h>'
finds layers.py 'include by path' common/a.c '#include "a.h"'
finds source.py 'strcpy is not used' common/a.c 'x = strcpy(a, b);'
finds source.py 'system is not used' common/a.c '\tsystem (cmd);'
finds source.py 'white space' common/a.c 'int x; '
finds source.py 'unfinished' common/a.c '/* TODO */'
finds source.py 'blanks' common/a.c '        int x;'
finds source.py 'columns' common/a.c "$(printf 'x%.0s' $(seq 150))"
finds source.py '81 lines, 80' common/a.c "f()\n{\n$(printf '\\tx;\\n%.0s' $(seq 81))}"
finds source.py '603 lines, 600' common/a.c "$(printf '%.0s\\n' $(seq 598))"
finds source.py 'README.md has 201' README.md "$(printf 'x\\n%.0s' $(seq 200))"
finds source.py 'first line must be' common/b.c 'int x;'
finds source.py 'no opening comment' common/b.c '/* SPDX-License-Identifier: ISC */\n\nint x;'
finds docs.py 'key `listen`' config/reeve.yaml 'listen: x'
finds docs.py 'key `size`' config/reeve.yaml '  #   match: { size: 1 }'
finds docs.py 'check `helo` is not documented' config/reeve.yaml '  - { check: helo }'
finds events.py 'event `lost` is not in' daemon/mail/m.c 'void f(void) { tell(1, x ? "lost" : "told"); }'
finds events.py 'event `lost` is not in' daemon/mail/m.c 'static const char *const my_events[] = { "lost" };'
finds events.py 'event `lost` is not in' daemon/mail/m.c 'at = put(at, SLICE("event=lost why="));'
finds events.py 'is a literal' daemon/mail/m.c 'void f(const char *why) { tell(1, why); }'
finds events.py 'event `gone` is nowhere' packaging/man/reeved.8 '.It Cm gone No (error)'
finds docs.py 'helo.c: is missing' config/reeve.yaml '  - { check: helo }'
if command -v gcc >/dev/null; then
	echo 'int main(void) { return 0; }' | gcc -no-pie -fno-stack-protector -Wl,-z,norelro,-z,lazy,-z,execstack \
		-x c -o "$tree/program" - 2>/dev/null
	[ "$("$lint/hardening.sh" "$tree/program" | wc -l)" -ge 5 ] || {
		echo "selftest: hardening.sh does not see a soft program"
		status=1
	}
fi
exit $status

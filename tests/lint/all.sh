#!/bin/sh
# SPDX-License-Identifier: ISC
# Every lint that needs no compiler; says which failed.
cd "$(dirname "$0")/../.." || exit 1
failed=
run() {
	name=$1
	shift
	"$@" || failed="$failed $name"
}
run layers tests/lint/layers.py
run source tests/lint/source.py
run docs tests/lint/docs.py
run events tests/lint/events.py
run man tests/lint/man.sh
run hardening tests/lint/hardening.sh ${PROGRAMS:-build/release/reeved}
run selftest tests/lint/selftest.sh
if [ -n "$failed" ]; then
	echo "lint: failed:$failed" >&2
	exit 1
fi
echo "lint: clean"

#!/bin/sh
# SPDX-License-Identifier: ISC
# Runs the scenario program on each file by itself, so that one crash does not hide the others.
# usage: run-scenarios.sh PROGRAM FILE...
program=$1
shift
passed=0
failed=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
export ASAN_OPTIONS="detect_leaks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
for file in "$@"; do
	if timeout -k 5 "${SCENARIO_TIMEOUT:-60}" "$program" "$file" >"$out" 2>&1; then
		passed=$((passed + 1))
	else
		echo "FAILED $file (exit $?)"
		cat "$out"
		failed=$((failed + 1))
	fi
done
echo "scenarios: $passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]

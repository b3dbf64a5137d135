#!/bin/sh
# SPDX-License-Identifier: ISC
# Runs one Criterion program and closes its traps: a leak is printed but the test passes, a program
# that found no tests ends with 0, a runner may hang, and a test may leave children behind.
# usage: run-criterion.sh PROGRAM [criterion options]
program=$1
shift
dir=$(mktemp -d "$program.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
# Criterion opens its own file by name while it runs: keep that name while others build.
ln "$program" "$dir/run" || exit 1
status=0
ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:log_path=$dir/asan${ASAN_OPTIONS:+:$ASAN_OPTIONS}" \
UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1:log_path=$dir/ubsan" \
	timeout -k 5 "${UNIT_TIMEOUT:-300}" "$dir/run" --timeout "${TEST_TIMEOUT:-60}" "$@" >"$dir/out" 2>&1 || status=$?
cat "$dir/out"
for report in "$dir"/asan.* "$dir"/ubsan.*; do
	[ -e "$report" ] || continue
	# Criterion's runner now and then loses one of its own 48 bytes; what we lose has a frame of ours behind malloc.
	if grep -q 'LeakSanitizer' "$report" && ! grep '#1 ' "$report" | grep -qv 'libcriterion\.so'; then
		# It ended with 1 for the leak then, unless the last line tells of a test.
		if [ "$status" = 1 ] && grep -q 'Tested: .*Failing: 0 | Crashing: 0' "$dir/out"; then
			status=0
		fi
		continue
	fi
	cat "$report"
	echo "$program: a sanitizer reported (above)" >&2
	status=1
done
if ! grep -q 'Tested: .*[1-9]' "$dir/out"; then
	echo "$program: no test ran" >&2
	status=1
fi
if [ "$status" = 124 ]; then
	echo "$program: did not end within ${UNIT_TIMEOUT:-300} s" >&2
fi
exit "$status"

#!/bin/sh
# SPDX-License-Identifier: ISC
# Runs the integration tests one after the other; each is a Python program that says what it does
# and exits with 0 (passed), 77 (cannot run on this machine, says why) or anything else (failed).
# What was skipped, and why, stands at the end, and in build/skipped for `make check`.
# usage: REEVED=... REEVECTL=... run-integration.sh FILE...
total=$#
if [ "$total" = 0 ]; then
	echo "no integration tests"
	exit 0
fi
if [ ! -x "$REEVED" ]; then
	echo "integration: $REEVED is missing: run 'make'" >&2
	exit 1
fi
export PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH="$PWD/tests/integration${PYTHONPATH:+:$PYTHONPATH}"
export REEVE_SKIPPED="$PWD/build/skipped"
mkdir -p build
rm -f "$REEVE_SKIPPED"
n=0
skipped=0
failed=
for file in "$@"; do
	n=$((n + 1))
	start=$(date +%s)
	echo "== integration $n of $total: $file"
	timeout -k 10 "${INTEGRATION_TIMEOUT:-600}" python3 -u "$file"
	status=$?
	seconds=$(($(date +%s) - start))
	case $status in
	0) echo "   passed in $seconds s" ;;
	77)
		echo "   skipped"
		skipped=$((skipped + 1))
		;;
	*)
		echo "   FAILED with $status after $seconds s"
		failed="$failed $file"
		;;
	esac
done
bad=$(echo "$failed" | wc -w)
echo "integration: $((total - skipped - bad)) passed, $bad failed, $skipped skipped"
if [ -s "$REEVE_SKIPPED" ]; then
	echo "not run on this machine:"
	sed 's/^/    /' "$REEVE_SKIPPED"
fi
if [ -n "$failed" ]; then
	echo "failed:$failed" >&2
	exit 1
fi

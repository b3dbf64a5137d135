#!/bin/sh
# SPDX-License-Identifier: ISC
# Runs the libFuzzer programs one after the other. What they find new goes to BUILD/corpus/NAME,
# what breaks them to BUILD/crash-NAME-*; the corpora under tests/fuzz/corpus are only read.
# usage: run-fuzz.sh BUILD SECONDS NAME...
build=$1
seconds=$2
shift 2
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
for name in "$@"; do
	echo "== fuzz $name, $seconds s"
	mkdir -p "$build/corpus/$name"
	set -- "$build/corpus/$name"
	[ -d "tests/fuzz/corpus/$name" ] && set -- "$@" "tests/fuzz/corpus/$name"
	[ -f "tests/fuzz/$name.dict" ] && set -- "$@" "-dict=tests/fuzz/$name.dict"
	"$build/tests/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -verbosity=0 -artifact_prefix="$build/crash-$name-" "$@" || exit 1
done
echo "fuzz: nothing found"

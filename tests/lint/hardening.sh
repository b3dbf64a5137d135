#!/bin/sh
# SPDX-License-Identifier: ISC
# Reads with readelf whether programs are built as the release profile means them to be.
# usage: hardening.sh PROGRAM...
status=0
bad() {
	echo "$1: $2"
	status=1
}
for program in "$@"; do
	if [ ! -f "$program" ]; then
		bad "$program" "is missing: run 'make' first"
		continue
	fi
	readelf -hW "$program" | grep -q 'Type:.*DYN' || bad "$program" "is no position independent executable"
	readelf -lW "$program" | grep -q 'GNU_RELRO' || bad "$program" "has no RELRO segment"
	readelf -dW "$program" | grep -q 'BIND_NOW\|FLAGS.*NOW' || bad "$program" "binds lazily: RELRO is not full"
	readelf -lW "$program" | grep 'GNU_STACK' | grep -q 'RWE' && bad "$program" "has an executable stack"
	readelf -lW "$program" | grep 'LOAD' | grep -q 'RWE' && bad "$program" "has a segment that is writable and executable"
	readelf -dW "$program" | grep -q 'RPATH\|RUNPATH' && bad "$program" "has a run path"
	symbols=$(readelf -sW "$program")
	echo "$symbols" | grep -q '__stack_chk_fail' || bad "$program" "has no stack protector"
	echo "$symbols" | grep -q '_chk@\|_chk$' || bad "$program" "has no fortified call"
done
exit $status

#!/bin/sh
# SPDX-License-Identifier: ISC
# clang-tidy, a few files at a time, with the checks of .clang-tidy. It is slow: name files to look at some only.
# usage: tidy.sh [FILE...]
[ $# -gt 0 ] || set -- $(find common config daemon -name '*.c' | sort)
echo "clang-tidy: $# files"
flags="-std=c11 -D_GNU_SOURCE -DREEVE_VERSION=\"0\" -I. $(pkg-config --cflags libuv libcares yaml-0.1 lmdb libidn2)"
printf '%s\n' "$@" | xargs -n 4 -P "$(nproc)" sh -c 'flags=$1; shift; exec clang-tidy --quiet "$@" -- $flags 2>/dev/null' sh "$flags"

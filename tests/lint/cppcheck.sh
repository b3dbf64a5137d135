#!/bin/sh
# SPDX-License-Identifier: ISC
# cppcheck over the program's own sources.
set -eu
folders=
for folder in common config daemon; do
	[ -d $folder ] && folders="$folders $folder"
done
mkdir -p build/cppcheck
exec cppcheck --quiet --std=c11 --language=c -D_GNU_SOURCE -I. -j "$(nproc)" --cppcheck-build-dir=build/cppcheck \
	--enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --suppress=unmatchedSuppression $folders

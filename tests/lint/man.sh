#!/bin/sh
# SPDX-License-Identifier: ISC
# The manual pages must be there and well formed (with mandoc, where it is installed).
# usage: man.sh [FOLDER]
folder=${1:-packaging/man}
status=0
pages='reeved.8 reeve.yaml.5'
[ -e daemon/ctl/main.c ] && pages="$pages reevectl.1"
for page in $pages; do
	name=${page%.*}
	if ! ls "$folder/$name".[1-8] >/dev/null 2>&1; then
		echo "$folder/$page: is missing"
		status=1
	fi
done
if command -v mandoc >/dev/null; then
	for page in "$folder"/*.[1-8]; do
		[ -e "$page" ] || continue
		mandoc -T lint -W warning "$page" || status=1
	done
fi
exit $status

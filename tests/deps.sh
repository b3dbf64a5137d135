#!/bin/sh
# SPDX-License-Identifier: ISC
# Installs through apt-get what is missing for a purpose; does nothing, quickly, when all is there.
# usage: deps.sh run|check|bench|fuzz|ci|package
set -eu

run='gcc libc6-dev pkgconf libuv1-dev libc-ares-dev libyaml-dev liblmdb-dev libidn2-dev libunistring-dev'
for file in daemon/store/redis/*.c; do
	[ -e "$file" ] && run="$run libhiredis-dev" && break
done
check="$run clang libcriterion-dev python3 binutils redis-server"
bench="$run valgrind python3"
ci="$check valgrind cppcheck clang-tidy clang-format mandoc"
package="$run dpkg-dev debhelper"
# libFuzzer comes with clang's run-time library, whose package carries clang's version in its name.
fuzz="$run clang"
if [ "${1:-}" = fuzz ] && command -v apt-cache >/dev/null; then
	version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
	[ -n "$version" ] && fuzz="$fuzz libclang-rt-$version-dev"
fi

purpose=${1:-run}
case $purpose in
run) packages=$run; why='the compiler and the libraries that reeved is linked with' ;;
check) packages=$check; why='compilers, libraries and the test framework' ;;
bench) packages=$bench; why='compiler and libraries, and valgrind to count instructions' ;;
ci) packages=$ci; why='compilers, libraries, the test framework and the static analysers' ;;
fuzz) packages=$fuzz; why='the libraries, clang and libFuzzer' ;;
package) packages=$package; why='what builds the Debian package' ;;
*) echo "deps.sh: run, check, bench, fuzz, ci or package, not '$purpose'" >&2; exit 64 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	for tool in cc pkg-config; do
		command -v $tool >/dev/null || {
			echo "deps.sh: this is no Debian system; please install: $packages" >&2
			exit 1
		}
	done
	exit 0
fi

missing=
for package in $packages; do
	case $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || :) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

echo "To go on, these Debian packages are needed ($why):"
echo " $missing"
sudo=
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps.sh: run as root: apt-get install$missing" >&2
		exit 1
	fi
	sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
set -- apt-get install -y -q --no-install-recommends $missing
if ! $sudo "$@"; then
	# Fresh machines and containers have no package lists, old ones have stale lists.
	$sudo apt-get update -q
	$sudo "$@"
fi

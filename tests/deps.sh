#!/bin/sh
# SPDX-License-Identifier: ISC
# Installs through apt-get what is missing for a purpose; does nothing, quickly, when all is there.
# Nothing that it installs is started or configured as a service: the tests have a Postfix and a
# Redis of their own, below private folders.
# usage: deps.sh run|check|bench|fuzz|ci|package
set -eu

run='gcc libc6-dev pkgconf libuv1-dev libc-ares-dev libyaml-dev liblmdb-dev libidn2-dev libunistring-dev'
for file in daemon/store/redis/*.c; do
	[ -e "$file" ] && run="$run libhiredis-dev" && break
done
# TLS to Redis: hiredis has it from 1.0 on, but its package does not ask for OpenSSL's headers.
tls_to_redis() {
	ls /usr/lib/*/pkgconfig/hiredis_ssl.pc >/dev/null 2>&1
}
if tls_to_redis; then
	run="$run libssl-dev"
fi
check="$run clang libcriterion-dev python3 binutils iproute2 nftables redis-server openssl"
postfix='postfix postfix-pcre'
bench="$run valgrind strace redis-server redis-tools python3"
ci="$check valgrind cppcheck clang-tidy clang-format mandoc"
package="$run build-essential debhelper libssl-dev"
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

# The mail transport agent other than Postfix that is installed, if any: apt would remove it for Postfix.
other_mta() {
	dpkg-query -W -f='${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
		awk '$1 == "installed" && $2 != "postfix" && / mail-transport-agent/ { print $2; exit }'
}

case $purpose in
check | ci)
	mta=$(other_mta)
	if [ -z "$mta" ]; then
		packages="$packages $postfix"
	elif [ ! -x /usr/sbin/postfix ]; then
		cat >&2 <<-EOF
			******************************************************************************
			This machine's mail goes through $mta, which stays: Postfix is not installed.
			Without Postfix every integration test with real mail is SKIPPED, and
			"make check" proves that much less. The last lines of the run name them.
			To run all: a machine, container or chroot without $mta.
			******************************************************************************
		EOF
	fi
	;;
esac

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

services=
for package in $missing; do
	case $package in postfix | redis-server) services="$services $package" ;; esac
done

# While apt runs, Debian's own switch keeps these services, and no others, from being started. A
# machine that has such a switch already (containers do) keeps its own.
policy=/usr/sbin/policy-rc.d
ours=
restore() {
	[ -z "$ours" ] || $sudo rm -f "$policy"
	ours=
}
if [ -n "$services" ]; then
	echo "Of these,$services will be neither started nor configured, nor started at boot."
	case $services in *postfix*)
		# What "dpkg-reconfigure postfix" asks first; so apt does not ask it, and leaves /etc/postfix alone.
		echo 'postfix postfix/main_mailer_type select No configuration' | $sudo debconf-set-selections
		;;
	esac
	trap restore EXIT
	trap 'exit 1' HUP INT TERM
	if [ ! -e "$policy" ]; then
		ours=yes
		printf '%s\n' '#!/bin/sh' "# Reeve's tests/deps.sh; gone when apt-get has ended." \
			'case " $* " in *" postfix"*|*" redis"*) exit 101 ;; esac' 'exit 0' |
			$sudo sh -c "cat >$policy && chmod 755 $policy"
	fi
fi

set -- env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
if ! $sudo "$@"; then
	# Fresh machines and containers have no package lists, old ones have stale lists.
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get update -q
	$sudo "$@"
fi
for service in $services; do
	$sudo update-rc.d "$service" disable >/dev/null 2>&1 || :
done
# What has just come may have TLS.
case " $packages " in
*" libssl-dev "*) ;;
*" libhiredis-dev "*) if tls_to_redis; then restore; exec "$0" "$purpose"; fi ;;
esac

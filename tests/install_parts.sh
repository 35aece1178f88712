#!/bin/sh
# The parts of the tests that pip cannot install: a browser and a PostgreSQL server. Debian's packages, where we may.
set -eu

missing=""
[ -x /usr/bin/chromium ] || command -v chromium google-chrome >/dev/null 2>&1 || missing="chromium"
command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing$([ "$missing" = "${missing# }" ] && echo " ")$missing for the tests …"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "The tests need:$missing. Install them and run this again (on Debian, as root: apt-get install$missing)." >&2
    exit 1
fi

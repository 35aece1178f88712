#!/bin/sh
# The parts of the tests that pip cannot install: a browser, a PostgreSQL server, Node and the official TypeScript SDK.
# Debian's packages, where we may.
set -eu

missing=""
[ -x /usr/bin/chromium ] || command -v chromium google-chrome >/dev/null 2>&1 || missing="chromium"
command -v postgres >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
command -v npm >/dev/null 2>&1 || missing="$missing nodejs npm"

if [ -z "$missing" ]; then
    :
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing$([ "$missing" = "${missing# }" ] && echo " ")$missing for the tests …"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "The tests need:$missing. Install them and run this again (on Debian, as root: apt-get install$missing)." >&2
    exit 1
fi

folder="$(dirname "$0")/sdk/typescript"
if [ ! -e "$folder/node_modules/.package-lock.json" ] || [ "$folder/package-lock.json" -nt "$folder/node_modules/.package-lock.json" ]; then
    echo "Installing the TypeScript SDK for the tests …"
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel error ||
        echo "npm could not install the TypeScript SDK, so its test will fail." >&2
fi

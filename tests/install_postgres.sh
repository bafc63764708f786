#!/bin/sh
# Installs the PostgreSQL server for the tests of several workers where it is missing and this user may install packages.
set -eu
command -v initdb >/dev/null 2>&1 && exit 0
for binary in /usr/lib/postgresql/*/bin/initdb /usr/local/pgsql/bin/initdb /opt/homebrew/opt/postgresql*/bin/initdb; do
  [ -x "$binary" ] && exit 0
done
if command -v apt-get >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then SUDO=""; elif command -v sudo >/dev/null 2>&1; then SUDO="sudo -n"; else SUDO="none"; fi
  if [ "$SUDO" != "none" ]; then
    echo "Installing PostgreSQL for the tests of several workers ..."
    log=$(mktemp)
    if $SUDO apt-get update -qq >"$log" 2>&1 &&
      $SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >>"$log" 2>&1
    then rm -f "$log"; exit 0; fi
    tail -n 5 "$log" >&2
    rm -f "$log"
  fi
fi
echo "No PostgreSQL found and it cannot be installed here: its tests will be skipped." >&2

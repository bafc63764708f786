#!/bin/sh
# Installs headless Chromium for the report's tests where it is missing and this user may install packages.
set -eu
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null 2>&1 && exit 0
done
if command -v apt-get >/dev/null 2>&1; then
  if [ "$(id -u)" = 0 ]; then SUDO=""; elif command -v sudo >/dev/null 2>&1; then SUDO="sudo -n"; else SUDO="none"; fi
  if [ "$SUDO" != "none" ]; then
    echo "Installing Chromium for the browser tests ..."
    $SUDO apt-get update -qq && $SUDO apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
  fi
fi
echo "No Chromium found and it cannot be installed here: the browser tests will be skipped." >&2

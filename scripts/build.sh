#!/usr/bin/env bash
# Builds with colcon where something that the build reads has changed. Called by setup.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/ros_env.sh
mastra_ros_env "$PWD"

# The build reads these files, and of the others (linked, not copied) only the names.
fingerprint() {
  cat .venv/.stamp
  sha256sum CMakeLists.txt package.xml setup.cfg scripts/build.sh msg/*.msg
  find mastra_ros mastra_ros_cli -maxdepth 1 ! -name __pycache__ | sort
  find test -name 'test_*.py' | cut -d/ -f1,2 | sort -u
  find config launch models -name __pycache__ -prune -o -type f -print | sort
}

stamp=$(fingerprint | sha256sum)
[[ -e install/mastra_ros/share/mastra_ros/package.xml && $(cat build/.stamp 2>/dev/null) == "$stamp" ]] && exit 0

echo "setup: building with colcon (about a minute the first time)"
mkdir -p build
rm -f build/.stamp
log=build/colcon.log
if ! colcon --log-base log build --symlink-install --paths . --executor sequential \
  --event-handlers console_cohesion+ console_stderr- status- desktop_notification- \
  --cmake-args "-DPython3_EXECUTABLE=$PWD/.venv/bin/python" -DCMAKE_BUILD_TYPE=Release \
  >"$log" 2>&1 </dev/null; then
  grep -nE -B2 -A12 'error|Error' "$log" | tail -n 60 >&2 || tail -n 30 "$log" >&2
  echo "setup: the build failed; the whole output is in $log" >&2
  exit 1
fi
echo "$stamp" >build/.stamp

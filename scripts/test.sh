#!/usr/bin/env bash
# Runs colcon test and prints the result of each test file and a total. Called by `make test`.
# Further arguments go to ctest: scripts/test.sh -R camera runs what has camera in its name.
# Two folders of tests run side by side, each in ROS domains of its own; much of a test is waiting.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. ./env.sh

results=build/mastra_ros/test_results/mastra_ros
log=build/test.log
rm -rf "$results"

# A process that was killed leaves its 64 MB of shared memory; what is in use is spared.
clean_shared_memory() {
  if command -v fastdds >/dev/null; then fastdds shm clean >/dev/null 2>&1 || true; fi
}
clean_shared_memory
trap clean_shared_memory EXIT

echo "test: running colcon test; all output goes to $log"
status=0
colcon --log-base log test --paths . --executor sequential --return-code-on-test-failure \
  --event-handlers console_direct+ console_start_end- status- summary- desktop_notification- \
  --ctest-args --output-on-failure -j2 "$@" </dev/null 2>&1 | tee "$log" |
  { grep --line-buffered -E '^ *[0-9]+/[0-9]+ Test +#' || true; } || status=$?

echo
# A folder whose process died left no result of its tests: of what it died stands only here.
{ grep -aoE 'run_test\.py: return code -[0-9]+' "$log" || true; } |
  sed -E 's/.*-([0-9]+)$/test: the process of a folder of tests died of signal \1/'
python scripts/test_report.py "$results" || exit 1
if ((status != 0)); then
  tail -n 20 "$log"
  echo "test: colcon test failed although no test did; see $log"
  exit 1
fi

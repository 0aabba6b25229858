# Source this in bash or zsh: a shell in which `mastra`, and `python` with rclpy and the messages
# of this package, work. Sourcing it again changes nothing.
#
# Set before, these are kept: ROS_AUTOMATIC_DISCOVERY_RANGE (default LOCALHOST: nothing is heard
# or said beyond this machine), ROS_STATIC_PEERS, FASTRTPS_DEFAULT_PROFILES_FILE.

if [ -n "${BASH_VERSION:-}" ]; then
  _mastra_file=${BASH_SOURCE[0]}
elif [ -n "${ZSH_VERSION:-}" ]; then
  eval '_mastra_file=${(%):-%x}'
else
  echo "env.sh: please source this in bash or zsh" >&2
  return 1
fi
_mastra_root=$(cd "$(dirname "$_mastra_file")" && pwd)
unset _mastra_file

if [ ! -e "$_mastra_root/.venv/.stamp" ] || [ ! -e "$_mastra_root/build/.stamp" ]; then
  echo "env.sh: not set up yet; please run: make -C $_mastra_root setup" >&2
  unset _mastra_root
  return 1
fi

. "$_mastra_root/scripts/ros_env.sh"
mastra_ros_env "$_mastra_root"
mastra_install_env "$_mastra_root"
unset _mastra_root
unset -f mastra_prepend mastra_ros_env mastra_install_env

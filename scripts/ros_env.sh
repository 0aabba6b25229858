# Sourced by env.sh and by the scripts: the variables of an environment that ROS 2 wheels or the
# system's ROS 2 need. Works in bash and zsh. Usage: . scripts/ros_env.sh ROOT

# mastra_prepend VARIABLE FOLDER: puts a folder first in a path variable, once.
mastra_prepend() {
  eval "_mastra_value=\${$1:-}"
  case ":$_mastra_value:" in
    *":$2:"*) ;;
    *) export "$1=$2${_mastra_value:+:$_mastra_value}" ;;
  esac
  unset _mastra_value
}

mastra_ros_env() {
  _mastra_venv=$1/.venv
  export VIRTUAL_ENV=$_mastra_venv
  mastra_prepend PATH "$_mastra_venv/bin"
  if [ ! -e "$_mastra_venv/share/rclpy" ]; then # the system's ROS 2 is used
    unset _mastra_venv
    return 0
  fi
  export ROS_VERSION=2
  # Without this, `import rclpy` restarts the process to set LD_LIBRARY_PATH.
  export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
  mastra_prepend AMENT_PREFIX_PATH "$_mastra_venv"
  mastra_prepend CMAKE_PREFIX_PATH "$_mastra_venv"
  mastra_prepend LD_LIBRARY_PATH "$_mastra_venv/lib"
  for _mastra_libs in "$_mastra_venv"/lib/python3.*/site-packages/ros_*.libs; do
    mastra_prepend LD_LIBRARY_PATH "$_mastra_libs"
  done
  unset _mastra_venv _mastra_libs
}

mastra_install_env() {
  _mastra_prefix=$1/install/mastra_ros
  mastra_prepend PATH "$_mastra_prefix/bin"
  mastra_prepend AMENT_PREFIX_PATH "$_mastra_prefix"
  mastra_prepend CMAKE_PREFIX_PATH "$_mastra_prefix"
  mastra_prepend LD_LIBRARY_PATH "$_mastra_prefix/lib"
  for _mastra_python in "$_mastra_prefix"/lib/python3.*/site-packages; do
    mastra_prepend PYTHONPATH "$_mastra_python"
  done
  export ROS_AUTOMATIC_DISCOVERY_RANGE=${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}
  case ${FASTRTPS_DEFAULT_PROFILES_FILE:-} in
    '' | "$1"/config/fastdds*.xml)
      _mastra_profile=fastdds_network.xml
      case $ROS_AUTOMATIC_DISCOVERY_RANGE in
        LOCALHOST | OFF) _mastra_profile=fastdds.xml ;;
      esac
      # As mastra_ros/nodes/shared_memory.py chooses for our own processes when they start.
      _mastra_kb=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $2}')
      if [ "${_mastra_kb:-0}" -lt 294912 ]; then _mastra_profile=${_mastra_profile%.xml}_small.xml; fi
      export FASTRTPS_DEFAULT_PROFILES_FILE=$1/config/$_mastra_profile
      ;;
  esac
  unset _mastra_prefix _mastra_python _mastra_profile _mastra_kb
}

"""The only code that knows ROS: one thin lifecycle node a stage."""

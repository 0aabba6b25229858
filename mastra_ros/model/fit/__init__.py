"""Whether the device model fits a microcontroller, by running it in TensorFlow Lite Micro."""

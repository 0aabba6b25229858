"""Several nodes at once: in one process, from launch files, and watched from outside."""

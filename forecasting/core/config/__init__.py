"""The configuration of a deployment: its sections, and how files, environment and --set become one."""

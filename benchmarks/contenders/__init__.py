"""Programs that are compared, each run in a process of its own; the last line of their output is their answer as JSON."""

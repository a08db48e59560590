"""The names that users give to XComs, `dag/run/task[3]:key` and short ids: read, looked up, and suggested."""

"""`launcher.py FILE PROGRAM ...` runs a program and writes to FILE what it took, as JSON.

A process begins with the largest memory of the one that started it, so this one has to be small: it imports nothing else,
and is run without packages.
"""

import os
import sys
import time


def main(file: str, *command: str) -> int:
    """Run the program with our streams; its exit code."""
    started = time.perf_counter()
    process = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - started
    with open(file, "w") as written:
        cpu = usage.ru_utime + usage.ru_stime
        written.write(f'{{"wall": {wall}, "cpu": {cpu}, "peak": {usage.ru_maxrss * 1024}}}')
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

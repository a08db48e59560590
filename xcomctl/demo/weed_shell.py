"""`weed shell` of a running SeaweedFS: one process that takes commands one after the other, since to start it takes most."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from xcomctl.errors import StoreError

_SECONDS = 60.0
_END = "end-of-this-command"
_SAID_OF_END = f"unknown command: {_END}\n".encode()


class WeedShell:
    """The shell, from its first command on. Close it; it also ends with the process that started it."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the packaged program, our own arguments
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )

    def run(self, line: str) -> None:
        """Run one command to its end. Raises StoreError where it fails, or takes longer than a minute."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 - it is a pipe
        assert stdout is not None  # noqa: S101 - it is a pipe
        said = b""
        deadline = time.monotonic() + _SECONDS
        try:
            # It says nothing at the end of a command, but names one that it does not know.
            stdin.write(f"{line}\n{_END}\n".encode())
            with selectors.DefaultSelector() as selector:
                selector.register(stdout, selectors.EVENT_READ)
                while not said.endswith(_SAID_OF_END):
                    if not selector.select(max(0.0, deadline - time.monotonic())):
                        raise StoreError("the S3 server's shell does not answer")
                    chunk = os.read(stdout.fileno(), 1 << 16)
                    if not chunk:
                        raise BrokenPipeError
                    said += chunk
        except BrokenPipeError:
            raise StoreError(f"the S3 server's shell ended: {_last_of(said)}") from None
        answer = said.removesuffix(_SAID_OF_END)
        if b"error: " in answer:
            raise StoreError(f"the S3 server refused a command: {_last_of(answer)}")

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.kill()
        self._process.wait()


def _last_of(said: bytes) -> str:
    return said.decode(errors="replace").strip()[-300:] or "it said nothing"

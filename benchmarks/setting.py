"""Where a benchmark runs: its folder for data, how large the data are, and what is installed beside."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bucket import Bucket, airflow_keys, write_bucket
from benchmarks.comparison import Contender
from benchmarks.peers import Peers

_REPOSITORY = Path(__file__).parents[1]
_CONTENDERS = Path(__file__).parent / "contenders"
_FOREIGN = ("XCOMCTL_", "AIRFLOW", "AWS_", "PYTHON", "XDG_")


@dataclass(frozen=True, slots=True)
class Setting:
    """`size` is a share of the full size: 1 is what the figures are made with."""

    folder: Path
    size: float = 1.0
    peers: Peers | None = None
    """None leaves out who needs an environment of their own."""

    def scaled(self, number: int, least: int = 1) -> int:
        """So many, by the size."""
        return max(int(number * self.size), least)

    def bucket(self, kind: str, sizes: list[int]) -> Bucket:
        """A bucket with DAGs of these sizes, made once in the folder."""
        return write_bucket(self.folder / f"{kind}-{sum(sizes)}", airflow_keys(sizes))

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a program: no setting of the person who measures matters."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return {**inherited, "HOME": str(self.folder), "PYTHONPATH": str(_REPOSITORY), **(extra or {})}

    def script(
        self, name: str, file: str, *arguments: object, env: Mapping[str, str], python: str = sys.executable
    ) -> Contender:
        """One of the contenders' scripts."""
        command = (python, str(_CONTENDERS / file), *map(str, arguments))
        return Contender(name, command, self.environment(env))

    def tool(self, *arguments: object) -> tuple[str, ...]:
        """A command line of the tool."""
        return (sys.executable, "-m", "xcomctl", *map(str, arguments))

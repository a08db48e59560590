"""A share of the work: which DAGs, and which objects, one of several machines looks at."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from xcomctl.errors import UsageError

MOST_SHARDS = 4096


@dataclass(frozen=True, slots=True)
class Shard:
    """Number `number` (from 1) of `of` shares. The shares of one `of` are disjoint and together everything."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `I/N`, such as `3/8`. Raises UsageError."""
        match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MOST_SHARDS:
            raise UsageError(
                f"--shard {text!r} is no share", hint="--shard 1/4 is the first of four; there are at most 4096"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def takes(self, name: str) -> bool:
        """Whether what goes by this name (a DAG, a folder of a bucket) is in this share: the same on every machine."""
        return zlib.crc32(name.encode("utf-8", "surrogatepass")) % self.of == self.number - 1

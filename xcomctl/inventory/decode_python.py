"""What a stored value says, read one by one by the dialects: every reference, and whatever it may mention."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from xcomctl.arrow_arrays import flags, integers, texts
from xcomctl.dialects.interface import Dialects
from xcomctl.dialects.values import search_text
from xcomctl.models import ObjectAddress, Root

if TYPE_CHECKING:
    import pyarrow as pa

# What follows a uuid up to where a string must end; 1,024 bytes is the longest key that S3 has.
_TAIL = r'(?:/[^"\\\s]{0,1024})?'
_HEX = "[0-9a-fA-F]"
# Only the first dash is consumed, so that no uuid hides another one; to look for it first is what makes it fast.
_DASHED = re.compile(
    rf"-(?<=({_HEX}{{8}}-))(?=({_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}})({_TAIL}))", re.ASCII
)
_DIGITS = re.compile(rf"({_HEX}{{32,}})(?=({_TAIL}))", re.ASCII)
_SHORTEST, _LONGEST = 32, 64
"""Digits of what counts as a uuid without dashes."""
_AT_ONCE = 512
"""Positions of a run that are looked at in one piece: DuckDB counts the characters before each."""


class PythonDecoder:
    """Reads values, and keeps what they say until it is taken.

    With `keeps_texts` also the texts themselves, in which keys are to be looked for. `lengths` are those of uuids without
    dashes that are looked for at every position of a longer run of hexadecimal digits.
    """

    def __init__(
        self,
        dialects: Dialects,
        roots: Sequence[Root],
        *,
        keeps_texts: bool,
        lengths: Sequence[int],
    ) -> None:
        self._dialects = dialects
        self._roots = roots
        self._places = [_place_pattern(root) for root in roots]
        self._keeps_texts = keeps_texts
        self._shortest = min(lengths, default=None)
        self._longest = max(lengths, default=_SHORTEST)
        self.references = Columns(
            "row_id", "reference_no", "dialect", "confidence", "text", "bucket", "key", "under_root"
        )
        self.mentions = Columns("row_id", "uuid", "tail")
        self.runs = Columns("row_id", "run")
        """Runs of hexadecimal digits, lower case, in which a uuid may lie anywhere."""
        self.texts = Columns("row_id", "text")
        self.naming_root = Columns("row_id")
        """Rows with a place below a root somewhere in their value."""

    def read(self, rows: Iterable[tuple[int, bytes | None]]) -> None:
        """Read values, each with the number of its row."""
        for row_id, raw in rows:
            self._collect_references(row_id, raw)
            text = search_text(raw)
            if any(place in text and pattern.search(text) is not None for place, pattern in self._places):
                self.naming_root.add(row_id)
            self.read_mentions(row_id, text)

    def read_mentions(self, row_id: int, text: str) -> None:
        """Read what a text mentions, whatever else it says."""
        mentions = {((first + rest).lower(), tail) for first, rest, tail in _DASHED.findall(text)}
        for digits, tail in _DIGITS.findall(text):
            run = digits.lower()
            if len(run) <= _LONGEST:
                mentions.add((run, tail))
            if self._shortest is not None and len(run) > self._shortest:
                # A window over the end of one piece begins the next one.
                for start in range(0, len(run) - self._shortest + 1, _AT_ONCE):
                    self.runs.add(row_id, run[start : start + _AT_ONCE + self._longest - 1])
        for uuid, tail in sorted(mentions):
            self.mentions.add(row_id, uuid, tail)
        if self._keeps_texts:
            self.texts.add(row_id, text)

    def _collect_references(self, row_id: int, raw: bytes | None) -> None:
        for number, reference in enumerate(self._dialects.references(raw, self._roots)):
            for address in reference.addresses or (None,):
                self.references.add(
                    row_id,
                    number,
                    reference.dialect,
                    reference.confidence,
                    reference.text,
                    address and address.bucket,
                    address and address.key,
                    address is not None and self._contains(address),
                )

    def _contains(self, address: ObjectAddress) -> bool:
        return any(root.contains(address) for root in self._roots)


class Columns:
    """Values on their way to Arrow, column by column."""

    def __init__(self, *names: str) -> None:
        self._values: dict[str, list[Any]] = {name: [] for name in names}

    def add(self, *values: object) -> None:
        """Add one record."""
        for column, value in zip(self._values.values(), values, strict=True):
            column.append(value)

    def take(self) -> pa.Table | None:
        """The records as an Arrow table, which are forgotten here; None if there is none."""
        import pyarrow as pa

        taken = self._values
        self._values = {name: [] for name in taken}
        if not next(iter(taken.values())):
            return None
        return pa.table({name: _array(values) for name, values in taken.items()})


def _array(values: list[Any]) -> pa.Array:
    import numpy as np

    first = next((value for value in values if value is not None), "")
    if isinstance(first, bool):
        return flags(values)
    return integers(np.array(values)) if isinstance(first, int) else texts(values)


def _place_pattern(root: Root) -> tuple[str, re.Pattern[str]]:
    """How a value may name a key below a root: a text that must occur, and what must stand around it.

    Where the whole bucket is the root its name alone is too common a word: it counts behind `//` or `@` only.
    """
    place = f"{root.bucket}/{root.prefix}"
    before = r"(?<![A-Za-z0-9.-])" if root.prefix else r"(?<=[/@])"
    return place, re.compile(before + re.escape(place) + r"""[^\s"'\\/]""")

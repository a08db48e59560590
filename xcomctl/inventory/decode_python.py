"""What a stored value says, read one by one by the dialects: every reference, and whatever it may mention."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from xcomctl.arrow_arrays import flags, integers, texts
from xcomctl.dialects.interface import Dialects
from xcomctl.dialects.values import search_text
from xcomctl.models import DASHED_UUID_PATTERN, UUID_PATTERN, ObjectAddress, Root

if TYPE_CHECKING:
    import pyarrow as pa

# What follows a uuid up to where a string must end; 1,024 bytes is the longest key that S3 has.
_TAIL = r'(?:/[^"\\\s]{0,1024})?'
# Looked at and not consumed, since it may hold the next uuid: `.../<run with a uuid>/<task>/<uuid>`.
_MENTION = re.compile(rf"({UUID_PATTERN})(?=({_TAIL}))")


class PythonDecoder:
    """Reads values, and keeps what they say until it is taken.

    With `keeps_texts` also the texts themselves, in which keys are to be looked for. `unbounded` are the lengths of uuids,
    0 for those with dashes, that stand among other hexadecimal digits in a key: those are looked for at every position.
    """

    def __init__(
        self,
        dialects: Dialects,
        roots: Sequence[Root],
        *,
        keeps_texts: bool,
        unbounded: Sequence[int],
    ) -> None:
        self._dialects = dialects
        self._roots = roots
        self._places = [_place_pattern(root) for root in roots]
        self._keeps_texts = keeps_texts
        uuids = [
            f"[0-9a-fA-F]{{{length}}}" if length else DASHED_UUID_PATTERN for length in sorted(unbounded)
        ]
        self._mentions = [_MENTION, *(re.compile(f"(?=({uuid})({_TAIL}))") for uuid in uuids)]
        self.references = Columns(
            "row_id", "reference_no", "dialect", "confidence", "text", "bucket", "key", "under_root"
        )
        self.mentions = Columns("row_id", "uuid", "tail")
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
            mentions = {
                (uuid.lower(), tail) for pattern in self._mentions for uuid, tail in pattern.findall(text)
            }
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

"""The newest rows, and what they say of the backends in use and of the roots that these write under."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from xcomctl.airflow.interface import Selection, Source
from xcomctl.dialects.interface import Dialects
from xcomctl.dialects.values import Json, decode
from xcomctl.models import ObjectAddress, Root, Row, uuids_in

ROWS = 1_000
"""Rows that are looked at."""

_BYTES = 64 << 20
"""After so many bytes of values no more rows are looked at."""

_ADDRESSES = 50
"""Objects that are kept to be asked for."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{1,40})://\S+", re.IGNORECASE)
_KEY = re.compile(r"[\w.=@%+/-]{40,1024}")
_OF_THE_WEB = frozenset({"http", "https", "ftp", "file", "mailto", "jdbc", "postgresql", "mysql", "redis"})
_OTHER_STORES = frozenset({"gs", "gcs", "wasb", "wasbs", "abfs", "abfss", "az", "hdfs", "webhdfs"})


@dataclass(slots=True)
class Sample:
    """What the newest rows tell. Values are counted, never kept."""

    rows: int = 0
    dialects: Counter[str] = field(default_factory=Counter)
    """Rows by the dialect of their reference; without those that hold none."""
    unknown: list[str] = field(default_factory=list)
    """Names (`dag/run/task:key`) of rows whose value looks like a reference that no dialect reads."""
    elsewhere: Counter[str] = field(default_factory=Counter)
    """Rows by the scheme of another kind of store."""
    roots: Counter[str] = field(default_factory=Counter)
    """References by the root that they show themselves; '' for those that name no bucket."""
    unreached: Counter[str] = field(default_factory=Counter)
    """The same, of references that the given roots do not reach."""
    addresses: list[tuple[str, ObjectAddress]] = field(default_factory=list)
    """Name of the row and place of the object, for the newest that are certain."""

    @property
    def references(self) -> int:
        """Rows with a reference."""
        return self.dialects.total()

    def shown_roots(self) -> tuple[Root, ...]:
        """The roots that the references show, those of the most of them first."""
        return tuple(Root.parse(uri) for uri, _ in self.roots.most_common() if uri)


def take_sample(source: Source, dialects: Dialects, roots: Sequence[Root], *, rows: int = ROWS) -> Sample:
    """Look at the newest rows. Raises SourceError."""
    sample = Sample()
    size = 0
    for row in source.rows(Selection(), limit=rows):
        sample.rows += 1
        size += row.size
        _look_at(row, sample, dialects, roots)
        if size > _BYTES:
            break
    return sample


def _look_at(row: Row, sample: Sample, dialects: Dialects, roots: Sequence[Root]) -> None:
    found = dialects.references(row.raw, roots)
    certain = [reference for reference in found if reference.confidence != "ambiguous"]
    if not certain:
        kind = _looks_like_reference(row.raw)
        if kind in _OTHER_STORES:
            sample.elsewhere[str(kind)] += 1
        elif kind is not None and not found:
            sample.unknown.append(row.ref)
        elif found:
            sample.dialects[found[0].dialect] += 1
        return
    sample.dialects[certain[0].dialect] += 1
    for reference in dialects.references(row.raw, ()):
        if reference.confidence != "ambiguous":
            sample.roots[reference.root.uri if reference.root else ""] += 1
    for reference in certain:
        if not _reached(reference.addresses, roots):
            sample.unreached[reference.root.uri if reference.root else ""] += 1
        if len(reference.addresses) == 1 and len(sample.addresses) < _ADDRESSES:
            sample.addresses.append((row.ref, reference.addresses[0]))


def _reached(addresses: Iterable[ObjectAddress], roots: Sequence[Root]) -> bool:
    return any(root.contains(address) for address in addresses for root in roots)


def _looks_like_reference(raw: bytes | None) -> str | None:
    """The scheme of a value that looks like an address, `key` for one that looks like a key with a uuid; else None."""
    match decode(raw):
        case Json(str(text)):
            address = _SCHEME.fullmatch(text)
            if address is not None:
                scheme = address[1].lower()
                return None if scheme.partition("+")[0] in _OF_THE_WEB else scheme
            # A uuid alone is somebody's number.
            return "key" if _KEY.fullmatch(text) and uuids_in(text) and "/" in text else None
        case _:
            return None

"""A bucket on disk: keys in order, and of each the XML that a page of ListObjectsV2 holds, ready to be sent.

Object `i` of a bucket of Airflow's layout is `xcom/<dag>/<run>/<task>/<uuid>`, as common.io writes it, with `md5(i)` for
a uuid: SQL can make the same names.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import quote

NAME = "xcoms"
"""Of the bucket."""

PREFIX = "xcom/"
TASKS = 10
"""Of each run."""

_FIRST_RUN = datetime(2025, 1, 1, tzinfo=timezone.utc)
_ITEM = re.compile(
    rb"<LastModified>([^<]*)</LastModified><ETag>&quot;([^&]*)&quot;</ETag>.*?<Size>(\d+)</Size>", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Described:
    """What a HEAD says of an object."""

    size: int
    etag: str
    modified: datetime


class Bucket:
    """The objects of a folder that `write_bucket` made; nothing of it is read before it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = (folder / "keys.index").stat().st_size // 8 - 1
        self._keys, self._key_ends = _mapped(folder / "keys"), _numbers(folder / "keys.index")
        self._items = {form: _mapped(folder / form) for form in ("quoted", "plain")}
        self._item_ends = {form: _numbers(folder / f"{form}.index") for form in ("quoted", "plain")}

    def key(self, number: int) -> bytes:
        """The key of an object."""
        return self._keys[self._key_ends[number] : self._key_ends[number + 1]]

    def position(self, key: bytes) -> int:
        """The number of the first object whose key is not before `key`."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.key(middle) < key:
                low = middle + 1
            else:
                high = middle
        return low

    def number(self, key: bytes) -> int | None:
        """The number of the object with this key."""
        found = self.position(key)
        return found if found < self.count and self.key(found) == key else None

    def place(self, first: int, end: int, form: str) -> tuple[int, int]:
        """Where in the file `form` (`quoted` or `plain` keys) the XML of these objects lies: its offset and length."""
        ends = self._item_ends[form]
        return ends[first], ends[end] - ends[first]

    def item(self, number: int, form: str) -> bytes:
        """The XML of one object."""
        offset, length = self.place(number, number + 1, form)
        return self._items[form][offset : offset + length]

    def describe(self, number: int) -> Described:
        """Size, etag and time of an object."""
        found = _ITEM.search(self.item(number, "plain"))
        assert found is not None  # noqa: S101 - written below
        modified = datetime.fromisoformat(found[1].decode().replace("Z", "+00:00"))
        return Described(int(found[3]), found[2].decode(), modified)


def airflow_keys(sizes: Sequence[int]) -> Iterator[tuple[str, datetime]]:
    """Keys in order, and their times: as many DAGs as there are `sizes`, with so many objects each."""
    number = 0
    for dag, size in enumerate(sizes):
        folder = f"{PREFIX}{dag_name(dag)}"
        for index in range(size):
            run, task = divmod(index, TASKS)
            at = _FIRST_RUN + timedelta(hours=run)
            named = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
            unique = f"{named[:8]}-{named[8:12]}-{named[12:16]}-{named[16:20]}-{named[20:]}"
            yield f"{folder}/scheduled__{at.isoformat()}/transform_{task:02}/{unique}", at
            number += 1


def dag_name(number: int) -> str:
    """The id of a DAG."""
    return f"team_etl_pipeline_{number:05}"


def even(objects: int, dags: int = 100) -> list[int]:
    """Sizes of so many DAGs with as many objects each; all in whole runs."""
    return [objects // dags // TASKS * TASKS] * dags


def skewed(objects: int, dags: int = 30, share: float = 0.7) -> list[int]:
    """Sizes of so many DAGs, of which the one in the middle holds most of the objects."""
    small = [int(objects * (1 - share) / (dags - 1)) // TASKS * TASKS] * (dags - 1)
    return [*small[: dags // 2], objects - sum(small), *small[dags // 2 :]]


def write_bucket(folder: Path, keys: Iterable[tuple[str, datetime]]) -> Bucket:
    """Write a bucket of these keys, which come in order of their bytes, unless the folder holds it already."""
    if not (folder / "whole").exists():
        folder.mkdir(parents=True, exist_ok=True)
        ends = {name: array("Q", [0]) for name in ("keys", "quoted", "plain")}
        with (
            (folder / "keys").open("wb") as names,
            (folder / "quoted").open("wb") as quoted,
            (folder / "plain").open("wb") as plain,
        ):
            files = {"keys": names, "quoted": quoted, "plain": plain}
            for key, at in keys:
                body = _after_key(key, at)
                for name, part in (
                    ("keys", key),
                    ("quoted", f"<Contents><Key>{quote(key)}{body}"),
                    ("plain", f"<Contents><Key>{key}{body}"),
                ):
                    ends[name].append(ends[name][-1] + files[name].write(part.encode()))
        for name, numbers in ends.items():
            (folder / f"{name}.index").write_bytes(numbers.tobytes())
        (folder / "whole").touch()
    return Bucket(folder)


def _after_key(key: str, at: datetime) -> str:
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    size = 1024 + int(digest[:4], 16)
    return (
        f"</Key><LastModified>{at:%Y-%m-%dT%H:%M:%S}.000Z</LastModified><ETag>&quot;{digest}&quot;</ETag>"
        "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
        f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _numbers(path: Path) -> array[int]:
    numbers = array("Q")
    numbers.frombytes(path.read_bytes())
    return numbers

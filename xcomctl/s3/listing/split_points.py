"""Where a listing could be cut: by the names of folders, and by how much of it a page holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_PAGES_EACH = 2
"""To begin for fewer pages is not worth a request."""

_RANDOM_NAME = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}")


def ascending(keys: pa.Array, after: str = "") -> bool:
    """Whether keys come in the order of their bytes, each once, all behind `after`."""
    import pyarrow.compute as pc

    if not len(keys):
        return True
    return bool(
        keys[0].as_py() > after
        and pc.all(pc.greater(keys.slice(1), keys.slice(0, len(keys) - 1)), min_count=0).as_py()
    )


def folders_of(key: str, within: str) -> Iterator[str]:
    """`within`, and the folders on the way from there to `key`."""
    yield within
    for name in key[len(within) :].split("/")[:-1]:
        within += f"{name}/"
        yield within


def common_folder(one: str, other: str) -> str:
    """The deepest folder that holds both keys."""
    length = next(
        (number for number, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )
    return one[: one.rfind("/", 0, length) + 1]


def worth(ahead: Sequence[str], folder: str, latest: pa.Array) -> int:
    """How many may begin somewhere in `ahead`: not more than there are pages for everybody, by the latest page."""
    if not ahead:
        return 0
    width = len(ahead[0]) if not ahead[0].endswith("/") else None
    folders_of_a_page = len(
        {key[:width] if width else key[: key.find("/", len(folder))] for key in latest.to_pylist()}
    )
    if folders_of_a_page == 1:
        return len(ahead)
    return len(ahead) // (folders_of_a_page * _PAGES_EACH)


def spread(ahead: Sequence[str], count: int) -> list[str]:
    """So many of them, at equal distances."""
    return [ahead[(number + 1) * len(ahead) // (count + 1)] for number in range(count)]


def random_split_points(folder: str, position: str, end: str | None) -> list[str]:
    """Beginnings of names, where the name of `position` in `folder` has a random uuid: those are spread evenly."""
    found = _RANDOM_NAME.search(position, len(folder))
    if found is None or "/" in position[len(folder) : found.end()]:
        return []
    stem = position[: found.start()]
    names = (f"{stem}{number:02x}" for number in range(256))
    return [name for name in names if name > position and (end is None or name < end)]

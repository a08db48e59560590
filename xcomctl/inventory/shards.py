"""A shard of the work: which DAGs, and which objects, one of several machines looks at.

Rows are shared out by their DAG. Objects are shared out by the folder directly below the root, which is the DAG's in
most layouts, and else by their own key. Nothing depends on whether a folder is the DAG's: where it is, a DAG and its
objects are in the same shard, and little has to be asked for elsewhere.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from xcomctl.errors import UsageError
from xcomctl.models import RESERVED_FOLDER, uuids_in

if TYPE_CHECKING:
    import pyarrow as pa

MOST_SHARDS = 4096

_HIVE = "dag_id="


@dataclass(frozen=True, slots=True)
class Shard:
    """Number `number` (from 1) of `of` shards. The shards of one `of` are disjoint and together everything."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `I/N`, such as `3/8`. Raises UsageError."""
        match = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MOST_SHARDS:
            raise UsageError(
                f"--shard {text!r} is no share",
                hint="--shard 1/4 is the first of four; there are at most 4096",
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def takes(self, name: str) -> bool:
        """Whether what goes by this name (a DAG, a folder of a bucket) is in this shard: the same on every machine."""
        return zlib.crc32(name.encode("utf-8", "surrogatepass")) % self.of == self.number - 1

    @property
    def takes_nameless(self) -> bool:
        """Whether rows that name no DAG are in this shard."""
        return self.number == 1

    def takes_key(self, relative_key: str) -> bool:
        """Whether the object at this key below its root is in this shard. What the tool keeps for itself is in each."""
        if relative_key.startswith(RESERVED_FOLDER):
            return True
        return self.takes(name_of(relative_key))

    def taken(self, relative_keys: pa.Array) -> pa.Array:
        """`takes_key` of many keys: an array of booleans."""
        import pyarrow as pa
        import pyarrow.compute as pc

        folders = pc.struct_field(pc.extract_regex(relative_keys, r"(?s)^(?P<folder>[^/]*/)"), "folder")
        encoded = folders.dictionary_encode()
        by_folder = pa.array(
            [self.takes_key(folder) for folder in encoded.dictionary.to_pylist()], pa.bool_()
        )
        loose = relative_keys.filter(pc.is_null(folders)).to_pylist()
        by_key = pa.array([self.takes_key(key) for key in loose], pa.bool_())
        return pc.replace_with_mask(by_folder.take(encoded.indices), pc.is_null(folders), by_key)


def name_of(relative_key: str) -> str:
    """What an object is shared out by: its folder's name, as the DAG's would be written; else its uuid; else its key."""
    folder, slash, _ = relative_key.partition("/")
    if slash:
        return unquote(folder, errors="replace").removeprefix(_HIVE)
    uuids = uuids_in(relative_key)
    return uuids[-1] if uuids else relative_key

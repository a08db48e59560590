"""Whether an object that a file names is one that the command at hand may touch.

Plans, journals, lists, inventories and backups lie where others can write. An address in them is data and no order: it
counts only below the roots of this command, outside of the tool's own folder, and, where the object is to go, with the
claim of a dialect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xcomctl.dialects.interface import UNCLAIMABLE, Dialects, is_unclaimable
from xcomctl.models import ObjectAddress, Root

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST_KEY = 1024
"""Bytes of the longest key that S3 has."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a command may touch. With `dialects` only what one of them claims, as for everything that is to go.

    Without them objects are only read, or written where there is nothing: then the rows say which ones are meant.
    """

    roots: tuple[Root, ...]
    dialects: Dialects | None = None

    def objection(self, bucket: object, key: object) -> str | None:
        """Why this object must be left alone, as a sentence behind its address; None if nothing speaks against it.

        Whatever stands in the file in the place of bucket and key may be given.
        """
        if not isinstance(bucket, str) or not isinstance(key, str) or not _can_exist(key):
            return "it is no address of an object"
        address = ObjectAddress(bucket, key)
        if not any(root.contains(address) for root in self.roots):
            return "it lies outside of the stores of this command"
        if is_unclaimable(key):
            return "its key is one of xcomctl's own, or has a segment of dots"
        if self.dialects is not None and self.dialects.claim(key) is None:
            return "no dialect claims its key"
        return None

    def clear(self, buckets: pa.Array, keys: pa.Array) -> pa.BooleanArray:
        """Of very many objects, as two columns of text: against which nothing speaks. `objection` tells of the others why.

        RE2 asks the patterns of the dialects, a dozen times as fast as Python does.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        clear = pa.repeat(pa.scalar(False), len(keys))
        for root in self.roots:
            within = pc.and_(pc.equal(buckets, root.bucket), pc.starts_with(keys, root.prefix))
            clear = pc.or_(clear, within)
        length = pc.binary_length(keys)
        clear = pc.and_(clear, pc.and_(pc.greater(length, 0), pc.less_equal(length, _LONGEST_KEY)))
        clear = pc.and_not(clear, pc.match_substring_regex(keys, UNCLAIMABLE))
        if self.dialects is not None:
            claimed = pa.repeat(pa.scalar(False), len(keys))
            for pattern in self.dialects.key_patterns():
                claimed = pc.or_(claimed, pc.match_substring_regex(keys, pattern.pattern))
                if pc.all(claimed).as_py():
                    break
            clear = pc.and_(clear, claimed)
        return clear.fill_null(False)

    def allows(self, address: ObjectAddress) -> bool:
        """Whether nothing speaks against an object."""
        return self.objection(address.bucket, address.key) is None


def common_roots(some: Iterable[Root], others: Iterable[Root]) -> tuple[Root, ...]:
    """What lies below a root of either side: of two roots of which one contains the other, the inner one."""
    theirs = tuple(others)
    found: dict[Root, None] = {}
    for root in some:
        for other in theirs:
            if other.contains(root.at("")):
                found[root] = None
            elif root.contains(other.at("")):
                found[other] = None
    return tuple(found)


def _can_exist(key: str) -> bool:
    """Whether S3 can have such a key: UTF-8, of at most 1,024 bytes."""
    try:
        return 0 < len(key.encode()) <= _LONGEST_KEY
    except UnicodeEncodeError:
        return False

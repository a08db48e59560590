"""Where the trash is: keys below `<root>/.xcomctl/trash/`, and the way back from such a key to the object's own.

A copy keeps its key below the root, behind the operation that made it: `trash/<operation>/etl/r1/load/<uuid>`. Where
that would be longer than a key can be, its name is a digest and its own key is in a ledger. So is, in a bucket that
keeps versions, which version of which object a delete marker hides: `trash/<operation>.ledger/000001.ndjson.gz`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from xcomctl.models import RESERVED_FOLDER, ObjectAddress, Root
from xcomctl.state.journal.records import OPERATION_ID

TRASH_FOLDER = f"{RESERVED_FOLDER}trash/"

LONGEST_KEY = 1024
"""Bytes of the longest key that S3 has."""


COPY_PATTERN = rf"(?s)^((?:.*?/)?)\.xcomctl/trash/({OPERATION_ID.pattern})/(.+)$"
"""Groups of the key of a copy, in `re` and in RE2: the root's prefix, the operation, the key below the root."""

_COPY = re.compile(COPY_PATTERN)
_LEDGER = re.compile(rf"(?s)(?:.*?/)?\.xcomctl/trash/({OPERATION_ID.pattern})\.ledger/[^/]+\.ndjson\.gz")


@dataclass(frozen=True, slots=True)
class TrashKey:
    """What the key of a copy tells: whose copy it is, and which operation made it."""

    original: ObjectAddress
    operation_id: str


def copy_address(root: Root, operation_id: str, address: ObjectAddress) -> ObjectAddress:
    """Where the copy of an object under `root` goes."""
    relative = address.key[len(root.prefix) :]
    copy = root.at(f"{TRASH_FOLDER}{operation_id}/{relative}")
    if len(copy.key.encode()) <= LONGEST_KEY:
        return copy
    digest = hashlib.sha256(address.key.encode()).hexdigest()
    return root.at(f"{TRASH_FOLDER}{operation_id}.long/{digest}")


def is_named_by_digest(copy: ObjectAddress) -> bool:
    """Whether the key of a copy does not tell whose copy it is."""
    return original_of(copy) is None


def original_of(copy: ObjectAddress) -> TrashKey | None:
    """Whose copy it is; None for a key that is none, or does not tell."""
    match = _COPY.fullmatch(copy.key)
    if match is None:
        return None
    return TrashKey(ObjectAddress(copy.bucket, match[1] + match[3]), match[2])


def ledger_address(root: Root, operation_id: str, number: int) -> ObjectAddress:
    """Where a ledger goes. `number` is one that the operation has not given to another one."""
    return root.at(f"{TRASH_FOLDER}{operation_id}.ledger/{number:06}.ndjson.gz")


def ledger_operation(address: ObjectAddress) -> str | None:
    """The operation whose ledger it is; None for an object that is none."""
    match = _LEDGER.fullmatch(address.key)
    return None if match is None else match[1]

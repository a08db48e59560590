"""An oracle: it knows of every value that was written what must be readable at the end, and looks for itself."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from botocore.exceptions import ClientError

from tests.services.deployment import Deployment
from xcomctl.airflow.interface import Selection

_REFERENCE = re.compile(r"s3[an]?://(?:[^@/]*@)?([^/]+)/(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Promise:
    """What somebody wrote: a row, the object that its value names, and the digest of that object's content."""

    ref: str
    key: str
    digests: frozenset[str]
    """One, unless nobody can say which of the contents that the key once had is the right one."""
    row_stays: bool = True
    """The row must be there; otherwise it may be gone, but must be whole as long as it is there."""
    object_stays: bool = True
    """The object must be there even if the row is not: an archive table names it."""


class Oracle:
    """Promises by row. It asks the database and the store past all faults."""

    def __init__(self, here: Deployment) -> None:
        self._here = here
        self._promises: dict[str, Promise] = {}
        self._ever: dict[str, set[str]] = defaultdict(set)

    def uploaded(self, key: str, body: bytes) -> None:
        """Somebody wrote an object: rows that name its key already mean this content from now on."""
        digest = hashlib.sha256(body).hexdigest()
        self._ever[key].add(digest)
        for ref, promise in self._promises.items():
            if promise.key == key:
                self._promises[ref] = replace(promise, digests=frozenset({digest}))

    def wrote(self, ref: str, key: str, body: bytes, *, stays: bool = True) -> None:
        """Somebody wrote a row that names this object with this content. Without `stays` both may go, the row first."""
        digest = hashlib.sha256(body).hexdigest()
        self._promises[ref] = Promise(ref, key, frozenset({digest}), stays, stays)

    def may_go(self, refs: Iterable[str]) -> None:
        """These rows may be deleted from now on, and their objects after them."""
        for ref in refs:
            if ref in self._promises:
                self._promises[ref] = replace(self._promises[ref], row_stays=False, object_stays=False)

    def stay(self, refs: Iterable[str]) -> None:
        """These rows must stay from now on, whatever was said before."""
        for ref in refs:
            if ref in self._promises:
                self._promises[ref] = replace(self._promises[ref], row_stays=True, object_stays=True)

    def archived(self, *refs: str) -> None:
        """These rows are in an archive table from now on; their objects stay."""
        for ref in refs:
            if ref in self._promises:
                self._promises[ref] = replace(self._promises[ref], row_stays=False)

    def forget(self, *refs: str) -> None:
        """Nobody expects anything of these rows any more."""
        for ref in refs:
            self._promises.pop(ref, None)

    def promises(self) -> dict[str, Promise]:
        """All promises, by row."""
        return dict(self._promises)

    def renew(self, promises: Iterable[Promise]) -> None:
        """These rows are back from a time before: their objects have one of the contents that their keys ever had."""
        for promise in promises:
            digests = frozenset(self._ever[promise.key] | promise.digests)
            self._promises[promise.ref] = replace(promise, digests=digests, row_stays=True, object_stays=True)

    def lost(self, *, except_of: Iterable[str] = ()) -> list[str]:
        """What is not as it must be, in words; empty if nothing was lost. `except_of`: rows that do not count."""
        return sorted(self._lost(set(except_of)))

    def check(self) -> None:
        """Fail the test if anything was lost."""
        assert self.lost() == []

    def _lost(self, excepted: set[str]) -> Iterator[str]:
        rows = {row.ref: row for row in self._here.source.rows(Selection(all_attempts=True))}
        for promise in self._promises.values():
            row = rows.pop(promise.ref, None)
            if promise.ref in excepted:
                continue
            if row is None and promise.row_stays:
                yield f"row {promise.ref} is gone"
            if row is not None and (found := _named(row.raw)) != (self._here.bucket, promise.key):
                yield f"row {promise.ref} names {found}"
            if row is not None or promise.object_stays:
                yield from self._unreadable(promise)
        for row in rows.values():
            if row.ref not in excepted and (named := _named(row.raw)) and self._digest(*named) is None:
                yield f"row {row.ref} lost its object {named[1]}"

    def _unreadable(self, promise: Promise) -> Iterator[str]:
        digest = self._digest(self._here.bucket, promise.key)
        if digest is None:
            yield f"the object of {promise.ref} is gone: {promise.key}"
        elif digest not in promise.digests:
            yield f"the object of {promise.ref} has another content: {promise.key}"

    def _digest(self, bucket: str, key: str) -> str | None:
        try:
            body = self._here.client.get_object(Bucket=bucket, Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        with body:
            return hashlib.sha256(body.read()).hexdigest()


def _named(raw: bytes | None) -> tuple[str, str] | None:
    """Bucket and key that a value names, if it is a plain reference."""
    try:
        value: Any = json.loads(raw or b"null")
    except ValueError:
        return None
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return (match[1], match[2]) if match else None


def rows_as_stored(here: Deployment) -> set[tuple[Any, ...]]:
    """Every live row with all its columns, bit for bit."""
    with here.database.connection() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM {here.database.table}"))
        return {tuple(str(value) for value in record) for record in found}


def objects_as_stored(here: Deployment) -> dict[str, bytes]:
    """Every object outside of the tool's own folder, with its content."""
    return {
        key: here.client.get_object(Bucket=here.bucket, Key=key)["Body"].read()
        for key in here.keys()  # noqa: SIM118 - not a dict
        if "/.xcomctl/" not in key
    }

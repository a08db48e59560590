"""Whose the given roots are, and whose those that lie around them or inside of them.

Such a root is about the same objects, so that its owner marker counts for the given one as well. Where we may not look
above a root, there is nothing: credentials that are bound to a prefix are usual.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from xcomctl.errors import RefusedError
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.interface import Store, StoreErrorInfo
from xcomctl.state.journal import operations
from xcomctl.state.owner import Owner, owner_address, read_owner

_MOST_READ = 100
"""Roots inside of a given one whose marker is read; of more, nobody knows whose they are."""


@dataclass(frozen=True, slots=True)
class OwnedRoot:
    """A root in which the tool was at work, and for which database."""

    root: Root
    database: str | None
    """None where nothing tells."""
    label: str
    """Of the database, for people, or why it cannot be told."""
    marker: Owner | None = None

    @property
    def identity(self) -> str:
        """Of the database; where nothing tells, a number of the root's own."""
        return self.database or digest(self.root.uri)


@dataclass(frozen=True, slots=True)
class Ownership:
    """The roots that have an owner: of the given ones, of those above, and of those inside."""

    at: tuple[OwnedRoot, ...] = ()
    above: tuple[OwnedRoot, ...] = ()
    inside: tuple[OwnedRoot, ...] = ()

    def ours(self, database: str) -> list[Owner]:
        """The markers that this database left in the given roots; without any, its newest one of those around."""
        here = [one.marker for one in self.at if one.marker is not None and one.database == database]
        around = [
            one.marker
            for one in (*self.above, *self.inside)
            if one.marker is not None and one.database == database
        ]
        return here or sorted(around, key=lambda owner: owner.written_at)[-1:]

    def seen(self, database: str, share: str, claims: str) -> tuple[tuple[Root, datetime], ...]:
        """Which of the given roots this database collected whole, and up to which age; see `Owner.collected_until`."""
        return tuple(
            (one.root, until)
            for one in self.at
            if one.marker is not None and one.database == database
            if (until := one.marker.collected_until(share, claims)) is not None
        )


def digest(text: str) -> str:
    """16 hex digits, as identities of databases have."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def roots_above(root: Root) -> list[Root]:
    """Every root in which this one lies, the bucket first."""
    folders = root.prefix.split("/")[:-1]
    return [Root(root.bucket, "".join(f"{one}/" for one in folders[:at])) for at in range(len(folders))]


def folders_above(root: Root, address: ObjectAddress) -> list[Root]:
    """Every folder between a root and an object below it, the outermost first."""
    return [
        one
        for one in roots_above(Root(address.bucket, f"{address.key}/"))
        if len(one.prefix) > len(root.prefix)
    ]


def read_ownership(store: Store | None, roots: Sequence[Root], inside: Iterable[Root] = ()) -> Ownership:
    """Whose the roots are, those above them, and those that were found `inside`. Raises StoreError, RefusedError."""
    if store is None:
        return Ownership()
    above = sorted({one for root in roots for one in roots_above(root)} - set(roots))
    answers = store.stat_many([owner_address(root) for root in (*roots, *above)])
    at = []
    for root, answer in zip(roots, answers[: len(roots)], strict=True):
        # Also where the answer was an error: this one raises it.
        marker = None if answer is None else read_owner(store, root)
        if marker is not None:
            at.append(OwnedRoot(root, marker.database, marker.label, marker))
    return Ownership(
        tuple(at),
        tuple(_marked(store, above, answers[len(roots) :])),
        owners_inside(store, inside),
    )


def owners_inside(store: Store, roots: Iterable[Root]) -> tuple[OwnedRoot, ...]:
    """Whose roots are in which the tool was at work: by their marker, else by their journal. Raises StoreError."""
    found = sorted(roots)
    told = []
    for root in found[:_MOST_READ]:
        told.append(_owned(store, root) or _told_by_journal(store, root))
    return (*told, *(OwnedRoot(root, None, "there are too many to ask") for root in found[_MOST_READ:]))


def marked_roots(store: Store, roots: Sequence[Root]) -> list[OwnedRoot]:
    """Those of the roots that have a marker. Where we may not look, there is none. Raises StoreError."""
    return list(_marked(store, roots, store.stat_many([owner_address(root) for root in roots])))


def _marked(store: Store, roots: Sequence[Root], answers: Sequence[object]) -> Iterator[OwnedRoot]:
    for root, answer in zip(roots, answers, strict=True):
        if answer is None or (isinstance(answer, StoreErrorInfo) and answer.denied):
            continue
        owned = _owned(store, root)
        if owned is not None:
            yield owned


def _told_by_journal(store: Store, root: Root) -> OwnedRoot:
    """Whose a root without a marker is: that is written at the end of an operation, which may have been cut short."""
    last = next(operations(store, [root], 1, on_damage=lambda _: None), None)
    if last is None:
        return OwnedRoot(root, None, "nothing there tells which")
    return OwnedRoot(root, last.database, f"that of operation {last.id}")


def _owned(store: Store, root: Root) -> OwnedRoot | None:
    """What the marker of a root around or inside tells; somebody else's may be one that we cannot read."""
    try:
        marker = read_owner(store, root)
    except RefusedError as error:
        return OwnedRoot(root, None, str(error))
    return None if marker is None else OwnedRoot(root, marker.database, marker.label, marker)

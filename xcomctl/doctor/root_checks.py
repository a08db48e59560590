"""Each root: whose it is, who is at work there, and what waits in its trash."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from xcomctl.doctor.context import CheckContext
from xcomctl.doctor.interface import CheckResult
from xcomctl.inventory.unfinished_uploads import ABANDONED_AFTER, find_uploads
from xcomctl.models import RESERVED_FOLDER, Root
from xcomctl.state.lock import read_holder
from xcomctl.state.owner import read_owner
from xcomctl.state.ownership import OwnedRoot, marked_roots, roots_above
from xcomctl.state.trash.places import TRASH_FOLDER
from xcomctl.units import exact_duration, format_duration, format_size, format_time, quantity

_NEIGHBOURS = 200
"""Folders directly below a root in which the marker of another deployment is looked for."""

_LATE = timedelta(days=2)
"""So much longer than it should be something may be in the trash: a night that was missed is no alarm."""


def owner(context: CheckContext, root: Root) -> Iterator[CheckResult]:
    """Whose root it is, and whether another deployment's lies around or inside of it."""
    name = "store.owner"
    identity = context.source.identity()
    marker = read_owner(context.store, root)
    if marker is not None and marker.database != identity:
        yield CheckResult(
            name,
            "fail",
            f"{root.uri} belongs to another database, {marker.label} ({marker.database}): gc refuses",
            "check --db and --store; each deployment needs a root of its own",
            subject=root.uri,
            facts={"database": identity, "owner": marker.database},
        )
        return
    for other in _neighbours(context, root):
        if other.database != identity:
            yield CheckResult(
                name,
                "fail",
                f"{root.uri} overlaps with {other.root.uri}, which belongs to another database, {other.label}: gc refuses",
                "give each deployment a root of its own, none inside of another",
                subject=root.uri,
                facts={"database": identity, "owner": other.database, "place": other.root.uri},
            )
            return
    yield CheckResult(
        name,
        "ok",
        "nothing was collected here yet"
        if marker is None
        else "it was this database that was collected here",
        subject=root.uri,
    )


def _neighbours(context: CheckContext, root: Root) -> list[OwnedRoot]:
    """Roots above and directly below that have a marker. Where we may not look, there is none."""
    below = [
        Root(root.bucket, root.prefix + folder)
        for folder in context.store.folders(root)[:_NEIGHBOURS]
        if folder != RESERVED_FOLDER
    ]
    return marked_roots(context.store, [*roots_above(root), *below])


def lock(context: CheckContext, root: Root) -> Iterator[CheckResult]:
    """Whether somebody is at work, or died at it."""
    name = "store.lock"
    found = read_holder(context.store, root)
    if found is None:
        yield CheckResult(name, "ok", "nobody is at work here", subject=root.uri)
        return
    holder = found[0]
    facts = {
        "holder": holder.holder,
        "operation_id": holder.operation_id,
        "expires_at": format_time(holder.expires_at),
    }
    if context.store.now(root.bucket) <= holder.expires_at:
        yield CheckResult(
            name,
            "ok",
            f"{holder.holder} is at work, operation {holder.operation_id}",
            "add --wait-lock to wait for it",
            subject=root.uri,
            facts=facts,
        )
        return
    yield CheckResult(
        name,
        "warn",
        f"operation {holder.operation_id} of {holder.holder} died without letting go of its lock",
        "nothing is to be done: the next command takes it, and finishes what was begun",
        subject=root.uri,
        facts=facts,
    )


def trash(context: CheckContext, root: Root) -> Iterator[CheckResult]:
    """How much is in the trash, and whether it is emptied in time."""
    import pyarrow.compute as pc

    objects, size, oldest = 0, 0, None
    for batch in context.store.batches(Root(root.bucket, root.prefix + TRASH_FOLDER)):
        if batch.num_rows:
            objects += batch.num_rows
            size += pc.sum(batch.column("size")).as_py()
            first = pc.min(batch.column("last_modified")).as_py()
            oldest = first if oldest is None else min(oldest, first)
    name = "store.trash"
    if oldest is None:
        yield CheckResult(
            name, "ok", "the trash is empty", subject=root.uri, facts={"objects": 0, "bytes": 0}
        )
        return
    age = context.store.now(root.bucket) - oldest
    facts = {"objects": objects, "bytes": size, "oldest_at": format_time(oldest)}
    why = f"{quantity(objects, 'object')} ({format_size(size)}) in the trash, the oldest for {format_duration(age)}"
    keep = exact_duration(context.setup.trash_keep)
    overdue = age > context.setup.trash_keep + _LATE
    context.trash_is_overdue |= overdue
    yield CheckResult(
        name,
        "warn" if overdue else "ok",
        f"{why}: gc would have purged it after {keep}" if overdue else why,
        "xcomctl gc --yes, every night" if overdue else None,
        subject=root.uri,
        facts=facts,
    )


def uploads(context: CheckContext, root: Root) -> Iterator[CheckResult]:
    """How many multipart uploads nobody finished: their parts are paid for, and shown by no listing."""
    name = "store.uploads"
    found = find_uploads(context.store, [root])
    if not found.complete:
        (note,) = found.notes
        yield CheckResult(name, "skipped", note.cause, note.hint, subject=root.uri)
        return
    began_before = context.store.now(root.bucket) - ABANDONED_AFTER
    abandoned = [
        one
        for one in found.uploads
        if one.begun_at < began_before and context.setup.dialects.claim(one.address.key) is not None
    ]
    size = sum(one.size or 0 for one in found.uploads)
    facts = {"uploads": len(found.uploads), "bytes": size, "abandoned": len(abandoned)}
    if not found.uploads:
        yield CheckResult(name, "ok", "no upload is unfinished", subject=root.uri, facts=facts)
        return
    why = f"{quantity(len(found.uploads), 'unfinished upload')} ({format_size(size)})"
    if abandoned:
        yield CheckResult(
            name,
            "warn",
            f"{why}, {len(abandoned):,} of them begun more than {ABANDONED_AFTER.days} days ago: their parts are paid for",
            "xcomctl gc --yes aborts those",
            subject=root.uri,
            facts=facts,
        )
        return
    yield CheckResult(name, "ok", f"{why}, none of which gc would abort", subject=root.uri, facts=facts)

"""Compare two XComs that were found: read both, and tell what differs in the words of what they are."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from xcomctl.airflow.interface import Source
from xcomctl.airflow.naming import same_in_run
from xcomctl.errors import NotFoundError, UsageError
from xcomctl.look.codecs.interface import (
    FramePreview,
    PicklePreview,
    Preview,
    PreviewOptions,
    TextPreview,
    TreePreview,
)
from xcomctl.look.difference.model import Change, Comparison, Difference, DiffSide
from xcomctl.look.difference.trees import tree_changes
from xcomctl.look.preview import Found, Shown, preview, stored_bytes
from xcomctl.models import Row

if TYPE_CHECKING:
    from xcomctl.inventory.workspace import Resources, Workspace

_LINES = 100_000
"""Lines of a text that are read; the codec reads no more than a MiB."""
_ALIGNED = 2_000
"""Lines up to which texts are aligned, which takes the square of them."""


def compare(old: Found, new: Found, how: Comparison, resources: Resources) -> Difference:
    """What differs from `old` to `new`. Both are read whole, tables within the memory of `resources`.

    Raises UnreadableError, UsageError (`on` does not fit), NotFoundError (gone meanwhile), StoreError.
    """
    from xcomctl.look.difference.tables import LoadedTable, TableComparison

    with _opened(resources) as workspace:
        tables = LoadedTable(workspace.connection, "old"), LoadedTable(workspace.connection, "new")
        left, right = (
            preview(found, PreviewOptions(head=0, sink=table, rows=how.rows))
            for found, table in zip((old, new), tables, strict=True)
        )
        sides = _side(left), _side(right)
        notes = _notes(left, right)
        if not (isinstance(left.preview, FramePreview) and isinstance(right.preview, FramePreview)):
            return _of_values(left, right, sides, how, notes)
        compared = TableComparison(workspace.connection, *tables, how.on)
        rows, cells = compared.counts()
        counted = [table.rows for table in tables]
        if how.rows is not None and how.rows in counted:
            notes = (*notes, f"compared are the first {how.rows} rows of each side")
        return Difference(
            *sides,
            columns=compared.columns(),
            rows=rows,
            cells=cells,
            changes=tuple(islice(compared.changes(how.limit), how.limit)),
            total=rows["added"] + rows["removed"] + sum(cells.values()),
            notes=notes,
        )


@contextmanager
def _opened(resources: Resources) -> Iterator[Workspace]:
    from xcomctl.inventory.workspace import Workspace

    workspace = Workspace(resources)
    try:
        yield workspace
    except BaseException as error:
        workspace.close(error)
        raise
    workspace.close()


def _of_values(
    left: Shown, right: Shown, sides: tuple[DiffSide, DiffSide], how: Comparison, notes: tuple[str, ...]
) -> Difference:
    one, other = left.preview, right.preview
    if isinstance(one, TextPreview) and isinstance(other, TextPreview):
        one, other = (preview(shown.found, PreviewOptions(head=_LINES)).preview for shown in (left, right))
    if sides[0].kind != sides[1].kind:
        change = Change(".", "changed", sides[0].kind, sides[1].kind)
        return Difference(*sides, changes=(change,), total=1, notes=notes)
    if isinstance(one, TreePreview) and isinstance(other, TreePreview):
        return _counted(sides, tree_changes(one.value, other.value, how.on), how, notes)
    if how.on:
        raise UsageError("--on is for tables and lists of dicts; this is none", hint="leave it out")
    if _digest(left.found) == _digest(right.found):
        return Difference(*sides, notes=notes)
    found = _counted(sides, _of_contents(one, other), how, notes)
    if found.total:
        return found
    whole = Change(".", "changed", f"{sides[0].size} bytes", f"{sides[1].size} bytes")
    return Difference(
        *sides, changes=(whole,), total=1, notes=(*notes, "the bytes differ, but not what is shown")
    )


def _of_contents(one: Preview, other: Preview) -> Iterator[Change]:
    """What differs in what can be shown of texts and pickles."""
    if isinstance(one, TextPreview) and isinstance(other, TextPreview):
        yield from _of_lines(one.text.splitlines(), other.text.splitlines())
    elif isinstance(one, PicklePreview) and isinstance(other, PicklePreview):
        left, right = (
            {"classes": list(each.classes), "strings": list(each.strings)} for each in (one, other)
        )
        yield from tree_changes(left, right)


def _of_lines(old: list[str], new: list[str]) -> Iterator[Change]:
    if max(len(old), len(new)) > _ALIGNED:
        for place, (left, right) in enumerate(zip(old, new, strict=False), start=1):
            if left != right:
                yield Change(f"line {place}", "changed", left, right)
        for place in range(len(new), len(old)):
            yield Change(f"line {place + 1}", "removed", old=old[place])
        for place in range(len(old), len(new)):
            yield Change(f"line {place + 1}", "added", new=new[place])
        return
    for what, start, end, begin, stop in difflib.SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if what == "equal":
            continue
        for place in range(start, end):
            yield Change(f"line {place + 1}", "removed", old=old[place])
        for place in range(begin, stop):
            yield Change(f"line {place + 1}", "added", new=new[place])


def _counted(
    sides: tuple[DiffSide, DiffSide], changes: Iterable[Change], how: Comparison, notes: tuple[str, ...]
) -> Difference:
    """All changes are counted, and the first kept."""
    kept = []
    total = 0
    for change in changes:
        total += 1
        if how.limit is None or total <= how.limit:
            kept.append(change)
    return Difference(*sides, changes=tuple(kept), total=total, notes=notes)


def _side(shown: Shown) -> DiffSide:
    found = shown.found
    kind = type(shown.preview).__name__.removesuffix("Preview").lower()
    return DiffSide(
        ref=found.ref,
        id=found.row.short_id if found.row else None,
        uri=found.object.address.uri if found.object else None,
        size=found.size,
        codec=shown.codec,
        kind=kind,
        rows=shown.preview.rows if isinstance(shown.preview, FramePreview) else None,
    )


def _notes(left: Shown, right: Shown) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            f"{name}: {note}" for name, shown in (("old", left), ("new", right)) for note in shown.notes
        )
    )


def _digest(found: Found) -> bytes:
    digest = hashlib.sha256()
    for chunk in stored_bytes(found):
        digest.update(chunk)
    return digest.digest()


_RUNS = 1000
"""Runs of the DAG among which the row's own is sought."""
_LOOKED_AT = 50
"""Earlier runs that are asked for the XCom: a task may have been skipped in some."""


def earlier(row: Row, source: Source) -> Row:
    """The same XCom (task, index, key) in the newest run before the row's own that has it.

    Raises NotFoundError where none has, SourceError.
    """
    runs = source.run_ids(str(row.dag_id), limit=_RUNS)
    before = runs[runs.index(row.run_id) + 1 :] if row.run_id in runs else []
    for run_id in before[:_LOOKED_AT]:
        found = same_in_run(row, run_id, source)
        if found is not None:
            return found
    raise NotFoundError(f"no earlier run has {row.ref}", hint="name the other XCom too: xcomctl diff OLD NEW")


def in_run(row: Row, run_id: str, source: Source) -> Row:
    """The same XCom in that run. Raises NotFoundError, SourceError."""
    found = same_in_run(row, run_id, source)
    if found is None:
        raise NotFoundError(
            f"run {run_id} of {row.dag_id} has no such XCom",
            hint=f"xcomctl ls --dag {row.dag_id} --task {row.task_id}",
        )
    return found

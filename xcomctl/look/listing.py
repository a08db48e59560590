"""The operation behind `ls`: rows joined to the few objects at hand. No inventory, and no store unless it is needed.

A value *is* a reference if it consists of one (a string, or a dict that names an object); a reference deeper inside
a value leaves that value where it is, in the database.
"""

from __future__ import annotations

import difflib
import heapq
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Literal, TypeVar

from xcomctl.airflow.interface import Selection, SortField, Source
from xcomctl.dialects.interface import Dialects, Reference
from xcomctl.dialects.values import Json, Null, Pickled, decode
from xcomctl.dialects.whole_value import whole_references
from xcomctl.errors import NotFoundError, StoreError
from xcomctl.globs import only_name
from xcomctl.models import ObjectAddress, Root, Row
from xcomctl.s3.interface import ObjectInfo, StoreErrorInfo

_BATCH = 200
"""Rows that are looked at together; their objects are asked for in parallel."""

_RUNS_COMPARED = 1000

_SUFFIX = re.compile(r"[^/]\.((?:[A-Za-z]\w{1,7}\.)?[A-Za-z]\w{1,7})$")

T = TypeVar("T")

ListingSort = Literal["age", "size", "dag", "run", "task", "key"]

StatMany = Callable[[Sequence[ObjectAddress]], Sequence[ObjectInfo | StoreErrorInfo | None]]

_NOT_ASKED = StoreErrorInfo("not asked")

_Found = tuple[ObjectAddress | None, ObjectInfo | StoreErrorInfo | None]

_SORTS: dict[ListingSort, SortField] = {
    "age": "written_at",
    "dag": "dag_id",
    "run": "run_id",
    "task": "task_id",
    "key": "key",
}


@dataclass(frozen=True, slots=True)
class ListedXCom:
    """One row with what is known of its payload.

    `lives`: in the database itself; in S3; `missing` if the store has no such object; `unresolved` if no root
    says in which bucket it is. `size` in bytes is None where only the store knows it and was not asked, or did not
    answer. `type` is the name of a Python type or class, or of a codec. `address` is the object's.
    """

    row: Row
    lives: Literal["database", "s3", "missing", "unresolved"]
    size: int | None
    type: str | None
    reference: Reference | None = None
    address: ObjectAddress | None = None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What to list. `limit` None means all; `min_size` in bytes leaves out what is smaller or of unknown size."""

    selection: Selection
    sort: ListingSort = "age"
    limit: int | None = None
    min_size: int | None = None


class Listing:
    """One listing: iterate over it once, then ask what was left out and what went wrong."""

    def __init__(
        self,
        source: Source,
        dialects: Dialects,
        roots: Sequence[Root],
        query: ListQuery,
        stat_many: StatMany | None,
    ) -> None:
        """`stat_many` describes objects in parallel, as `Store.stat_many`; None never asks a store."""
        self._source = source
        self._dialects = dialects
        self._roots = roots
        self._query = query
        self._stat_many = stat_many
        self.count = 0
        """Entries that were given."""
        self.unresolved = 0
        """Entries given whose reference needs a root to be resolved."""
        self.cut = False
        """Whether there are more entries than the limit."""
        self.left_out = 0
        """Entries that `min_size` left out because their size is unknown."""
        self.problems: list[StoreErrorInfo] = []
        """Why objects could not be described: the first of each kind, as told by the hint."""

    def __iter__(self) -> Generator[ListedXCom, None, None]:
        """The entries, in order. Raises SourceError, and NotFoundError for a DAG or run that is unknown."""
        rows = self._rows()
        try:
            for entry in self._sorted(rows):
                self.count += 1
                self.unresolved += entry.lives == "unresolved"
                yield entry
        finally:
            # Not left to the garbage collector: the source may be closed before that comes.
            if isinstance(rows, Generator):
                rows.close()
        if not self.count:
            _check_names(self._source, self._query.selection)

    def _rows(self) -> Iterator[Row]:
        query = self._query
        if query.sort == "size":
            return self._source.rows(query.selection)
        # One more than is shown tells whether there are more. How many pass a filter, only the store knows.
        needed = None if query.limit is None or query.min_size is not None else query.limit + 1
        return self._source.rows(
            query.selection, sort=_SORTS[query.sort], descending=query.sort == "age", limit=needed
        )

    def _sorted(self, rows: Iterator[Row]) -> Iterator[ListedXCom]:
        query = self._query
        if query.sort == "size":
            entries = self._large_enough(self._entries(rows))
            if query.limit is None:
                return iter(sorted(entries, key=_size_or_less, reverse=True))
            return self._limited(iter(heapq.nlargest(query.limit + 1, entries, key=_size_or_less)))
        if query.min_size is None:
            return self._entries(self._limited(rows))
        return self._limited(self._large_enough(self._entries(rows)))

    def _limited(self, items: Iterator[T]) -> Iterator[T]:
        for number, item in enumerate(items):
            if number == self._query.limit:
                self.cut = True
                return
            yield item

    def _large_enough(self, entries: Iterator[ListedXCom]) -> Iterator[ListedXCom]:
        least = self._query.min_size
        for entry in entries:
            if least is None or (entry.size is not None and entry.size >= least):
                yield entry
            elif entry.size is None:
                self.left_out += 1

    def _entries(self, rows: Iterator[Row]) -> Iterator[ListedXCom]:
        while batch := list(islice(rows, _BATCH)):
            references = [self._own_reference(row) for row in batch]
            found = self._find(references)
            for row, reference, (address, info) in zip(batch, references, found, strict=True):
                yield _entry(row, reference, address, info)

    def _own_reference(self, row: Row) -> Reference | None:
        return next(iter(whole_references(row.raw, self._dialects, self._roots)), None)

    def _find(self, references: Sequence[Reference | None]) -> list[_Found]:
        """Where each reference's object is and what the store says of it, asking only where that tells something."""
        readings = [() if reference is None else reference.addresses for reference in references]
        found: list[_Found] = [(addresses[0] if addresses else None, _NOT_ASKED) for addresses in readings]
        open_ = [
            at for at, reference in enumerate(references) if reference is not None and _is_open(reference)
        ]
        # A reference with several readings is asked for reading by reading, all rows together.
        for number in count():
            if not open_ or self._stat_many is None:
                break
            infos = self._ask(self._stat_many, [readings[at][number] for at in open_])
            absent = []
            for at, info in zip(open_, infos, strict=True):
                if info is not None:
                    found[at] = (readings[at][number], info)
                elif number + 1 < len(readings[at]):
                    absent.append(at)
                else:
                    found[at] = (readings[at][0], None)
            open_ = absent
        return found

    def _ask(
        self, stat_many: StatMany, addresses: Sequence[ObjectAddress]
    ) -> Sequence[ObjectInfo | StoreErrorInfo | None]:
        infos: Sequence[ObjectInfo | StoreErrorInfo | None]
        try:
            infos = stat_many(addresses)
        except StoreError as error:
            infos = [StoreErrorInfo(str(error), error.hint)] * len(addresses)
        failures = [info for info in infos if isinstance(info, StoreErrorInfo)]
        for failure in failures:
            # Causes name their object; what to do about them is mostly one thing.
            if failure.hint not in (problem.hint for problem in self.problems):
                self.problems.append(failure)
        if len(failures) == len(infos):
            # A store that answers nothing is not asked again, batch after batch, until every time-out has passed.
            self._stat_many = None
        return infos


def _is_open(reference: Reference) -> bool:
    """Whether the store can tell something that the reference does not."""
    return bool(reference.addresses) and (reference.size is None or reference.confidence == "ambiguous")


def _entry(
    row: Row,
    reference: Reference | None,
    address: ObjectAddress | None,
    info: ObjectInfo | StoreErrorInfo | None,
) -> ListedXCom:
    # Text that may be a reference is one if its object is there, and otherwise the value that it looks like.
    if reference is None or (reference.confidence == "ambiguous" and not isinstance(info, ObjectInfo)):
        return ListedXCom(row, "database", row.size, _type_of(row.raw), reference)
    if address is None:
        return ListedXCom(row, "unresolved", reference.size, reference.codec, reference)
    codec = reference.codec or _suffix(address)
    if info is None:
        return ListedXCom(row, "missing", reference.size, codec, reference, address)
    size = info.size if isinstance(info, ObjectInfo) else reference.size
    return ListedXCom(row, "s3", size, codec, reference, address)


def _type_of(raw: bytes | None) -> str:
    value = decode(raw)
    if isinstance(value, Json):
        document = value.value
        if isinstance(document, dict) and isinstance(document.get("__classname__"), str):
            return str(document["__classname__"])
        return "None" if document is None else type(document).__name__
    if isinstance(value, Pickled):
        return "pickle"
    return "null" if isinstance(value, Null) else "bytes"


def _suffix(address: ObjectAddress) -> str | None:
    found = _SUFFIX.search(address.key)
    return found[1].lower() if found else None


def _size_or_less(entry: ListedXCom) -> int:
    return -1 if entry.size is None else entry.size


def _check_names(source: Source, selection: Selection) -> None:
    """Nothing was found: tell a name that does not exist from a selection that happens to be empty."""
    dag = None if selection.dag is None else only_name(selection.dag)
    if dag is None:
        return
    known = source.dag_ids()
    if dag not in known:
        raise NotFoundError(f"there is no DAG {dag!r} in the database", hint=_near(dag, known))
    run = None if selection.run is None else only_name(selection.run)
    if run is None:
        return
    runs = source.run_ids(dag, limit=_RUNS_COMPARED)
    if run not in runs and len(runs) < _RUNS_COMPARED:
        raise NotFoundError(f"no run {run!r} of {dag!r} has XComs", hint=_near(run, runs))


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.75)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return (
        f"there are: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}"
        if names
        else "there are none"
    )

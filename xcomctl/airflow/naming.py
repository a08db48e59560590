"""The names that users give to XComs, `dag/run/task[3]:key` and short ids: read, looked up, and suggested."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xcomctl.airflow.interface import Selection, Source
from xcomctl.errors import NotFoundError, UsageError
from xcomctl.globs import escaped
from xcomctl.models import DEFAULT_KEY, Row, task_ref

LATEST = "latest"
"""In the place of a run id: the newest run of the DAG that has XComs."""

_DAG = re.compile(r"[\w.-]+")
_TASK = re.compile(r"(?P<task>[\w.-]+)(?:\[(?P<index>-?\d+)\])?(?::(?P<key>.+))?", re.DOTALL)

_MAX_READINGS = 8
_LOOKED_AT = 500
"""Rows of a run that near matches are sought among."""


@dataclass(frozen=True, slots=True)
class XComName:
    """One reading of `dag/run/task[3]:key`."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    key: str = DEFAULT_KEY

    def names(self, row: Row) -> bool:
        """Whether this is the row's name."""
        index = -1 if row.map_index is None else row.map_index
        return (self.dag_id, self.run_id, self.task_id, self.map_index, self.key) == (
            row.dag_id,
            row.run_id,
            row.task_id,
            index,
            row.key,
        )


def readings(ref: str) -> Iterator[XComName]:
    """Every way to read `ref`, the likeliest first: a DAG id has no `/`, a run id may have one, a key may hold anything."""
    dag_id, _, rest = ref.partition("/")
    if not _DAG.fullmatch(dag_id):
        return
    place = rest.find("/")
    while place > 0:
        match = _TASK.fullmatch(rest, place + 1)
        if match is not None:
            index = int(match["index"]) if match["index"] else -1
            yield XComName(dag_id, rest[:place], match["task"], index, match["key"] or DEFAULT_KEY)
        place = rest.find("/", place + 1)


def row_named(ref: str, source: Source) -> Row:
    """The row that `ref` names, of the current attempt.

    Raises NotFoundError with near matches, UsageError (malformed), SourceError.
    """
    names = [name for _, name in zip(range(_MAX_READINGS), readings(ref), strict=False)]
    if not names:
        raise UsageError(
            f"{ref!r} is not the name of an XCom",
            hint="write dag/run/task:key, dag/run/task[3]:key for a mapped task, or latest for the run",
        )
    resolved = [_with_run(name, source) for name in names]
    for name in resolved:
        row = next(_rows(name, source), None)
        if row is not None:
            return row
    raise _unknown(resolved[0], source)


def same_in_run(row: Row, run_id: str, source: Source) -> Row | None:
    """The XCom of the same task, index and key in another run of the row's DAG, of the current attempt."""
    index = -1 if row.map_index is None else row.map_index
    name = XComName(str(row.dag_id), run_id, str(row.task_id), index, row.key)
    return next(_rows(name, source), None)


def _with_run(name: XComName, source: Source) -> XComName:
    if name.run_id != LATEST:
        return name
    newest = next(iter(source.run_ids(name.dag_id, limit=1)), LATEST)
    return XComName(name.dag_id, newest, name.task_id, name.map_index, name.key)


def _rows(name: XComName, source: Source) -> Iterator[Row]:
    return source.rows(
        Selection(
            dag=escaped(name.dag_id),
            run=escaped(name.run_id),
            task=escaped(name.task_id),
            key=escaped(name.key),
            map_index=name.map_index,
        )
    )


def _unknown(name: XComName, source: Source) -> NotFoundError:
    """Why there is no such row, as far down its name as things exist, and what is near."""
    dags = source.dag_ids()
    if name.dag_id not in dags:
        near = difflib.get_close_matches(name.dag_id, sorted(dags), n=3)
        return NotFoundError(
            f"there is no DAG {name.dag_id!r}", hint=_suggestion(near) or "xcomctl ls lists XComs"
        )
    run = Selection(dag=escaped(name.dag_id), run=escaped(name.run_id), all_attempts=True)
    rows = list(source.rows(run, limit=_LOOKED_AT))
    if not rows:
        runs = source.run_ids(name.dag_id)
        if not runs:
            return NotFoundError(f"no run of {name.dag_id} has XComs", hint="xcomctl ls lists XComs")
        near = difflib.get_close_matches(name.run_id, runs, n=3) or runs[:3]
        return NotFoundError(
            f"no run {name.run_id!r} of {name.dag_id} has XComs",
            hint=f"{_suggestion(near)} (newest: {runs[0]}, or write {LATEST})",
        )
    earlier = next((row for row in rows if name.names(row)), None)
    if earlier is not None:
        return NotFoundError(
            f"only an earlier attempt wrote {earlier.ref}",
            hint=f"xcomctl show {earlier.short_id} shows that one",
        )
    wanted = f"{task_ref(name.task_id, name.map_index)}:{name.key}"
    # A mapped task that was named without an index, or another key of the same task, is nearer than any spelling.
    near = sorted({row.ref for row in rows if row.task_id == name.task_id})[:3]
    if not near:
        within = {f"{task_ref(row.task_id, row.map_index)}:{row.key}": row.ref for row in rows}
        near = [within[each] for each in difflib.get_close_matches(wanted, sorted(within), n=3)]
    return NotFoundError(
        f"run {name.run_id} of {name.dag_id} has no XCom {wanted}",
        hint=_suggestion(near) or f"xcomctl ls --dag {name.dag_id} --run {name.run_id} lists what it has",
    )


def _suggestion(near: Sequence[str]) -> str | None:
    return f"did you mean {' or '.join(near)}?" if near else None
